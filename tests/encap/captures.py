# SPDX-License-Identifier: Apache-2.0
"""The captures: one for each way in which the same call can be wrapped, cut or shuffled.

`python tests/encap/captures.py DIR` writes them all as pcap files.
"""

from __future__ import annotations

import struct
import sys
from collections.abc import Callable, Iterable
from ipaddress import ip_address
from itertools import groupby, zip_longest
from pathlib import Path

if __name__ == "__main__":
    sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from encap.dialog import messages
from encap.packets import (
    TCP,
    UDP,
    fragments4,
    fragments4_between,
    fragments6,
    fragments6_between,
    ipv4,
    ipv4_between,
    ipv6,
    ipv6_between,
    tcp,
    udp,
)

START = 1_700_000_000_000_000  # microseconds
ETHERNET, PPP, RAW, NULL, LOOP, SLL, SLL2, NFLOG = 1, 9, 101, 0, 108, 113, 276, 239
OUTER = b"".join(ip_address(host).packed for host in ("10.0.0.1", "10.0.0.2"))
OUTER6 = b"".join(ip_address(host).packed for host in ("2001:db8:f::1", "2001:db8:f::2"))
LIMIT_OPTION = b"\x04\x00\x04\x01\x04\x01\x01\x00"  # in front of IPv4 (RFC 2473 section 4.1.1)
PIECE = 104  # bytes a fragment: every message becomes several

Packet = tuple[bool, bytes]  # direction, IP packet
Wrap = Callable[[Packet], bytes]


class Capture:
    """linktype; frames; found: messages of the call that are to be found."""

    def __init__(self, linktype: int, frames: Iterable[bytes], found: int = 7) -> None:
        self.linktype = linktype
        self.frames = list(frames)
        self.found = found

    def pcap(self) -> bytes:
        out = struct.pack("<IHHiIII", 0xA1B2C3D4, 2, 4, 0, 0, 262144, self.linktype)
        for number, frame in enumerate(self.frames):
            seconds, micro = divmod(START + number * 20_000, 1_000_000)
            out += struct.pack("<IIII", seconds, micro, len(frame), len(frame)) + frame
        return out


# ---- the call as IP packets ----


def datagrams(six: bool = False, options: bytes = b"") -> list[Packet]:
    made = []
    for number, (outward, text) in enumerate(messages()):
        data = udp(outward, text, six)
        packet = ipv6(outward, data) if six else ipv4(outward, data, ident=100 + number,
                                                      options=options)  # fmt: skip
        made.append((outward, packet))
    return made


def extended() -> list[Packet]:
    """IPv6 with hop-by-hop, destination options, routing and an atomic fragment header."""
    made = []
    for outward, text in messages():
        chain = b"\x3c\0\1\4\0\0\0\0" + b"\x2b\0\1\4\0\0\0\0" + b"\x2c\0\0\0\0\0\0\0"
        chain += b"\x11\0\0\0\0\0\0\7"
        made.append((outward, ipv6(outward, chain + udp(outward, text, True), 0)))
    return made


def fragmented(six: bool, order: str) -> list[Packet]:
    made: list[Packet] = []
    for number, (outward, text) in enumerate(messages()):
        data, ident = udp(outward, text, six), 100 + number
        cut = fragments6 if six else fragments4
        pieces = cut(outward, data, UDP, ident, PIECE)
        if order == "reversed":
            pieces.reverse()
        elif order == "overlapping":  # the second begins 8 bytes early, the same bytes again
            pieces[1:2] = [_longer(outward, data, ident, six)]
        elif order == "missing" and number == 2:
            del pieces[1]
        made += [(outward, piece) for piece in pieces]
    return made


def interleaved() -> list[Packet]:
    """IPv6: of what goes the same way a piece each in turn; their identifications differ in the
    upper 16 bits alone."""
    made: list[Packet] = []
    trains = [
        [(outward, piece) for piece in fragments6(outward, udp(outward, text, True), UDP,
                                                  number << 16 | 7, PIECE)]
        for number, (outward, text) in enumerate(messages())
    ]  # fmt: skip
    for _, group in groupby(trains, key=lambda train: train[0][0]):
        made += [packet for turn in zip_longest(*group) for packet in turn if packet]
    return made


