# SPDX-License-Identifier: Apache-2.0
"""Stands in for `uci export` and validate_data, which the service's script calls.

validate_data keeps to OpenWrt's own (ubox, validate/cli.c): values that are strings come quoted,
numbers do not; a value that is not valid unsets its variable and makes the status not 0; in a list
the last item decides. A type that is not known here ends with a failure.
"""

from __future__ import annotations

import os
import re
import sys
from pathlib import Path

ROOT = Path(os.environ["ROOT"])
SWITCH = {word: str(value) for value, words in enumerate(
    (("0", "off", "false", "no", "disabled"), ("1", "on", "true", "yes", "enabled"))
) for word in words}  # fmt: skip


def parse(text: str) -> dict[str, dict[str, str | list[str]]]:
    """UCI text by section name."""
    sections: dict[str, dict[str, str | list[str]]] = {}
    current: dict[str, str | list[str]] = {}
    for line in text.splitlines():
        words = [a or b or c for a, b, c in re.findall(r"'([^']*)'|\"([^\"]*)\"|([^\s'\"]+)", line)]
        if not words or words[0].startswith("#"):
            continue
        if words[0] == "config":
            name = words[2] if len(words) > 2 else f"cfg{len(sections):02x}"
            current = sections.setdefault(name, {"TYPE": words[1]})
        elif words[0] == "option":
            # Values are escaped here as \n, to be written in tests on one line.
            current[words[1]] = words[2].replace("\\n", "\n") if len(words) > 2 else ""
        elif words[0] == "list":
            items = current.setdefault(words[1], [])
            assert isinstance(items, list)
            items.append(words[2])
        else:
            sys.exit("uci: Parse error")
    return sections


def load(package: str) -> dict[str, dict[str, str | list[str]]]:
    path = ROOT / "etc/config" / package
    if not path.exists():
        sys.exit(1)
    return parse(path.read_text())


def quoted(value: str) -> str:
    return "'" + value.replace("'", "'\"'\"'") + "'"


def export(package: str) -> None:
    sections = load(package)
    for name, options in sections.items():
        for option, value in options.items():
            text = value if isinstance(value, str) else " ".join(value)
            print(f"CONFIG_{name}_{option}={quoted(text)}")
    print(f"CONFIG_SECTIONS={quoted(' '.join(sections))}")


def kind_of(expression: str, value: str) -> str:
    """bool, number, string, or nothing when the value does not fit."""
    inner = re.fullmatch(r"list\((.*)\)", expression)
    if inner:
        kinds = [kind_of(inner[1], word) for word in value.split()]
        return kinds[-1] if kinds and all(kinds) else ""
    between = re.fullmatch(r"range\((\d+),(\d+)\)", expression)
    if between:
        fits = value.isdigit() and int(between[1]) <= int(value) <= int(between[2])
        return "number" if fits else ""
    if expression == "bool":
        return "bool" if value in SWITCH else ""
    if expression == "string":
        return "string"
    if expression == "file":
        return "string" if (ROOT / value.lstrip("/")).is_file() else ""
    sys.exit(f"validate_data: {expression} is not known to this stand-in")


def escaped(kind: str, value: str) -> str:
    if kind == "bool":
        return SWITCH[value]
    return quoted(value) if kind == "string" else value


def validate(package: str, section: str, rules: list[str]) -> int:
    if not section:
        return 0
    options = load(package).get(section, {})
    status = 0
    for rule in rules:
        name, expression, *rest = rule.split(":")
        value = options.get(name) or (rest[0] if rest else "")
        items = value if isinstance(value, list) else [value]
        kinds = [kind_of(expression, item) for item in items if item]
        for item, kind in zip(items, kinds, strict=False):
            said = f"{package}.{section}.{name}={item} validates as {expression}"
            print(said, "with", "true" if kind else "false", file=sys.stderr)
        if not kinds or not kinds[-1]:
            print(f"unset -v {name};")
            status = status or int(bool(kinds))
            continue
        texts = [
            escaped(kind, item) if kind else "" for item, kind in zip(items, kinds, strict=True)
        ]
        print(f"{name}=" + "\\ ".join(texts) + ";")
    return status


def main(name: str, words: list[str]) -> int:
    if name == "uci_export":
        export(words[0])
    elif name == "validate_data":
        return validate(words[0], words[2], words[3:])
    else:
        return 127
    return 0


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1]).name, sys.argv[2:]))
