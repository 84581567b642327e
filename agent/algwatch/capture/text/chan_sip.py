# SPDX-License-Identifier: Apache-2.0
"""Asterisk's `sip set debug on` (chan_sip)."""

from __future__ import annotations

import re

from algwatch.capture.text.head import Format, Head, host
from algwatch.capture.text.times import Times

_READ = re.compile(r"<--- SIP read from (?:(?P<transport>\w+):)?(?P<host>\S+?):(?P<port>\d+) --->")
_SENT = re.compile(
    r"(?:<--- )?(?:Reliably Transmitting|Transmitting|Retransmitting #\d+) \([^)]*\) to "
    r"(?P<host>\S+?):(?P<port>\d+)(?: --->|:$)"
)
_END = re.compile(r"<-{6,}>$|---$|--- \(\d+ headers")


class ChanSip(Format):
    name = "Asterisk, sip set debug on"

    def begins(self, line: str, times: Times) -> Head | None:
        found = _READ.search(line) or _SENT.search(line)
        if found is None:
            return None
        read = found.re is _READ
        return Head(times.stamp(line[: found.start()]), (read and found["transport"]) or "",
                    host(found["host"], found["port"]), read)  # fmt: skip

    def ends(self, line: str) -> bool:
        return _END.match(line) is not None
