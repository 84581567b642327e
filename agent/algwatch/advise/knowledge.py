# SPDX-License-Identifier: Apache-2.0
"""Knowledge: the basis of verdicts as plain values, for the next process.

It is a list of records. A later record replaces an earlier one on the same subject:

    LINE    observations of a phone and its provider (compare/recalled.py)
    TOLD    harm, reasons and advice about a line (Recommender), and its revocable findings
    SAID    digests of reported findings (Engine)
    ADVICE  an advice given or withdrawn

Calls in progress are not in it, nor any other state from packets alone.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Sequence

from algwatch.advise.actions import ACTIONS, DISABLE, KEEP
from algwatch.advise.advice import STATES, Advice, InForce
from algwatch.advise.commands import lines_for
from algwatch.advise.recommend import KINDS, Recommender, Told
from algwatch.base.plain import Unfit, real, row, rows, text, word
from algwatch.base.report import Report
from algwatch.compare.fact import TOLD as TOLD_BY_FLEET
from algwatch.compare.fact import Fact
from algwatch.compare.line import Line, ends_of
from algwatch.compare.lines import Lines
from algwatch.compare.recalled import line_from_plain, line_to_plain
from algwatch.diagnose.engine import HELD, Engine, said_from_plain
from algwatch.diagnose.finding import MOST_TEXT, Finding, finding_from_plain

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

IN_FORCE = 64  # phones and providers with advice in force
RECORDS = 65536  # read at most
REASONS = 64  # sentences for an advice, and against it
LINE, TOLD, SAID, ADVICE = "line", "told", "said", "advice"

Record = list["Any"]  # a word above, and plain values


class Knowledge:
    """in_force: advice given and not withdrawn, fed by the reader of the reports. given: there was
    advice, now or before."""

    def __init__(self, lines: Lines, engine: Engine, recommender: Recommender) -> None:
        self._lines = lines
        self._engine = engine
        self._recommender = recommender
        self.in_force = InForce(IN_FORCE)
        self.given = False

    def keep(self) -> None:
        """Note lines with a first observation from here on, for changed()."""
        self._lines.unkept = {}

    def whole(self, untold: Collection[Finding] = ()) -> Iterator[Record]:
        """All records. SAID omits the findings in untold."""
        names = {*self._recommender.names(), *self._engine.held}
        self.keep()
        for key, line in self._lines.table.items():
            yield [LINE, line_to_plain(key, line)]
        yield from self._told(sorted(names))
        yield [SAID, self._engine.said_to_plain(untold)]
        for advice in self.in_force.all():
            yield [ADVICE, _advice_to_plain(advice)]

    def changed(self, reports: Sequence[Report]) -> list[Record]:
        """Records changed by these reports, without SAID; and lines with a first observation."""
        findings = [one for one in reports if isinstance(one, Finding)]
        advice = [one for one in reports if isinstance(one, Advice)]
        fresh = self._lines.unkept or {}
        if not findings and not advice and not fresh:
            return []
        names = {*(one.line for one in findings), *(one.subject for one in advice)}
        lines = self._lines.table.items()
        records = [
            [LINE, line_to_plain(key, line)] for key, line in lines
            if (name := line.name) in names or name in fresh
        ]  # fmt: skip
        self.keep()
        records += self._told(sorted(names))
        return records + [[ADVICE, _advice_to_plain(one)] for one in advice]

    def said(self, finding: Finding) -> Record:
        """A record: this finding is reported."""
        return [SAID, self._engine.word_to_plain(finding)]

    def _told(self, names: Iterable[str]) -> Iterator[Record]:
        held = self._engine.held
        for name in names:
            findings = [one.to_plain() for one in (held.get(name) or {}).values()]
            yield [TOLD, self._recommender.to_plain(name), findings]

    def recall(self, records: object, shift: int, now: int, verdicts: bool) -> None:
        """Take the knowledge of an earlier process, before any feed. This gives no new advice: the
        earlier advice stays in force, unless too old. shift: ns, from its packet time to ours; now:
        ns, of packet time. verdicts: not only lines. Unfit: nothing was taken."""
        old = _Records(records, shift, now, self._lines)
        # Providers with an expired proof of NAT handling: advice about their ALG needs harm and
        # cause to be seen again.
        stale = {line.remote for line in old.lines.values() if line.name in old.aged}
        for key, line in old.lines.items():
            self._lines.table.add(key, line)
        if not verdicts:
            return
        known = {line.name: line for line in self._lines.all() if line.remote not in stale}
        self._engine.recall(b"".join(old.said), old.held)
        for name, told in old.told.items():
            self._recommender.recall(told, known.get(name))
        for advice in old.advice:
            self.given = True
            if TOLD_BY_FLEET in advice.kinds:
                # A fact of the fleet may have ended since: it counts when it comes again.
                if advice.subject in known:
                    known[advice.subject].note()
                continue
            if advice.subject in known or advice.action not in (DISABLE, KEEP):
                self.in_force.feed(advice)

    def told(self, facts: dict[str, Fact]) -> list[Advice]:
        """Take the fleet's facts on far ends, by address, in place of earlier ones."""
        return self._recommender.told(facts)

    def harm(self) -> list[Finding]:
        """Findings of harm by the ALG, to be shown beside the advice."""
        return [one for some in self._recommender.harm.values() for one in some.values()]


class _Records:
    """Decoded records. lines: by their key in Lines; aged: names of lines with an expired
    observation. told: by the name of the line. Unfit."""

    def __init__(self, records: object, shift: int, now: int, lines: Lines) -> None:
        self.lines: dict[bytes, Line] = {}
        self.aged: set[str] = set()
        self.told: dict[str, Told] = {}
        self.held: dict[str, dict[str, Finding]] = {}
        self.said: list[bytes] = []
        self.advice: list[Advice] = []
        for record in rows(records, RECORDS):
            what, *values = rows(record, 3) or [""]
            if what == LINE:
                key, line, aged = line_from_plain(row(values, 1)[0], shift, now, lines)
                self.lines[key] = line
                self.aged.discard(line.name)
                if aged:
                    self.aged.add(line.name)
            elif what == TOLD:
                of_line, held = row(values, 2)
                told = Told(of_line, shift / 1e9)
                self.told[told.name] = told
                findings = [finding_from_plain(one) for one in rows(held, HELD)]
                self.held.pop(told.name, None)
                if findings:
                    self.held[told.name] = {one.key: one for one in findings}
            elif what == SAID:
                self.said.append(said_from_plain(row(values, 1)[0]))
            elif what == ADVICE:
                self.advice.append(_advice_from_plain(row(values, 1)[0]))
            else:
                raise Unfit("no such record")


def _advice_to_plain(advice: Advice) -> list[Any]:
    """Without the lines to type: they are made anew."""
    return [
        advice.action, advice.subject, advice.state, float(advice.confidence),
        advice.for_[:REASONS], advice.against[:REASONS], advice.title, sorted(advice.kinds),
    ]  # fmt: skip


def _advice_from_plain(value: object) -> Advice:
    action, subject, state, confidence, for_, against, title, kinds = row(value, 8)
    state = word(state, STATES)
    action = word(action, tuple(ACTIONS))
    subject = text(subject, MOST_TEXT)
    commands, short = lines_for(action, state, ends_of(subject)[0])
    return Advice(
        action, state, real(confidence), _sentences(for_), _sentences(against), commands, subject,
        text(title, MOST_TEXT), frozenset(text(one) for one in rows(kinds, KINDS)), short,
    )  # fmt: skip


def _sentences(value: object) -> list[str]:
    return [text(one, MOST_TEXT) for one in rows(value, REASONS)]
