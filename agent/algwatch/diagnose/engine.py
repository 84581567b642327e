# SPDX-License-Identifier: Apache-2.0
"""Engine: shows things to the rules of their subject, and reports each finding once.

A failing rule must not hide the findings of the others: its exception is counted, and raised only
in tests (strict). A stopped diagnostician is worth nothing.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterable

from algwatch.base import address
from algwatch.base.digest import digest
from algwatch.base.plain import Unfit, raw
from algwatch.base.sighting import endpoints
from algwatch.base.table import Table
from algwatch.base.typed import Any
from algwatch.compare.call import Call
from algwatch.compare.line import Line
from algwatch.compare.signs import EVERY, signs
from algwatch.compare.weights import by_phone
from algwatch.diagnose import cause
from algwatch.diagnose.finding import Finding
from algwatch.diagnose.known import BEFORE, Known
from algwatch.diagnose.neighbour import share
from algwatch.diagnose.recapture import again
from algwatch.diagnose.rules import RULES
from algwatch.diagnose.subject import CALL, CAPTURE, LINE, SUBJECTS, Event

SAID = 4096  # keys of findings remembered

ENDS = 48  # bytes of Evidence.ends, where known
HELD_LINES, HELD = 64, 8  # findings open to refutation, a line
_OF_ONE_SIDE = Line("the phone", "")  # one side shows no line
_SHOWS_MORE = (LINE, CAPTURE)  # after these, what was said may have to be taken back

Check = Callable[[Any, Known], Iterable[Finding]]
# A rule's replacement for its finding about a line whose far end finds the phone after all. None:
# the finding stands.
Instead = Callable[[Finding, Line], Finding | None]
# A rule's replacement for its finding about a call that was let in nowhere, once a phone (its
# address as text) has sent something from that port.
SinceOpened = Callable[[Finding, str], Finding]

# "certain" comes before the event, "observed" after it: the later word wins.
_RANK = {"none": 0, "latent": 1, "certain": 2, "observed": 3}
_PREDICTS = 4  # added to the rank of a prediction
_WORDS = 4  # bits before those that tell the words of a finding about the capture
_SAID = struct.Struct("<QI")  # digest of the key, and the word


def nothing_said() -> Table[int, int]:
    """What was said, by the digest of its key."""
    return Table(SAID)


class Meter:
    """Metrics of one rule: found, new findings; failures, exceptions; ns, its running time."""

    __slots__ = ("_shown", "_subjects", "failures", "found", "ns")

    def __init__(self, subjects: tuple[str, ...], shown: dict[str, int]) -> None:
        """shown: number of things shown to the rules of each subject, counted elsewhere."""
        self._subjects = subjects
        self._shown = shown
        self.found = self.failures = self.ns = 0

    @property
    def shown(self) -> int:
        """Number of things shown to it."""
        return sum(self._shown[subject] for subject in self._subjects)


class Engine:
    """said: reported findings, shared with Known. meters: by rule id. strict: failing rules raise.
    clock: ns, for the meters; None: the rules are counted and not timed. held: by line and key,
    findings a later call may refute: an unhandled NAT, or those of a rule that names its
    refutation."""

    def __init__(self, known: Known, said: Table[int, int], strict: bool = False,
                 clock: Callable[[], int] | None = None) -> None:  # fmt: skip
        self.known = known
        self.strict = strict
        self._clock = clock
        self.meters: dict[str, Meter] = {}
        self._shown = dict.fromkeys(SUBJECTS, 0)
        self._said = said
        self._rules: dict[str, list[tuple[Check, Meter]]] = {name: [] for name in SUBJECTS}
        self._instead: dict[str, Instead] = {}
        self._refuted_by: dict[str, str] = {}
        self._since_opened: dict[str, SinceOpened] = {}
        self.held: Table[str, dict[str, Finding]] = Table(HELD_LINES, by_phone)
        # Rules of CALL, by the signs of a call.
        self._of_calls: list[list[tuple[Check, Meter]]] = [[] for _ in range(EVERY + 1)]
        for rule in RULES:
            if known.two_sided or not rule.RULE.two_sided:
                meter = Meter(rule.RULE.subjects, self._shown)
                self.meters[rule.RULE.id] = meter
                if hasattr(rule, "instead"):
                    self._instead[rule.RULE.id] = rule.instead
                    self._refuted_by[rule.RULE.id] = getattr(rule, "REFUTED_BY", "")
                if hasattr(rule, "since_opened"):
                    self._since_opened[rule.RULE.id] = rule.since_opened
                for subject in rule.RULE.subjects:
                    self._rules[subject].append((rule.check, meter))
                if CALL in rule.RULE.subjects:
                    when = rule.RULE.when or EVERY + 1
                    for found, rules in enumerate(self._of_calls):
                        if when & (found | EVERY + 1):
                            rules.append((rule.check, meter))

    def listens(self, subject: str) -> bool:
        """True if any rule is about this subject."""
        return bool(self._rules[subject])

    @property
    def failures(self) -> dict[str, int]:
        """Exceptions by rule id: faults of ours."""
        return {name: meter.failures for name, meter in self.meters.items() if meter.failures}

    def feed(self, events: Iterable[Event]) -> list[Finding]:
        """Show each thing to the rules of its subject; the new findings, in order."""
        news: list[Finding] = []
        clock, known, began = self._clock, self.known, 0
        for subject, thing in events:
            self._shown[subject] += 1
            rules = self._rules[subject]
            if subject == CALL and isinstance(thing, Call):
                rules = self._of_calls[signs(thing)]
            for check, meter in rules:
                if clock is not None:
                    began = clock()
                try:
                    found = [*check(thing, known)]
                except Exception:
                    meter.failures += 1
                    if self.strict:
                        raise
                    found = []
                if clock is not None:
                    meter.ns += clock() - began
                if found:
                    fresh = [f for f in found if self._is_news(f)]
                    meter.found += len(fresh)
                    news += fresh
                    for finding in fresh:
                        share(finding, thing, known)
                        if finding.where == "unknown" and finding.cause == cause.UNKNOWN:
                            finding.next_step = finding.next_step or again(known.capture)
                        if self._is_refutable(finding):
                            self._hold(finding, thing)
            if subject in _SHOWS_MORE and self.held:
                news += self._taken_back(thing)
        return news

    def _is_refutable(self, finding: Finding) -> bool:
        """Its rule has a replacement for the case of a refutation by a later call."""
        if finding.rule in self._since_opened and not finding.line:
            return finding.cause in cause.UNREACHABLE
        if finding.rule not in self._instead:
            return False
        return bool(self._refuted_by[finding.rule]) or finding.cause in cause.UNREACHABLE

    def _hold(self, finding: Finding, thing: object) -> None:
        name = finding.line
        if not self.known.two_sided and isinstance(thing, Call):
            name = self.known.answered_on(thing)
        held = self.held.pop(name, {})
        held[finding.key] = finding
        if len(held) > HELD:
            del held[next(iter(held))]
        self.held.add(name, held)

    def _taken_back(self, line: object) -> list[Finding]:
        """The order of calls must not matter. These findings would not have been reported after the
        call that shows how the far end finds the phone, or that has the rule's own sign
        (REFUTED_BY)."""
        if not isinstance(line, Line):
            return self._opened() if self.known.two_sided else self._taken_back_alone()
        made: list[Finding] = []
        others = self.known.beside(line) if line.finds_phone else ()
        for one in (line, *others):  # this line speaks for phones like its own
            held = self.held.get(one.name, {})
            for finding in list(held.values()):
                word = self._refuted_by[finding.rule]
                refuted = line is one and line.count(word) if word else self.known.finds_phone(one)
                if refuted:
                    del held[finding.key]
                    other = self._instead[finding.rule](finding, line)
                    if other is not None:
                        other.takes_back = True
                        made.append(other)
        return made

    def _opened(self) -> list[Finding]:
        """Replace findings about a call that was not let in at a port from which a phone, unseen
        until then, has sent something since: the port is that phone's."""
        made: list[Finding] = []
        held = self.held.get("", {})
        for finding in list(held.values()):
            since_opened, ends = self._since_opened.get(finding.rule), finding.evidence[0].ends
            if since_opened is None or len(ends) < ENDS:
                continue
            source, destination = endpoints(ends)
            entry = self.known.mapping(destination, source)
            if entry is not None:
                del held[finding.key]
                other = since_opened(finding, address.text(entry.inside[:16], ends[47]))
                other.takes_back = True
                made.append(other)
        return made

    def _taken_back_alone(self) -> list[Finding]:
        """The same with one side, by the flow of the 2xx. Advice has no line there: it stands as
        long as a finding of its rule does."""
        made: list[Finding] = []
        for name in [name for name in self.held if self.known.is_reached(name)]:
            for finding in self.held.pop(name, {}).values():
                other = self._instead[finding.rule](finding, _OF_ONE_SIDE)
                if other is not None:
                    left = [one for some in self.held.values() for one in some.values()]
                    other.takes_back = all(one.rule != finding.rule for one in left)
                    made.append(other)
        return made

    def _is_news(self, finding: Finding) -> bool:
        """New, or worse than before, or the first word after a prediction, or (for a finding about
        the capture) with other words. A finding of an earlier process is news once more, marked
        told_before."""
        key = digest(finding.key)
        known = self._said.get(key)
        before = None if known is None else known & ~BEFORE
        if finding.cause == "capture":
            word = digest(finding.summary) >> 36 << _WORDS
            is_news = before != word
        else:
            word = rank = _RANK[finding.harm]
            if finding.predicts:
                word |= _PREDICTS
            is_news = before is None or rank > before & ~_PREDICTS
            if before is not None and before & _PREDICTS and not finding.predicts:
                is_news = True
        if is_news:
            self._said.add(key, word)
        elif before != known:
            self._said[key] = word = before or 0
            finding.told_before = is_news = True
        return is_news

    def said_to_plain(self, untold: Iterable[Finding]) -> bytes:
        """What was said, but for these findings."""
        but = {digest(one.key) for one in untold}
        return b"".join(_SAID.pack(*one) for one in self._said.items() if one[0] not in but)

    def word_to_plain(self, finding: Finding) -> bytes:
        """That this one was said."""
        key = digest(finding.key)
        return _SAID.pack(key, self._said.get(key) or 0)

    def recall(self, said: bytes, held: dict[str, dict[str, Finding]]) -> None:
        """What an earlier process has said, and what of it may be taken back."""
        for key, word in _SAID.iter_unpack(said):
            self._said.add(key, word | BEFORE)
        for line, findings in held.items():
            self.held.add(line, findings)


def said_from_plain(value: object) -> bytes:
    """What Engine.said_to_plain gave. Unfit."""
    said = raw(value, SAID * _SAID.size)
    if len(said) % _SAID.size:
        raise Unfit("cut short")
    return said
