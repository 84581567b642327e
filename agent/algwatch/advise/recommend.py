# SPDX-License-Identifier: Apache-2.0
"""Recommend: from findings, by their cause, to advice that is given once and withdrawn when more
is known."""

from __future__ import annotations

from algwatch.advise import actions
from algwatch.advise.advice import Advice
from algwatch.advise.disable import Harmed, disable, speaks_for
from algwatch.base.table import Table
from algwatch.compare.counterfactual import YES, without_alg
from algwatch.compare.line import Line, Lines
from algwatch.diagnose import cause
from algwatch.diagnose.finding import Finding

LIMIT = 256


class Recommender:
    """Findings in, advice that changed out. Advice is kept by action and line."""

    def __init__(self, lines: Lines) -> None:
        self._lines = lines
        self._given: Table[tuple[str, str], tuple[str, float]] = Table(LIMIT)
        self._harmed = Harmed()
        self._harm: Table[str, Finding] = Table(LIMIT)  # the latest, by line
        # Lines that the ALG harms or carries, by provider and name.
        self._advised_lines: Table[str, dict[str, Line]] = Table(LIMIT)

    def feed(self, findings: list[Finding]) -> list[Advice]:
        """Findings that are news."""
        advice: list[Advice] = []
        for finding in findings:
            wanted = finding.hurts or finding.cause == cause.ALG_NEEDED
            if wanted and not finding.symptom:
                advice += self._advised(finding)
        return [a for a in advice if self._is_news(a)]

    def reconsider(self, line: Line) -> list[Advice]:
        """More is known of this line: advice for it, and for the other phones here with the same
        provider, is given again where its state has changed. Withdrawn advice has state "none"."""
        given = []
        for one in self._advised_lines.get(line.remote, {}).values():
            finding = self._harm.get(one.name)
            if finding is not None:
                given.append(self._disable(finding, one))
            if (actions.KEEP, one.name) in self._given:
                without = without_alg(one, self._lines.beside(one))
                if without.answer == YES:
                    why = speaks_for(one, without)
                    given.append(Advice(actions.KEEP, "none", 0.0, [], why, [], one.name))
        return [a for a in given if self._is_news(a)]

    def _advised(self, finding: Finding) -> list[Advice]:
        line = self._line(finding)
        if line is not None and finding.cause in (cause.ALG, cause.ALG_NEEDED):
            mine = self._advised_lines.get(line.remote)
            if mine is None:
                mine = {}
                self._advised_lines.add(line.remote, mine)
            mine[line.name] = line
        if finding.cause == cause.ALG:
            if line is None or finding.where != "router":
                return []
            self._harm.add(line.name, finding)
            self._harmed.add(finding)
            return [self._disable(finding, line)]
        return [
            Advice(action, "recommended", confidence, [finding.summary], self._against(finding),
                   [], finding.line)
            for action, confidence in actions.BY_CAUSE.get(finding.cause, ())
        ]  # fmt: skip

    def _disable(self, finding: Finding, line: Line) -> Advice:
        without = without_alg(line, self._lines.beside(line))
        return disable(finding, line, without, self._harmed.proved(finding))

    def _line(self, finding: Finding) -> Line | None:
        return next((line for line in self._lines.all() if line.name == finding.line), None)

    @staticmethod
    def _against(finding: Finding) -> list[str]:
        """A field that the router left unchanged is not caused by it."""
        if finding.cause == cause.NAT_UNHANDLED and finding.line:
            return ["the router left this Contact as the phone wrote it"]
        return []

    def _is_news(self, advice: Advice) -> bool:
        key = (advice.action, advice.subject)
        now = (advice.state, advice.confidence)
        before = self._given.get(key)
        if advice.state == "none":
            if before is None or before[0] == "none":
                return False
        elif before is not None and before[0] == now[0] and before[1] >= now[1]:
            return False
        self._given.add(key, now)
        return True
