# SPDX-License-Identifier: Apache-2.0
"""A strict reader of the daemon's log lines, as a program would read them."""

from __future__ import annotations

import re

_FIELD = re.compile(
    r' ([a-z]+[0-9]?)=(?:"((?:[^"\\]|\\(?:["\\nrt]|x..|u.{4}|U.{8}))*)"|([^\s"=]+))'
)
KINDS = ("agent", "finding", "advice", "call", "registration", "untold", "unwritten")


def fields(line: str) -> dict[str, str]:
    """The fields of a line behind its kind; AssertionError where it is no such line."""
    kind, space, _ = line.partition(" ")
    assert kind in KINDS and space, line
    found: dict[str, str] = {}
    at = len(kind)
    while at < len(line):
        match = _FIELD.match(line, at)
        assert match is not None, line[at:]
        key, quoted, plain = match.groups()
        assert key not in found, line
        found[key] = plain if quoted is None else re.sub(r"\\([\"\\])", r"\1", quoted)
        at = match.end()
    return found
