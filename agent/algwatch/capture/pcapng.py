# SPDX-License-Identifier: Apache-2.0
"""A walker over pcapng: bytes in, packets out. Sans-IO.

libpcap refuses files with interfaces of different link types or snap lengths, and does not tell the
interface of a packet. Source: draft-ietf-opsawg-pcapng.
"""

from __future__ import annotations

import struct
from collections.abc import Callable
from typing import Any

from algwatch.base.native.layout import META_IN, META_OUT
from algwatch.capture.packets import LATEST, LONGEST, Interface, Packets

SECTION, INTERFACE, OLD_PACKET, SIMPLE_PACKET, ENHANCED_PACKET = 0x0A0D0D0A, 1, 2, 3, 6
MAGIC = SECTION.to_bytes(4)  # the same bytes in either order
LONGEST_BLOCK = LONGEST + 65536  # of a parsed block: a packet and its options
MOST_INTERFACES = 4096

_ORDER = 0x1A2B3C4D
_IF_NAME, _IF_TSRESOL, _IF_TSOFFSET = 2, 9, 14
_EPB_FLAGS = 2


class Damaged(Exception):
    """The text says what is wrong; the rest of the file is unreadable."""


class Pcapng:
    """Feed it bytes as they come. interfaces: of all sections, in order. problem: the reason if the
    walk ended early, else "". started: a packet was seen."""

    def __init__(self) -> None:
        self.interfaces: list[Interface] = []
        self.problem = ""
        self.started = False
        self._section: list[int] = []  # index of each interface of this section
        self._snaplens: list[int] = []
        self._rest = b""
        # For a skipped block: bytes up to its second length, and this length.
        self._skip = self._skipped = 0
        self._last = 0  # time of the latest packet: a Simple Packet Block has none
        self._in_section = False
        self._set_order("<")

    def _set_order(self, order: str) -> None:
        self._byte_order = order
        self._head: Callable[..., Any] = struct.Struct(order + "II").unpack_from
        self._enhanced: Callable[..., Any] = struct.Struct(order + "IIII").unpack_from
        self._trailer: Callable[..., Any] = struct.Struct(order + "I").unpack_from
        self._option: Callable[..., Any] = struct.Struct(order + "HH").unpack_from

    def feed(self, data: bytes, most: int = 1 << 30) -> Packets:
        """The packets complete by now, at most `most`; the others come with the next call."""
        if self._skip:
            skipped = min(self._skip, len(data))
            self._skip -= skipped
            data = data[skipped:]
        buffer = self._rest + data if self._rest else data
        packets = Packets(buffer)
        at = 0
        if not self.problem:
            try:
                at = self._walk(buffer, packets, most)
            except Damaged as problem:
                self.problem = str(problem)
                at = len(buffer)
        self._rest = buffer[at:]
        self._last = packets.last or self._last
        return packets

    def end(self, cut: bool = False) -> None:
        """No more bytes come. cut: the reading was ended from outside."""
        if not (cut or self.problem) and (self._rest or self._skipped):
            self.problem = f"truncated in a block, {len(self._rest)} bytes before the end"

    def _walk(self, buffer: bytes, packets: Packets, most: int) -> int:
        """Returns the offset of the first incomplete block."""
        total: int
        at, size = 0, len(buffer)
        if self._skipped:
            if size < 4:
                return 0
            if self._trailer(buffer, 0)[0] != self._skipped:
                raise Damaged("the two lengths of a block differ")
            at, self._skipped = 4, 0
        while size - at >= 12 and packets.count < most:
            kind, total = self._head(buffer, at)
            if kind == SECTION or not self._in_section:
                total = self._begin(buffer, at, kind)
            end = at + total
            if total < 12 or total & 3:
                raise Damaged(f"a block of {total} bytes")
            known = kind in (SECTION, INTERFACE, OLD_PACKET, SIMPLE_PACKET, ENHANCED_PACKET)
            if known and total > LONGEST_BLOCK:
                raise Damaged(f"a block of {total} bytes")
            if end > size:
                if known:
                    return at
                self._skip, self._skipped = max(0, end - 4 - size), total
                return min(end - 4, size)
            if self._trailer(buffer, end - 4)[0] != total:
                raise Damaged("the two lengths of a block differ")
            if kind == ENHANCED_PACKET:
                if total < 32:
                    raise Damaged(f"a packet block of {total} bytes")
                interface, high, low, length = self._enhanced(buffer, at + 8)
                behind = at + 28 + (length + 3 & ~3)
                way = self._direction(buffer, behind, end - 4) if end - behind > 8 else 0
                self._add(packets, interface, high << 32 | low, at + 28, length, end - 4, way)
            elif kind == INTERFACE:
                self._interface(buffer[at + 8 : end - 4])
            elif kind in (SIMPLE_PACKET, OLD_PACKET):
                self._other_packet(kind, buffer, at, end, packets)
            at = end
        return at

    def _begin(self, buffer: bytes, at: int, kind: int) -> int:
        """A section begins: its byte order; returns the length of its header."""
        if kind != SECTION:
            raise Damaged("no section header")
        for order in "<>":
            if struct.unpack_from(order + "I", buffer, at + 8)[0] == _ORDER:
                break
        else:
            raise Damaged("a section header without a byte order")
        self._set_order(order)
        total: int = self._head(buffer, at)[1]
        if 28 <= total <= len(buffer) - at:
            (major,) = struct.unpack_from(order + "H", buffer, at + 12)
            if major != 1:
                raise Damaged(f"version {major} of pcapng is not known")
        elif total < 28:
            raise Damaged(f"a section header of {total} bytes")
        self._in_section = True
        self._section, self._snaplens = [], []
        return total

    def _interface(self, body: bytes) -> None:
        if len(body) < 8:
            raise Damaged("an interface description without a link type")
        if len(self.interfaces) >= MOST_INTERFACES:
            raise Damaged(f"more than {MOST_INTERFACES} interfaces")
        order = self._byte_order
        linktype, _, snaplen = struct.unpack_from(order + "HHI", body)
        one = Interface(linktype)
        at = 8
        while at + 4 <= len(body):
            code, length = struct.unpack_from(order + "HH", body, at)
            value = body[at + 4 : at + 4 + length]
            at += 4 + (length + 3 & ~3)
            if code == 0 or len(value) < length:
                break
            if code == _IF_NAME:
                one.name = value.rstrip(b"\0").decode("utf-8", "replace")
            elif code == _IF_TSRESOL and length == 1:
                power = value[0] & 0x7F
                one.units = 2**power if value[0] & 0x80 else 10**power
            elif code == _IF_TSOFFSET and length == 8:
                (one.offset,) = struct.unpack(order + "q", value)
        self._section.append(len(self.interfaces))
        self._snaplens.append(snaplen)
        self.interfaces.append(one)

    def _other_packet(self, kind: int, buffer: bytes, at: int, end: int, packets: Packets) -> None:
        order = self._byte_order
        if kind == OLD_PACKET:
            if end - at < 32:
                raise Damaged(f"a packet block of {end - at} bytes")
            interface, _, high, low, length = struct.unpack_from(order + "HHIII", buffer, at + 8)
            self._add(packets, interface, high << 32 | low, at + 28, length, end - 4)
            return
        if end - at < 16 or not self._section:
            raise Damaged("a simple packet block without an interface, or without a length")
        (length,) = struct.unpack_from(order + "I", buffer, at + 8)
        length = min(length, self._snaplens[0] or length, end - at - 16)
        self._add(packets, 0, None, at + 12, length, end - 4)

    def _direction(self, buffer: bytes, at: int, end: int) -> int:
        """META_IN, META_OUT or 0, by the options of a packet from `at` on."""
        while at + 8 <= end:
            code, length = self._option(buffer, at)
            if code == _EPB_FLAGS and length == 4:
                return (0, META_IN, META_OUT, 0)[self._trailer(buffer, at + 4)[0] & 3]
            if code == 0:
                break
            at += 4 + (length + 3 & ~3)
        return 0

    def _add(self, packets: Packets, interface: int, ticks: int | None, start: int, length: int,
             end: int, way: int = 0) -> None:  # fmt: skip
        """A packet of this interface of the section, from start on. end: of the room for it; way:
        META_IN or META_OUT if known."""
        if interface >= len(self._section):
            raise Damaged("a packet of an interface that is not described")
        if length > end - start or length > LONGEST:
            raise Damaged(f"a packet of {length} bytes in a block of {end - start}")
        index = self._section[interface]
        if ticks is None:
            at = packets.last or self._last
            seconds, rest = divmod(at, 1_000_000_000)
            micro, fine = divmod(rest, 1000)
        else:
            one = self.interfaces[index]
            if one.units == 1_000_000 and not one.offset and ticks < LATEST * 1_000_000:
                seconds, micro = divmod(ticks, 1_000_000)
                at, fine = ticks * 1000, 0
            else:
                at = one.time(ticks)
                seconds, rest = divmod(at, 1_000_000_000)
                micro, fine = divmod(rest, 1000)
        packets.last = at
        packets.count += 1
        self.started = True
        if fine:
            packets.fine[start] = fine
        record = packets.records.get(index)
        if record is None:
            record = packets.records[index] = []
        record += (seconds, micro, start, length | way)
