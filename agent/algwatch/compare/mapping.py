"""The NAT mapping of this router, read from the IP and UDP headers of what crossed it."""

from __future__ import annotations

from typing import Any

from algwatch.base.sighting import AT, FLOW, Sighting
from algwatch.base.table import Table
from algwatch.compare.crossing import Crossing
from algwatch.compare.flow_pair import FlowPair
from algwatch.sip.timers import SECOND

# An entry of the stock kernel lives at least 60 s (unreplied UDP); younger ones are still there.
LIFETIME = 60 * SECOND


_Entry = list[Any]  # LAN address and port (18 bytes), ns of the phone's last packet


class Mappings:
    """(WAN address and port, remote address and port) to LAN address and port.

    Learned from outbound crossings only: there the router's own NAT chose the WAN side. Where an
    inbound message really went is compared with it, never learned from it.
    limit: mappings, and flow_pairs on which something crosses. flow_pairs: those, by the hashes of both flows,
    for who has time to look for himself (see way()).
    """

    def __init__(self, limit: int) -> None:
        self._table: Table[bytes, _Entry] = Table(limit)
        self.flow_pairs: Table[int, FlowPair] = Table(limit // 2)

    def flow_pair(self, lan: Sighting, wan: Sighting, outbound: bool) -> FlowPair:
        """The way on which these two copies of one message came. What it says of the NAT is good
        for a second: then its addresses are looked at again, and `agreed` is negative."""
        flows = lan.row[FLOW] << 32 | wan.row[FLOW]
        way = self.flow_pairs.get(flows)
        if way is not None and way.outbound is outbound:
            if 0 <= lan.row[AT] - way.agreed < SECOND:
                return way
            if way.is_of(lan, wan):
                way.agreed = -SECOND
                return way
        way = FlowPair(lan, wan, outbound)
        self.flow_pairs.add(flows, way)
        return way

    def learn(self, crossing: Crossing) -> None:
        """Learn from an outbound crossing with both copies; of an inbound one set `expected` when
        it went to another port of the same LAN host than the mapping says."""
        lan, wan, way = crossing.lan, crossing.wan, crossing.flow_pair
        if lan is None or wan is None or way is None:
            return
        at = lan.row[AT]
        known = self._table.get(way.outside)
        if known is not None and not way.outbound:
            expected, used = known
            other = expected != way.inside and expected[:16] == way.inside[:16]
            if other and wan.row[AT] - used < LIFETIME:
                crossing.expected = expected
                return
        elif way.outbound and way.translated:
            if known is None:
                self._table.add(way.outside, [way.inside, at])
            else:
                known[0] = way.inside
                known[1] = at
        way.agreed = at

    def contradicts(self, lan: Sighting, wan: Sighting, outbound: bool) -> bool:
        """Whether the NAT is known to mean another LAN host by this WAN address and port."""
        inside = lan.source if outbound else lan.destination
        ends = (wan.source, wan.destination) if outbound else (wan.destination, wan.source)
        known = self._table.get(ends[0] + ends[1])
        return known is not None and known[0][:16] != inside[:16]

    def is_known(self, lan: bytes, wan: bytes, remote: bytes) -> bool:
        """Whether lan (18 bytes) is what wan means towards remote."""
        known = self._table.get(wan + remote)
        return known is not None and bool(known[0] == lan)
