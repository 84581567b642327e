# SPDX-License-Identifier: Apache-2.0
"""Qualify: OPTIONS repeated to learn whether an end is there (RFC 3261 section 11)."""

from __future__ import annotations

from collections.abc import Callable

from algwatch.base.sighting import AT
from algwatch.base.table import Table
from algwatch.sip.timers import SECOND, T2
from algwatch.sip.transaction import FINAL, REQUEST, TIMED_OUT, Event, Transaction

MISSED = 2  # OPTIONS without a repeat, or answered too late: one may be lost
# A phone or PBX that answers one host so often, for so long, is watched by it: a trunk that never
# registers. A scanner asks once.
WATCHED = 5
WATCHED_FOR = 60 * SECOND
TOO_LATE = 2 * T2  # by then the sender has long taken the other end for gone


class Asked:
    """The OPTIONS of one flow on one side. sent: their number, without retransmissions; answered:
    those with any final response in time. quickest, slowest, total: ns from the latest copy of one
    to its response. missed: those in a row without a response in time. down: the other end does not
    answer any more; outages: their count; down_at: ns, the first OPTIONS of the latest outage;
    late: the key of the one with a response late enough to show it; back: of the one whose response
    ended it; 0 = none. first_at, last_at, answered_at: ns."""

    __slots__ = ("answered", "answered_at", "back", "down", "down_at", "first_at", "last_at",
                 "late", "missed", "outages", "quickest", "sent", "slowest", "total")  # fmt: skip

    def __init__(self, at: int) -> None:
        self.first_at = self.last_at = at
        self.sent = self.answered = self.answered_at = 0
        self.quickest = self.slowest = self.total = 0
        self.missed = self.outages = self.down_at = self.back = self.late = 0
        self.down = False

    @property
    def is_watch(self) -> bool:
        """The other end answers somebody who watches it, who is no scanner then."""
        return self.answered >= WATCHED and self.answered_at - self.first_at >= WATCHED_FOR

    @property
    def interval(self) -> int:
        """ns between two of them, on average; 0 with one only."""
        return (self.last_at - self.first_at) // (self.sent - 1) if self.sent > 1 else 0

    def feed(self, code: int, t: Transaction, at: int) -> bool:
        """An event of an OPTIONS transaction; True if its response ended an outage, or came late
        enough to show one."""
        if code == REQUEST:
            self.sent += 1
            self.last_at = at
        elif code == FINAL and self.answered and at - t.at > TOO_LATE:
            if self._miss(t, False):
                self.late = t.key
                return True
        elif code == FINAL:
            took = at - (t.again.last_at or t.at if t.again is not None else t.at)
            self.quickest = min(self.quickest or took, took)
            self.slowest = max(self.slowest, took)
            self.total += took
            self.answered += 1
            self.answered_at = at
            self.missed = 0
            if self.down:
                self.down = False
                self.back = t.key
                return True
        elif code == TIMED_OUT:
            self._miss(t, not t.unrepeated)
        return False

    def _miss(self, t: Transaction, surely: bool) -> bool:
        """No response in time; True if this shows the begin of an outage. surely: by itself."""
        if t.at <= self.answered_at:
            return False
        if not self.missed:
            self.down_at = t.at
        self.missed += 1
        if not self.answered or self.down or not (surely or self.missed >= MISSED):
            return False
        self.down = True
        self.outages += 1
        return True


class Qualify:
    """One side's OPTIONS by the hash of their flow. limit: flows followed. met: called with the 48
    bytes of addresses of each OPTIONS whose sender turned out to watch the other end."""

    def __init__(self, limit: int) -> None:
        self.table: Table[int, Asked] = Table(limit)
        self.met: Callable[[bytes], None] | None = None

    def feed(self, event: Event) -> bool:
        """See Asked.feed."""
        code, t, row, _ = event
        if not t.flow:
            return False
        asked = self.table.get(t.flow)
        if asked is None:
            asked = Asked(row[AT])
            self.table.add(t.flow, asked, t.unsolicited)
        news = asked.feed(code, t, row[AT])
        if self.met is not None and code == FINAL and asked.is_watch:
            self.met(t.ends)
        return news and not t.unsolicited
