# SPDX-License-Identifier: Apache-2.0
"""A walker over pcap: bytes in, packets out. Sans-IO.

For pipes: their kind is unknown until some bytes are read, and libpcap takes no bytes already read.
Source: draft-ietf-opsawg-pcap.
"""

from __future__ import annotations

import struct

from algwatch.capture.packets import LONGEST, Interface, Packets

# By the first four bytes: byte order, and units of a time stamp's fraction in a microsecond.
MAGICS = {
    b"\xd4\xc3\xb2\xa1": ("<", 1), b"\xa1\xb2\xc3\xd4": (">", 1),
    b"\x4d\x3c\xb2\xa1": ("<", 1000), b"\xa1\xb2\x3c\x4d": (">", 1000),
}  # fmt: skip
_LINKTYPE = 0x0FFFFFFF & 0xFFFF  # the upper bits describe frame check sequences


class Pcap:
    """Feed it bytes as they come. interfaces: one. problem: the reason if the walk ended early,
    else "". started: the file header was read. Times are cut to microseconds, as libpcap cuts those
    of files. again: the file may begin anew, with a header in the place of a packet; no packet is
    empty and of 2055, as that would be."""

    def __init__(self, again: bool = False) -> None:
        self._again = again
        self._form = b"", b""  # the magic number and the link type
        self.interfaces: list[Interface] = []
        self.problem = ""
        self.started = False
        self._rest = b""
        self._per_micro = 1
        self._record = struct.Struct("<IIII")

    def feed(self, data: bytes, most: int = 1 << 30) -> Packets:
        """The packets complete by now, at most `most`; the others come with the next call."""
        buffer = self._rest + data if self._rest else data
        packets = Packets(buffer)
        at, size, per_micro = 0, len(buffer), self._per_micro
        if not self.started and size >= 24:
            at = self._header(buffer)
            per_micro = self._per_micro
        unpack, records = self._record.unpack_from, packets.records.setdefault(0, [])
        while self.started and not self.problem and size - at >= 16 and packets.count < most:
            seconds, fraction, length, _ = unpack(buffer, at)
            if self._again and not length and buffer[at : at + 4] in MAGICS:
                if size - at < 24:
                    break
                if (buffer[at : at + 4], buffer[at + 20 : at + 24]) != self._form:
                    self.problem = "a capture of another form took its place"
                    break
                at += 24
                continue
            if length > LONGEST:
                self.problem = f"a packet of {length} bytes"
                break
            if at + 16 + length > size:
                break
            micro = fraction // per_micro
            records += (seconds, micro, at + 16, length)
            packets.count += 1
            packets.last = (seconds * 1_000_000 + micro) * 1000
            at += 16 + length
        self._rest = b"" if self.problem else buffer[at:]
        return packets

    def _header(self, buffer: bytes) -> int:
        order, self._per_micro = MAGICS[buffer[:4]]
        self._record = struct.Struct(order + "IIII")
        (linktype,) = struct.unpack_from(order + "I", buffer, 20)
        self.interfaces.append(Interface(linktype & _LINKTYPE))
        self._form = buffer[:4], buffer[20:24]
        self.started = True
        return 24

    def end(self, cut: bool = False) -> None:
        """No more bytes come. cut: the reading was ended from outside."""
        if not (cut or self.problem) and self._rest:
            self.problem = "truncated in a packet" if self.started else "truncated in its header"
