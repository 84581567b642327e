# SPDX-License-Identifier: Apache-2.0
"""Connects: TCP connections to SIP ports that somebody asks for, and nobody accepts.

A phone opens one for a message that is too long for UDP (RFC 3261 section 18.1.1). As long as it
does not stand, no message is there to be seen.
"""

from __future__ import annotations

from algwatch.base import address
from algwatch.base.deadlines import NEVER
from algwatch.base.native.layout import INVITE, REGISTER, ROW_DIRECTED, ROW_OUTGOING
from algwatch.base.packet import LAN, UNKNOWN, WAN, Batch
from algwatch.base.sighting import AT, BITS, CSEQ, STATUS, Row, Sighting, both_ways, endpoints
from algwatch.base.table import FRESH, STRANGE, Table, Weight
from algwatch.compare.flow_pair import FlowPair
from algwatch.compare.lines import Lines
from algwatch.compare.mapping import Mappings
from algwatch.sip.side import Side
from algwatch.sip.timers import SECOND, TIMER_B, WINDOW
from algwatch.sip.transaction import REQUEST, Event

ATTEMPTS = 64  # followed at once
FIN, SYN, RST = 1, 2, 4  # RFC 9293 section 3.1, in the status of a row
INSISTS = 2 * SECOND  # ns; SYN is sent again after 1 s and 2 s more (RFC 6298 section 2)


class Connect:
    """A TCP connection to a SIP port, asked for and not accepted yet. By side (LAN, WAN, UNKNOWN):
    asked, the first SYN; sent, the number of SYNs; refused, the first RST. accepted: the SYN-ACK on
    the WAN side. inbound: the far end asks; reached: its SYN came to a phone. spoke: the phone had
    sent SIP before. started_at, last_at: ns, of the SYNs."""

    __slots__ = ("accepted", "asked", "inbound", "last_at", "reached", "refused", "sent", "spoke",
                 "started_at")  # fmt: skip

    def __init__(self, at: int, inbound: bool) -> None:
        self.started_at = self.last_at = at
        self.inbound = inbound
        self.asked: list[Sighting | None] = [None, None, None]
        self.refused: list[Sighting | None] = [None, None, None]
        self.accepted: Sighting | None = None
        self.sent = [0, 0, 0]
        self.spoke = self.reached = False

    @property
    def first(self) -> Sighting:
        """Its first SYN, as it was sent where that side was captured."""
        order = self.asked[::-1] if self.inbound else self.asked
        return next(one for one in order if one is not None)

    @property
    def until(self) -> int:
        """ns, the end of the wait. A SYN of the WAN side alone may be the copy of one of the LAN
        side that was sent a moment later."""
        return self.started_at + TIMER_B + (SECOND if self.asked[LAN] is None else 0)

    @property
    def has_failed(self) -> bool:
        """It was refused, or asked for again and again."""
        return any(self.refused) or self.last_at - self.started_at >= INSISTS


