"""SIP that came in pieces: IP fragments and TCP segments put together, again as rows.

Sans-IO and bounded: what is held back counts against one limit a tap, the oldest goes first.
"""

from __future__ import annotations

import re
import struct
from collections import OrderedDict
from collections.abc import Iterator, Sequence
from typing import Any

from algwatch.base.native import layout
from algwatch.base.native.rows import Counts, Scanner
from algwatch.base.packet import Batch
from algwatch.capture.filter import RAW
from algwatch.capture.found import joined, without_pieces
from algwatch.capture.pieces import MOST_PIECES, Datagram
from algwatch.capture.place import TCP, fragment_place, tcp_place
from algwatch.capture.stream import (
    ANY,
    REPEATED,
    SOUND,
    WINDOW,
    Stream,
    ahead,
    is_sound,
    line_ends,
    may_start,
)

# Bytes held back for one tap, objects included. With one message of 64 kB on its way out, and
# what the scanner needs for it, the whole stays below 256 kB (tests/unit/test_reassembly_memory).
LIMIT = 122880
FLOW_COST = 320  # what it costs to remember how far a TCP flow was read
MOST_FLOWS = 64  # and as many WebSockets: a third of the room
FRAGMENT_SECONDS = 30  # IPFRAG_TIMEOUT of Linux; RFC 8200 section 4.5 allows 60
STREAM_SECONDS = 32  # 64*T1: after that a request is dead (RFC 3261 section 17.1.1.2)
FLOW_SECONDS = 120  # TCP_RTO_MAX of Linux: what comes later is no segment sent again
WEBSOCKET_SECONDS = 600  # of silence: then the ports may belong to another connection

SECOND = 1_000_000_000
UDP = 17
SIP, FRAGMENT, SEGMENT = layout.KIND_SIP, layout.KIND_FRAGMENT, layout.KIND_SEGMENT
# Ten bytes of white space at most: between messages a keep-alive, inside one a piece of it.
KEEPALIVE = layout.KIND_KEEPALIVE

_META = struct.Struct("=IIII")
_PORTS = struct.Struct("!HH")
_IPV4, _IPV6 = struct.Struct("!BBHHHBBH"), struct.Struct("!IHBB")
_TCP = struct.Struct("!HHIIBBHHH")
_NOT_TCP = bytes(value for value in range(256) if not value & layout.ROW_TCP)
_PORTS_AT = 40  # in a row's ends: from there on ports, capture point, protocol, IP version


# RFC 6455 section 4.1 and 4.2.2. The answer is enough where the capture began after the request.
_UPGRADE = re.compile(
    rb"(?:GET |HTTP/1\.1 101 )[^\n]*\n(?:[^\n]*\n)*?upgrade[ \t]*:[^\n]*websocket", re.I
)


class _Packet:
    """The packet that brought the last piece: what the whole one is given of it. row, ends: its
    own, unpacked; key: whose it is."""

    __slots__ = ("dst", "ends", "key", "row", "src")

    def __init__(self, row: tuple[int, ...], ends: tuple[Any, ...], key: bytes) -> None:
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


# IP packets: what brought the last piece, length, parts.
Made = list[tuple[_Packet, int, tuple[bytes, ...]]]


