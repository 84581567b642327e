# SPDX-License-Identifier: Apache-2.0
"""An IP packet in fragments, as far as they have come.

Fragments that overlap with different bytes are a sign of an attack: no phone sends them. Some
stacks keep the first bytes, others the second ones, so no message is read from their packet.
"""

from __future__ import annotations

from bisect import insort

# Memory of an object beside its bytes, so that tiny parts count too: of a part, and of a datagram
# or stream with its entry in the table. A test measures the real use of Python.
PART_COST, BASE_COST = 160, 640
SECONDS = 30  # IPFRAG_TIMEOUT of Linux; RFC 8200 section 4.5 allows 60
KEPT, KEPT_COST = 4, 4096  # whole datagrams kept, and the most that one costs
KEPT_FOR = 250_000_000  # ns, the window of pairing
MOST_PARTS = 64  # of one packet: 64 kB over an MTU of 1280 are 52


class Datagram:
    """Fragments of one IP packet (RFC 791 section 3.2, RFC 8200 section 4.5)."""

    __slots__ = ("cost", "end", "is_torn", "parts", "size")

    def __init__(self, at: int) -> None:
        self.end = at + SECONDS * 1_000_000_000  # ns; then it is given up
        self.parts: list[tuple[int, bytes]] = []  # (offset, bytes), no two overlap
        self.size = -1  # bytes of the whole payload, known from the last fragment
        self.is_torn = False  # fragments contradict each other
        self.cost = BASE_COST

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
        self.is_torn |= not agreed
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

    def changed(self, offset: int, data: bytes) -> bytes:
        """The whole payload with these bytes in place of its own."""
        made = bytearray(b"".join(part for _, part in self.parts))
        made[offset : offset + len(data)] = data
        return bytes(made)


class Recent:
    """The latest whole datagrams, for KEPT_FOR. The first later fragment with other bytes makes a
    second datagram of the same packet, and pairing finds that the two contradict each other. Not
    counted with the other parts: at most KEPT of KEPT_COST bytes."""

    __slots__ = ("_datagrams",)

    def __init__(self) -> None:
        self._datagrams: dict[bytes, Datagram] = {}

    def keep(self, key: bytes, datagram: Datagram, at: int) -> None:
        """at: ns, of its last fragment."""
        if datagram.cost > KEPT_COST:
            return
        if len(self._datagrams) >= KEPT:
            del self._datagrams[next(iter(self._datagrams))]
        datagram.end = at + KEPT_FOR
        self._datagrams[key] = datagram

    def again(self, key: bytes, at: int, offset: int, data: bytes, more: bool) -> bytes | None:
        """Another payload if this fragment (see Datagram.add) contradicts a whole datagram; empty
        if it repeats one; None if it is of none."""
        datagram = self._datagrams.get(key)
        if datagram is None:
            return None
        if at > datagram.end:
            del self._datagrams[key]
            return None
        if datagram.is_torn or datagram.add(offset, data, more):
            return b""
        return datagram.changed(offset, data)
