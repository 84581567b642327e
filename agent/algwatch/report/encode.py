# SPDX-License-Identifier: Apache-2.0
"""Encoding: from findings, advice and counters to the payloads of the wire format (wire.py)."""

from __future__ import annotations

from collections.abc import Callable

import msgpack

from algwatch.advise.advice import Advice
from algwatch.diagnose.finding import Finding
from algwatch.report.evidence import evidence
from algwatch.report.privacy import Privacy
from algwatch.report.providers import Providers
from algwatch.report.tally import Tally
from algwatch.report.wire import MAX_PAYLOAD, REVISION, SCHEMA

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

MAX_TEXT = 500  # bytes of one sentence
MAX_EVIDENCE = 6  # looks at the wire in one finding
MAX_ADVICE = 12
SHOWN, USUAL = 8, 2048  # messages whose evidence is kept, with it; the longest of them in bytes
MAX_SAID = 16  # lines printed by an order
# The parts of a report to leave out for want of room: their map, "" for the payload, and name.
_LONG = (("finding", "evidence"), ("", "advice"), ("health", "providers"), ("reply", "pcap"),
         ("reply", "lines"))  # fmt: skip
MAX_LINES = 8  # sentences for or against, or commands


def _cut(text: str, most: int = MAX_TEXT) -> str:
    raw = text.encode("utf-8", "replace")
    if len(raw) <= most:
        return raw.decode()
    return raw[: most - 3].decode("utf-8", "ignore") + "…"


class Encoder:
    """Builds payloads, and counts them, so that the receiver sees losses.

    cpe: id of the router. version: of algwatch. boot: id of this start of the agent, sorting by
    time as far as the clock was right. providers: names the provider of a line. Not thread-safe.
    """

    def __init__(self, cpe: str, version: str, boot: str, privacy: Privacy,
                 providers: Providers | None = None) -> None:  # fmt: skip
        self.cpe = cpe
        self.boot = boot
        self.seq = 0  # of the last payload
        # Reports of this boot without room in the outbox; 0 without an outbox.
        self.dropped: Callable[[], int] = int
        self._version = version
        self._privacy = privacy
        self._providers = providers or Providers()
        self._shown: dict[bytes, bytes] = {}  # evidence of the latest messages

    def next(self) -> int:
        """Spend a sequence number."""
        self.seq += 1
        return self.seq

    def _envelope(self, at: float, seq: int) -> dict[str, Any]:
        body: dict[str, Any] = {
            "schema": SCHEMA,
            "revision": REVISION,
            "id": f"{self.boot}-{seq}",
            "boot": self.boot,
            "seq": seq,
            "at": at,
            "cpe": self.cpe,
            "version": self._version,
        }
        if dropped := self.dropped():
            body["dropped"] = dropped
        return body

    def state(self, online: bool, at: float, seq: int, reason: str = "", **more: object) -> bytes:
        """Birth, farewell and last will. The will shares its birth's number (a number is spent only
        on a sent message), so its id has a suffix."""
        body = self._envelope(at, seq)
        body["online"] = online
        if reason:
            body["reason"] = reason
        if reason == "lost":
            body["id"] += "-will"
        body.update(more)
        return _pack(body)

    def finding(self, finding: Finding, at: float, series: str = "", times: int = 1,
                first: float = 0.0, last: float = 0.0) -> bytes:  # fmt: skip
        """at: seconds since 1970, of the report. series: id of its series; times: findings in the
        series; first, last: their times, seconds since 1970."""
        privacy = self._privacy
        phone, provider = self._providers.of(finding.line)
        looks = [
            {
                "side": look.side,
                "at": look.at,
                "observed": _cut(privacy.text(look.observed)),
                "expected": _cut(privacy.text(look.expected)),
                "bytes": self._evidence(look.payload),
            }
            for look in finding.evidence[:MAX_EVIDENCE]
        ]
        body = self._envelope(at, self.next())
        body["finding"] = {
            "rule": finding.rule,
            "slug": finding.slug,
            "severity": finding.severity,
            "where": finding.where,
            "harm": finding.harm,
            "cause": finding.cause,
            "certain": finding.certain,
            "symptom": finding.symptom,
            "line": _cut(privacy.text(finding.line)),
            "phone": _cut(privacy.text(phone)),
            "provider": _cut(privacy.host(provider)),
            "call_id": _cut(privacy.call_id(finding.call_id), 256),
            "side": finding.side,
            "at": finding.at,
            "summary": _cut(privacy.text(finding.summary)),
            "fingerprint": _cut(finding.fingerprint, 64),
            "key": privacy.mark(finding.key),
            "series": privacy.mark(series),
            **_counted_as(times, first, last),
            "evidence": looks,
        }
        payload = _pack(body)
        while len(payload) > MAX_PAYLOAD and len(looks) > 1:
            looks.pop()
            body["finding"]["cut"] = True
            payload = _pack(body)
        return payload

    def _evidence(self, message: bytes) -> bytes:
        """Several findings show one message."""
        shown = self._shown.get(message)
        if shown is None:
            shown = evidence(message, self._privacy)
            if len(message) <= USUAL:
                if len(self._shown) >= SHOWN:
                    self._shown.clear()
                self._shown[message] = shown
        return shown

    def again(self, said: bytes, at: float, times: int, first: float, last: float) -> bytes:
        """A finding sent earlier, with the new counter of its series. said: a result of `bare`."""
        body = self._envelope(at, self.next())
        known = msgpack.unpackb(said, raw=False)
        body["finding"] = {**known, **_counted_as(times, first, last)}
        return _pack(body)

    def advice(self, advice: list[Advice] | None, at: float, copy: bool = False) -> bytes:
        """All advice in force: the message is retained, so it stands alone. None: no advice in this
        boot yet; the message replaces the advice of an earlier boot. copy: for flash; it shares the
        number of the message before it, so its id has a suffix."""
        text = self._privacy.text
        rows = [
            {
                "action": one.action,
                "state": one.state,
                "confidence": float(one.confidence),
                "for": [_cut(text(line)) for line in one.for_[:MAX_LINES]],
                "against": [_cut(text(line)) for line in one.against[:MAX_LINES]],
                # The only foreign text is an address of a packet; a pseudonym would break the
                # commands.
                "commands": [_cut(line) for line in (one.short or one.commands)[:MAX_LINES]],
                "subject": _cut(text(one.subject)),
            }
            for one in (advice or [])[:MAX_ADVICE]
        ]
        body = self._envelope(at, self.seq if copy else self.next())
        if copy:
            body["id"] += "-copy"
        body["advice"] = rows
        if advice is None:
            body["none_yet"] = True
        payload = _pack(body)
        while len(payload) > MAX_PAYLOAD and len(rows) > 1:
            rows.pop()
            body["cut"] = True
            payload = _pack(body)
        return payload

    def health(self, health: dict[str, object], at: float, tally: Tally | None = None) -> bytes:
        """health: counters and gauges as listed in docs/wire.md; values are numbers or maps."""
        body = self._envelope(at, self.next())
        body["health"] = health
        if tally is None:
            return _pack(body)
        providers = self._by_provider(tally)
        body["health"] = {**health, "providers": providers}
        payload = _pack(body)
        while len(payload) > MAX_PAYLOAD and providers:
            # Drop the provider with the fewest calls and registrations: the same one each time.
            del providers[min(providers, key=lambda name: _counted(providers[name]))]
            body["health"]["cut"] = True
            payload = _pack(body)
        return payload

    def reply(self, said: dict[str, object], at: float) -> bytes:
        """said: the fields of an answer to a command, as in docs/wire.md."""
        body = self._envelope(at, self.next())
        body["reply"] = {name: _said(value, self._privacy) for name, value in said.items()}
        return _pack(body)

    def _by_provider(self, tally: Tally) -> dict[str, dict[str, dict[str, int]]]:
        """Counters above 0."""
        return {
            _cut(self._privacy.host(provider), 256): {
                word: counted
                for word, counters in (
                    ("calls", each.calls), ("registrations", each.registrations),
                    ("dropped", each.dropped), ("hurt", each.hurt),
                )
                if (counted := {name: count for name, count in counters.items() if count})
            }
            for provider, each in tally.items()
        }  # fmt: skip


