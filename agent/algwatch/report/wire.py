# SPDX-License-Identifier: Apache-2.0
"""The wire format, schema number 1: what every MQTT payload of algwatch looks like.

Payloads are msgpack maps with text keys; docs/wire.md lists each field with its unit. Fields are
only ever added under the same number, and a reader ignores the ones that it does not know; the
number in the topic and in the payload changes together with the meaning of a field.
"""

from __future__ import annotations

from collections.abc import Callable

import msgpack

from algwatch.advise.advice import Advice
from algwatch.diagnose.finding import Finding
from algwatch.report.evidence import evidence
from algwatch.report.privacy import Privacy

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

SCHEMA = 1
ROOT = "algwatch/1"
CONTENT_TYPE = "application/msgpack"
MAX_PAYLOAD = 16384  # bytes; brokers and constrained readers may rely on it

MAX_TEXT = 500  # bytes of one sentence
MAX_EVIDENCE = 6  # looks at the wire in one finding
MAX_ADVICE = 12
MAX_LINES = 8  # sentences for or against, or commands


def topic(cpe: str, kind: str) -> str:
    """kind: state, finding, advice or health."""
    return f"{ROOT}/{cpe}/{kind}"


class SchemaError(ValueError):
    """The payload is not one of ours; the text says why."""


def _cut(text: str, most: int = MAX_TEXT) -> str:
    raw = text.encode("utf-8", "replace")
    if len(raw) <= most:
        return raw.decode()
    return raw[: most - 3].decode("utf-8", "ignore") + "…"


class Encoder:
    """Builds payloads; counts them, so that the receiver sees what got lost.

    cpe: id of the router. version: of algwatch. boot: id of this start of the agent, sorting by
    time as far as the clock was right. Not thread-safe.
    """

    def __init__(self, cpe: str, version: str, boot: str, privacy: Privacy) -> None:
        self.cpe = cpe
        self.boot = boot
        self.seq = 0  # of the last payload
        # Reports of this boot that found no room in the outbox: of which there is none here.
        self.dropped: Callable[[], int] = int
        self._version = version
        self._privacy = privacy

    def next(self) -> int:
        """Spend a sequence number."""
        self.seq += 1
        return self.seq

    def _envelope(self, at: float, seq: int) -> dict[str, Any]:
        body: dict[str, Any] = {
            "schema": SCHEMA,
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
        """Birth, farewell and last will. The will shares its birth's number (it is spent only
        when it is sent), so its id has a suffix."""
        body = self._envelope(at, seq)
        body["online"] = online
        if reason:
            body["reason"] = reason
        if reason == "lost":
            body["id"] += "-will"
        body.update(more)
        return _pack(body)

    def finding(self, finding: Finding, at: float) -> bytes:
        """at: seconds since 1970, of the report."""
        privacy = self._privacy
        looks = [
            {
                "side": look.side,
                "at": look.at,
                "observed": _cut(privacy.text(look.observed)),
                "expected": _cut(privacy.text(look.expected)),
                "bytes": evidence(look.payload, privacy),
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
            "call_id": _cut(privacy.call_id(finding.call_id), 256),
            "side": finding.side,
            "at": finding.at,
            "summary": _cut(privacy.text(finding.summary)),
            "fingerprint": _cut(finding.fingerprint, 64),
            "key": privacy.mark(finding.key),
            "evidence": looks,
        }
        payload = _pack(body)
        while len(payload) > MAX_PAYLOAD and len(looks) > 1:
            looks.pop()
            body["finding"]["cut"] = True
            payload = _pack(body)
        return payload

    def advice(self, advice: list[Advice] | None, at: float) -> bytes:
        """All advice in force: the message is retained, so it stands alone. None: this boot has
        given no advice yet, which takes the place of the advice of an earlier boot."""
        text = self._privacy.text
        rows = [
            {
                "action": one.action,
                "state": one.state,
                "confidence": float(one.confidence),
                "for": [_cut(text(line)) for line in one.for_[:MAX_LINES]],
                "against": [_cut(text(line)) for line in one.against[:MAX_LINES]],
                # Ours but for an address of a packet; a pseudonym would break them.
                "commands": [_cut(line) for line in (one.short or one.commands)[:MAX_LINES]],
                "subject": _cut(text(one.subject)),
            }
            for one in (advice or [])[:MAX_ADVICE]
        ]
        body = self._envelope(at, self.next())
        body["advice"] = rows
        if advice is None:
            body["none_yet"] = True
        payload = _pack(body)
        while len(payload) > MAX_PAYLOAD and len(rows) > 1:
            rows.pop()
            body["cut"] = True
            payload = _pack(body)
        return payload

    def health(self, health: dict[str, object], at: float) -> bytes:
        """health: counters and gauges as listed in docs/wire.md; values are numbers or maps."""
        body = self._envelope(at, self.next())
        body["health"] = health
        return _pack(body)


def _pack(body: dict[str, Any]) -> bytes:
    packed: bytes = msgpack.packb(body, use_bin_type=True, unicode_errors="replace")
    return packed


def decode(payload: bytes) -> dict[str, Any]:
    """One payload as a dict; fields that are not known here are left alone.

    Raises SchemaError when it is no msgpack map, too long, or of another schema number.
    Safe on hostile input: nothing in it can ask for more memory than its own length deserves.
    """
    if len(payload) > MAX_PAYLOAD:
        raise SchemaError(f"{len(payload)} bytes: longer than a report ever is")
    try:
        body = msgpack.unpackb(
            payload,
            raw=False,
            unicode_errors="replace",
            strict_map_key=False,
            max_array_len=MAX_PAYLOAD,
            max_map_len=MAX_PAYLOAD,
            max_ext_len=0,
        )
    except Exception as problem:  # msgpack raises a dozen kinds, TypeError among them
        raise SchemaError(f"not a msgpack payload: {problem or type(problem).__name__}") from None
    if not isinstance(body, dict):
        raise SchemaError("not a map")
    schema = body.get("schema")
    if schema != SCHEMA or type(schema) is not int:
        raise SchemaError(f"schema {str(schema)[:40]} is not {SCHEMA}")
    return body
