# SPDX-License-Identifier: Apache-2.0
"""Netlink: requests to the kernel and its answers (include/uapi/linux/netlink.h, netlink(7)).

A message is a header of 16 bytes (length, kind, flags, sequence number, port), the fixed part of
its family, and attributes of type, length and value, which may nest. Packing and parsing are pure
functions; Netlink is the socket.
"""

from __future__ import annotations

import errno
import os
import socket
import struct
import time
from collections.abc import Iterator

from algwatch.quiet import suppress

ROUTE = 0  # NETLINK_ROUTE
NETFILTER = 12  # NETLINK_NETFILTER

# Flags of a request: do not replace, create, dump all, acknowledge.
REQUEST, ACK, DUMP, EXCLUSIVE, CREATE = 0x1, 0x4, 0x300, 0x200, 0x400
_DUMP_INTERRUPTED = 0x10
_CAPPED, _ACK_TLVS = 0x100, 0x200  # of an acknowledgement
_ERROR, _DONE = 2, 3  # kinds below 16 belong to netlink itself
_NESTED, _TYPE = 0x8000, 0x3FFF

_HEADER = struct.Struct("=IHHII")
_ATTRIBUTE = struct.Struct("=HH")
_SOL_NETLINK, _CAP_ACK, _EXT_ACK = 270, 10, 11
_ACK_TEXT = 1  # NLMSGERR_ATTR_MSG

TIMEOUT = 2.0  # seconds for one answer; the kernel answers at once, unless it waits for a lock
DUMP_TIMEOUT = 5.0  # seconds for a whole dump
DUMP_TRIES = 4  # a table changed during its dump is dumped again
MOST = 32768  # bytes of one read; the kernel fills no more (netlink_dump())


class NetlinkError(OSError):
    """The kernel refused, or did not answer (ETIMEDOUT). errno and strerror as in any OSError, with
    the kernel's own words, if any."""


def attribute(kind: int, value: bytes) -> bytes:
    """One attribute, padded to 4 bytes. ValueError: too long for an attribute."""
    size = 4 + len(value)
    if size > 0xFFFF:
        raise ValueError(f"an attribute holds at most 65531 bytes, not {len(value)}")
    return _ATTRIBUTE.pack(size, kind) + value + bytes(-size % 4)


def nested(kind: int, *inner: bytes) -> bytes:
    return attribute(kind | _NESTED, b"".join(inner))


def text(kind: int, value: str) -> bytes:
    """A name with its final NUL."""
    return attribute(kind, value.encode() + b"\0")


def u8(kind: int, value: int) -> bytes:
    return attribute(kind, struct.pack("=B", value))


def u32(kind: int, value: int) -> bytes:
    """In the byte order of this machine, as rtnetlink has it."""
    return attribute(kind, struct.pack("=I", value))


def be16(kind: int, value: int) -> bytes:
    """In network byte order, as nfnetlink has it."""
    return attribute(kind, struct.pack(">H", value))


def be32(kind: int, value: int) -> bytes:
    return attribute(kind, struct.pack(">I", value))


def each_attribute(data: bytes) -> Iterator[tuple[int, bytes]]:
    """(type without flags, value), in order. A cut one ends it."""
    at = 0
    while at + 4 <= len(data):
        size, kind = _ATTRIBUTE.unpack_from(data, at)
        if size < 4 or at + size > len(data):
            return
        yield kind & _TYPE, data[at + 4 : at + size]
        at += size + -size % 4


def attributes(data: bytes) -> dict[int, bytes]:
    """By type; the last of two wins."""
    return dict(each_attribute(data))


def name(value: bytes) -> str:
    """The text of a name, without its NUL."""
    return value.partition(b"\0")[0].decode("utf-8", "replace")


def number(value: bytes) -> int:
    """1 to 8 bytes in the byte order of this machine."""
    return int.from_bytes(value, "little" if struct.pack("=H", 1)[0] else "big")


def message(kind: int, flags: int, sequence: int, payload: bytes) -> bytes:
    return _HEADER.pack(16 + len(payload), kind, flags, sequence, 0) + payload


def each_message(data: bytes) -> Iterator[tuple[int, int, int, bytes]]:
    """(kind, flags, sequence number, payload), in order. A cut one ends it."""
    at = 0
    while at + 16 <= len(data):
        size, kind, flags, sequence, _ = _HEADER.unpack_from(data, at)
        if size < 16 or at + size > len(data):
            return
        yield kind, flags, sequence, data[at + 16 : at + size]
        at += size + -size % 4


