# SPDX-License-Identifier: Apache-2.0
"""Recommend: findings in, advice by their cause out. An advice is given once, and withdrawn if
later evidence refutes it."""

from __future__ import annotations

from algwatch.advise import actions
from algwatch.advise.advice import STATES, Advice
from algwatch.advise.commands import lines_for
from algwatch.advise.disable import Harmed, Reason, calls_from_plain, disable, sentences, speaks_for
from algwatch.base.plain import real, row, rows, text, word
from algwatch.base.table import Table
from algwatch.base.typed import Any, TypeVar
from algwatch.compare.counterfactual import NO, YES, without_alg
from algwatch.compare.fact import TOLD, Fact
from algwatch.compare.line import DIES_HERE, RPORT_ASKED, RPORT_MISSING, Line, ends_of
from algwatch.compare.lines import Lines
from algwatch.compare.weights import by_phone
from algwatch.diagnose import cause
from algwatch.diagnose.finding import MOST_TEXT, Finding, finding_from_plain

LIMIT = 256
# For example, one side alone shows a fault without its place.
PLACE_UNKNOWN = "the capture does not show where the fault lies: it may be in this router"
CROSSED_NOTHING = "nothing of it was seen to cross this router, so anyone may have sent it"
DIED_HERE = "a request of this line failed in this router, and the ALG may have a part in it"
_UNEXPLAINED = (cause.UNKNOWN, cause.ROUTER)
T = TypeVar("T")
RULES = 128  # with findings or reasons behind one advice
KINDS = 256  # of reasons of one advice

Key = tuple[str, str]  # an action and its line


def payloads(harm: dict[str, Finding]) -> list[bytes]:
    """The messages of the evidence, for the budget (base/budget.py)."""
    return [look.payload for finding in harm.values() for look in finding.evidence]


def _died_here(finding: Finding) -> bool:
    """Something failed in this router, and no rule has shown why."""
    if not finding.hurts or finding.where != "router":
        return False
    return finding.cause in _UNEXPLAINED or (finding.symptom and finding.cause == cause.ALG)


