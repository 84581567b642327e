# SPDX-License-Identifier: Apache-2.0
"""Batches taken apart and put together: rows, their addresses, and the bytes of their messages."""

from __future__ import annotations

import struct
from collections.abc import Iterable, Sequence
from operator import add

from algwatch.base.native import layout
from algwatch.base.packet import Batch
from algwatch.base.typed import Any

NO_MESSAGES = (layout.KIND_FRAGMENT, layout.KIND_SEGMENT)  # parts of a message, for reassembly

_ROW, _ENDS = layout.ROW, layout.ENDS
_WORDS_A_ROW = _ROW.size // 4
_PAYLOAD = 12  # index of the payload's offset among a row's 32-bit words
_LENGTH = 26  # index of the payload's length among a row's 16-bit words
_TAP = _ROW.size - 1  # offset of the tap in a row
_FRAME = struct.Struct("=32xI")  # offset of a row's frame, in its ends
_FRAME_AT = 8  # its index among their 32-bit words
_AT = struct.Struct("=Q")
COPIED_ROW = _ROW.size + _ENDS.size  # bytes of a row in a copy, without its message

# (row, ends, payload): one row unpacked, with the bytes of its message.
Loose = tuple[tuple[int, ...], tuple[Any, ...], memoryview]


def times(batch: Batch) -> list[int]:
    """Capture time of each row, ns."""
    return memoryview(batch.rows).cast("Q")[:: _ROW.size // 8].tolist()


def first_time(batch: Batch) -> int:
    at: int = _AT.unpack_from(batch.rows)[0]
    return at


def last_time(batch: Batch) -> int:
    at: int = _AT.unpack_from(batch.rows, (batch.count - 1) * _ROW.size)[0]
    return at


def part(batch: Batch, start: int, stop: int) -> Batch:
    """Rows start to stop, not copied."""
    if start == 0 and stop == batch.count:
        return batch
    return Batch(
        batch.buffer,
        memoryview(batch.rows)[start * _ROW.size : stop * _ROW.size],
        memoryview(batch.ends)[start * _ENDS.size : stop * _ENDS.size],
        stop - start,
        batch.tap,
        batch.watermark,
    )


def kept(batch: Batch) -> Batch:
    """A copy that stays valid after the next read."""
    rows = bytearray(batch.rows)
    buffer = batch.buffer
    if not isinstance(buffer, bytes):
        low, high = _extent(rows)
        if low < high - low:
            low = 0  # mostly the headers of a frame: cheaper copied than the rows changed
        buffer = bytes(buffer[low:high])
        _shift(rows, -low)
    return Batch(buffer, memoryview(rows), batch.ends, batch.count, batch.tap, batch.watermark)


class Gathered:
    """Rows of one tap, copied one batch after the other. count: of rows; size: of the copies, in
    bytes; unsorted: their times may be out of order."""

    __slots__ = ("_buffers", "_ends", "_last", "_place", "_rows", "_tap", "count", "size",
                 "unsorted")  # fmt: skip

    def __init__(self, tap: int) -> None:
        self._tap = tap
        self._buffers: list[bytes] = []
        self._rows, self._ends = bytearray(), bytearray()
        self.count = self.size = self._last = self._place = 0
        self.unsorted = False

    def add(self, batch: Batch, unsorted: bool) -> None:
        """Copy these rows. unsorted: their times may be out of order."""
        if unsorted or first_time(batch) < self._last:
            self.unsorted = True
        self._last = last_time(batch)
        count, rows = batch.count, memoryview(batch.rows)
        starts = rows.cast("I")[_PAYLOAD::_WORDS_A_ROW].tolist()
        longest = max(rows.cast("H")[_LENGTH :: 2 * _WORDS_A_ROW].tolist())
        low, high = min(starts), min(max(starts) + longest, len(batch.buffer))
        if not self.count and low < high - low:
            low = 0  # mostly the headers of a frame: cheaper copied than the rows changed
        by, before = self._place - low, self.count
        self._buffers.append(bytes(batch.buffer[low:high]))
        self._place += high - low
        self._rows += rows
        self._ends += batch.ends
        self.count += count
        self.size += high - low + COPIED_ROW * count
        _shift(self._rows, by, before)

    def whole(self) -> Batch:
        """All of them, without a watermark. Nothing is added after it."""
        rows, ends = memoryview(self._rows), bytes(self._ends)
        return Batch(b"".join(self._buffers), rows, ends, self.count, self._tap, 0)


def disorder(at: list[int], ordered: list[int]) -> tuple[int, int]:
    """The range in which `at` differs from `ordered`, the same times sorted."""
    if at == ordered:
        return len(at), 0
    return _equal(at, ordered), len(at) - _equal(at[::-1], ordered[::-1])


def _equal(one: list[int], two: list[int]) -> int:
    """The number of equal items at the beginning; by bisection, which is quick."""
    low, high = 0, len(one)
    while low < high:
        middle = (low + high + 1) // 2
        if one[low:middle] == two[low:middle]:
            low = middle
        else:
            high = middle - 1
    return low


def in_order(batch: Batch) -> Batch:
    """The rows by time; rows of one moment keep their order."""
    at = times(batch)
    low, high = disorder(at, sorted(at))
    if low >= high:
        return batch
    order = sorted(range(low, high), key=at.__getitem__)
    rows = _moved(memoryview(batch.rows), _ROW.size, order, low, high)
    ends = _moved(memoryview(batch.ends), _ENDS.size, order, low, high)
    return Batch(batch.buffer, rows, ends, batch.count, batch.tap, batch.watermark)


def _moved(items: memoryview, size: int, order: list[int], low: int, high: int) -> bytes:
    """The items from low to high in another order; size: bytes of each."""
    some = _picked(items, size, order)
    return b"".join([items[: low * size], *some, items[high * size :]])


def _picked(items: memoryview, size: int, order: list[int]) -> list[memoryview]:
    return [items[index * size : (index + 1) * size] for index in order]


def interleaved(batches: Sequence[Batch]) -> Batch:
    """One batch of several in one buffer, in the order of their frames there."""
    found: list[tuple[int, int, bytes, bytes]] = []
    for one in batches:
        rows, ends = memoryview(one.rows), one.ends
        for index in range(one.count):
            end = ends[index * _ENDS.size : (index + 1) * _ENDS.size]
            row = bytes(rows[index * _ROW.size : (index + 1) * _ROW.size])
            found.append((_FRAME.unpack_from(end)[0], len(found), row, end))
    found.sort()
    first = batches[0]
    rows_, ends_ = b"".join([row for _, _, row, _ in found]), b"".join([e for *_, e in found])
    return Batch(first.buffer, rows_, ends_, len(found), first.tap, first.watermark)


def add_ns(batch: Batch, fine: dict[int, int]) -> Batch:
    """The batch with times finer than a microsecond. fine: ns by offset of the frame."""
    rows = bytearray(batch.rows)
    frames = memoryview(batch.ends).cast("I")[_FRAME_AT :: _ENDS.size // 4].tolist()
    with memoryview(rows).cast("Q") as words:
        for index, frame in enumerate(frames):
            words[index * (_ROW.size // 8)] += fine.get(frame, 0)
    whole = memoryview(rows)
    return Batch(batch.buffer, whole, batch.ends, batch.count, batch.tap, batch.watermark)


def picked(batch: Batch, order: list[int]) -> Batch:
    """A batch of some rows. order: their indices."""
    rows = _picked(memoryview(batch.rows), _ROW.size, order)
    ends = _picked(memoryview(batch.ends), _ENDS.size, order)
    return Batch(
        batch.buffer, b"".join(rows), b"".join(ends), len(order), batch.tap, batch.watermark
    )


def by_tap(batch: Batch) -> list[Batch]:
    """A batch for each tap in its rows."""
    taps = bytes(memoryview(batch.rows)[_TAP :: _ROW.size])
    found = []
    for tap in sorted(set(taps)):
        order = [index for index, one in enumerate(taps) if one == tap]
        rows = _picked(memoryview(batch.rows), _ROW.size, order)
        ends = _picked(memoryview(batch.ends), _ENDS.size, order)
        found.append(
            Batch(batch.buffer, b"".join(rows), b"".join(ends), len(order), tap, batch.watermark)
        )
    return found


def loose(batch: Batch) -> Iterable[Loose]:
    """Each row by itself."""
    buffer = memoryview(batch.buffer)
    for row, ends in zip(_ROW.iter_unpack(batch.rows), _ENDS.iter_unpack(batch.ends), strict=True):
        yield row, ends, buffer[row[8] : row[8] + row[9]]


def _extent(rows: memoryview | bytes | bytearray) -> tuple[int, int]:
    """The range of the messages of these rows in the buffer: from, to. The order of time need not
    be the order of place: a reassembled message lies behind its batch."""
    whole = memoryview(rows)
    starts = whole.cast("I")[_PAYLOAD::_WORDS_A_ROW].tolist()
    lengths = whole.cast("H")[_LENGTH :: 2 * _WORDS_A_ROW].tolist()
    return min(starts), max(map(add, starts, lengths))


def _shift(rows: bytearray, by: int, first: int = 0) -> None:
    """Add `by` to the offsets of the messages, from row number first on."""
    if by:
        place = first * _WORDS_A_ROW + _PAYLOAD
        with memoryview(rows).cast("I") as words:
            moved = [start + by for start in words[place::_WORDS_A_ROW].tolist()]
            packed = struct.pack(f"={len(moved)}I", *moved)
            words[place::_WORDS_A_ROW] = memoryview(packed).cast("I")
