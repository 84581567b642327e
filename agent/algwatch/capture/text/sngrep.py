# SPDX-License-Identifier: Apache-2.0
"""Text saved by sngrep, or printed by ngrep and sipgrep (-W byline)."""

from __future__ import annotations

import re

from algwatch.capture.text.head import Format, Head, host
from algwatch.capture.text.times import Times

_HEAD = re.compile(
    r"(?:(?P<letter>[UT])\(?\d*\)? )?(?P<time>\d{4}/\d\d/\d\d \d\d:\d\d:\d\d(?:\.\d+)?)? ?"
    r"(?P<src>\S+):(?P<sport>\d+) -> (?P<dst>\S+):(?P<dport>\d+)(?: \[\w+\])?(?: #\d+)?$"
)


class Sngrep(Format):
    name = "sngrep, ngrep or sipgrep"

    def begins(self, line: str, times: Times) -> Head | None:
        found = _HEAD.match(line)
        if found is None or not (found["letter"] or found["time"]):
            return None
        transport = {"U": "UDP", "T": "TCP"}.get(found["letter"] or "", "")
        return Head(times.stamp(found["time"] or ""), transport,
                    src=host(found["src"], found["sport"]),
                    dst=host(found["dst"], found["dport"]))  # fmt: skip
