"""The NAT mapping of this router, read from the IP and UDP headers of what crossed it."""

from __future__ import annotations

from typing import Any

from algwatch.base.sighting import AT, FLOW, Sighting
from algwatch.base.table import Table
from algwatch.compare.crossing import Crossing
from algwatch.sip.timers import SECOND

# An entry of the stock kernel lives at least 60 s (unreplied UDP); younger ones are still there.
LIFETIME = 60 * SECOND


_Entry = list[Any]  # LAN address and port (18 bytes), ns of the phone's last packet


class Mappings:
    """(WAN address and port, remote address and port) to LAN address and port.

    Learned from outbound crossings only: there the router's own NAT chose the WAN side. Where an
    inbound message really went is compared with it, never learned from it.
    """

    def __init__(self, limit: int) -> None:
        self._table: Table[bytes, _Entry] = Table(limit)
        self._agreed: Table[int, int] = Table(2 * limit)

    def feed(self, crossing: Crossing) -> None:
        """Learn from an outbound crossing; of an inbound one set `expected` when it went to
        another port of the same LAN host than the mapping says."""
        lan, wan = crossing.lan, crossing.wan
        if lan is None or wan is None:
            return
        # The same two flows as a moment ago say the same again; most messages end here.
        flows = lan.row[FLOW] << 32 | wan.row[FLOW]
        at = lan.row[AT]
        if 0 <= at - self._agreed.get(flows, -SECOND) < SECOND:
            return
        self._compare(crossing, lan, wan)
        if crossing.expected is None:
            self._agreed.pop(flows, None)
            self._agreed.add(flows, at)

    def _compare(self, crossing: Crossing, lan: Sighting, wan: Sighting) -> None:
        if crossing.outbound:
            inside = lan.source
            outside = wan.source
            if inside != outside:
                key = outside + wan.destination
                known = self._table.get(key)
                if known is None:
                    self._table.add(key, [inside, lan.row[AT]])
                else:
                    known[0] = inside
                    known[1] = lan.row[AT]
            return
        known = self._table.get(wan.destination + wan.source)
        if known is None:
            return
        expected, at = known
        went = lan.destination
        if expected != went and expected[:16] == went[:16] and wan.row[AT] - at < LIFETIME:
            crossing.expected = expected

    def contradicts(self, crossing: Crossing) -> bool:
        """Whether the NAT is known to mean another LAN host by this WAN address and port."""
        lan, wan = crossing.lan, crossing.wan
        if lan is None or wan is None:
            return False
        inside = lan.source if crossing.outbound else lan.destination
        ends = (wan.source, wan.destination) if crossing.outbound else (wan.destination, wan.source)
        known = self._table.get(ends[0] + ends[1])
        return known is not None and known[0][:16] != inside[:16]

    def is_known(self, lan: bytes, wan: bytes, remote: bytes) -> bool:
        """Whether lan (18 bytes) is what wan means towards remote."""
        known = self._table.get(wan + remote)
        return known is not None and bool(known[0] == lan)
