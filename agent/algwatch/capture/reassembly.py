# SPDX-License-Identifier: Apache-2.0
"""Reassembly: IP fragments and TCP segments become whole messages, in the batch they came in.

Sans-IO and bounded: all held parts count against one limit a tap, and the oldest goes first.
"""

from __future__ import annotations

import struct
from collections import OrderedDict
from collections.abc import Sequence

from algwatch.base.native import layout
from algwatch.base.native.rows import Counts, Scanner
from algwatch.base.packet import Batch
from algwatch.capture.batches import Loose
from algwatch.capture.filter import RAW
from algwatch.capture.flows import CLIENT, FLOW_SECONDS, NONE, Flows, Mark, WebSockets, is_upgrade
from algwatch.capture.fragments import MOST_PARTS, Datagram, Recent
from algwatch.capture.offsets import TCP, fragment_offset, segment_offset
from algwatch.capture.pieces import (
    FRAGMENT,
    PORTS_AT,
    SEGMENT,
    SIP,
    Made,
    Piece,
    is_none,
    joined,
    make,
    parts,
    piece_of,
    segment_of,
    torn,
)
from algwatch.capture.rebuilt import Rebuilt, messages
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

# Bytes held back for one tap, objects included. With one message of 64 kB on its way out, and the
# scanner's memory for it, the whole stays below 256 kB (tests/unit/test_reassembly_memory).
LIMIT = 122880

UDP = 17

_TCP = struct.Struct("!HHIIBBHHH")