def fitted(payload: bytes, room: int) -> bytes:
    """The payload in so many bytes: without the last looks, pieces of advice, providers or packets,
    and marked as cut; b"" if it does not fit so."""
    if len(payload) <= room:
        return payload
    try:
        body = msgpack.unpackb(payload, raw=False)
        for where, name in _LONG:
            holder = body.get(where) if where else body
            while len(payload) > room and holder and holder.get(name):
                part = holder[name]
                if isinstance(part, dict):
                    del part[min(part, key=lambda one: _counted(part[one]))]
                else:
                    holder[name] = part[:-1] if isinstance(part, list) else b""
                holder["cut"] = True
                payload = _pack(body)
    except (ValueError, TypeError, AttributeError, KeyError):
        return b""  # no report of ours: somebody has written into the spool
    return payload if len(payload) <= room else b""


def bare(payload: bytes) -> bytes:
    """The finding of a payload without its evidence, packed."""
    finding: dict[str, Any] = msgpack.unpackb(payload, raw=False)["finding"]
    finding.pop("cut", None)
    return _pack({**finding, "evidence": []})


def _counted_as(times: int, first: float, last: float) -> dict[str, Any]:
    return {"times": times, "first": first, "last": last} if times > 1 else {"times": times}


def _said(value: object, privacy: Privacy) -> object:
    """Strings and lists of lines get pseudonyms and are cut; other values stay."""
    if isinstance(value, list):
        return [_cut(privacy.text(str(line))) for line in value[:MAX_SAID]]
    return _cut(privacy.text(value)) if isinstance(value, str) else value


def _counted(groups: dict[str, dict[str, int]]) -> int:
    """The number of calls and registrations."""
    return groups["calls"].get("attempted", 0) + sum(groups["registrations"].values())


def _pack(body: dict[str, Any]) -> bytes:
    packed: bytes = msgpack.packb(body, use_bin_type=True, unicode_errors="replace")
    return packed
