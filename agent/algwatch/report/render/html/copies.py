# SPDX-License-Identifier: Apache-2.0
"""The two copies of a message side by side, with the changes marked in both."""

from __future__ import annotations

from algwatch.base.quote import visible
from algwatch.report.render.differ import aligned_lines, changed_part
from algwatch.report.render.html.markup import Markup, el, join, shown

LINES = 120  # of one message
LINE = 1000  # characters
BEFORE = 60  # characters kept before the change in a cut line


def side_by_side(entered: bytes, left: bytes) -> Markup:
    """A table with a row a line: as it entered the router, as it left."""
    pairs = aligned_lines(entered, left)
    rows = [_row(before, after) for before, after in pairs[:LINES]]
    head = el("tr", el("th", "entered the router as"), el("th", "left it as"))
    return join(
        el("table", el("thead", head), el("tbody", *rows), class_="copies"), _more(len(pairs))
    )


def as_it_is(message: bytes) -> Markup:
    """A message with one copy, or with two equal ones."""
    lines = [before for before, _ in aligned_lines(message, message)]
    text = "\n".join(shown(_cut(visible(line))) for line in lines[:LINES])
    return join(el("pre", Markup(text)), _more(len(lines)))


def _more(lines: int) -> Markup | None:
    return el("p", f"{lines - LINES} more lines", class_="soft small") if lines > LINES else None


def _row(before: str, after: str) -> Markup:
    if before == after:
        line = _cut(visible(before))
        return el("tr", el("td", line, class_="same"), el("td", line, class_="same again"))
    before, after = visible(before), visible(after)
    start, end, after_end = changed_part(before, after)
    return el("tr", _cell(before, start, end, "gone"), _cell(after, start, after_end, "come"))


def _cell(text: str, start: int, end: int, style: str) -> Markup:
    if not text:
        return el("td")
    first = max(0, start - BEFORE) if len(text) > LINE else 0
    last = min(len(text), first + LINE)
    marked = el("mark", text[start : min(end, last)]) if start < end else None
    rest = text[max(start, min(end, last)) : last]
    return el("td", "…" if first else None, text[first:start], marked, rest,
              "…" if last < len(text) else None, class_=style)  # fmt: skip


def _cut(text: str) -> str:
    return text if len(text) <= LINE else text[:LINE] + "…"
