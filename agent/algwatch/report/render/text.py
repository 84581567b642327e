"""The text that people read: a ladder a call, the verdict, and what to do."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterable
from datetime import UTC, datetime
from textwrap import wrap
from typing import IO

from algwatch.advise.advice import Advice
from algwatch.compare.summary import CallSummary
from algwatch.diagnose.finding import Finding
from algwatch.report.render.ladder import Ladder, Outside
from algwatch.report.render.ladder_text import draw
from algwatch.report.render.terminal import Terminal, speaks_unicode

NARROW, WIDE = 80, 120  # columns
FINDINGS = 20  # findings of one call, and of all that is not about a call, that are kept
ADVICE = 50  # pieces of advice that are kept

# Worst first: what hurt, what will, what may.
HARMS = ("observed", "certain", "latent", "none")
HARM_WORDS = {"observed": "did harm", "certain": "will do harm", "latent": "may do harm",
              "none": "no harm"}  # fmt: skip
HARM_STYLES = {"observed": "bold red", "certain": "bold red", "latent": "bold yellow",
               "none": "green"}  # fmt: skip
PLACES = {"phone": "the phone", "router": "this router", "provider": "the provider",
          "network": "the network beyond this router"}  # fmt: skip
OUTCOMES = {
    "completed": "The call completed",
    "dropped": "The call was answered and then dropped, because its ACK got lost",
    "cancelled": "The caller hung up before anybody answered",
    "rejected": "The call was rejected",
    "unanswered": "Nobody ever answered the INVITE",
    "ongoing": "The call goes on at the end of what was captured",
    "unknown": "What became of the call cannot be told from what was captured",
}
ACTIONS = {
    "disable-sip-alg": "Turn the router's SIP ALG off",
    "keep-sip-alg": "Keep the router's SIP ALG on",
    "enable-rport-stun-outbound": "Turn on rport, STUN or outbound on the phone",
    "static-nat-for-pbx": "Give the PBX a static port mapping",
    "provider-fix-contact": "Ask the provider to fix the Contact of phones behind a NAT",
    "provider-add-record-route": "Ask the provider to add Record-Route",
    "shorter-refresh-on-phone": "Set a shorter refresh or a keep-alive on the phone",
    "look-for-loss": "Look for packet loss on the line",
    "move-sip-port-or-tls": "Move SIP to another port, or to TLS",
}
STATES = {"suspected": "suspected: try it", "recommended": "recommended"}


class Said:
    """A finding without its evidence: as much of it as people are told."""

    __slots__ = ("harm", "rule", "slug", "summary", "where")

    def __init__(self, finding: Finding) -> None:
        self.rule = finding.rule
        self.slug = finding.slug
        self.harm = finding.harm
        self.where = finding.where
        self.summary = finding.summary


class Collected:
    """Everything that the pipeline said, bounded. calls: summaries of those that are drawn, in
    the order of their ends; findings: by Call-ID, then by key; outcomes: counts of all calls;
    status: 1 when something hurt; doubtful: something may."""

    def __init__(self, ladder: Ladder) -> None:
        self.ladder = ladder
        self.calls: dict[str, CallSummary] = {}
        self.findings: dict[str, dict[str, Said]] = {}
        self.unshown: dict[tuple[str, str], int] = {}
        self.outcomes: dict[str, int] = {}
        self.advice: dict[tuple[str, str], Advice] = {}
        self.status = 0
        self.doubtful = False

    def add(self, report: Finding | Advice | CallSummary) -> None:
        if isinstance(report, CallSummary):
            self.outcomes[report.outcome] = self.outcomes.get(report.outcome, 0) + 1
            earlier = self.calls.get(report.call_id)
            if earlier is not None:  # tried again, say with credentials: one call for people
                self.outcomes[earlier.outcome] -= 1
            self.ladder.over(report.call_id)
            self.calls[report.call_id] = report
            if len(self.calls) > 2 * len(self.ladder.calls) + 100:
                self._let_go()
        elif isinstance(report, Finding):
            self._find(report)
        elif report.state == "none":
            self.advice.pop((report.action, report.subject), None)
        elif len(self.advice) < ADVICE:
            self.advice[(report.action, report.subject)] = report

    def _find(self, finding: Finding) -> None:
        if finding.harm in ("observed", "certain"):
            self.status = 1
        if finding.harm != "none":
            self.doubtful = True
            self.ladder.hurts(finding.call_id)
        call_id = finding.call_id
        if not self.ladder.of(call_id):
            if call_id and self.ladder.dropped:  # most likely of a call that is not drawn
                self._count(finding.rule, finding.harm)
                return
            call_id = ""
        mine = self.findings.setdefault(call_id, {})
        if finding.key in mine or len(mine) < FINDINGS:
            mine[finding.key] = Said(finding)
        else:
            self._count(finding.rule, finding.harm)

    def _count(self, rule: str, harm: str) -> None:
        key = (rule, harm)
        self.unshown[key] = self.unshown.get(key, 0) + 1

    def settle(self) -> None:
        """All is said."""
        self.ladder.settle()
        self._let_go()

    def _let_go(self) -> None:
        """What is kept of calls that the ladder did not keep."""
        of = self.ladder.of
        self.calls = {i: c for i, c in self.calls.items() if of(i)}
        for call_id in [i for i in self.findings if i and not of(i)]:
            for said in self.findings.pop(call_id).values():
                self._count(said.rule, said.harm)


def write_text(
    reports: Iterable[Finding | Advice | CallSummary],
    counts: Callable[[], dict[str, dict[str, int]]],
    ladder: Ladder,
    out: IO[str],
    colour: bool,
    width: int = 0,
) -> int:
    """Print all reports for people; counts is asked when they are all there. width: columns,
    0 = the terminal's (80 to 120; 80 where out is none). Returns the exit status: 1 when
    something is observed or certain to hurt."""
    if not width:
        columns = shutil.get_terminal_size().columns if out.isatty() else NARROW
        width = min(WIDE, max(NARROW, columns - 1))
    collected = Collected(ladder)
    for report in reports:
        collected.add(report)
    collected.settle()
    page = Page(collected, Terminal(colour, speaks_unicode(out)), out, width)
    page.calls()
    page.outside()
    page.advice()
    page.overview(counts())
    return collected.status


class Page:
    """What is collected, printed part by part."""

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
        drawn = sorted(self.ladder.calls.values(), key=lambda c: (c.started, c.call_id))
        for number, call in enumerate(drawn, 1):
            summary = self.collected.calls.get(call.call_id)
            self.heading(
                f"Call {number}" + (f": {summary.from_} to {summary.to}" if summary else "")
            )
            when = datetime.fromtimestamp(call.started // 10**9, UTC)
            self.paragraph(f"{when:%Y-%m-%d %H:%M:%S} UTC, Call-ID {call.call_id}", style="dim")
            self.line()
            for line in draw(
                call, self.ladder.two_sided, self.ladder.newest, self.terminal, self.width
            ):
                self.line(line)
            self.line()
            found = sorted(
                self.collected.findings.get(call.call_id, {}).values(),
                key=lambda f: HARMS.index(f.harm),
            )
            text, style = self._verdict(summary, found, call.rewritten, call.messages)
            self.paragraph(text, "Verdict: ", "         ", style)
            self._found(found)
            self.line()

    def _verdict(self, summary: CallSummary | None, found: list[Said], rewritten: int,
                 messages: int) -> tuple[str, str]:  # fmt: skip
        outcome = summary.outcome if summary is not None else "unknown"
        text = OUTCOMES[outcome]
        harm = found[0].harm if found else "none"
        if harm in ("observed", "certain"):
            # DLG001 says that the ACK got lost; what stands beside it says why.
            worst = [f for f in found if f.harm == harm]
            cause = next((f for f in worst if f.rule != "DLG001"), worst[0])
            place = PLACES.get(cause.where)
            text += (
                f"; the cause lies with {place}" if place else "; where cannot be told from this"
            )
            return f"{text} ({cause.rule} {cause.slug}).", "bold red"
        if not self.ladder.two_sided:
            text += "; only one side was captured, so what the router changed is not known"
        elif not rewritten:
            text += ", and the router changed nothing"
        else:
            text += f", and the router changed {rewritten} of its {messages} messages"
            text += ": that may do harm" if harm == "latent" else ", which did no harm"
        good = outcome == "completed" and harm == "none"
        return text + ".", "bold green" if good else "bold yellow" if harm == "latent" else "bold"

    def _found(self, found: list[Said]) -> None:
        for said in found:
            mark = f"  {said.rule} "
            tag = f"{said.slug}, {HARM_WORDS[said.harm]}"
            self.line(mark + self.terminal.paint(tag, HARM_STYLES[said.harm]))
            self.paragraph(said.summary, " " * len(mark), " " * len(mark))

    def outside(self) -> None:
        """Registrations and what else is not a call, and the findings about no drawn call."""
        found = sorted(
            self.collected.findings.get("", {}).values(), key=lambda f: HARMS.index(f.harm)
        )
        if not self.ladder.outside and not found:
            return
        self.heading("Outside these calls" if self.ladder.calls else "No calls")
        for method, traffic in self.ladder.outside.items():
            text = outside_line(method, traffic, self.ladder.two_sided)
            self.paragraph(text, f"{self.terminal.glyphs.bullet} ", "  ")
        self._found(found)
        self.line()

    def advice(self) -> None:
        if not self.collected.advice:
            return
        self.heading("What to do")
        for advice in self.collected.advice.values():
            action = ACTIONS.get(advice.action, advice.action)
            state = STATES.get(advice.state, advice.state)
            self.paragraph(f"{action} ({state}, {advice.confidence:.0%} sure)", style="bold")
            if advice.subject:
                self.paragraph(advice.subject, "    about: ", " " * 11)
            for sign, texts in (("for", advice.for_), ("against", advice.against)):
                for text in texts:
                    self.paragraph(text, f"  {sign:>7}: ", " " * 11)
            if advice.commands:
                self.line("  type on the router:")
                for command in advice.commands:
                    self.line("    " + self.terminal.paint(self.terminal.clean(command), "cyan"))
            self.line()

    def overview(self, counts: dict[str, dict[str, int]]) -> None:
        capture, crossings = counts["capture"], counts["crossings"]
        calls = self.collected.outcomes
        self.heading("In short")
        sides = f" ({capture['lan']} LAN, {capture['wan']} WAN)" if self.ladder.two_sided else ""
        parts = [f"{_several(capture['sip_messages'], 'SIP message')}{sides}"]
        listed = ", ".join(f"{n} {outcome}" for outcome, n in sorted(calls.items()) if n)
        parts.append(_several(sum(calls.values()), "call") + (f" ({listed})" if listed else ""))
        if self.ladder.two_sided:
            parts.append(f"{_several(crossings['paired'], 'pair')} of a LAN and a WAN copy")
            parts.append(f"{crossings['rewritten']} of them rewritten")
        for name in ("duplicates", "malformed", "truncated"):
            if capture.get(name):
                parts.append(f"{capture[name]} {name}")
        self.paragraph(", ".join(parts) + ".")
        if "evicted" in counts:
            gone = ", ".join(f"{n} {what}" for what, n in counts["evicted"].items())
            self.paragraph(f"More went on at once than is followed; forgotten early: {gone}.")
        if self.ladder.dropped:
            shown = ", ".join(f"{n} {r} ({HARM_WORDS[h]})"
                              for (r, h), n in sorted(self.collected.unshown.items()))  # fmt: skip
            more = f" Findings that are not shown: {shown}." if shown else ""
            self.paragraph(f"{_several(self.ladder.dropped, 'more call')} not drawn.{more}")
        if not self.collected.advice:
            if self.collected.status:
                said = "Something hurts, and this capture alone does not tell what to do about it."
            elif self.collected.doubtful:
                said = "Nothing was seen to hurt; what may do harm is worth another look."
            else:
                said = "Nothing hurts: nothing to do."
            self.paragraph(said)
        self.paragraph(
            "A rule in full: algwatch explain RULE. All of it for programs: the same with --json."
        )


def outside_line(method: str, traffic: Outside, two_sided: bool) -> str:
    """REGISTER 4, all answered (200 x2, 401 x2); the router rewrote Contact, Via."""
    answered = sum(traffic.answers.values())
    listed = ", ".join(f"{status} x{n}" for status, n in sorted(traffic.answers.items()))
    if not traffic.requests:
        text = f"{method}: answers only"
    elif answered >= traffic.requests:
        text = f"{method} {traffic.requests}, all answered ({listed})"
    elif answered:
        text = f"{method} {traffic.requests}, {answered} answered ({listed})"
    else:
        text = f"{method} {traffic.requests}, never answered"
    if two_sided and traffic.lonely:
        text += f"; {_several(traffic.lonely, 'message')} on one side only"
    if traffic.rewritten:
        text += f"; the router rewrote {', '.join(traffic.headers) or 'nothing but form'}"
    elif two_sided:
        text += "; the router changed nothing"
    return text + "."


def _several(number: int, noun: str) -> str:
    return f"{number} {noun}" + ("s" if number != 1 else "")
