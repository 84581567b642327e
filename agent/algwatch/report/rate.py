# SPDX-License-Identifier: Apache-2.0
"""Rate: the most lines and reports a minute, in any flood.

A flood of messages makes a flood of findings. It would wear out the flash of a log and hide the
important finding. So lines take tokens from buckets: one for each kind (a rule, say), one for all
kinds, and one for the first line about a subject (phone and provider), because it is news. Lines
about harm have their own bucket of the last two, so a flood of other lines cannot hide them. The
first of each kind always passes. Left-out lines are counted.
"""

from __future__ import annotations

from _thread import allocate_lock
from time import monotonic

from algwatch.base.table import Table

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

KNOWN = 1024  # pairs of kind and subject, remembered as told
KINDS = 256  # kinds; there are some eighty
NAMED = 8  # subjects of untold lines, remembered by name, for each kind

Budget = tuple[float, float]  # at once, and a second
EACH: Budget = (30, 0.5)
ALL: Budget = (60, 0.5)
FIRST: Budget = (60, 0.25)


class Bucket:
    """budget: tokens at once, and tokens a second in the long run."""

    __slots__ = ("_at", "_most", "_rate", "tokens")

    def __init__(self, budget: Budget, now: float) -> None:
        self._most, self._rate = budget
        self.tokens = self._most
        self._at = now

    def fill(self, now: float) -> float:
        """The tokens left now."""
        self.tokens = min(self._most, self.tokens + self._rate * max(0.0, now - self._at))
        self._at = now
        return self.tokens

    def take(self, now: float) -> bool:
        if self.fill(now) < 1:
            return False
        self.tokens -= 1
        return True


class Untold:
    """count: left-out lines of one kind. subjects: their first NAMED; more: there were others."""

    __slots__ = ("count", "more", "subjects")

    def __init__(self) -> None:
        self.count = 0
        self.subjects: dict[str, None] = {}
        self.more = False


class Rate:
    """Any thread may call. clock: seconds. total: left-out lines so far, by kind."""

    def __init__(self, clock: Callable[[], float] = monotonic, each: Budget = EACH,
                 every: Budget = ALL, first: Budget = FIRST) -> None:  # fmt: skip
        now = clock()
        self._clock = clock
        self._lock = allocate_lock()
        self._each = each
        self._kinds: Table[str, Bucket] = Table(KINDS)
        # For harmless lines, and for lines about harm.
        self._all = Bucket(every, now), Bucket(every, now)
        self._first = Bucket(first, now), Bucket(first, now)
        self._told: Table[tuple[str, str], None] = Table(KNOWN)
        self._untold: Table[str, Untold] = Table(KINDS)
        self.total: dict[str, int] = {}

    def passes(self, kind: str, subject: str = "", hurts: bool = False, count: bool = True) -> bool:
        """True if one more line of this kind, about this subject, is told. count: note it if
        not."""
        with self._lock:
            if self._pass(kind, subject, hurts):
                if subject:
                    self._told.add((kind, subject), None)
                return True
            if count:
                self._miss(kind, subject)
            return False

    def miss(self, kind: str, subject: str = "") -> None:
        """Note a line left out for another reason."""
        with self._lock:
            self._miss(kind, subject)

    def untold(self) -> list[tuple[str, Untold]]:
        """The lines left out since the last call, by kind."""
        with self._lock:
            found = list(self._untold.items())
            self._untold.clear()
        return found

    def _pass(self, kind: str, subject: str, hurts: bool) -> bool:
        now = self._clock()
        mine = self._kinds.get(kind)
        if mine is None:
            self._kinds.add(kind, Bucket(self._each, now))
            return True
        if subject and (kind, subject) not in self._told and self._first[hurts].take(now):
            return True
        return mine.fill(now) >= 1 and self._all[hurts].take(now) and mine.take(now)

    def _miss(self, kind: str, subject: str) -> None:
        self.total[kind] = self.total.get(kind, 0) + 1
        one = self._untold.get(kind)
        if one is None:
            one = Untold()
            self._untold.add(kind, one)
        one.count += 1
        if subject and subject not in one.subjects:
            if len(one.subjects) < NAMED:
                one.subjects[subject] = None
            else:
                one.more = True
