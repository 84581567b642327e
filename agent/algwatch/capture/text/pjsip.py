# SPDX-License-Identifier: Apache-2.0
"""Asterisk's `pjsip set logger on` (res_pjsip_logger)."""

from __future__ import annotations

import re

from algwatch.capture.text.head import Format, Head, host
from algwatch.capture.text.times import Times

_HEAD = re.compile(
    r"<--- (?P<way>Received|Transmitting) SIP (?:request|response) \(\d+ bytes\) (?:from|to) "
    r"(?P<transport>\w+):(?P<host>\S+?):(?P<port>\d+) --->"
)


class Pjsip(Format):
    name = "Asterisk, pjsip set logger on"

    def begins(self, line: str, times: Times) -> Head | None:
        found = _HEAD.search(line)
        if found is None:
            return None
        return Head(times.stamp(line[: found.start()]), found["transport"],
                    host(found["host"], found["port"]), found["way"] == "Received")  # fmt: skip
