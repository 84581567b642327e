# SPDX-License-Identifier: Apache-2.0
"""One file with both sides in it becomes batches of one side each."""

from __future__ import annotations

from collections.abc import Iterator

from algwatch.base.native.layout import ENDS, ROW
from algwatch.base.packet import Batch
from algwatch.compare.sides import Sides


def split(batch: Batch, sides: Sides, first_tap: int) -> Iterator[Batch]:
    """Batches for the taps first_tap + LAN, + WAN, + UNKNOWN, in this order. Every tap gets one,
    perhaps empty, to move its watermark."""
    rows: tuple[list[bytes], ...] = ([], [], [])
    ends: tuple[list[bytes], ...] = ([], [], [])
    all_rows, all_ends = memoryview(batch.rows), memoryview(batch.ends)
    for i, row in enumerate(ROW.iter_unpack(all_rows)):
        packed = bytes(all_ends[i * ENDS.size : (i + 1) * ENDS.size])
        side = sides.of(row, packed)
        rows[side].append(bytes(all_rows[i * ROW.size : (i + 1) * ROW.size]))
        ends[side].append(packed)
    for side in range(3):
        yield Batch(
            batch.buffer, b"".join(rows[side]), b"".join(ends[side]), len(rows[side]),
            first_tap + side, batch.watermark,
        )  # fmt: skip
