# SPDX-License-Identifier: Apache-2.0
"""Status: the daemon's state as one JSON file on tmpfs, for `algwatch status` and the web page.

docs/status.md lists its fields. It shows the last day, bounded: so many calls, registrations,
findings with the bytes of both copies, and pieces of advice. People in it are pseudonyms as in
reports over MQTT, and messages are built anew from their harmless parts (report/evidence.py).
"""

from __future__ import annotations

from collections.abc import Callable
from time import monotonic, time

from algwatch import __version__
from algwatch.advise.actions import in_words
from algwatch.advise.advice import Advice, InForce
from algwatch.base.host import Host
from algwatch.base.quote import cut, cut_sentence, visible
from algwatch.base.report import Report
from algwatch.base.table import Table
from algwatch.compare.summary import CallSummary, RegistrationSummary
from algwatch.diagnose.finding import Evidence, Finding
from algwatch.report.anonymous import anonymous
from algwatch.report.evidence import evidence
from algwatch.report.privacy import Privacy
from algwatch.report.render.grades import DEAD, OPEN, graded
from algwatch.report.render.json import (
    advice_json,
    call_json,
    finding_json,
    quoted,
    registration_json,
    texts_json,
)
from algwatch.report.render.lately import Lately
from algwatch.report.replaced import Replaced

SCHEMA = 1
SOONEST = 3.0  # seconds between two writings
EVERY = 60.0  # seconds; the file is written after this time even if unchanged
DAY = 86400.0  # seconds; older items are not shown
PARTS = 4  # the counters of the last day advance in so many parts

CALLS, BAD_CALLS = 24, 16
REGISTRATIONS, FAILED = 32, 16
FINDINGS, HURTING = 12, 16
LOOKS = 4  # at the wire in one finding
ROOM = 65536  # bytes of all findings
ADVICE = 16
LINES = 8  # sentences for an advice, and as many against it
TEXT = 300  # characters of a text
NAME = 160  # characters of a name, an address or a Call-ID

Numbers = dict[str, dict[str, int]]


class _Kept:
    """heard: seconds, monotonic. report: names nobody, has no evidence. text: its JSON."""

    __slots__ = ("heard", "report", "text")

    def __init__(self, heard: float, report: Report, text: str) -> None:
        self.heard = heard
        self.report = report
        self.text = text


