# SPDX-License-Identifier: Apache-2.0
"""Watch: one packet socket on all interfaces, for both copies of each probe message.

All interfaces, because only the router knows the device a packet leaves by. A filter in the kernel
passes only packets for the probe's destination, and those of TTL 1: they show the way of a
redirected packet.
"""

from __future__ import annotations

import select
import socket
import struct
import time
from array import array

from algwatch.base.native.scan import Frame

RAW = 12  # LINKTYPE_RAW: the kernel removes the link header (SOCK_DGRAM, packet(7))
ALL = 0x0003  # ETH_P_ALL: no other number shows outgoing packets
_IPV4 = 0x0800
_ATTACH_FILTER = 26  # SO_ATTACH_FILTER
_ROOM = 262144  # bytes waiting in the socket
OUTGOING = 4  # PACKET_OUTGOING


class Copy:
    """A packet as seen. device: name of the interface; leaves: the router sends it there. packet:
    from the IP header on; frame: its parts."""

    __slots__ = ("at", "device", "frame", "leaves", "packet")

    def __init__(self, packet: bytes, device: str, leaves: bool) -> None:
        self.at = time.time_ns()
        self.packet = packet
        self.device = device
        self.leaves = leaves
        self.frame = Frame(packet, RAW)

    @property
    def payload(self) -> bytes:
        """The payload of UDP or TCP, or empty."""
        frame = self.frame
        return self.packet[frame.payload : frame.payload + frame.length] if frame.found else b""


def program(far: bytes) -> bytes:
    """The filter, as struct sock_filter: IPv4, and (to `far` or with TTL 1). It does not read the
    link header."""
    protocol = 0xFFFFF000  # SKF_AD_OFF + SKF_AD_PROTOCOL
    steps = (
        (0x28, 0, 0, protocol), (0x15, 0, 5, _IPV4),
        (0x20, 0, 0, 16), (0x15, 2, 0, int.from_bytes(far, "big")),
        (0x30, 0, 0, 8), (0x15, 0, 1, 1),
        (0x06, 0, 0, 0xFFFF), (0x06, 0, 0, 0),
    )  # fmt: skip
    return b"".join(struct.pack("=HBBI", *step) for step in steps)


class Watch:
    """`with` closes it. OSError: no CAP_NET_RAW."""

    def __init__(self, far: bytes) -> None:
        kind = socket.SOCK_DGRAM | socket.SOCK_CLOEXEC
        self._socket = socket.socket(socket.AF_PACKET, kind, socket.htons(ALL))
        try:
            code = array("B", program(far))
            place, size = code.buffer_info()
            self._socket.setsockopt(
                socket.SOL_SOCKET, _ATTACH_FILTER, struct.pack("@HP", size // 8, place)
            )
            self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, _ROOM)
            self._socket.setblocking(False)
            self._drop_unfiltered()
        except OSError:
            self._socket.close()
            raise

    def __enter__(self) -> Watch:
        return self

    def __exit__(self, *_: object) -> None:
        self._socket.close()

    def _drop_unfiltered(self) -> None:
        """Python binds an unnamed interface only, so the socket took packets before it had its
        filter."""
        for _ in range(_ROOM // 64):
            try:
                self._socket.recv(1)
            except BlockingIOError:
                return

    def wait(self, until: float) -> Copy | None:
        """The next packet; None if time.monotonic() reaches `until` without one."""
        while True:
            rest = until - time.monotonic()
            if not select.select([self._socket], [], [], max(0.0, rest))[0]:
                return None
            try:
                packet, (device, _, kind, *_) = self._socket.recvfrom(65535)
            except BlockingIOError:
                continue
            return Copy(packet, device, kind == OUTGOING)