class Reassembler:
    """Batches of one tap (or of several in one file, told apart by the rows' tap) in and out.

    tap, ports, key: as for every other row of the tap. live: of an interface of this machine; the
    content of tunnels is left out (see aw_packet_scan). counts: of the reassembled packets; its
    packets, sip and malformed are not in the tap's own counts. too_long: messages over 64 kB,
    possible only over TCP and in no row. conflicts: overlapping parts with different bytes.
    expired: given up at their end. evicted: given up for room.
    incomplete: datagrams and begun messages among the expired and evicted. repeated: messages sent
    again by TCP. refused: datagrams with a wrong checksum, accepted by no stack, and if live,
    possible tunnels. websockets: connections with WebSocket on a SIP port (RFC 7118); their data is
    ignored.
    """

    def __init__(self, tap: int, ports: Sequence[int], key: bytes, limit: int = LIMIT,
                 live: bool = False) -> None:  # fmt: skip
        self.tap = tap
        self._live = live
        self.counts = Counts()
        self.conflicts = self.expired = self.evicted = self.too_long = 0
        self.incomplete = self.repeated = self.websockets = 0
        self._waits = 0  # bytes of pending parts
        self._limit = limit
        self._rebuilt = Rebuilt(Scanner(RAW, tap, key, ports, self.counts, max_rows=64))
        self._pending: OrderedDict[bytes, Datagram | Stream] = OrderedDict()
        # The last sight of each flow, ns, and the place read up to: the sequence number behind the
        # last whole message.
        self._flows = Flows(FLOW_SECONDS)
        self._recent = Recent()
        self._websockets = WebSockets()
        self._made: Made = []
        self._tunnels: Made = []  # their inner packets may be parts themselves
        self._opened: list[tuple[int, *Loose]] = []  # messages found whole inside a tunnel
        self._index = 0  # of the current row

    def feed(self, batch: Batch) -> Batch:
        """The batch with its whole messages in place of their parts, rows in the same order.

        A message takes the place and the time of its last fragment or segment. A segment may only
        look like a message: cut inside its first word, SIP inside a body, repeated by TCP, inside a
        WebSocket. Its row is made a SEGMENT, in place. Without reassembly the batch itself is
        returned.
        """
        for index, kind in parts(batch):
            self._index = index
            self._take(batch, index, kind)
            while self._tunnels:  # each of them ended the waiting of a part, so this ends
                self._open_tunnels()
        if self._pending:
            self._expire(batch.watermark)
        if self._made or self._opened:
            made, opened = self._made, self._opened
            self._made, self._opened = [], []
            return self._rebuilt.merged(batch, made, opened)
        return batch

    def _open_tunnels(self) -> None:
        """Keep messages found whole inside a tunnel's packets, and take the other packets. A tunnel
        in a tunnel is left for the next call: nesting does not become recursion."""
        buffer = joined(self._tunnels)
        rows, ends = bytearray(), bytearray()
        for _, row, end in self._rebuilt.rows(self._tunnels, buffer):
            rows += layout.ROW.pack(*row)
            ends += layout.ENDS.pack(*end)
        self._tunnels = []
        count = len(rows) // layout.ROW.size
        batch = Batch(buffer, memoryview(rows), bytes(ends), count, self.tap, 0)
        for index, kind in parts(batch):
            self._take(batch, index, kind)
        self._opened += [
            (self._index, row, ends, payload) for _, row, ends, payload in messages(batch)
        ]

    def _take(self, batch: Batch, index: int, kind: int) -> None:
        row = layout.ROW.unpack_from(batch.rows, index * layout.ROW.size)
        payload, length, bits = row[8], row[9], row[12]
        if bits & layout.ROW_TRUNCATED:
            return  # its rest was not captured
        at = index * layout.ENDS.size
        packet = piece_of(self._index, row, bytes(batch.ends[at : at + layout.ENDS.size]))
        ends = packet.ends
        if self._pending:
            self._expire(row[0])
        head = bytes(batch.buffer[ends[2] : payload])
        if kind == FRAGMENT:
            self._fragment(packet, head, bytes(batch.buffer[payload : payload + length]))
            return
        if self._websockets and (way := self._websockets.sender(ends, row[0])):
            # A client masks all its data (RFC 6455 section 5.3): SIP in plain text means another
            # connection with these ports.
            if way != CLIENT or kind != SIP:
                is_none(batch, index)
                return
            self._websockets.close(ends)
        place = segment_offset(head, packet.src + packet.dst)
        if place is None:
            return
        key = packet.key
        seq, behind = (place[0] + place[1]) & 0xFFFFFFFF, place[1]
        self._give_up_old(key, row[0])
        latest = NONE
        if kind == SIP:
            latest = seq, hash(bytes(batch.buffer[payload : payload + length]))
            if self._contradicts(key, latest):
                return
        if key not in self._pending:
            reached = self._flows.recall(key, row[0])
            if reached is not None and kind != SEGMENT and seq == reached:
                self._flows.remember(key, row[0], (seq + length) & 0xFFFFFFFF, latest)
                return  # in order and whole, as most are
            if reached is not None and -REPEATED <= ahead(seq + length, reached) <= 0:
                if kind == SIP:
                    self.repeated += 1
                    is_none(batch, index)
                return
        data = bytes(batch.buffer[payload : payload + length])
        if kind == SEGMENT:
            self._segment(packet, seq, data, behind > 0)
        elif not self._stands_alone(packet, seq, data, kind == SIP):
            is_none(batch, index)

    def _contradicts(self, key: bytes, latest: Mark) -> bool:
        """True if the latest message of this flow began at the same place with other bytes. TCP
        sends no other ones, so one of the two is forged: both count, and pairing weighs them."""
        stream = self._pending.get(key)
        before = stream.latest if isinstance(stream, Stream) else self._flows.latest(key)
        if before[0] != latest[0] or before == latest:
            return False
        self.conflicts += 1
        if stream is not None:
            self._drop(key)
        self._flows.forget(key)  # nobody knows where it goes on
        return True

    def _stands_alone(self, packet: Piece, seq: int, data: bytes, sip: bool) -> bool:
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
        """The stream of a flow; None if seq belongs to none and no message starts there."""
        stream, reached = self._pending.get(key), None
        if isinstance(stream, Stream):
            place = stream.place(seq)
            if stream.is_near(place):
                if stream.is_stale(at) and place >= stream.runs[-1].end:
                    self._waits -= stream.cost
                    stream.settle(at)  # before this segment: it may be the first of many
                    self._waits += stream.cost
                    self._tell_holes(key, stream, at)
                return stream
            if not starts:
                return None
            self._give_up(key)  # another connection with the same ports
        else:
            reached = self._flows.recall(key, at)
            if reached is not None and not -REPEATED <= ahead(seq, reached) <= WINDOW:
                reached = None
        stream = self._pending[key] = Stream(
            seq if reached is None else reached, reached is not None, at
        )
        self._waits += stream.cost
        return stream

    def _add(
        self, packet: Piece, stream: Stream, place: int, data: bytes, starts: bool, told: bool
    ) -> None:
        """Add a segment, and make a packet of each message completed by it."""
        key, cost = packet.key, stream.cost
        stream.flow, stream.tap = packet.row[4], packet.row[16]
        if not stream.add(place, data, starts, told):
            self.conflicts += 1
        if told:
            stream.latest = stream.seq(place), hash(data)
        if stream.overlap:
            way = packet.row[12] & (layout.ROW_OUTGOING | layout.ROW_DIRECTED)
            self._tell(key, stream, packet.row[0], layout.KIND_OVERLAP, way, stream.overlap)
            stream.overlap = b""
        for run in stream.runs:
            while (message := stream.next_message(run)) is not None:
                sport, dport = packet.ends[4:6]
                header = _TCP.pack(sport, dport, 0, 0, 5 << 4, 0x18, 0, 0, 0)
                make(self._made, packet, header, message)
                begin = run.begin + run.at - len(message)
                stream.latest = stream.seq(begin), hash(message)
        stream.settle(packet.row[0])
        self._waits += stream.cost - cost
        self._tell_holes(key, stream, packet.row[0])
        if stream.too_long or stream.lost:
            self.too_long += stream.too_long
            self.incomplete += stream.lost
            stream.too_long = stream.lost = 0
        if stream.floor is not None:
            at, seq = packet.row[0], stream.seq(stream.floor)
            self._flows.remember(key, at, seq, stream.latest)
        if stream.runs:
            self._pending.move_to_end(key)
        else:
            self._drop(key)
        self._make_room()

    def _tell_holes(self, key: bytes, stream: Stream, at: int) -> None:
        """A row without bytes for bytes lost by the capture, or missed by framing behind an
        overlap. key: of the flow; at: ns, of the packet that shows it."""
        if stream.holes:
            stream.holes = 0
            kind = layout.KIND_CUT if stream.seam is None else layout.KIND_OVERLAP
            self._tell(key, stream, at, kind)

    def _tell(self, key: bytes, stream: Stream, at: int, kind: int, way: int = 0,
              data: bytes = b"") -> None:  # fmt: skip
        """A row for something other than a message. way: bits of its direction; data: its bytes."""
        row = (at, 0, 0, 0, stream.flow, 0, 0, 0, 0, len(data), 0, 0,
               layout.ROW_TCP | way, kind, 0, 0, stream.tap)  # fmt: skip
        ends = layout.ENDS.unpack(key[:32] + bytes(8) + key[32 : 32 + layout.ENDS.size - PORTS_AT])
        self._opened.append((self._index, row, ends, memoryview(data)))

    def _fragment(self, packet: Piece, head: bytes, data: bytes) -> None:
        place = fragment_offset(head, packet.src + packet.dst)
        if place is None:
            return
        ident, offset, more = place
        # Ports have first ones only.
        key = b"f" + packet.key[:32] + packet.key[36:] + ident.to_bytes(4)
        self._give_up_old(key, packet.row[0])
        if (again := self._recent.again(key, packet.row[0], offset, data, more)) is not None:
            if again and packet.ends[7] == UDP:
                make(self._made, packet, again)
            self.conflicts += bool(again)
            return
        datagram = self._pending.get(key)
        if not isinstance(datagram, Datagram):
            datagram = self._pending[key] = Datagram(packet.row[0])
            self._waits += datagram.cost
        if len(datagram.parts) >= MOST_PARTS:
            self._give_up(key)
            self.evicted += 1
            return
        cost = datagram.cost
        self.conflicts += not datagram.add(offset, data, more)
        self._waits += datagram.cost - cost
        whole = datagram.whole()
        if whole is None:
            self._make_room()
            return
        self._drop(key)
        self._recent.keep(key, datagram, packet.row[0])
        if datagram.is_torn:
            self._opened.append((self._index, *torn(packet, whole)))
        elif packet.ends[7] == UDP:
            make(self._made, packet, whole)
        elif packet.ends[7] != TCP:  # a tunnel, or IPv6 extension headers
            if self._live:
                self._rebuilt.refused += 1
            else:
                make(self._tunnels, packet, whole)
        elif (found := segment_of(packet, whole)) is not None:
            self._segment(*found, False)

    def _segment(self, packet: Piece, seq: int, data: bytes, starts: bool) -> None:
        if is_upgrade(data):
            self.websockets += 1
            self._websockets.open(data, packet.ends, packet.row[0])
            self._make_room()
            return
        key = packet.key
        self._give_up_old(key, packet.row[0])
        reached = None if key in self._pending else self._flows.recall(key, packet.row[0])
        if reached is not None and -REPEATED <= ahead(seq + len(data), reached) <= 0:
            return  # part of a message already complete
        starts = starts or may_start(data)
        stream = self._stream(key, seq, packet.row[0], starts)
        if stream is not None:
            self._add(packet, stream, stream.place(seq), data, starts, False)

    def pending(self) -> int:
        """Datagrams and messages with parts still missing."""
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

    @property
    def refused(self) -> int:
        return self._rebuilt.refused

    @property
    def held(self) -> int:
        """Bytes, objects included."""
        return self._waits + self._flows.cost + self._websockets.cost

    def _drop(self, key: bytes) -> None:
        self._waits -= self._pending.pop(key).cost

    def _give_up(self, key: bytes) -> None:
        one = self._pending[key]
        self.incomplete += isinstance(one, Datagram) or one.unread
        self._drop(key)
        if isinstance(one, Stream) and (reached := one.read_up_to) is not None:
            self._flows.remember(key, one.touched, one.seq(reached))

    def _make_room(self) -> None:
        while self.held > self._limit and self._pending:
            self._give_up(next(iter(self._pending)))
            self.evicted += 1

    def _give_up_old(self, key: bytes, at: int) -> None:
        """Give up a datagram or stream after too long a wait: a packet with its identification or
        ports now belongs to another."""
        if key in self._pending and at > self._pending[key].end:
            self._give_up(key)
            self.expired += 1

    def _expire(self, now: int) -> None:
        while self._pending:
            key, oldest = next(iter(self._pending.items()))
            if oldest.end > now:
                return
            self._give_up(key)
            self.expired += 1
