# SPDX-License-Identifier: Apache-2.0
"""Ethernet frames of the probe: ARP (RFC 826), IPv4, UDP and TCP, with checksums: conntrack accepts
no packet with a wrong one."""

from __future__ import annotations

import struct

TTL = 2  # the packet dies one hop behind the router
SYN, PUSH, ACK = 0x02, 0x08, 0x10
_BROADCAST = b"\xff" * 6
_UDP, _TCP = 17, 6


def arp_probe(mac: bytes, host: bytes) -> bytes:
    """Ask for the holder of this address. The sender's address is empty, so nobody's ARP table
    changes (RFC 5227 section 2.1.1)."""
    body = struct.pack("!HHBBH", 1, 0x0800, 6, 4, 1) + mac + bytes(4) + bytes(6) + host
    return _BROADCAST + mac + b"\x08\x06" + body + bytes(18)


def arp_holders(packet: bytes) -> tuple[bytes, bytes, bytes] | None:
    """(MAC of the sender, its address, the requested address) of an ARP packet."""
    if len(packet) < 28 or packet[:6] != b"\0\1\x08\0\6\4":
        return None
    return packet[8:14], packet[14:18], packet[24:28]


def udp(macs: bytes, source: bytes, to: bytes, ports: tuple[int, int], ident: int,
        payload: bytes) -> bytes:  # fmt: skip
    """macs: destination and source, 12 bytes."""
    segment = struct.pack("!HHHH", *ports, 8 + len(payload), 0) + payload
    total = checksum(_pseudo(source, to, _UDP, len(segment)) + segment) or 0xFFFF
    segment = segment[:6] + struct.pack("!H", total) + payload
    return macs + b"\x08\x00" + _ipv4(source, to, _UDP, ident, len(segment)) + segment


def tcp(macs: bytes, source: bytes, to: bytes, ports: tuple[int, int], ident: int, flags: int,
        numbers: tuple[int, int], payload: bytes = b"") -> bytes:  # fmt: skip
    """numbers: sequence and acknowledgement."""
    head = struct.pack("!HHIIBBHHH", *ports, *numbers, 0x50, flags, 65535, 0, 0)
    total = checksum(_pseudo(source, to, _TCP, len(head) + len(payload)) + head + payload)
    head = head[:16] + struct.pack("!H", total) + head[18:]
    return macs + b"\x08\x00" + _ipv4(source, to, _TCP, ident, 20 + len(payload)) + head + payload


def checksum(data: bytes) -> int:
    """RFC 1071."""
    data += bytes(len(data) % 2)
    total: int = sum(struct.unpack(f"!{len(data) // 2}H", data))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return ~total & 0xFFFF


def _pseudo(source: bytes, to: bytes, protocol: int, size: int) -> bytes:
    return source + to + struct.pack("!BBH", 0, protocol, size)


def _ipv4(source: bytes, to: bytes, protocol: int, ident: int, size: int) -> bytes:
    """Without DF: some routers clear the IP ID of packets with DF (RFC 6864)."""
    head = struct.pack("!BBHHHBBH", 0x45, 0, 20 + size, ident, 0, TTL, protocol, 0) + source + to
    return head[:10] + struct.pack("!H", checksum(head)) + head[12:]
