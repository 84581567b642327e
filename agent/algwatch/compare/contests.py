# SPDX-License-Identifier: Apache-2.0
"""Contests: packets that claim to be the same message and contradict each other prove nothing
(docs/decisions/0011-contradictions.md).
"""

from __future__ import annotations

from collections.abc import Callable

from algwatch.base.native.layout import ROW_DIRECTED
from algwatch.base.packet import LAN
from algwatch.base.sighting import AT, BITS, DISPUTED, PAIR, Row, Sighting
from algwatch.compare.alike import contradicts
from algwatch.compare.crossing import CONTESTED, Crossing
from algwatch.sip.timers import WINDOW


class Doubt:
    """A crossing that another packet may contradict. at: ns; pair: hash of its identity. waits: it
    is not told before the window is over; False once it was contradicted."""

    __slots__ = ("at", "crossing", "pair", "waits")

    def __init__(self, row: Row, crossing: Crossing, waits: bool) -> None:
        self.at = row[AT]
        self.pair = row[PAIR]
        self.crossing = crossing
        self.waits = waits


class Contests:
    """The crossings of a Pairing that another packet may contradict. withdraw: is told of each
    crossing that was counted and then contradicted.

    contest: packets that were contradicted, since somebody emptied it. queue: crossings that wait
    for a contradiction, and those behind them. doubts: the oldest first; doubtful: the same by the
    hash of their identity.
    """

    def __init__(self, withdraw: Callable[[Crossing], None]) -> None:
        self._withdraw = withdraw
        self.contest: list[Sighting] = []
        self.queue: list[Crossing] = []
        self.doubts: list[Doubt] = []
        self.doubtful: dict[int, list[Doubt]] = {}

    def waits(self, crossing: Crossing) -> bool:
        """True if a crossing has to wait until the window is over, because it may show harm and
        another one may contradict it. Only a ring knows that the router sent the second copy."""
        row = crossing.left.row
        harmless = crossing.expected is None and (crossing.translated or not crossing.rewritten)
        if harmless or row[BITS] & ROW_DIRECTED:
            return False
        self.doubt(row, crossing, True)
        return True

    def doubt(self, row: Row, crossing: Crossing, waits: bool) -> None:
        """Look for packets that contradict a crossing. row: of its copy that came last."""
        doubt = Doubt(row, crossing, waits)
        self.doubts.append(doubt)
        self.doubtful.setdefault(row[PAIR], []).append(doubt)

    def undisputed(self, until: int) -> list[Crossing]:
        """The crossings that nothing has contradicted up to `until` (ns), in order: those behind
        one that waits wait, too."""
        gone = 0
        for doubt in self.doubts:
            if doubt.at > until:
                break
            gone += 1
            alike = self.doubtful[doubt.pair]
            alike.remove(doubt)
            if not alike:
                del self.doubtful[doubt.pair]
        del self.doubts[:gone]
        waits = {doubt.crossing for doubt in self.doubts if doubt.waits}
        ready = 0
        for crossing in self.queue:
            if crossing in waits:
                break
            ready += 1
        crossings = [c for c in self.queue[:ready] if c.matched_by != CONTESTED]
        del self.queue[:ready]
        return crossings

    def leaves_out(self, copy: Sighting) -> bool:
        """True if nothing is concluded from a packet, because it and another one that claims to be
        the same message contradict each other. Call it only for a PAIR in doubtful."""
        for doubt in self.doubtful[copy.row[PAIR]]:
            if abs(copy.row[AT] - doubt.at) > WINDOW:
                continue
            crossing = doubt.crossing
            if not _has_far_end_of(crossing, copy):
                continue
            if doubt.waits:
                before = crossing.lan if copy.side == LAN else crossing.wan
                if before is None or not contradicts(before, copy, crossing.outbound):
                    continue
                doubt.waits = False
                crossing.matched_by = CONTESTED  # which takes it out of the queue
                self._withdraw(crossing)
                self.contested([crossing.entered, crossing.left])
            self.contested([copy])
            return True
        return False

    def contested(self, copies: list[Sighting]) -> None:
        """Leave them out: they are neither paired nor missing."""
        self.contest += copies
        for copy in copies:
            copy.paired = DISPUTED


def _has_far_end_of(crossing: Crossing, copy: Sighting) -> bool:
    """A message to or from another far end is another message, and contradicts none."""
    entered = crossing.entered
    if crossing.outbound:
        return entered.destination == copy.destination
    return entered.source == copy.source
