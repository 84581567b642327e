# SPDX-License-Identifier: Apache-2.0
"""A captured frame without people: addresses of every header, and the payload.

A payload other than SIP keeps its first bytes, which show its kind, with zeros behind them.
Checksums are updated by the change (RFC 1624). So a wrong one stays wrong, and a right one stays
right even without the bytes that were not captured.
"""

from __future__ import annotations

import re

from algwatch.anonymize.addresses import Addresses
from algwatch.anonymize.cipher import Cipher
from algwatch.anonymize.link import Ip, hardware, headers
from algwatch.anonymize.words import Words

TCP, UDP, ICMP, ICMP6 = 6, 17, 1, 58
KEPT = 12  # bytes of a payload other than SIP: the header of RTP, and of much else
_SIP = re.compile(rb"SIP/[0-9]|^[\r\n]*[A-Z]{3,16} +(?:sips?|tel):", re.I)
_KEEPALIVE = re.compile(rb"[\r\n\0 ]{1,64}|jaK|hello", re.I)
_QUOTING = {ICMP: (3, 4, 5, 11, 12), ICMP6: (1, 2, 3, 4)}


def is_sip(payload: bytes) -> bool:
    return _SIP.search(payload) is not None


class Change:
    """The sum of the changes in 16-bit words, by their position."""

    __slots__ = ("sum",)

    def __init__(self) -> None:
        self.sum = 0

    def add(self, before: bytes, after: bytes, odd: bool = False) -> None:
        """odd: the bytes begin at the second byte of a word."""
        if before != after:
            self.sum += words(after, odd) - words(before, odd)

    def applied(self, checksum: int) -> int:
        """~(~HC + ~m + m') (RFC 1624 equation 3)."""
        value = ~checksum & 0xFFFF
        value = (value + self.sum) % 0xFFFF if self.sum else value
        return ~value & 0xFFFF


def words(data: bytes, odd: bool = False) -> int:
    data = (b"\0" + data) if odd else data
    data += b"\0" * (len(data) & 1)
    return int.from_bytes(data) % 0xFFFF


