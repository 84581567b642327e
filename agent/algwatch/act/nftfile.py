# SPDX-License-Identifier: Apache-2.0
"""The file of plain nftables: its lines that set the SIP helper become comments.

Only a line with one whole rule is touched. If the rules have any other form the file stays
unchanged, and people are told the rules.
"""

from __future__ import annotations

import re

FILE = "etc/nftables.conf"
_SETS = re.compile(rb'\bct\s+helper\s+set\s+"?([\w.-]+)"?')
_MARK = b"# algwatch change %d: "


def with_helper(data: bytes, number: int) -> bytes:
    """The same file with the comments of change `number` as rules again."""
    return data.replace(_MARK % number, b"")


def without_helper(data: bytes, helpers: set[str], count: int, number: int) -> bytes | None:
    """The same file with `count` rules turned into comments; None if it does not hold just these
    rules, one a line. helpers: names of the helper objects."""
    lines = data.splitlines(keepends=True)
    hits = 0
    for n, line in enumerate(lines):
        code = line.partition(b"#")[0]
        found = _SETS.search(code)
        if found is None or found[1].decode("ascii", "replace") not in helpers:
            continue
        rule = code.strip().rstrip(b";")
        starts = (b"table", b"chain", b"}", b"{")
        if rule.startswith(starts) or b";" in rule or rule.count(b"{") != rule.count(b"}"):
            return None
        goes_on = line.rstrip(b"\r\n").endswith(b"\\"), n and lines[n - 1].rstrip().endswith(b"\\")
        if any(goes_on):  # the rest of it would be another rule
            return None
        indent = line[: len(line) - len(line.lstrip())]
        lines[n] = indent + _MARK % number + line.lstrip()
        hits += 1
    return b"".join(lines) if hits == count else None
