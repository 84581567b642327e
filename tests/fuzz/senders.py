# SPDX-License-Identifier: Apache-2.0
"""Senders for reassembly.py, honest or not: the packets of a step of its script."""

from __future__ import annotations

import struct
from collections.abc import Iterable, Iterator
from itertools import pairwise

from algwatch.capture.flows import FLOW_SECONDS, SECOND
from algwatch.capture.fragments import SECONDS as FRAGMENT_SECONDS

UDP, TCP = 17, 6
ADDRESSES = ((bytes((192, 168, 1, 10)), bytes((203, 0, 113, 5))), (bytes(15) + b"\1", bytes(16)))

HEAD = (
    b"INVITE sip:bob@192.0.2.9 SIP/2.0\r\nVia: SIP/2.0/UDP 192.168.1.10;branch=z9hG4bK%d\r\n"
    b"From: <sip:a@b>;tag=1\r\nTo: <sip:c@d>\r\nCall-ID: %d@x\r\nCSeq: 1 INVITE\r\n"
    b"Content-Length: %d\r\n\r\n"
)
SIPFRAG = b"SIP/2.0 200 OK\r\nCall-ID: 1\r\nContent-Length: 0\r\n\r\n"
BODIES: tuple[bytes, ...] = (
    b"",
    b"\r\n \r\n\r\n",
    SIPFRAG * 3,
    b"SIP/2.0/UDP h\r\nINVITE sip:b SIP/2.0\r\n\r\n",
)
# A body whose end may look like the beginning of a message, but for a start line. Without a line
# end: a piece with a whole line that is none is taken for a message where nothing came before. And
# alone: one that comes in a segment with the next one takes along what follows that.
ENDED = 4
BODIES += (b"PRACK INFO sip:b " * 4000,)
UPGRADE = b"GET / HTTP/1.1\r\nUpgrade: websocket\r\nSec-WebSocket-Protocol: sip\r\n\r\n"


class Script:
    """Reads an input; behind its end there are zeros."""

    __slots__ = ("_at", "_data", "_size")

    def __init__(self, data: bytes) -> None:
        self._data, self._at, self._size = data, 0, len(data)

    def __bool__(self) -> bool:
        return self._at < self._size

    def byte(self) -> int:
        self._at += 1
        return self._data[self._at - 1] if self._at <= self._size else 0

    def below(self, most: int) -> int:
        if most > 256:
            return (self.byte() << 8 | self.byte()) % most
        return self.byte() % most

    def take(self, count: int) -> bytes:
        self._at += count
        return self._data[self._at - count : self._at]

    def size(self) -> int:
        """Mostly small."""
        size = self.byte()
        return size if size < 240 else (size - 239) * 300


class Connection:
    """messages: what may be taken for one in it. used: when it sent last, ns."""

    __slots__ = ("first", "messages", "seq", "sport", "text", "used")

    def __init__(self, sport: int, seq: int) -> None:
        self.sport, self.first, self.seq = sport, seq, seq
        self.messages = self.used = 0
        self.text = b""


