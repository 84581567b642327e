# SPDX-License-Identifier: Apache-2.0
"""ADB, the database format of apk v3: tagged values in one block that is written once.

A value is a 32-bit word, little-endian: four bits of type, and a number or the place of what it
stands for. Equal things are stored once. Source: apk-v3(5), and the files that `apk mkpkg` makes.
"""

from __future__ import annotations

import struct

INT, INT32, INT64 = 0x10000000, 0x20000000, 0x30000000
BLOB8, BLOB16, BLOB32 = 0x80000000, 0x90000000, 0xA0000000
OBJECT = 0xE0000000
NULL = 0
ADB, DATA = 0, 2  # types of blocks
ALIGN = 8  # bytes, of blocks


class Database:
    """The content of one ADB block."""

    def __init__(self) -> None:
        self.data = bytearray(8)  # version, and the root that comes last
        self._places: dict[bytes, int] = {}

    def _put(self, data: bytes, align: int, once: bool = True) -> int:
        place = self._places.get(data) if once else None
        if place is None or place % align:
            self.data += bytes(-len(self.data) % align)
            place = len(self.data)
            self.data += data
            if once:
                self._places[data] = place
        return place

    def integer(self, value: int) -> int:
        """0 or more, below 2 ** 64."""
        if value < 1 << 28:
            return INT | value
        if value < 1 << 32:
            return INT32 | self._put(struct.pack("<I", value), 4)
        return INT64 | self._put(struct.pack("<Q", value), 4)

    def blob(self, data: bytes | str, once: bool = True) -> int:
        """once: False for a value that is filled in later."""
        if isinstance(data, str):
            data = data.encode()
        size = len(data)
        if not size:
            return NULL
        if size < 1 << 8:
            return BLOB8 | self._put(struct.pack("<B", size) + data, 1, once)
        if size < 1 << 16:
            return BLOB16 | self._put(struct.pack("<H", size) + data, 2, once)
        return BLOB32 | self._put(struct.pack("<I", size) + data, 4, once)

    def object(self, values: list[int]) -> int:
        """values: the slots from 1 on. Arrays are written alike."""
        while values and values[-1] == NULL:
            values = values[:-1]
        if not values:
            return NULL
        slots = [len(values) + 1, *values]
        return OBJECT | self._put(struct.pack(f"<{len(slots)}I", *slots), 4)

    def root(self, value: int) -> None:
        struct.pack_into("<I", self.data, 4, value)


def block(kind: int, data: bytes) -> bytes:
    """One block, padded. data: less than 1 GiB."""
    size = 4 + len(data)
    return struct.pack("<I", kind << 30 | size) + data + bytes(-size % ALIGN)
