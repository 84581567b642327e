"""Sides: which flows of a file that holds both copies are LAN and which are WAN.

First pass over such a file. Two sightings of one message on two flows, or on one flow with two
TTLs, are the two sides of a router: the copy with the higher TTL (else the earlier one) entered
it; a changed source address means that it entered from the LAN, a changed destination from the
WAN. Private ranges are a hint only, for routers that do not translate.
"""

from __future__ import annotations

from algwatch.base import address
from algwatch.base.native import KIND_SIP, ROW
from algwatch.base.packet import LAN, UNKNOWN, WAN, Batch
from algwatch.base.sighting import AT, CALL, FLOW, IP_ID, KIND, PAIR, TTL, Row
from algwatch.base.table import Table
from algwatch.sip.timers import WINDOW

# A survey needs no more than a sample: flows of a router repeat.
RECENT = 4096
FLOWS = 65536


class Sides:
    """Learn with `survey`, then ask `of`. found: whether the file holds two sides at all."""

    def __init__(self) -> None:
        self.found = False
        self._recent: Table[int, tuple[Row, bytes]] = Table(RECENT)
        self._flows: Table[int, int] = Table(FLOWS)
        self._ttls: Table[tuple[int, int], int] = Table(FLOWS)
        self._lan_hosts: Table[bytes, None] = Table(1024)
        self._wan_hosts: Table[bytes, None] = Table(1024)

    def survey(self, batch: Batch) -> None:
        recent = self._recent
        get = recent.get
        for i, row in enumerate(ROW.iter_unpack(batch.rows)):
            if row[KIND] != KIND_SIP:
                continue
            pair = row[PAIR]
            before = get(pair)
            if before is not None:
                old = before[0]
                if (
                    old[CALL] == row[CALL]
                    and row[AT] - old[AT] < WINDOW
                    and (old[FLOW] != row[FLOW] or abs(old[TTL] - row[TTL]) == 1)
                ):
                    self._learn(before, (row, bytes(batch.ends[48 * i : 48 * i + 48])))
                    continue
                del recent[pair]
            recent.add(pair, (row, bytes(batch.ends[48 * i : 48 * i + 48])))

    def _learn(self, one: tuple[Row, bytes], two: tuple[Row, bytes]) -> None:
        entered, left = (one, two) if one[0][TTL] >= two[0][TTL] else (two, one)
        if entered[0][IP_ID] != left[0][IP_ID] and abs(entered[0][TTL] - left[0][TTL]) != 1:
            return  # sent again by a proxy or a loop, not forwarded by one router
        e_src, e_dst = entered[1][:16], entered[1][16:32]
        l_src, l_dst = left[1][:16], left[1][16:32]
        if e_src != l_src and e_dst != l_dst:
            return
        if e_src != l_src:
            outbound = True
            self._lan_hosts.add(e_src, None)
            self._wan_hosts.add(l_src, None)
        elif e_dst != l_dst:
            outbound = False
            self._wan_hosts.add(e_dst, None)
            self._lan_hosts.add(l_dst, None)
        else:
            outbound = self._outbound_by_hint(e_src, e_dst, entered[1][47])
            self._lan_hosts.add(e_src if outbound else e_dst, None)
        self.found = True
        for (row, _), side in (
            (entered, LAN if outbound else WAN),
            (left, WAN if outbound else LAN),
        ):
            self._ttls.add((row[FLOW], row[TTL]), side)
            known = self._flows.get(row[FLOW])
            if known is None:
                self._flows.add(row[FLOW], side)
            elif known != side:
                self._flows[row[FLOW]] = UNKNOWN  # one flow on both sides: only the TTL tells

    def _outbound_by_hint(self, src: bytes, dst: bytes, version: int) -> bool:
        if src in self._lan_hosts:
            return True
        if dst in self._lan_hosts:
            return False
        private = address.is_unroutable(address.text(src, version))
        other = address.is_unroutable(address.text(dst, version))
        # With nothing to tell them apart the host that spoke first is the phone.
        return private or not other

    def of(self, row: Row, ends: bytes) -> int:
        """LAN, WAN or UNKNOWN for one row and its 48 bytes of addresses."""
        side = self._flows.get(row[FLOW], UNKNOWN)
        if side != UNKNOWN:
            return side
        side = self._ttls.get((row[FLOW], row[TTL]), UNKNOWN)
        if side != UNKNOWN:
            return side
        src, dst = ends[:16], ends[16:32]
        if src in self._wan_hosts or dst in self._wan_hosts:
            return WAN
        if src in self._lan_hosts or dst in self._lan_hosts:
            return LAN
        return UNKNOWN
