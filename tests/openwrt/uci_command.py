# SPDX-License-Identifier: Apache-2.0
"""The command `uci`, as cli.c has it."""

from __future__ import annotations

import os
import sys

from openwrt.uci import (
    INVALID,
    NAME,
    NOT_FOUND,
    Change,
    NotKnown,
    Package,
    Section,
    Uci,
    UciError,
    quoted,
    written,
)

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

USAGE = "Usage: uci [<options>] <command> [<arguments>]\n"
OVERRIDE = "\t-C <path>  set the search path for config override files (default: /var/run/uci)\n"


def _shown(value: str | list[str], quote: bool) -> str:
    if isinstance(value, str):
        return quoted(value) if quote else value
    return " ".join(
        quoted(one) if quote or any(letter in " \t\r\n" for letter in one) else one for one in value
    )


def _show(package: Package, section: str, option: str, extended: bool) -> Iterator[str]:
    if not section:
        counts: dict[str, int] = {}
        for one in package.sections:
            number = counts.get(one.type, 0)
            counts[one.type] = number + 1
            called = f"@{one.type}[{number}]" if one.anonymous and extended else one.name
            yield from _show_section(package, one, called)
        return
    found = package.look_up(section)
    if found is None or (option and option not in found.options):
        raise UciError(NOT_FOUND)
    if option:
        yield f"{package.name}.{found.name}.{option}={_shown(found.options[option], True)}"
    else:
        yield from _show_section(package, found, found.name)


def _show_section(package: Package, section: Section, called: str) -> Iterator[str]:
    yield f"{package.name}.{called}={section.type}"
    for option, value in section.options.items():
        yield f"{package.name}.{called}.{option}={_shown(value, True)}"


def _names(root: str) -> list[str]:
    return [one for one in sorted(os.listdir(f"{root}/etc/config")) if set(one) <= NAME | {"-"}]


def _parts(tuple_: str) -> tuple[str, str, str, str | None]:
    where, equals, value = tuple_.partition("=")
    parts = where.split(".")
    if len(parts) > 3 or not all(parts) or (len(parts) == 3 and not set(parts[2]) <= NAME):
        raise UciError(INVALID)
    parts += [""] * (3 - len(parts))
    return parts[0], parts[1], parts[2], value if equals else None


def _section_command(uci: Uci, verb: str, tuple_: str) -> Iterator[str]:
    name, where, option, value = _parts(tuple_)
    package = uci.load(name)
    if verb == "revert":
        found = package.look_up(where) if where else None
        uci.revert(name, found.name if found else where, option)
        return
    if not where:
        raise UciError(INVALID)
    found = package.look_up(where)
    if verb == "get":
        if value is not None:
            raise UciError("")
        if found is None or (option and option not in found.options):
            raise UciError(NOT_FOUND)
        yield _shown(found.options[option], False) if option else found.type
        return
    if found is None and not set(where) <= NAME:
        raise UciError(INVALID if verb != "delete" else NOT_FOUND)
    section = found.name if found else where
    if verb == "delete":
        if value is not None:
            raise NotKnown("delete of one item by its number")
        uci.change(name, Change("-", section, option, None))
        return
    if value is None or (verb != "set" and not option):
        raise UciError(INVALID)
    sign = {"set": "", "add_list": "|", "del_list": "~"}[verb]
    uci.change(name, Change(sign, section, option, value))


def _package_command(uci: Uci, verb: str, tuple_: str, extended: bool) -> None:
    name, section, option, _ = _parts(tuple_)
    package = uci.load(name)
    if section and verb != "show":
        raise NotKnown(f"uci {verb} of a section")
    if verb == "show":
        print("".join(f"{line}\n" for line in _show(package, section, option, extended)), end="")
    elif verb == "export":
        print(f"package {name}\n" + written(package), end="")
    elif verb == "changes":
        print("".join(f"{one.shown(name)}\n" for one in uci.changes(name)), end="")
    else:
        uci.commit(name)


def run(words: list[str], uci: Uci) -> int:
    """uci with these arguments; prints, and returns the exit status."""
    quiet, extended = False, True
    while words and words[0].startswith("-"):
        for letter in words.pop(0)[1:]:
            if letter not in "qX":
                raise NotKnown(f"uci -{letter}")
            quiet = quiet or letter == "q"
            extended = extended and letter != "X"
    usage = USAGE + (OVERRIDE if uci.override else "")
    if not words:
        sys.stderr.write(usage)
        return 0
    verb, rest = words[0], words[1:]
    try:
        if verb in ("get", "set", "add_list", "del_list", "delete", "revert"):
            if len(rest) != 1:
                sys.stderr.write(usage)
                return 255
            for line in _section_command(uci, verb, rest[0]):
                print(line)
        elif verb in ("show", "export", "changes", "commit"):
            if len(rest) > 1:
                sys.stderr.write(usage)
                return 255
            for one in rest or _names(uci.root):
                try:
                    _package_command(uci, verb, one, extended)
                except UciError as problem:
                    if rest:
                        raise
                    if not quiet:
                        print(f"uci: {problem}", file=sys.stderr)
        elif verb in ("add", "rename", "reorder", "import", "batch", "help", "ren", "del"):
            raise NotKnown(f"uci {verb}")
        else:
            sys.stderr.write(usage)
            return 255
    except UciError as problem:
        if not quiet and str(problem):
            print(f"uci: {problem}", file=sys.stderr)
        return 1
    return 0