def _longer(outward: bool, data: bytes, ident: int, six: bool) -> bytes:
    """The second fragment with the last 8 bytes of the first in front."""
    low, high = PIECE - 8, 2 * PIECE
    if six:
        header = struct.pack("!BBHI", UDP, 0, low | (high < len(data)), ident)
        return ipv6(outward, header + data[low:high], 44)
    more = 0x2000 if high < len(data) else 0
    return ipv4(outward, data[low:high], UDP, ident, fragment=low >> 3 | more)


class Connection:
    """A TCP connection between the two, as packets. hello: with its handshake."""

    def __init__(self, hello: bool = True, start: int = 1000) -> None:
        self.seq = {True: start, False: start + 5000}
        self.packets: list[Packet] = []
        self._ident = 1
        if hello:
            self._add(True, b"", flags=0x02)
            self.seq[True] += 1
            self._add(False, b"", flags=0x12)
            self.seq[False] += 1
            self._add(True, b"", flags=0x10)

    def _add(self, outward: bool, data: bytes, flags: int = 0x18, back: int = 0) -> Packet:
        segment = tcp(outward, data, self.seq[outward] - back, self.seq[not outward], flags)
        self._ident += 1
        packet = (outward, ipv4(outward, segment, TCP, self._ident))
        self.packets.append(packet)
        return packet

    def say(self, outward: bool, data: bytes) -> Packet:
        packet = self._add(outward, data)
        self.seq[outward] += len(data)
        return packet

    def again(self, packet: Packet) -> None:
        self.packets.append(packet)

    def swap(self) -> None:
        """The last two packets come in the other order."""
        self.packets[-2:] = self.packets[:-3:-1]


def stream(kind: str) -> list[Packet]:
    call = messages("TCP")
    line = Connection(kind != "middle", 0xFFFFFF00 if kind == "wrapping" else 1000)
    if kind == "middle":  # of a message that began before the capture
        line.say(True, call[0][1][-300:])
    for number, (outward, text) in enumerate(call):
        if kind in ("split", "wrapping", "out of order", "retransmitted"):
            cut = 3 if number % 2 else len(text) // 2  # also inside the first word
            line.say(outward, text[:cut])
            first = line.packets[-1]
            line.say(outward, text[cut:])
            if kind == "out of order":
                line.swap()
            elif kind == "retransmitted":
                line.again(first)
                line.again(line.packets[-2])
        elif kind == "keep-alives":
            line.say(outward, b"\r\n\r\n")
            line.say(not outward, b"\r\n")
            line.say(outward, b"\r\n" + text)
        elif kind == "before a Via":  # the rest begins like a response
            cut = text.find(b"SIP/2.0/")
            line.say(outward, text[:cut])
            line.say(outward, text[cut:])
            line.swap()
        else:
            line.say(outward, text)
            if kind == "overtaken" and number in (2, 5):  # 180 before 100, BYE before ACK
                line.swap()
            if kind == "again":
                line.again(line.packets[-1])
    return line.packets


def one_segment() -> list[Packet]:
    """Messages of one direction in a row share one segment."""
    line = Connection()
    call = messages("TCP")
    line.say(True, call[0][1])
    line.say(False, b"".join(text for _, text in call[1:4]))
    line.say(True, b"".join(text for _, text in call[4:6]))
    line.say(False, call[6][1])
    return line.packets


def cut_across() -> list[Packet]:
    """Segments of 200 bytes whatever the messages are: framing is by Content-Length alone."""
    line = Connection()
    call = messages("TCP")
    for outward, group in ((True, call[:1]), (False, call[1:4]), (True, call[4:6]),
                           (False, call[6:])):  # fmt: skip
        data = b"".join(text for _, text in group)
        for at in range(0, len(data), 200):
            line.say(outward, data[at : at + 200])
    return line.packets


