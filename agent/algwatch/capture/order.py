# SPDX-License-Identifier: Apache-2.0
"""Order of time: the rows of all taps in slots of packet time, and timers between the slots.

The later stages must not depend on the way of reading: from a file, a pipe or an interface, many
packets at once or one by one. So batches are cut by the time of their rows, and by nothing else.
"""

from __future__ import annotations

from bisect import bisect_left
from collections import deque

from algwatch.base.packet import Batch
from algwatch.base.typed import Generic, Protocol, TypeVar
from algwatch.capture.batches import (
    COPIED_ROW,
    Gathered,
    disorder,
    first_time,
    in_order,
    kept,
    part,
    times,
)

# ns; timers run at multiples of it, and each run costs the stages as much as a message
# (docs/decisions/0010-reassembly-order.md).
SLOT = 1_000_000_000
# The range, in ns, for sorting the rows of one tap: packets of several queues or interfaces in one
# file.
DISORDER = 250_000_000
MOST_ROWS = 256  # in a batch handed on; more in one slot become several batches
# Live, of several taps: bounds the distance of the two copies of a message in a flood.
LIVE_ROWS = 32
FOREVER = 1 << 63  # ns; later than any packet

R = TypeVar("R")


class Stages(Protocol[R]):
    """The later stages, as used by Timeline: a Pipeline."""

    @property
    def due(self) -> int:
        """ns; nothing happens earlier unless rows come."""

    def feed(self, batch: Batch) -> list[R]: ...

    def advance(self, tap: int, now: int) -> list[R]: ...


