# SPDX-License-Identifier: Apache-2.0
"""Batches of rows from the capture stage, and the sides of the router."""

from __future__ import annotations

from algwatch.base.sighting import LENGTH, PAYLOAD, Row, Sighting

LAN = 0
WAN = 1
UNKNOWN = 2
_new = object.__new__
SIDE_NAMES = ("lan", "wan", "unknown")


class Tap:
    """One capture point: an interface or a file.

    name: interface name or file path; side: LAN, WAN, or UNKNOWN (a file that may hold both). Its
    index in the pipeline's list of taps is the `tap` of each of its rows.
    """

    __slots__ = ("name", "side")

    def __init__(self, name: str, side: int) -> None:
        self.name = name
        self.side = side


class Batch:
    """Rows of one tap in capture order, and the bytes they point into.

    buffer: bytes-like; a row's `payload` and an ends' `frame` are offsets into it. On the live
            path it is used again after the next read: copy what is kept
            (`bytes(buffer[o:o + n])`), once.
    rows:   bytes-like, count * 64 bytes, read with `layout.ROW.iter_unpack`.
    ends:   count * 48 bytes, beside each row its addresses (see `Ends`); a copy.
    tap:    index of the tap.
    watermark: ns since 1970; this tap yields nothing earlier any more.
    sightings: the Sighting of each row that has one so far, by index.
    """

    __slots__ = ("buffer", "count", "ends", "rows", "sightings", "tap", "watermark")

    def __init__(
        self,
        buffer: memoryview | bytes,
        rows: memoryview | bytes,
        ends: memoryview | bytes,
        count: int,
        tap: int,
        watermark: int,
    ) -> None:
        self.buffer = buffer
        self.rows = rows
        self.ends = bytes(ends)
        self.count = count
        self.tap = tap
        self.watermark = watermark
        self.sightings: dict[int, Sighting] = {}

    def sighting(self, side: int, row: Row, i: int) -> Sighting:
        """Row i, seen on this side, with a copy of its bytes; made only once."""
        copy = self.sightings.get(i)
        if copy is None:
            start = row[PAYLOAD]
            payload = self.buffer[start : start + row[LENGTH]]
            # Without its constructor: it costs as much again as all of this.
            copy = self.sightings[i] = _new(Sighting)
            copy.row = row
            copy.side = side
            copy.payload = payload if isinstance(payload, bytes) else bytes(payload)
            copy.packed_ends = self.ends[48 * i : 48 * i + 48]
            copy.paired = 0
            copy._ends = None
        return copy
