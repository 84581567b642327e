# SPDX-License-Identifier: Apache-2.0
"""Offsets of fragments and TCP segments, read from the headers in front of their data."""

from __future__ import annotations

import struct

TCP = 6


def fragment_offset(head: bytes, addresses: bytes) -> tuple[int, int, bool] | None:
    """(identification, offset in bytes, more fragments) of the data behind `head`.

    addresses: source and destination, 8 bytes or 32. None without such a header.
    """
    if len(addresses) == 32:  # the fragment header is the last one (RFC 8200 section 4.5)
        if len(head) < 48:
            return None
        offset, ident = struct.unpack_from("!HI", head, len(head) - 6)
        return ident, offset & 0xFFF8, bool(offset & 1)
    for size in range(20, min(60, len(head)) + 1, 4):
        at = len(head) - size
        if head[at] == 0x40 | size >> 2 and head[at + 12 : at + 20] == addresses:
            ident, offset = struct.unpack_from("!HH", head, at + 4)
            return ident, (offset & 0x1FFF) << 3, bool(offset & 0x2000)
    return None


def segment_offset(head: bytes, addresses: bytes) -> tuple[int, int] | None:
    """(sequence number of the segment, bytes of its data in `head`) of the data behind `head`.

    The IP header is found by its addresses, so this works behind every link layer and tunnel known
    to the scanner. None without such a header.
    """
    within = 12 if len(addresses) == 8 else 8
    ip = head.find(addresses, within) - within
    while ip >= 0:
        tcp = _behind_ipv4(head, ip) if within == 12 else _behind_ipv6(head, ip)
        if tcp and tcp + 20 <= len(head):
            seq: int = struct.unpack_from("!I", head, tcp + 4)[0]
            behind = len(head) - tcp - (head[tcp + 12] >> 4) * 4
            if behind >= 0:
                return seq, behind
        ip = head.find(addresses, ip + within + 1) - within
    return None


def _behind_ipv4(head: bytes, ip: int) -> int:
    """Offset of the TCP header, 0 without one."""
    if head[ip] >> 4 != 4 or head[ip + 9] != TCP:
        return 0
    return ip + (head[ip] & 15) * 4


def _behind_ipv6(head: bytes, ip: int) -> int:
    """Offset of the TCP header behind extension headers (RFC 8200 section 4.1), 0 without one."""
    if head[ip] >> 4 != 6:
        return 0
    kind, at = head[ip + 6], ip + 40
    while kind in (0, 43, 60, 44) and at + 8 <= len(head):  # 44: an atomic fragment
        kind, at = head[at], at + (8 if kind == 44 else (head[at + 1] + 1) * 8)
    return at if kind == TCP else 0
