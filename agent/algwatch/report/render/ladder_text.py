# SPDX-License-Identifier: Apache-2.0
"""The steps of a call as a ladder of characters."""

from __future__ import annotations

from textwrap import wrap

from algwatch.report.render.differ import Pair, changed_part
from algwatch.report.render.ladder import CROSSED, UNKNOWN, CallLadder, Step
from algwatch.report.render.terminal import Terminal
from algwatch.sip.timers import WINDOW

TIME = 10  # columns for the time of a step
COLUMNS = 4  # hosts that a one-sided ladder shows beside each other
PHONE, ROUTER, PROVIDER = 0, 1, 2


class Heads:
    """The heads of the columns. names, addresses: a column each; hosts: a column's
    address without a port; two_sided: phone, router, provider."""

    __slots__ = ("addresses", "by_port", "hosts", "names", "two_sided")

    def __init__(self, steps: list[Step], two_sided: bool) -> None:
        self.two_sided = two_sided
        self.by_port = False
        if two_sided:
            self._sides(steps)
        else:
            self._hosts(steps)

    def _sides(self, steps: list[Step]) -> None:
        step = next((s for s in steps if s.lan and s.wan), steps[0])
        phone = router = provider = "?"
        self.hosts = ["", "", ""]
        if step.lan is not None:
            src, sport, dst, dport = step.lan
            own, far = (
                ((src, sport), (dst, dport)) if step.outbound else ((dst, dport), (src, sport))
            )
            phone, provider = joined(*own), joined(*far)
            self.hosts[PHONE], self.hosts[PROVIDER] = own[0], far[0]
        if step.wan is not None:
            src, sport, dst, dport = step.wan
            own, far = (
                ((src, sport), (dst, dport)) if step.outbound else ((dst, dport), (src, sport))
            )
            router, provider = joined(*own), joined(*far)
            self.hosts[ROUTER], self.hosts[PROVIDER] = own[0], far[0]
        if router == phone:
            router = "no address translation"
        self.names = ["phone", "router", "provider"]
        self.addresses = [phone, router, provider]

    def _hosts(self, steps: list[Step]) -> None:
        pairs = [_both_ends(step) for step in steps]
        hosts = {host for pair in pairs for host, _ in pair}
        self.by_port = len(hosts) == 1  # two programs on one machine
        first: dict[str, str] = {}
        for end in (end for pair in pairs for end in pair):
            if len(first) < COLUMNS:
                first.setdefault(self.key(end), joined(*end))
        self.hosts = list(first)
        self.addresses = list(first.values())
        self.names = ["caller", "callee"] if len(first) == 2 else ["caller"]

    def key(self, end: tuple[str, int]) -> str:
        """Text that distinguishes the columns of a one-sided ladder: host, if need be port."""
        return joined(*end) if self.by_port else end[0]


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
        for text in _notes(step, heads):
            lines += _note(text, places, terminal, width)
        lines += _differences(step, told, places, terminal, width)
    if call.more:
        lines += _note(f"{call.more} more messages, not shown", places, terminal, width)
    return lines


def joined(host: str, port: int) -> str:
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def _head(texts: list[str], places: list[int], terminal: Terminal, style: str) -> str:
    """Each text over its column: the first from its left, the last to its right edge."""
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


def _columns(step: Step, heads: Heads, newest: int) -> tuple[int, int, str]:
    """From which column to which, and what stands at the end where the other copy is missing:
    "cross" it never came or went where nobody is, "unknown" the capture ended too early to say, or
    the other side was not captured then."""
    ends = step.lan or step.wan
    assert ends is not None
    if not heads.two_sided:
        return (*_one_sided(step, heads), "")
    if step.fate == CROSSED:
        wrong = "cross" if step.expected else ""  # it crossed, and went where nobody is
        return (PHONE, PROVIDER, "") if step.outbound else (PROVIDER, PHONE, wrong)
    fate = "unknown" if step.at > newest - WINDOW or step.fate == UNKNOWN else "cross"
    if step.lan is not None:
        if step.lan[2] == heads.hosts[PHONE]:  # it came out of the router, and never went in
            return ROUTER, PHONE, ""
        return PHONE, ROUTER, fate
    if ends[0] == heads.hosts[ROUTER]:
        return ROUTER, PROVIDER, ""
    return PROVIDER, ROUTER, fate


def _one_sided(step: Step, heads: Heads) -> tuple[int, int]:
    """Columns of both ends; a host without a column of its own stands at the edge."""
    edge = max(1, len(heads.hosts) - 1)
    keys = [heads.key(end) for end in _both_ends(step)]
    source, target = (heads.hosts.index(key) if key in heads.hosts else -1 for key in keys)
    if source < 0:
        source = edge if target != edge else 0
    if target < 0 or target == source:
        target = edge if source != edge else edge - 1
    return source, target


def _both_ends(step: Step) -> tuple[tuple[str, int], tuple[str, int]]:
    ends = step.lan or step.wan
    assert ends is not None
    return (ends[0], ends[1]), (ends[2], ends[3])


def _arrow(step: Step, call: CallLadder, heads: Heads, places: list[int], newest: int,
           terminal: Terminal) -> str:  # fmt: skip
    source, target, fate = _columns(step, heads, newest)
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
    # The label stands on the first hop; what is more on the second, or behind it.
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
    """text in the middle between two columns; returns where it stands."""
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


def _notes(step: Step, heads: Heads) -> list[str]:
    """Facts that an arrow cannot show: a host or a port that is not at the head of a column."""
    if not heads.two_sided:
        source, target = _both_ends(step)
        if heads.key(source) in heads.hosts and heads.key(target) in heads.hosts:
            return []
        return [f"from {joined(*source)} to {joined(*target)}"]
    said = []
    if step.expected and step.lan is not None:
        went = joined(step.lan[2], step.lan[3])
        said.append(f"sent to {went}; NAT mapping: {step.expected}")
    elif step.lan is not None:
        near = step.lan[:2] if step.outbound else step.lan[2:]
        if near[0] != heads.hosts[PHONE]:
            said.append(f"{'from' if step.outbound else 'to'} {joined(*near)} in the LAN")
    if step.wan is not None:
        inbound = step.wan[2] == heads.hosts[ROUTER]
        far = step.wan[:2] if inbound else step.wan[2:]
        if far[0] != heads.hosts[PROVIDER]:
            said.append(f"{'from' if inbound else 'to'} {joined(*far)}")
    return said


def _note(text: str, places: list[int], terminal: Terminal, width: int) -> list[str]:
    margin = " " * (places[0] + 3)
    lines = wrap(terminal.clean(text), width - len(margin), break_on_hyphens=False)
    return [margin + terminal.paint(line, "yellow") for line in lines]


def _differences(step: Step, told: set[Pair], places: list[int], terminal: Terminal,
                 width: int) -> list[str]:  # fmt: skip
    """The differing lines of both copies one under the other; what was shown before, not again."""
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
    """Contact of "Contact: <sip:...>", c= of "c=IN IP4 ..."."""
    text = terminal.clean(pair[0] or pair[1])
    if text.startswith("SIP/2.0 ") or text.endswith(" SIP/2.0"):
        return "start line"
    for end, character in enumerate(text[:24]):
        if character == ":":
            return text[:end]
        if character == "=":
            return text[: end + 1]
    return terminal.cut(text, 24)
