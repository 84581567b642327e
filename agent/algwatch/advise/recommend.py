"""Recommend: from findings, by their cause, to advice that is given once and withdrawn when more
is known."""

from __future__ import annotations

from algwatch.advise import actions
from algwatch.advise.advice import Advice
from algwatch.advise.disable import Harmed, disable, speaks_against
from algwatch.base.table import Table
from algwatch.compare.counterfactual import NO, YES, without_alg
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

    def feed(self, findings: list[Finding]) -> list[Advice]:
        """Findings that are news."""
        advice: list[Advice] = []
        for finding in findings:
            wanted = finding.hurts or finding.cause == cause.ALG_NEEDED
            if wanted and not finding.symptom:
                advice += self._advised(finding)
        return [a for a in advice if self._is_news(a)]

    def reconsider(self, line: Line) -> list[Advice]:
        """More is known of this line: advice that it speaks against is withdrawn, which is to give
        it with state "none"."""
        given = []
        without = without_alg(line, self._lines.beside(line))
        against = speaks_against(line, without)
        for action, answer in ((actions.DISABLE, NO), (actions.KEEP, YES)):
            if without.answer == answer and (action, line.name) in self._given:
                reasons = (
                    against
                    if action == actions.DISABLE
                    else ["a call of this line was seen to work with nothing rewritten"]
                )
                given.append(Advice(action, "none", 0.0, [], reasons, [], line.name))
        return [a for a in given if self._is_news(a)]

    def _advised(self, finding: Finding) -> list[Advice]:
        if finding.cause == cause.ALG:
            line = self._line(finding)
            if line is None or finding.where != "router":
                return []
            without = without_alg(line, self._lines.beside(line))
            return [disable(finding, line, without, self._harmed.add(finding))]
        return [
            Advice(action, "recommended", confidence, [finding.summary], self._against(finding),
                   [], finding.line)
            for action, confidence in actions.BY_CAUSE.get(finding.cause, ())
        ]  # fmt: skip

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
        elif before is not None and before[1] >= now[1]:
            return False
        self._given.add(key, now)
        return True
