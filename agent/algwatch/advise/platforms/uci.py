# SPDX-License-Identifier: Apache-2.0
"""UCI text: the configuration in the form of `uci export`, `uci show` and its files."""

from __future__ import annotations

from typing import NamedTuple

_SPACE = " \t\n\r\v\f"
YES, NO = ("1", "true", "yes"), ("0", "off", "false", "no")  # "on" is no for fw3, yes for fw4


class Unreadable(ValueError):
    """The text is not from uci, or leaves the question open; a sentence for people."""


class Section(NamedTuple):
    """ref: as uci takes it, `@zone[0]` or a name. options: of a list, its items; `uci show` prints
    a list of one item like a string, so a string may be one."""

    ref: str
    type: str
    options: dict[str, str | list[str]]

    def words(self, option: str) -> list[str]:
        """As fw3 and fw4 take a list: a string is split at white space."""
        value = self.options.get(option, "")
        return value.split() if isinstance(value, str) else value

    def text(self, option: str, default: str = "") -> str:
        """Unreadable for a list."""
        value = self.options.get(option, default)
        if isinstance(value, str):
            return value
        if len(value) == 1:
            return value[0]
        raise Unreadable(f"option {option} of {self.ref} is a list")

    def yes(self, option: str, default: bool) -> bool:
        """Unreadable for a word with different meanings to fw3 and fw4."""
        value = self.text(option)
        if not value:
            return default
        if value not in YES and value not in NO:
            raise Unreadable(f"option {option} of {self.ref} is neither yes nor no: {value[:40]!r}")
        return value in YES


def read(text: str) -> list[Section]:
    """text: of `uci export PACKAGE`, `uci show PACKAGE` (also -X), or a file. Unreadable."""
    words = _split(text)
    return _shown(words) if words and "." in words[0][0].partition("=")[0] else _exported(words)


def _split(text: str) -> list[list[str]]:
    """The words of each line; a quoted word may contain white space and line ends."""
    lines: list[list[str]] = [[]]
    at, word, begun = 0, "", False
    while at < len(text):
        letter = text[at]
        at += 1
        if letter in "'\"":
            end = text.find(letter, at)
            if end < 0:
                raise Unreadable("a quote is not closed")
            if letter == '"' and "\\" in text[at:end]:
                raise Unreadable("a backslash stands between double quotes")
            word, begun, at = word + text[at:end], True, end + 1
        elif letter == "\\":
            if text[at : at + 1] in ("", "\n"):
                raise Unreadable("a line goes on behind a backslash")
            word, begun, at = word + text[at], True, at + 1
        elif letter in _SPACE or letter in "#;":
            if begun:
                lines[-1].append(word)
            word, begun = "", False
            if letter == "#":
                at = text.find("\n", at)
                at = len(text) if at < 0 else at
            elif letter in "\n;":
                lines.append([])
        else:
            word, begun = word + letter, True
    if begun:
        lines[-1].append(word)
    return [line for line in lines if line]


def _exported(lines: list[list[str]]) -> list[Section]:
    sections: list[Section] = []
    named: dict[str, Section] = {}
    counts: dict[str, int] = {}
    for kind, *rest in lines:
        if kind in ("config", "c") and 1 <= len(rest) <= 2:
            name = rest[1] if len(rest) == 2 else ""
            section = named.get(name)
            if section is None or not name:
                number = counts.get(rest[0], 0)
                counts[rest[0]] = number + 1
                section = Section(name or f"@{rest[0]}[{number}]", rest[0], {})
                sections.append(section)
                named[name] = section
            last = section
        elif kind in ("option", "o", "list", "l") and len(rest) == 2 and sections:
            there = last.options.get(rest[0])
            if kind in ("option", "o"):
                if rest[1]:
                    last.options[rest[0]] = rest[1]
            elif isinstance(there, list):
                there.append(rest[1])
            else:
                last.options[rest[0]] = [rest[1]] if there is None else [there, rest[1]]
        elif kind not in ("package", "p"):
            raise Unreadable(f"a line begins with {kind[:40]!r}")
    return sections


def _shown(lines: list[list[str]]) -> list[Section]:
    """`firewall.@zone[0]=zone`, then `firewall.@zone[0].name='lan'`; a list as 'a' 'b'."""
    sections: list[Section] = []
    for first, *rest in lines:
        where, equals, value = first.partition("=")
        parts = where.split(".")
        if not equals or not all(parts):
            raise Unreadable(f"a line begins with {first[:40]!r}")
        if len(parts) == 2 and not rest:
            sections.append(Section(parts[1], value, {}))
        elif len(parts) == 3 and sections and sections[-1].ref == parts[1]:
            sections[-1].options[parts[2]] = [value, *rest] if rest else value
        else:
            raise Unreadable(f"a line begins with {first[:40]!r}")
    return sections
