# SPDX-License-Identifier: Apache-2.0
"""Times in front of lines, in the forms of many programs, as ns since 1970 (UTC)."""

from __future__ import annotations

import re
from calendar import timegm

_MONTHS = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"]
_STAMP = re.compile(
    r"(?:(?P<y>\d{4})[-/](?P<m>\d\d)[-/](?P<d>\d\d)[ T]|"
    rf"(?P<mon>{'|'.join(_MONTHS)})[a-z]* +(?P<day>\d{{1,2}})(?:,? (?P<year>\d{{4}}))?,? )?"
    r"(?P<H>[01]\d|2[0-3]):(?P<M>[0-5]\d):(?P<S>[0-5]\d|60)(?:[.,](?P<f>\d{1,9}))?"
    r"(?P<zone>Z|[+-]\d\d:?\d\d)?"
)
_EPOCH = re.compile(r"\b(1\d{9})\.(\d{1,9})\b")
SECOND = 1_000_000_000
DAY = 86400
FRONT = 40  # characters
YEAR = 2000  # of a stamp without one; a leap year, for 29 February


class Times:
    """The times of one text. latest: of the last stamp, ns; 0 before one. made_up: its date, or its
    year, was not given."""

    def __init__(self) -> None:
        self.latest = 0
        self.made_up = False
        self._dated = False
        self._day = timegm((YEAR, 1, 1, 0, 0, 0))
        self._year = YEAR

    def begin(self, line: str) -> None:
        """A line that may begin with a time. Elsewhere in it hardware addresses look like a
        time."""
        line = line[:FRONT].lstrip("[(< ")
        if _STAMP.match(line):
            self.stamp(line)

    def stamp(self, text: str) -> int:
        """The time in a piece of text, 0 without one."""
        found = _STAMP.search(text)
        if found is None:
            epoch = _EPOCH.search(text)
            if epoch is None:
                return 0
            self.made_up = False
            self.latest = int(epoch[1]) * SECOND + int(epoch[2].ljust(9, "0"))
            return self.latest
        of_day = int(found["H"]) * 3600 + int(found["M"]) * 60 + int(found["S"])
        if found["y"] or found["mon"]:
            self._day = self._date(found)
        else:
            self.made_up = not self._dated
            if self.latest and self._day + of_day < self.latest // SECOND - DAY // 2:
                self._day += DAY  # past midnight
        seconds = self._day + of_day
        if (zone := found["zone"]) and zone != "Z":
            east = int(zone[1:3]) * 3600 + int(zone[-2:]) * 60
            seconds += east if zone[0] == "-" else -east
        at = seconds * SECOND + int((found["f"] or "").ljust(9, "0"))
        self.latest = max(at, SECOND)
        return self.latest

    def _date(self, found: re.Match[str]) -> int:
        if found["y"]:
            year, month, day = int(found["y"]), int(found["m"]), int(found["d"])
            self._dated, self.made_up = True, False
        else:
            self.made_up = not (found["year"] or self._dated)
            year = int(found["year"] or self._year)
            month, day = _MONTHS.index(found["mon"]) + 1, int(found["day"])
        if not (1970 <= year <= 2105 and 1 <= month <= 12 and 1 <= day <= 31):
            return self._day
        self._year = year
        return timegm((year, month, day, 0, 0, 0))
