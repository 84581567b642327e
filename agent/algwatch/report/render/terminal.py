# SPDX-License-Identifier: Apache-2.0
"""Terminal: the only bytes ever sent to a terminal. Text from the wire passes through `clean`."""

from __future__ import annotations

import os
from textwrap import wrap
from typing import IO

from algwatch.base.quote import visible

# Select Graphic Rendition (ECMA-48 section 8.3.117), the only control sequences ever written.
STYLES = {"bold": "1", "dim": "2", "red": "31", "green": "32", "yellow": "33", "cyan": "36",
          "bold red": "1;31", "bold green": "1;32", "bold yellow": "1;33"}  # fmt: skip


class Glyphs:
    """The characters of lines."""

    __slots__ = ("across", "bullet", "cross", "dash", "dots", "left", "right", "rule", "wall")

    def __init__(self, wall: str, dash: str, across: str, left: str, right: str, cross: str,
                 dots: str, bullet: str, rule: str) -> None:  # fmt: skip
        self.wall = wall
        self.dash = dash
        self.across = across
        self.left = left
        self.right = right
        self.cross = cross
        self.dots = dots
        self.bullet = bullet
        self.rule = rule


ASCII = Glyphs("|", "-", "+", "<", ">", "X", "...", "-", "-")
UNICODE = Glyphs("│", "─", "┼", "◀", "▶", "✗", "…", "•", "─")


def in_ascii(drawn: str) -> str:
    """A drawing in the glyphs of UNICODE, with those of ASCII instead."""
    table = {getattr(UNICODE, name): getattr(ASCII, name) for name in Glyphs.__slots__}
    return drawn.translate(str.maketrans(table))


class Terminal:
    """colour: styles are written; unicode: the terminal shows more than ASCII."""

    __slots__ = ("_colour", "_unicode", "glyphs")

    def __init__(self, colour: bool, unicode: bool) -> None:
        self._colour = colour
        self._unicode = unicode
        self.glyphs = UNICODE if unicode else ASCII

    def paint(self, text: str, style: str) -> str:
        """text in a style of STYLES, "" for none."""
        if not self._colour or not style or not text:
            return text
        return f"\x1b[{STYLES[style]}m{text}\x1b[0m"

    def clean(self, text: str) -> str:
        """Text without anything a terminal would obey: control and format characters (ESC, CR, bidi
        overrides, ...) become escapes, and so does non-ASCII text if need be."""
        text = visible(text)
        if not self._unicode and not text.isascii():
            text = text.encode("ascii", "backslashreplace").decode("ascii")
        return text

    def shortened(self, text: str, most: int) -> str:
        """A sentence of at most so many characters, cut behind a word."""
        if len(text) <= most:
            return text
        kept = text[: most - 3].rsplit(" ", 1)[0].rstrip(" ,;:")
        return kept + ('"' if kept.count('"') % 2 else "") + self.glyphs.dots

    def cut(self, text: str, width: int, start: int = 0) -> str:
        """At most width columns of text, with its character at start visible."""
        if len(text) <= width:
            return text
        dots = self.glyphs.dots
        if start < width - len(dots):
            return text[: max(0, width - len(dots))] + dots
        first = min(start - 10, len(text) - width + len(dots))
        piece = dots + text[first : first + width - len(dots)]
        if first + width - len(dots) < len(text):
            piece = piece[: -len(dots)] + dots
        return piece


class Writer:
    """Lines of at most `width` columns. terminal: cleans and paints them."""

    def __init__(self, terminal: Terminal, out: IO[str], width: int) -> None:
        self.terminal = terminal
        self.width = width
        self._out = out

    def line(self, text: str = "") -> None:
        self._out.write(text + "\n")

    def paragraph(self, text: str, first: str = "", rest: str = "", style: str = "") -> None:
        """Text from anywhere, cleaned and wrapped; first and rest precede its lines."""
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


def takes_colour(out: IO[str]) -> bool:
    """A terminal, unless NO_COLOR is set or TERM is dumb."""
    plain = "NO_COLOR" in os.environ or os.environ.get("TERM") == "dumb"
    return out.isatty() and not plain


def speaks_unicode(out: IO[str]) -> bool:
    encoding = getattr(out, "encoding", None) or "ascii"
    return encoding.lower().replace("-", "").startswith("utf")
