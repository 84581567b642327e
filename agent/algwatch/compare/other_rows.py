# SPDX-License-Identifier: Apache-2.0
"""Other rows: keep-alives, connections, bytes not captured and bytes that came twice tell about
lines."""

from __future__ import annotations

from collections.abc import Callable

from algwatch.base.native.layout import (
    KIND_CONNECT,
    KIND_CUT,
    KIND_KEEPALIVE,
    KIND_OVERLAP,
    KIND_STUN,
    ROW_TCP,
)
from algwatch.base.packet import LAN, WAN, Batch
from algwatch.base.sighting import AT, BITS, KIND, LENGTH, Sighting, came_in
from algwatch.compare.captured import Captured
from algwatch.compare.connects import Connects
from algwatch.compare.line import OVERLAPS, SPOILED
from algwatch.compare.lines import Lines
from algwatch.compare.mapping import Mappings
from algwatch.sip.timers import SECOND
from algwatch.sip.transaction import Seen

KEEPALIVES = (KIND_KEEPALIVE, KIND_STUN)  # RFC 5626 section 3.5


class OtherRows:
    """unseen: called with the time (ns) of a message that was not captured whole."""

    def __init__(self, connects: Connects, mappings: Mappings, lines: Lines, captured: Captured,
                 unseen: Callable[[int], None]) -> None:  # fmt: skip
        self._connects = connects
        self._mappings = mappings
        self._lines = lines
        self._captured = captured
        self._unseen = unseen

    def feed(self, which: int, rows: list[Seen], batch: Batch) -> None:
        """The rows without SIP of one batch of that side."""
        for row, i in rows:
            if row[KIND] in (KIND_CUT, KIND_OVERLAP):  # its connection may miss messages
                self._captured.missed.tear(which, bytes(batch.ends[48 * i : 48 * i + 48]), row[AT])
                if row[KIND] == KIND_OVERLAP and row[LENGTH]:
                    self._overlaps(batch.sighting(which, row, i))
                elif row[KIND] == KIND_CUT and row[LENGTH]:
                    self._unseen(row[AT])
                elif row[KIND] == KIND_CUT:  # nothing of it was captured
                    self._captured.lost[which] += 1
            elif row[KIND] == KIND_CONNECT:
                self._connects.feed(which, row, i, batch)
            elif row[KIND] in KEEPALIVES:
                ends = bytes(batch.ends[48 * i : 48 * i + 48])
                if which == WAN:
                    self._mappings.keepalive(ends, row[AT])
                elif which == LAN and row[KIND] == KIND_KEEPALIVE:
                    self._lines.keepalive(ends[:16], ends[16:32], row[AT])
                elif which == LAN:
                    self._lines.stun.add(ends[:16], None)

    def _overlaps(self, copy: Sighting) -> None:
        """Bytes came again with other content. In TCP note it on their line, unless they came so to
        the router. Else the two contradict each other."""
        host, far = copy.packed_ends[:16], copy.packed_ends[16:32]
        forged = copy.side == LAN or not copy.row[BITS] & ROW_TCP
        if copy.side == WAN:
            sent = self._mappings.of(copy.source, copy.destination)
            if sent is None:
                if self._mappings.of(copy.destination, copy.source) is not None:
                    self._captured.contest(1, copy)
                return
            host = sent.inside[:16]
            # Without a LAN capture, the bytes may have come so to the router.
            beside = self._captured.began < copy.row[AT] and not self._captured.is_late(
                copy.row[AT]
            )
            forged = forged or came_in(copy) or not beside
        line = self._lines.find(host, far)
        if line is None:
            if self._lines.has(far, host):
                self._captured.contest(1, copy)
            return
        before = line.seen.get(OVERLAPS)
        if forged:
            self._captured.contest(1, copy)
            if copy.side == LAN and copy.row[BITS] & ROW_TCP:
                line.observe(OVERLAPS, copy)
        elif before is None or copy.row[AT] - before.last_at > SECOND:
            line.observe(SPOILED, copy)