class Network:
    """Makes packets, and remembers what honest senders sent.

    once: messages over TCP. in_order: nothing came that may look like another message.
    honest: nobody else sent anything. now: ns. idents: when each identification was used last."""

    __slots__ = (
        "connections", "honest", "idents", "in_order", "most", "now", "number", "once", "sent",
        "texts", "tunnelled",
    )  # fmt: skip

    def __init__(self) -> None:
        self.number = 0
        self.sent: list[bytes] = []
        self.once: list[bytes] = []
        self.in_order = self.honest = True
        self.now = 0
        self.idents: dict[int, int] = {}
        self.connections: list[Connection] = []
        self.texts: list[bytes] = []  # what each connection that ended sent
        self.most = 0  # of a connection
        self.tunnelled = 0

    def message(self, body: int, kind: int = 0) -> bytes:
        """body: bytes of it; kind: what it begins with, see BODIES."""
        self.number += 1
        text = BODIES[kind] + b"v=0\r\ns=%d\r\n" % self.number
        text = (text + b"a=xyz\r\n" * (body // 7 + 1))[:body]
        return HEAD % (self.number, self.number, len(text)) + text


def ipv4(proto: int, payload: bytes, ident: int, word: int, version: int) -> bytes:
    """An IP packet; word: flags and fragment offset in units of 8 bytes, 0 for a whole packet."""
    src, dst = ADDRESSES[version]
    if version == 0:
        head = (0x45, 0, 20 + len(payload), ident, word, 64, proto, 0)
        return struct.pack("!BBHHHBBH", *head) + src + dst + payload
    if word:
        offset = (word & 0x1FFF) << 3 | (word >> 13 & 1)
        payload = struct.pack("!BBHI", proto, 0, offset, ident) + payload
        proto = 44
    return struct.pack("!IHBB", 6 << 28, len(payload), proto, 64) + src + dst + payload


def segment(seq: int, data: bytes, sport: int, version: int) -> bytes:
    head = struct.pack("!HHIIBBHHH", sport, 5060, seq & 0xFFFFFFFF, 1, 5 << 4, 0x18, 65535, 0, 0)
    return ipv4(TCP, head + data, 1, 0, version)


# After so many ns an identification, or ports and sequence numbers, may be used again.
IDENT_PAUSE = (FRAGMENT_SECONDS + 1) * SECOND
CONNECTION_PAUSE = (FLOW_SECONDS + 1) * SECOND
Range = tuple[int, int]
CUTS = (0, 1, 1, 1, 2, 2, 3, 7)


def cuts(script: Script, length: int, unit: int) -> list[Range]:
    """0..length in at most 8 parts, mostly in two or three."""
    places = {script.below(length) // unit * unit for _ in range(CUTS[script.byte() & 7])}
    places.add(0)
    inner = sorted(places)
    inner.append(length)
    return list(pairwise(inner))


def shuffled(script: Script, items: list[Range]) -> list[Range]:
    found = []
    while len(items) > 1:
        found.append(items.pop(script.below(len(items))))
    return found + items


def fragments(script: Script, network: Network) -> Iterator[bytes]:
    """A datagram in fragments that all come; or not all, and then its identification is used again
    by one of which all do."""
    how = script.byte()
    version, lost = how & 1, how & 6 == 6
    ident = 1000 + network.number
    if how & 8:
        old = [one for one, used in network.idents.items() if network.now - used >= IDENT_PAUSE]
        ident = min(old, default=ident)
    network.idents[ident] = network.now
    message = network.message(script.size())
    whole = struct.pack("!HHHH", 5060, 5060, 8 + len(message), 0) + message
    parts = cuts(script, len(whole), 8)
    if len(parts) == 1:
        parts = [(0, 64), (64, len(whole))]
    order = shuffled(script, parts)
    if lost:
        for low, high in order[1:]:
            yield fragment(whole, low, high, ident, version)
        return
    network.sent.append(message)
    for index, (low, high) in enumerate(order):
        how = script.below(4) if index else 0
        if how > 1:  # grown over another; then also alone
            again, end = order[script.below(index)]
            yield fragment(whole, min(low, again), max(high, end), ident, version)
        if how != 2:
            yield fragment(whole, low, high, ident, version)


def through_tunnel(script: Script, network: Network, packets: Iterable[bytes]) -> Iterator[bytes]:
    """Each of them in two fragments of a packet that carries it: IP-in-IP, 6in4, DS-Lite."""
    network.in_order = False  # what is in a tunnel is looked at behind the rest of its batch
    outer = script.below(2)
    for packet in packets:
        network.tunnelled += 1
        ident, proto = 0x8000 + network.tunnelled, 4 if packet[0] >> 4 == 4 else 41
        cut = 8 * (1 + script.below((len(packet) - 1) // 8))
        low = ipv4(proto, packet[:cut], ident, 0x2000, outer)
        high = ipv4(proto, packet[cut:], ident, cut >> 3, outer)
        yield from (high, low) if script.byte() & 1 else (low, high)


def fragment(whole: bytes, low: int, high: int, ident: int, version: int) -> bytes:
    more = 0x2000 if high < len(whole) else 0
    word = low >> 3 | more
    return ipv4(UDP, whole[low:high], ident, word, version)


def segments(script: Script, network: Network) -> Iterator[bytes]:
    """Messages of one connection in segments that all come; or not all, and then its next ones
    must be heard nevertheless."""
    how, which = script.byte(), script.byte()
    again, lost = how & 0xC0 == 0xC0, how & 0xC0 == 0x80
    if which & 1 and network.connections:
        connection = network.connections[(which >> 1) % len(network.connections)]
        if which & 128 and network.now - connection.used >= CONNECTION_PAUSE:  # from the beginning
            network.texts.append(connection.text)
            connection.seq, connection.text = connection.first, b""
    else:
        connection = Connection(20000 + network.number, which << 24 | 0xFFFF00)
        network.connections.append(connection)
    connection.used = network.now
    sport, seq = connection.sport, connection.seq
    text = b""
    kind = how >> 4 & 3
    if lost:
        kind = ENDED if kind == 3 else 0
    count = 1 + (how >> 2) % (3, 3, 2, 3, 1)[kind]
    connection.messages += count * (4 if kind == 2 else 1)
    network.most = max(network.most, connection.messages)
    for _ in range(count):
        message = network.message(script.size(), kind)
        text += message
        if which & 64 and not lost:
            text += b"\r\n\r\n"  # a keep-alive
        if not lost:
            network.sent.append(message)
            network.once.append(message)
    connection.seq += len(text)
    connection.text += text
    parts = cuts(script, len(text), 1)
    if lost:
        network.in_order = False
        del parts[script.below(len(parts))]
    elif not how & 2 and len(parts) > 1:
        network.in_order = False
        parts = shuffled(script, parts)
    for index, (low, high) in enumerate(parts):
        if index and again:  # and grown
            first, end = parts[script.below(index)]
            first, end = min(low, first), max(high, end)
            yield segment(seq + first, text[first:end], sport, sport & 1)
            if which & 32:
                continue
        yield segment(seq + low, text[low:high], sport, sport & 1)


def tunnels(script: Script, network: Network) -> Iterator[bytes]:
    how = (fragments, segments)[script.byte() & 1]
    return through_tunnel(script, network, how(script, network))


def wild(script: Script, network: Network) -> Iterator[bytes]:
    """Anything: fragments and segments whose places and bytes the input chooses."""
    network.in_order = network.honest = False
    version = script.below(2)
    data = script.take(script.byte())
    if script.below(4) == 0:
        data = network.message(script.below(700))[script.byte() :] + data
    extra = script.byte()
    if extra < 64:
        data *= 1 + extra
    elif extra < 80:
        data = UPGRADE + data
    if script.below(2):
        seq = (script.byte() << 24) + script.below(65536)
        yield segment(seq, data[:60000], 5060 + script.byte(), version)
    else:
        word = script.below(65536) & (0x3FFF if script.below(2) else 0x2003)
        yield ipv4((UDP, TCP)[script.below(2)], data[:60000], script.below(3), word, version)


def noise(script: Script, network: Network) -> Iterator[bytes]:
    network.in_order = network.honest = False
    yield script.take(script.byte())


MAKERS = (fragments, segments, wild, segments, fragments, segments, tunnels, noise)
