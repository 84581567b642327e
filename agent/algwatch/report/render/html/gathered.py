# SPDX-License-Identifier: Apache-2.0
"""Gathered: the part of a capture shown on the page. Bounded."""

from __future__ import annotations

from algwatch.base.report import Report
from algwatch.base.table import Table
from algwatch.compare.summary import CallSummary, RegistrationSummary
from algwatch.diagnose.finding import Finding
from algwatch.report.render.collected import Collected
from algwatch.report.render.grades import DEAD, OPEN, graded
from algwatch.report.render.html.density import Density
from algwatch.report.render.ladder import CallLadder, Ladder
from algwatch.report.render.sentences import Brief

CALLS = 40  # calls with a ladder
FEW = 8  # calls of a capture with a ladder even for healthy ones
KEPT = 24 << 20  # bytes of messages kept until the hurt calls are known
ROWS = 240  # calls with a bar
LOOKS = 4  # looks at the wire in one finding
WORDS = 300  # characters of an observation


class Shown(Brief):
    """looks: (side, seconds since 1970, observed, expected) of its evidence."""

    __slots__ = ("at", "looks")

    def __init__(self, finding: Finding) -> None:
        super().__init__(finding)
        self.at = finding.at
        self.looks = [
            (look.side, look.at, look.observed[:WORDS], look.expected[:WORDS])
            for look in finding.evidence[:LOOKS]
        ]


class _Collected(Collected):
    brief = Shown


class Gathered:
    """watch: give it to the pipeline. Fed with every report, then settled."""

    def __init__(self) -> None:
        self.ladder = Ladder(CALLS, KEPT)
        self.watch = self.ladder.watch
        self.collected = _Collected(self.ladder)
        self.density = Density()
        self.numbers: dict[str, dict[str, int]] = {}
        self.rows: Table[str, CallSummary] = Table(ROWS)
        self.begin = self.end = 0.0  # seconds since 1970, of all calls and registrations
        self.total = 0  # calls reported

    def feed(self, report: Report) -> None:
        self.collected.feed(report)
        if isinstance(report, CallSummary):
            self._span(report.start, report.end)
            if report.unsolicited:
                return
            self.total += 1
            self.density.add(report.start, graded(report) in (DEAD, OPEN))
            if report.call_id in self.rows or len(self.rows) < ROWS:
                self.rows[report.call_id] = report
        elif isinstance(report, RegistrationSummary):
            self._span(report.start, report.end)

    def settle(self, numbers: dict[str, dict[str, int]]) -> None:
        """No more reports. numbers: as Collected.settle."""
        self.numbers = numbers
        self.collected.settle(numbers)

    def shown(self) -> list[CallLadder]:
        """The calls with a ladder: the hurt ones, and all calls of a small capture."""
        calls = sorted(self.ladder.calls.values(), key=lambda c: (c.started, c.call_id))
        few = len(calls) + self.ladder.dropped <= FEW
        return [call for call in calls if few or call.hurts or self._died(call)]

    def findings(self, call_id: str) -> list[Brief]:
        return self.collected.of(call_id)

    def _died(self, call: CallLadder) -> bool:
        summary = self.collected.calls.get(call.call_id)
        return summary is not None and not summary.unsolicited and graded(summary) in (DEAD, OPEN)

    def _span(self, start: float, end: float) -> None:
        self.begin = min(self.begin or start, start)
        self.end = max(self.end, end)