class Connects:
    """TCP connections to SIP ports, from the first SYN to the answer or the end of the wait. sides:
    by LAN, WAN, UNKNOWN. due: ns; no wait ends before it."""

    def __init__(self, two_sided: bool, sides: list[Side], lines: Lines,
                 mappings: Mappings) -> None:  # fmt: skip
        self._two_sided = two_sided
        self._sides = sides
        self._lines = lines
        self._mappings = mappings
        # By the host and port that is asked (18 bytes) and the sequence number of the SYN.
        self.table: Table[tuple[bytes, int], Connect] = Table(ATTEMPTS, _weigh)
        self.due = NEVER
        # By host (16 bytes), ns: its latest new INVITE or accepted connection, and its REGISTER.
        self._got_through: Table[bytes, int] = Table(ATTEMPTS)
        self._registered: Table[bytes, int] = Table(ATTEMPTS)
        # By both ends (36 bytes), ns: connections of the LAN side that ended.
        self._ended: Table[bytes, int] = Table(ATTEMPTS)

    def feed(self, which: int, row: Row, i: int, batch: Batch) -> None:
        """A row of KIND_CONNECT, seen on that side."""
        ends = batch.ends[48 * i : 48 * i + 48]
        if row[STATUS] == SYN:
            self._ask(which, row, i, batch, ends)
            return
        source, destination = endpoints(ends)
        if which == LAN and row[STATUS] & (FIN | RST):
            self._ended.add(both_ways(source, destination), row[AT])
        key = source, row[CSEQ]
        one = self.table.get(key)
        if one is None or one.asked[which] is None or row[STATUS] & FIN:
            return
        if row[STATUS] & RST:
            one.refused[which] = one.refused[which] or batch.sighting(which, row, i)
        elif which == WAN and not one.inbound:  # it has still to come to the phone
            one.accepted = one.accepted or batch.sighting(which, row, i)
        else:
            self._got_through.add(ends[16:32], row[AT], one.inbound)
            del self.table[key]

    def _ask(self, which: int, row: Row, i: int, batch: Batch, ends: bytes) -> None:
        key = endpoints(ends)[1], row[CSEQ]
        one = self.table.get(key)
        if one is None:
            one = Connect(row[AT], which == WAN and not self._leaves(row, ends))
            one.asked[which] = batch.sighting(which, row, i)
            self.table.add(key, one, one.inbound)
        if not one.sent[which]:
            one.asked[which] = one.asked[which] or batch.sighting(which, row, i)
            self.due = min(self.due, one.until)
            if not (one.inbound or one.spoke):
                one.spoke = self._speaks(which, ends[:16])
        one.sent[which] += 1
        one.last_at = max(one.last_at, row[AT])

    def _leaves(self, row: Row, ends: bytes) -> bool:
        """True if a SYN of the WAN side comes out of this router."""
        if row[BITS] & ROW_DIRECTED:
            return bool(row[BITS] & ROW_OUTGOING)
        is_ours = self._mappings.is_wan_address
        return is_ours(ends[:16]) or not is_ours(ends[16:32])

    def _speaks(self, which: int, host: bytes) -> bool:
        """True if this host has sent SIP before."""
        if which != UNKNOWN:
            return self._lines.speaks(host)
        registrations = self._sides[UNKNOWN].registrations.table.values()
        return any(one.transaction.ends[:16] == host for one in registrations)

    def has_ended(self, pair: FlowPair | None, since: int) -> bool:
        """True if this connection was closed or reset after since (ns)."""
        if pair is None:
            return False
        return self._ended.get(both_ways(pair.inside, pair.outside[18:]), 0) > since

    def hear(self, events: list[Event]) -> None:
        """A host that sends an INVITE has found another way. So has one that sends a REGISTER, and
        had sent nothing before."""
        for code, t, row, _ in events:
            if code == REQUEST and t.method == INVITE:
                self._got_through.add(t.ends[:16], row[AT], t.unsolicited)
            elif code == REQUEST and t.method == REGISTER:
                self._registered.add(t.ends[:16], row[AT], t.unsolicited)

    def advance(self, now: int) -> list[Connect]:
        """Those with the end of their wait by now (ns) that failed, and whose host has found no
        other way."""
        if self.due > now:
            return []
        waiting = list(self.table.items())
        over = [(key, one) for key, one in waiting if one.until <= now]
        failed = [one for key, one in over if self._is_in_vain(key[1], one, waiting)]
        for key, _ in over:
            del self.table[key]
        self.due = min([one.until for one in self.table.values()], default=NEVER)
        return failed

    def finish(self) -> list[Connect]:
        """The same at the end of the capture, for all."""
        return self.advance(NEVER - 1)

    def _is_in_vain(self, seq: int, one: Connect,
                    beside: list[tuple[tuple[bytes, int], Connect]]) -> bool:  # fmt: skip
        if not one.has_failed:
            return False
        host = one.first.packed_ends[:16]
        other_way = self._got_through.get(host, 0)
        if not one.spoke:
            if self._speaks(one.first.side, host):
                return False
            other_way = max(other_way, self._registered.get(host, 0))
        if other_way >= one.started_at:
            return False
        if one.inbound:
            one.reached = any(key[1] == seq and it.asked[LAN] is not None for key, it in beside)
            return self._mappings.is_wan_address(one.first.destination[:16]) and any(
                line.answered or line.expires for line in self._lines.at(one.first.ends.src)
            )
        if self._two_sided and one.asked[LAN] is None:
            return False
        if one.asked[WAN] is None:
            _find_left(one, beside)
        shown = one.first.ends
        outward = address.is_unroutable(shown.src) and not address.is_unroutable(shown.dst)
        return outward or self._lines.has(host, one.first.destination[:16])


def _weigh(key: tuple[bytes, int], one: Connect) -> Weight:
    return STRANGE if one.inbound else FRESH, one.first.packed_ends[:16]


def _find_left(one: Connect, beside: list[tuple[tuple[bytes, int], Connect]]) -> None:
    """Some firewalls write a sequence number of their own: take the SYN that left at the same time
    to the same place."""
    far = one.first.destination
    for (host, _), other in beside:
        copy = other.asked[WAN]
        if host != far or copy is None or other.asked[LAN] is not None or other.inbound:
            continue
        if abs(other.started_at - one.started_at) < WINDOW:
            one.asked[WAN], one.sent[WAN] = copy, other.sent[WAN]
            one.accepted, one.refused[WAN] = other.accepted, other.refused[WAN]
            return
