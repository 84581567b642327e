# SPDX-License-Identifier: Apache-2.0
"""Quality: can these two captures be trusted to be both sides of one router?"""

from __future__ import annotations

from algwatch.base.packet import LAN, WAN
from algwatch.base.sighting import Sighting
from algwatch.compare.clock_offset import Offset
from algwatch.compare.gaps import Gaps
from algwatch.sip.timers import WINDOW


def named(copy: Sighting | None, side: int) -> Sighting | None:
    """The message as one of this side (LAN, WAN), however its capture was named."""
    return Sighting(copy.row, side, copy.payload, copy.packed_ends) if copy else None


class Quality:
    """began, ended: by side (LAN, WAN), ns on the LAN clock: the capture has no messages before and
    after these times, although some crossed the router; 0: no sign of this on the other side.
    witnesses: one such message, by the side that misses it. remotes: addresses (16 bytes) beyond
    the router contacted by phones, as known from a LAN capture that began later. offset: of the
    clocks, None if it cannot be measured; unsteady: no offset although messages are on both sides.
    exchanged: the LAN capture was named WAN; all other fields use the true sides. same: both
    captures hold the same packets; wan_kept: the WAN capture holds more. unrelated: messages that
    must have crossed are on one side only; together: the captures overlap in time. pairs: messages
    on both sides. asked: requests a side that must have crossed. one_way: by side, one direction is
    missing in its capture; gaps: by side, single packets are. silent: the side whose capture holds
    no SIP, although the other one has some, else None. lan, wan: a message on both sides, or
    (unrelated, exchanged by addresses) one of each. late: known only after everything was judged by
    the sides as named; all fields then use those names."""

    __slots__ = ("asked", "began", "ended", "exchanged", "gaps", "lan", "late", "offset", "one_way",
                 "pairs", "remotes", "same", "silent", "together", "unrelated", "unsteady", "wan",
                 "wan_kept", "witnesses")  # fmt: skip

    def __init__(self) -> None:
        self.offset: Offset | None = None
        self.exchanged = self.same = self.unrelated = self.unsteady = False
        self.wan_kept = self.late = False
        self.together = True
        self.pairs = 0
        self.one_way = [False, False]
        self.gaps = Gaps(), Gaps()
        self.silent: int | None = None
        self.began, self.ended = [0, 0], [0, 0]
        self.remotes: frozenset[bytes] = frozenset()
        self.witnesses: list[Sighting | None] = [None, None]
        self.asked = (0, 0)
        self.lan: Sighting | None = None
        self.wan: Sighting | None = None

    def exchange(self) -> None:
        """Rename the sides to the true ones."""
        if self.offset is not None:
            self.offset = self.offset.turned()
        self.lan, self.wan = named(self.wan, LAN), named(self.lan, WAN)
        self.one_way.reverse()
        self.gaps = self.gaps[::-1]
        for side, gaps in enumerate(self.gaps):
            gaps.example = named(gaps.example, 1 - side)

    @property
    def compared(self) -> bool:
        """The sides are judged together, not each alone."""
        return not self.unrelated and self.silent is None

    @property
    def is_odd(self) -> bool:
        """These are not the two sides, by one clock and with their names, of one router."""
        apart = self.offset is not None and self.offset.furthest >= WINDOW
        return self.same or self.unrelated or self.unsteady or self.exchanged or apart

    @property
    def is_incomplete(self) -> bool:
        """A side lacks messages that must be there."""
        gaps = any(one.missing for one in self.gaps)
        return gaps or any((*self.one_way, *self.began, *self.ended)) or self.silent is not None

    @property
    def misleading(self) -> bool:
        """Known too late: findings about two sides cannot be trusted."""
        return self.late and (self.is_odd or any(self.one_way) or self.silent is not None)
