# SPDX-License-Identifier: Apache-2.0
"""Doubt: messages of one side that Transactions leave out until they are believed."""

from __future__ import annotations

from algwatch.base.native.layout import CANCEL, INVITE, ROW_DIRECTED, ROW_OUTGOING
from algwatch.base.sighting import BITS, CALL, CSEQ, FLOW, METHOD, STATUS, TXN, Row, Sighting
from algwatch.base.table import Table
from algwatch.sip.transaction import WAY, Transaction, Way

TYPE_CHECKING = False
if TYPE_CHECKING:
    from algwatch.sip.dialog import DialogSet

WAYS = 256  # ways back remembered


class Doubt:
    """table, dialogs: of this side. room: bytes of messages left out at once; with more, those of
    the call with the most bytes count as they come. fresh: messages left out since the last time it
    was emptied, of both sides: those in doubt, and those of the same Call-ID behind them.

    calls: the bytes of those not released, by the hash of the Call-ID. spilled: calls that count as
    they come, since it was emptied. invites: the first INVITE of each call that began in this
    batch, by the same hash. back: the latest way that led back, by the flow of the request: with it
    nobody asks about a healthy message.
    """

    __slots__ = ("_table", "back", "calls", "dialogs", "fresh", "invites", "left", "room",
                 "spilled")  # fmt: skip

    def __init__(self, table: Table[int, Transaction], dialogs: Table[int, DialogSet],
                 fresh: list[Sighting], room: int) -> None:  # fmt: skip
        self._table = table
        self.dialogs = dialogs
        self.left = self.room = room
        self.fresh = fresh
        self.calls: dict[int, int] = {}
        self.spilled: set[int] = set()
        self.invites: dict[int, Transaction] = {}
        self.back: dict[int, Way] = {}

    def invite(self, call: int) -> Transaction | None:
        """The INVITE of this call."""
        s = self.dialogs.get(call)
        return self.invites.get(call) if s is None else s.invite

    def asks(self, row: Row, ends: bytes, t: Transaction) -> bool:
        """True if this message is to be left out. t: its request, of a request the INVITE of its
        call. Without a Call-ID it is of no call, as is most broken SIP of a flood."""
        call = row[CALL]
        return call != 0 and self.has_room(call) and self._is_doubtful(row, ends, t)

    def has_room(self, call: int) -> bool:
        """A message of this call can be left out. A flood takes no room from other calls."""
        if self.left > 0:
            return True
        calls = self.calls
        return call not in self.spilled and calls.get(call, 0) < max(calls.values(), default=0)

    def doubts(self, copy: Sighting) -> bool:
        """True if this message is in doubt itself, and not held for one of its call before it."""
        t = self.asked(copy.row)
        return t is not None and self._is_doubtful(copy.row, copy.packed_ends, t)

    def asked(self, row: Row) -> Transaction | None:
        """What this message follows: its request, or the INVITE of its call."""
        t = self._table.get(row[TXN] ^ row[CALL])
        if not row[STATUS]:
            # An ACK to a refusal is part of the transaction of its INVITE. Another CSeq number on a
            # branch in use is another request.
            again = t is not None and t.method == row[METHOD] and t.cseq == row[CSEQ]
            return None if again else self.invite(row[CALL])
        if (t is None or not t.flow) and row[METHOD] == INVITE:  # it has another Via
            return self.invite(row[CALL])
        return t

    def _is_doubtful(self, row: Row, ends: bytes, t: Transaction) -> bool:
        if not t.flow and row[METHOD] == INVITE:
            t = self.invite(row[CALL]) or t
        if not t.flow:
            return False
        way = way_back(row, t)
        if not row[STATUS] and row[METHOD] == CANCEL:  # only its sender cancels an INVITE
            return not _goes(row, ends, t, back=False)
        if _goes(row, ends, t, back=True):
            if len(self.back) >= WAYS:
                self.back.clear()
            self.back[t.flow] = way
            if row[STATUS]:
                t.way_back = way
            return False
        if row[STATUS]:
            return t.way_back != way
        return not _goes(row, ends, t, back=False)

    def hold(self, copy: Sighting) -> int:
        """Leave this message out. Returns its bytes."""
        calls, call, size = self.calls, copy.row[CALL], len(copy.payload)
        if self.left <= 0:
            largest = max(calls, key=calls.__getitem__)
            self.spilled.add(largest)
            self.left += calls[largest]
            calls[largest] = 0
        self.fresh.append(copy)
        self.left -= size
        calls[call] = calls.get(call, 0) + size
        return size

    def release(self, copy: Sighting, last: bool) -> None:
        """This message is in doubt no more. last: of its call."""
        calls, call, size = self.calls, copy.row[CALL], len(copy.payload)
        size = min(size, calls[call])  # a spilled call has given up its bytes
        self.left += size
        calls[call] -= size
        if last:
            del calls[call]


def way_back(row: Row, t: Transaction) -> Way:
    """The way of a message that follows this request."""
    return row[FLOW], row[BITS] & WAY, t.bits & WAY


def is_before(row: Row, ends: bytes, t: Transaction) -> bool:
    """True if t began with a response that is no answer to this request, because it came on another
    way. One that goes back may answer a copy of the request from before the capture. ends: of the
    request, empty if not known."""
    return bool(ends) and not _goes(row, ends, t, back=True)


def _goes(row: Row, ends: bytes, t: Transaction, back: bool) -> bool:
    """True if a message goes the way of a request, or back."""
    was = t.ends
    there = was[:32] + was[40:44]
    if back:
        there = was[16:32] + was[:16] + was[42:44] + was[40:42]
    if ends[:32] + ends[40:44] != there:
        return False
    return not row[BITS] & t.bits & ROW_DIRECTED or same_way(row, t) is not back


def same_way(row: Row, t: Transaction) -> bool:
    """True if both surely came in, or both went out."""
    if not row[BITS] & t.bits & ROW_DIRECTED:
        return False
    return not (row[BITS] ^ t.bits) & ROW_OUTGOING
