"""Batches of what was put together, made ready to be handed on."""

from __future__ import annotations

from algwatch.base.native import layout
from algwatch.base.packet import Batch

PIECES = (layout.KIND_FRAGMENT, layout.KIND_SEGMENT)


def without_pieces(batch: Batch) -> Batch:
    """What a message that was put together leaves over is nobody's (the two framings disagreed);
    what a tunnel leaves over was taken."""
    size, width = layout.ROW.size, layout.ENDS.size
    kinds = bytes(memoryview(batch.rows)[layout.ROW_KIND :: size])
    keep = [index for index, kind in enumerate(kinds) if kind not in PIECES]
    if not keep:  # the buffer may be 64 kB of a piece
        return Batch(b"", b"", b"", 0, batch.tap, batch.watermark)
    if len(keep) == batch.count:
        return batch
    rows = b"".join([batch.rows[index * size : (index + 1) * size] for index in keep])
    ends = b"".join([batch.ends[index * width : (index + 1) * width] for index in keep])
    return Batch(batch.buffer, rows, ends, len(keep), batch.tap, batch.watermark)


def joined(batches: list[Batch]) -> Batch | None:
    """One batch in order of time; nearly always it is the only one."""
    if len(batches) < 2:
        return batches[0] if batches else None
    found, size = [], 0
    for batch in batches:
        for row, end in zip(
            layout.ROW.iter_unpack(batch.rows), layout.ENDS.iter_unpack(batch.ends), strict=True
        ):
            found.append(((*row[:8], row[8] + size, *row[9:]), (*end[:2], end[2] + size, *end[3:])))
        size += len(batch.buffer)
    found.sort(key=lambda one: one[0][0])
    rows = b"".join([layout.ROW.pack(*row) for row, _ in found])
    ends = b"".join([layout.ENDS.pack(*end) for _, end in found])
    buffer = b"".join([batch.buffer for batch in batches])
    return Batch(buffer, rows, ends, len(found), batches[0].tap, batches[0].watermark)
