# SPDX-License-Identifier: Apache-2.0
"""The times of the calls as a drawing: a bar a call; for many calls, the number begun over time."""

from __future__ import annotations

from datetime import UTC, datetime

from algwatch.report.render.html.density import Density
from algwatch.report.render.html.markup import Markup, cut, el, join

LEFT, RIGHT = 1.0, 99.0  # per cent of the width: both ends of the time axis
ROW = 34  # px
TICKS = 4
LABEL = 48  # characters
MANY = 44  # px: height of the bars for many calls


class Bar:
    """One call. start, end: seconds since 1970; kind: good, bad, warn or other; link: of its
    ladder, "" without one; flags: times of its failures, seconds since 1970."""

    __slots__ = ("end", "flags", "kind", "label", "link", "start")

    def __init__(self, label: str, start: float, end: float, kind: str, link: str,
                 flags: list[float]) -> None:  # fmt: skip
        self.label = label
        self.start = start
        self.end = end
        self.kind = kind
        self.link = link
        self.flags = flags


def timeline(bars: list[Bar], density: Density | None) -> Markup:
    """density: of all calls, if not every call has a bar."""
    begin = min(bar.start for bar in bars)
    end = max(max(bar.end, *bar.flags, bar.start) for bar in bars)
    if density is not None:
        buckets = [*density.good, *density.bad]
        begin = min(begin, min(buckets) * density.width)
        end = max(end, (max(buckets) + 1) * density.width)
    scale = _Scale(begin, max(end - begin, 1.0))
    parts: list[Markup] = []
    top = 24
    if density is not None:
        parts.append(_many(density, scale, top))
        top += MANY + 14
    bottom = top + ROW * len(bars)
    grid = [
        _tick(begin + (end - begin) * k / TICKS, begin, scale, bottom, k) for k in range(TICKS + 1)
    ]
    parts += [_bar(bar, scale, top + ROW * n) for n, bar in enumerate(bars)]
    title = el("title", f"{len(bars)} calls over {end - begin:.0f} seconds")
    return el("svg", title, *grid, *parts, class_="timeline", role="img", width="100%",
              height=str(bottom + 8))  # fmt: skip


class _Scale:
    def __init__(self, begin: float, seconds: float) -> None:
        self.begin = begin
        self.seconds = seconds

    def x(self, at: float) -> str:
        part = min(1.0, max(0.0, (at - self.begin) / self.seconds))
        return f"{LEFT + (RIGHT - LEFT) * part:.3f}%"


def _tick(at: float, begin: float, scale: _Scale, bottom: int, k: int) -> Markup:
    anchor = "start" if k == 0 else "end" if k == TICKS else "middle"
    since = at - begin
    moment = datetime.fromtimestamp(at, UTC)
    said = f"{moment:%H:%M:%S}" if scale.seconds >= 60 else f"{since:.1f} s"
    if scale.seconds > 2 * 86400:
        said = f"{moment:%d %b %H:%M}"
    x = scale.x(at)
    # Five times need more room than a phone has.
    style = "soft" if k in (0, TICKS) else "soft wide"
    return join(
        el("line", x1=x, x2=x, y1="18", y2=str(bottom), class_="grid"),
        el("text", said, x=x, y="12", text_anchor=anchor, class_=style),
    )


def _bar(bar: Bar, scale: _Scale, top: int) -> Markup:
    y = str(top + 25)
    start, end = scale.x(bar.start), scale.x(bar.end)
    parts = [
        el("text", cut(bar.label, LABEL), x="0", y=str(top + 14)),
        el("line", x1=start, x2=end, y1=y, y2=y, class_="bar"),
        el("circle", cx=start, cy=y, r="4.5", class_="dot"),
    ]
    for at in bar.flags:
        flag = el("path", d="M0 -7L5.5 4L-5.5 4Z", class_="flag")
        parts.append(el("svg", flag, x=scale.x(at), y=y))
    group = el("g", *parts, class_=bar.kind)
    return el("a", group, href=bar.link) if bar.link else group


def _many(density: Density, scale: _Scale, top: int) -> Markup:
    buckets = sorted({*density.good, *density.bad})
    most = max(density.good.get(b, 0) + density.bad.get(b, 0) for b in buckets)
    width = max(0.25, (RIGHT - LEFT) * density.width / scale.seconds * 0.9)
    parts = []
    for bucket in buckets:
        x, y = scale.x(bucket * density.width), float(top + MANY)
        for numbers, style in ((density.bad, "many bad"), (density.good, "many")):
            height = MANY * numbers.get(bucket, 0) / most
            if height:
                y -= max(height, 1.0)
                parts.append(el("rect", x=x, y=f"{y:.1f}", width=f"{width:.3f}%",
                                height=f"{max(height, 1.0):.1f}", class_=style))  # fmt: skip
    return join(*parts)
