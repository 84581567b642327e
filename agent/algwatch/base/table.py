# SPDX-License-Identifier: Apache-2.0
"""Room: the policy of eviction for every table.

A table is a dict with a limit. When it is full an entry goes, chosen by its grade and by the host
that sent it, so a flood evicts itself and not the calls of others:

1. Each entry has a grade: STRANGE (nobody here asked for it), FRESH (nothing is known of it yet),
   CROSSED (both copies were seen), ANSWERED (and the other end agreed). The lower grade goes
   first. FRESH and CROSSED keep a quarter of the room each; else a table full of ANSWERED entries
   would let no new one become ANSWERED.
2. Within a grade the host with the most entries pays: a flood from one address evicts its own.
3. Among hosts with equal counts, the oldest entry goes. So spoofed addresses with one entry each
   evict one another, and reach nothing of a higher grade.

Grades and hosts are asked for when a table is full, not when an entry comes: a table with room
costs as much as a dict. The same policy holds for bytes (base/budget.py).
"""

from __future__ import annotations

from collections.abc import Callable, Hashable
from itertools import islice, starmap

from algwatch.base.typed import Generic, TypeVar

K = TypeVar("K")
V = TypeVar("V")

STRANGE, FRESH, CROSSED, ANSWERED = range(4)

Weight = tuple[int, Hashable]  # grade and host

# Finding a dict's oldest key costs O(deleted), so a few keys are fetched at once. The fetched list
# keeps values alive after their deletion, so it is short.
_AHEAD = 16
_ABSENT = object()
SHARE = 4  # a quarter: the most for STRANGE, and the share kept by FRESH and by CROSSED
_BATCH = 4  # the part chosen at once, since a choice reads every entry