class Frames:
    def __init__(self, cipher: Cipher, addresses: Addresses, said: Words) -> None:
        self._cipher = cipher
        self._addresses = addresses
        self._words = said

    def replaced(self, frame: bytes, linktype: int, whole: tuple[int, bytes] | None = None,
                 change: Change | None = None) -> bytes:  # fmt: skip
        """whole: an offset and the bytes for it, if these depend on other packets. change: the
        change of the whole packet, for its first fragment."""
        made = bytearray(frame)
        for at, size in hardware(linktype):
            made[at : at + size] = self._hardware(bytes(made[at : at + size]))
        first, ips = headers(frame, linktype)
        if not ips:
            start = {1: 14, 113: 16, 276: 20}.get(linktype, min(4, len(frame)))
            made[start:] = bytes(len(made) - start) if len(made) > start else b""
            return bytes(made)
        if linktype == 239:
            self._nflog(made, first)
        for ip in ips:
            pseudo = self._header(made, ip)
        self._inside(made, frame, ips[-1], pseudo, whole, change)
        made[max(ips[-1].end, first) :] = bytes(len(made) - max(ips[-1].end, first))  # padding
        return bytes(made)

    def _hardware(self, mac: bytes) -> bytes:
        if mac[0] & 1 or not any(mac):
            return mac
        low = int.from_bytes(mac[1:])
        return mac[:1] + self._cipher.number(low, 1 << 40, b"mac").to_bytes(5)

    def _nflog(self, made: bytearray, first: int) -> None:
        """Clear the attributes of a log with hardware addresses and headers."""
        at = 4
        while at + 4 <= first - 4:
            length = int.from_bytes(made[at : at + 2], "little")
            kind = int.from_bytes(made[at + 2 : at + 4], "little")
            if length < 4 or length > len(made):
                break
            if kind in (8, 16):  # hardware address and header
                made[at + 8 : at + length] = bytes(max(0, length - 8))
            at += length + 3 & ~3

    def _header(self, made: bytearray, ip: Ip) -> Change:
        """Replace the addresses; returns their change."""
        at, size = ip.addresses
        before = bytes(made[at : at + 2 * size])
        new = self._addresses.packed4 if size == 4 else self._addresses.packed6
        after = new(before[:size]) + new(before[size:])
        made[at : at + 2 * size] = after
        change = Change()
        change.add(before, after)
        if size == 4:
            _apply(made, ip.at + 10, change)
            options = ip.at + 20
            made[options : ip.inside] = bytes(
                max(0, ip.inside - options)
            )  # record route and others
        return change

    def _inside(self, made: bytearray, frame: bytes, ip: Ip, change: Change,
                whole: tuple[int, bytes] | None, group: Change | None) -> None:  # fmt: skip
        start, end = ip.inside, ip.end
        if whole is not None:
            at, payload = whole
            made[at : at + len(payload)] = payload
            if group is None:
                change.add(frame[at : at + len(payload)], payload, bool((at - start) & 1))
            else:
                change.sum += group.sum
        elif ip.fragment:
            made[start:end] = bytes(max(0, end - start))
            return
        elif ip.proto in (TCP, UDP):
            self._payload(made, frame, start + _size(frame, ip), end, start, change)
        elif ip.proto in _QUOTING and end - start >= 8:
            self._icmp(made, frame, ip, change)
            return
        else:
            made[start + 8 : end] = bytes(max(0, end - start - 8))
            return
        if ip.first:
            where = start + (6 if ip.proto == UDP else 16)
            if ip.proto in (TCP, UDP) and where + 2 <= len(made):
                _apply(made, where, change, ip.proto == UDP)

    def _payload(self, made: bytearray, frame: bytes, at: int, end: int, start: int,
                 change: Change) -> None:  # fmt: skip
        if at < end:
            payload = frame[at:end]
            after = self.payload(payload)
            made[at:end] = after
            change.add(payload, after, bool((at - start) & 1))

    def payload(self, payload: bytes) -> bytes:
        if is_sip(payload):
            return self._words.message(payload)
        if _KEEPALIVE.fullmatch(payload):
            return payload
        kept = KEPT
        head = payload[:KEPT]
        if payload[:1] and 0x14 <= payload[0] <= 0x17 and payload[1:2] == b"\x03":
            kept = 6  # TLS: record header and type of handshake
        elif all(32 <= byte < 127 or byte in (9, 10, 13) for byte in head):
            kept = 0  # text
        return payload[:kept] + bytes(len(payload[kept:]))

    def _icmp(self, made: bytearray, frame: bytes, ip: Ip, pseudo: Change) -> None:
        """An error quotes the packet it is about."""
        start, end = ip.inside, ip.end
        change = Change()
        if ip.proto == ICMP6:
            change.sum += pseudo.sum
        quoted = start + 8
        inner: Ip | None = None
        if frame[start] in _QUOTING[ip.proto] and quoted + 20 <= end:
            version = frame[quoted] >> 4
            if version == 4 or (version == 6 and quoted + 40 <= end):
                inner = Ip(frame[:end], quoted, version)
        if inner is None:
            made[quoted:end] = bytes(max(0, end - quoted))
        else:
            addressed = self._header(made, inner)
            self._quoted(made, frame, inner, addressed, end)
        change.add(frame[quoted:end], bytes(made[quoted:end]))
        _apply(made, start + 2, change)

    def _quoted(self, made: bytearray, frame: bytes, inner: Ip, addressed: Change,
                end: int) -> None:  # fmt: skip
        at = inner.inside + 8
        if inner.proto == UDP and at < end:
            payload = frame[at:end]
            after = self.payload(payload)
            made[at:end] = after
            addressed.add(payload, after)
        elif at < end:
            made[at:end] = bytes(end - at)
        if inner.proto == UDP and inner.inside + 8 <= end:
            _apply(made, inner.inside + 6, addressed, True)


def _size(frame: bytes, ip: Ip) -> int:
    if ip.proto == UDP or ip.inside + 13 > len(frame):
        return 8
    return max(20, (frame[ip.inside + 12] >> 4) * 4)


def _apply(made: bytearray, at: int, change: Change, udp: bool = False) -> None:
    before = int.from_bytes(made[at : at + 2])
    if not before:
        return  # RFC 768: there is none; of IP and TCP the network card was to make it
    after = change.applied(before)
    made[at : at + 2] = (0xFFFF if udp and not after else after).to_bytes(2)
