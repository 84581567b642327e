"""Strangers: who knocks on the WAN side without having been asked.

Internet scanners send REGISTER, OPTIONS and INVITE to port 5060 all day. A request that comes
from an address to which no phone has ever sent anything, for a call that nobody knows, is a
stranger's: it is followed in little room (base/table.py), and what is known goes first.
"""

from __future__ import annotations

from collections.abc import Container

from algwatch.base.native import ROW_OUTGOING
from algwatch.base.packet import Batch
from algwatch.base.sighting import BITS, CALL, Row
from algwatch.base.table import Table


class Strangers:
    """calls: hashes of the Call-IDs that are followed. limit: far sides that are remembered."""

    def __init__(self, calls: Container[int], limit: int) -> None:
        self._calls = calls
        self._known: Table[bytes, None] = Table(limit)

    def spoken_to(self, remote: bytes) -> None:
        """A phone has sent something to this address (16 bytes)."""
        if remote not in self._known:
            self._known.add(remote, None)

    def meet(self, row: Row, i: int, batch: Batch) -> bool:
        """Whether the request of a WAN row, index i in its batch, is a stranger's."""
        if row[BITS] & ROW_OUTGOING or row[CALL] in self._calls:
            return False
        src, dst = batch.ends[48 * i : 48 * i + 16], batch.ends[48 * i + 16 : 48 * i + 32]
        # From a file nobody knows which way it went: one known end is enough.
        return src not in self._known and dst not in self._known
