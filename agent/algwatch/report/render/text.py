# SPDX-License-Identifier: Apache-2.0
"""The text for people: a ladder a call, the verdict, and the next steps."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterable, Sequence
from typing import IO

from algwatch.advise.actions import DISABLE, in_words
from algwatch.advise.commands import UNDO, UNDO_TRIAL
from algwatch.base import quote
from algwatch.base.quote import quoted, somebody
from algwatch.base.report import Report
from algwatch.report.render import status, summary
from algwatch.report.render.collected import Collected, collect
from algwatch.report.render.how import HOW
from algwatch.report.render.ladder import CallLadder, Ladder, Outside
from algwatch.report.render.ladder_text import ladder_lines
from algwatch.report.render.moment import moment
from algwatch.report.render.of_lines import Kind, key_of, kind_of
from algwatch.report.render.sentences import Brief, listed, several
from algwatch.report.render.story import call_story
from algwatch.report.render.terminal import Terminal, Writer, speaks_unicode
from algwatch.report.render.wanted import Wanted

SMALL, NARROW, WIDE = 40, 80, 120  # columns
CALL_ID = 120  # characters

HARM_WORDS = {"observed": "did harm", "certain": "will do harm", "latent": "may do harm",
              "none": "no harm"}  # fmt: skip
HARM_STYLES = {"observed": "bold red", "certain": "bold red", "latent": "bold yellow",
               "none": "green"}  # fmt: skip
SURE = {"suspected": "suspected: try it", "recommended": "recommended"}
REASONS = 3  # for an advice, and against it
CALLS_TOO = "A call a line: --list. One of them: --call NUMBER. All: --all. "
KINDS = 5  # kinds of calls with one drawn
RAW = 4096  # bytes shown of a message


def write_text(
    reports: Iterable[Report],
    counts: Callable[[], dict[str, dict[str, int]]],
    ladder: Ladder,
    out: IO[str],
    colour: bool,
    width: int = 0,
    wanted: Wanted | None = None,
    notes: Callable[[], Sequence[str]] = tuple,
) -> int:
    """Print all reports for people; counts and notes are called after the last one. width: columns,
    0: those of the terminal. Returns the exit status of the verdict."""
    collected = collect(reports, counts, ladder, notes)
    return write_page(collected, out, colour, width or columns(out), wanted or Wanted())


def write_page(collected: Collected, out: IO[str], colour: bool, width: int,
               wanted: Wanted) -> int:  # fmt: skip
    """As write_text, from collected reports."""
    writer = Writer(Terminal(colour, speaks_unicode(out)), out, width)
    page = Page(collected, writer, wanted)
    if wanted.brief:
        summary.verdict(collected, writer, False, brief=True)
        return collected.verdict.status
    if wanted.calls is None and not wanted.rules:
        summary.verdict(collected, writer, wanted.all)
        writer.line()
        summary.lines(collected, writer, wanted.all)
        summary.notes(collected, writer, wanted.all)
    page.calls()
    page.outside()
    if wanted.calls is None and not wanted.rules:
        page.advice()
        page.overview()
    return collected.verdict.status


def columns(out: IO[str]) -> int:
    """Columns of a page: the terminal's, or COLUMNS, from 40 to 120; else 80. A ladder needs 80."""
    if not out.isatty() and not os.environ.get("COLUMNS"):
        return NARROW
    there = shutil.get_terminal_size().columns
    return max(SMALL, there) if there <= NARROW else min(WIDE, there - 1)


