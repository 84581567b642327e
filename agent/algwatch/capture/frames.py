# SPDX-License-Identifier: Apache-2.0
"""The packets of a capture file as captured, one by one, in its order."""

from __future__ import annotations

import struct
from collections.abc import Iterator

from algwatch.base.native.layout import META_IN, META_OUT
from algwatch.capture.packets import Interface, Packets

_META = struct.Struct("=IIII")
_WAY = META_IN | META_OUT


class Frame:
    """index, interface: of the capture; at: ns since 1970; way: META_IN, META_OUT or 0; start: its
    offset in the buffer of its packets."""

    __slots__ = ("at", "data", "index", "interface", "start", "way")

    def __init__(self, index: int, interface: Interface, at: int, way: int, start: int,
                 data: bytes) -> None:  # fmt: skip
        self.index = index
        self.interface = interface
        self.at = at
        self.way = way
        self.start = start
        self.data = data


def frames(packets: Packets, interfaces: list[Interface]) -> Iterator[Frame]:
    found = [
        (start, index, seconds, micros, length)
        for index, table in packets.tables()
        for seconds, micros, start, length in _META.iter_unpack(table)
    ]
    found.sort()
    for start, index, seconds, micros, length in found:
        at = (seconds * 1_000_000 + micros) * 1000 + packets.fine.get(start, 0)
        way, length = length & _WAY, length & ~_WAY
        data = packets.buffer[start : start + length]
        yield Frame(index, interfaces[index], at, way, start, data)
