# SPDX-License-Identifier: Apache-2.0
"""Waiting: sightings whose other copy may still come."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable

from algwatch.base.packet import WAN
from algwatch.base.sighting import AT, PAIR, Sighting
from algwatch.base.table import FRESH, STRANGE, Weight, choose
from algwatch.compare.alike import is_for_neighbour, is_spent
from algwatch.compare.turned_away import TurnedAway
from algwatch.sip.timers import TIMER_F
from algwatch.sip.unsolicited import Unsolicited


class Waiting:
    """Waiting sightings, also as a keeper of a Budget.

    limit: sightings of one side that wait at once; unsolicited ones get a quarter of it. Beyond it
    some are evicted (base/table.py). An evicted sighting is counted in `dropped`, and is neither
    paired nor reported missing. The same holds for its copy on the other side
    (compare/turned_away.py), and for the other copy of a message that was not captured. weight:
    grade and host of a sighting, unsolicited or not.
    queues: by side, oldest first. first, more: by side and hash of the identity, the oldest
    sighting, and later ones with the same hash (rare).
    """

    def __init__(self, limit: int, unsolicited: Unsolicited | None) -> None:
        self._unsolicited = unsolicited
        self.limit = limit
        self.weight: Callable[[Sighting, bool], Weight] = _unweighed
        self.turned_away = TurnedAway()
        self.dropped = 0
        self.queues: tuple[deque[Sighting], deque[Sighting]] = (deque(), deque())
        self.first: tuple[dict[int, Sighting], dict[int, Sighting]] = ({}, {})
        self.more: tuple[dict[int, list[Sighting]], dict[int, list[Sighting]]] = ({}, {})

    def has_room(self, queue: deque[Sighting], copy: Sighting) -> bool:
        """True if copy may wait in the queue of its side. Some sightings there may be evicted for
        it, or it is dropped itself."""
        if len(queue) >= self.limit:
            self.tidy()
            if len(queue) >= self.limit:
                there = list(queue)
                weights = [self.weigh(one, one) for one in there]
                going = set(choose(weights, self.limit, max(1, self.limit // 4)))
                for i in going:
                    self.forget(there[i])
                    self.turned_away.add(there[i].row)
                self.dropped += len(going)
                queue.clear()
                queue.extend(one for i, one in enumerate(there) if i not in going)
        if len(queue) * 4 < self.limit or not self.is_unsolicited(copy):
            return True
        self.dropped += 1
        self.turned_away.add(copy.row)
        return False

    def tidy(self) -> None:
        """Drop copies already paired."""
        for queue in self.queues:
            there = [copy for copy in queue if not copy.paired]
            queue.clear()
            queue.extend(there)

    def evict(self, copy: Sighting, strange: bool = False) -> None:
        """Evict a waiting sighting."""
        self.queues[copy.side].remove(copy)
        self.forget(copy)
        self.turned_away.add(copy.row)
        self.dropped += 1

    def forget(self, copy: Sighting) -> None:
        """Find this sighting by its identity no more."""
        first, more = self.first[copy.side], self.more[copy.side]
        pair = copy.row[PAIR]
        others = more.get(pair)
        if others is None:
            if first.get(pair) is copy:
                del first[pair]
            return
        if first[pair] is copy:
            first[pair] = others.pop(0)
        else:
            others.remove(copy)
        if not others:
            del more[pair]

    def is_unsolicited(self, copy: Sighting) -> bool:
        return copy.side == WAN and self._unsolicited is not None and self._unsolicited.sent(copy)

    def is_sent(self, copy: Sighting) -> bool:
        """True if this message of the WAN side goes to a host that phones here send to."""
        ends = copy.packed_ends
        known = self._unsolicited.known if self._unsolicited is not None else ()
        return ends[16:32] in known and ends[:16] not in known

    def copies(self) -> list[Sighting]:
        """Sightings without their other copy yet, oldest first."""
        both = [copy for side in self.queues for copy in side if not copy.paired]
        return sorted(both, key=lambda copy: copy.row[AT])

    def undecided(self) -> int:
        """The number of those whose side was captured for Timer F after them."""
        return sum(self._undecided(queue) for queue in self.queues)

    def _undecided(self, waiting: deque[Sighting]) -> int:
        end = max((copy.row[AT] for copy in waiting), default=0) - TIMER_F
        return sum(
            not (copy.paired or copy.row[AT] > end or is_spent(copy) or self.is_unsolicited(copy))
            and not is_for_neighbour(copy)
            for copy in waiting
        )

    def weigh(self, key: Sighting, copy: Sighting) -> Weight:
        return self.weight(copy, self.is_unsolicited(copy))

    def items(self) -> list[tuple[Sighting, Sighting]]:
        return [(copy, copy) for copy in self.copies()]

    @staticmethod
    def get(key: Sighting, /) -> Sighting | None:
        return None if key.paired else key


def _unweighed(copy: Sighting, unsolicited: bool) -> Weight:
    return STRANGE if unsolicited else FRESH, copy.packed_ends[:16]
