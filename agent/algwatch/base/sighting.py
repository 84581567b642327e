# SPDX-License-Identifier: Apache-2.0
"""Sighting: one message seen on one side of the router."""

from __future__ import annotations

import sys

from algwatch.base import address
from algwatch.base.native.layout import ENDS, ROW_DIRECTED, ROW_OUTGOING

# Indices into a row (layout.ROW, aw_row in algwatch_native.h).
AT, TXN, CALL, PAIR, FLOW, FROM_TAG, TO_TAG, CSEQ, PAYLOAD, LENGTH = range(10)
STATUS, IP_ID, BITS, KIND, METHOD, TTL, TAP = range(10, 17)

Row = tuple[int, ...]

DISPUTED = -1  # Sighting.paired: another packet contradicts it


def port_of(endpoint: bytes) -> int:
    """The port in a key of address and port (18 bytes, more bytes are ignored); 0 for empty
    ones."""
    return int.from_bytes(endpoint[16:18], sys.byteorder)


def endpoints(ends: bytes) -> tuple[bytes, bytes]:
    """Address and port of source and destination, 18 bytes each. ends: 48 bytes (aw_ends)."""
    return ends[:16] + ends[40:42], ends[16:32] + ends[42:44]


def both_ways(one: bytes, two: bytes) -> bytes:
    """Two endpoints as one key, the same in both directions."""
    return min(one, two) + max(one, two)


class Ends:
    """Source and destination of a packet: src, dst (text), sport, dport, proto, version; packed:
    all of it as bytes (aw_ends)."""

    __slots__ = ("dport", "dst", "packed", "proto", "sport", "src", "version")

    def __init__(self, packed: bytes) -> None:
        self.packed = packed
        src, dst, _, _, self.sport, self.dport, _, self.proto, self.version = ENDS.unpack(packed)
        self.src = address.text(src, self.version)
        self.dst = address.text(dst, self.version)

    @property
    def sender(self) -> str:
        """Address and port for people."""
        return address.joined(self.src, self.sport)

    @property
    def receiver(self) -> str:
        return address.joined(self.dst, self.dport)


class Sighting:
    """row: the message's row; side: LAN, WAN or UNKNOWN; payload: its bytes, a copy of our own;
    packed_ends: its 48 bytes of addresses (aw_ends); paired: the number of its crossing, the same
    in both copies, 0 without its other copy yet, DISPUTED if nothing is concluded from it."""

    __slots__ = ("_ends", "packed_ends", "paired", "payload", "row", "side")

    def __init__(self, row: Row, side: int, payload: bytes, packed_ends: bytes) -> None:
        self.row = row
        self.side = side
        self.payload = payload
        self.packed_ends = packed_ends
        self.paired = 0
        self._ends: Ends | None = None

    @property
    def source(self) -> bytes:
        """Source address and port, 18 bytes to compare and to use as a key."""
        return self.packed_ends[:16] + self.packed_ends[40:42]

    @property
    def destination(self) -> bytes:
        return self.packed_ends[16:32] + self.packed_ends[42:44]

    @property
    def at(self) -> float:
        """Seconds since 1970."""
        return self.row[AT] / 1e9

    @property
    def ends(self) -> Ends:
        if self._ends is None:
            self._ends = _read(self.packed_ends)
            self.packed_ends = self._ends.packed
        return self._ends


_KEPT = 32
_kept: dict[bytes, Ends] = {}


def _read(packed: bytes) -> Ends:
    """The messages of a phone share theirs: the last few are kept."""
    ends = _kept.get(packed)
    if ends is None:
        if len(_kept) >= _KEPT:
            del _kept[next(iter(_kept))]
        ends = _kept[packed] = Ends(packed)
    return ends


def came_in(copy: Sighting) -> bool:
    """True if this machine surely did not send it: anybody on the interface may have written it.
    False also without a direction in the capture."""
    return copy.row[BITS] & (ROW_DIRECTED | ROW_OUTGOING) == ROW_DIRECTED


def are_copies(one: Sighting | None, other: Sighting | None) -> bool:
    """True if pairing has joined these two: they are one message on both sides. The first messages
    of two sides need not be: anybody may send one that never crosses."""
    return one is not None and other is not None and 0 < one.paired == other.paired
