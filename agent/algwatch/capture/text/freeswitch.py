# SPDX-License-Identifier: Apache-2.0
"""FreeSWITCH's `sofia global siptrace on`, and other logs of sofia-sip (flexisip)."""

from __future__ import annotations

import re

from algwatch.capture.text.head import Format, Head, host
from algwatch.capture.text.times import Times

_HEAD = re.compile(
    r"\b(?P<way>recv|send) \d+ bytes (?:from|to) (?P<transport>\w+)/\[(?P<host>[^\]\s]+)\]"
    r"(?::(?P<port>\d+))?(?: at (?P<time>[\d:.]+))?:"
)


class Freeswitch(Format):
    name = "FreeSWITCH siptrace"

    def begins(self, line: str, times: Times) -> Head | None:
        found = _HEAD.search(line)
        if found is None:
            return None
        at = times.stamp(line[: found.start()])
        # The message's own time is finer than the log's, but has no date.
        at = times.stamp(found["time"] or "") or at
        return Head(at, found["transport"], host(found["host"], found["port"]),
                    found["way"] == "recv")  # fmt: skip

    def ends(self, line: str) -> bool:
        return len(line) > 20 and not line.strip().strip("-")
