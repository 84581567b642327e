# SPDX-License-Identifier: Apache-2.0
"""Doubt: messages of one side that Transactions leave out until they are believed."""

from __future__ import annotations

from collections.abc import Callable

from algwatch.base.native.layout import ROW_OUTGOING
from algwatch.base.sighting import BITS, CALL, FLOW, Row, Sighting
from algwatch.sip.transaction import Transaction

Asked = Callable[[Row, bytes, Transaction | None], bool]


class Doubt:
    """is_doubtful: asked with a row, its addresses, and the transaction of a response, or None for
    a new request. room: bytes of messages left out at once; more count as they come.

    fresh: messages left out since the last time it was emptied: those in doubt, and those of the
    same Call-ID behind them. calls: the number of those not released, by the hash of the Call-ID.
    invites: the first INVITE of each call that began in this batch, by the same hash.
    """

    __slots__ = ("calls", "fresh", "invites", "is_doubtful", "left", "room")

    def __init__(self, is_doubtful: Asked, room: int) -> None:
        self.is_doubtful = is_doubtful
        self.left = self.room = room
        self.fresh: list[Sighting] = []
        self.calls: dict[int, int] = {}
        self.invites: dict[int, Transaction] = {}

    def asks(self, row: Row, ends: bytes, t: Transaction | None) -> bool:
        """True if this message is to be left out."""
        return self.left > 0 and self.is_doubtful(row, ends, t)

    def hold(self, copy: Sighting) -> int:
        """Leave this message out. Returns its bytes."""
        size = len(copy.payload)
        self.fresh.append(copy)
        self.left -= size
        call = copy.row[CALL]
        self.calls[call] = self.calls.get(call, 0) + 1
        return size

    def release(self, copy: Sighting) -> None:
        """This message is in doubt no more."""
        self.left += len(copy.payload)
        call = copy.row[CALL]
        self.calls[call] -= 1
        if not self.calls[call]:
            del self.calls[call]


def way(row: Row) -> int:
    """Flow and direction of a message (see Transaction.way_back)."""
    return row[FLOW] << 3 | row[BITS] & ROW_OUTGOING
