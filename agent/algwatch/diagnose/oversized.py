# SPDX-License-Identifier: Apache-2.0
"""Oversized: an INVITE is lost while shorter requests of its line are answered."""

from __future__ import annotations

from algwatch.base.native.layout import ROW_FRAGMENTED, ROW_IPV6, ROW_TCP
from algwatch.base.packet import LAN, WAN
from algwatch.base.sighting import BITS, LENGTH, Sighting
from algwatch.compare.call import Call
from algwatch.compare.line import ACCEPTED, Line
from algwatch.diagnose.known import Known
from algwatch.sip.helper_drops import dropped_for
from algwatch.sip.message import Message

MTUS = (1500, 1492)  # Ethernet, PPPoE (RFC 2516)


class Oversized:
    """inside, outside: its copies, the second None if it never left the router; sent: its number of
    copies; line: its line."""

    __slots__ = ("inside", "line", "outside", "sent")

    def __init__(self, inside: Sighting, outside: Sighting | None, sent: int, line: Line) -> None:
        self.inside = inside
        self.outside = outside
        self.sent = sent
        self.line = line

    @property
    def grew(self) -> bool:
        """It was whole in the LAN, and the router made it longer."""
        if is_fragmented(self.inside):
            return False
        if self.outside is None:
            return any(_reaches(self.inside, mtu, self.line.grew) for mtu in MTUS)
        return is_fragmented(self.outside) and length(self.outside) > length(self.inside)


def is_fragmented(copy: Sighting) -> bool:
    return bool(copy.row[BITS] & ROW_FRAGMENTED)


def length(copy: Sighting) -> int:
    """Bytes of the IP packet without options."""
    return copy.row[LENGTH] + (48 if copy.row[BITS] & ROW_IPV6 else 28)


def _reaches(copy: Sighting, mtu: int, more: int) -> bool:
    return length(copy) <= mtu < length(copy) + more


def oversized(call: Call, known: Known) -> Oversized | None:
    """A phone's INVITE over UDP, repeated in vain. The far end has answered a shorter request of
    its line since, and never one in fragments. Else None."""
    s, wan = call.sides[LAN], call.sides[WAN]
    if s is None or call.inbound is not False or not s.timed_out or known.lossy(call):
        return None
    last = s.unanswered()
    if last is None or last[0].requests < 2 or last[1].row[BITS] & ROW_TCP:
        return None
    t, inside = last
    outside = None
    if wan is not None:
        far = wan.unanswered()
        if far is not None and far[0].cseq == t.cseq:
            if far[0].provisional_at or far[0].final_at:
                return None
            outside = far[1]
    crossing = call.unpaired.get("INVITE")
    if outside is None and (crossing is None or crossing.lan is None):
        return None
    ends = inside.packed_ends
    line = known.line(call) or known.line_of(ends[:16], ends[16:32])
    if line is None or line.fragments_answered:
        return None
    if outside is None and dropped_for(Message(inside.payload))[0]:
        return None  # the helper has another reason (ALG008)
    accepted = line.seen.get(ACCEPTED)
    if s.challenged or (accepted is not None and accepted.last_at >= t.at):
        return Oversized(inside, outside, t.requests, line)
    return None
