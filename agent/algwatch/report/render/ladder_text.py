# SPDX-License-Identifier: Apache-2.0
"""The steps of a call as a ladder of characters."""

from __future__ import annotations

from textwrap import wrap

from algwatch.report.render.columns import Heads, columns_of, notes_of
from algwatch.report.render.differ import Pair, changed_part, field_of
from algwatch.report.render.ladder import CallLadder, Step
from algwatch.report.render.terminal import Terminal

TIME = 10  # columns for the time of a step


def ladder_lines(
    call: CallLadder, two_sided: bool, newest: int, terminal: Terminal, width: int
) -> list[str]:
    """The ladder as lines of at most width columns. newest: ns of the capture's last message."""
    steps = call.ordered()
    heads = Heads(steps, two_sided)
    count = max(2, len(heads.hosts))
    first, last = TIME + 1, width - 2
    places = [first + (last - first) * k // (count - 1) for k in range(count)]
    lines = [
        _head(heads.names, places, terminal, "bold"),
        _head(heads.addresses, places, terminal, "cyan"),
    ]
    told: set[Pair] = set()
    for step in steps:
        lines.append(_arrow(step, call, heads, places, newest, terminal))
        for text in notes_of(step, heads):
            lines += _note(text, places, terminal, width)
        lines += _differences(step, told, places, terminal, width)
    if call.more:
        lines += _note(f"{call.more} more messages, not shown", places, terminal, width)
    return lines


def _head(texts: list[str], places: list[int], terminal: Terminal, style: str) -> str:
    """Each text over its column: the first aligned left, the last right."""
    room = (places[1] - places[0]) * 9 // 10
    line: list[tuple[int, str]] = []
    for k, place in enumerate(places):
        text = terminal.cut(texts[k] if k < len(texts) else "", room)
        start = place if k == 0 else place - len(text) // 2
        if k == len(places) - 1:
            start = place - len(text) + 1
        line.append((start, text))
    shown, at = "", 0
    for start, text in line:
        shown += " " * (start - at) + terminal.paint(text, style)
        at = max(at, start) + len(text)
    return shown.rstrip()


def _arrow(step: Step, call: CallLadder, heads: Heads, places: list[int], newest: int,
           terminal: Terminal) -> str:  # fmt: skip
    source, target, fate = columns_of(step, heads, newest)
    glyphs = terminal.glyphs
    cells = [" "] * (places[-1] + 1)
    for place in places:
        cells[place] = glyphs.wall
    start, end = places[source], places[target]
    right = end > start
    way = range(start + 1, end) if right else range(end + 1, start)
    for at in way:
        cells[at] = glyphs.across if at in places else glyphs.dash
    head = end - 1 if right else end + 1
    cells[head] = glyphs.right if right else glyphs.left
    if fate:
        cells[end] = glyphs.cross if fate == "cross" else "?"
    # The label stands on the first hop, additions on the second, or behind it.
    label = terminal.clean(step.label)
    if step.again:
        label += " again"
    times = (
        f"x{step.count} until {(step.last - call.started) / 1e9:.1f} s" if step.count > 1 else ""
    )
    hops = [places[source], places[source + (1 if right else -1)]]
    room = abs(hops[1] - hops[0]) - 5
    both = abs(target - source) > 1
    if times and (not both or len(label) + len(times) + 2 <= room):
        label, times = f"{label}, {times}", ""
    spots = [_put(cells, label, min(hops), max(hops), terminal)]
    if times:
        spots.append(_put(cells, times, min(hops[1], end), max(hops[1], end), terminal))
    style = "bold red" if fate == "cross" else "bold"
    return _coloured(
        cells, spots, places, (step.at - call.started) / 1e9, terminal, style, fate, end
    )


def _put(cells: list[str], text: str, low: int, high: int, terminal: Terminal) -> tuple[int, int]:
    """text in the middle between two columns; returns its place."""
    text = terminal.cut(text, high - low - 5)
    start = low + (high - low - len(text)) // 2
    cells[start - 1] = cells[start + len(text)] = " "
    cells[start : start + len(text)] = text
    return start, start + len(text)


def _coloured(cells: list[str], spots: list[tuple[int, int]], places: list[int], at: float,
              terminal: Terminal, style: str, fate: str, end: int) -> str:  # fmt: skip
    spots = sorted([*spots, (end, end + 1)] if fate else spots)
    shown, done = terminal.paint(f"{at:{TIME - 1}.3f}", "dim") + "  ", TIME + 1
    for start, stop in spots:
        shown += "".join(cells[done:start]) + terminal.paint("".join(cells[start:stop]), style)
        done = stop
    return (shown + "".join(cells[done:])).rstrip()


def _note(text: str, places: list[int], terminal: Terminal, width: int) -> list[str]:
    margin = " " * (places[0] + 3)
    lines = wrap(terminal.clean(text), width - len(margin), break_on_hyphens=False)
    return [margin + terminal.paint(line, "yellow") for line in lines]


def _differences(step: Step, told: set[Pair], places: list[int], terminal: Terminal,
                 width: int) -> list[str]:  # fmt: skip
    """The differing lines of both copies one under the other; a pair is shown only once."""
    fresh = [pair for pair in step.lines if pair not in told]
    told.update(fresh)
    margin = " " * (places[0] + 3)
    room = width - len(margin) - 2
    shown = []
    for before, after in fresh:
        before, after = terminal.clean(before), terminal.clean(after)
        start, end, after_end = changed_part(before, after)
        for sign, text, stop, style in (
            ("-", before, end, "red"),
            ("+", after, after_end, "green"),
        ):
            if text:
                shown.append(margin + _line(sign, text, start, stop, style, terminal, room))
    old = len(step.lines) - len(fresh)
    if old:
        names = ", ".join(dict.fromkeys(_name(p, terminal) for p in step.lines if p not in fresh))
        shown.append(margin + terminal.paint(f"{names}: changed as before", "dim"))
    return shown


def _line(
    sign: str, text: str, start: int, stop: int, style: str, terminal: Terminal, room: int
) -> str:
    cut = terminal.cut(text, room, start)
    if cut != text:  # the changed part is somewhere in it: paint the whole
        return terminal.paint(f"{sign} {cut}", style)
    return (
        terminal.paint(f"{sign} {text[:start]}", style)
        + terminal.paint(text[start:stop], f"bold {style}")
        + terminal.paint(text[stop:], style)
    )


def _name(pair: Pair, terminal: Terminal) -> str:
    text = terminal.clean(pair[0] or pair[1])
    return field_of(text) or terminal.cut(text, 24)
