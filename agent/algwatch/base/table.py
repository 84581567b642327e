# SPDX-License-Identifier: Apache-2.0
"""A dict that cannot grow without bound: when it is full, the oldest entry goes."""

from __future__ import annotations

from collections import deque
from itertools import islice
from typing import Generic, TypeVar

K = TypeVar("K")
V = TypeVar("V")

# Finding a dict's oldest key costs O(deleted), so a few keys are fetched at once. The fetched list
# keeps values alive after their deletion, so it is short.
_AHEAD = 16
_ABSENT = object()


class Table(dict[K, V], Generic[K, V]):
    """limit: entries. evicted, unsolicited: how many solicited and unsolicited entries were
    evicted. "Oldest" is by insertion. Reading costs as much as reading a dict.

    Unsolicited entries (sip/unsolicited.py) have at most a quarter of the room and are evicted
    first, so a flood from outside cannot evict the calls of a phone.
    """

    __slots__ = ("_oldest", "_unsolicited", "evicted", "limit", "unsolicited")

    def __init__(self, limit: int) -> None:
        super().__init__()
        self.limit = limit
        self.evicted = self.unsolicited = 0
        self._unsolicited: deque[K] = deque()
        self._oldest: list[tuple[K, V]] = []  # the oldest is the last

    def add(self, key: K, value: V, unsolicited: bool = False) -> V | None:
        """Insert; returns the value that was evicted for it, or None."""
        gone = None
        if (unsolicited or len(self) >= self.limit) and key not in self:
            if unsolicited or self._unsolicited:
                gone = self._make_room(key, unsolicited)
            else:
                gone = self._evict_oldest()
        self[key] = value
        return gone

    def _make_room(self, key: K, unsolicited: bool) -> V | None:
        gone = None
        if unsolicited:
            if len(self._unsolicited) * 4 >= self.limit:
                gone = self._evict_unsolicited()
            self._unsolicited.append(key)
        if gone is None and len(self) >= self.limit:
            gone = self._evict_unsolicited()
            if gone is None:
                gone = self._evict_oldest()
        return gone

    def _evict_oldest(self) -> V:
        oldest = self._oldest
        while True:
            while oldest:
                key, value = oldest.pop()
                if self.get(key, _ABSENT) is value:  # neither deleted nor replaced since
                    self.evicted += 1
                    del self[key]
                    return value
            oldest += islice(self.items(), _AHEAD)
            oldest.reverse()

    def _evict_unsolicited(self) -> V | None:
        """Evict the oldest unsolicited entry that is still in the table; None without one."""
        while self._unsolicited:
            gone = self.pop(self._unsolicited.popleft(), None)
            if gone is not None:
                self.unsolicited += 1
                return gone
        return None

    def mark_solicited(self, key: K) -> None:
        """The entry is not unsolicited any more."""
        if key in self._unsolicited:
            self._unsolicited.remove(key)
