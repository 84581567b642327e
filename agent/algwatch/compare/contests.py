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
    """A crossing open to contradiction by another packet. at: ns; pair: hash of its identity.
    waits: it is held back until the window is over; False once contradicted."""

    __slots__ = ("at", "crossing", "pair", "waits")

    def __init__(self, row: Row, crossing: Crossing, waits: bool) -> None:
        self.at = row[AT]
        self.pair = row[PAIR]
        self.crossing = crossing
        self.waits = waits


class Contests:
    """The crossings of a Pairing open to contradiction. withdraw: called with each counted crossing
    that is contradicted.

    contest: contradicted packets, since the last time it was emptied. queue: crossings held back
    for a contradiction, and those behind them. doubts: oldest first; doubtful: the same by the hash
    of their identity.
    """

    def __init__(self, withdraw: Callable[[Crossing], None]) -> None:
        self._withdraw = withdraw
        self.contest: list[Sighting] = []
        self.queue: list[Crossing] = []
        self.doubts: list[Doubt] = []
        self.doubtful: dict[int, list[Doubt]] = {}

    def waits(self, crossing: Crossing) -> bool:
        """True if a crossing has to wait until the window is over: it may show harm, and another
        packet may contradict it. Only a ring knows that the router sent the second copy."""
        row = crossing.left.row
        harmless = crossing.expected is None and (crossing.translated or not crossing.rewritten)
        if harmless or row[BITS] & ROW_DIRECTED:
            return False
        self.doubt(row, crossing, True)
        return True

    def doubt(self, row: Row, crossing: Crossing, waits: bool) -> None:
        """Watch for packets that contradict a crossing. row: of its later copy."""
        doubt = Doubt(row, crossing, waits)
        self.doubts.append(doubt)
        self.doubtful.setdefault(row[PAIR], []).append(doubt)

    def undisputed(self, until: int) -> list[Crossing]:
        """Uncontradicted crossings up to `until` (ns), in order. Crossings behind a waiting one
        wait, too."""
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
        """True if nothing is concluded from a packet: another one claims to be the same message and
        contradicts it. Call it only for a PAIR in doubtful."""
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
                crossing.matched_by = CONTESTED  # takes it out of the queue
                self._withdraw(crossing)
                self.contested([crossing.entered, crossing.left])
            self.contested([copy])
            return True
        return False

    def contested(self, copies: list[Sighting]) -> None:
        """Leave these packets out: neither paired nor missing."""
        self.contest += copies
        for copy in copies:
            copy.paired = DISPUTED


def _has_far_end_of(crossing: Crossing, copy: Sighting) -> bool:
    """False for a message of another far end: it contradicts nothing here."""
    entered = crossing.entered
    if crossing.outbound:
        return entered.destination == copy.destination
    return entered.source == copy.source
