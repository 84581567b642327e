# SPDX-License-Identifier: Apache-2.0
"""Packets of a capture file before they are scanned, and their interfaces."""

from __future__ import annotations

from array import array
from collections.abc import Iterator

LINKTYPES = {
    0: "BSD loopback", 1: "Ethernet", 9: "PPP", 12: "raw IP", 101: "raw IP",
    108: "OpenBSD loopback", 113: "Linux cooked v1", 228: "raw IPv4", 229: "raw IPv6", 239: "NFLOG",
    276: "Linux cooked v2",
}  # fmt: skip
NFLOG = 239
LONGEST = 262144  # bytes captured of a packet: MAXIMUM_SNAPLEN of libpcap

NS = 1_000_000_000
LATEST = 0xFFFFFFFF  # seconds, the most in a record: 2106


class Interface:
    """linktype: LINKTYPE_ value. name: if_name, "" without one. units: of its time stamps in a
    second. offset: seconds to add to them."""

    __slots__ = ("linktype", "name", "offset", "units")

    def __init__(self, linktype: int, name: str = "", units: int = 1_000_000,
                 offset: int = 0) -> None:  # fmt: skip
        self.linktype = linktype
        self.name = name
        self.units = units
        self.offset = offset

    def time(self, ticks: int) -> int:
        """A time stamp in ns since 1970, limited to the range of a record."""
        seconds, rest = divmod(ticks, self.units)
        at = (seconds + self.offset) * NS + rest * NS // self.units
        return min(max(at, 0), LATEST * NS)


class Packets:
    """Packets of one read. buffer: holds their bytes. records: by interface, four numbers a packet:
    seconds, microseconds, offset, bytes. meta: those of interface 0 as bytes, if they come so.
    fine: ns beyond the microseconds by offset, if any. count: packets. last: time of the last one,
    ns."""

    __slots__ = ("buffer", "count", "fine", "last", "meta", "records")

    def __init__(self, buffer: bytes, meta: bytes = b"") -> None:
        self.buffer = buffer
        self.meta = meta
        self.records: dict[int, list[int]] = {}
        self.fine: dict[int, int] = {}
        self.count = self.last = 0

    def tables(self) -> Iterator[tuple[int, bytes]]:
        """(interface, its records) as Scanner.scan() takes them."""
        if self.meta:
            yield 0, self.meta
        for index, numbers in self.records.items():
            yield index, array("I", numbers).tobytes()
