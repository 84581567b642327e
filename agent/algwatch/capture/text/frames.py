# SPDX-License-Identifier: Apache-2.0
"""IP packets around messages from a text."""

from __future__ import annotations

import struct

from algwatch.base import address
from algwatch.base.table import Table
from algwatch.capture.text.head import Host

RAW_IP = 101  # LINKTYPE_RAW
LARGEST = 65000  # bytes of a message
FLOWS = 4096
TTL = 0  # not known: no comparison of TTLs may use it


class Frames:
    """Packs messages into raw IP packets. Each packet has an identification of its own, so none
    looks like a copy of another; TCP streams have continuing sequence numbers."""

    def __init__(self) -> None:
        self._ident = 0
        self._next: Table[tuple[Host, Host], int] = Table(FLOWS)

    def packet(self, src: Host, dst: Host, payload: bytes, stream: bool) -> bytes:
        """src, dst: IP literals of one version. stream: TCP instead of UDP."""
        ends = packed(src[0]), packed(dst[0])
        self._ident = self._ident % 65535 + 1
        if stream:
            flow = (src, dst)
            sequence = self._next.get(flow, 1)
            self._next.add(flow, (sequence + len(payload)) & 0xFFFFFFFF)
            segment = struct.pack(
                "!HHIIBBHHH", src[1], dst[1], sequence, 1, 0x50, 0x18, 65535, 0, 0
            )
            segment += payload
        else:
            segment = struct.pack("!HHHH", src[1], dst[1], 8 + len(payload), 0) + payload
        protocol = 6 if stream else 17
        pseudo = ends[0] + ends[1] + struct.pack("!IHBB", len(segment), 0, 0, protocol)
        total = _sum(pseudo + segment) or 0xFFFF
        at = 16 if stream else 6
        segment = segment[:at] + struct.pack("!H", total) + segment[at + 2 :]
        if len(ends[0]) == 16:
            head = struct.pack("!IHBB", 6 << 28, len(segment), protocol, TTL)
            return head + ends[0] + ends[1] + segment
        head = struct.pack(
            "!BBHHHBBH", 0x45, 0, 20 + len(segment), self._ident, 0, TTL, protocol, 0
        )
        head += ends[0] + ends[1]
        return head[:10] + struct.pack("!H", _sum(head)) + head[12:] + segment


def packed(host: str) -> bytes:
    """4 or 16 bytes of an IP literal."""
    value = address.ipv4(host)
    if value >= 0:
        return value.to_bytes(4)
    host = host.partition("%")[0]
    front, gap, back = host.partition("::")
    groups = [front.split(":") if front else [], back.split(":") if back else []]
    whole: list[list[int]] = []
    for some in groups:
        numbers: list[int] = []
        for group in some:
            if "." in group:
                value = address.ipv4(group)
                numbers += [value >> 16, value & 0xFFFF]
            else:
                numbers.append(int(group, 16))
        whole.append(numbers)
    missing = 8 - len(whole[0]) - len(whole[1])
    numbers = whole[0] + [0] * (missing if gap else 0) + whole[1]
    return struct.pack("!8H", *numbers)


def _sum(data: bytes) -> int:
    """The checksum of RFC 1071."""
    if len(data) % 2:
        data += b"\0"
    total: int = sum(struct.unpack(f"!{len(data) // 2}H", data))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return ~total & 0xFFFF