class _Slots:
    """Rows of one tap, collected by slot.

    floor: the first slot that may still get rows. An earlier row comes too late to be sorted and
    goes into this slot. open: by slot, copies of rows in an incomplete slot. ready: (time to sort
    by, slot, rows), complete and in order. The rows of a batch depend on the rows before them, not
    on the way of reading.
    """

    __slots__ = ("floor", "newest", "open", "ready")

    def __init__(self) -> None:
        self.floor = 0
        self.open: dict[int, Gathered] = {}
        self.ready: deque[tuple[int, int, Batch]] = deque()
        self.newest = 0

    def feed(self, batch: Batch) -> None:
        at = times(batch)
        ordered = sorted(at)
        # Mostly a few rows at most changed places: up to low and from high on all is in order.
        low, high = disorder(at, ordered)
        newest = max(self.newest, ordered[-1])
        floor = (newest - DISORDER) // SLOT
        start, count = 0, len(at)
        while start < count:
            slot = max(ordered[start] // SLOT, self.floor)
            end = (slot + 1) * SLOT
            stop = count if newest < end else bisect_left(ordered, end, start)
            unsorted = low < stop and start < high
            if unsorted:
                some = at[start:stop]
                unsorted = some != ordered[start:stop]
                if unsorted and max(some) >= end:
                    self._feed_mixed(batch, at, start, end)
                    return
            self._take(slot, part(batch, start, stop), slot < floor, unsorted)
            start = stop
        self._pass(newest)

    def _feed_mixed(self, batch: Batch, at: list[int], start: int, end: int) -> None:
        """The rows from start on. Rows from before end lie between later ones: one by one."""
        self._pass(max(at[:start], default=0))
        stop = max(row for row, moment in enumerate(at) if moment < end) + 1
        for row in range(start, stop):
            slot = max(at[row] // SLOT, self.floor)
            self._take(slot, part(batch, row, row + 1), False, False)
            self._pass(at[row])
        if stop < len(at):
            self.feed(part(batch, stop, len(at)))

    def _pass(self, newest: int) -> None:
        """A row of this time was there."""
        self.newest = max(self.newest, newest)
        self.close((self.newest - DISORDER) // SLOT)

    def _take(self, slot: int, batch: Batch, last: bool, unsorted: bool) -> None:
        """Rows of one slot. last: the slot is complete with them."""
        start, count = 0, batch.count
        while start < count:
            opened = self.open.get(slot)
            room = MOST_ROWS - (opened.count if opened is not None else 0)
            rows = part(batch, start, min(start + room, count))
            start += rows.count
            if last or rows.count == room:
                # So many rows: earlier slots need not wait any longer.
                self.close(slot)
                if opened is None:
                    self._ready(slot, rows, unsorted)
                    continue
                del self.open[slot]
                opened.add(rows, unsorted)
                self._complete(slot, opened)
            else:
                if opened is None:
                    opened = self.open[slot] = Gathered(batch.tap)
                opened.add(rows, unsorted)

    def close(self, floor: int) -> None:
        """Slots before floor get no more rows."""
        if floor > self.floor:
            self.floor = floor
            for slot in sorted(self.open):
                if slot < floor:
                    self._complete(slot, self.open.pop(slot))

    def flush(self) -> None:
        """Complete the open slots; further rows of these become batches of their own."""
        for slot in sorted(self.open):
            self._complete(slot, self.open.pop(slot))
            self.floor = max(self.floor, slot)

    def _complete(self, slot: int, rows: Gathered) -> None:
        self._ready(slot, rows.whole(), rows.unsorted)

    def _ready(self, slot: int, rows: Batch, unsorted: bool) -> None:
        """All rows of a slot. unsorted: they may be."""
        if unsorted:
            rows = in_order(rows)
        rows.watermark = slot * SLOT
        self.ready.append((max(first_time(rows), rows.watermark), slot, rows))

    @property
    def held(self) -> int:
        """Bytes of copies."""
        size = 0
        for gathered in self.open.values():
            size += gathered.size
        for _, _, one in self.ready:
            size += len(one.buffer) + COPIED_ROW * one.count
        return size


class Order:
    """Batches of several taps in, batches in order of time out, each with the rows of one slot.

    taps: their number. The watermark of an outgoing batch is a time passed by all taps: the stages
    are advanced to it before they get the rows (Timeline).

    limit 0 (files): only the tap named by wait_for() is read. So this tap has no batches left here,
    and its batches are not copied. Otherwise (live) limit bounds the bytes held: beyond it all rows
    go on in order of time, without waiting for other taps.
    """

    __slots__ = ("_limit", "_taps")

    def __init__(self, taps: int, limit: int = 0) -> None:
        self._taps = [_Slots() for _ in range(taps)]
        self._limit = limit

    @property
    def watermark(self) -> int:
        """ns; all taps have passed it."""
        return min([tap.floor for tap in self._taps]) * SLOT

    @property
    def pending(self) -> bool:
        return any(tap.ready or tap.open for tap in self._taps)

    def newest(self, tap: int) -> int:
        """Time of the latest row of this tap, ns."""
        return self._taps[tap].newest

    def feed(self, tap: int, batch: Batch) -> list[Batch]:
        """batch: of this tap, with at least one row; its memory, and the memory of the returned
        batches, is used until the tap is read again."""
        slots = self._taps[tap]
        before = len(slots.ready)
        slots.feed(batch)
        fresh = len(slots.ready) - before
        ready = self._in_order()
        if self._limit:
            for i in range(-min(fresh, len(slots.ready)), 0):
                at, slot, rows = slots.ready[i]
                slots.ready[i] = at, slot, kept(rows)
            if sum([one.held for one in self._taps]) > self._limit:
                for one in self._taps:
                    one.flush()
                ready += self._in_order(patient=False)
        return ready

    def advance(self, tap: int, until: int) -> list[Batch]:
        """Nothing earlier than until (ns) will come from this tap."""
        slots, slot = self._taps[tap], until // SLOT
        if slot <= slots.floor:
            return []  # whatever could go on has done so
        slots.close(slot)
        return self._in_order()

    def end(self, tap: int) -> list[Batch]:
        """Nothing more will come from this tap."""
        return self.advance(tap, FOREVER)

    def wait_for(self) -> int | None:
        """The next tap to read; None if all have ended."""
        waiting = [
            (tap.floor, index)
            for index, tap in enumerate(self._taps)
            if not tap.ready and tap.floor < FOREVER // SLOT
        ]
        return min(waiting)[1] if waiting else None

    def _in_order(self, patient: bool = True) -> list[Batch]:
        taps = self._taps
        found: list[Batch] = []
        if len(taps) == 1:
            found = [batch for _, _, batch in taps[0].ready]
            taps[0].ready.clear()
            return found
        while heads := [(tap.ready[0][0], index) for index, tap in enumerate(taps) if tap.ready]:
            ready = taps[min(heads)[1]].ready
            _, slot, batch = ready[0]
            late = [tap.floor for tap in taps if tap.floor <= slot and not tap.ready]
            if late and patient:
                break
            if late:
                batch.watermark = min(slot, *late) * SLOT
            ready.popleft()
            if self._limit and batch.count > LIVE_ROWS:
                rest = part(batch, LIVE_ROWS, batch.count)
                ready.appendleft((max(first_time(rest), slot * SLOT), slot, rest))
                batch = part(batch, 0, LIVE_ROWS)
            found.append(batch)
        return found


class Timeline(Generic[R]):
    """Packet time of the stages. It stops at each multiple of SLOT with something due, however far
    the next row is away, and never while the stages get the rows of one slot.

    taps: the number of taps of the stages.
    """

    __slots__ = ("_ends", "_now", "_stages")

    def __init__(self, stages: Stages[R], taps: int) -> None:
        self._stages = stages
        self._ends = [FOREVER] * taps
        self._now = 0

    def end(self, tap: int, at: int) -> None:
        """The capture of this tap ends at this time (ns): later time is not judged."""
        self._ends[tap] = at

    def feed(self, batch: Batch) -> list[R]:
        """A batch from Order."""
        if batch.watermark > self._now:
            return self.advance(batch.watermark) + self._stages.feed(batch)
        return self._stages.feed(batch)

    def advance(self, until: int) -> list[R]:
        """All taps have passed this time (ns)."""
        until = min(until, *self._ends)
        reports: list[R] = []
        before = -1
        while until - self._now > SLOT:
            due = -(-self._stages.due // SLOT) * SLOT
            if due >= until or due == before:
                break
            before = due
            reports += self._step(max(due, self._now + SLOT))
        if until > self._now:
            reports += self._step(until)
        return reports

    def finish(self) -> list[R]:
        """All rows were handed on: time goes on to the end of the first tap to end."""
        return self.advance(FOREVER) if min(self._ends) < FOREVER else []

    def _step(self, now: int) -> list[R]:
        self._now = now
        reports: list[R] = []
        for tap in range(len(self._ends)):
            reports += self._stages.advance(tap, now)
        return reports
