# SPDX-License-Identifier: Apache-2.0
"""Due times. Deadlines: a fixed time after an event, O(1), because nothing overtakes. Alarms: each
at a time of its own, O(log n)."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from heapq import heapify, heappop, heappush
from operator import itemgetter

from algwatch.base.typed import Generic, TypeVar

T = TypeVar("T")
NEVER = 1 << 63  # ns
Waiting = deque[tuple[int, T]]

_due = itemgetter(0)


class Deadlines(Generic[T]):
    """delay: ns. Items fall due in the order of their addition. An item with an earlier time than
    its predecessor (another tap lags) falls due with it.

    limit, living: above the limit only items returned by living, of (due, item), are kept. So a
    flood of short-lived things does not wait here for its time.
    """

    __slots__ = ("_limit", "_living", "_queue", "delay")

    def __init__(self, delay: int, limit: int,
                 living: Callable[[Waiting[T]], list[tuple[int, T]]]) -> None:  # fmt: skip
        self.delay = delay
        self._limit = limit
        self._living = living
        self._queue: Waiting[T] = deque()

    def __len__(self) -> int:
        return len(self._queue)

    @property
    def next(self) -> int:
        """ns, the first item falls due; NEVER without one."""
        return self._queue[0][0] if self._queue else NEVER

    def add(self, at: int, item: T) -> None:
        queue = self._queue
        if len(queue) >= self._limit:
            self._clean()
        queue.append((at + self.delay, item))

    def add_due(self, due: int, item: T) -> None:
        """Add an item with its own due time. Before that of the latest item, it waits with it."""
        if len(self._queue) >= self._limit:
            self._clean()
        self._queue.append((due, item))

    def extend(self, items: list[tuple[int, T]]) -> None:
        """Several at once, each with its time, in order."""
        if len(self._queue) + len(items) > self._limit:
            self._clean()
        self._queue.extend(items)

    def sort(self) -> None:
        """Give late items their places, so that they do not wait for those before them."""
        items = sorted(self._queue, key=_due)
        self._queue.clear()
        self._queue.extend(items)

    def tidy(self) -> None:
        """Drop items no longer alive."""
        live = self._living(self._queue)
        self._queue.clear()
        self._queue.extend(live)

    def _clean(self) -> None:
        self.tidy()
        # Twice the living items, so the next look is as many items away again.
        self._limit = max(self._limit, 2 * len(self._queue))

    def due(self, now: int) -> list[T]:
        queue = self._queue
        items: list[T] = []
        if not queue or queue[0][0] > now:
            return items
        take, keep = queue.popleft, items.append
        while queue:
            one = take()
            if one[0] > now:
                queue.appendleft(one)
                break
            keep(one[1])
        return items


class Alarms(Generic[T]):
    """Items that fall due each at a time of its own. limit, living: as in Deadlines."""

    __slots__ = ("_count", "_heap", "_limit", "_living")

    def __init__(self, limit: int, living: Callable[[Waiting[T]], list[tuple[int, T]]]) -> None:
        self._limit = limit
        self._living = living
        self._heap: list[tuple[int, int, T]] = []
        self._count = 0  # orders items due at once

    def __len__(self) -> int:
        return len(self._heap)

    @property
    def next(self) -> int:
        """ns, the first item falls due; NEVER without one."""
        return self._heap[0][0] if self._heap else NEVER

    def add_due(self, due: int, item: T) -> None:
        """due: ns."""
        if len(self._heap) >= self._limit:
            self.tidy()
            self._limit = max(self._limit, 2 * len(self._heap))
        self._count += 1
        heappush(self._heap, (due, self._count, item))

    def tidy(self) -> None:
        """Drop items no longer alive."""
        live = self._living(deque((due, item) for due, _, item in self._heap))
        self._heap = [(due, number, item) for number, (due, item) in enumerate(live, 1)]
        self._count = len(self._heap)
        heapify(self._heap)

    def due(self, now: int) -> list[T]:
        """The items due now (ns), earliest first."""
        items: list[T] = []
        while self._heap and self._heap[0][0] <= now:
            items.append(heappop(self._heap)[2])
        return items
