# SPDX-License-Identifier: Apache-2.0
"""Sides: tells LAN from WAN flows in a file with both copies.

First pass over such a file. Two sightings of one message on two flows, or on one flow with two
TTLs, are the two sides of a router. The copy with the higher TTL (else the earlier one) entered it.
A changed source address means entry from the LAN, a changed destination entry from the WAN. Private
ranges are a hint only, for routers without translation.
"""

from __future__ import annotations

import struct

from algwatch.base import address
from algwatch.base.native.layout import KIND_SIP
from algwatch.base.packet import LAN, UNKNOWN, WAN, Batch
from algwatch.base.sighting import FLOW, TTL, Row
from algwatch.base.table import Table
from algwatch.sip.timers import WINDOW

# Copies are a few messages apart. At most twice as many are remembered.
RECENT = 512
FLOWS = 65536


# Members of a row (ROW) read here: at, call, pair, flow, IP ID, kind, TTL.
_ROW = struct.Struct("=Q8xQQI20xH2xBxBx")

# at, call, flow, ttl, ip_id, the ends of its batch, offset of its own in them
_Copy = tuple[int, int, int, int, int, bytes, int]


class Sides:
    """Learn with `survey`, then ask `of`. found: the file holds two sides."""

    def __init__(self) -> None:
        self.found = False
        # Two generations instead of one table with eviction: every message is looked up here.
        self._recent: dict[int, _Copy] = {}
        self._older: dict[int, _Copy] = {}
        self._flows: Table[int, int] = Table(FLOWS)
        self._ttls: Table[tuple[int, int], int] = Table(FLOWS)
        self._lan_hosts: Table[bytes, None] = Table(1024)
        self._wan_hosts: Table[bytes, None] = Table(1024)

    def survey(self, batch: Batch) -> None:
        recent = self._recent
        get = recent.get
        older = self._older.get
        ends = bytes(batch.ends)
        for i, (at, call, pair, flow, ip_id, kind, ttl) in enumerate(_ROW.iter_unpack(batch.rows)):
            if kind != KIND_SIP:
                continue
            before = get(pair) or older(pair)
            if (
                before is not None
                and before[1] == call
                and at - before[0] < WINDOW
                and (before[2] != flow or abs(before[3] - ttl) == 1)
            ):
                now = (at, call, flow, ttl, ip_id, ends, 48 * i)
                self._learn(before, now)
            else:
                recent[pair] = (at, call, flow, ttl, ip_id, ends, 48 * i)
        if len(recent) > RECENT:
            self._older, self._recent = recent, {}

    def _learn(self, one: _Copy, two: _Copy) -> None:
        entered, left = (one, two) if one[3] >= two[3] else (two, one)
        if entered[4] != left[4] and abs(entered[3] - left[3]) != 1:
            return  # sent again by a proxy or a loop, not forwarded by one router
        e_ends, l_ends = (c[5][c[6] : c[6] + 48] for c in (entered, left))
        e_src, e_dst = e_ends[:16], e_ends[16:32]
        l_src, l_dst = l_ends[:16], l_ends[16:32]
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
            outbound = self._outbound_by_hint(e_src, e_dst, e_ends[47])
            self._lan_hosts.add(e_src if outbound else e_dst, None)
        self.found = True
        sides = (LAN, WAN) if outbound else (WAN, LAN)
        for (_, _, flow, ttl, _, _, _), side in zip((entered, left), sides, strict=True):
            self._ttls.add((flow, ttl), side)
            known = self._flows.get(flow)
            if known is None:
                self._flows.add(flow, side)
            elif known != side:
                self._flows[flow] = UNKNOWN  # one flow on both sides: only the TTL tells

    def _outbound_by_hint(self, src: bytes, dst: bytes, version: int) -> bool:
        if src in self._lan_hosts:
            return True
        if dst in self._lan_hosts:
            return False
        private = address.is_unroutable(address.text(src, version))
        other = address.is_unroutable(address.text(dst, version))
        # Without any other sign, the host that spoke first is the phone.
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
