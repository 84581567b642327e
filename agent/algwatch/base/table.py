"""A dict that cannot grow without bound: when it is full, the oldest entry goes."""

from __future__ import annotations

from typing import Generic, TypeVar

K = TypeVar("K")
V = TypeVar("V")


class Table(dict[K, V], Generic[K, V]):
    """limit: entries. evicted: how many had to go. "Oldest" is by insertion; `renew` makes an
    entry young again. Reading costs what reading a dict costs."""

    def __init__(self, limit: int) -> None:
        super().__init__()
        self.limit = limit
        self.evicted = 0

    def add(self, key: K, value: V) -> V | None:
        """Insert; returns the value that had to go for it, or None."""
        gone = None
        if len(self) >= self.limit and key not in self:
            gone = self.pop(next(iter(self)))
            self.evicted += 1
        self[key] = value
        return gone

    def renew(self, key: K) -> None:
        self[key] = self.pop(key)
