# SPDX-License-Identifier: Apache-2.0
"""The steps of a call as a drawing (SVG 1.1).

Lanes stand at percentages of the width and text keeps its size, so the same drawing is readable on
a phone, a screen and paper.
"""

from __future__ import annotations

from textwrap import wrap

from algwatch.base.address import joined
from algwatch.base.quote import visible
from algwatch.report.render.columns import ROUTER, Heads, both_ends, columns_of, notes_of
from algwatch.report.render.differ import field_of
from algwatch.report.render.html.markup import Markup, cut, el, join
from algwatch.report.render.html.style import DRAWN, PALETTE
from algwatch.report.render.ladder import CallLadder, Step

HEAD = 58  # px above the first step
ROW, NOTE = 36, 15  # px of a step, and of a line under it
FIRST, LAST = 15.0, 89.0  # per cent of the width: the outer lanes
NOTE_WIDTH = 46  # characters
HOST = 21  # characters of a host at the head of a lane
NAMES = 4  # fields named under a rewritten message


def drawing(call: CallLadder, two_sided: bool, newest: int, title: str, anchor: str = "",
            alone: bool = False) -> Markup:  # fmt: skip
    """title: a description for people who cannot see it. anchor: beginning of the link targets of
    rewritten messages, "" for none. alone: with its colours, as a file of its own."""
    steps = call.ordered()
    heads = Heads(steps, two_sided)
    count = max(2, len(heads.hosts))
    places = [FIRST + (LAST - FIRST) * k / (count - 1) for k in range(count)]
    parts: list[Markup] = []
    at = HEAD
    for number, step in enumerate(steps, 1):
        link = f"#{anchor}{number}" if anchor and step.copies else ""
        part, height = _step(step, call, heads, places, newest, at, link)
        parts.append(part)
        at += height
    if call.more:
        parts.append(_text("50%", at + 16, f"{call.more} more messages, not shown", "note"))
        at += ROW
    height = at + 12
    lanes = [_lane(places[k], heads, k, height) for k in range(count)]
    drawn = join(*lanes, *parts)
    if alone:
        style = el("style", Markup(PALETTE.replace(":root", "svg") + DRAWN))
        ground = el("rect", width="100%", height="100%", class_="ground")
        return el("svg", el("title", title), style, ground, drawn, class_="ladder",
                  xmlns="http://www.w3.org/2000/svg", width="760", height=str(height))  # fmt: skip
    return el("svg", el("title", title), drawn, class_="ladder", role="img", width="100%",
              height=str(height))  # fmt: skip


def _lane(place: float, heads: Heads, k: int, height: int) -> Markup:
    x = _per_cent(place)
    name = heads.names[k] if k < len(heads.names) else ""
    address = heads.addresses[k] if k < len(heads.addresses) else ""
    host, colon, port = address.rpartition(":")
    if not (colon and port.isdigit()):
        host, port = address, ""
    router = heads.two_sided and k == ROUTER
    style = "lane router" if router else "lane"
    top = HEAD - 8
    return join(
        el("line", x1=x, x2=x, y1=str(top), y2=str(height), class_=style),
        _text(x, 14, name, "head"),
        el("text", el("title", address), cut(host, HOST), x=x, y="30", class_="host"),
        _text(x, 44, f"port {port}", "port") if port else None,
    )  # fmt: skip


def _step(step: Step, call: CallLadder, heads: Heads, places: list[float], newest: int, top: int,
          link: str) -> tuple[Markup, int]:  # fmt: skip
    source, target, end = columns_of(step, heads, newest)
    right = target > source
    y = top + 22
    kind = _kind(step, end)
    begin, stop = places[source], places[target]
    parts = [_text("0", y + 4, f"{(step.at - call.started) / 1e9:.3f}", "time")]
    parts.append(el("line", x1=_per_cent(begin), x2=_per_cent(stop), y1=str(y), y2=str(y),
                    class_="arrow"))  # fmt: skip
    parts.append(_mark(stop, y, _HEADS[right] if end != "cross" else _CROSS))
    if end == "unknown":
        parts.append(_text(_per_cent(stop + (2 if right else -2)), y + 4, "?", "doubt"))
    label = step.label + (" again" if step.again else "")
    hop = places[source + (1 if right else -1)]
    x = _per_cent((begin + hop) / 2)
    parts.append(_text(x, y - 6, label, "label"))
    under: list[tuple[str, str]] = []  # text and class
    if step.count > 1:
        times = f"x{step.count}, until {(step.last - call.started) / 1e9:.1f} s"
        if abs(target - source) > 1:
            parts.append(_text(_per_cent((hop + stop) / 2), y - 6, times, "times"))
        else:
            under.append((times, "times"))
    if step.lines:
        parts.append(_mark(places[ROUTER] if heads.two_sided else (begin + stop) / 2, y, _DOT))
        under.append((f"rewritten: {fields(step)}", "changed"))
    under += [(line, "note") for text in notes_of(step, heads)
              for line in wrap(visible(text), NOTE_WIDTH)]  # fmt: skip
    middle = _per_cent((begin + stop) / 2)
    for number, (text, style) in enumerate(under):
        where = _per_cent(places[ROUTER]) if style == "changed" and heads.two_sided else middle
        parts.append(_text(where, y + 16 + NOTE * number, text, style))
    group = el("g", *parts, class_=f"step {kind}")
    height = ROW + NOTE * len(under)
    if link:
        whole = el("rect", width="100%", height=str(height), y=str(top), class_="hit")
        group = el("a", whole, group, href=link)
    return group, height


# Shapes around the end of an arrow, in px.
_HEADS = {True: "M0 0L-9 -4.5L-9 4.5Z", False: "M0 0L9 -4.5L9 4.5Z"}
_CROSS = "M-6 -6L6 6M6 -6L-6 6"
_DOT = "M0 -5L5 0L0 5L-5 0Z"


def _mark(place: float, y: int, shape: str) -> Markup:
    style = {_CROSS: "cross", _DOT: "rewrite"}.get(shape, "tip")
    path = el("path", d=shape, class_=style)
    return el("svg", path, x=_per_cent(place), y=str(y), class_="mark", overflow="visible")


def _text(x: str, y: int, text: str, style: str) -> Markup:
    return el("text", text, x=x, y=str(y), class_=style)


def _per_cent(place: float) -> str:
    return f"{place:.2f}".rstrip("0").rstrip(".") + "%"


def _kind(step: Step, end: str) -> str:
    if end == "cross":
        return "lost"
    if not step.status:
        return "request"
    return "good" if 200 <= step.status < 300 else "bad" if step.status >= 400 else "other"


def fields(step: Step) -> str:
    """Names of the rewritten header fields and SDP lines."""
    names = list(dict.fromkeys(visible(field_of(a or b)) or "a line" for a, b in step.lines))
    more = f" and {len(names) - NAMES} more" if len(names) > NAMES else ""
    return ", ".join(names[:NAMES]) + more


def way(step: Step) -> str:
    """host:port → host:port of the copy that entered."""
    (src, sport), (dst, dport) = both_ends(step)
    return f"{joined(src, sport)} → {joined(dst, dport)}"
