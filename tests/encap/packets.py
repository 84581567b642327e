# SPDX-License-Identifier: Apache-2.0
"""IP packets with right checksums, in both families and in pieces: fair to every reader."""

from __future__ import annotations

import struct
from ipaddress import ip_address

from encap.dialog import PHONE, PHONE6, PROVIDER, PROVIDER6

UDP, TCP = 17, 6


def checksum(data: bytes) -> int:
    """RFC 1071."""
    data += bytes(len(data) % 2)
    total = sum(struct.unpack(f"!{len(data) // 2}H", data))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return ~total & 0xFFFF


def _hosts(outward: bool, six: bool) -> bytes:
    pair = (PHONE6, PROVIDER6) if six else (PHONE, PROVIDER)
    return b"".join(ip_address(host).packed for host in (pair if outward else pair[::-1]))


def _summed(segment: bytes, at: int, proto: int, outward: bool, six: bool) -> bytes:
    pseudo = _hosts(outward, six) + struct.pack("!HH", proto, len(segment))
    value = checksum(pseudo + segment) or 0xFFFF
    return segment[:at] + struct.pack("!H", value) + segment[at + 2 :]


def udp(outward: bool, payload: bytes, six: bool = False) -> bytes:
    header = struct.pack("!HHHH", 5060, 5060, 8 + len(payload), 0)
    return _summed(header + payload, 6, UDP, outward, six)


def tcp(outward: bool, payload: bytes, seq: int, ack: int, flags: int = 0x18,
        six: bool = False) -> bytes:  # fmt: skip
    ports = (40000, 5060) if outward else (5060, 40000)
    header = struct.pack("!HHIIBBHHH", *ports, seq & 0xFFFFFFFF, ack & 0xFFFFFFFF, 5 << 4, flags,
                         65535, 0, 0)  # fmt: skip
    return _summed(header + payload, 16, TCP, outward, six)


def ipv4_between(hosts: bytes, payload: bytes, proto: int, ident: int, options: bytes = b"",
                 fragment: int = 0) -> bytes:  # fmt: skip
    size = 20 + len(options)
    words = (0x40 + size // 4, 0, size + len(payload), ident, fragment, 63, proto)
    header = struct.pack("!BBHHHBB", *words) + bytes(2) + hosts + options
    return header[:10] + struct.pack("!H", checksum(header)) + header[12:] + payload


def ipv4(outward: bool, payload: bytes, proto: int = UDP, ident: int = 1, options: bytes = b"",
         fragment: int = 0) -> bytes:  # fmt: skip
    """fragment: flags and offset as they stand in the header."""
    return ipv4_between(_hosts(outward, False), payload, proto, ident, options, fragment)


def ipv6(outward: bool, payload: bytes, proto: int = UDP) -> bytes:
    return ipv6_between(_hosts(outward, True), payload, proto)


def ipv6_between(hosts: bytes, payload: bytes, proto: int) -> bytes:
    return struct.pack("!IHBB", 6 << 28, len(payload), proto, 63) + hosts + payload


def fragments4(outward: bool, data: bytes, proto: int, ident: int, size: int) -> list[bytes]:
    """size: bytes a fragment, a multiple of 8."""
    return fragments4_between(_hosts(outward, False), data, proto, ident, size)


def fragments4_between(hosts: bytes, data: bytes, proto: int, ident: int,
                       size: int) -> list[bytes]:  # fmt: skip
    return [
        ipv4_between(hosts, data[at : at + size], proto, ident,
                     fragment=at >> 3 | (0x2000 if at + size < len(data) else 0))
        for at in range(0, len(data), size)
    ]  # fmt: skip


def fragments6(outward: bool, data: bytes, proto: int, ident: int, size: int) -> list[bytes]:
    return fragments6_between(_hosts(outward, True), data, proto, ident, size)


def fragments6_between(hosts: bytes, data: bytes, proto: int, ident: int,
                       size: int) -> list[bytes]:  # fmt: skip
    made = []
    for at in range(0, len(data), size):
        header = struct.pack("!BBHI", proto, 0, at | (at + size < len(data)), ident)
        made.append(ipv6_between(hosts, header + data[at : at + size], 44))
    return made
