# SPDX-License-Identifier: Apache-2.0
"""Young: INVITEs of strangers that nobody has reacted to yet.

Most are of scanners: in a flood they are evicted before anything becomes of them. So a dialog set
and a call are made for one only when another message of it comes, on either side, or when the
window is over.
"""

from __future__ import annotations

from algwatch.base.deadlines import NEVER
from algwatch.base.sighting import AT, CALL, LENGTH, Row, Sighting
from algwatch.base.table import STRANGE, Weight, choose
from algwatch.sip.timers import WINDOW
from algwatch.sip.transaction import Transaction

MOST = 32
USUAL = 2048  # bytes of a message; a longer one is followed at once, where its bytes are counted

_Begun = tuple[Transaction, Row, Sighting]


class Young(dict[int, _Begun]):
    """By the hash of the Call-ID: the transaction, and its first message. Oldest first."""

    __slots__ = ()

    @property
    def due(self) -> int:
        """ns, the first one is as old as the window; NEVER without one."""
        for _, row, _ in self.values():
            return row[AT] + WINDOW
        return NEVER

    def put(self, t: Transaction, row: Row, copy: Sighting) -> list[int] | None:
        """Keep this INVITE. Returns the calls that go for it, chosen as in a full table; None: it
        is too long, and not kept."""
        if row[LENGTH] > USUAL:
            return None
        gone: list[int] = []
        if len(self) >= MOST:
            calls = list(self)
            hosts: list[Weight] = [(STRANGE, one.ends[:16]) for one, _, _ in self.values()]
            gone = [calls[i] for i in choose(hosts, MOST, MOST // 2)]
            for call in gone:
                del self[call]
        self[row[CALL]] = t, row, copy
        return gone
