# SPDX-License-Identifier: Apache-2.0
"""Frames for the tests of the capture stage, built field by field."""

from __future__ import annotations

import struct
from ipaddress import ip_address

UDP, TCP, ICMP, ICMP6, FRAGMENT6 = 17, 6, 1, 58, 44

INVITE = (
    b"INVITE sip:bob@192.0.2.9 SIP/2.0\r\n"
    b"Via: SIP/2.0/UDP 192.168.1.10:5060;branch=z9hG4bK776asdhds;rport\r\n"
    b"Max-Forwards: 70\r\n"
    b'From: "Alice" <sip:alice@192.0.2.9>;tag=1928301774\r\n'
    b"To: <sip:bob@192.0.2.9>\r\n"
    b"Call-ID: a84b4c76e66710@192.168.1.10\r\n"
    b"CSeq: 314159 INVITE\r\n"
    b"Contact: <sip:alice@192.168.1.10:5060>\r\n"
    b"Content-Length: 0\r\n\r\n"
)


def invite(call_id: str, body: bytes = b"") -> bytes:
    text = INVITE.replace(b"a84b4c76e66710@192.168.1.10", call_id.encode())
    text = text.replace(b"z9hG4bK776asdhds", b"z9hG4bK" + call_id.encode())
    return text.replace(b"Content-Length: 0", b"Content-Length: %d" % len(body)) + body


def udp(payload: bytes, sport: int = 5060, dport: int = 5060) -> bytes:
    return struct.pack("!HHHH", sport, dport, 8 + len(payload), 0) + payload


def tcp(
    payload: bytes,
    sport: int = 5060,
    dport: int = 5060,
    seq: int = 1,
    flags: int = 0x18,
    options: bytes = b"",
) -> bytes:
    header = struct.pack(
        "!HHIIBBHHH", sport, dport, seq, 1, (5 + len(options) // 4) << 4, flags, 65535, 0, 0
    )
    return header + options + payload


def ipv4(
    payload: bytes,
    proto: int = UDP,
    src: str = "192.168.1.10",
    dst: str = "192.0.2.9",
    ident: int = 1,
    offset: int = 0,
    more: bool = False,
    ttl: int = 64,
    options: bytes = b"",
) -> bytes:
    """offset: fragment offset in bytes."""
    return (
        struct.pack(
            "!BBHHHBBH4s4s",
            0x45 + len(options) // 4,
            0,
            20 + len(options) + len(payload),
            ident,
            (offset >> 3) | (0x2000 if more else 0),
            ttl,
            proto,
            0,
            ip_address(src).packed,
            ip_address(dst).packed,
        )
        + options
        + payload
    )


def ipv6(
    payload: bytes, proto: int = UDP, src: str = "2001:db8::10", dst: str = "2001:db8::9"
) -> bytes:
    return (
        struct.pack("!IHBB", 6 << 28, len(payload), proto, 64)
        + ip_address(src).packed
        + ip_address(dst).packed
        + payload
    )


def fragment6(
    payload: bytes, offset: int, more: bool, ident: int = 7, proto: int = UDP, **hosts: str
) -> bytes:
    header = struct.pack("!BBHI", proto, 0, offset | int(more), ident)
    return ipv6(header + payload, FRAGMENT6, **hosts)


def ether(packet: bytes, *tags: tuple[int, int]) -> bytes:
    """tags: (ethertype, VLAN id), outer first."""
    kind = 0x86DD if packet[0] >> 4 == 6 else 0x0800
    frame = bytes.fromhex("02000000000202000000000a")
    for ethertype, vlan in tags:
        frame += struct.pack("!HH", ethertype, vlan)
    return frame + struct.pack("!H", kind) + packet
