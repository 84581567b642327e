# SPDX-License-Identifier: Apache-2.0
"""The first screen of the text: the state, why, the next step, and the lines, worst first."""

from __future__ import annotations

import re

from algwatch.report.render.collected import Collected
from algwatch.report.render.headline import headline, style
from algwatch.report.render.of_lines import OfLine
from algwatch.report.render.sentences import listed, several
from algwatch.report.render.terminal import Writer
from algwatch.report.render.verdict import FINE

_DETAIL = re.compile(r'"[^"]*"| \([0-9]+ times[^)]*\)|[0-9][0-9a-fA-F.:]*')
REASONS, REASON = 4, 230  # sentences, and characters of each: three lines
LINES = 6  # lines listed
NAME = 38  # columns of the name of a line
NOTES = 6


def verdict(collected: Collected, writer: Writer, whole: bool, brief: bool = False) -> None:
    """The state, why, and the next step. whole: with every reason in full; brief: with one."""
    said = collected.verdict
    state = headline(said.state, said.doubtful)
    if said.state == FINE and not said.doubtful and not said.next:
        state += ": nothing to do"
    writer.paragraph(f"{state}.", style=style(said.state, said.doubtful))
    bullet = f"{writer.terminal.glyphs.bullet} "
    reasons = said.why if whole else folded(said.why)
    most = len(reasons) if whole else 1 if brief else REASONS
    for why in reasons[:most]:
        writer.paragraph(why if whole else writer.terminal.shortened(why, REASON), bullet, "  ")
    if brief:
        if said.next:
            writer.paragraph(said.next, "Next: ", "      ", "bold")
        return
    if len(reasons) > most:
        more = several(len(reasons) - most, "more reason")
        writer.paragraph(f"{more}: --all tells all.", bullet, "  ")
    if said.alg:
        writer.paragraph(said.alg, "SIP ALG: ", "         ")
    if said.next:
        writer.paragraph(said.next, "Next: ", "      ", "bold")


def folded(reasons: list[str]) -> list[str]:
    """Merges sentences that differ in names and numbers only: the first, and the number of
    others."""
    alike: dict[str, list[str]] = {}
    for reason in reasons:
        alike.setdefault(_DETAIL.sub("", reason), []).append(reason)
    return [
        f"{first.removesuffix('.')}; and {len(more)} more like it." if more else first
        for first, *more in alike.values()
    ]


def lines(collected: Collected, writer: Writer, whole: bool) -> None:
    """A row a line."""
    of_lines = collected.of_lines
    worst = [one for one in of_lines.worst_first() if one.name or one.calls or one.rules]
    if not worst:
        return
    most = len(worst) if whole else LINES
    name = min(NAME, max([len(_name(one)) for one in worst[:most]] + [5]))
    writer.heading("Lines: a phone and its provider")
    head = f"{'':{name}}  {'calls':>6}  {'hurt':>5}  {'registered':10}  what hurts"
    writer.line(writer.terminal.paint(head, "dim"))
    for one in worst[:most]:
        _row(one, writer, name)
    if len(worst) > most or of_lines.lines.evicted:
        rest = len(worst) - most + of_lines.lines.evicted
        writer.line(f"{several(rest, 'more line')}: --all lists them.")
    writer.line()


def _name(one: OfLine) -> str:
    return one.name or "not known"


def _row(one: OfLine, writer: Writer, name: int) -> None:
    terminal = writer.terminal
    shown = terminal.cut(terminal.clean(_name(one)), name)
    registered = "-"
    if one.registrations:
        registered = "yes" if not one.failed else "failed" if not one.accepted else "partly"
        if not one.failed and not one.accepted:
            registered = "?"
    front = f"{shown:{name}}  {one.calls:6}  {one.hurt:5}  {registered:10}  "
    ids = {rule: count for rule, count in one.rules.items() if count > 0}
    what = [f"{rule.split(' ')[0]}{f' x{count}' if count > 1 else ''}" for rule, count in sorted(
        ids.items(), key=lambda pair: (-pair[1], pair[0]))]  # fmt: skip
    style = "bold red"
    if not what and one.hurt:
        bad = ("dropped", "unanswered", "rejected")
        what = [f"{count} {word}" for word, count in one.outcomes.items() if word in bad and count]
    if not what and one.failed:
        what = ["registration failed"]
    if not what:
        may = [rule.split(" ")[0] for rule, count in one.may.items() if count > 0]
        what, style = ([f"may: {', '.join(may)}"] if may else []), "bold yellow"
    text = terminal.cut(terminal.clean(", ".join(what)), max(10, writer.width - len(front)))
    writer.line((front + terminal.paint(text, style)).rstrip())


def notes(collected: Collected, writer: Writer, whole: bool) -> None:
    """Notes about the texts read."""
    if not collected.notes:
        return
    writer.heading("What the text says")
    bullet = f"{writer.terminal.glyphs.bullet} "
    most = len(collected.notes) if whole else NOTES
    for note in collected.notes[:most]:
        writer.paragraph(f"{note}.", bullet, "  ")
    if len(collected.notes) > most:
        writer.paragraph(f"{len(collected.notes) - most} more: --all lists them.", bullet, "  ")
    writer.line()


def counted(collected: Collected, two_sided: bool) -> str:
    """One sentence of numbers."""
    capture, crossings = collected.counts["capture"], collected.counts["crossings"]
    calls = collected.outcomes
    sides = f" ({capture['lan']} LAN, {capture['wan']} WAN)" if two_sided else ""
    parts = [f"{several(capture['sip_messages'], 'SIP message')}{sides}"]
    outcomes = ", ".join(f"{n} {outcome}" for outcome, n in sorted(calls.items()) if n)
    parts.append(several(sum(calls.values()), "call") + (f" ({outcomes})" if outcomes else ""))
    if two_sided:
        parts.append(f"{several(crossings['paired'], 'pair')} of a LAN and a WAN copy")
        parts.append(f"{crossings['rewritten']} of them rewritten")
    for name in ("duplicates", "malformed", "truncated"):
        if capture.get(name):
            parts.append(f"{capture[name]} {name}")
    encrypted = [
        f"{capture[name]} of {name.upper()}" for name in ("tls", "stun") if capture.get(name)
    ]
    if encrypted:
        parts.append(f"beside {listed(encrypted)}")
    if capture.get("forged"):
        parts.append(f"{several(capture['forged'], 'packet')} that no receiver accepts, left out")
    return ", ".join(parts) + "."