def refusal(flags: int, payload: bytes) -> NetlinkError | None:
    """The error of an NLMSG_ERROR message; None for an acknowledgement."""
    code = -struct.unpack_from("=i", payload)[0] if len(payload) >= 4 else errno.EBADMSG
    if code == 0:
        return None
    why = os.strerror(code)
    if flags & _ACK_TLVS and len(payload) >= 20:
        # The request's header follows, and without NLM_F_CAPPED the rest of the request.
        size = 16 if flags & _CAPPED else max(16, struct.unpack_from("=I", payload, 4)[0])
        said = name(attributes(payload[4 + size + -size % 4 :]).get(_ACK_TEXT, b""))
        why += f" ({said})" if said else ""
    return NetlinkError(code, why)


class Netlink:
    """One netlink socket, in the network namespace of the thread that opens it.

    protocol: ROUTE or NETFILTER. `with` closes it. Every method raises NetlinkError, and OSError on
    a failure of the socket. Without CAP_NET_ADMIN the kernel refuses with EPERM.
    """

    def __init__(self, protocol: int) -> None:
        self._socket = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW | socket.SOCK_CLOEXEC,
                                     protocol)  # fmt: skip
        self._sequence = int(time.monotonic() * 1000) & 0x7FFFFFFF
        try:
            self._socket.bind((0, 0))
            for option in _CAP_ACK, _EXT_ACK:
                with suppress(OSError):  # before Linux 4.12: then the kernel gives no words
                    self._socket.setsockopt(_SOL_NETLINK, option, 1)
        except OSError:
            self._socket.close()
            raise

    def __enter__(self) -> Netlink:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        self._socket.close()

    def ask(self, kind: int, payload: bytes, flags: int = 0) -> list[bytes]:
        """Make one request and wait for its acknowledgement: the payloads before it, mostly none.
        flags: besides REQUEST and ACK."""
        end = time.monotonic() + TIMEOUT
        sequence = self._send(kind, REQUEST | ACK | flags, payload)
        found: list[bytes] = []
        while True:
            for got, bits, number_, body in self._messages(end):
                if number_ != sequence:
                    continue
                if got == _ERROR:
                    error = refusal(bits, body)
                    if error is not None:
                        raise error
                    return found
                if got >= 16:
                    found.append(body)

    def dump(self, kind: int, payload: bytes, seconds: float = DUMP_TIMEOUT) -> list[bytes]:
        """All objects of a table. A dump marked inconsistent by the kernel (NLM_F_DUMP_INTR) is
        repeated; EINTR in the end. After ETIMEDOUT the socket is unusable: close it."""
        end = time.monotonic() + seconds
        for _ in range(DUMP_TRIES):
            found = self._dump(kind, payload, end)
            if found is not None:
                return found
        raise NetlinkError(errno.EINTR, "the table changed each time that it was read")

    def _dump(self, kind: int, payload: bytes, end: float) -> list[bytes] | None:
        """None: it was interrupted."""
        sequence = self._send(kind, REQUEST | DUMP, payload)
        found: list[bytes] = []
        whole = True
        while True:
            for got, bits, number_, body in self._messages(end):
                if number_ != sequence:
                    continue
                whole &= not bits & _DUMP_INTERRUPTED
                if got in (_DONE, _ERROR):
                    error = refusal(bits, body)
                    if error is not None and error.errno != errno.EINTR:
                        raise error
                    return found if whole and error is None else None
                if got >= 16:
                    found.append(body)

    def _send(self, kind: int, flags: int, payload: bytes) -> int:
        self._sequence = self._sequence + 1 & 0x7FFFFFFF
        self._socket.sendto(message(kind, flags, self._sequence, payload), (0, 0))
        return self._sequence

    def _messages(self, end: float) -> Iterator[tuple[int, int, int, bytes]]:
        """Messages of one read; only the kernel (port 0) is believed."""
        rest = end - time.monotonic()
        if rest <= 0:
            raise NetlinkError(errno.ETIMEDOUT, "the kernel did not answer in time")
        self._socket.settimeout(rest)
        try:
            data, _, flags, sender = self._socket.recvmsg(MOST)
        except TimeoutError:
            raise NetlinkError(errno.ETIMEDOUT, "the kernel did not answer in time") from None
        if sender[0] != 0:
            return
        if flags & socket.MSG_TRUNC:
            raise NetlinkError(errno.EMSGSIZE, f"an answer of more than {MOST} bytes")
        yield from each_message(data)
