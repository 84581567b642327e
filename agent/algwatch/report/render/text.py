# SPDX-License-Identifier: Apache-2.0
"""The text that people read: a ladder a call, the verdict, and what to do."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterable
from textwrap import wrap
from typing import IO

from algwatch.advise.actions import DISABLE, in_words
from algwatch.advise.commands import UNDO, UNDO_TRIAL
from algwatch.base import quote
from algwatch.base.quote import quoted, somebody
from algwatch.base.report import Report
from algwatch.report.render import status
from algwatch.report.render.collected import Collected
from algwatch.report.render.how import HOW
from algwatch.report.render.ladder import Ladder, Outside
from algwatch.report.render.ladder_text import ladder_lines
from algwatch.report.render.moment import moment
from algwatch.report.render.sentences import Brief, several
from algwatch.report.render.story import call_story
from algwatch.report.render.terminal import Terminal, speaks_unicode
from algwatch.report.render.verdict import CANNOT_TELL, FINE, HURTS

NARROW, WIDE = 80, 120  # columns
CALL_ID = 120  # characters

HARM_WORDS = {"observed": "did harm", "certain": "will do harm", "latent": "may do harm",
              "none": "no harm"}  # fmt: skip
HARM_STYLES = {"observed": "bold red", "certain": "bold red", "latent": "bold yellow",
               "none": "green"}  # fmt: skip
SURE = {"suspected": "suspected: try it", "recommended": "recommended"}
STATES = {FINE: "Nothing hurts", HURTS: "Something hurts",
          CANNOT_TELL: "Cannot tell whether something hurts"}  # fmt: skip
STATE_STYLES = {FINE: "bold green", HURTS: "bold red", CANNOT_TELL: "bold yellow"}


def write_text(
    reports: Iterable[Report],
    counts: Callable[[], dict[str, dict[str, int]]],
    ladder: Ladder,
    out: IO[str],
    colour: bool,
    width: int = 0,
) -> int:
    """Print all reports for people; counts is asked when they are all there. width: columns,
    0 = the terminal's (80 to 120; 80 where out is none). Returns the exit status of the verdict."""
    if not width:
        columns = shutil.get_terminal_size().columns if out.isatty() else NARROW
        width = min(WIDE, max(NARROW, columns - 1))
    collected = Collected(ladder)
    for report in reports:
        collected.feed(report)
    numbers = counts()
    collected.settle(numbers)
    page = Page(collected, Terminal(colour, speaks_unicode(out)), out, width)
    page.calls()
    page.outside()
    page.advice()
    page.overview(numbers)
    page.verdict()
    return collected.verdict.status


