# SPDX-License-Identifier: Apache-2.0
"""Host: a station on one side of the router that may send every frame, right or wrong."""

from __future__ import annotations

import socket
import struct
from ipaddress import IPv4Address

from algwatch.report import identity
from craft import checksum
from lab.namespace import Namespace

ETH_IPV4 = b"\x08\x00"
Address = tuple[str, int]


def hardware_address(namespace: Namespace, device: str) -> bytes:
    with namespace:
        return bytes.fromhex(identity.hardware_address(device))


def _pseudo(source: str, target: str, protocol: int, length: int) -> bytes:
    return IPv4Address(source).packed + IPv4Address(target).packed + struct.pack(
        "!BBH", 0, protocol, length
    )  # fmt: skip


def udp(source: Address, target: Address, payload: bytes, *, wrong: bool = False,
        length: int | None = None) -> bytes:  # fmt: skip
    """wrong: the checksum is. length: of the header, where it shall lie."""
    head = struct.pack("!HHH", source[1], target[1], 8 + len(payload) if length is None else length)
    sum_ = checksum(
        _pseudo(source[0], target[0], 17, 8 + len(payload)) + head + b"\0\0" + payload
    ) or 0xFFFF  # fmt: skip
    return head + struct.pack("!H", sum_ ^ 0x5555 if wrong else sum_) + payload


def tcp(source: Address, target: Address, payload: bytes, *, seq: int = 1, flags: int = 0x18,
        wrong: bool = False) -> bytes:  # fmt: skip
    head = struct.pack("!HHIIBBH", source[1], target[1], seq, 1, 0x50, flags, 65535)
    sum_ = checksum(
        _pseudo(source[0], target[0], 6, 20 + len(payload)) + head + bytes(4) + payload
    )  # fmt: skip
    return head + struct.pack("!HH", sum_ ^ 0x5555 if wrong else sum_, 0) + payload


def ipv4(source: str, target: str, protocol: int, payload: bytes, *, ttl: int = 64,
         ident: int = 0, fragment: int = 0, wrong: bool = False,
         length: int | None = None) -> bytes:  # fmt: skip
    """fragment: flags and offset, as they stand in the header."""
    total = 20 + len(payload) if length is None else length
    head = struct.pack("!BBHHHBB", 0x45, 0, total, ident, fragment, ttl, protocol)
    ends = IPv4Address(source).packed + IPv4Address(target).packed
    sum_ = checksum(head + b"\0\0" + ends)
    return head + struct.pack("!H", sum_ ^ 0x5555 if wrong else sum_) + ends + payload


class Host:
    """device: its own end of the cable; the router's end has the MAC `to`."""

    def __init__(self, namespace: Namespace, device: str, to: bytes) -> None:
        self.mac = hardware_address(namespace, device)
        self._to = to
        with namespace:
            self._sock = socket.socket(socket.AF_PACKET, socket.SOCK_RAW)
        with namespace:
            self._sock.bind((device, 0))

    def packet(self, data: bytes, to: bytes = b"") -> None:
        """One IPv4 packet. to: another station's MAC than the router's."""
        try:
            self._sock.send((to or self._to) + self.mac + ETH_IPV4 + data)
        except (BlockingIOError, OSError):
            return  # the queue of the device is full: a flood

    def udp(self, source: Address, target: Address, payload: bytes, *, ttl: int = 64,
            ident: int = 0) -> None:  # fmt: skip
        """As one packet, or in fragments where it is longer than the cable takes."""
        whole = udp(source, target, payload)
        if len(whole) <= 1480:
            self.packet(ipv4(source[0], target[0], 17, whole, ttl=ttl, ident=ident))
            return
        for at in range(0, len(whole), 1480):
            part = whole[at : at + 1480]
            more = 0x2000 if at + 1480 < len(whole) else 0
            self.packet(
                ipv4(source[0], target[0], 17, part, ttl=ttl, ident=ident or 77,
                     fragment=at // 8 | more)
            )  # fmt: skip

    def arp(self, own: str, of: str) -> None:
        """Ask for a station's MAC, so that it knows the one of this host (RFC 826)."""
        asked = struct.pack("!HHBBH", 1, 0x0800, 6, 4, 1)
        asked += self.mac + IPv4Address(own).packed + bytes(6) + IPv4Address(of).packed
        self._sock.send(self._to + self.mac + b"\x08\x06" + asked)

    def close(self) -> None:
        self._sock.close()
