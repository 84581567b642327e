# SPDX-License-Identifier: Apache-2.0
"""Configurations: read, changed and written as libuci does it."""

from __future__ import annotations

import os

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

NAME = frozenset("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_")
SPACE = " \t\n\v\f\r"


class UciError(Exception):
    """The text is what uci prints behind its name."""


class NotKnown(Exception):
    """The stand-in does not know this; exit status 99."""


NOT_FOUND, INVALID = "Entry not found", "Invalid argument"


class Section:
    def __init__(self, type_: str, name: str, anonymous: bool) -> None:
        self.type = type_
        self.name = name
        self.anonymous = anonymous
        self.options: dict[str, str | list[str]] = {}


class Package:
    def __init__(self, name: str) -> None:
        self.name = name
        self.sections: list[Section] = []
        self._count = 0

    def add(self, type_: str, name: str = "") -> Section:
        self._count += 1
        section = Section(type_, name or f"cfg{self._count:02x}{_hash(type_):04x}", not name)
        self.sections.append(section)
        return section

    def find(self, name: str) -> Section | None:
        return next((one for one in self.sections if one.name == name), None)

    def look_up(self, text: str) -> Section | None:
        """By name, or as @type[n]; UciError when that is no valid way to write it."""
        if text and set(text) <= NAME:
            return self.find(text)
        if not text.startswith("@") or not text.endswith("]") or "[" not in text:
            raise UciError(INVALID)
        type_, _, index = text[1:-1].partition("[")
        try:
            number = int(index or "0")
        except ValueError:
            raise UciError(INVALID) from None
        of_type = [one for one in self.sections if not type_ or one.type == type_]
        number += len(of_type) if number < 0 else 0
        return of_type[number] if 0 <= number < len(of_type) else None


def _hash(text: str) -> int:
    """djbhash() in list.c."""
    value = 5381
    for letter in text.encode():
        value = (value * 33 + letter) & 0xFFFFFFFF
    return (value & 0x7FFFFFFF) % (1 << 16)


def quoted(text: str) -> str:
    return "'" + text.replace("'", "'\\''") + "'"


class _Words:
    """The words of a file, line by line, as next_arg() and parse_str() take them."""

    def __init__(self, text: str) -> None:
        self.lines = text.splitlines(keepends=True)
        self.number = 0

    def error(self, what: str, byte: int) -> UciError:
        return UciError(f"Parse error ({what}) at line {self.number}, byte {byte}")

    def commands(self) -> Iterator[list[str]]:
        """The words of each command; a line may hold several, parted by `;`."""
        while self.number < len(self.lines):
            line = self.lines[self.number]
            self.number += 1
            at = 0
            words: list[str] = []
            while True:
                while at < len(line) and line[at] in SPACE:
                    at += 1
                if at >= len(line) or line[at] == "#":
                    break
                if line[at] == ";":
                    at += 1
                    if words:
                        yield words
                    words = []
                    continue
                word, at, line = self._word(line, at)
                words.append(word)
            if words:
                yield words

    def _word(self, line: str, at: int) -> tuple[str, int, str]:
        word = ""
        while at < len(line) and line[at] not in SPACE and line[at] not in ";#":
            letter = line[at]
            if letter == "\\":
                if at + 1 >= len(line) or line[at + 1] == "\n":
                    raise NotKnown("a line that goes on behind a backslash")
                word += line[at + 1]
                at += 2
            elif letter in "'\"":
                at += 1
                while True:
                    if at >= len(line):
                        if self.number >= len(self.lines):
                            raise self.error(f"EOF with unterminated {letter}", len(line))
                        line = self.lines[self.number]
                        self.number += 1
                        at = 0
                    if line[at] == letter:
                        at += 1
                        break
                    if letter == '"' and line[at] == "\\":
                        at += 1
                    word += line[at]
                    at += 1
            else:
                word += letter
                at += 1
        return word, at, line


def parse(text: str, name: str) -> Package:
    """UciError for what uci refuses."""
    package = Package(name)
    section: Section | None = None
    reader = _Words(text)
    for words in reader.commands():
        kind, rest = words[0], words[1:]
        if kind in ("package", "p"):
            if len(rest) != 1:
                raise reader.error("package without name" if not rest else "too many arguments", 0)
        elif kind in ("config", "c"):
            if not rest or len(rest) > 2:
                raise reader.error("too many arguments" if rest else "insufficient arguments", 0)
            if len(rest) == 2 and rest[1] and not set(rest[1]) <= NAME:
                raise reader.error("invalid character in name field", 0)
            wanted = rest[1] if len(rest) == 2 else ""
            there = package.find(wanted) if wanted else None
            if there is not None and there.type != rest[0]:
                what = "section of different type overwrites prior section with same name"
                raise reader.error(what, 0)
            section = there or package.add(rest[0], wanted)
        elif kind in ("option", "o", "list", "l"):
            if section is None:
                raise reader.error("option/list command found before the first section", 0)
            if not rest or len(rest) > 2:
                raise reader.error("too many arguments" if rest else "insufficient arguments", 0)
            if not rest[0] or not set(rest[0]) <= NAME:
                raise reader.error("invalid character in name field", 0)
            value = rest[1] if len(rest) == 2 else ""
            if kind in ("list", "l"):
                _add_list(section, rest[0], value)
            elif value:  # an empty one changes nothing, uci_set()
                section.options[rest[0]] = value
        else:
            raise reader.error("invalid command", 0)
    return package


