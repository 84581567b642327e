# SPDX-License-Identifier: Apache-2.0
"""Contests: packets that claim to be the same message and contradict each other prove nothing
(docs/decisions/0011-contradictions.md).
"""

from __future__ import annotations

from collections.abc import Callable

from algwatch.base.native.layout import ROW_DIRECTED
from algwatch.base.packet import LAN
from algwatch.base.sighting import AT, BITS, CALL, DISPUTED, PAIR, TO_TAG, Row, Sighting
from algwatch.base.table import Table
from algwatch.compare.alike import contradicts
from algwatch.compare.call import Call
from algwatch.compare.captured import Captured
from algwatch.compare.crossing import CONTESTED, Crossing
from algwatch.compare.joined import label_of
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
                before, other = crossing.lan, crossing.wan
                if copy.side != LAN:
                    before, other = other, before
                if before is None or other is None:
                    continue
                nearer = before.row[TO_TAG] != other.row[TO_TAG] == copy.row[TO_TAG]
                if not (nearer or contradicts(before, copy, crossing.outbound)):
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


def tell_calls(copies: list[Sighting], captured: Captured, calls: Table[int, Call]) -> None:
    """Count contested copies and tell their calls. Nothing is concluded from them. Empties the
    list."""
    captured.contest(len(copies), copies[0])
    for copy in copies:
        call = calls.get(copy.row[CALL])
        if call is not None and _is_between(copy, call):
            call.contested |= {label_of(copy)}
    copies.clear()


def _is_between(copy: Sighting, call: Call) -> bool:
    """True if an end of the message is the far end of the call, or none is known yet. While the
    crossing of its INVITE waits for a contradiction, the end shared by both copies counts."""
    pair = call.flow_pairs.get("INVITE")
    if pair is not None:
        return pair.outside[18:] in (copy.source, copy.destination)
    asked = [s.request for s in call.seen if s.request is not None]
    shared = set.intersection(*({one.source, one.destination} for one in asked)) if asked else set()
    return not shared or not shared.isdisjoint((copy.source, copy.destination))
