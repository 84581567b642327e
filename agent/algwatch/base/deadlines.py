"""Things that fall due a fixed time after something happened. O(1), because nothing overtakes."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import Generic, TypeVar

T = TypeVar("T")


class Deadlines(Generic[T]):
    """delay: ns. Items fall due in the order in which they were added; an item that was added
    with an earlier time than its predecessor (another tap lags) falls due with it.

    limit, is_live: with more than so many items those that is_live denies are thrown out, so
    that a flood of things which are soon forgotten does not wait here for its time.
    """

    __slots__ = ("_is_live", "_limit", "_queue", "delay")

    def __init__(self, delay: int, limit: int, is_live: Callable[[T], bool]) -> None:
        self.delay = delay
        self._limit = limit
        self._is_live = is_live
        self._queue: deque[tuple[int, T]] = deque()

    def __len__(self) -> int:
        return len(self._queue)

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

    def _clean(self) -> None:
        live = [(due, item) for due, item in self._queue if self._is_live(item)]
        self._queue.clear()
        self._queue.extend(live)
        # Twice what lives, so that the next look is as many items away again.
        self._limit = max(self._limit, 2 * len(live))

    def due(self, now: int) -> list[T]:
        queue = self._queue
        items: list[T] = []
        while queue and queue[0][0] <= now:
            items.append(queue.popleft()[1])
        return items