def _add_list(section: Section, option: str, value: str) -> None:
    there = section.options.get(option)
    if there is None:
        section.options[option] = [value]
    elif isinstance(there, list):
        there.append(value)
    else:
        section.options[option] = [there, value]


def written(package: Package) -> str:
    """The file as commit leaves it."""
    text = ""
    for section in package.sections:
        name = "" if section.anonymous else f" '{section.name}'"
        text += f"\nconfig {section.type}{name}\n"
        for option, value in section.options.items():
            for one in value if isinstance(value, list) else [value]:
                word = "list" if isinstance(value, list) else "option"
                text += f"\t{word} {option} {quoted(one)}\n"
    return text + "\n"


class Change:
    """A line of a file of changes. verb: '' (set), '-', '|', '~' or '+' as uci_command_char[]."""

    def __init__(self, verb: str, section: str, option: str, value: str | None) -> None:
        self.verb = verb
        self.section = section
        self.option = option
        self.value = value

    def line(self, package: str) -> str:
        text = f"{self.verb}{package}.{self.section}"
        text += f".{self.option}" if self.option else ""
        return text if self.value is None else f"{text}={quoted(self.value)}"

    def shown(self, package: str) -> str:
        text = "-" if self.verb == "-" else ""
        text += f"{package}.{self.section}" + (f".{self.option}" if self.option else "")
        if self.verb == "-":
            return text
        sign = {"|": "+=", "~": "-="}.get(self.verb, "=")
        return f"{text}{sign}{quoted(self.value or '')}"


def apply(package: Package, change: Change) -> bool:
    """True if it changed something; UciError."""
    section = package.find(change.section)
    value = change.value or ""
    if section is None:
        if change.option or change.verb not in ("", "+") or not value:
            raise UciError(NOT_FOUND if change.verb == "-" else INVALID)
        package.add(value, change.section).anonymous = change.verb == "+"
        return True
    if not change.option:
        if change.verb == "-":
            package.sections.remove(section)
        elif change.verb in ("", "+") and value:
            if section.type == value:
                return False
            section.type = value
        else:
            raise UciError(INVALID)
        return True
    there = section.options.get(change.option)
    if change.verb == "-" or (not change.verb and not value):
        if there is None and change.verb == "-":
            raise UciError(NOT_FOUND)
        return section.options.pop(change.option, None) is not None
    if change.verb == "|":
        _add_list(section, change.option, value)
    elif change.verb == "~":
        if not isinstance(there, list):
            return False
        there[:] = [one for one in there if one != value]  # the last one leaves an empty list
    elif there == value:
        return False
    else:
        section.options[change.option] = value
    return True


class Uci:
    """The files of one router. root: its directory. override: it knows /var/run/uci (24.10 on)."""

    def __init__(self, root: str, override: bool = True) -> None:
        self.root = root
        self.override = override

    def path(self, name: str) -> str:
        override = f"{self.root}/var/run/uci/{name}"
        if self.override and os.path.exists(override):
            return override
        return f"{self.root}/etc/config/{name}"

    def _changes_path(self, name: str) -> str:
        return f"{self.root}/tmp/.uci/{name}"

    def changes(self, name: str) -> list[Change]:
        try:
            with open(self._changes_path(name)) as file:
                lines = list(_Words(file.read()).commands())
        except FileNotFoundError:
            return []
        changes = []
        for (text,) in lines:
            verb = text[0] if text[0] in "-|~+" else ""
            where, equals, value = text[len(verb) :].partition("=")
            parts = where.split(".")
            option = parts[2] if len(parts) > 2 else ""
            changes.append(Change(verb, parts[1], option, value if equals else None))
        return changes

    def load(self, name: str) -> Package:
        """With the changes that wait; UciError."""
        if not name or not set(name) <= NAME | {"-"}:
            raise UciError(INVALID if name else NOT_FOUND)
        try:
            with open(self.path(name)) as file:
                package = parse(file.read(), name)
        except FileNotFoundError:
            raise UciError(NOT_FOUND) from None
        for change in self.changes(name):
            try:
                apply(package, change)
            except UciError:
                continue  # uci_parse_delta(): errors in single lines are ignored
        return package

    def change(self, name: str, change: Change) -> None:
        if apply(self.load(name), change):
            os.makedirs(f"{self.root}/tmp/.uci", exist_ok=True)
            with open(self._changes_path(name), "a") as file:
                file.write(change.line(name) + "\n")

    def commit(self, name: str) -> None:
        package = self.load(name)
        if not self.changes(name):
            return
        path = self.path(name)
        new = os.path.join(os.path.dirname(path), f".{name}.uci-XXXXXX")
        with open(new, "w") as file:
            file.write(written(package))
        os.chmod(new, os.stat(path).st_mode & 0o7777)
        os.rename(new, path)
        os.truncate(self._changes_path(name), 0)

    def revert(self, name: str, section: str, option: str) -> None:
        left = [
            one
            for one in self.changes(name)
            if (section and one.section != section) or (option and one.option != option)
        ]
        if os.path.exists(self._changes_path(name)):
            with open(self._changes_path(name), "w") as file:
                file.writelines(one.line(name) + "\n" for one in left)
