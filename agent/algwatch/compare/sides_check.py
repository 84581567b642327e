# SPDX-License-Identifier: Apache-2.0
"""Are the two sides named the right way round?

Each message that crossed the router votes. The copy with the higher TTL, or the one not sent by the
kernel, entered the router. A changed source address means entry from the LAN, a changed destination
entry from the WAN, if the translated address is private: a router may as well translate the far
end. If the TTL does not tell, a private address on one side only is a weak vote.

Without translation and without a telling address (IPv6, a routed network), two hints are counted
separately, because each has its exception. A LAN host is next to the router, so its packets enter
with the initial TTL of a host; packets of a provider have lost some on their way. And the
registering side is the LAN, unless a PBX in the LAN has phones outside. If the hints contradict
each other, the sides stay as named.
"""

from __future__ import annotations

from algwatch.base import address
from algwatch.base.native.layout import REGISTER, ROW_DIRECTED, ROW_OUTGOING
from algwatch.base.sighting import BITS, METHOD, STATUS, TTL, Sighting
from algwatch.compare.crossing import Crossing

STRONG, WEAK = 4, 1
MAJORITY = 3  # times the votes against it
HOPS = 4  # a larger difference of two TTLs comes from a router that sets them
FIRST_TTLS = (64, 128, 255)  # with which hosts begin (RFC 1700, Windows, RFC 1812)
INNER = 2  # routers inside a LAN that a packet of a phone may have passed already
ASKED = 2  # votes: a REGISTER and its response
SURE = 4 * STRONG  # votes after which a live run believes what it sees
PATIENCE = 256  # crossings that a live run looks at


Header = tuple[int, int, bytes]
"""Of one copy: TTL, bits of the row, 48 bytes of addresses."""


def header(copy: Sighting) -> Header:
    return copy.row[TTL], copy.row[BITS], copy.packed_ends


def weigh(lan: Header, wan: Header) -> int:
    """The vote of two copies of one message on the names of their sides: positive when these
    are right, negative when they are exchanged, 0 when it cannot be told."""
    a, b = lan[2], wan[2]
    if _both_came_in(lan, wan):
        return 0
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


def near(lan: Header, wan: Header) -> int:
    """The hint of an untranslated message: 1 when its sender is next to the side named LAN, or far
    from the one named WAN; -1 when it is the other way round; else 0."""
    entered, ttl = _entered(lan, wan), max(lan[0], wan[0])
    if ttl in FIRST_TTLS:
        return entered
    return 0 if any(first - INNER <= ttl < first for first in FIRST_TTLS) else -entered


def _entered(lan: Header, wan: Header) -> int:
    """1 when the copy that was named LAN entered the router, -1 when the other one did."""
    if (lan[1] ^ wan[1]) & ROW_OUTGOING:
        return -1 if lan[1] & ROW_OUTGOING else 1
    difference = lan[0] - wan[0]
    if not difference or abs(difference) > HOPS or not (lan[0] and wan[0]):
        return 0
    return 1 if difference > 0 else -1


def _both_came_in(lan: Header, wan: Header) -> bool:
    """The one is not what became of the other. The same where both went out."""
    return bool(lan[1] & wan[1] & ROW_DIRECTED) and not (lan[1] ^ wan[1]) & ROW_OUTGOING


def _ends(copy: Header) -> bytes:
    """Addresses and ports; the place of the frame in its capture lies between them."""
    return copy[2][:32] + copy[2][40:44]


def _is_private(ends: bytes, first: int) -> int:
    return int(address.is_unroutable(address.text(ends[first : first + 16], ends[47])))


class Count:
    """right, wrong: the votes for the sides as they were named, and against them."""

    __slots__ = ("right", "wrong")

    def __init__(self) -> None:
        self.right = self.wrong = 0

    def add(self, vote: int) -> None:
        if vote > 0:
            self.right += vote
        else:
            self.wrong -= vote

    def says(self, least: int, unclear: int = 0) -> int:
        """1: right, -1: exchanged, 0: no clear majority, or fewer votes than least. unclear: number
        of messages without a vote, counted against both."""
        if self.wrong >= least and self.wrong > MAJORITY * (self.right + unclear):
            return -1
        return int(self.right >= least and self.right > MAJORITY * (self.wrong + unclear))


class Votes:
    """addresses: votes of weigh(); distance: hints of near(), unclear: messages without one; asked:
    hints of REGISTER."""

    __slots__ = ("addresses", "asked", "distance", "unclear")

    def __init__(self) -> None:
        self.unclear = 0
        self.addresses, self.distance, self.asked = Count(), Count(), Count()

    def add(self, lan: Header, wan: Header, method: int, status: int) -> None:
        """Two copies of one message."""
        self.addresses.add(weigh(lan, wan))
        if _ends(lan) == _ends(wan) and not _both_came_in(lan, wan):
            hint = near(lan, wan)
            self.distance.add(hint)
            self.unclear += not hint
            if method == REGISTER:
                self.asked.add(-_entered(lan, wan) if status else _entered(lan, wan))

    @property
    def verdict(self) -> int:
        """1: the sides are named right, -1: they are exchanged, 0: nothing tells."""
        if (told := self.addresses.says(STRONG)) or self.addresses.right:
            return told
        said, asked = self.distance.says(STRONG, self.unclear), self.asked.says(ASKED)
        return (said or asked) if said * asked >= 0 else 0

    @property
    def exchanged(self) -> bool:
        return self.verdict < 0

    @property
    def sure(self) -> bool:
        """Enough votes for a live run to believe them."""
        return any(max(c.right, c.wrong) >= SURE for c in (self.addresses, self.distance))


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
        if not self._left:
            return None
        lan, wan = crossing.lan, crossing.wan
        if lan is None or wan is None:
            return None
        self._left -= 1
        votes = self._votes
        votes.add(header(lan), header(wan), lan.row[METHOD], lan.row[STATUS])
        said = votes.verdict if votes.sure else 0
        if said:
            self._left = 0
        if said < 0:
            return (
                f"the interfaces look exchanged: {self._lan} is named as the LAN side, and "
                f"messages cross as if it were the WAN side; name {self._wan} as lan and "
                f"{self._lan} as wan"
            )
        return None