class Recommender:
    """Findings in, changed advice out. Advice is kept by action and line. two_sided: every crossing
    has a line."""

    def __init__(self, lines: Lines, two_sided: bool = False) -> None:
        self._lines = lines
        self._two_sided = two_sided
        # By action and line: state, confidence, and every kind of reason told.
        self._given: Table[Key, tuple[str, float, frozenset[str]]] = Table(LIMIT)
        self._reasons: Table[Key, dict[str, str]] = Table(LIMIT)  # a sentence a rule
        self._harmed = Harmed()
        # By line, the latest finding of each rule: harm of the ALG, and proof that it carries the
        # line.
        self.harm: Table[str, dict[str, Finding]] = Table(LIMIT, by_phone)
        self._carried: Table[str, Finding] = Table(LIMIT, by_phone)
        # Lines harmed or carried by the ALG, by provider and name.
        self._advised_lines: Table[str, dict[str, Line]] = Table(LIMIT)

    def feed(self, findings: list[Finding]) -> list[Advice]:
        """Take new findings."""
        advice: list[Advice] = []
        for finding in findings:
            if finding.takes_back:
                advice += self._taken_back(finding)
            wanted = finding.hurts or finding.cause == cause.ALG_NEEDED
            if _died_here(finding) and (line := self._line(finding)) is not None:
                line.observe(DIES_HERE, None, round(finding.at * 1e9))
            if wanted and not finding.symptom:
                advice += [a for a in self._advised(finding) if self._is_news(a)]
        return advice

    def _taken_back(self, finding: Finding) -> list[Advice]:
        """The earlier finding of this rule no longer counts as a reason, neither for advice nor as
        harm of the ALG."""
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
        """More is known of this line. Repeat the advice for it, and for the other phones here with
        the same provider, if its state or the kinds of its reasons have changed. Withdrawn advice
        has state "none"."""
        lines = self._advised_lines.get(line.remote)
        if not lines:
            return []
        return [a for one in lines.values() for a in self._of_line(one) if self._is_news(a)]

    def told(self, facts: dict[str, Fact]) -> list[Advice]:
        """Take the fleet's facts, then refresh(). tell() marks lines with a changed fact."""
        self._lines.tell(facts)
        return self.refresh()

    def refresh(self) -> list[Advice]:
        """reconsider() every line with a first observation, during its calls."""
        if not self._lines.fresh:
            return []
        fresh = {line.remote: line for line in self._lines.fresh.values()}.values()
        if self._lines.unkept is not None:
            self._lines.unkept |= self._lines.fresh
        self._lines.fresh.clear()
        return [advice for line in fresh for advice in self.reconsider(line)]

    def _advised(self, finding: Finding) -> list[Advice]:
        line = self._line(finding)
        if finding.cause in (cause.ALG, cause.ALG_NEEDED):
            if line is None or finding.where != "router":
                return []
            self._advise(line)
            needed = finding.cause == cause.ALG_NEEDED
            same: Table[str, Any] = self._carried if needed else self.harm
            opposite: Table[str, Any] = self.harm if needed else self._carried
            # The first finding of a kind on one line speaks against the opposite advice for others.
            others = [] if line.name in same else [o for o, _ in self._others(line, opposite)]
            if needed:
                self._carried.add(line.name, finding)
            else:
                self._hurt(finding, line)
            return [advice for one in (line, *others) for advice in self._of_line(one)]
        return self._plain(finding, line)

    def _advise(self, line: Line) -> None:
        mine = self._advised_lines.get(line.remote)
        if mine is None:
            mine = {}
            self._advised_lines.add(line.remote, mine)
        mine[line.name] = line

    def _hurt(self, finding: Finding, line: Line) -> None:
        harm = self.harm.get(line.name)
        if harm is None:
            harm = {}
            self.harm.add(line.name, harm)
        harm.pop(finding.rule, None)
        harm[finding.rule] = finding
        self._harmed.add(finding)

    def _of_line(self, line: Line) -> list[Advice]:
        """Advice to turn the ALG off for the line, or to keep it: never both. Neither is
        recommended while the other is given for another line of this router."""
        without = without_alg(line, self._lines.beside(line))
        given: list[Advice] = []
        off: Advice | None = None
        if harm := self.harm.get(line.name):
            # The latest comes first, but proof by the protocol goes before it.
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
        """Other lines in need of the ALG, if their phone itself has chosen the provider."""
        return [
            (f"needed-by-{other.name}", f"another line needs it: {finding.summary}")
            for other, finding in self._others(line, self._carried)
            if other.is_own
        ]

    def _doubted(self, keep: Advice, line: Line) -> Advice:
        """The advice to keep the ALG, with its harm to other lines, and what it may have done to
        this one."""
        if line.count(DIES_HERE):
            keep.state, keep.confidence = "suspected", 0.5
            keep.against.append(DIED_HERE)
            keep.kinds |= {DIES_HERE}
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
        """The other advised lines of a table, and its values."""
        return [
            (one, table[one.name]) for some in self._advised_lines.values()
            for one in some.values() if one is not line and one.name in table
        ]  # fmt: skip

    def _plain(self, finding: Finding, line: Line | None) -> list[Advice]:
        """Advice by the cause alone, with the reasons of each rule."""
        untouched = finding.cause in cause.UNREACHABLE and bool(finding.line)
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
                # The router is not the cause of a field it left unchanged.
                against["untouched"] = "the router left this Contact as the phone wrote it"
            against |= doubts
            if action == actions.ENABLE_RPORT and asks:
                title = actions.STUN_OR_OUTBOUND
                against[RPORT_ASKED] = "the phone asks for rport already, which was not enough"
            commands, short = lines_for(action, state, ends_of(finding.line)[0])
            given.append(Advice(
                action, state, confidence, list(for_.values()), list(against.values()),
                commands, finding.line, title, frozenset((*for_, *against)), short,
            ))  # fmt: skip
        return given

    def _doubts(self, finding: Finding, key: tuple[str, str]) -> dict[str, str]:
        """Reasons for a suspicion only, by kind."""
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
        """True if the state has changed, the advice is surer, or it has a new kind of reason. A
        higher count is no news."""
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

    def names(self) -> set[str]:
        """Names of all lines with something to keep."""
        given = {line for _, line in (*self._given, *self._reasons)}
        return given | set(self.harm) | set(self._carried)

    def to_plain(self, name: str) -> list[Any]:
        """All knowledge about a line (`Line.name`, or "" for records without a line)."""
        carried = self._carried.get(name)
        keys = [key for key in (*self._given, *self._reasons) if key[1] == name]
        return [
            name,
            [one.to_plain() for one in (self.harm.get(name) or {}).values()],
            carried.to_plain() if carried is not None else None,
            self._harmed.to_plain(name),
            [self._told_to_plain(key) for key in dict.fromkeys(keys)],
        ]

    def _told_to_plain(self, key: Key) -> list[Any]:
        state, confidence, kinds = self._given.get(key) or ("none", 0.0, frozenset())
        reasons = [[*one] for one in (self._reasons.get(key) or {}).items()]
        return [key[0], state, float(confidence), sorted(kinds), reasons]

    def recall(self, told: Told, line: Line | None) -> None:
        """Take an earlier process's knowledge. line: its line; None if unknown by now: then the
        ALG's harm and use are forgotten."""
        for key, (state, confidence, kinds) in told.given.items():
            if TOLD in kinds:  # the fleet says it again if it still holds
                continue
            if line is not None or key[0] not in (actions.DISABLE, actions.KEEP):
                self._given.add(key, (state, confidence, kinds))
        for key, reasons in told.reasons.items():
            self._reasons.add(key, reasons)
        if line is None:
            return
        if told.harm:
            self.harm.add(told.name, told.harm)
        if told.carried is not None:
            self._carried.add(told.name, told.carried)
        self._harmed.recall(told.name, told.calls)
        if told.harm or told.carried is not None:
            self._advise(line)


class Told:
    """The kept knowledge of a line: see Recommender."""

    __slots__ = ("calls", "carried", "given", "harm", "name", "reasons")

    def __init__(self, value: object, shift: float) -> None:
        """value: from Recommender.to_plain. shift: seconds, added to times. Unfit."""
        name, harm, carried, calls, told = row(value, 5)
        self.name = text(name, MOST_TEXT)
        findings = [finding_from_plain(one) for one in rows(harm, RULES)]
        self.harm = {one.rule: one for one in findings}
        self.carried = None if carried is None else finding_from_plain(carried)
        self.calls = calls_from_plain(calls, shift)
        self.given: dict[Key, tuple[str, float, frozenset[str]]] = {}
        self.reasons: dict[Key, dict[str, str]] = {}
        for one in rows(told, len(actions.ACTIONS)):
            action, state, confidence, kinds, reasons = row(one, 5)
            key = word(action, tuple(actions.ACTIONS)), self.name
            kept = frozenset(text(kind) for kind in rows(kinds, KINDS))
            self.given[key] = word(state, STATES), real(confidence), kept
            pairs = [row(pair, 2) for pair in rows(reasons, RULES)]
            if pairs:
                self.reasons[key] = {text(r): text(said, MOST_TEXT) for r, said in pairs}


def _asks(line: Line | None) -> bool:
    """True if the phone asks for rport in all its messages read."""
    return line is not None and bool(line.count(RPORT_ASKED)) and not line.count(RPORT_MISSING)
