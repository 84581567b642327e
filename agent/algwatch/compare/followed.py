# SPDX-License-Identifier: Apache-2.0
"""Followed: registrations or subscriptions of both sides, and when each one is to be judged."""

from __future__ import annotations

from algwatch.base.deadlines import Deadlines, Waiting
from algwatch.base.sighting import CALL
from algwatch.base.table import Table
from algwatch.base.typed import Any, Generic, TypeVar
from algwatch.compare.crossing import Crossing
from algwatch.compare.joined import Joined, label
from algwatch.sip.timers import WINDOW

T = TypeVar("T", bound=Joined[Any])


class Followed(Generic[T]):
    """Joined things of one kind by the hashes of their Call-IDs, at most `limit`. A thing is due
    soon, after two windows for the other side to show the same; or later, after `time` (ns) as
    well."""

    def __init__(self, limit: int, time: int) -> None:
        self.table: Table[int, T] = Table(limit)
        self._soon: Deadlines[T] = Deadlines(2 * WINDOW, 2 * limit, self._living)
        self._later: Deadlines[T] = Deadlines(time + 2 * WINDOW, 2 * limit, self._living)

    @property
    def due(self) -> int:
        """ns; nothing to judge before it."""
        return min(self._soon.next, self._later.next)

    def all(self) -> list[T]:
        return list(dict.fromkeys(self.table.values()))

    def tidy(self) -> None:
        """Forget the deadlines of things that are no longer in the table."""
        self._soon.tidy()
        self._later.tidy()

    def _due(self, now: int) -> list[T]:
        """Things in the table whose deadline has come at now (ns), each once."""
        due = dict.fromkeys((*self._soon.due(now), *self._later.due(now)))
        return [one for one in due if self.table.get(one.key) is one]

    def _attach(self, one: T, crossing: Crossing) -> str:
        """Attach a crossing to a thing, and return its label. If the copies have two Call-IDs, the
        thing with the other Call-ID is absorbed."""
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