class Status:
    """path: of the file. say: takes a line about the agent. clock: seconds, monotonic; wall:
    seconds since 1970."""

    def __init__(self, path: str, privacy: Privacy, say: Callable[[str], None],
                 clock: Callable[[], float] = monotonic,
                 wall: Callable[[], float] = time) -> None:  # fmt: skip
        self._file = Replaced(path, "status_file", 0o600, say)
        self._privacy = privacy
        self._clock = clock
        self._wall = wall
        self._started = clock()
        self._written = float("-inf")
        self._changed = True
        self.host: Host | None = None
        self._ended = 0  # calls that ended well, since the start
        self._before: list[tuple[float, Numbers]] = [(self._started, {})]
        self._bad: Table[str, _Kept] = Table(BAD_CALLS)
        self._calls: Table[str, _Kept] = Table(CALLS)
        self._failed: Table[str, _Kept] = Table(FAILED)
        self._registrations: Table[str, _Kept] = Table(REGISTRATIONS)
        self._hurting: Table[str, _Kept] = Table(HURTING)
        self._findings: Table[str, _Kept] = Table(FINDINGS)
        self._advice = InForce(ADVICE)

    def touch(self) -> None:
        """Something changed without a report."""
        self._changed = True

    @property
    def due(self) -> bool:
        age = self._clock() - self._written
        return age >= SOONEST and (self._changed or age >= EVERY)

    def report(self, report: Report) -> None:
        """Take note of a report; the file is due then."""
        if isinstance(report, CallSummary):
            self._call(report)
        elif isinstance(report, RegistrationSummary):
            self._registration(report)
        elif isinstance(report, Finding):
            self._finding(report)
        elif isinstance(report, Advice):
            self._advice.feed(anonymous(report, self._privacy))
        self._changed = True

    def write(self, health: dict[str, object], counts: Numbers, running: bool = True) -> None:
        """health, counts: as in docs/wire.md, health without the numbers of the pipeline."""
        self._written = self._clock()
        self._changed = False
        self._file.write(self._text(health, counts, running))

    def _call(self, call: CallSummary) -> None:
        shown = anonymous(call, self._privacy)
        _cut_names(shown, "call_id", "from_", "to", "line", "failure")
        grade = graded(shown)
        earlier = self._calls.pop(shown.call_id, None)
        if earlier is not None:  # tried again, say with credentials
            self._ended -= 1
        self._bad.pop(shown.call_id, None)
        kept = _Kept(self._clock(), shown, call_json(shown, _shown))
        if grade in (DEAD, OPEN):
            self._bad.add(shown.call_id, kept)
        else:
            self._ended += 1
            self._calls.add(shown.call_id, kept)

    def _registration(self, one: RegistrationSummary) -> None:
        if one.unsolicited:
            return
        shown = anonymous(one, self._privacy)
        _cut_names(shown, "call_id", "aor", "line")
        for table in (self._registrations, self._failed):
            table.pop(shown.aor, None)
        table = self._registrations if one.outcome == "accepted" else self._failed
        kept = _Kept(self._clock(), shown, registration_json(shown, _shown))
        table.add(shown.aor, kept)

    def _finding(self, finding: Finding) -> None:
        shown = anonymous(finding, self._privacy)
        _cut_names(shown, "call_id", "line", "fingerprint")
        shown.key = self._privacy.mark(finding.key)
        looks = ",".join(self._look(look) for look in finding.evidence[:LOOKS])
        text = finding_json(shown, _shown).removesuffix("]}") + looks + "]}"
        for table in (self._hurting, self._findings):
            table.pop(shown.key, None)
        table = self._hurting if shown.hurts else self._findings
        table.add(shown.key, _Kept(self._clock(), shown, text))
        self._make_room()

    def _look(self, look: Evidence) -> str:
        message = evidence(look.payload, self._privacy).decode("utf-8", "backslashreplace")
        # Line by line: other control characters become visible, and two copies stay comparable.
        lines = [visible(line) for line in message.rstrip("\r\n").split("\r\n")] if message else []
        observed, expected = (self._privacy.text(t) for t in (look.observed, look.expected))
        return (
            f'{{"side":"{look.side}","at":{look.at:.6f},"observed":{_shown(observed)},'
            f'"expected":{_shown(expected)},"message":{texts_json(lines)}}}'
        )

    def _make_room(self) -> None:
        """Drop the oldest findings, the hurting ones last, until the rest fits."""
        size = sum(len(k.text) for table in (self._findings, self._hurting) for k in table.values())
        for table in (self._findings, self._hurting):
            while size > ROOM and table:
                key = next(iter(table))
                size -= len(table[key].text)
                table.evict(key)

    def _text(self, health: dict[str, object], counts: Numbers, running: bool) -> str:
        given = self._advice.all()
        self._let_go({one.subject for one in given})
        since, lately = self._lately(counts)
        bad = (self._bad, self._failed, self._hurting)
        tables = (*bad, self._calls, self._registrations, self._findings)
        full = any(len(table) == table.limit for table in bad)
        verdict = Lately(lately.pop("ended")["well"], full)
        for kept in sorted((k for t in tables for k in t.values()), key=lambda k: k.heard):
            verdict.feed(kept.report)
        for one in given:
            verdict.feed(one)
        verdict.settle(lately)
        now, wall = self._clock(), self._wall()
        host = self.host
        parts = {
            "schema": str(SCHEMA), "version": quoted(__version__),
            "running": _bool(running), "at": f"{wall:.3f}", "clock": f"{now:.3f}",
            "every": f"{EVERY:.0f}", "started": f"{wall - (now - self._started):.3f}",
            "since": f"{wall - (now - since):.3f}", "privacy": _bool(self._privacy.enabled),
            "verdict": _verdict(verdict),
            "helper": "null" if host is None else _bool(host.helper),
            "offload": quoted("" if host is None else host.offload),
            "health": _numbers(health), "counts": _numbers(lately),
            "registrations": _rows(self._failed, self._registrations),
            "calls": _rows(self._bad, self._calls),
            "findings": _rows(self._hurting, self._findings),
            "advice": "[" + ",".join(_advice(one) for one in given[::-1]) + "]",
        }  # fmt: skip
        return "{" + ",".join(f'"{name}":{value}' for name, value in parts.items()) + "}\n"

    def _let_go(self, advised: set[str]) -> None:
        """Forget items older than a day. advised: lines with advice in force; their harm stays,
        too."""
        oldest = self._clock() - DAY
        for table in (self._bad, self._failed, self._calls, self._registrations, self._findings):
            for key in [k for k, kept in table.items() if kept.heard < oldest]:
                del table[key]
        for key, kept in list(self._hurting.items()):
            line = getattr(kept.report, "line", "")
            if kept.heard < oldest and line not in advised:
                del self._hurting[key]

    def _lately(self, counts: Numbers) -> tuple[float, Numbers]:
        """(start, the counters since then): of the last day, to a quarter of a day."""
        counts = {**counts, "ended": {"well": self._ended}}
        now = self._clock()
        since, before = self._before[0]
        if now - self._before[-1][0] >= DAY / PARTS:
            self._before.append((now, {name: dict(some) for name, some in counts.items()}))
            del self._before[:-PARTS]
        return since, {
            group: {
                # The number of networks is no counter.
                name: n - (0 if name == "networks" else before.get(group, {}).get(name, 0))
                for name, n in some.items()
            }
            for group, some in counts.items()
        }


def _shown(text: str) -> str:
    return quoted(visible(cut_sentence(text, TEXT)))


def _cut_names(report: Report, *names: str) -> None:
    for name in names:
        setattr(report, name, cut(getattr(report, name), NAME))


def _bool(value: bool) -> str:
    return "true" if value else "false"


def _rows(*tables: Table[str, _Kept]) -> str:
    """The newest first."""
    kept = sorted((k for t in tables for k in t.values()), key=lambda k: k.heard, reverse=True)
    return "[" + ",".join(k.text for k in kept) + "]"


def _verdict(verdict: Lately) -> str:
    why = texts_json(verdict.why, _shown)
    return (
        f'{{"state":"{verdict.state}","why":{why},"next":{_shown(verdict.next)},'
        f'"alg":{_shown(verdict.alg)},"doubtful":{"true" if verdict.doubtful else "false"}}}'
    )


def _advice(advice: Advice) -> str:
    del advice.for_[LINES:], advice.against[LINES:]  # a copy of its own
    row = advice_json(advice, _shown).removesuffix("}")
    return f'{row},"title":{_shown(in_words(advice))}}}'


def _numbers(value: object) -> str:
    """Maps, numbers and words of the health report."""
    if isinstance(value, dict):
        return "{" + ",".join(f"{_shown(str(k))}:{_numbers(v)}" for k, v in value.items()) + "}"
    if isinstance(value, bool):
        return _bool(value)
    return str(value) if isinstance(value, int | float) else _shown(str(value))
