"""Engine: shows rules what they subscribed to, and says each finding once.

One rule that fails must not hide what the others see: its exception is counted, remembered and
raised only in tests (strict), because a diagnostician that stops is worth nothing.
"""

from __future__ import annotations

from types import ModuleType

from algwatch.base.table import Table
from algwatch.compare.call import Call
from algwatch.compare.crossing import Crossing
from algwatch.diagnose.context import Context
from algwatch.diagnose.finding import HARMS, Finding
from algwatch.diagnose.rule import CALL, CAPTURE, CROSSING
from algwatch.diagnose.rules import RULES

# What has been said, by key: harm and summary.
SAID = 4096


class Engine:
    """failures: exceptions by rule id. strict: raise them."""

    def __init__(self, context: Context, strict: bool = False) -> None:
        self.context = context
        self.strict = strict
        self.failures: dict[str, int] = {}
        self._said: Table[str, tuple[int, str]] = Table(SAID)
        self._rules: dict[str, list[ModuleType]] = {CROSSING: [], CALL: [], CAPTURE: []}
        for rule in RULES:
            if context.two_sided or not rule.RULE.two_sided:
                self._rules[rule.RULE.scope].append(rule)

    def crossing(self, crossing: Crossing) -> list[Finding]:
        return self._run(CROSSING, crossing)

    def call(self, call: Call) -> list[Finding]:
        return self._run(CALL, call)

    def capture(self) -> list[Finding]:
        return self._run(CAPTURE)

    def _run(self, scope: str, *subject: Crossing | Call) -> list[Finding]:
        found: list[Finding] = []
        for rule in self._rules[scope]:
            try:
                result = rule.check(*subject, self.context)
            except Exception:
                self.failures[rule.RULE.id] = self.failures.get(rule.RULE.id, 0) + 1
                if self.strict:
                    raise
                continue
            if result is None:
                continue
            found += result if isinstance(result, list) else [result]
        return [f for f in found if self._is_news(f)]

    def _is_news(self, finding: Finding) -> bool:
        """New, or worse than before, or (for what is said of a capture) with other words."""
        harm = HARMS.index(finding.harm)
        before = self._said.get(finding.key)
        if before is not None:
            if finding.rule.startswith("CAP"):
                if before[1] == finding.summary:
                    return False
            elif _rank(harm) <= _rank(before[0]):
                return False
        self._said.add(finding.key, (harm, finding.summary))
        return True


def _rank(harm: int) -> int:
    # "certain" is said before it happens, "observed" after it did: the later word wins.
    return {0: 0, 1: 1, 3: 2, 2: 3}[harm]
