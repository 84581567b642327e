"""Things that fall due a fixed time after something happened. O(1), because nothing overtakes."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from typing import Generic, TypeVar

T = TypeVar("T")


class Deadlines(Generic[T]):
    """delay: ns. Items fall due in the order in which they were added; an item that was added
    with an earlier time than its predecessor (another tap lags) falls due with it."""

    __slots__ = ("_queue", "delay")

    def __init__(self, delay: int) -> None:
        self.delay = delay
        self._queue: deque[tuple[int, T]] = deque()

    def __len__(self) -> int:
        return len(self._queue)

    def add(self, at: int, item: T) -> None:
        self._queue.append((at + self.delay, item))

    def due(self, now: int) -> Iterator[T]:
        queue = self._queue
        while queue and queue[0][0] <= now:
            yield queue.popleft()[1]
