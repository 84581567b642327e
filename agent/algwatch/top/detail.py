# SPDX-License-Identifier: Apache-2.0
"""The view of a call: its ladder, its findings, and both copies of its messages."""

from __future__ import annotations

from rich.text import Text

from algwatch.report.render.differ import aligned_lines, changed_part
from algwatch.report.render.ladder_text import ladder_lines
from algwatch.report.render.terminal import Terminal
from algwatch.top.model import Call, Model, Row, clean

LINES = 80  # of a message
STYLES = {"observed": "bold red", "certain": "bold red", "latent": "yellow", "none": "green"}


def detail(model: Model, call: Call, width: int) -> Text:
    text = Text()
    row = call.row
    text.append(f"{clean(row.get('from', ''))} to {clean(row.get('to', ''))}\n", "bold")
    text.append(f"{call.started} UTC, {clean(row.get('outcome', ''))}", "bold")
    text.append(f", ACK on LAN/WAN: {call.ack}, Call-ID {clean(call.call_id, 100)}\n\n", "dim")
    found = model.of(call.call_id)
    for finding in found:
        _finding(text, finding)
    drawn = model.ladder.of(call.call_id) if model.ladder is not None else None
    if drawn is not None and model.ladder is not None:
        for line in ladder_lines(
            drawn, model.ladder.two_sided, model.ladder.newest, Terminal(True, True), width
        ):
            text.append_text(Text.from_ansi(line))
            text.append("\n")
        text.append("\n")
        for step in drawn.ordered():
            if step.copies is not None and step.lines:
                text.append(f"── {clean(step.label)}: entered, left\n", "bold")
                _copies(text, *step.copies, width)
        return text
    for finding in found:
        looks = finding.get("looks") or []
        sides = {side: payload for side, payload in reversed(looks) if payload}
        if "lan" in sides and "wan" in sides:
            text.append(f"── {clean(finding.get('rule', ''))}: LAN, WAN\n", "bold")
            _copies(text, sides["lan"], sides["wan"], width)
    return text


def _finding(text: Text, finding: Row) -> None:
    harm = str(finding.get("harm", ""))
    text.append(f"{clean(finding.get('rule', ''))} ", "bold")
    text.append(f"{clean(finding.get('slug', ''))}: {clean(harm)}", STYLES.get(harm, ""))
    text.append(f", {clean(finding.get('where', ''))}\n")
    text.append(f"  {clean(finding.get('summary', ''), 1000)}\n\n")


def _copies(text: Text, entered: bytes, left: bytes, width: int) -> None:
    """Differing lines one under the other: a terminal of 80 columns has no room for both side by
    side."""
    for before, after in aligned_lines(entered, left)[:LINES]:
        one, other = clean(before, 400), clean(after, 400)
        if before == after:
            text.append(f"  {one[: width - 4]}\n", "dim")
            continue
        start, end, after_end = changed_part(one, other)
        for sign, line, stop, style in (("-", one, end, "red"), ("+", other, after_end, "green")):
            if line:
                text.append(f"{sign} {line[:start]}", style)
                text.append(line[start:stop], f"bold reverse {style}")
                text.append(f"{line[stop:]}\n", style)
    text.append("\n")
