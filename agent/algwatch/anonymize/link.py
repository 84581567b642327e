# SPDX-License-Identifier: Apache-2.0
"""The offsets of the IP headers of a captured frame, the outer ones of tunnels too."""

from __future__ import annotations

IPV4, IPV6, PPPOE, PPP = 0x0800, 0x86DD, 0x8864, 0
_VLAN = (0x8100, 0x88A8, 0x9100)
_PPP = {0x0021: IPV4, 0x0057: IPV6}
_TUNNELS = (4, 41)  # IP in IP, IPv6 in IPv4
_GRE = 47
_EXTENSIONS = (0, 43, 60)  # of IPv6: options and routing
_FRAGMENT = 44
DEPTH = 6


class Ip:
    """One IP header. at: offset; version; proto: of its payload, from `inside` on; end: of the
    payload by the header; fragment: it carries a part of a packet. first: the part at the
    beginning."""

    __slots__ = ("at", "end", "first", "fragment", "inside", "proto", "version")

    def __init__(self, frame: bytes, at: int, version: int) -> None:
        self.at = at
        self.version = version
        self.fragment, self.first = False, True
        if version == 4:
            self.inside = at + (frame[at] & 15) * 4
            self.proto = frame[at + 9]
            length = int.from_bytes(frame[at + 2 : at + 4])
            self.end = min(len(frame), at + length) if length else len(frame)
            where = int.from_bytes(frame[at + 6 : at + 8])
            self.fragment, self.first = bool(where & 0x3FFF), not where & 0x1FFF
            return
        length = int.from_bytes(frame[at + 4 : at + 6])
        self.end = min(len(frame), at + 40 + length) if length else len(frame)
        self.proto, self.inside = frame[at + 6], at + 40
        for _ in range(DEPTH):
            if self.proto not in (*_EXTENSIONS, _FRAGMENT) or self.inside + 8 > len(frame):
                break
            follows = frame[self.inside]
            if self.proto == _FRAGMENT:
                where = int.from_bytes(frame[self.inside + 2 : self.inside + 4])
                self.fragment, self.first = True, not where & 0xFFF8
                self.inside += 8
            else:
                self.inside += 8 + frame[self.inside + 1] * 8
            self.proto = follows

    @property
    def addresses(self) -> tuple[int, int]:
        """Offset of the source address, and bytes of an address."""
        return (self.at + 12, 4) if self.version == 4 else (self.at + 8, 16)


def headers(frame: bytes, linktype: int) -> tuple[int, list[Ip]]:
    """The offset of the first IP header (0: none), and all of them, the outer first."""
    try:
        at = _first(frame, linktype)
        return at, _nested(frame, at) if at >= 0 else []
    except IndexError:
        return 0, []


def _nested(frame: bytes, at: int) -> list[Ip]:
    found: list[Ip] = []
    for _ in range(DEPTH):
        version = frame[at] >> 4
        size = 20 if version == 4 else 40
        if version not in (4, 6) or at + size > len(frame):
            break
        ip = Ip(frame, at, version)
        found.append(ip)
        if ip.fragment or ip.inside >= len(frame):
            break
        if ip.proto in _TUNNELS:
            at = ip.inside
        elif ip.proto == _GRE:
            flags = int.from_bytes(frame[ip.inside : ip.inside + 2])
            kind = int.from_bytes(frame[ip.inside + 2 : ip.inside + 4])
            if kind not in (IPV4, IPV6):
                break
            at = ip.inside + 4 + 4 * sum(bool(flags & bit) for bit in (0x8000, 0x2000, 0x1000))
        else:
            break
    return found


def _first(frame: bytes, linktype: int) -> int:
    """The offset of the first IP header, -1 without IP."""
    if linktype in (12, 101, 228, 229):
        return 0
    if linktype in (0, 108):
        return 4
    if linktype == 9:
        return _ppp(frame, 0)
    if linktype == 239:
        return _nflog(frame)
    start = {1: 12, 113: 14, 276: 0}.get(linktype)
    if start is None:
        return -1
    at = 20 if linktype == 276 else start + 2
    kind = int.from_bytes(frame[start : start + 2])
    for _ in range(4):
        if kind in _VLAN:
            kind = int.from_bytes(frame[at + 2 : at + 4])
            at += 4
    if kind == PPPOE:
        return _ppp(frame, at + 6)
    return at if kind in (IPV4, IPV6) else -1


def _ppp(frame: bytes, at: int) -> int:
    if frame[at : at + 2] == b"\xff\x03":
        at += 2
    size = 1 if frame[at] & 1 else 2
    return at + size if int.from_bytes(frame[at : at + size]) in _PPP else -1


def _nflog(frame: bytes) -> int:
    """The payload among the attributes (TLV, in the byte order of the machine)."""
    at = 4
    order = "little" if int.from_bytes(frame[4:6], "little") < 4096 else "big"
    while at + 4 <= len(frame):
        length = int.from_bytes(frame[at : at + 2], order)  # type: ignore[arg-type]
        kind = int.from_bytes(frame[at + 2 : at + 4], order)  # type: ignore[arg-type]
        if kind == 9:
            return at + 4
        if length < 4:
            break
        at += length + 3 & ~3
    return -1


def hardware(linktype: int) -> list[tuple[int, int]]:
    """(offset, bytes) of the hardware addresses in front of the packet."""
    return {1: [(0, 6), (6, 6)], 113: [(6, 6)], 276: [(12, 6)]}.get(linktype, [])
