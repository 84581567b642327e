# SPDX-License-Identifier: Apache-2.0
"""Pieces: packets with a part of a message, and the packet made of all parts."""

from __future__ import annotations

import struct
from collections.abc import Iterable, Iterator

from algwatch.base.native import layout
from algwatch.base.packet import Batch
from algwatch.base.typed import Any
from algwatch.capture.offsets import TCP

PORTS_AT = 40  # in a row's ends: ports, capture point, protocol, IP version from here on
SIP, FRAGMENT, SEGMENT = layout.KIND_SIP, layout.KIND_FRAGMENT, layout.KIND_SEGMENT
# Ten bytes of white space at most: between messages a keep-alive, inside one a part of it.
KEEPALIVE = layout.KIND_KEEPALIVE

_NOT_TCP = bytes(value for value in range(256) if not value & layout.ROW_TCP)
_IPV4, _IPV6 = struct.Struct("!BBHHHBBH"), struct.Struct("!IHBB")


class Piece:
    """The packet with the last part; the whole message gets its time, TTL, IP ID, direction and
    capture point. index: of its row in the batch; row, ends: unpacked; key: the common values of
    all packets of one message."""

    __slots__ = ("dst", "ends", "index", "key", "row", "src")

    def __init__(self, index: int, row: tuple[int, ...], ends: tuple[Any, ...], key: bytes) -> None:
        self.index = index
        self.row = row
        self.ends = ends
        self.key = key
        self.src: bytes = ends[0]
        self.dst: bytes = ends[1]
        if ends[8] == 4:
            self.src, self.dst = self.src[:4], self.dst[:4]

    def header(self, length: int) -> bytes:
        """An IP header in front of `length` bytes."""
        ident, ttl, proto = self.row[11], self.row[15], self.ends[7]
        if len(self.src) == 4:
            words = (0x45, 0, 20 + length, ident, 0, ttl, proto, 0)
            return _IPV4.pack(*words) + self.src + self.dst
        return _IPV6.pack(6 << 28, length, proto, ttl) + self.src + self.dst


# IP packets: the packet with the last part, length, parts.
Made = list[tuple[Piece, int, tuple[bytes, ...]]]


def piece_of(index: int, row: tuple[int, ...], raw: bytes) -> Piece:
    """raw: the ends of the row."""
    # Addresses, ports, capture point and direction: an incoming packet with the addresses of an
    # outgoing one is foreign. A file may hold both sides of a router without NAT, and no direction.
    # Then only the TTL tells the two copies of one packet apart; otherwise it may differ from part
    # to part, as for every receiver.
    way = row[12] >> 2 & 1 | row[12] >> 9 & 2  # OUTGOING and DIRECTED
    told = bytes((0, way)) if way & 2 else bytes((row[15], way))
    return Piece(index, row, layout.ENDS.unpack(raw), raw[:32] + raw[PORTS_AT:] + told)


def joined(made: Made, others: Iterable[bytes | memoryview] = ()) -> bytes:
    return b"".join([*(one for _, _, parts in made for one in parts), *others])


def make(made: Made, packet: Piece, *payload: bytes) -> None:
    size = sum(map(len, payload))
    if size <= 65535 - 20:  # the limit of an IPv4 header
        header = packet.header(size)
        made.append((packet, len(header) + size, (header, *payload)))


def segment_of(packet: Piece, whole: bytes) -> tuple[Piece, int, bytes] | None:
    """The TCP segment of a whole datagram, its sequence number and its data; None without data.
    Fragments have no ports of their own."""
    text = whole[(whole[12] >> 4) * 4 :] if len(whole) >= 20 else b""
    if not text:
        return None
    ends = _ends(packet, whole)
    (seq,) = struct.unpack_from("!I", whole, 4)
    raw = layout.ENDS.pack(*ends)
    key = raw[:32] + raw[PORTS_AT:] + packet.key[-2:]
    return Piece(packet.index, packet.row, ends, key), seq, text


def torn(packet: Piece, whole: bytes) -> tuple[tuple[Any, ...], tuple[Any, ...], memoryview]:
    """Row, ends and bytes of a datagram with fragments that contradict each other."""
    row = packet.row
    way = row[12] & (layout.ROW_OUTGOING | layout.ROW_DIRECTED)
    way |= layout.ROW_TCP if packet.ends[7] == TCP else 0
    made = (row[0], 0, 0, 0, row[4], 0, 0, 0, 0, len(whole), 0, 0, way, layout.KIND_OVERLAP, 0, 0)
    return (*made, row[16]), _ends(packet, whole), memoryview(whole)


def _ends(packet: Piece, whole: bytes) -> tuple[Any, ...]:
    ports = struct.unpack_from("!HH", whole) if len(whole) >= 4 else (0, 0)
    return (*packet.ends[:4], *ports, *packet.ends[6:])


def parts(batch: Batch) -> Iterator[tuple[int, int]]:
    """(index, kind) of the rows that are a fragment or segment, or may continue one."""
    kinds = bytes(memoryview(batch.rows)[layout.ROW_KIND :: layout.ROW.size])
    low = bytes(memoryview(batch.rows)[layout.ROW_LOW_BITS :: layout.ROW.size])
    if FRAGMENT in kinds or low.translate(None, _NOT_TCP):
        for index, kind in enumerate(kinds):
            if kind == FRAGMENT or (
                low[index] & layout.ROW_TCP and kind in (SEGMENT, SIP, KEEPALIVE)
            ):
                yield index, kind


def is_none(batch: Batch, index: int) -> None:
    """Make the row a SEGMENT: its bytes are no message of their own."""
    memoryview(batch.rows)[index * layout.ROW.size + layout.ROW_KIND] = SEGMENT
