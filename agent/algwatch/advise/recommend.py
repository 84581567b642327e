# SPDX-License-Identifier: Apache-2.0
"""Recommend: from findings, by their cause, to advice that is given once and withdrawn when more
is known."""

from __future__ import annotations

from typing import Any, TypeVar

from algwatch.advise import actions
from algwatch.advise.advice import Advice
from algwatch.advise.commands import clear_on_openwrt
from algwatch.advise.disable import Harmed, Reason, disable, sentences, speaks_for
from algwatch.base.table import Table
from algwatch.compare.counterfactual import NO, YES, without_alg
from algwatch.compare.line import RPORT_ASKED, RPORT_MISSING, Line, Lines, ends_of
from algwatch.compare.weights import by_phone
from algwatch.diagnose import cause
from algwatch.diagnose.finding import Finding

LIMIT = 256
# One side alone, for instance, shows that something is wrong, and not whose doing it is.
PLACE_UNKNOWN = "the capture does not show where the fault lies: it may be in this router"
CROSSED_NOTHING = "nothing of it was seen to cross this router, so anyone may have sent it"
T = TypeVar("T")


def payloads(harm: dict[str, Finding]) -> list[bytes]:
    """The messages of the evidence, for the budget (base/budget.py)."""
    return [look.payload for finding in harm.values() for look in finding.evidence]


