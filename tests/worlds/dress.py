# SPDX-License-Identifier: Apache-2.0
"""What a world that was played over UDP and IPv4 looks like over TCP, or over IPv6 without NAT."""

from __future__ import annotations

import random
import re
import struct
from ipaddress import ip_address

from craft import Packet, frame, sized, tcp_frame

NETWORKS = {b"192.168.1.": "2001:db8:1::", b"198.51.100.": "2001:db8:2::",
            b"203.0.113.": "2001:db8:5::", b"10.9.9.": "2001:db8:9::"}  # fmt: skip
_ADDRESS = re.compile(rb"(IN IP4 )?(192\.168\.1\.|198\.51\.100\.|203\.0\.113\.|10\.9\.9\.)(\d+)")
SPLIT = 0.2  # the part of messages that take two segments
KEEPS = 25  # s between keep-alives of the phone (RFC 5626 section 3.5.1)
_NS = 1_000_000_000


def over_six(packets: list[Packet]) -> list[Packet]:
    """The same over IPv6."""
    made = []
    for at, data in packets:
        (src, sport), (dst, dport), ttl, _, payload = _parts(data)
        payload = sized(_ADDRESS.sub(_six, payload))
        made.append((at, frame(payload, _own(src), sport, _own(dst), dport, ttl)))
    return made


def _six(found: re.Match[bytes]) -> bytes:
    host = f"{NETWORKS[found[2]]}{found[3].decode()}"
    return (f"IN IP6 {host}" if found[1] else f"[{host}]").encode()


def _own(host: str) -> str:
    return _ADDRESS.sub(_six, host.encode()).decode().strip("[]")


def over_tcp(packets: list[Packet], rng: random.Random, inside: bool) -> list[Packet]:
    """The same over TCP, in segments, with keep-alives of the phones. inside: the LAN tap."""
    made: list[Packet] = []
    sent: dict[tuple[str, int, str, int], tuple[int, int]] = {}  # octets, and when, by flow
    for at, data in sorted(packets, key=lambda packet: packet[0]):
        source, target, ttl, ident, payload = _parts(data)
        way = (*source, *target)
        out = source[0].startswith("192." if inside else "198.")
        octets, last = sent.get(way, (1, at))
        at = max(at, last)
        while out and at - last > KEEPS * _NS:
            last += KEEPS * _NS
            made.append((last, tcp_frame(b"\r\n\r\n", *way, octets)))
            octets += 4
        payload = payload.replace(b"SIP/2.0/UDP", b"SIP/2.0/TCP")
        cut = rng.randrange(1, len(payload)) if rng.random() < SPLIT else len(payload)
        for part in filter(None, (payload[:cut], payload[cut:])):
            one = tcp_frame(part, *way, octets, ident)
            made.append((at, one[:22] + bytes([ttl]) + one[23:]))
            octets += len(part)
            at += 50_000
        sent[way] = octets, at
    return made


def _parts(data: bytes) -> tuple[tuple[str, int], tuple[str, int], int, int, bytes]:
    """Of a frame of UDP over IPv4: from where, to where, TTL, IP ID, payload."""
    sport, dport = struct.unpack_from("!HH", data, 34)
    src, dst = (str(ip_address(data[at : at + 4])) for at in (26, 30))
    ident = int.from_bytes(data[18:20])
    return (src, sport), (dst, dport), data[22], ident, data[42:]
