# SPDX-License-Identifier: Apache-2.0
"""Missed: moments up to which packets may have passed without being captured.

A TCP stream that goes on behind missing bytes, or repeats them with other content, hides messages
of its own connection alone, and so do IP fragments that contradict each other, and messages that
the snap length has cut. Anybody can send
them, to nobody and at any time: they must not excuse what is missing elsewhere.
"""

from __future__ import annotations

from algwatch.base.packet import LAN, WAN
from algwatch.base.sighting import Sighting, both_ways, endpoints
from algwatch.base.table import Table
from algwatch.compare.call import Call
from algwatch.compare.mapping import Mappings
from algwatch.sip.timers import WINDOW

MOST = 32  # connections remembered


class Missed:
    """at: by side (LAN, WAN, UNKNOWN), ns: until then a packet of anybody may be missing. torn_at:
    ns, the latest tear()."""

    __slots__ = ("_mappings", "_torn", "at", "torn_at")

    def __init__(self, mappings: Mappings) -> None:
        self.at = [-WINDOW] * 3
        self.torn_at = 0
        self._mappings = mappings
        # By side, protocol and connection, ns: the latest tear().
        self._torn: Table[tuple[int, int, bytes], int] = Table(MOST)

    def lose(self, side: int, at: int) -> None:
        """Packets of that side may be missing up to `at` (ns)."""
        self.at[side] = max(self.at[side], at)

    def tear(self, side: int, ends: bytes, at: int) -> None:
        """Bytes of this connection were missed (ends: aw_ends; at: ns)."""
        self.torn_at = at
        one, two = endpoints(ends)
        of = self._mappings.of
        strange = side == WAN and of(one, two) is None and of(two, one) is None
        self._torn.add((side, ends[46], both_ways(one, two)), at, strange)

    def copy(self, copy: Sighting, side: int) -> int:
        """ns; until then this message, or its other copy, may have passed on that side unseen."""
        return max(self.at[side], self._of(copy.packed_ends, copy.side, side))

    def near(self, copy: Sighting) -> int:
        """ns; until then messages beside this one may have passed unseen on either side."""
        return max(*self.at, self.torn(copy))

    def torn(self, copy: Sighting) -> int:
        """ns; until then messages of its connection alone may have passed unseen; 0: none has."""
        return max(self._of(copy.packed_ends, copy.side, side) for side in range(3))

    def call(self, call: Call) -> int:
        """ns; until then messages over its connections may have passed unseen; 0: none has."""
        at = 0
        if self._torn:
            asked = [
                (t.ends, s.side)
                for s in call.seen
                for t in (s.invite, *s.branches.values())
                if t is not None and t.ends
            ]
            for side in range(3):
                # What a side shows itself decides there.
                own = [one for one in asked if one[1] == side] or asked
                at = max(at, *(self._of(*one, side) for one in own), 0)
        return at

    def _of(self, ends: bytes, seen: int, side: int) -> int:
        """ns, of a connection with these ends on the side where it was seen; 0: none is torn."""
        if not self._torn:
            return 0
        one, two = endpoints(ends)
        other = both_ways(one, two)
        if seen != side:
            other = self._beyond(one, two, seen) or self._beyond(two, one, seen)
        at = 0
        for (torn, protocol, both), when in self._torn.items():
            if torn != side or protocol != ends[46]:
                continue
            # Without a known mapping, an end in common is enough.
            if both == other if other else {one, two} & {both[:18], both[18:]}:
                at = max(at, when)
        return at

    def _beyond(self, near: bytes, far: bytes, seen: int) -> bytes:
        """The connection on the other side of the NAT; empty if not known."""
        if seen == LAN:
            outside = self._mappings.newest.get(near, b"")
            return both_ways(outside[:18], far) if outside[18:] == far else b""
        mapping = self._mappings.of(near, far)
        return both_ways(mapping.inside, far) if mapping is not None else b""
