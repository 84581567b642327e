# SPDX-License-Identifier: Apache-2.0
"""Are the two sides named the right way round?

Each message that crossed the router votes. The copy with the higher TTL, or the one not sent by the
kernel, entered the router. A changed source address means entry from the LAN, a changed destination
entry from the WAN, if the translated address is private: a router may as well translate the far
end. If the TTL does not tell, a private address on one side only is a weak vote. With public
addresses on both sides there is no vote: the sides stay as named.
"""

from __future__ import annotations

from algwatch.base import address
from algwatch.base.native.layout import ROW_DIRECTED, ROW_OUTGOING
from algwatch.base.sighting import BITS, TTL, Sighting
from algwatch.compare.crossing import Crossing

STRONG, WEAK = 4, 1
MAJORITY = 3  # times the votes against it
HOPS = 4  # a larger difference of two TTLs comes from a router that sets them
SURE = 4 * STRONG  # votes for a live run to decide
PATIENCE = 256  # crossings examined by a live run


def vote(lan: Sighting, wan: Sighting) -> int:
    """The vote of two copies of one message on the names of their sides: positive if right,
    negative if exchanged, 0 if it cannot tell."""
    return weigh(
        (lan.row[TTL], lan.row[BITS], lan.packed_ends),
        (wan.row[TTL], wan.row[BITS], wan.packed_ends),
    )


def weigh(lan: tuple[int, int, bytes], wan: tuple[int, int, bytes]) -> int:
    """vote() of two copies as (TTL, bits of the row, 48 bytes of addresses)."""
    a, b = lan[2], wan[2]
    if lan[1] & wan[1] & ROW_DIRECTED and not (lan[1] ^ wan[1]) & ROW_OUTGOING:
        return 0  # both came in: neither is the other's forwarded copy
    entered = _entered(lan, wan)
    source_kept = a[:16] == b[:16] and a[40:42] == b[40:42]
    target_kept = a[16:32] == b[16:32] and a[42:44] == b[42:44]
    if source_kept != target_kept:
        first = 16 if source_kept else 0  # the translated end, private in the LAN
        if not entered:
            return WEAK * (_is_private(a, first) - _is_private(b, first))
        right = entered if target_kept else -entered
        return STRONG * right * _is_private(a if right > 0 else b, first)
    if source_kept and entered:
        # No NAT: the sender is on the side of entry.
        return WEAK * entered * (_is_private(a, 0) - _is_private(a, 16))
    return 0


def _entered(lan: tuple[int, int, bytes], wan: tuple[int, int, bytes]) -> int:
    """1 if the copy named LAN entered the router, -1 if the other one did, 0 if not known."""
    if (lan[1] ^ wan[1]) & ROW_OUTGOING:
        return -1 if lan[1] & ROW_OUTGOING else 1
    difference = lan[0] - wan[0]
    if not difference or abs(difference) > HOPS:
        return 0
    return 1 if difference > 0 else -1


def _is_private(ends: bytes, first: int) -> int:
    return int(address.is_unroutable(address.text(ends[first : first + 16], ends[47])))


class Votes:
    """right, wrong: votes for the sides as named, and against them."""

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
    """The same question to live interfaces. lan, wan: their names. Call `feed` with each crossing.
    It answers once, with a line for the console, if the interfaces look exchanged."""

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