class Reassembler:
    """Batches of one tap in; rows of what they hold in pieces out. Sans-IO.

    tap, ports, key: as for every other row of that tap. `counts` are of the packets that were
    put together (its packets, sip and malformed come on top of the tap's own counts).
    too_long: messages that no row can hold (more than 64 kB, which only TCP allows).
    conflicts: pieces that contradicted earlier ones. expired: given up after FRAGMENT_SECONDS
    or STREAM_SECONDS. evicted: given up for room. incomplete: those of them that had the start of
    a message, or of a datagram. repeated: messages that TCP sent again. websockets: connections
    that carry WebSocket (RFC 7118) on a SIP port: what is in them is left alone.
    """

    def __init__(self, tap: int, ports: Sequence[int], key: bytes, limit: int = LIMIT) -> None:
        self.tap = tap
        self.counts = Counts()
        self.conflicts = self.expired = self.evicted = self.too_long = 0
        self.incomplete = self.repeated = self.websockets = 0
        self.held = 0  # bytes
        self._limit = limit
        self._scanner = Scanner(RAW, tap, key, ports, self.counts, max_rows=64)
        self._pending: OrderedDict[bytes, Datagram | Stream] = OrderedDict()
        # When each flow was last seen, ns, and how far it was read: the sequence number behind the
        # last whole message.
        self._flows: OrderedDict[bytes, tuple[int, int]] = OrderedDict()
        # Connections that carry WebSocket, both directions, and when they were last seen.
        self._websockets: OrderedDict[bytes, tuple[int, int]] = OrderedDict()
        self._made: Made = []
        self._tunnels: Made = []  # in them are packets that may be pieces themselves
        self._watermark = 0

    def feed(self, batch: Batch) -> Batch | None:
        """Take the fragments and segments out of a batch.

        What looked like a message of its own but continues one in pieces (cut inside its first
        word, or SIP inside a body), or is one that TCP sends again, or is inside a WebSocket, is
        taken out as well: its row is made a SEGMENT in place.
        Returns None, or a batch of the messages that became whole by it, with the time of
        their last piece. Hand that one on before the batch itself, whose watermark is later.
        """
        before, self._watermark = self._watermark, batch.watermark
        found = []
        for index, kind in _pieces(batch):
            self._take(batch, index, kind)
            while self._tunnels:  # each of them ended the waiting of a piece, so this ends
                found.append(self._opened(before))
        if self._pending:
            self._expire(batch.watermark)
        if self._made:
            found.append(without_pieces(self._scanned(self._made, before)))
        return joined(found)

    def _opened(self, watermark: int) -> Batch:
        """What is whole in the tunnels' packets; the pieces in them are taken. A tunnel in a tunnel
        is left for the next time: no depth of theirs is a depth of calls."""
        batch = self._scanned(self._tunnels, watermark)
        for index, kind in _pieces(batch):
            self._take(batch, index, kind)
        return without_pieces(batch)

    def _take(self, batch: Batch, index: int, kind: int) -> None:
        row = layout.ROW.unpack_from(batch.rows, index * layout.ROW.size)
        payload, length, bits = row[8], row[9], row[12]
        if bits & layout.ROW_TRUNCATED:
            return  # not all of it was captured, so nobody knows what follows it
        at = index * layout.ENDS.size
        raw = bytes(batch.ends[at : at + layout.ENDS.size])
        ends = layout.ENDS.unpack(raw)
        # Addresses, ports, capture point and TTL: in a file that holds both sides of a router
        # without NAT nothing else than the TTL tells the two copies of one packet apart.
        packet = _Packet(row, ends, raw[:32] + raw[_PORTS_AT:] + bytes((row[15],)))
        head = bytes(batch.buffer[ends[2] : payload])
        if kind == FRAGMENT:
            self._fragment(packet, head, bytes(batch.buffer[payload : payload + length]))
            return
        if self._websockets and self._is_websocket(raw[:32] + _PORTS.pack(*ends[4:6]), row[0]):
            _is_none(batch, index)
            return
        place = tcp_place(head, packet.src + packet.dst)
        if place is None:
            return
        key = packet.key
        seq, behind = (place[0] + place[1]) & 0xFFFFFFFF, place[1]
        self._give_up_old(key, row[0])
        if key not in self._pending:
            reached = self._reached(key, row[0])
            if reached is not None and kind != SEGMENT and seq == reached:
                self._remember(self._flows, key, row[0], (seq + length) & 0xFFFFFFFF)
                return  # in order and whole, as most are
            if reached is not None and -REPEATED <= ahead(seq + length, reached) <= 0:
                if kind == SIP:
                    self.repeated += 1
                    _is_none(batch, index)
                return
        data = bytes(batch.buffer[payload : payload + length])
        if kind == SEGMENT:
            self._segment(packet, seq, data, behind > 0)
        elif not self._stands_alone(packet, seq, data, kind == SIP):
            _is_none(batch, index)

    def _stands_alone(self, packet: _Packet, seq: int, data: bytes, sip: bool) -> bool:
        """Is what looks like a whole message, or like a keep-alive, one indeed?"""
        stream = self._stream(packet.key, seq, packet.row[0], sip)
        if stream is None:
            return True
        place = stream.place(seq)
        end = place + len(data)
        if stream.has(place, end):
            self.repeated += sip
            return not sip
        if sip and stream.has(place + line_ends(data), end):
            self.repeated += 1
            alone = False
        else:
            standing = stream.standing(place)
            alone = standing == ANY or (sip and standing == SOUND and is_sound(data))
        self._add(packet, stream, place, data, sip and alone, sip and alone)
        return alone

    def _stream(self, key: bytes, seq: int, at: int, starts: bool) -> Stream | None:
        """What is there of a flow; None when seq is of nothing that is there."""
        stream, reached = self._pending.get(key), None
        if isinstance(stream, Stream):
            place = stream.place(seq)
            if stream.is_near(place):
                if stream.is_stale(at) and place >= stream.runs[-1].end:
                    self.held -= stream.cost
                    stream.settle(at)  # before it: what comes now may well be the first of many
                    self.held += stream.cost
                return stream
            if not starts:
                return None
            self._give_up(key)  # another connection with the same ports
        else:
            reached = self._reached(key, at)
            if reached is not None and not -REPEATED <= ahead(seq, reached) <= WINDOW:
                reached = None
        stream = self._pending[key] = Stream(
            seq if reached is None else reached, reached is not None, at
        )
        self.held += stream.cost
        return stream

    def _add(
        self, packet: _Packet, stream: Stream, place: int, data: bytes, starts: bool, told: bool
    ) -> None:
        """What became whole by a segment is made."""
        key, cost = packet.key, stream.cost
        if not stream.add(place, data, starts, told):
            self.conflicts += 1
        for run in stream.runs:
            while (message := stream.next_message(run)) is not None:
                sport, dport = packet.ends[4:6]
                header = _TCP.pack(sport, dport, 0, 0, 5 << 4, 0x18, 0, 0, 0)
                _make(self._made, packet, header, message)
        stream.settle(packet.row[0])
        self.held += stream.cost - cost
        if stream.too_long or stream.lost:
            self.too_long += stream.too_long
            self.incomplete += stream.lost
            stream.too_long = stream.lost = 0
        if stream.floor is not None:
            self._remember(self._flows, key, packet.row[0], stream.seq(stream.floor))
        if stream.runs:
            self._pending.move_to_end(key)
        else:
            self._drop(key)
        self._make_room()

    def _remember(
        self, table: OrderedDict[bytes, tuple[int, int]], key: bytes, at: int, seq: int = 0
    ) -> None:
        if key in table:
            table.move_to_end(key)
        else:
            self.held += FLOW_COST
            if len(table) >= MOST_FLOWS:
                table.popitem(last=False)
                self.held -= FLOW_COST
        table[key] = at, seq

    def _recall(
        self, table: OrderedDict[bytes, tuple[int, int]], key: bytes, at: int, seconds: int
    ) -> int | None:
        """What is remembered; None when that is nothing, or too old: then the ports may belong to
        another connection."""
        seen = table.get(key)
        if seen is None:
            return None
        if at - seen[0] > seconds * SECOND:
            del table[key]
            self.held -= FLOW_COST
            return None
        return seen[1]

    def _reached(self, key: bytes, at: int) -> int | None:
        return self._recall(self._flows, key, at, FLOW_SECONDS)

    def _is_websocket(self, key: bytes, at: int) -> bool:
        if self._recall(self._websockets, key, at, WEBSOCKET_SECONDS) is None:
            return False
        self._remember(self._websockets, key, at)
        return True

    def _fragment(self, packet: _Packet, head: bytes, data: bytes) -> None:
        place = fragment_place(head, packet.src + packet.dst)
        if place is None:
            return
        ident, offset, more = place
        key = (
            b"f" + packet.key[:32] + packet.key[36:] + ident.to_bytes(4)
        )  # ports have first ones only
        self._give_up_old(key, packet.row[0])
        datagram = self._pending.get(key)
        if not isinstance(datagram, Datagram):
            datagram = self._pending[key] = Datagram(packet.row[0])
            self.held += datagram.cost
        if len(datagram.pieces) >= MOST_PIECES:
            self._give_up(key)
            self.evicted += 1
            return
        cost = datagram.cost
        self.conflicts += not datagram.add(offset, data, more)
        self.held += datagram.cost - cost
        whole = datagram.whole()
        if whole is None:
            self._make_room()
            return
        self._drop(key)
        if packet.ends[7] == UDP:
            _make(self._made, packet, whole)
        elif packet.ends[7] != TCP:  # a tunnel, or IPv6 extension headers
            _make(self._tunnels, packet, whole)
        elif len(whole) >= 20:
            sport, dport, seq = struct.unpack_from("!HHI", whole)
            text = whole[(whole[12] >> 4) * 4 :]
            if text:  # a fragment has no ports of its own
                ends = (*packet.ends[:4], sport, dport, *packet.ends[6:])
                raw = layout.ENDS.pack(*ends)
                last = packet.key[-1:]
                packet = _Packet(packet.row, ends, raw[:32] + raw[_PORTS_AT:] + last)
                self._segment(packet, seq, text, False)

    def _segment(self, packet: _Packet, seq: int, data: bytes, starts: bool) -> None:
        if _UPGRADE.match(data):
            self.websockets += 1
            src, dst, _, _, sport, dport = packet.ends[:6]
            for flow in (src + dst + _PORTS.pack(sport, dport),
                         dst + src + _PORTS.pack(dport, sport)):  # fmt: skip
                self._remember(self._websockets, flow, packet.row[0])
            self._make_room()
            return
        key = packet.key
        self._give_up_old(key, packet.row[0])
        reached = None if key in self._pending else self._reached(key, packet.row[0])
        if reached is not None and -REPEATED <= ahead(seq + len(data), reached) <= 0:
            return  # of a message that was whole before
        starts = starts or may_start(data)
        stream = self._stream(key, seq, packet.row[0], starts)
        if stream is not None:
            self._add(packet, stream, stream.place(seq), data, starts, False)

    def pending(self) -> int:
        """Datagrams and messages of which a part is there and the rest is awaited."""
        return sum(isinstance(one, Datagram) or one.unread for one in self._pending.values())

    def health(self) -> dict[str, int]:
        """What could not be put together, and what is left alone; only what is not 0."""
        numbers = {
            "incomplete": self.incomplete,
            "conflicts": self.conflicts,
            "too_long": self.too_long,
            "repeated": self.repeated,
            "websockets": self.websockets,
        }
        return {name: value for name, value in numbers.items() if value}

    def _drop(self, key: bytes) -> None:
        self.held -= self._pending.pop(key).cost

    def _give_up(self, key: bytes) -> None:
        one = self._pending[key]
        self.incomplete += isinstance(one, Datagram) or one.unread
        self._drop(key)
        if isinstance(one, Stream) and (reached := one.read_up_to) is not None:
            self._remember(self._flows, key, one.touched, one.seq(reached))

    def _make_room(self) -> None:
        while self.held > self._limit and self._pending:
            self._give_up(next(iter(self._pending)))
            self.evicted += 1

    def _give_up_old(self, key: bytes, at: int) -> None:
        """What waited for too long is no part of what comes now, whoever uses its identification
        or ports again."""
        if key in self._pending and at > _end(self._pending[key]):
            self._give_up(key)
            self.expired += 1

    def _expire(self, now: int) -> None:
        while self._pending:
            key, oldest = next(iter(self._pending.items()))
            if _end(oldest) > now:
                return
            self._give_up(key)
            self.expired += 1

    def _scanned(self, made: Made, watermark: int) -> Batch:
        """The packets that were made, scanned like any other; the list is empty then."""
        size, meta, by_frame = 0, [], {}
        for packet, length, _ in made:
            by_frame[size] = packet
            meta.append(_META.pack(0, 0, size, length))
            size += length
        buffer = b"".join([part for _, _, parts in made for part in parts])
        made.clear()  # large ones are the larger part of what this stage ever needs
        rows, ends = bytearray(), bytearray()
        for part in self._scanner.scan(buffer, b"".join(meta), 0):
            for row, end in zip(
                layout.ROW.iter_unpack(part.rows), layout.ENDS.iter_unpack(part.ends), strict=True
            ):
                packet = by_frame[end[2]]
                bits = row[12] | packet.row[12] & layout.ROW_OUTGOING
                rows += layout.ROW.pack(packet.row[0], *row[1:12], bits, *row[13:])
                ends += layout.ENDS.pack(*end[:6], packet.ends[6], *end[7:])
        count = len(rows) // layout.ROW.size
        return Batch(buffer, memoryview(rows), bytes(ends), count, self.tap, watermark)


