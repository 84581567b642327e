# SPDX-License-Identifier: Apache-2.0
"""Reassembly: IP fragments and TCP segments become whole messages, in the batch they came in.

Sans-IO and bounded: all that is held counts against one limit a tap, and the oldest goes first.
"""

from __future__ import annotations

import re
import struct
from collections import OrderedDict
from collections.abc import Iterable, Iterator, Sequence
from operator import itemgetter
from typing import Any

from algwatch.base.native import layout
from algwatch.base.native.rows import Counts, Scanner
from algwatch.base.packet import Batch
from algwatch.capture.batches import NO_MESSAGES, Loose, loose
from algwatch.capture.filter import RAW
from algwatch.capture.fragments import MOST_PARTS, Datagram
from algwatch.capture.offsets import TCP, fragment_offset, segment_offset
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

CLIENT, SERVER = 1, 2  # of a WebSocket

SECOND = 1_000_000_000
UDP = 17
SIP, FRAGMENT, SEGMENT = layout.KIND_SIP, layout.KIND_FRAGMENT, layout.KIND_SEGMENT
# Ten bytes of white space at most: between messages a keep-alive, inside one a part of it.
KEEPALIVE = layout.KIND_KEEPALIVE

_META = struct.Struct("=IIII")
_PORTS = struct.Struct("!HH")
_IPV4, _IPV6 = struct.Struct("!BBHHHBBH"), struct.Struct("!IHBB")
_TCP = struct.Struct("!HHIIBBHHH")
_NOT_TCP = bytes(value for value in range(256) if not value & layout.ROW_TCP)
_KIND = 13  # in a row
_index = itemgetter(0)
_PORTS_AT = 40  # in a row's ends: from there on ports, capture point, protocol, IP version


# RFC 6455 section 4.1 and 4.2.2. The answer is enough where the capture began after the request.
_UPGRADE = re.compile(
    rb"(?:GET |HTTP/1\.1 101 )[^\n]*\n(?:[^\n]*\n)*?upgrade[ \t]*:[^\n]*websocket", re.I
)


class _Packet:
    """The packet that brought the last part; the whole message gets its time, TTL, IP ID,
    direction and capture point. index: of its row in the batch; row, ends: unpacked; key: all that
    the packets of one message have in common."""

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


# IP packets: the packet that brought the last part, length, parts.
Made = list[tuple[_Packet, int, tuple[bytes, ...]]]


