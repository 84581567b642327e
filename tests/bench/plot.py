# SPDX-License-Identifier: Apache-2.0
"""A bar chart as SVG, by hand: no plotting library is worth installing for it."""

from __future__ import annotations

from collections.abc import Sequence
from xml.sax.saxutils import escape

WIDTH, LABELS, BAR, GAP = 900, 270, 20, 8
OURS, THEIRS, TARGET = "#1f6f54", "#9aa5b1", "#b3403a"

Chart = tuple[str, Sequence[tuple[str, float]], Sequence[tuple[str, float]], str]
"""Title, (name, value), (target's words, value), format of the values."""


def _chart(chart: Chart, top: float) -> tuple[list[str], float]:
    title, bars, targets, form = chart
    most = max(value for _, value in (*bars, *targets)) or 1.0
    room = WIDTH - LABELS - 110
    parts = [f'<text x="10" y="{top + 16}" font-weight="bold">{escape(title)}</text>']
    y = top + 30
    for name, value in bars:
        width = max(1.0, value / most * room)
        colour = OURS if name.startswith("algwatch") else THEIRS
        parts += [
            f'<text x="{LABELS - 8}" y="{y + 15}" text-anchor="end">{escape(name)}</text>',
            f'<rect x="{LABELS}" y="{y}" width="{width:.1f}" height="{BAR}" fill="{colour}"/>',
            f'<text x="{LABELS + width + 6:.1f}" y="{y + 15}">{form.format(value)}</text>',
        ]
        y += BAR + GAP
    for words, target in targets:  # the words one below the other: targets may be close
        x = LABELS + target / most * room
        parts.append(
            f'<line x1="{x:.1f}" x2="{x:.1f}" y1="{top + 26}" y2="{y + 12}" stroke="{TARGET}" '
            f'stroke-dasharray="4 3"/><text x="{x + 4:.1f}" y="{y + 12}" fill="{TARGET}" '
            f'font-size="11">{escape(words)} {form.format(target)}</text>'
        )
        y += 14
    return parts, y + 16


def svg(charts: Sequence[Chart]) -> str:
    parts: list[str] = []
    y = 10.0
    for chart in charts:
        made, y = _chart(chart, y)
        parts += made
    head = (f'<svg xmlns="http://www.w3.org/2000/svg" width="{WIDTH}" height="{y:.0f}" '
            f'font-family="sans-serif" font-size="13">')  # fmt: skip
    back = f'<rect width="{WIDTH}" height="{y:.0f}" fill="white"/>'
    return "\n".join([head, back, *parts, "</svg>"]) + "\n"
