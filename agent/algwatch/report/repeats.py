# SPDX-License-Identifier: Apache-2.0
"""Repeats: the same finding about another call is counted, not sent again by itself.

A phone with every call dropped is one finding with a counter. A series is the findings of one rule
about one line with the same cause, place and harm. Its first finding is sent at once, then the
tenth, the hundredth and so on. The counter of the others follows an hour after the latest report of
the series, then after two hours, four, up to a day, without evidence; after a day without a finding
the next is news. A finding with worse harm begins another series, so it is sent at once. So is a
finding that takes another back, and every update of a finding already sent.
"""

from __future__ import annotations

from time import monotonic

from algwatch.base.digest import digest
from algwatch.base.table import Table
from algwatch.compare.weights import by_phone
from algwatch.diagnose import cause

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from algwatch.diagnose.finding import Finding

SERIES = 256  # remembered series
SENT = 512  # findings remembered as sent
SOONEST, LATEST = 3600.0, 86400.0  # seconds until a counter follows

Name = tuple[str, str, str, str, str, str, bool]


def name_of(finding: Finding) -> Name:
    """Names the series of a finding; the line is its second part."""
    return (finding.rule, finding.line, finding.cause, finding.where, finding.harm,
            finding.fingerprint, finding.certain)  # fmt: skip


class Series:
    """times: its findings. first, last: their times, seconds of the clock. said: the report sent of
    it, b"" before. told: the count in the latest report."""

    __slots__ = ("due", "first", "key", "last", "said", "times", "told", "wait")

    def __init__(self, now: float) -> None:
        self.first = self.last = now
        self.times = self.told = 0
        self.said = b""
        self.key = 0  # digest of the latest finding's key
        self.wait = SOONEST
        self.due = now


class Repeats:
    """clock: seconds, monotonic. unsent: findings only counted, by rule."""

    def __init__(self, clock: Callable[[], float] = monotonic) -> None:
        self._clock = clock
        self._series: Table[Name, Series] = Table(SERIES, lambda name, _: by_phone(name[1], None))
        self._sent: Table[int, None] = Table(SENT)
        self.unsent: dict[str, int] = {}

    def feed(self, finding: Finding, age: float) -> bool:
        """Count it; True to send it now. age: seconds since it happened."""
        name, key = name_of(finding), digest(finding.key)
        now = self._clock()
        one = self._series.get(name)
        if one is None or now - one.last > LATEST:
            one = Series(now - age)
            self._series.add(name, one)
        one.last = now - age
        is_same, one.key = one.key == key, key
        one.times += not is_same
        if not one.told or finding.takes_back or (not is_same and _is_round(one.times)):
            return True
        # Findings about the capture have other numbers each second.
        if now >= one.due if is_same and finding.cause == cause.CAPTURE else key in self._sent:
            return True
        self.unsent[finding.rule] = self.unsent.get(finding.rule, 0) + 1
        return False

    def of(self, finding: Finding) -> Series:
        """The series of a counted finding."""
        one = self._series.get(name_of(finding))
        if one is None:
            self.feed(finding, 0.0)
            one = self._series[name_of(finding)]
        return one

    def sent(self, one: Series, said: bytes) -> None:
        """A report of the series was sent. said: the finding to send again with its counter."""
        self._sent.add(one.key, None)
        self._wait(one)
        one.told, one.said = one.times, said

    def due(self, always: bool = False) -> list[Series]:
        """Series with a counter due now; the sender sets `told`. always: also those not yet due."""
        now = self._clock()
        found = []
        for one in self._series.values():
            if one.said and one.told != one.times and (always or now >= one.due):
                self._wait(one)
                found.append(one)
        return found

    def _wait(self, one: Series) -> None:
        one.due = self._clock() + one.wait
        one.wait = min(2 * one.wait, LATEST)


def _is_round(times: int) -> bool:
    """True for 10, 100, 1000 and so on."""
    while times > 9 and times % 10 == 0:
        times //= 10
    return times == 1
