# SPDX-License-Identifier: Apache-2.0
"""Are the two sides named the right way round?

Each message that crossed the router votes. The copy with the higher TTL, or the one that the
kernel did not send, entered the router. A changed source address means that it entered from the
LAN, a changed destination that it entered from the WAN, provided that what was translated is a
private address: a router may as well translate the far end. Where the TTL does not tell, a private
address on one side only is a weak vote. With public addresses on both sides there is no vote: the
sides stay as they were named.
"""

from __future__ import annotations

from algwatch.base import address
from algwatch.base.native.layout import ROW_DIRECTED, ROW_OUTGOING
from algwatch.base.sighting import BITS, TTL, Sighting
from algwatch.compare.crossing import Crossing

STRONG, WEAK = 4, 1
MAJORITY = 3  # times as many votes as there are against it
HOPS = 4  # a larger difference of two TTLs comes from a router that sets them
SURE = 4 * STRONG  # votes after which a live run believes what it sees
PATIENCE = 256  # crossings that a live run looks at


def vote(lan: Sighting, wan: Sighting) -> int:
    """The vote of two copies of one message on the names of their sides: positive when these
    are right, negative when they are exchanged, 0 when it cannot be told."""
    return weigh(
        (lan.row[TTL], lan.row[BITS], lan.packed_ends),
        (wan.row[TTL], wan.row[BITS], wan.packed_ends),
    )


def weigh(lan: tuple[int, int, bytes], wan: tuple[int, int, bytes]) -> int:
    """vote() of two copies as (TTL, bits of the row, 48 bytes of addresses)."""
    a, b = lan[2], wan[2]
    if lan[1] & wan[1] & ROW_DIRECTED and not (lan[1] ^ wan[1]) & ROW_OUTGOING:
        return 0  # both came in: the one is not what became of the other
    entered = _entered(lan, wan)
    source_kept = a[:16] == b[:16] and a[40:42] == b[40:42]
    target_kept = a[16:32] == b[16:32] and a[42:44] == b[42:44]
    if source_kept != target_kept:
        first = 16 if source_kept else 0  # the end that was translated, private in the LAN
        if not entered:
            return WEAK * (_is_private(a, first) - _is_private(b, first))
        right = entered if target_kept else -entered
        return STRONG * right * _is_private(a if right > 0 else b, first)
    if source_kept and entered:
        # No NAT: the sender is on the side where it entered.
        return WEAK * entered * (_is_private(a, 0) - _is_private(a, 16))
    return 0


def _entered(lan: tuple[int, int, bytes], wan: tuple[int, int, bytes]) -> int:
    """1 when the copy that was named LAN entered the router, -1 when the other one did."""
    if (lan[1] ^ wan[1]) & ROW_OUTGOING:
        return -1 if lan[1] & ROW_OUTGOING else 1
    difference = lan[0] - wan[0]
    if not difference or abs(difference) > HOPS:
        return 0
    return 1 if difference > 0 else -1


def _is_private(ends: bytes, first: int) -> int:
    return int(address.is_unroutable(address.text(ends[first : first + 16], ends[47])))


class Votes:
    """right, wrong: the votes for the sides as they were named, and against them."""

    __slots__ = ("right", "wrong")

    def __init__(self) -> None:
        self.right = self.wrong = 0

    def add(self, vote: int) -> None:
        if vote > 0:
            self.right += vote
        else:
            self.wrong -= vote

    @property
    def exchanged(self) -> bool:
        return self.wrong >= STRONG and self.wrong > MAJORITY * self.right


class SidesCheck:
    """The same question to live interfaces. lan, wan: their names. `feed` with each crossing;
    it answers once, with a line for the console, when the interfaces look exchanged."""

    __slots__ = ("_lan", "_left", "_votes", "_wan")

    def __init__(self, lan: str, wan: str) -> None:
        self._lan = lan
        self._wan = wan
        self._votes = Votes()
        self._left = PATIENCE

    def feed(self, crossing: Crossing) -> str | None:
        if not self._left or crossing.lan is None or crossing.wan is None:
            return None
        self._left -= 1
        votes = self._votes
        votes.add(vote(crossing.lan, crossing.wan))
        if votes.right >= SURE and votes.right > MAJORITY * votes.wrong:
            self._left = 0
        elif votes.wrong >= SURE and votes.exchanged:
            self._left = 0
            return (
                f"the interfaces look exchanged: {self._lan} is named as the LAN side, and "
                f"messages cross as if it were the WAN side; name {self._wan} as lan and "
                f"{self._lan} as wan"
            )
        return None