def _pieces(batch: Batch) -> Iterator[tuple[int, int]]:
    """(index, kind) of the rows that are a piece, or may be one."""
    kinds = bytes(memoryview(batch.rows)[layout.ROW_KIND :: layout.ROW.size])
    low = bytes(memoryview(batch.rows)[layout.ROW_LOW_BITS :: layout.ROW.size])
    if FRAGMENT in kinds or low.translate(None, _NOT_TCP):
        for index, kind in enumerate(kinds):
            if kind == FRAGMENT or (
                low[index] & layout.ROW_TCP and kind in (SEGMENT, SIP, KEEPALIVE)
            ):
                yield index, kind


def _make(made: Made, packet: _Packet, *payload: bytes) -> None:
    size = sum(map(len, payload))
    if size <= 65535 - 20:  # an IPv4 header says no more
        header = packet.header(size)
        made.append((packet, len(header) + size, (header, *payload)))


def _end(one: Datagram | Stream) -> int:
    """When it has waited for too long, ns."""
    if isinstance(one, Datagram):
        return one.first_at + FRAGMENT_SECONDS * SECOND
    return one.touched + STREAM_SECONDS * SECOND


def _is_none(batch: Batch, index: int) -> None:
    """What looked like a message of its own is none."""
    memoryview(batch.rows)[index * layout.ROW.size + layout.ROW_KIND] = SEGMENT
