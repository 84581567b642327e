# SPDX-License-Identifier: Apache-2.0
"""Followed: joined things by the hashes of their Call-IDs, and when each one is to be judged."""

from __future__ import annotations

from typing import Any, Generic, TypeVar

from algwatch.base.deadlines import Deadlines, Waiting
from algwatch.base.sighting import CALL
from algwatch.base.table import Table
from algwatch.compare.crossing import Crossing
from algwatch.compare.joined import Joined, label
from algwatch.sip.timers import WINDOW

T = TypeVar("T", bound=Joined[Any])


class Followed(Generic[T]):
    """limit: how many. They are due soon, when the other side had its time to show the same, or
    later, when `time` (ns) of their own is over besides."""

    def __init__(self, limit: int, time: int) -> None:
        self.table: Table[int, T] = Table(limit)
        self._soon: Deadlines[T] = Deadlines(2 * WINDOW, 2 * limit, self._living)
        self._later: Deadlines[T] = Deadlines(time + 2 * WINDOW, 2 * limit, self._living)

    @property
    def due(self) -> int:
        """ns; nothing is to be judged before it."""
        return min(self._soon.next, self._later.next)

    def all(self) -> list[T]:
        return list(dict.fromkeys(self.table.values()))

    def tidy(self) -> None:
        """Let go of those that are in the table no more."""
        self._soon.tidy()
        self._later.tidy()

    def _due(self, now: int) -> list[T]:
        """Those to be judged by now (ns), as far as they are still followed."""
        due = dict.fromkeys((*self._soon.due(now), *self._later.due(now)))
        return [one for one in due if self.table.get(one.key) is one]

    def _attach(self, one: T, crossing: Crossing) -> str:
        """Attach what became of a message of it; the label of that. Where both sides call it
        otherwise, what is known by the other name is joined."""
        lan, wan = crossing.lan, crossing.wan
        if lan is not None and wan is not None and lan.row[CALL] != wan.row[CALL]:
            other = self.table.get(crossing.left.row[CALL])
            if other is not None and other is not one and one.absorb(other):
                for key in other.keys:
                    self.table[key] = one
        kind = label(crossing)
        one.attach(kind, crossing)
        if crossing.flow_pair is not None:
            one.flow_pairs[kind] = crossing.flow_pair
        return kind

    def _living(self, waiting: Waiting[T]) -> list[tuple[int, T]]:
        current = self.table.get
        return [item for item in waiting if current(item[1].key) is item[1]]