def tcp_fragments() -> list[Packet]:
    line = Connection()
    made = line.packets[:]
    for number, (outward, text) in enumerate(messages("TCP")):
        segment = tcp(outward, text, line.seq[outward], line.seq[not outward])
        line.seq[outward] += len(text)
        made += [(outward, f) for f in fragments4(outward, segment, TCP, 200 + number, PIECE)]
    return made


def websocket() -> list[Packet]:
    """SIP over WebSocket on port 5060 (RFC 7118): text frames, those of the server in the clear,
    each header in a segment of its own, so that the next begins exactly like a message."""
    line = Connection()
    line.say(True, b"GET / HTTP/1.1\r\nHost: example.com\r\nUpgrade: websocket\r\n"
                   b"Connection: Upgrade\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
                   b"Sec-WebSocket-Protocol: sip\r\nSec-WebSocket-Version: 13\r\n\r\n")  # fmt: skip
    line.say(False, b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\n"
                    b"Connection: Upgrade\r\nSec-WebSocket-Protocol: sip\r\n\r\n")  # fmt: skip
    for outward, text in messages("WS"):
        masked = 0x80 if outward else 0
        line.say(outward, struct.pack("!BBH", 0x81, 126 | masked, len(text)))
        line.say(outward, bytes(4) + text if outward else text)
    return line.packets


def tls() -> list[Packet]:
    """A handshake record and application data whose ciphertext is, for once, a message."""
    line = Connection()
    line.say(True, b"\x16\x03\x01\0\x40" + bytes(range(64)))
    line.say(False, b"\x16\x03\x03\0\x40" + bytes(range(64)))
    for outward, text in messages("TLS"):
        line.say(outward, b"\x17\x03\x03" + struct.pack("!H", len(text)) + text)
    return line.packets


# ---- link layers and tunnels around a packet ----


def _kind(packet: bytes) -> int:
    return 0x86DD if packet[0] >> 4 == 6 else 0x0800


def ether(kind: int, outward: bool, payload: bytes) -> bytes:
    hosts = bytes.fromhex("020000000002"), bytes.fromhex("02000000000a")
    return b"".join(hosts if outward else hosts[::-1]) + struct.pack("!H", kind) + payload


def ethernet(packet: Packet) -> bytes:
    return ether(_kind(packet[1]), *packet)


def tagged(*types: int) -> Wrap:
    """types: of the tags, the outer one first."""

    def wrap(packet: Packet) -> bytes:
        outward, inner = packet
        payload, kind = inner, _kind(inner)
        for number, tag in enumerate(reversed(types)):
            payload, kind = struct.pack("!HH", 7 + number, kind) + payload, tag
        return ether(kind, outward, payload)

    return wrap


def session(packet: bytes) -> bytes:
    protocol = 0x57 if packet[0] >> 4 == 6 else 0x21
    return struct.pack("!BBHHH", 0x11, 0, 1, len(packet) + 2, protocol) + packet


def pppoe(packet: Packet) -> bytes:
    return ether(0x8864, packet[0], session(packet[1]))


def pppoe_vlan(packet: Packet) -> bytes:
    return ether(0x8100, packet[0], struct.pack("!HH", 7, 0x8864) + session(packet[1]))


def pppoe_qinq(packet: Packet) -> bytes:
    tags = struct.pack("!HHHH", 8, 0x8100, 7, 0x8864)
    return ether(0x88A8, packet[0], tags + session(packet[1]))


def sll(packet: Packet) -> bytes:
    return struct.pack("!HHH8sH", 4 if packet[0] else 0, 1, 6, b"\2", _kind(packet[1])) + packet[1]


def sll2(packet: Packet) -> bytes:
    direction = 4 if packet[0] else 0
    return struct.pack("!HHIHBB8s", _kind(packet[1]), 0, 3, 1, direction, 6, b"\2") + packet[1]


def nflog(packet: Packet) -> bytes:
    def tlv(kind: int, value: bytes) -> bytes:
        return struct.pack("<HH", 4 + len(value), kind) + value + bytes(-len(value) % 4)

    header = tlv(1, struct.pack("!HBB", _kind(packet[1]), 3, 0))
    return b"\x02\x00\x00\x05" + header + tlv(10, b"sip\0") + tlv(9, packet[1])