class Reassembler:
    """Batches of one tap (or of several in one file, told apart by the rows' tap) in and out.

    tap, ports, key: as for every other row of that tap. live: of an interface of this machine: what
    a tunnel carries is left out (see aw_packet_scan). counts: of the packets that were put
    together; its packets, sip and malformed are not in the tap's own counts. too_long: messages
    over 64 kB, which only TCP can carry and no row can hold. conflicts: overlapping parts with
    different bytes. expired: given up after FRAGMENT_SECONDS or STREAM_SECONDS. evicted: given up
    for room. incomplete: datagrams and begun messages among the expired and evicted. repeated:
    messages that TCP sent again. refused: datagrams with a wrong checksum, which no stack accepts,
    and where it is live those that may be a tunnel.
    websockets: connections on a SIP port that carry WebSocket (RFC 7118); their data is not looked
    at.
    """

    def __init__(self, tap: int, ports: Sequence[int], key: bytes, limit: int = LIMIT,
                 live: bool = False) -> None:  # fmt: skip
        self.tap = tap
        self._live = live
        self.counts = Counts()
        self.conflicts = self.expired = self.evicted = self.too_long = 0
        self.incomplete = self.repeated = self.websockets = self.refused = 0
        self.held = 0  # bytes
        self._limit = limit
        self._scanner = Scanner(RAW, tap, key, ports, self.counts, max_rows=64)
        self._pending: OrderedDict[bytes, Datagram | Stream] = OrderedDict()
        # When each flow was last seen, ns, and how far it was read: the sequence number behind the
        # last whole message.
        self._flows: OrderedDict[bytes, tuple[int, int]] = OrderedDict()
        # Connections that carry WebSocket, both directions: when they were last seen, and whose
        # direction it is.
        self._websockets: OrderedDict[bytes, tuple[int, int]] = OrderedDict()
        self._made: Made = []
        self._tunnels: Made = []  # in them are packets that may be parts themselves
        self._opened: list[tuple[int, *Loose]] = []  # messages that were whole inside a tunnel
        self._index = 0  # of the row that is looked at

    def feed(self, batch: Batch) -> Batch:
        """The batch with its whole messages in place of their parts, rows in the same order.

        A message stands where its last fragment or segment stood and has its time. A row of a
        segment that only looked like a message (one cut inside its first word, SIP inside a
        body, one that TCP sends again, one inside a WebSocket) is made a SEGMENT, in place.
        Without anything to put together the batch itself comes back.
        """
        for index, kind in _parts(batch):
            self._index = index
            self._take(batch, index, kind)
            while self._tunnels:  # each of them ended the waiting of a part, so this ends
                self._open_tunnels()
        if self._pending:
            self._expire(batch.watermark)
        if self._made or self._opened:
            return self._merged(batch)
        return batch

    def _open_tunnels(self) -> None:
        """Messages that are whole inside a tunnel's packets are kept, their other packets taken.
        A tunnel in a tunnel is left for the next call: nesting does not become recursion."""
        buffer = _joined(self._tunnels)
        rows, ends = bytearray(), bytearray()
        for _, row, end in self._scanned(self._tunnels, buffer):
            rows += layout.ROW.pack(*row)
            ends += layout.ENDS.pack(*end)
        self._tunnels = []
        count = len(rows) // layout.ROW.size
        batch = Batch(buffer, memoryview(rows), bytes(ends), count, self.tap, 0)
        for index, kind in _parts(batch):
            self._take(batch, index, kind)
        self._opened += [
            (self._index, *one) for one in loose(batch) if one[0][_KIND] not in NO_MESSAGES
        ]

    def _merged(self, batch: Batch) -> Batch:
        """The rows of the batch and of what was put together, and one buffer for both."""
        made, opened = self._made, self._opened
        kept = [
            (index, *one)
            for index, one in enumerate(loose(batch))
            if one[0][_KIND] not in NO_MESSAGES
        ]
        others = opened + kept
        buffer = _joined(made, (payload for _, _, _, payload in others))
        size = sum(length for _, length, _ in made)
        found = []
        for index, row, ends, payload in others:
            # Reassembly is the last to look at headers in front of a message.
            row = (*row[:8], size, *row[9:])
            found.append((index, row, (*ends[:2], size, len(payload), *ends[4:])))
            size += len(payload)
        whole = [one for one in self._scanned(made, buffer) if one[1][_KIND] not in NO_MESSAGES]
        # A whole message before a row of the packet that completed it.
        found[len(opened) : len(opened)] = whole
        found.sort(key=_index)
        self._made, self._opened = [], []
        return Batch(
            buffer,
            b"".join([layout.ROW.pack(*row) for _, row, _ in found]),
            b"".join([layout.ENDS.pack(*ends) for _, _, ends in found]),
            len(found),
            batch.tap,
            batch.watermark,
        )

    def _take(self, batch: Batch, index: int, kind: int) -> None:
        row = layout.ROW.unpack_from(batch.rows, index * layout.ROW.size)
        payload, length, bits = row[8], row[9], row[12]
        if bits & layout.ROW_TRUNCATED:
            return  # the rest of it was not captured
        at = index * layout.ENDS.size
        raw = bytes(batch.ends[at : at + layout.ENDS.size])
        ends = layout.ENDS.unpack(raw)
        # Addresses, ports, capture point and direction: what came in with the addresses of what
        # goes out is somebody else's. In a file that holds both sides of a router without NAT, and
        # does not tell the direction, only the TTL tells the two copies of one packet apart; else
        # it may differ from part to part, as for every receiver.
        way = row[12] >> 2 & 1 | row[12] >> 9 & 2  # OUTGOING and DIRECTED
        told = bytes((0, way)) if way & 2 else bytes((row[15], way))
        packet = _Packet(self._index, row, ends, raw[:32] + raw[_PORTS_AT:] + told)
        if self._pending:
            self._expire(row[0])
        head = bytes(batch.buffer[ends[2] : payload])
        if kind == FRAGMENT:
            self._fragment(packet, head, bytes(batch.buffer[payload : payload + length]))
            return
        if self._websockets and (way := self._websocket(raw, ends, row[0])):
            # A client masks all that it sends (RFC 6455 section 5.3): where it says SIP in plain
            # text, the upgrade was somebody else's.
            if way != CLIENT or kind != SIP:
                _is_none(batch, index)
                return
            self._forget_websocket(ends)
        place = segment_offset(head, packet.src + packet.dst)
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
        """True if a segment that looks like a whole message, or a keep-alive, is one."""
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
        """The stream of a flow; None when seq belongs to none and no message starts there."""
        stream, reached = self._pending.get(key), None
        if isinstance(stream, Stream):
            place = stream.place(seq)
            if stream.is_near(place):
                if stream.is_stale(at) and place >= stream.runs[-1].end:
                    self.held -= stream.cost
                    stream.settle(at)  # before this segment: it may be the first of many
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
        """Add a segment, and make a packet of each message that it completes."""
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
        """The remembered sequence number; None without one, or when it is older than `seconds`:
        then the ports may belong to another connection."""
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

    def _websocket(self, raw: bytes, ends: tuple[Any, ...], at: int) -> int:
        """CLIENT or SERVER, who sends on this flow of a WebSocket; 0 where it is none."""
        key = raw[:32] + _PORTS.pack(*ends[4:6])
        way = self._recall(self._websockets, key, at, WEBSOCKET_SECONDS)
        if way is None:
            return 0
        self._remember(self._websockets, key, at, way)
        return way

    def _forget_websocket(self, ends: tuple[Any, ...]) -> None:
        for flow in _both_ways(ends):
            if self._websockets.pop(flow, None) is not None:
                self.held -= FLOW_COST

    def _fragment(self, packet: _Packet, head: bytes, data: bytes) -> None:
        place = fragment_offset(head, packet.src + packet.dst)
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
        if len(datagram.parts) >= MOST_PARTS:
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
            if self._live:
                self.refused += 1
            else:
                _make(self._tunnels, packet, whole)
        elif len(whole) >= 20:
            sport, dport, seq = struct.unpack_from("!HHI", whole)
            text = whole[(whole[12] >> 4) * 4 :]
            if text:  # a fragment has no ports of its own
                ends = (*packet.ends[:4], sport, dport, *packet.ends[6:])
                raw = layout.ENDS.pack(*ends)
                key = raw[:32] + raw[_PORTS_AT:] + packet.key[-2:]
                packet = _Packet(packet.index, packet.row, ends, key)
                self._segment(packet, seq, text, False)

    def _segment(self, packet: _Packet, seq: int, data: bytes, starts: bool) -> None:
        if _UPGRADE.match(data):
            self.websockets += 1
            ways = (CLIENT, SERVER) if data[:1] == b"G" else (SERVER, CLIENT)  # GET, or its answer
            for flow, way in zip(_both_ways(packet.ends), ways, strict=True):
                self._remember(self._websockets, flow, packet.row[0], way)
            self._make_room()
            return
        key = packet.key
        self._give_up_old(key, packet.row[0])
        reached = None if key in self._pending else self._reached(key, packet.row[0])
        if reached is not None and -REPEATED <= ahead(seq + len(data), reached) <= 0:
            return  # part of a message that is complete already
        starts = starts or may_start(data)
        stream = self._stream(key, seq, packet.row[0], starts)
        if stream is not None:
            self._add(packet, stream, stream.place(seq), data, starts, False)

    def pending(self) -> int:
        """Datagrams and messages whose other parts have not come yet."""
        return sum(isinstance(one, Datagram) or one.unread for one in self._pending.values())

    def health(self) -> dict[str, int]:
        """Counters of failed reassembly, repetitions and WebSockets; only those above 0."""
        numbers = {
            "incomplete": self.incomplete,
            "conflicts": self.conflicts,
            "too_long": self.too_long,
            "repeated": self.repeated,
            "websockets": self.websockets,
            "refused": self.refused,
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
        """Give up a datagram or stream that has waited too long: a packet with its identification
        or ports now belongs to another."""
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

    def _scanned(
        self, made: Made, buffer: bytes
    ) -> Iterator[tuple[int, tuple[int, ...], tuple[Any, ...]]]:
        """(index of the packet that brought the last part, row, ends) of the packets that were
        put together and begin the buffer, scanned like any other."""
        size, meta, by_frame = 0, [], {}
        for packet, length, _ in made:
            by_frame[size] = packet
            meta.append(_META.pack(0, 0, size, length))
            size += length
        for one in self._scanner.scan(buffer, b"".join(meta), 0):
            for row, end in zip(
                layout.ROW.iter_unpack(one.rows), layout.ENDS.iter_unpack(one.ends), strict=True
            ):
                packet = by_frame[end[2]]
                way = packet.row[12] & (layout.ROW_OUTGOING | layout.ROW_DIRECTED)
                if row[12] & layout.ROW_DAMAGED and way == layout.ROW_DIRECTED:
                    self.refused += 1  # captured as it came in: no stack accepts it
                    continue
                bits = row[12] | way
                row = (packet.row[0], *row[1:12], bits, *row[13:16], packet.row[16])
                yield packet.index, row, (*end[:6], packet.ends[6], *end[7:])


def _both_ways(ends: tuple[Any, ...]) -> tuple[bytes, bytes]:
    """The keys of both directions of a TCP connection, the one of `ends` first."""
    src, dst, _, _, sport, dport = ends[:6]
    return src + dst + _PORTS.pack(sport, dport), dst + src + _PORTS.pack(dport, sport)


def _parts(batch: Batch) -> Iterator[tuple[int, int]]:
    """(index, kind) of the rows that are a fragment or segment, or may continue one."""
    kinds = bytes(memoryview(batch.rows)[layout.ROW_KIND :: layout.ROW.size])
    low = bytes(memoryview(batch.rows)[layout.ROW_LOW_BITS :: layout.ROW.size])
    if FRAGMENT in kinds or low.translate(None, _NOT_TCP):
        for index, kind in enumerate(kinds):
            if kind == FRAGMENT or (
                low[index] & layout.ROW_TCP and kind in (SEGMENT, SIP, KEEPALIVE)
            ):
                yield index, kind


def _joined(made: Made, others: Iterable[bytes | memoryview] = ()) -> bytes:
    return b"".join([*(one for _, _, parts in made for one in parts), *others])


def _make(made: Made, packet: _Packet, *payload: bytes) -> None:
    size = sum(map(len, payload))
    if size <= 65535 - 20:  # an IPv4 header says no more
        header = packet.header(size)
        made.append((packet, len(header) + size, (header, *payload)))


def _end(one: Datagram | Stream) -> int:
    """The time (ns) at which it is given up."""
    if isinstance(one, Datagram):
        return one.first_at + FRAGMENT_SECONDS * SECOND
    return one.touched + STREAM_SECONDS * SECOND


def _is_none(batch: Batch, index: int) -> None:
    """Make the row a SEGMENT: its bytes are no message of their own."""
    memoryview(batch.rows)[index * layout.ROW.size + layout.ROW_KIND] = SEGMENT