class Page:
    """Prints collected reports, part by part."""

    def __init__(self, collected: Collected, writer: Writer, wanted: Wanted) -> None:
        self.collected = collected
        self.ladder = collected.ladder
        self.wanted = wanted
        self.writer = writer
        self.terminal = writer.terminal
        self.width = writer.width
        self.line, self.paragraph, self.heading = writer.line, writer.paragraph, writer.heading

    def calls(self) -> None:
        """All calls kept or asked for; else one of each hurt kind."""
        if not (self.wanted.all or self.wanted.calls is not None or self.wanted.rules):
            self._kinds()
            return
        shown = sorted(self.ladder.calls.values(), key=lambda c: (c.started, c.call_id))
        for place, call in enumerate(shown, 1):
            found = self.collected.of(call.call_id)
            if not self.wanted.rules or any(self.wanted.rule(one.rule) for one in found):
                self._call(call, found, place)
        if not shown and not self.wanted.all:
            self.line("No such call.")

    def _kinds(self) -> None:
        of_lines = self.collected.of_lines
        kinds = [(kind, of) for kind, of in of_lines.kinds.items() if of.calls > 0]
        worst = max([of.rank for _, of in kinds], default=0)
        kinds = sorted([pair for pair in kinds if pair[1].rank == worst],
                       key=lambda pair: (-pair[1].calls, pair[0]))  # fmt: skip
        drawn = 0
        examples = self._examples()
        for kind, of in kinds:
            outcome, status_, rules = kind
            call = examples.get(kind)
            if call is not None and drawn < KINDS:
                drawn += 1
                others = [key for key, call_id in sorted(of.first) if call_id != call.call_id]
                self._call(call, self.collected.of(call.call_id), 0, self._alike(of.calls, others))
                continue
            word = f"{outcome}{f' with {status_}' if status_ else ''}"
            numbers = ", ".join(str(of_lines.number(key)) for key, _ in sorted(of.first))
            which = several(of.calls, "call").replace(" ", f" more {word} ", 1)
            self.paragraph(f"{which}{f': {listed([*rules])}' if rules else ''} ({numbers}).")
            self.line()

    def _examples(self) -> dict[Kind, CallLadder]:
        """The earliest call of each kind with a ladder."""
        found: dict[Kind, CallLadder] = {}
        for call in sorted(self.ladder.calls.values(), key=lambda c: (c.started, c.call_id)):
            summary_ = self.collected.calls.get(call.call_id)
            if summary_ is not None:
                said = self.collected.of(call.call_id)
                harms = {f"{f.rule} {f.slug}": f.harm for f in said if f.harm != "none"}
                found.setdefault(kind_of(summary_, harms), call)
        return found

    def _alike(self, calls: int, keys: list[int]) -> str:
        if calls < 2:
            return ""
        numbers = [str(self.collected.of_lines.number(key)) for key in keys]
        which = "call" if calls == 2 else "calls"
        end = " and more" if calls - 1 > len(numbers) else ""
        return f"{several(calls - 1, 'more call')} like it: {which} {', '.join(numbers)}{end}."

    def _call(self, call: CallLadder, found: list[Brief], place: int, alike: str = "") -> None:
        """place: its number among the shown calls, used without a summary."""
        summary_ = self.collected.calls.get(call.call_id)
        number = self.collected.of_lines.number(key_of(summary_)) if summary_ else place
        if self.wanted.all:
            number = place
        self.heading(
            f"Call {number}"
            + (f": {somebody(summary_.from_)} to {somebody(summary_.to)}" if summary_ else "")
        )
        when = moment(call.started // 10**9)
        self.paragraph(
            f"{when:%Y-%m-%d %H:%M:%S} UTC, Call-ID {quoted(call.call_id, CALL_ID)}",
            style="dim",
        )
        self.line()
        for line in ladder_lines(
            call, self.ladder.two_sided, self.ladder.newest, self.terminal, max(NARROW, self.width)
        ):
            self.line(line)
        self.line()
        text, style = call_story(summary_, found, call, self.ladder.two_sided)
        self.paragraph(text, "Verdict: ", "         ", style)
        if not self.wanted.all and not self.wanted.rules:
            found = [one for one in found if one.harm != "none"]
        self._found([one for one in found if self.wanted.rule(one.rule)])
        if alike:
            self.paragraph(alike)
        if self.wanted.raw:
            self._messages(call)
        self.line()

    def _messages(self, call: CallLadder) -> None:
        for step in call.ordered():
            entered, left = step.copies or (b"", b"")
            both = entered != left
            for way, raw in ("entered the router", entered), ("left it", left if both else b""):
                if not raw:
                    continue
                way = f" as it {way}" if both else ""
                self.line()
                said = f"{(step.at - call.started) / 1e9:.3f} s: {step.label}{way}"
                self.line(self.terminal.paint(self.terminal.clean(said), "bold"))
                for line in raw[:RAW].decode("utf-8", "replace").splitlines():
                    self.line("    " + self.terminal.clean(line))
                if len(raw) > RAW:
                    self.line(f"    {len(raw) - RAW} more bytes")

    def _found(self, found: list[Brief]) -> None:
        for brief in found:
            mark = f"  {brief.rule} "
            tag = f"{brief.slug}, {HARM_WORDS[brief.harm]}"
            self.line(mark + self.terminal.paint(tag, HARM_STYLES[brief.harm]))
            self.paragraph(brief.summary, " " * len(mark), " " * len(mark))

    def outside(self) -> None:
        """Registrations and other traffic outside calls, and the findings about no call above."""
        found = [one for one in self.collected.of("") if self.wanted.rule(one.rule)]
        whole = self.wanted.all
        if self.wanted.calls is not None or (self.wanted.rules and not found):
            return
        if not whole:
            found = [one for one in found if one.harm != "none" or self.wanted.rules]
        registrations = self.collected.registrations if whole else []
        if not (whole and self.ladder.outside) and not found and not registrations:
            return
        self.heading("Outside these calls" if self.ladder.calls else "No calls")
        bullet = f"{self.terminal.glyphs.bullet} "
        if whole:
            for method, traffic in self.ladder.outside.items():
                said = outside_line(method, traffic, self.ladder.two_sided)
                self.paragraph(said, bullet, "  ")
        for sentence in registrations:
            self.paragraph(sentence, bullet, "  ")
        self._found(found)
        self.line()

    def advice(self) -> None:
        if not self.collected.advice:
            return
        self.heading("What to do")
        for advice in self.collected.advice:
            action = in_words(advice)
            state = SURE.get(advice.state, advice.state)
            self.paragraph(f"{action} ({state}, {advice.confidence:.0%} sure)", style="bold")
            if advice.subject:
                self.paragraph(advice.subject, "    about: ", " " * 11)
            most = None if self.wanted.all else REASONS
            for sign, texts in (("for", advice.for_), ("against", advice.against)):
                for text in texts[:most]:
                    self.paragraph(text, f"  {sign:>7}: ", " " * 11)
            if advice.action in HOW:
                self.paragraph(HOW[advice.action], "      how: ", " " * 11)
            if advice.commands:
                where = "  type on the router (OpenWrt):"
                if advice.short:
                    self._typed("  type on the router:", advice.short)
                    if not self.wanted.all:
                        self.paragraph("Without algwatch on it: --all lists the lines.", "  ", "  ")
                        self.line()
                        continue
                    where = "  or on OpenWrt without algwatch:"
                self._typed(where, advice.commands)
                if advice.action == DISABLE:
                    trial = advice.state == "suspected"
                    self._typed("  to undo those:", UNDO_TRIAL if trial else UNDO)
            self.line()

    def _typed(self, heading: str, lines: Iterable[str]) -> None:
        self.line(heading)
        for line in lines:
            self.line("    " + self.terminal.paint(self.terminal.clean(line), "cyan"))

    def overview(self) -> None:
        counts = self.collected.counts
        self.heading("In short")
        self.paragraph(summary.counted(self.collected, self.ladder.two_sided))
        if "evicted" in counts:
            gone = ", ".join(f"{n} {what}" for what, n in counts["evicted"].items())
            self.paragraph(f"More went on at once than is followed; forgotten early: {gone}.")
        if self.wanted.all and self.ladder.dropped:
            shown = ", ".join(f"{n} {r} ({HARM_WORDS[h]})"
                              for (r, h), n in sorted(self.collected.unshown.items()))  # fmt: skip
            more = f" Findings that are not shown: {shown}." if shown else ""
            self.paragraph(f"{several(self.ladder.dropped, 'more call')} not shown.{more}")
        self.paragraph(
            "A rule in full: algwatch explain RULE. All of it for programs: the same with --json."
            if self.wanted.all else
            f"{CALLS_TOO if self.collected.outcomes else ''}"
            "A rule in full: algwatch explain RULE. For programs: --json."
        )  # fmt: skip


def outside_line(method: str, traffic: Outside, two_sided: bool) -> str:
    """REGISTER 4: 2 accepted (200 x2), 2 challenged (401 x2); the router rewrote Contact, Via."""
    kinds: dict[str, list[int]] = {}
    for code in sorted(traffic.answers):
        kinds.setdefault(status.kind(code), []).append(code)
    said = []
    for kind, codes in kinds.items():
        listed = ", ".join(f"{code} x{traffic.answers[code]}" for code in codes)
        said.append(f"{sum(traffic.answers[code] for code in codes)} {kind} ({listed})")
    silent = traffic.requests - sum(traffic.answers.values())
    if silent > 0:
        said.append(f"{silent} never answered")
    counted = f" {traffic.requests}" if traffic.requests else ""
    text = f"{method}{counted}: {', '.join(said) or 'answers only'}"
    if two_sided and traffic.lonely:
        text += f"; {several(traffic.lonely, 'message')} on one side only"
    if traffic.rewritten:
        headers = ", ".join(map(quote.header, traffic.headers))
        text += f"; the router rewrote {headers or 'nothing but form'}"
    elif two_sided and traffic.paired:
        text += "; the router changed nothing"
    return text + "."
