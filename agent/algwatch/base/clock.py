# SPDX-License-Identifier: Apache-2.0
"""The packet clock: the kernel's time stamps on a time line that only runs forward.

Time stamps of packets are wall time, and a router's wall clock steps: it boots in 1970 or at the
date of its firmware, and NTP sets it minutes later. On raw stamps such a step would let every timer
expire at once. The packet clock starts as the wall clock and goes on with the monotonic clock.
Later steps of the wall clock are subtracted from each stamp. Slewing (adjtime) moves both clocks
alike, so only steps need following.
"""

from __future__ import annotations

import struct
from collections.abc import Callable

STEP = 20_000_000  # ns; two clock reads are closer than this unless the process was paused
SETTLED = 1_000_000_000  # ns after a step; by then the ring's earlier packets have been read
ROW_SIZE = 64  # sizeof(aw_row); its first member is `at`
_AT = struct.Struct("=Q")


class PacketClock:
    """monotonic, wall: functions that return ns (wall: since 1970). All times are ns.

    `look()` must be called after packets were read and before `rows()`: a step between the two
    has not touched their stamps.
    """

    __slots__ = ("_monotonic", "_offset", "_over", "_wall", "shift", "steps")

    def __init__(self, monotonic: Callable[[], int], wall: Callable[[], int]) -> None:
        self._monotonic = monotonic
        self._wall = wall
        self._offset = self._measure()  # packet clock less monotonic clock: never changes
        self.shift = 0  # steps of the wall clock since the start
        self._over: list[tuple[int, int]] = []  # earlier shifts of late, and the end of each
        self.steps = 0

    def _measure(self, rounds: int = 3) -> int:
        # A pause between the two reads looks like a step: the tightest of three counts.
        best, offset = None, 0
        for _ in range(rounds):
            before = self._monotonic()
            wall = self._wall()
            after = self._monotonic()
            if best is None or after - before < best:
                best, offset = after - before, wall - (before + after) // 2
        return offset

    @property
    def offset(self) -> int:
        """The packet clock less the monotonic clock."""
        return self._offset

    def now(self) -> int:
        """The packet clock, now."""
        return self._monotonic() + self._offset

    def look(self) -> int:
        """Compare the two clocks; returns the step of the wall clock since last time, or 0."""
        before = self._offset + self.shift
        step = self._measure(1) - before
        if not -STEP < step < STEP:  # a step, or a pause
            step = self._measure() - before
        if -STEP < step < STEP:
            if self._over and self.now() - self._over[-1][1] > SETTLED:
                self._over = []
            return 0
        self._over = [*self._over[-3:], (self.shift, self.now())]
        self.shift += step
        self.steps += 1
        return step

    def packet(self, stamp: int) -> int:
        """A kernel time stamp on the packet clock.

        Packets waiting in the ring may be older than a step. A stamp belongs to the shift nearest
        to the present, except one already over.
        """
        best = stamp - self.shift
        if self._over:
            now = self.now()
            for shift, end in self._over:
                at = stamp - shift
                if at <= end and abs(now - at) < abs(now - best):
                    best = at
        return best

    def wall(self, at: float) -> float:
        """Seconds on the packet clock as seconds since 1970, by the present wall clock."""
        return at + self.shift / 1e9

    def rows(self, rows: memoryview | bytes, count: int) -> memoryview | bytes:
        """The rows of a batch with their `at` on the packet clock; a copy only after a step."""
        if not self.shift and not self._over:
            return rows
        moved = bytearray(rows[: count * ROW_SIZE])
        for offset in range(0, count * ROW_SIZE, ROW_SIZE):
            at: int = _AT.unpack_from(moved, offset)[0]
            _AT.pack_into(moved, offset, max(0, self.packet(at)))
        return memoryview(moved)