class Recommender:
    """Findings in, advice that changed out. Advice is kept by action and line. two_sided: a line is
    known of everything that crossed this router."""

    def __init__(self, lines: Lines, two_sided: bool = False) -> None:
        self._lines = lines
        self._two_sided = two_sided
        # By action and line: state, confidence, and every kind of reason that was told.
        self._given: Table[tuple[str, str], tuple[str, float, frozenset[str]]] = Table(LIMIT)
        self._reasons: Table[tuple[str, str], dict[str, str]] = Table(LIMIT)  # a sentence a rule
        self._harmed = Harmed()
        # The latest of each rule by line: harm that the ALG did, and that it carries the line.
        self.harm: Table[str, dict[str, Finding]] = Table(LIMIT, by_phone)
        self._carried: Table[str, Finding] = Table(LIMIT, by_phone)
        # Lines that the ALG harms or carries, by provider and name.
        self._advised_lines: Table[str, dict[str, Line]] = Table(LIMIT)

    def feed(self, findings: list[Finding]) -> list[Advice]:
        """Findings that are news."""
        advice: list[Advice] = []
        for finding in findings:
            if finding.takes_back:
                advice += self._taken_back(finding)
            wanted = finding.hurts or finding.cause == cause.ALG_NEEDED
            if wanted and not finding.symptom:
                advice += [a for a in self._advised(finding) if self._is_news(a)]
        return advice

    def _taken_back(self, finding: Finding) -> list[Advice]:
        """What its rule had said for an advice, or of harm that the ALG did, is no reason any
        more."""
        withdrawn = []
        harm, line = self.harm.get(finding.line, {}), self._line(finding)
        if finding.rule in harm and harm[finding.rule].key == finding.key:
            del harm[finding.rule]
            if not harm:
                why = [finding.summary]
                withdrawn.append(Advice(actions.DISABLE, "none", 0.0, [], why, [], finding.line))
            elif line is not None:
                withdrawn += self._of_line(line)
        for action in actions.ACTIONS:
            key = (action, finding.line)
            for_ = self._reasons.get(key)
            if for_ is not None and for_.pop(finding.rule, "") and not for_:
                withdrawn.append(Advice(action, "none", 0.0, [], [finding.summary], [], key[1]))
        return [advice for advice in withdrawn if self._is_news(advice)]

    def reconsider(self, line: Line) -> list[Advice]:
        """More is known of this line: advice for it, and for the other phones here with the same
        provider, is given again where its state or the kinds of its reasons have changed.
        Withdrawn advice has state "none"."""
        lines = self._advised_lines.get(line.remote, {}).values()
        return [a for one in lines for a in self._of_line(one) if self._is_news(a)]

    def refresh(self) -> list[Advice]:
        """The same for every line of which something was seen for the first time, while its calls
        still go on."""
        fresh = {line.remote: line for line in self._lines.fresh.values()}.values()
        self._lines.fresh.clear()
        return [advice for line in fresh for advice in self.reconsider(line)]

    def _advised(self, finding: Finding) -> list[Advice]:
        line = self._line(finding)
        if finding.cause in (cause.ALG, cause.ALG_NEEDED):
            if line is None or finding.where != "router":
                return []
            mine = self._advised_lines.get(line.remote)
            if mine is None:
                mine = {}
                self._advised_lines.add(line.remote, mine)
            mine[line.name] = line
            needed = finding.cause == cause.ALG_NEEDED
            same: Table[str, Any] = self._carried if needed else self.harm
            opposite: Table[str, Any] = self.harm if needed else self._carried
            # The first of a kind about one line speaks against the opposite advice for others.
            others = [] if line.name in same else [o for o, _ in self._others(line, opposite)]
            if needed:
                self._carried.add(line.name, finding)
            else:
                self._hurt(finding, line)
            return [advice for one in (line, *others) for advice in self._of_line(one)]
        return self._plain(finding, line)

    def _hurt(self, finding: Finding, line: Line) -> None:
        harm = self.harm.get(line.name)
        if harm is None:
            harm = {}
            self.harm.add(line.name, harm)
        harm.pop(finding.rule, None)
        harm[finding.rule] = finding
        self._harmed.add(finding)

    def _of_line(self, line: Line) -> list[Advice]:
        """Advice to turn the ALG off for it, or to keep it: never both, and neither is recommended
        while the other is meant for another line of this router."""
        without = without_alg(line, self._lines.beside(line))
        given: list[Advice] = []
        off: Advice | None = None
        if harm := self.harm.get(line.name):
            # The latest is told first, but one that the protocol proves goes before it.
            latest = list(harm.values())[::-1]
            best = sorted(latest, key=lambda f: not f.certain)
            proved = self._harmed.proved(best[0])
            beyond = [o for o in self._lines.all() if o.remote != line.remote and o.is_own]
            off = disable(best, line, without, proved, self._needed_elsewhere(line), beyond)
            given.append(off)
        carried = self._carried.get(line.name)
        if carried is not None:
            why: list[str] = []
            if off is not None and off.state != "none":
                why = off.for_[:1]
            elif without.answer == YES:
                why = sentences(speaks_for(line, without))
            if why:
                given.insert(0, Advice(actions.KEEP, "none", 0.0, [], why, [], line.name))
            else:
                given += [self._doubted(a, line) for a in self._plain(carried, line)]
        return given

    def _needed_elsewhere(self, line: Line) -> list[Reason]:
        """Other lines that need the ALG, of those whose provider the phone itself has chosen."""
        return [
            (f"needed-by-{other.name}", f"another line needs it: {finding.summary}")
            for other, finding in self._others(line, self._carried)
            if other.is_own
        ]

    def _doubted(self, keep: Advice, line: Line) -> Advice:
        """The advice to keep the ALG, with what it has done to other lines."""
        hurt = [
            next(reversed(harm.values())) for other, harm in self._others(line, self.harm)
            if other.is_own and without_alg(other, self._lines.beside(other)).answer != NO
        ]  # fmt: skip
        if hurt:
            keep.state, keep.confidence = "suspected", 0.5
            keep.against += [f"it hurts another line: {finding.summary}" for finding in hurt]
            keep.kinds |= {f"hurts-{finding.line}" for finding in hurt}
        return keep

    def _others(self, line: Line, table: Table[str, T]) -> list[tuple[Line, T]]:
        """The other advised lines that a table has, by name of the line, and its values."""
        return [
            (one, table[one.name]) for some in self._advised_lines.values()
            for one in some.values() if one is not line and one.name in table
        ]  # fmt: skip

    def _plain(self, finding: Finding, line: Line | None) -> list[Advice]:
        """Advice that follows from its cause alone, with what each rule has said for it."""
        untouched = finding.cause == cause.NAT_UNHANDLED and bool(finding.line)
        asks = _asks(line) and finding.cause != cause.NO_RPORT
        given = []
        for action, confidence in actions.BY_CAUSE.get(finding.cause, ()):
            key = (action, finding.line)
            state = "recommended"
            doubts = self._doubts(finding, key)
            if doubts:
                state, confidence = "suspected", confidence / 2
            for_ = {finding.rule: finding.summary, **(self._reasons.get(key) or {})}
            for_[finding.rule] = finding.summary
            self._reasons.add(key, for_)
            title, against = "", dict[str, str]()
            if untouched:
                # A field that the router left unchanged is not caused by it.
                against["untouched"] = "the router left this Contact as the phone wrote it"
            against |= doubts
            if action == actions.ENABLE_RPORT and asks:
                title = actions.STUN_OR_OUTBOUND
                against[RPORT_ASKED] = "the phone asks for rport already, which was not enough"
            phone = ends_of(finding.line)[0]
            given.append(Advice(
                action, state, confidence, list(for_.values()), list(against.values()),
                clear_on_openwrt(phone) if action == actions.CLEAR_NAT else [], finding.line,
                title, frozenset((*for_, *against)),
            ))  # fmt: skip
        return given

    def _doubts(self, finding: Finding, key: tuple[str, str]) -> dict[str, str]:
        """The reasons why advice is only suspected, by kind."""
        doubts = {}
        before = self._given.get(key)
        if finding.where == "unknown" and (before is None or before[0] != "recommended"):
            doubts["place"] = PLACE_UNKNOWN
        if self._two_sided and not finding.line:
            doubts["crossed-nothing"] = CROSSED_NOTHING
        return doubts

    def _line(self, finding: Finding) -> Line | None:
        return next((line for line in self._lines.all() if line.name == finding.line), None)

    def _is_news(self, advice: Advice) -> bool:
        """True if its state is another than the last one, it is surer, or a kind of reason has
        come that was never told. That something was seen more often is no news."""
        key = (advice.action, advice.subject)
        before = self._given.get(key)
        state, confidence, kinds = before if before is not None else ("none", 0.0, frozenset())
        if advice.state == state:
            more = advice.confidence > confidence or not advice.kinds <= kinds
            if state == "none" or not more:
                return False
        told = (advice.state, advice.confidence, kinds | advice.kinds)
        self._given.add(key, told)
        return True


def _asks(line: Line | None) -> bool:
    """True if the phone asks for rport in all that was read of it."""
    return line is not None and bool(line.count(RPORT_ASKED)) and not line.count(RPORT_MISSING)
