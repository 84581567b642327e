"""What is there so far of an IP packet in fragments, or of a TCP stream in segments.

Where pieces overlap the first one counts, and a different second one is a contradiction: that
is how an IP stack that is attacked tells on it, and no phone does it.
"""

from __future__ import annotations

import re
from bisect import insort

# What objects cost beside the bytes in them, so that tiny pieces are not free: a piece, and a
# datagram or stream with its entry in the table. Held to what Python really takes by a test.
PIECE_COST, BASE_COST = 160, 640
MOST_PIECES = 64  # of one packet: 64 kB over an MTU of 1280 is 52
WINDOW = 262144  # how far a segment may be ahead of what is there, bytes
HOLE = 5_000_000_000  # ns to wait for a segment: by then TCP has sent it again, or we missed it
LONGEST = 65535 - 60  # message bytes that fit a packet, and a row

_HEADER_END = re.compile(rb"\r?\n\r?\n")
_CONTENT_LENGTH = re.compile(rb"\n(?:content-length|l)[ \t]*:[ \t]*([0-9]{1,9})[ \t]*\r?\n", re.I)


class Datagram:
    """Fragments of one IP packet (RFC 791 section 3.2, RFC 8200 section 4.5)."""

    __slots__ = ("cost", "first_at", "pieces", "size")

    def __init__(self, at: int) -> None:
        self.first_at = at
        self.pieces: list[tuple[int, bytes]] = []  # (offset, bytes), no two overlap
        self.size = -1  # of the whole payload, known from the last fragment
        self.cost = BASE_COST

    def add(self, offset: int, data: bytes, more: bool) -> bool:
        """Take a fragment; False when it contradicts what is there."""
        agreed = True
        end = offset + len(data)
        if not more:
            agreed = self.size in (-1, end)
            if self.size == -1:
                self.size = end
        for start, piece in self.pieces:
            low, high = max(start, offset), min(start + len(piece), end)
            if low < high:
                agreed &= piece[low - start : high - start] == data[low - offset : high - offset]
        for low, high in self._gaps(offset, end):
            insort(self.pieces, (low, data[low - offset : high - offset]))
            self.cost += high - low + PIECE_COST
        return agreed

    def _gaps(self, start: int, end: int) -> list[tuple[int, int]]:
        gaps = []
        for low, piece in self.pieces:
            if start >= end or low >= end:
                break
            if low > start:
                gaps.append((start, low))
            start = max(start, low + len(piece))
        if start < end:
            gaps.append((start, end))
        return gaps

    def whole(self) -> bytes | None:
        if self.size < 0:
            return None
        reached = 0
        for offset, piece in self.pieces:
            if offset != reached:
                return None
            reached += len(piece)
        if reached < self.size:
            return None
        return b"".join(piece for _, piece in self.pieces)[: self.size]


class Stream:
    """One direction of a TCP connection that carries SIP (RFC 3261 section 18.3: framed by
    Content-Length), from the start of a message on."""

    __slots__ = ("cost", "later", "need", "next", "ready", "searched", "stuck_at", "touched")

    def __init__(self, at: int) -> None:
        self.touched = at
        self.stuck_at = 0  # since when something is missing, ns
        self.next = -1  # sequence number behind `ready`; -1: no start of a message seen yet
        self.ready = bytearray()
        self.later: list[tuple[int, bytes]] = []  # (sequence number, bytes) that came early
        self.need = 0  # bytes that `ready` must have before another look is worth it
        self.searched = 0  # no end of a header section up to here
        self.cost = BASE_COST

    def add(self, seq: int, data: bytes, starts: bool, at: int) -> bool:
        """Take a segment; starts: a message may begin at its first byte; at: ns. False: it
        contradicts what is there."""
        self.touched = at
        if self.stuck_at and at - self.stuck_at > HOLE:
            self.forget()
            self._clear()
        if self.next < 0:
            if not starts:
                self._keep(seq, data)
                return True
            self.next = seq
        # Whole messages pass by without coming here, so the next one in pieces begins further
        # on; a little further back it is what we had, sent again.
        elif starts and not self.ready and not -WINDOW <= ahead(seq, self.next) <= 0:
            self.next = seq
        agreed = self._append(seq, data)
        moved = True
        while moved and self.later:
            moved = False
            for index, (early, piece) in enumerate(self.later):
                if ahead(early, self.next) <= 0:
                    del self.later[index]
                    self.cost -= len(piece) + PIECE_COST
                    agreed &= self._append(early, piece)
                    moved = True
                    break
        self.stuck_at = 0 if not self.later else self.stuck_at or at
        return agreed

    def _clear(self) -> None:
        self.cost -= sum(len(piece) + PIECE_COST for _, piece in self.later)
        self.later.clear()
        self.stuck_at = 0

    def _keep(self, seq: int, data: bytes) -> None:
        if len(self.later) < MOST_PIECES and all(early != seq for early, _ in self.later):
            self.later.append((seq, data))
            self.cost += len(data) + PIECE_COST

    def _append(self, seq: int, data: bytes) -> bool:
        gap = ahead(seq, self.next)
        if gap > 0:
            if gap <= WINDOW:
                self._keep(seq, data)
            return True
        old, new = data[:-gap] if gap else b"", data[-gap:] if gap else data
        # What was sent before is there again (a retransmission), unless it was used up.
        begin = len(self.ready) + gap
        known = self.ready[max(begin, 0) : max(begin, 0) + len(old)]
        agreed = begin < 0 or known == old[: len(known)]
        self.ready += new
        self.next = (self.next + len(new)) & 0xFFFFFFFF
        self.cost += len(new)
        return agreed

    def worth_a_look(self) -> bool:
        """Is there a whole message, as far as its framing tells? Cheap for byte-wise senders."""
        if self.need == 0:
            end = _HEADER_END.search(self.ready, max(0, self.searched - 3))
            if end is None:
                self.searched = len(self.ready)
                return False
            length = _CONTENT_LENGTH.search(self.ready, 0, end.end())
            self.need = end.end() + (int(length[1]) if length else 0)
        return len(self.ready) >= self.need or self.need > LONGEST

    def used(self, count: int) -> None:
        del self.ready[:count]
        self.cost -= count
        self.need = self.searched = 0

    def forget(self) -> None:
        """Look for the start of a message again."""
        self.used(len(self.ready))
        self.next = -1


def ahead(seq: int, base: int) -> int:
    """How far seq is ahead of base, modulo 2^32 (RFC 9293 section 3.4)."""
    return ((seq - base + 0x80000000) & 0xFFFFFFFF) - 0x80000000
