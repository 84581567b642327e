# SPDX-License-Identifier: Apache-2.0
"""Unsolicited messages: a host on the WAN side sends them, and no phone has sent it anything.

Internet scanners send REGISTER, OPTIONS and INVITE to port 5060 all day. A request is unsolicited
when no phone has ever sent anything to its source address, and none answers OPTIONS of it
regularly, and its call is not known. Tables
(base/table.py) give unsolicited requests little room, and prefer known calls.
"""

from __future__ import annotations

from algwatch.base.native.layout import ROW_OUTGOING
from algwatch.base.sighting import BITS, CALL, Row, Sighting
from algwatch.base.table import Table
from algwatch.base.typed import Any


class Unsolicited:
    """calls: Call objects (compare/call.py) by hash of the Call-ID. limit: far hosts remembered."""

    def __init__(self, calls: Table[int, Any], limit: int) -> None:
        self._calls = calls
        # By far host: the LAN host that has sent it something; b"" with only a WAN copy.
        self.known: Table[bytes, bytes] = Table(limit)

    def ask(self, row: Row, ends: bytes) -> bool:
        """Remember the destination of a request that a phone has sent. ends: its 48 bytes of
        addresses. Returns False: the request is not unsolicited."""
        remote = ends[16:32]
        if not self.known.get(remote):
            self.known.add(remote, ends[:16])
        return False

    def meet(self, row: Row, ends: bytes) -> bool:
        """True if the request of a WAN row is unsolicited."""
        # The WAN copy is often read first: a busy tap gets its blocks sooner than a quiet one.
        if row[BITS] & ROW_OUTGOING:
            remote = ends[16:32]
            if remote not in self.known:
                self.known.add(remote, b"")
            return False
        return self._is_one(row, ends)

    def watches(self, ends: bytes) -> None:
        """The sender of this request asks regularly whether a phone is there, and is answered: it
        is known. ends: of the LAN copy."""
        if ends[:16] not in self.known:
            self.known.add(ends[:16], b"")

    def sent(self, copy: Sighting) -> bool:
        """True if this message, a request or a response, is unsolicited. Remembers nothing."""
        return self._is_one(copy.row, copy.packed_ends)

    def _is_one(self, row: Row, ends: bytes) -> bool:
        if row[BITS] & ROW_OUTGOING:
            return False
        # A call that began with an unsolicited request makes no host known.
        call = self._calls.get(row[CALL])
        if call is not None and not call.unsolicited:
            return False
        # The direction of a packet from a file is unknown: one known end is enough.
        return ends[:16] not in self.known and ends[16:32] not in self.known
