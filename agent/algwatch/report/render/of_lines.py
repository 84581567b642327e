# SPDX-License-Identifier: Apache-2.0
"""Lines (a phone and its provider) and kinds of calls: a capture of any length on one screen.
Bounded: the rest is counted."""

from __future__ import annotations

from array import array
from bisect import bisect_left
from zlib import crc32

from algwatch.base.report import Report, by_kind
from algwatch.base.table import Table
from algwatch.compare.summary import CallSummary, RegistrationSummary
from algwatch.diagnose.finding import HURTS, Finding
from algwatch.report.render.grades import DEAD, OPEN, graded

LINES = 1000
KINDS = 256
OPEN_CALLS = 4096  # unfinished calls with findings, and calls that are over
FIRST = 12  # calls named of a kind
AORS = 8  # registrations of a line with a remembered outcome

FINE, MAY_HURT, HURT = range(3)  # ranks

Kind = tuple[str, int, tuple[str, ...]]  # outcome, status, rules with their slugs


class OfLine:
    """name: `Line.name`, "" for calls without one. calls, hurt: counts; outcomes: by outcome;
    rules: calls hurt by each rule, or findings about no call; may: the same for possible harm.
    accepted, failed: registrations."""

    __slots__ = ("calls", "hurt", "may", "name", "outcomes", "registrations", "rules")

    def __init__(self, name: str) -> None:
        self.name = name
        self.calls = self.hurt = 0
        self.outcomes: dict[str, int] = {}
        self.rules: dict[str, int] = {}
        self.may: dict[str, int] = {}
        self.registrations: Table[str, str] = Table(AORS)

    @property
    def failed(self) -> int:
        return sum(one not in ("accepted", "unknown") for one in self.registrations.values())

    @property
    def accepted(self) -> int:
        return sum(one == "accepted" for one in self.registrations.values())

    @property
    def weight(self) -> tuple[int, int, int]:
        """Sort key: the most hurt line comes first."""
        hurt = self.hurt + self.failed + sum(self.rules.values())
        return -hurt, -sum(self.may.values()), -self.calls


class OfKind:
    """Calls with the same end and the same rules. rank: a word above; calls: their number; first:
    keys and Call-IDs of a few."""

    __slots__ = ("calls", "first", "rank")

    def __init__(self, rank: int) -> None:
        self.rank = rank
        self.calls = 0
        self.first: list[tuple[int, str]] = []


class _Over:
    """A counted call that is over: a later report on it takes the count back."""

    __slots__ = ("by_rules", "call", "kind", "line", "rank")

    def __init__(self, call: CallSummary, line: OfLine, found: dict[str, str]) -> None:
        self.call = call
        self.line = line
        hurting = [rule for rule, harm in found.items() if harm in HURTS]
        self.by_rules = bool(hurting)
        self.kind = call.outcome, call.status, tuple(sorted(hurting or found))
        grade = graded(call)
        self.rank = (
            HURT if hurting or grade == DEAD else MAY_HURT if found or grade == OPEN else FINE
        )

    def count(self, of: OfLines, step: int) -> None:
        call, line = self.call, self.line
        line.calls += step
        line.hurt += step * (self.rank == HURT)
        line.outcomes[call.outcome] = line.outcomes.get(call.outcome, 0) + step
        rules = line.rules if self.by_rules else line.may
        for rule in self.kind[2]:
            rules[rule] = rules.get(rule, 0) + step
        if self.rank == FINE:
            return
        kind = of.kinds.get(self.kind)
        if kind is None:
            if len(of.kinds) >= KINDS:
                of.more += step
                return
            kind = of.kinds[self.kind] = OfKind(self.rank)
        kind.calls += step
        one = key_of(call), call.call_id
        if step < 0:
            kind.first = [other for other in kind.first if other != one]
        elif len(kind.first) < FIRST:
            kind.first.append(one)


class OfLines:
    """Fed with every report. lines: by name; kinds: of calls that hurt, or may; more: calls without
    a kept kind."""

    def __init__(self) -> None:
        self._by_kind = by_kind(self)
        self.lines: Table[str, OfLine] = Table(LINES)
        self.kinds: dict[Kind, OfKind] = {}
        self.more = 0
        self._keys = array("Q")
        self._sorted = True
        self._found: Table[str, dict[str, str]] = Table(OPEN_CALLS)  # harm by rule
        self._over: Table[str, _Over] = Table(OPEN_CALLS)

    def feed(self, report: Report) -> None:
        self._by_kind[report.kind](report)

    def worst_first(self) -> list[OfLine]:
        return sorted(self.lines.values(), key=lambda line: (line.weight, line.name))

    def number(self, key: int) -> int:
        """The number of a call, from 1, in the order of begin."""
        if not self._sorted:
            self._keys = array("Q", sorted(self._keys))
            self._sorted = True
        return bisect_left(self._keys, key) + 1

    def _on_advice(self, _: Report) -> None:
        pass

    def _on_registration(self, one: RegistrationSummary) -> None:
        if not one.unsolicited:
            self._line(one.line).registrations.add(one.aor, one.outcome)

    def _on_finding(self, finding: Finding) -> None:
        if finding.harm == "none":
            return
        rule = f"{finding.rule} {finding.slug}"
        if not finding.call_id:
            if finding.line:
                line = self._line(finding.line)
                rules = line.rules if finding.hurts else line.may
                rules[rule] = max(rules.get(rule, 0), 1)
            return
        found = self._found.get(finding.call_id)
        if found is None:
            found = {}
            self._found.add(finding.call_id, found)
        if found.get(rule) != finding.harm:
            found[rule] = finding.harm
            over = self._over.pop(finding.call_id, None)
            if over is not None:  # told after the call was over
                over.count(self, -1)
                self._add(over.call, over.line)

    def _on_call(self, call: CallSummary) -> None:
        if call.unsolicited:
            return
        self._keys.append(key_of(call))
        self._sorted = False
        self._add(call, self._line(call.line))

    def _add(self, call: CallSummary, line: OfLine) -> None:
        over = _Over(call, line, self._found.get(call.call_id, {}))
        over.count(self, 1)
        self._over.add(call.call_id, over)

    def _line(self, name: str) -> OfLine:
        line = self.lines.get(name)
        if line is None:
            line = OfLine(name)
            self.lines.add(name, line)
        return line


def kind_of(call: CallSummary, found: dict[str, str]) -> Kind:
    """found: harm (not "none") by rule and slug."""
    hurting = [rule for rule, harm in found.items() if harm in HURTS]
    return call.outcome, call.status, tuple(sorted(hurting or found))


def key_of(call: CallSummary) -> int:
    """The sort key of a call: the microsecond of its begin, and 12 bits of a CRC of its Call-ID,
    because several calls may begin at once."""
    return int(max(call.start, 0.0) * 1e6) << 12 & (1 << 64) - 1 | crc32(
        call.call_id.encode("utf-8", "surrogateescape")
    ) & 0xFFF  # fmt: skip
