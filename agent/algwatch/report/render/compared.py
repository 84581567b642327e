# SPDX-License-Identifier: Apache-2.0
"""Two captures of one line, before and after a change: what got better, what got worse.

Calls are compared by kind (who called, how it ended) and as shares: after a change there are other
calls, and mostly fewer. A kind that only one capture shows is not compared.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from typing import IO

from algwatch.base.report import Report, by_kind
from algwatch.base.table import Table
from algwatch.compare.summary import CallSummary, RegistrationSummary
from algwatch.diagnose.finding import Finding
from algwatch.report.render.grades import DEAD, OPEN, graded
from algwatch.report.render.sentences import several
from algwatch.report.render.terminal import Writer
from algwatch.report.render.verdict import Verdict

BETTER, WORSE, SAME, UNKNOWN = "better", "worse", "same", "unknown"
EXIT = {BETTER: 0, SAME: 0, WORSE: 1, UNKNOWN: 3}
STYLES = {BETTER: "bold green", WORSE: "bold red", SAME: "dim", UNKNOWN: "bold yellow"}
OPEN_CALLS = 4096  # calls whose findings wait for their end
RULES = 256
CLEAR = 0.2  # the difference of two shares that is more than chance often makes
WAYS = {True: "calls to a phone here", False: "calls of a phone here",
        None: "calls whose way is not known"}  # fmt: skip
HELPER = "messages that the router changed"


class Share:
    """So many of so many."""

    __slots__ = ("of", "some")

    def __init__(self, some: int = 0, of: int = 0) -> None:
        self.some = some
        self.of = of

    def add(self, counts: bool) -> None:
        self.of += 1
        self.some += counts

    @property
    def part(self) -> float:
        return self.some / self.of if self.of else 0.0

    def __str__(self) -> str:
        return f"{self.some} of {self.of}"


class Period:
    """One of the two captures; fed with every report, then settled. calls, registrations: those
    that hurt, by the word of their kind; ends: of these words, by outcome; rules: things that
    hurt, by rule and slug; rewritten: messages."""

    def __init__(self) -> None:
        self._by_kind = by_kind(self)
        self.verdict = Verdict()
        self.calls: dict[str, Share] = {}
        self.ends: dict[str, dict[str, int]] = {}
        self.registrations = Share()
        self.rules: Table[str, set[str]] = Table(RULES)
        self.rewritten = Share()
        self._hurt: Table[str, bool] = Table(OPEN_CALLS)
        self._over: Table[str, Share] = Table(OPEN_CALLS)  # calls that did not hurt so far
        self._latest: Table[str, bool] = Table(OPEN_CALLS)

    def feed(self, report: Report) -> None:
        self.verdict.feed(report)
        self._by_kind[report.kind](report)

    def settle(self, counts: dict[str, dict[str, int]]) -> None:
        self.verdict.settle(counts)
        crossings = counts["crossings"]
        self.rewritten = Share(crossings.get("rewritten", 0), crossings.get("paired", 0))
        for failed in self._latest.values():
            self.registrations.add(failed)

    def _on_advice(self, _: Report) -> None:
        pass

    def _on_finding(self, finding: Finding) -> None:
        if not finding.hurts:
            return
        if finding.call_id:
            self._hurt.add(finding.call_id, True)
            late = self._over.pop(finding.call_id, None)
            if late is not None:
                late.some += 1
        rule = f"{finding.rule} {finding.slug}"
        about = self.rules.get(rule)
        if about is None:
            about = set()
            self.rules.add(rule, about)
        if len(about) < OPEN_CALLS:
            about.add(finding.call_id or finding.key)

    def _on_call(self, call: CallSummary) -> None:
        grade = graded(call)
        if call.unsolicited or (grade == OPEN and call.call_id not in self._hurt):
            return
        kind = WAYS[call.inbound]
        share = self.calls.setdefault(kind, Share())
        hurts = grade == DEAD or call.call_id in self._hurt
        share.add(hurts)
        if not hurts:
            self._over.add(call.call_id, share)
        ends = self.ends.setdefault(kind, {})
        word = f"{call.outcome} {call.status or ''}".rstrip()
        ends[word] = ends.get(word, 0) + 1

    def _on_registration(self, one: RegistrationSummary) -> None:
        if not one.unsolicited and one.outcome != "unknown":
            self._latest.add(one.aor, one.outcome != "accepted")


class Change:
    """One line of a comparison. word: BETTER, WORSE, SAME or UNKNOWN; before, after: text."""

    __slots__ = ("after", "before", "what", "why", "word")

    def __init__(self, word: str, what: str, before: str, after: str, why: str = "") -> None:
        self.word = word
        self.what = what
        self.before = before
        self.after = after
        self.why = why


class Compared:
    """changes: what hurts first, then rules, then rewrites; word: what all of it comes to."""

    def __init__(self, before: Period, after: Period) -> None:
        self.before = before
        self.after = after
        self.changes: list[Change] = []
        for kind in WAYS.values():
            if kind in before.calls or kind in after.calls:
                shares = before.calls.get(kind, Share()), after.calls.get(kind, Share())
                ends = before.ends.get(kind, {}), after.ends.get(kind, {})
                self.changes.append(_change(f"{kind} that hurt", shares, ends))
        if before.registrations.of or after.registrations.of:
            shares = before.registrations, after.registrations
            self.changes.append(_change("registrations that failed", shares, ({}, {})))
        words = {change.word for change in self.changes}
        self.word = (WORSE if WORSE in words else BETTER if BETTER in words
                     else SAME if SAME in words else UNKNOWN)  # fmt: skip
        self.changes += _rules(before, after)
        if before.rewritten.of and after.rewritten.of:
            shares = before.rewritten, after.rewritten
            self.changes.append(Change(SAME, HELPER, str(shares[0]), str(shares[1])))

    @property
    def status(self) -> int:
        return EXIT[self.word]

    @property
    def sentence(self) -> str:
        if self.word == BETTER:
            text = "It got better"
        elif self.word == WORSE:
            text = "It got worse"
        elif self.word == SAME:
            text = "Nothing changed for the calls"
        else:
            text = "It cannot be told whether it got better: no kind of call is in both captures"
        few = [c.what for c in self.changes if c.why and c.word in (BETTER, WORSE)]
        return f"{text}{', as far as so few calls show' if few else ''}."


def _change(what: str, shares: tuple[Share, Share],
            ends: tuple[dict[str, int], dict[str, int]]) -> Change:  # fmt: skip
    before, after = shares
    old, new = (f"{share}{_listed(end)}" for share, end in zip(shares, ends, strict=True))
    if not before.of or not after.of:
        where = "after" if before.of else "before"
        return Change(UNKNOWN, what, old, new, f"none was seen {where} the change")
    why = ""
    if before.some and not after.some:
        word = BETTER
        if (1 - before.part) ** after.of > 0.05:  # as many good ones come by chance as well
            why = f"{several(after.of, 'good one')} may be chance: watch on"
    elif after.some and not before.some:
        word = WORSE
    elif abs(before.part - after.part) > CLEAR:
        word = BETTER if after.part < before.part else WORSE
    else:
        word = SAME
    return Change(word, what, old, new, why)


def _rules(before: Period, after: Period) -> list[Change]:
    """What each rule has found that hurts, where that differs."""
    changes = []
    for rule in sorted({*before.rules, *after.rules}):
        old, new = len(before.rules.get(rule, ())), len(after.rules.get(rule, ()))
        if (old > 0) == (new > 0):
            continue
        word = BETTER if old else WORSE
        changes.append(Change(word, rule, f"{several(old, 'time')}", f"{several(new, 'time')}"))
    return changes


def _listed(ends: dict[str, int]) -> str:
    if not ends:
        return ""
    words = sorted(ends.items(), key=lambda pair: (-pair[1], pair[0]))[:4]
    return f" ({', '.join(f'{n} {word}' for word, n in words)})"


def period(reports: Iterable[Report], counts: Callable[[], dict[str, dict[str, int]]]) -> Period:
    made = Period()
    for report in reports:
        made.feed(report)
    made.settle(counts())
    return made


def write_compared(compared: Compared, writer: Writer) -> None:
    writer.paragraph(compared.sentence, style=STYLES[compared.word])
    for name, one in (("Before", compared.before), ("After", compared.after)):
        why = one.verdict.why[0] if one.verdict.why else one.verdict.state
        writer.paragraph(f"{name}: {writer.terminal.shortened(why, 220)}", "", "        ")
    writer.line()
    for change in compared.changes:
        word = f"{change.word:8}"
        writer.line(
            writer.terminal.paint(word, STYLES[change.word])
            + writer.terminal.cut(writer.terminal.clean(change.what), writer.width - 8)
        )
        for name, text in (("before", change.before), ("after", change.after)):
            writer.paragraph(text, f"        {name:>6}: ", " " * 16)
        if change.why:
            writer.paragraph(change.why, " " * 16, " " * 16)
    if compared.after.verdict.next:
        writer.line()
        writer.paragraph(compared.after.verdict.next, "Next: ", "      ", "bold")


def write_json(compared: Compared, out: IO[str]) -> None:
    """One object: "word", and "changes" with word, what, before, after and why each."""
    changes = [
        {"word": c.word, "what": c.what, "before": c.before, "after": c.after, "why": c.why}
        for c in compared.changes
    ]
    states = {"before": compared.before.verdict.state, "after": compared.after.verdict.state}
    out.write(json.dumps({"word": compared.word, "states": states, "changes": changes}) + "\n")
