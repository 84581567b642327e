# SPDX-License-Identifier: Apache-2.0
"""Lines: what became of the calls and registrations of each phone with each provider, and when
most calls began. Bounded."""

from __future__ import annotations

from algwatch.base.table import Table
from algwatch.compare.line import ends_of
from algwatch.compare.summary import CallSummary, RegistrationSummary
from algwatch.diagnose.finding import Finding
from algwatch.report.render.verdict import DEAD, OPEN, graded

LINES = 256
CALLS = 4096  # calls that are known again when they are told once more
REASONS = 3  # rules that are named of a line
BUCKETS = 240


class OfLine:
    """phone, provider: texts; calls: by grade (verdict.py); registrations: latest outcome by
    address of record; hurts: rules that hurt, with how many findings; doubts: those that may."""

    __slots__ = ("calls", "doubts", "hurts", "phone", "provider", "registrations")

    def __init__(self, name: str) -> None:
        self.phone, self.provider = ends_of(name)
        self.calls: dict[str, int] = {}
        self.registrations: Table[str, str] = Table(REASONS * 8)
        self.hurts: dict[str, int] = {}
        self.doubts: dict[str, int] = {}

    @property
    def badness(self) -> tuple[int, int, int]:
        """To sort by: the worst line has the greatest."""
        failed = sum(outcome != "accepted" for outcome in self.registrations.values())
        return (
            sum(self.hurts.values()) + self.calls.get(DEAD, 0) + failed,
            self.calls.get(OPEN, 0) + sum(self.doubts.values()),
            sum(self.calls.values()),
        )


class Lines:
    """Fed with every report. lines: by name; more: lines that found no room."""

    def __init__(self) -> None:
        self.lines: dict[str, OfLine] = {}
        self.more = 0
        self._known: Table[str, tuple[str, str]] = Table(CALLS)
        self._said: Table[str, bool] = Table(CALLS)

    def call(self, call: CallSummary) -> None:
        """The latest word on a call counts."""
        line = self._line(call.line)
        if line is None or call.unsolicited:
            return
        grade = graded(call)
        earlier = self._known.pop(call.call_id, None)
        if earlier is not None and earlier[0] in self.lines:
            self.lines[earlier[0]].calls[earlier[1]] -= 1
        self._known.add(call.call_id, (call.line, grade))
        line.calls[grade] = line.calls.get(grade, 0) + 1

    def registration(self, one: RegistrationSummary) -> None:
        line = self._line(one.line)
        if line is not None and not one.unsolicited:
            line.registrations.pop(one.aor, None)
            line.registrations.add(one.aor, one.outcome)

    def finding(self, finding: Finding) -> None:
        line = self._line(finding.line)
        if line is None or finding.harm == "none" or finding.key in self._said:
            return
        self._said.add(finding.key, True)
        rules = line.hurts if finding.hurts else line.doubts
        rules[finding.rule] = rules.get(finding.rule, 0) + 1

    def worst_first(self) -> list[OfLine]:
        return sorted(self.lines.values(), key=lambda line: line.badness, reverse=True)

    def _line(self, name: str) -> OfLine | None:
        if not name or not ends_of(name)[0]:
            return None
        line = self.lines.get(name)
        if line is None:
            if len(self.lines) >= LINES:
                self.more += 1
                return None
            line = self.lines[name] = OfLine(name)
        return line


class Density:
    """How many calls began when, in at most BUCKETS buckets that grow with the capture. width:
    seconds of a bucket; good, bad: numbers by bucket."""

    def __init__(self) -> None:
        self.width = 1.0
        self.good: dict[int, int] = {}
        self.bad: dict[int, int] = {}

    def add(self, at: float, bad: bool) -> None:
        """at: seconds since 1970."""
        numbers = self.bad if bad else self.good
        bucket = int(at // self.width)
        numbers[bucket] = numbers.get(bucket, 0) + 1
        while len(self.good) + len(self.bad) > BUCKETS:
            self.width *= 2
            self.good, self.bad = _halved(self.good), _halved(self.bad)


def _halved(numbers: dict[int, int]) -> dict[int, int]:
    made: dict[int, int] = {}
    for bucket, number in numbers.items():
        made[bucket // 2] = made.get(bucket // 2, 0) + number
    return made
