# SPDX-License-Identifier: Apache-2.0
"""Reads the lab's captures, apart from the code under test: what was really on the wire."""

from __future__ import annotations

import socket
import struct
from collections.abc import Iterator
from pathlib import Path

from .sip import Message

UDP, TCP, ICMP = 17, 6, 1
NFLOG = 239  # link type


class Packet:
    """at: seconds since 1970. source, target: (address, port), port 0 for ICMP.
    sip: None for what is not SIP. raw: the payload; over TCP that of one segment.
    """

    __slots__ = ("at", "ip_id", "protocol", "raw", "sip", "source", "target", "ttl")

    def __init__(self, at: float, ip: bytes) -> None:
        self.at = at
        if ip[0] >> 4 == 6:
            self.protocol, self.ttl, self.ip_id, header = ip[6], ip[7], 0, 40
            source, target = (socket.inet_ntop(socket.AF_INET6, a) for a in (ip[8:24], ip[24:40]))
            end = 40 + int.from_bytes(ip[4:6])
        else:
            self.protocol, self.ttl, self.ip_id = ip[9], ip[8], int.from_bytes(ip[4:6])
            header, end = 4 * (ip[0] & 15), int.from_bytes(ip[2:4])
            source, target = socket.inet_ntoa(ip[12:16]), socket.inet_ntoa(ip[16:20])
        ports = struct.unpack_from("!HH", ip, header) if self.protocol in (UDP, TCP) else (0, 0)
        self.source = (source, ports[0])
        self.target = (target, ports[1])
        start = header + (4 * (ip[header + 12] >> 4) if self.protocol == TCP else 8)
        self.raw = ip[start:end]
        self.sip = Message.parse(self.raw) if self.protocol in (UDP, TCP) else None


def read_capture(path: Path) -> list[Packet]:
    """Every IP packet of an Ethernet or NFLOG capture in host byte order, as it was recorded."""
    return [Packet(at, frame[_ip_at(frame, link) :]) for at, frame, link in frames(path)]


def frames(path: Path) -> Iterator[tuple[float, bytes, int]]:
    """Seconds since 1970, the whole frame, and the link type."""
    data = path.read_bytes()
    link, offset = data[20], 24
    while offset < len(data):
        seconds, micros, length, _ = struct.unpack_from("<IIII", data, offset)
        frame = data[offset + 16 : offset + 16 + length]
        yield seconds + micros / 1e6, frame, link
        offset += 16 + length


def _ip_at(frame: bytes, link: int) -> int:
    """Where the IP packet begins: behind Ethernet, a VLAN tag, PPPoE (RFC 2516); or the attributes
    of nfnetlink_log, of which 9 is the payload.
    """
    if link == NFLOG:
        at = 4
        while frame[at + 2] != 9:
            at += (int.from_bytes(frame[at : at + 2], "little") + 3) & ~3
        return at + 4
    at = 18 if frame[12:14] == b"\x81\x00" else 14
    return at + 8 if frame[at - 2 : at] == b"\x88\x64" else at


def of_call(packets: list[Packet], call_id: str) -> list[Packet]:
    """The SIP messages of one dialog, and everything that is not SIP."""
    return [p for p in packets if not p.sip or p.sip.get("Call-ID") == call_id]


def requests(packets: list[Packet], method: str) -> list[Packet]:
    return [p for p in packets if p.sip and not p.sip.status and p.sip.method == method]


def responses(packets: list[Packet], status: int, method: str) -> list[Packet]:
    return [p for p in packets if p.sip and p.sip.status == status and p.sip.method == method]
