# SPDX-License-Identifier: Apache-2.0
"""Budget: bytes of messages kept by all tables together, by the policy of base/table.py.

Limits in entries bound the cost of a table itself. A message of 64 kB costs as much as sixty usual
ones. Nothing is added up when a message comes or goes: the bytes since the last look are an upper
bound of the growth. When they may have reached the limit, all tables are examined. Then entries go
until a quarter of the room is free, so the messages since the last look pay for this one.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Hashable, Iterable

from algwatch.base.deadlines import NEVER
from algwatch.base.sighting import AT, Sighting
from algwatch.base.table import ANSWERED, CROSSED, FRESH, SHARE, STRANGE, Weight
from algwatch.base.typed import Any, Protocol

A_CALL = 32_768  # bytes; most calls hold less
SIGHTING = 1024  # bytes of a Sighting beside its payload: row, addresses, the object

Held = Callable[[Any], Iterable[Sighting | bytes | None]]
Group = Callable[[Any, Any], Hashable]


class Keeper(Protocol):
    """The part of a Table, or of something like it, used by a Budget."""

    @property
    def weigh(self) -> Callable[[Any, Any], Weight] | None: ...

    def items(self) -> Iterable[tuple[Any, Any]]: ...

    def get(self, key: Any, /) -> Any: ...

    def evict(self, key: Any, strange: bool = False) -> None: ...

    def tidy(self) -> None: ...


class _Thing:
    """Entries that stay or go together. held: bytes by the id of each held object; share: their
    part of these, if other things hold them, too. at: ns, its first message."""

    __slots__ = ("at", "entries", "held", "share")

    def __init__(self) -> None:
        self.at = NEVER
        self.entries: list[tuple[Keeper, Any, Any]] = []  # keeper, key, value
        self.held: dict[int, int] = {}
        self.share = 0.0

    def weight(self) -> Weight:
        """The weight of the entry with the highest grade."""
        best: Weight = STRANGE, None
        for keeper, key, value in self.entries:
            weight = keeper.weigh(key, value) if keeper.weigh is not None else (FRESH, None)
            if weight[0] > best[0] or best[1] is None:
                best = weight
        return best


class _Pile:
    """The things of one host and one grade, the oldest first. size: bytes."""

    __slots__ = ("size", "things")

    def __init__(self) -> None:
        self.things: deque[_Thing] = deque()
        self.size = 0.0

    def claim(self) -> tuple[float, int]:
        """Bytes to give before others. One thing of the size of a call is within anybody's share:
        each message of a flood with forged addresses is smaller. Among piles with equal claims the
        one with the oldest thing gives."""
        size = self.size if len(self.things) > 1 else max(0.0, self.size - A_CALL)
        return size, -self.things[0].at


class Budget:
    """limit: bytes. held: bytes as of the last look; evicted: things evicted for bytes. tidy:
    called after an eviction, to drop references."""

    def __init__(self, limit: int) -> None:
        self.limit = limit
        self.held = self.evicted = 0
        self.tidy: list[Callable[[], None]] = []
        self._came = 0
        self._keepers: list[tuple[Keeper, Held, Group]] = []

    def share(self, keeper: Keeper, held: Held, group: Group) -> None:
        """Give keeper its room from this budget. held: sightings and payloads of a value. group: of
        a key and its value; one group stays or goes together."""
        self._keepers.append((keeper, held, group))

    def came(self, messages: int, size: int) -> None:
        """So many more messages, of so many bytes in all, may be kept."""
        self._came += size + messages * SIGHTING
        if self.held + self._came > self.limit:
            self.look()

    def look(self) -> int:
        """Add up all held bytes, and make room if they are too many. Returns the bytes held."""
        self._came = 0
        sizes: dict[int, int] = {}  # of every held object, by its id
        for keeper, held, _ in self._keepers:
            for _, value in keeper.items():
                for one in held(value):
                    if isinstance(one, Sighting):
                        sizes[id(one)] = SIGHTING
                        one = one.payload
                    if one is not None:
                        sizes[id(one)] = len(one)
        total = sum(sizes.values())
        if total > self.limit:
            total = self._make_room(self._things(sizes), total)
            for keeper, _, _ in self._keepers:
                keeper.tidy()
            for tidy in self.tidy:
                tidy()
        self.held = total
        return total

    def _things(self, sizes: dict[int, int]) -> list[_Thing]:
        things: dict[Hashable, _Thing] = {}
        for keeper, held, group in self._keepers:
            for key, value in keeper.items():
                mine: dict[int, int] = {}
                at = NEVER
                for one in held(value):
                    if isinstance(one, Sighting):
                        mine[id(one)] = SIGHTING
                        at = min(at, one.row[AT])
                        one = one.payload
                    if one is not None:
                        mine[id(one)] = sizes[id(one)]
                if mine:
                    thing = things.setdefault(group(key, value), _Thing())
                    thing.entries.append((keeper, key, value))
                    thing.held.update(mine)
                    thing.at = min(thing.at, at)
        return sorted(things.values(), key=lambda thing: thing.at)

    def _make_room(self, things: list[_Thing], total: int) -> int:
        users: dict[int, int] = {}  # number of holders of an object, by its id
        for thing in things:
            for name in thing.held:
                users[name] = users.get(name, 0) + 1
        grades: list[dict[Hashable, _Pile]] = [{} for _ in range(ANSWERED + 1)]
        sizes = [0.0] * len(grades)
        for thing in things:
            grade, host = thing.weight()
            thing.share = sum(size / users[name] for name, size in thing.held.items())
            sizes[grade] += thing.share
            pile = grades[grade].setdefault(host, _Pile())
            pile.size += thing.share
            pile.things.append(thing)
        goal = self.limit - self.limit // SHARE
        while total > goal and any(grades):
            grade = self._going(grades, sizes)
            host, pile = max(grades[grade].items(), key=_claim)
            thing = pile.things.popleft()
            pile.size -= thing.share
            sizes[grade] -= thing.share
            if not pile.things:
                del grades[grade][host]
            self.evicted += 1
            for keeper, key, value in thing.entries:
                if keeper.get(key) is value:  # it may have gone with another one
                    keeper.evict(key, grade == STRANGE)
            for name, size in thing.held.items():
                users[name] -= 1
                if not users[name]:
                    total -= size
        return total

    def _going(self, grades: list[dict[Hashable, _Pile]], sizes: list[float]) -> int:
        """The grade that has to give, as in table.choose()."""
        for grade, piles in enumerate(grades):
            keep = self.limit // SHARE if grade in (FRESH, CROSSED) else 0
            if piles and sizes[grade] > keep:
                return grade
        return next(grade for grade, piles in enumerate(grades) if piles)


def _claim(item: tuple[Hashable, _Pile]) -> tuple[float, int]:
    return item[1].claim()
