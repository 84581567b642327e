# SPDX-License-Identifier: Apache-2.0
"""Files of kamailio's module sipdump."""

from __future__ import annotations

import re

from algwatch.capture.text.head import Format, Head, host
from algwatch.capture.text.times import Times

_FIELD = re.compile(r"(tag|pid|process|time|date|proto|srcip|srcport|dstip|dstport): (.*)$")


class Sipdump(Format):
    name = "kamailio sipdump"

    def __init__(self) -> None:
        self._fields: dict[str, str] = {}

    def begins(self, line: str, times: Times) -> Head | None:
        if found := _FIELD.match(line):
            if found[1] == "tag":
                self._fields = {}
            self._fields[found[1]] = found[2].strip()
            return None
        if not line.startswith("~~~~~~~~") or "srcip" not in self._fields:
            return None
        fields, self._fields = self._fields, {}
        src = host(fields["srcip"], fields.get("srcport"))
        dst = host(fields.get("dstip", ""), fields.get("dstport"))
        at = times.stamp(fields.get("time", "")) or times.stamp(fields.get("date", ""))
        return Head(at, fields.get("proto", "").split(" ")[0], src=src, dst=dst)

    def ends(self, line: str) -> bool:
        return line.startswith("||||||||")
