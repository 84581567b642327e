# SPDX-License-Identifier: Apache-2.0
"""Batches of a capture with a different clock, on another clock."""

from __future__ import annotations

import struct
from collections.abc import Callable

from algwatch.base.native.layout import ROW
from algwatch.base.packet import Batch

Shift = Callable[[int], int]  # a time of the file (ns since 1970) on the other clock
_AT = struct.Struct("=Q")  # the first member of a row


def shifted(batch: Batch, shift: Shift) -> Batch:
    """The same rows, a copy, with their times and the watermark shifted. shift must be increasing,
    so rows keep their order."""
    rows = bytearray(batch.rows[: batch.count * ROW.size])
    for offset in range(0, len(rows), ROW.size):
        _AT.pack_into(rows, offset, shift(_AT.unpack_from(rows, offset)[0]))
    return Batch(
        batch.buffer, memoryview(rows), batch.ends, batch.count, batch.tap, shift(batch.watermark)
    )
