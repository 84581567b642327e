# SPDX-License-Identifier: Apache-2.0
"""Things that fall due a fixed time after something happened. O(1), because nothing overtakes."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import Generic, TypeVar

T = TypeVar("T")
NEVER = 1 << 63  # ns
Waiting = deque[tuple[int, T]]


class Deadlines(Generic[T]):
    """delay: ns. Items fall due in the order in which they were added; an item that was added
    with an earlier time than its predecessor (another tap lags) falls due with it.

    limit, living: with more than so many items only those that living returns, of (due, item),
    are kept, so that a flood of things which are soon forgotten does not wait here for its time.
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
        """When the first item falls due, ns; NEVER without one."""
        return self._queue[0][0] if self._queue else NEVER

    def add(self, at: int, item: T) -> None:
        queue = self._queue
        if len(queue) >= self._limit:
            self._clean()
        queue.append((at + self.delay, item))

    def add_due(self, due: int, item: T) -> None:
        """With a time of its own, not before that of the latest item or it waits with that."""
        if len(self._queue) >= self._limit:
            self._clean()
        self._queue.append((due, item))

    def extend(self, items: list[tuple[int, T]]) -> None:
        """Several at once, each with its time, in order."""
        if len(self._queue) + len(items) > self._limit:
            self._clean()
        self._queue.extend(items)

    def tidy(self) -> None:
        """Let go of the items that do not live."""
        live = self._living(self._queue)
        self._queue.clear()
        self._queue.extend(live)

    def _clean(self) -> None:
        self.tidy()
        # Twice what lives, so that the next look is as many items away again.
        self._limit = max(self._limit, 2 * len(self._queue))

    def due(self, now: int) -> list[T]:
        queue = self._queue
        items: list[T] = []
        if not queue or queue[0][0] > now:
            return items
        take, keep = queue.popleft, items.append
        while queue and queue[0][0] <= now:
            keep(take()[1])
        return items
