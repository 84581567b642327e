# SPDX-License-Identifier: Apache-2.0
"""Link layers, tunnels and fragments: one message in every encapsulation gives the same row."""

from __future__ import annotations

import struct
from collections.abc import Callable
from ipaddress import ip_address

import pytest
from algwatch.base.native import layout
from algwatch.base.native.scan import Frame
from rows import Row, scan

MESSAGE = b"OPTIONS sip:a@b SIP/2.0\r\nCall-ID: x\r\nContent-Length: 2\r\n\r\nhi"
MAC = bytes(12)
FOUR = (ip_address("192.168.1.10").packed, ip_address("203.0.113.5").packed)
SIX = (ip_address("2001:db8::a").packed, ip_address("2001:db8::5").packed)
Wrap = Callable[[bytes], bytes]


def udp(payload: bytes = MESSAGE) -> bytes:
    return struct.pack("!HHHH", 40000, 5060, 8 + len(payload), 0) + payload


def tcp(payload: bytes = MESSAGE, options: bytes = b"", seq: int = 7) -> bytes:
    words = (40000, 5060, seq, 1, (5 + len(options) // 4) << 4, 0x18, 0, 0, 0)
    return struct.pack("!HHIIBBHHH", *words) + options + payload


def four(payload: bytes, proto: int = 17, options: bytes = b"", fragment: int = 0) -> bytes:
    words = (0x45 + len(options) // 4, 0, 20 + len(options) + len(payload), 77, fragment, 63)
    return struct.pack("!BBHHHBBH", *words, proto, 0) + FOUR[0] + FOUR[1] + options + payload


def six(payload: bytes, proto: int = 17) -> bytes:
    return struct.pack("!IHBB", 6 << 28, len(payload), proto, 63) + SIX[0] + SIX[1] + payload


def ether(kind: int, payload: bytes) -> bytes:
    return MAC + struct.pack("!H", kind) + payload


def pppoe(packet: bytes) -> bytes:
    return struct.pack("!BBHHH", 0x11, 0, 1, len(packet) + 2, 0x21) + packet


def tlv(kind: int, value: bytes, order: str) -> bytes:
    padding = bytes(-len(value) % 4)
    return struct.pack(order + "HH", 4 + len(value), kind) + value + padding


def nflog(packet: bytes, order: str = "<") -> bytes:
    device = tlv(4, struct.pack("!I", 3), order)
    return b"\x02\x00\x00\x05" + tlv(10, b"prefix\0", order) + device + tlv(9, packet, order)


def gre(kind: int, payload: bytes, flags: int = 0, words: bytes = b"") -> bytes:
    return struct.pack("!HH", flags, kind) + words + payload


ENCAPSULATIONS: dict[str, tuple[int, Wrap]] = {
    "Ethernet": (1, lambda p: ether(0x0800, p)),
    "Ethernet with padding behind the packet": (1, lambda p: ether(0x0800, p) + bytes(9)),
    "802.1Q": (1, lambda p: ether(0x8100, struct.pack("!HH", 7, 0x0800) + p)),
    "QinQ": (1, lambda p: ether(0x88A8, struct.pack("!HHHH", 9, 0x8100, 7, 0x0800) + p)),
    "802.1Q twice": (1, lambda p: ether(0x8100, struct.pack("!HHHH", 9, 0x8100, 7, 0x0800) + p)),
    "PPPoE": (1, lambda p: ether(0x8864, pppoe(p))),
    "PPPoE in a VLAN": (1, lambda p: ether(0x8100, struct.pack("!HH", 7, 0x8864) + pppoe(p))),
    "PPP": (9, lambda p: b"\x00\x21" + p),
    "PPP with address and control": (9, lambda p: b"\xff\x03\x00\x21" + p),
    "PPP with a compressed protocol": (9, lambda p: b"\x21" + p),
    "raw IP (12)": (12, lambda p: p),
    "raw IP (101)": (101, lambda p: p),
    "raw IPv4": (228, lambda p: p),
    "BSD loopback, little endian": (0, lambda p: b"\x02\0\0\0" + p),
    "BSD loopback, big endian": (0, lambda p: b"\0\0\0\x02" + p),
    "OpenBSD loopback": (108, lambda p: b"\0\0\0\x02" + p),
    "Linux cooked": (113, lambda p: struct.pack("!HHH8sH", 0, 1, 6, b"", 0x0800) + p),
    "Linux cooked with a VLAN": (
        113,
        lambda p: struct.pack("!HHH8sHHH", 0, 1, 6, b"", 0x8100, 7, 0x0800) + p,
    ),
    "Linux cooked v2": (276, lambda p: struct.pack("!HHIHBB8s", 0x0800, 0, 3, 1, 0, 6, b"") + p),
    "NFLOG, little endian": (239, nflog),
    "NFLOG, big endian": (239, lambda p: nflog(p, ">")),
    "IP in IP": (12, lambda p: four(p, 4)),
    "DS-Lite": (1, lambda p: ether(0x86DD, six(p, 4))),
    "DS-Lite with a tunnel limit option": (
        12,
        lambda p: six(b"\x04\x00\x04\x01\x04\x01\x01\x00" + p, 60),
    ),
    "GRE": (12, lambda p: four(gre(0x0800, p), 47)),
    "GRE with checksum, key and number": (
        12,
        lambda p: four(gre(0x0800, p, 0xB000, bytes(12)), 47),
    ),
    "GRE over IPv6": (12, lambda p: six(gre(0x0800, p), 47)),
    "Ethernet over GRE": (12, lambda p: four(gre(0x6558, ether(0x0800, p)), 47)),
    "PPTP": (12, lambda p: four(gre(0x880B, b"\xff\x03\x00\x21" + p, 0x3081, bytes(12)), 47)),
}


def identity(row: Row) -> Row:
    """A row without what may depend on how its packet was wrapped: offsets and the point."""
    bits = row.bits & ~(layout.ROW_OUTGOING | layout.ROW_DIRECTED)
    return row._replace(payload=0, frame=0, caplen=0, point=0, bits=bits)


@pytest.mark.parametrize("name", ENCAPSULATIONS)
def test_every_encapsulation_gives_the_same_row(name: str) -> None:
    linktype, wrap = ENCAPSULATIONS[name]
    (plain,) = scan(12, four(udp()))
    frame = wrap(four(udp()))
    (row,) = scan(linktype, frame)
    assert identity(row) == identity(plain)
    assert frame[row.payload : row.payload + row.length] == MESSAGE


@pytest.mark.parametrize("name", [n for n in ENCAPSULATIONS if "NFLOG" not in n and n != "PPPoE"])
def test_a_frame_cut_by_the_capture_is_truncated_and_never_called_malformed(name: str) -> None:
    linktype, wrap = ENCAPSULATIONS[name]
    frame = wrap(four(udp()))
    start = frame.index(MESSAGE)
    (row,) = scan(linktype, frame[: start + 30])
    assert row.bits & layout.ROW_TRUNCATED
    assert not row.bits & layout.ROW_MALFORMED
    assert row.length == 30


def test_what_a_hook_logs_has_not_left_whatever_its_device() -> None:
    packet = four(udp())
    out = tlv(5, struct.pack("!I", 3), "<")  # NFULA_IFINDEX_OUTDEV
    (row,) = scan(239, b"\x02\x00\x00\x05" + out + tlv(9, packet, "<"))
    assert not row.bits & (layout.ROW_OUTGOING | layout.ROW_DIRECTED)


def hooked(hook: int, order: str = "<") -> int:
    """The bits of a packet that was logged in that hook (struct nfulnl_msg_packet_hdr)."""
    header = tlv(1, struct.pack("!HBx", 0x0800, hook), order)
    (row,) = scan(239, b"\x02\x00\x00\x05" + header + tlv(9, four(udp()), order))
    return row.bits & (layout.ROW_OUTGOING | layout.ROW_DIRECTED)


@pytest.mark.parametrize("order", ["<", ">"])
def test_a_program_of_the_router_sends_through_the_output_hook_and_gets_from_the_input_hook(
    order: str,
) -> None:
    to_it, from_it = layout.ROW_OUTGOING | layout.ROW_DIRECTED, layout.ROW_DIRECTED
    assert [hooked(hook, order) for hook in range(5)] == [0, to_it, 0, from_it, 0]


def test_a_header_of_a_log_that_is_too_short_has_no_hook() -> None:
    frame = b"\x02\x00\x00\x05" + tlv(1, b"\x08\x00", "<") + tlv(9, four(udp()), "<")
    (row,) = scan(239, frame)
    assert not row.bits & layout.ROW_OUTGOING


def test_ip_options_and_tcp_options_are_stepped_over() -> None:
    (plain,) = scan(12, four(tcp(), 6))
    (row,) = scan(12, four(tcp(options=b"\1" * 12), 6, options=b"\1" * 8))
    assert identity(row) == identity(plain)
    assert row.bits & layout.ROW_TCP


def test_ipv6_extension_headers_are_stepped_over() -> None:
    (plain,) = scan(229, six(udp()))
    chain = b"\x2b\0" + bytes(6)  # hop by hop, next: routing
    chain += b"\x3c\0" + bytes(6)  # routing, next: destination options
    chain += b"\x33\0" + bytes(6)  # destination options, next: authentication
    chain += b"\x2c\x01" + bytes(10)  # authentication, next: fragment
    chain += b"\x11\0\0\0" + bytes(4)  # an atomic fragment, next: UDP
    (row,) = scan(229, six(chain + udp(), 0))
    assert identity(row) == identity(plain)
    assert row.bits & layout.ROW_IPV6
    assert (row.src, row.dst) == SIX


def test_6in4_gives_the_inner_addresses() -> None:
    (plain,) = scan(12, six(udp()))
    (row,) = scan(12, four(six(udp()), 41))
    assert identity(row) == identity(plain)


@pytest.mark.parametrize("family", [10, 24, 28, 30])
def test_bsd_loopback_knows_every_systems_number_for_ipv6(family: int) -> None:
    (row,) = scan(0, struct.pack("<I", family) + six(udp()))
    assert row.bits & layout.ROW_IPV6


@pytest.mark.parametrize(
    ("linktype", "frame"),
    [
        (113, struct.pack("!HHH8sH", 4, 1, 6, b"", 0x0800) + four(udp())),
        (276, struct.pack("!HHIHBB8s", 0x0800, 0, 3, 1, 4, 6, b"") + four(udp())),
    ],
)
def test_cooked_captures_say_what_went_out(linktype: int, frame: bytes) -> None:
    (row,) = scan(linktype, frame)
    assert row.bits & layout.ROW_OUTGOING


def test_the_capture_point_is_the_interface_or_the_vlan() -> None:
    (cooked,) = scan(276, ENCAPSULATIONS["Linux cooked v2"][1](four(udp())))
    (tagged,) = scan(1, ENCAPSULATIONS["QinQ"][1](four(udp())))
    assert cooked.point == 3
    assert tagged.point == 7


def test_fragments_are_handed_on_with_one_flow_for_all_of_them() -> None:
    whole = udp()
    first, last = scan(
        12, four(whole[:24], fragment=0x2000), four(whole[24:], fragment=3), ports=()
    )
    assert [row.kind for row in (first, last)] == [layout.KIND_FRAGMENT] * 2
    assert first.flow == last.flow
    assert (first.sport, first.dport) == (40000, 5060)
    assert (last.sport, last.dport) == (0, 0)
    assert first.length + last.length == len(whole)
    assert first.ip_id == last.ip_id == 77


def test_ipv6_fragments_are_handed_on() -> None:
    part = udp()[:32]
    header = struct.pack("!BBHI", 17, 0, 1, 0x10007)
    (row,) = scan(12, six(header + part, 44))
    assert row.kind == layout.KIND_FRAGMENT
    assert row.length == 32
    assert row.ip_id == 7


@pytest.mark.parametrize("proto", [4, 41, 47])
def test_fragments_of_a_tunnel_are_handed_on(proto: int) -> None:
    inner = (
        four(udp()) if proto == 4 else six(udp()) if proto == 41 else b"\0\0\x08\0" + four(udp())
    )
    header = struct.pack("!BBHI", proto, 0, 1, 0x10007)
    rows = scan(12, four(inner[:24], proto, fragment=0x2000), four(inner[24:], proto, fragment=3),
                six(header + inner[:24], 44), ports=())  # fmt: skip
    assert [row.kind for row in rows] == [layout.KIND_FRAGMENT] * 3
    assert [(row.proto, row.sport, row.dport) for row in rows] == [(proto, 0, 0)] * 3
    assert [row.length for row in rows] == [24, len(inner) - 24, 24]
    assert rows[0].flow == rows[1].flow


@pytest.mark.parametrize("proto", [0, 1, 43, 50, 51, 58, 59, 60, 135, 139, 140])
def test_other_fragments_are_handed_on_only_where_udp_or_tcp_may_follow(proto: int) -> None:
    header = struct.pack("!BBHI", proto, 0, 1, 7)
    assert not scan(12, four(b"\x11\0\0\0" * 8, proto, fragment=0x2000))
    follows = proto in (43, 51, 60, 135, 139, 140)  # RFC 8200 section 4.1, RFC 7045
    assert len(scan(12, six(header + b"\x11\0\0\0" * 8, 44))) == follows


def test_a_datagram_longer_than_its_udp_header_says_ends_where_the_header_says() -> None:
    padded = struct.pack("!HHHH", 40000, 5060, 8 + len(MESSAGE), 0) + MESSAGE + b"junk"
    (row,) = scan(12, four(padded))
    assert row.length == len(MESSAGE)


def test_an_ip_length_of_zero_means_all_that_was_captured() -> None:
    packet = bytearray(four(tcp(), 6))
    packet[2:4] = b"\0\0"
    (row,) = scan(12, bytes(packet))
    assert row.length == len(MESSAGE)


def test_frame_tells_what_reassembly_needs() -> None:
    frame = Frame(ether(0x0800, four(tcp(seq=123456), 6)), 1)
    assert frame.found
    assert (frame.seq, frame.ip, frame.payload, frame.length) == (123456, 14, 54, len(MESSAGE))
    assert (frame.src, frame.dst) == FOUR
    assert (frame.sport, frame.dport, frame.ttl, frame.ip_id) == (40000, 5060, 63, 77)


@pytest.mark.parametrize("linktype", [0, 1, 9, 12, 108, 113, 228, 239, 276, 147])
def test_what_is_no_packet_is_nothing(linktype: int) -> None:
    assert not Frame(b"", linktype).found
    assert not Frame(b"\xff" * 200, linktype).found
