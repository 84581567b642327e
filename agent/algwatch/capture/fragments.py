# SPDX-License-Identifier: Apache-2.0
"""An IP packet in fragments, as far as they have come.

In an overlap the first bytes count, and different second ones are a conflict: a sign of an attack
on IP stacks, never sent by a phone.
"""

from __future__ import annotations

from bisect import insort

# Memory of an object beside its bytes, so that tiny parts count too: of a part, and of a datagram
# or stream with its entry in the table. A test measures the real use of Python.
PART_COST, BASE_COST = 160, 640
SECONDS = 30  # IPFRAG_TIMEOUT of Linux; RFC 8200 section 4.5 allows 60
MOST_PARTS = 64  # of one packet: 64 kB over an MTU of 1280 are 52


class Datagram:
    """Fragments of one IP packet (RFC 791 section 3.2, RFC 8200 section 4.5)."""

    __slots__ = ("cost", "first_at", "parts", "size")

    def __init__(self, at: int) -> None:
        self.first_at = at
        self.parts: list[tuple[int, bytes]] = []  # (offset, bytes), no two overlap
        self.size = -1  # bytes of the whole payload, known from the last fragment
        self.cost = BASE_COST

    @property
    def end(self) -> int:
        """ns; then it is given up."""
        return self.first_at + SECONDS * 1_000_000_000

    def add(self, offset: int, data: bytes, more: bool) -> bool:
        """Take a fragment; False if it differs from earlier bytes or from the known size."""
        agreed = True
        end = offset + len(data)
        if not more:
            agreed = self.size in (-1, end)
            if self.size == -1:
                self.size = end
        for start, part in self.parts:
            low, high = max(start, offset), min(start + len(part), end)
            if low < high:
                agreed &= part[low - start : high - start] == data[low - offset : high - offset]
        for low, high in self._gaps(offset, end):
            insort(self.parts, (low, data[low - offset : high - offset]))
            self.cost += high - low + PART_COST
        return agreed

    def _gaps(self, start: int, end: int) -> list[tuple[int, int]]:
        """The ranges of start to end not covered yet."""
        gaps = []
        for low, part in self.parts:
            if start >= end or low >= end:
                break
            if low > start:
                gaps.append((start, low))
            start = max(start, low + len(part))
        if start < end:
            gaps.append((start, end))
        return gaps

    def whole(self) -> bytes | None:
        """The payload, or None while a part is missing."""
        if self.size < 0:
            return None
        reached = 0
        for offset, part in self.parts:
            if offset != reached:
                return None
            reached += len(part)
        if reached < self.size:
            return None
        return b"".join(part for _, part in self.parts)[: self.size]