class Page:
    """Prints the collected reports part by part."""

    def __init__(self, collected: Collected, terminal: Terminal, out: IO[str], width: int) -> None:
        self.collected = collected
        self.ladder = collected.ladder
        self.terminal = terminal
        self.width = width
        self._out = out

    def line(self, text: str = "") -> None:
        self._out.write(text + "\n")

    def paragraph(self, text: str, first: str = "", rest: str = "", style: str = "") -> None:
        """Text from anywhere, cleaned and wrapped; first and rest stand before its lines."""
        text = self.terminal.clean(text)
        lines = wrap(text, self.width - max(len(first), len(rest)), break_on_hyphens=False)
        for i, line in enumerate(lines or [""]):
            self.line((rest if i else first) + self.terminal.paint(line, style))

    def heading(self, text: str) -> None:
        text = self.terminal.cut(self.terminal.clean(text), self.width - 4)
        rule = self.terminal.glyphs.rule
        tail = rule * max(0, self.width - len(text) - 4)
        head = f"{rule}{rule} {self.terminal.paint(text, 'bold')}"
        self.line(f"{head} {self.terminal.paint(tail, 'dim')}" if tail else head)

    def calls(self) -> None:
        shown = sorted(self.ladder.calls.values(), key=lambda c: (c.started, c.call_id))
        for number, call in enumerate(shown, 1):
            summary = self.collected.calls.get(call.call_id)
            self.heading(
                f"Call {number}"
                + (f": {somebody(summary.from_)} to {somebody(summary.to)}" if summary else "")
            )
            when = moment(call.started // 10**9)
            self.paragraph(
                f"{when:%Y-%m-%d %H:%M:%S} UTC, Call-ID {quoted(call.call_id, CALL_ID)}",
                style="dim",
            )
            self.line()
            for line in ladder_lines(
                call, self.ladder.two_sided, self.ladder.newest, self.terminal, self.width
            ):
                self.line(line)
            self.line()
            found = self.collected.of(call.call_id)
            text, style = call_story(summary, found, call, self.ladder.two_sided)
            self.paragraph(text, "Verdict: ", "         ", style)
            self._found(found)
            self.line()

    def _found(self, found: list[Brief]) -> None:
        for brief in found:
            mark = f"  {brief.rule} "
            tag = f"{brief.slug}, {HARM_WORDS[brief.harm]}"
            self.line(mark + self.terminal.paint(tag, HARM_STYLES[brief.harm]))
            self.paragraph(brief.summary, " " * len(mark), " " * len(mark))

    def outside(self) -> None:
        """Registrations and what else is not a call, and the findings about no call above."""
        found = self.collected.of("")
        registrations = self.collected.registrations
        if not self.ladder.outside and not found and not registrations:
            return
        self.heading("Outside these calls" if self.ladder.calls else "No calls")
        bullet = f"{self.terminal.glyphs.bullet} "
        for method, traffic in self.ladder.outside.items():
            self.paragraph(outside_line(method, traffic, self.ladder.two_sided), bullet, "  ")
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
            for sign, texts in (("for", advice.for_), ("against", advice.against)):
                for text in texts:
                    self.paragraph(text, f"  {sign:>7}: ", " " * 11)
            if advice.action in HOW:
                self.paragraph(HOW[advice.action], "      how: ", " " * 11)
            if advice.commands:
                where = "  type on the router (OpenWrt):"
                if advice.short:
                    self._typed("  type on the router:", advice.short)
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

    def overview(self, counts: dict[str, dict[str, int]]) -> None:
        capture, crossings = counts["capture"], counts["crossings"]
        calls = self.collected.outcomes
        self.heading("In short")
        sides = f" ({capture['lan']} LAN, {capture['wan']} WAN)" if self.ladder.two_sided else ""
        parts = [f"{several(capture['sip_messages'], 'SIP message')}{sides}"]
        listed = ", ".join(f"{n} {outcome}" for outcome, n in sorted(calls.items()) if n)
        parts.append(several(sum(calls.values()), "call") + (f" ({listed})" if listed else ""))
        if self.ladder.two_sided:
            parts.append(f"{several(crossings['paired'], 'pair')} of a LAN and a WAN copy")
            parts.append(f"{crossings['rewritten']} of them rewritten")
        for name in ("duplicates", "malformed", "truncated"):
            if capture.get(name):
                parts.append(f"{capture[name]} {name}")
        if capture.get("forged"):
            parts.append(
                f"{several(capture['forged'], 'packet')} that no receiver accepts, left out"
            )
        self.paragraph(", ".join(parts) + ".")
        if "evicted" in counts:
            gone = ", ".join(f"{n} {what}" for what, n in counts["evicted"].items())
            self.paragraph(f"More went on at once than is followed; forgotten early: {gone}.")
        if self.ladder.dropped:
            shown = ", ".join(f"{n} {r} ({HARM_WORDS[h]})"
                              for (r, h), n in sorted(self.collected.unshown.items()))  # fmt: skip
            more = f" Findings that are not shown: {shown}." if shown else ""
            self.paragraph(f"{several(self.ladder.dropped, 'more call')} not shown.{more}")

    def verdict(self) -> None:
        """The last words: the state, why, and what to do next."""
        verdict = self.collected.verdict
        said = STATES[verdict.state]
        if verdict.doubtful:
            said = "Nothing was seen to hurt; what may do harm is worth another look"
        elif verdict.state == FINE and not verdict.next:
            said += ": nothing to do"
        self.paragraph(
            f"{said}.", style="bold" if verdict.doubtful else STATE_STYLES[verdict.state]
        )
        bullet = f"{self.terminal.glyphs.bullet} "
        for why in verdict.why:
            self.paragraph(why, bullet, "  ")
        if verdict.alg:
            self.paragraph(verdict.alg, "SIP ALG: ", "         ")
        if verdict.next:
            self.paragraph(verdict.next, "Next: ", "      ", "bold")
        self.paragraph(
            "A rule in full: algwatch explain RULE. All of it for programs: the same with --json."
        )


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