def null(packet: Packet) -> bytes:
    return struct.pack("<I", 30 if packet[1][0] >> 4 == 6 else 2) + packet[1]


def loop(packet: Packet) -> bytes:
    return b"\0\0\0\x02" + packet[1]


def six_around(packet: Packet) -> bytes:
    """DS-Lite (RFC 6333): IPv4 in IPv6, with the tunnel's limit option (RFC 2473)."""
    return ether(0x86DD, packet[0], ipv6_between(OUTER6, LIMIT_OPTION + packet[1], 60))


def four_around(proto: int, head: bytes = b"") -> Wrap:
    return lambda p: ether(0x0800, p[0], ipv4_between(OUTER, head + p[1], proto, 9))


def tunnel_in_pieces(packets: Iterable[Packet], proto: int, head: bytes = b"",
                     six: bool = False, size: int = PIECE) -> list[Packet]:  # fmt: skip
    """The tunnel's own packets are fragmented (RFC 6333 section 5.3 for DS-Lite)."""
    cut, hosts = (fragments6_between, OUTER6) if six else (fragments4_between, OUTER)
    return [
        (outward, piece)
        for number, (outward, packet) in enumerate(packets)
        for piece in cut(hosts, head + packet, proto, 300 + number, size)
    ]


def behind_options() -> list[Packet]:
    """IPv6 fragments: destination options are the first of what was cut (RFC 8200 section 4.5)."""
    return [
        (outward, piece)
        for number, (outward, text) in enumerate(messages())
        for piece in fragments6(outward, b"\x11\0\1\4\0\0\0\0" + udp(outward, text, True), 60,
                                300 + number, PIECE)
    ]  # fmt: skip


def plain(packet: Packet) -> bytes:
    return packet[1]


def ppp(packet: Packet) -> bytes:
    return b"\xff\x03\x00\x21" + packet[1]


def wrapped(linktype: int, wrap: Wrap, packets: Iterable[Packet], found: int = 7) -> Capture:
    return Capture(linktype, map(wrap, packets), found)


