# SPDX-License-Identifier: Apache-2.0
"""OwnFlows: flows of programs on the router itself, and those logged in one direction only.

Their messages are logged before NAT (capture/nflog.py), so both copies have one TTL. Inbound
messages of a flow with a helper are not logged, because the helper changes them behind every hook.
So nothing follows if the WAN side alone shows one.
"""

from __future__ import annotations

from algwatch.base.native.layout import ROW_OUTGOING
from algwatch.base.packet import LAN, WAN
from algwatch.base.sighting import BITS, Sighting
from algwatch.base.table import Table
from algwatch.compare.crossing import Crossing

FLOWS = 64


class OwnFlows:
    """Keys are WAN address and port and the far host (34 bytes). elsewhere: such keys of flows with
    messages to a far host of phones here, none of which came from the LAN side: of a program on the
    router, or of a phone in a network that was not captured. hidden: such keys of flows logged
    in one direction only, and the same by LAN address and far host (32 bytes)."""

    __slots__ = ("_own", "elsewhere", "hidden")

    def __init__(self) -> None:
        self._own: Table[bytes, list[bytes]] = Table(FLOWS)  # its line; empty once it was heard
        self.elsewhere: Table[bytes, None] = Table(FLOWS)
        self.hidden: Table[bytes, bool] = Table(2 * FLOWS)

    def cross(self, crossing: Crossing) -> None:
        """Both copies have one TTL."""
        lan, wan, pair = crossing.lan, crossing.wan, crossing.flow_pair
        if lan is None or wan is None or pair is None:
            return
        key = pair.outside[:34]
        known = self._own.get(key)
        if not crossing.outbound:
            if known:
                known.clear()
        elif known is None:
            self._own.add(key, [pair.line])

    def hides(self, copy: Sighting) -> bool:
        """A message on the WAN side alone belongs to such a flow, and no inbound message of it was
        ever logged."""
        if copy.side != WAN or copy.row[BITS] & ROW_OUTGOING:
            return False
        key = copy.destination + copy.source[:16]
        line = self._own.get(key)
        if not line:
            return False
        for one in (key, line[0]):
            if one not in self.hidden:
                self.hidden.add(one, True)
        return True

    def note_sent(self, copy: Sighting) -> None:
        """This message left on the WAN side and came from nowhere."""
        self.elsewhere.add(copy.source + copy.destination[:16], None)

    def is_elsewhere(self, copy: Sighting) -> bool:
        """The destination of this message on the WAN side sends to its source."""
        return copy.destination + copy.source[:16] in self.elsewhere

    def is_hidden(self, copy: Sighting) -> bool:
        """True if this message is of a flow logged in one direction only."""
        if not self.hidden:
            return False
        source, destination = copy.source, copy.destination
        if copy.side == LAN:
            keys = (source[:16] + destination[:16], destination[:16] + source[:16])
        else:
            keys = (source + destination[:16], destination + source[:16])
        return keys[0] in self.hidden or keys[1] in self.hidden
