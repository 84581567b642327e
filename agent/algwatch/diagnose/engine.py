"""Engine: shows rules what they subscribed to, and says each finding once.

One rule that fails must not hide what the others see: its exception is counted, remembered and
raised only in tests (strict), because a diagnostician that stops is worth nothing.
"""

from __future__ import annotations

from types import ModuleType

from algwatch.compare.call import Call
from algwatch.compare.crossing import Crossing
from algwatch.diagnose.context import Context
from algwatch.diagnose.finding import Finding
from algwatch.diagnose.rule import CALL, CAPTURE, CROSSING
from algwatch.diagnose.rules import RULES


class Engine:
    """failures: exceptions by rule id. strict: raise them."""

    def __init__(self, context: Context, strict: bool = False) -> None:
        self.context = context
        self.strict = strict
        self.failures: dict[str, int] = {}
        self._said = context.said
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
        capture = finding.rule.startswith("CAP")
        word = hash(finding.summary) if capture else _RANK[finding.harm]
        before = self._said.get(finding.key)
        if before is not None and (before == word if capture else word <= before):
            return False
        self._said.add(finding.key, word)
        return True


# "certain" is said before it happens, "observed" after it did: the later word wins.
_RANK = {"none": 0, "latent": 1, "certain": 2, "observed": 3}
