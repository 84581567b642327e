# SPDX-License-Identifier: Apache-2.0
"""Collected: the part of the reports shown in the text for people. Bounded."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

from algwatch.advise.advice import Advice, InForce
from algwatch.base.report import Report, by_kind
from algwatch.base.table import Table
from algwatch.compare.summary import CallSummary, RegistrationSummary
from algwatch.diagnose.finding import Finding
from algwatch.report.render.grades import DEAD, graded
from algwatch.report.render.ladder import Ladder
from algwatch.report.render.of_lines import OfLines
from algwatch.report.render.sentences import Brief, named_registration
from algwatch.report.render.story import HARMS
from algwatch.report.render.verdict import Verdict

FINDINGS = 20  # findings kept of one call, and of everything outside calls
ADVICE = 50  # pieces of advice kept
REGISTRATIONS = 20  # of each kind, good and bad


class Collected:
    """calls: summaries of those with a ladder, in the order of their ends; findings: by Call-ID,
    then by key; unshown: numbers of findings without a place, by rule and harm; outcomes: counts of
    all calls; verdict: on everything; of_lines: lines and kinds of calls. After settle(), counts:
    of Source.counts(), and notes: sentences about the texts read.

    Renderers take this; the text for people is one of them.
    """

    brief: type[Brief] = Brief  # the kept part of a finding

    def __init__(self, ladder: Ladder) -> None:
        self.ladder = ladder
        self.of_lines = OfLines()
        self.counts: dict[str, dict[str, int]] = {}
        self.notes: list[str] = []
        self._by_kind = by_kind(self)
        self.verdict = Verdict()
        self.calls: dict[str, CallSummary] = {}
        self.findings: dict[str, dict[str, Brief]] = {}
        self.unshown: dict[tuple[str, str], int] = {}
        self.outcomes: dict[str, int] = {}
        self._advice = InForce(ADVICE)
        self._accepted: Table[str, str] = Table(REGISTRATIONS)
        self._failed: Table[str, str] = Table(REGISTRATIONS)

    def feed(self, report: Report) -> None:
        self.verdict.feed(report)
        self.of_lines.feed(report)
        self._by_kind[report.kind](report)

    def _on_call(self, call: CallSummary) -> None:
        self._count_outcome(call, 1)
        earlier = self.calls.get(call.call_id)
        if earlier is not None:  # tried again, say with credentials: one call for people
            self._count_outcome(earlier, -1)
        if graded(call) == DEAD:
            self.ladder.hurts(call.call_id)
        self.ladder.over(call.call_id)
        self.calls[call.call_id] = call
        if len(self.calls) > 2 * len(self.ladder.calls) + 100:
            self._let_go()

    def _count_outcome(self, call: CallSummary, number: int) -> None:
        outcome = "unsolicited" if call.unsolicited else call.outcome
        self.outcomes[outcome] = self.outcomes.get(outcome, 0) + number

    def _on_registration(self, registration: RegistrationSummary) -> None:
        if registration.unsolicited:
            return
        good = registration.outcome == "accepted"
        for table in (self._accepted, self._failed):
            table.pop(registration.aor, None)
        kept = self._accepted if good else self._failed
        kept.add(registration.aor, named_registration(registration))

    def _on_advice(self, advice: Advice) -> None:
        self._advice.feed(advice)

    def _on_finding(self, finding: Finding) -> None:
        if finding.harm != "none":
            self.ladder.hurts(finding.call_id)
        call_id = finding.call_id
        if not self.ladder.of(call_id):
            if call_id and self.ladder.dropped:  # most likely of a call without a ladder
                self._count(finding.rule, finding.harm)
                return
            call_id = ""
        mine = self.findings.setdefault(call_id, {})
        if finding.key in mine or len(mine) < FINDINGS:
            mine[finding.key] = self.brief(finding)
        else:
            self._count(finding.rule, finding.harm)

    def _count(self, rule: str, harm: str) -> None:
        key = (rule, harm)
        self.unshown[key] = self.unshown.get(key, 0) + 1

    def settle(self, counts: dict[str, dict[str, int]], notes: Sequence[str] = ()) -> None:
        """No more reports. counts: see Verdict.settle."""
        self.counts = counts
        self.notes = list(notes)
        self.ladder.settle()
        self._let_go()
        self.verdict.settle(counts)

    def of(self, call_id: str) -> list[Brief]:
        """The findings about a call ("" for those about none), worst first."""
        return sorted(self.findings.get(call_id, {}).values(), key=lambda f: HARMS.index(f.harm))

    @property
    def advice(self) -> list[Advice]:
        return self._advice.all()

    @property
    def registrations(self) -> list[str]:
        """A sentence each, failures first."""
        gone = self._failed.evicted + self._accepted.evicted
        more = [f"{gone} more registrations are not shown."] if gone else []
        return [*self._failed.values(), *self._accepted.values(), *more]

    def _let_go(self) -> None:
        """Forget the calls that the ladder did not keep."""
        of = self.ladder.of
        self.calls = {i: c for i, c in self.calls.items() if of(i)}
        for call_id in [i for i in self.findings if i and not of(i)]:
            for brief in self.findings.pop(call_id).values():
                self._count(brief.rule, brief.harm)


def collect(reports: Iterable[Report], counts: Callable[[], dict[str, dict[str, int]]],
            ladder: Ladder, notes: Callable[[], Sequence[str]] = tuple) -> Collected:  # fmt: skip
    """All of a capture. counts and notes are called after the last report."""
    collected = Collected(ladder)
    for report in reports:
        collected.feed(report)
    collected.settle(counts(), notes())
    return collected