def choose(weights: list[Weight], limit: int, count: int) -> list[int]:
    """Indices of the entries to evict, at most count, all of one grade, the first to go first.

    weights: of all entries, the oldest first, not empty. limit: entries with room.
    """
    grade = weights[0][0]
    keep = limit // SHARE
    if len(set(weights)) == len(weights) and {one[0] for one in weights} == {grade}:
        # A flood from forged addresses: the oldest go, as below.
        more = len(weights) - (keep if grade in (FRESH, CROSSED) else 0)
        return list(range(min(count, more if more > 0 else len(weights))))
    grades = [0] * (ANSWERED + 1)
    for grade, _ in weights:
        grades[grade] += 1
    spare = grades[:]
    spare[FRESH] -= keep
    spare[CROSSED] -= keep
    # If no grade exceeds its share, the table is tiny: the lowest goes.
    going = next((g for g, n in enumerate(spare) if n > 0), None)
    if going is None:
        going = next(g for g, n in enumerate(grades) if n)
        spare = grades
    by_host: dict[Hashable, list[int]] = {}
    for index, (grade, host) in enumerate(weights):
        if grade == going:
            by_host.setdefault(host, []).append(index)
    # The largest hosts are cut to this number of entries, so count of them go.
    count = min(count, spare[going])
    counts = sorted((len(some) for some in by_host.values()), reverse=True)
    level, cut = counts[0], 0
    for hosts, size in enumerate(counts, 1):
        smaller = counts[hosts] if hosts < len(counts) else 0
        if cut + hosts * (size - smaller) >= count:
            level = size - -(-(count - cut) // hosts)
            break
        cut += hosts * (size - smaller)
        level = smaller
    chosen = [some[: len(some) - level] for some in by_host.values() if len(some) > level]
    # The largest host first, and of equal hosts the one with the older entry.
    ordered = sorted((i - len(some), index) for some in chosen for i, index in enumerate(some))
    return [index for _, index in ordered[:count]]


class Table(dict[K, V], Generic[K, V]):
    """limit: entries. weigh: grade and host of an entry; without it the oldest goes. gone: called
    with each evicted value. evicted, unsolicited: counts of evicted entries, STRANGE ones apart.
    "Oldest" is by insertion. Reading costs as much as reading a dict.

    Strange entries have at most a quarter of the room.
    """

    __slots__ = ("_going", "_oldest", "_strange", "evicted", "gone", "limit", "unsolicited",
                 "weigh")  # fmt: skip

    def __init__(self, limit: int, weigh: Callable[[K, V], Weight] | None = None,
                 gone: Callable[[V], None] | None = None) -> None:  # fmt: skip
        super().__init__()
        self.limit = limit
        self.weigh = weigh
        self.gone = gone
        self.evicted = self.unsolicited = 0
        self._strange: list[tuple[K, V]] = []  # as added
        # Chosen to go, with their grade then: the first to go is the last.
        self._going: list[tuple[K, V, int]] = []
        self._oldest: list[tuple[K, V]] = []  # the oldest is the last

    def add(self, key: K, value: V, strange: bool = False) -> None:
        """Insert, at the cost of another entry if the table is full. strange: its grade is STRANGE
        now."""
        if (strange or len(self) >= self.limit) and key not in self:
            if strange:
                if len(self._strange) * SHARE >= self.limit:
                    self._evict_strange()
                self._strange.append((key, value))
            if len(self) >= self.limit:
                self._evict()
        self[key] = value

    def evict(self, key: K, strange: bool = False) -> None:
        """Delete an entry for want of room. strange: its grade is STRANGE."""
        value = self.pop(key)
        if strange:
            self.unsolicited += 1
        else:
            self.evicted += 1
        if self.gone is not None:
            self.gone(value)

    def tidy(self) -> None:
        """Drop values no longer in the table."""
        self._strange = [one for one in self._strange if self.get(one[0], _ABSENT) is one[1]]
        self._going = [one for one in self._going if self.get(one[0], _ABSENT) is one[1]]
        self._oldest.clear()

    def _evict(self) -> None:
        if self.weigh is None:
            while self._strange:
                key, value = self._strange.pop(0)
                if self.get(key, _ABSENT) is value:
                    self.evict(key, True)
                    return
            self._evict_oldest()
            return
        while True:
            while self._going:
                key, value, grade = self._going.pop()
                # Neither deleted nor replaced nor raised since.
                if self.get(key, _ABSENT) is value and self.weigh(key, value)[0] <= grade:
                    self.evict(key, grade == STRANGE)
                    return
            items = list(self.items())
            weights = [self.weigh(key, value) for key, value in items]
            chosen = choose(weights, self.limit, max(1, self.limit // _BATCH))
            self._going = [(*items[i], weights[i][0]) for i in reversed(chosen)]

    def _evict_strange(self) -> None:
        """Evict half of the strange entries, if they have a quarter of the room. So many go at
        once, because each look reads all of them."""
        get = self.get
        there = [one for one in self._strange if get(one[0], _ABSENT) is one[1]]
        weights: list[Weight] = [(STRANGE, None)] * len(there)
        if self.weigh is not None:
            weights = list(starmap(self.weigh, there))
            if {grade for grade, _ in weights} != {STRANGE}:  # some were raised since
                still = [i for i, (grade, _) in enumerate(weights) if grade == STRANGE]
                there, weights = [there[i] for i in still], [weights[i] for i in still]
        self._strange = there
        if len(there) * SHARE < self.limit:
            return
        going = choose(weights, self.limit, max(1, self.limit // (SHARE * 2)))
        for i in going:
            self.evict(there[i][0], True)
        if going[-1] == len(going) - 1:  # the oldest
            self._strange = there[len(going) :]
        else:
            gone = set(going)
            self._strange = [one for i, one in enumerate(there) if i not in gone]

    def _evict_oldest(self) -> None:
        oldest = self._oldest
        while True:
            while oldest:
                key, value = oldest.pop()
                if self.get(key, _ABSENT) is value:  # neither deleted nor replaced since
                    self.evict(key)
                    return
            oldest += islice(self.items(), _AHEAD)
            oldest.reverse()
