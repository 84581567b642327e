"""Transactions as a passive observer sees them (RFC 3261 section 17), one table a side.

The only stage besides pairing that sees every row, so it is the hot loop of the agent: what
happens to a message of a healthy call is one dict lookup and a few assignments.
"""

from __future__ import annotations

from collections import deque

from algwatch.base.native import ACK, INVITE, KIND_SIP, ROW
from algwatch.base.packet import Batch
from algwatch.base.sighting import AT, IP_ID, METHOD, STATUS, TTL, Row
from algwatch.base.table import Table
from algwatch.sip.timers import TIMER_B, TIMER_L, WINDOW

# Events: (code, transaction, row, index of the row in its batch). Only what a dialog has to know;
# retransmissions of other requests are counted on the transaction.
REQUEST = 0  # first sighting of a request
PROVISIONAL = 1  # first 1xx
FINAL = 2  # first final response
FINAL_AGAIN = 3  # a final response to INVITE once more
ACKED = 4  # ACK that belongs to the INVITE transaction: non-2xx (section 17.1.1.3)
ORPHAN = 5  # a response whose request was not seen
TIMED_OUT = 6  # no response at all until Timer B or F
REQUEST_AGAIN = 7  # an INVITE or ACK once more

Event = tuple[int, "Transaction", Row, int]
Seen = tuple[Row, int]  # a row and its index in the batch


class Transaction:
    """method, cseq, call (hash), from_tag (hash): of the request. requests: how often it was
    seen. finals: how often the final response was. Times in ns; 0 = not yet."""

    __slots__ = ("at", "call", "cseq", "final_at", "finals", "from_tag", "last", "last_at",
                 "method", "provisional_at", "requests", "status")  # fmt: skip

    def __init__(self, row: Row) -> None:
        (self.at, _, self.call, _, _, self.from_tag, _, self.cseq, _, _, status, _, _, _,
         self.method, _, _) = row  # fmt: skip
        self.last = row
        self.last_at = self.at
        self.status = status
        self.provisional_at = 0
        if status:
            self.requests = 0
            self.finals = 1
            self.final_at = self.at
        else:
            self.requests = 1
            self.finals = 0
            self.final_at = 0


class Transactions:
    """One side's transactions. limit: how many are followed at once.

    duplicates counts packets that were captured more than once (CAP007): the same message with
    the same IP ID and TTL within the window, which no retransmission can be.
    """

    def __init__(self, limit: int) -> None:
        self.table: Table[int, Transaction] = Table(limit)
        self.duplicates = 0
        self.duplicate: Seen | None = None
        self._deadlines: deque[tuple[int, int, Transaction]] = deque()

    def feed(self, batch: Batch, fresh: list[Seen], other: list[Seen]) -> list[Event]:
        """Appends rows of SIP messages that are no duplicates to fresh, rows of other kinds to
        other; returns the events of this batch."""
        events: list[Event] = []
        table = self.table
        get = table.get
        event = events.append
        keep = fresh.append
        for i, row in enumerate(ROW.iter_unpack(batch.rows)):
            (at, key, _, _, _, _, _, _, _, _, status, ip_id, _, kind, method, ttl, _) = row
            if kind != KIND_SIP:
                other.append((row, i))
                continue
            t = get(key)
            if t is None:
                t = Transaction(row)
                table.add(key, t)
                self._deadlines.append((at + TIMER_B, key, t))
                event((ORPHAN if status else REQUEST, t, row, i))
                keep((row, i))
                continue
            last = t.last
            if (
                last[STATUS] == status
                and at - last[AT] < WINDOW
                and last[IP_ID] == ip_id
                and last[TTL] == ttl
                and last[METHOD] == method
            ):
                self.duplicates += 1
                self.duplicate = (row, i)
                continue
            keep((row, i))
            t.last = row
            t.last_at = at
            if not status:
                if method == ACK and t.method == INVITE:
                    event((ACKED, t, row, i))
                else:
                    t.requests += 1
                    if method <= ACK:
                        event((REQUEST_AGAIN, t, row, i))
            elif status < 200:
                if not t.provisional_at:
                    t.provisional_at = at
                    event((PROVISIONAL, t, row, i))
            elif not t.final_at:
                t.final_at = at
                t.status = status
                t.finals = 1
                event((FINAL, t, row, i))
            else:
                t.finals += 1
                if t.method == INVITE:
                    t.status = status
                    event((FINAL_AGAIN, t, row, i))
        return events

    def advance(self, now: int) -> list[Event]:
        """Timers B and F, and forgetting what is over. now: ns of packet time."""
        events: list[Event] = []
        deadlines = self._deadlines
        table = self.table
        while deadlines and deadlines[0][0] <= now:
            _, key, t = deadlines.popleft()
            if table.get(key) is not t:
                continue  # evicted
            if not t.final_at and not t.provisional_at and t.requests and t.method != ACK:
                events.append((TIMED_OUT, t, t.last, -1))
            # What still moves is kept: INVITE has no timer while it proceeds (section 17.1.1.2).
            idle = t.last_at + TIMER_L
            proceeding = t.method == INVITE and t.provisional_at and not t.final_at
            if proceeding or idle > now:
                deadlines.append((max(idle, now + TIMER_L), key, t))
            else:
                del table[key]
        return events
