# SPDX-License-Identifier: Apache-2.0
"""Gaps: the packets that one of two captures is known to lack."""

from __future__ import annotations

from algwatch.base.sighting import CALL, PAIR, Sighting
from algwatch.base.table import Table
from algwatch.compare.call import Call
from algwatch.compare.crossing import OUTSIDE, Crossing, alone

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from algwatch.compare.copies import Copy


class Gaps:
    """Packets that a capture lacks and that are seen behind the router. missing, of passed; first:
    what is known of one behind it, example: the message itself. stopped: identities of messages on
    the other side with too many copies to be all among the missing; out: of those behind it."""

    __slots__ = ("example", "first", "missing", "out", "passed", "stopped")

    def __init__(self) -> None:
        self.missing = self.passed = 0
        self.example: Sighting | None = None
        self.first: Copy | None = None
        self.stopped: frozenset[int] = frozenset()
        self.out: set[int] = set()

    def note(self, missing: int, passed: int, copy: Copy) -> None:
        self.passed += passed
        if missing > 0:
            self.missing += missing
            self.first = self.first or copy

    def hides(self, copy: Sighting) -> bool:
        """A message of the other side may have passed and be missing here."""
        return self.missing > 0 and not self.proves(copy)

    def proves(self, copy: Sighting) -> bool:
        """The router has stopped this message of the other side, in spite of the gaps."""
        return copy.row[PAIR] ^ copy.row[CALL] in self.stopped

    def blurs(self, copy: Sighting) -> bool:
        """A message hidden so, and nothing shows whether it passed."""
        return self.hides(copy) and copy.row[PAIR] ^ copy.row[CALL] not in self.out


def tell_outside(copies: list[Sighting], gaps: tuple[Gaps, Gaps], calls: Table[int, Call],
                 watch: Callable[[Crossing], None] | None) -> None:  # fmt: skip
    """Tell the calls of copies of which the other one was not captured, and watch. gaps: by side.
    Empties the list."""
    for copy in copies:
        if gaps[1 - copy.side].blurs(copy):
            call = calls.get(copy.row[CALL])
            if call is not None:
                call.gaps = True
        if watch is not None:
            crossing = alone(copy, sent=False)
            crossing.matched_by = OUTSIDE
            watch(crossing)
    copies.clear()
