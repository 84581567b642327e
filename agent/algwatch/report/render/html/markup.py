# SPDX-License-Identifier: Apache-2.0
"""Elements of HTML and SVG. Text becomes markup here and nowhere else, so no text from the network
can pass as markup."""

from __future__ import annotations

from html import escape

from algwatch.base.quote import visible

VOID = frozenset(("meta", "br", "hr"))


class Markup(str):
    """Text that is markup already."""

    __slots__ = ()


Child = str | None


def el(name: str, /, *children: Child, **attributes: str | None) -> Markup:
    """An element. Children other than Markup are text; None is left out, as a child and as an
    attribute. In an attribute's name an underscore stands for a hyphen, at its end for nothing
    (class_)."""
    parts = [f"<{name}"]
    for key, value in attributes.items():
        if value is not None:
            parts.append(f' {key.rstrip("_").replace("_", "-")}="{shown(value)}"')
    parts.append(">")
    if name not in VOID:
        parts += [shown(child) for child in children if child is not None]
        parts.append(f"</{name}>")
    return Markup("".join(parts))


def join(*children: Child) -> Markup:
    """Children without an element around them."""
    return Markup("".join(shown(child) for child in children if child is not None))


def shown(text: str) -> str:
    """Text as markup: special characters are escaped, and controls, line ends and format characters
    (bidi, zero width) become visible escapes."""
    return text if isinstance(text, Markup) else escape(visible(text))


def cut(text: str, most: int) -> str:
    return text if len(text) <= most else text[: most - 1] + "…"
