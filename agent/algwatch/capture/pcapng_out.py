# SPDX-License-Identifier: Apache-2.0
"""A pcapng file, written packet by packet, with names of interfaces. Source:
draft-ietf-opsawg-pcapng sections 4.1 to 4.3. Sans-IO except for the given file."""

from __future__ import annotations

import struct

from algwatch.base.native.layout import META_IN, META_OUT
from algwatch.capture.pcapng import ENHANCED_PACKET, INTERFACE, SECTION

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import IO

_END, _IF_NAME, _IF_TSRESOL, _EPB_FLAGS = 0, 2, 9, 2
_NANOSECONDS = b"\x09"
_WAYS = {META_IN: 1, META_OUT: 2}


class Written:
    """file: open for bytes. packets: the number written."""

    def __init__(self, file: IO[bytes]) -> None:
        self._file = file
        self._interfaces: dict[tuple[str, int], int] = {}
        self.packets = 0
        self._block(SECTION, struct.pack("<IHHq", 0x1A2B3C4D, 1, 0, -1))

    def packet(self, name: str, linktype: int, at: int, frame: bytes, way: int = 0) -> None:
        """name: of its interface, "" for none. at: ns since 1970. way: META_IN, META_OUT or 0."""
        key = name, linktype
        index = self._interfaces.get(key)
        if index is None:
            index = self._interfaces[key] = len(self._interfaces)
            options = _option(_IF_NAME, name.encode()) if name else b""
            options += _option(_IF_TSRESOL, _NANOSECONDS) + struct.pack("<HH", _END, 0)
            # LINKTYPE_RAW: 12 is another type on BSD.
            head = struct.pack("<HHI", 101 if linktype == 12 else linktype, 0, 0)
            self._block(INTERFACE, head + options)
        high, low = divmod(at, 1 << 32)
        head = struct.pack("<IIIII", index, high, low, len(frame), len(frame))
        body = head + frame + b"\0" * (-len(frame) % 4)
        if way in _WAYS:
            body += _option(_EPB_FLAGS, struct.pack("<I", _WAYS[way])) + b"\0\0\0\0"
        self._block(ENHANCED_PACKET, body)
        self.packets += 1

    def _block(self, kind: int, body: bytes) -> None:
        size = struct.pack("<I", len(body) + 12)
        self._file.write(struct.pack("<I", kind) + size + body + size)


def _option(code: int, value: bytes) -> bytes:
    return struct.pack("<HH", code, len(value)) + value + b"\0" * (-len(value) % 4)