def all_captures() -> dict[str, Capture]:
    four, six = datagrams(), datagrams(six=True)
    made = {
        "Ethernet": wrapped(ETHERNET, ethernet, four),
        "Ethernet, IPv6": wrapped(ETHERNET, ethernet, six),
        "802.1Q": wrapped(ETHERNET, tagged(0x8100), four),
        "QinQ, 0x88a8": wrapped(ETHERNET, tagged(0x88A8, 0x8100), four),
        "QinQ, 0x8100 twice": wrapped(ETHERNET, tagged(0x8100, 0x8100), four),
        "PPPoE": wrapped(ETHERNET, pppoe, four),
        "PPPoE in 802.1Q": wrapped(ETHERNET, pppoe_vlan, four),
        "IPv6 in PPPoE": wrapped(ETHERNET, pppoe, six),
        "IPv6 in PPPoE in 802.1Q": wrapped(ETHERNET, pppoe_vlan, six),
        "PPPoE in QinQ": wrapped(ETHERNET, pppoe_qinq, four),
        "PPP": wrapped(PPP, ppp, four),
        "raw IP": wrapped(RAW, plain, four),
        "raw IP, IPv6": wrapped(RAW, plain, six),
        "Linux cooked (SLL)": wrapped(SLL, sll, four),
        "Linux cooked (SLL), IPv6": wrapped(SLL, sll, six),
        "Linux cooked v2 (SLL2)": wrapped(SLL2, sll2, four),
        "Linux cooked v2 (SLL2), IPv6": wrapped(SLL2, sll2, six),
        "NFLOG": wrapped(NFLOG, nflog, four),
        "NFLOG, IPv6": wrapped(NFLOG, nflog, six),
        "BSD loopback": wrapped(NULL, null, four),
        "BSD loopback, IPv6": wrapped(NULL, null, six),
        "OpenBSD loopback": wrapped(LOOP, loop, four),
        "DS-Lite": wrapped(ETHERNET, six_around, four),
        "6in4": wrapped(ETHERNET, four_around(41), six),
        "IP in IP": wrapped(ETHERNET, four_around(4), four),
        "GRE": wrapped(ETHERNET, four_around(47, b"\0\0\x08\0"), four),
        "GRE with a key": wrapped(ETHERNET, four_around(47, b"\x20\0\x08\0\0\0\0\1"), four),
        "IPv4 options": wrapped(ETHERNET, ethernet, datagrams(options=b"\x94\4\0\0")),
        "IPv6 extension headers": wrapped(ETHERNET, ethernet, extended()),
    }  # fmt: skip
    for name, is_six in (("IPv4", False), ("IPv6", True)):
        for order in ("in order", "reversed", "overlapping", "missing"):
            packets = fragmented(is_six, order)
            title = f"{name} fragments, {'one ' if order == 'missing' else ''}{order}"
            made[title] = wrapped(ETHERNET, ethernet, packets, 6 if order == "missing" else 7)
    made["IPv6 fragments, interleaved"] = wrapped(ETHERNET, ethernet, interleaved())
    made["IPv4 fragments in PPPoE"] = wrapped(ETHERNET, pppoe, fragmented(False, "reversed"))
    pieces = {
        "IPv6 fragments, cut in front of destination options": behind_options(),
        "DS-Lite in IPv6 fragments": tunnel_in_pieces(four, 4, six=True),
        "DS-Lite in IPv6 fragments, with the limit option": tunnel_in_pieces(
            four, 60, LIMIT_OPTION, six=True
        ),
        "6in4 in IPv4 fragments": tunnel_in_pieces(six, 41),
        "IP in IP in IPv4 fragments": tunnel_in_pieces(four, 4),
        "GRE in IPv4 fragments": tunnel_in_pieces(four, 47, b"\0\0\x08\0"),
        "IPv4 fragments in DS-Lite in IPv6 fragments": tunnel_in_pieces(
            fragmented(False, "reversed"), 4, six=True, size=64
        ),
        "TCP split anywhere, in DS-Lite in IPv6 fragments": tunnel_in_pieces(
            stream("split"), 4, six=True
        ),
    }
    made |= {name: wrapped(ETHERNET, ethernet, packets) for name, packets in pieces.items()}
    streams = {
        "TCP": stream("whole"),
        "TCP split anywhere": stream("split"),
        "TCP across the end of sequence numbers": stream("wrapping"),
        "TCP, several messages a segment": one_segment(),
        "TCP, segments across messages": cut_across(),
        "TCP out of order": stream("out of order"),
        "TCP out of order, cut in front of SIP/2.0/TCP": stream("before a Via"),
        "TCP, whole messages out of order": stream("overtaken"),
        "TCP retransmitted": stream("retransmitted"),
        "TCP, whole messages retransmitted": stream("again"),
        "TCP from the middle of a stream": stream("middle"),
        "TCP with CRLF keep-alives": stream("keep-alives"),
        "TCP in IPv4 fragments": tcp_fragments(),
    }
    made |= {name: wrapped(ETHERNET, ethernet, packets) for name, packets in streams.items()}
    made["TCP split anywhere, in PPPoE"] = wrapped(ETHERNET, pppoe, stream("split"))
    made["WebSocket, left alone"] = wrapped(ETHERNET, ethernet, websocket(), 0)
    made["TLS, left alone"] = wrapped(ETHERNET, ethernet, tls(), 0)
    return made


def slug(name: str) -> str:
    return "".join(c if c.isalnum() else "-" for c in name.lower()).strip("-") + ".pcap"


def write_all(directory: Path) -> dict[str, Path]:
    directory.mkdir(parents=True, exist_ok=True)
    made = {}
    for name, capture in all_captures().items():
        made[name] = directory / slug(name)
        made[name].write_bytes(capture.pcap())
    return made


if __name__ == "__main__":
    for name, path in write_all(Path(sys.argv[1])).items():
        print(f"{path}\t{name}")
