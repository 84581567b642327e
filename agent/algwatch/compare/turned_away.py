# SPDX-License-Identifier: Apache-2.0
"""TurnedAway: messages no longer waited for. No copy of one is called missing."""

from __future__ import annotations

from algwatch.base.sighting import AT, CALL, PAIR, Row
from algwatch.sip.timers import SECOND

BITS = 1 << 17  # 16 kB for each generation
MOST = BITS // 8  # bits set; with more, nothing is known of this time
LONG = 2 * SECOND  # waiting copies are examined within the window and a slot


class TurnedAway:
    """Bits by the hashes of Call-ID and identity, in two generations of LONG each. A message may be
    found here by mistake: at most one in four, in the worst flood."""

    __slots__ = ("_before", "_count", "_counted", "_now", "_since")

    def __init__(self) -> None:
        self._now: bytearray | None = None  # made in the first flood
        self._before: bytearray | None = None
        self._count = self._counted = 0
        self._since = -LONG

    def add(self, row: Row) -> None:
        """A message is neither paired nor waited for."""
        if row[AT] - self._since >= LONG:
            self._pass(row[AT])
        bits = self._now
        if bits is None:
            bits = self._now = bytearray(BITS // 8)
        place, other = row[PAIR] % BITS, row[CALL] % BITS
        bits[place >> 3] |= 1 << (place & 7)
        bits[other >> 3] |= 1 << (other & 7)
        self._count += 2

    def has(self, row: Row, now: int) -> bool:
        """True if a copy of this message may have been turned away lately. now: ns."""
        if self._now is None and self._before is None:
            return False
        self._pass(now)
        for bits, count in ((self._now, self._count), (self._before, self._counted)):
            if bits is None:
                continue
            if count > MOST:
                return True
            for field in (PAIR, CALL):
                place = row[field] % BITS
                if bits[place >> 3] >> (place & 7) & 1:
                    return True
        return False

    def _pass(self, now: int) -> None:
        if now - self._since < LONG:
            return
        recent = now - self._since < 2 * LONG
        self._before, self._counted = (self._now, self._count) if recent else (None, 0)
        self._now, self._count, self._since = None, 0, now
