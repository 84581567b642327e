# SPDX-License-Identifier: Apache-2.0
"""Unsolicited: who knocks on the WAN side without having been asked.

Internet scanners send REGISTER, OPTIONS and INVITE to port 5060 all day. A request that comes
from an address to which no phone has ever sent anything, for a call that nobody knows, is a
unsolicited's: it is followed in little room (base/table.py), and what is known goes first.
"""

from __future__ import annotations

from typing import Any

from algwatch.base.native.layout import ROW_OUTGOING
from algwatch.base.sighting import BITS, CALL, Row, Sighting
from algwatch.base.table import Table


class Unsolicited:
    """calls: compare/call.py's, by hash of the Call-ID. limit: far sides that are remembered."""

    def __init__(self, calls: Table[int, Any], limit: int) -> None:
        self._calls = calls
        self._known: Table[bytes, None] = Table(limit)

    def ask(self, row: Row, ends: bytes) -> bool:
        """A phone has sent the request of this row, with its 48 bytes of addresses: who gets it
        is known from now on. No unsolicited's."""
        remote = ends[16:32]
        if remote not in self._known:
            self._known.add(remote, None)
        return False

    def meet(self, row: Row, ends: bytes) -> bool:
        """Whether the request of a WAN row is a unsolicited's."""
        # The WAN copy is often read first: whole blocks of a flood are, quiet ones wait.
        if row[BITS] & ROW_OUTGOING:
            return self.ask(row, ends)
        return self._is_one(row, ends)

    def sent(self, copy: Sighting) -> bool:
        """As meet(), of any message: a response that nobody waits for is a unsolicited's too."""
        return self._is_one(copy.row, copy.packed_ends)

    def _is_one(self, row: Row, ends: bytes) -> bool:
        if row[BITS] & ROW_OUTGOING:
            return False
        # A call that only unsolicited have asked for makes nobody known.
        call = self._calls.get(row[CALL])
        if call is not None and not call.unsolicited:
            return False
        # From a file nobody knows which way it went: one known end is enough.
        return ends[:16] not in self._known and ends[16:32] not in self._known
