# SPDX-License-Identifier: Apache-2.0
"""Silence: the time without a packet on the NAT mapping of a registered phone.

A phone registered for an hour and silent meanwhile cannot be called after its mapping expires.
Packets in both directions keep the mapping, and keep-alives are packets. So the fault is known
before a call is lost. compare/crossing.py holds the times of the NAT.
"""

from __future__ import annotations

from algwatch.base.deadlines import NEVER
from algwatch.base.packet import LAN, WAN
from algwatch.base.sighting import AT, TTL, Sighting
from algwatch.base.table import Table
from algwatch.compare.binding import Binding
from algwatch.compare.call import Call
from algwatch.compare.captured import Captured
from algwatch.compare.crossing import HELPED, Crossing, Entry
from algwatch.compare.flow_pair import FlowPair
from algwatch.compare.line import REWRITTEN, Line
from algwatch.compare.lines import Lines
from algwatch.compare.mapping import Mappings
from algwatch.compare.registered import Registered
from algwatch.sip.timers import SECOND

UDP = 17
FIRST_TTLS = (64, 128, 255)  # of hosts
EVERY = 15 * SECOND  # between two searches for silent phones


class Bound:
    """A mapping announced to a registrar. pair: of the REGISTER; at, until: ns, the time of the
    binding."""

    __slots__ = ("at", "pair", "until")

    def __init__(self, pair: FlowPair, agreed: Binding) -> None:
        self.pair = pair
        self.at, self.until = agreed.at, agreed.until


class Silences:
    """Looks at the mappings of registered phones. limit: their number. news: lines with a newly
    reported silence, since the last time it was emptied. live: a silence is reported while it
    lasts; in a file at the end, with all evidence against it."""

    def __init__(self, mappings: Mappings, lines: Lines, captured: Captured, limit: int,
                 live: bool) -> None:  # fmt: skip
        self.news: list[Line] = []
        self.due = 0 if live else NEVER  # ns; advance() does nothing before it
        self.table: Table[bytes, Bound] = Table(limit)  # by Mappings' key
        self._live = live
        self._mappings = mappings
        self._lines = lines
        self._captured = captured

    def bind(self, one: Registered, agreed: Binding) -> None:
        """A REGISTER was accepted."""
        pair = one.flow_pairs.get("REGISTER")
        if pair is None or agreed.near.asked.ends.proto != UDP:
            return
        before = self.table.get(pair.outside)
        if before is not None:
            self._look(before)
        self.table.add(pair.outside, Bound(pair, agreed))
        line = self._lines.of(pair)
        if not line.silence:
            line.granted = (agreed.far or agreed.near).granted

    def advance(self, now: int) -> None:
        """now: ns."""
        if now >= self.due:
            self.due = now + EVERY
            self._look_at_all(now)

    def finish(self, now: int) -> None:
        """The capture is over: no packet ends a silence any more."""
        self._live = True
        self._look_at_all(now, last=True)
        for line in self._lines.all():
            if line.silence and not line.silence_told:
                if line.silence_helped or self._mappings.survived <= line.silence_limit:
                    line.silence_told = True
                    self.news.append(line)
                else:
                    line.silence = 0

    def _look_at_all(self, now: int, last: bool = False) -> None:
        for bound in self.table.values():
            self._look(bound, last)
            entry = self._entry(bound)
            if entry is not None:  # the present silence
                until = min(now, bound.until, self._captured.ended)
                self._measure(bound, entry, entry.used_at, until, entry.limit)

    def _look(self, bound: Bound, last: bool = False) -> None:
        """The longest silence before a packet of the phone, within its binding. last: nothing comes
        after it, and calls are still to be judged by it."""
        entry = self._entry(bound)
        if entry is None or not entry.silent_since:
            return
        since, until = entry.silent_since, min(entry.silent_until, bound.until)
        if not last:
            entry.silent_since = entry.silent_until = 0
        if since >= bound.at - SECOND:
            self._measure(bound, entry, since, until, entry.silent_limit)

    def _entry(self, bound: Bound) -> Entry | None:
        entry = self._mappings.table.get(bound.pair.outside)
        return entry if entry is not None and entry.inside == bound.pair.inside else None

    def _measure(self, bound: Bound, entry: Entry, since: int, until: int, limit: int) -> None:
        """A mapping was not used from since to until (ns), and would live for limit."""
        idle = until - since
        if idle <= limit or since <= max(self._captured.lost_at, self._captured.began):
            return
        line = self._lines.of(bound.pair)
        helped = is_helped(line, self._lines)
        # A call after a longer silence shows a longer lifetime of this NAT.
        if not helped and max(entry.survived, self._mappings.survived) > limit:
            return
        worse = line.silence_helped and not helped
        if idle <= line.silence and not worse:
            return
        line.silence, line.silent_since, line.silence_limit = idle, since, limit
        line.silence_helped = helped
        line.note()
        if self._live and (worse or not line.silence_told):
            line.silence_told = True
            self.news.append(line)


def is_helped(line: Line, lines: Lines) -> bool:
    """True if the kernel's helper is on the flow of this line: it rewrites this line, or it
    rewrites others here and this line has nothing to rewrite."""
    if line.helped or line.count(REWRITTEN):
        return line.helped
    return any(other.helped for other in lines.all())


def undelivered(call: Call, captured: Captured) -> Crossing | None:
    """The INVITE of a provider that came to the WAN side and to no phone until its caller gave up;
    None if delivered, or not known."""
    crossing = call.unpaired.get("INVITE")
    if crossing is None or crossing.wan is None or call.unsolicited:
        return None
    if captured.apart or captured.lossy(call):
        return None
    if call.sides[LAN] is not None or not call.inbound or _is_answered(call, crossing.wan):
        return None
    over = any(s.timed_out or s.cancelled_at or s.rejected for s in call.seen)
    return crossing if over else None


def _is_answered(call: Call, invite: Sighting) -> bool:
    """Its response left the WAN side with the TTL of a packet that this router has forwarded: a
    phone got the INVITE, and the LAN capture has a gap. A response of the router itself has a first
    TTL."""
    s = call.sides[WAN]
    if s is None:
        return False
    rung = s.invite.response if s.invite is not None else None
    return any(
        one is not None and one.source == invite.destination and one.row[TTL] + 1 in FIRST_TTLS
        for one in (s.response, rung)
    )


def too_late(crossing: Crossing, lines: Lines, mappings: Mappings) -> tuple[Line | None, int]:
    """For an undelivered INVITE: the line of the phone with this mapping, and the time (ns) without
    a packet on the mapping before; 0 if it was still alive."""
    mapping, invite = crossing.mapping, crossing.entered
    if invite.ends.proto != UDP:
        return None, 0  # a mapping of TCP lives for hours (RFC 5382 section 5)
    if mapping is None:
        if invite.destination + invite.source in mappings.states:
            return gone(invite, mappings, lines)
        return None, 0
    line = lines.find(mapping.inside[:16], invite.packed_ends[:16])
    idle = invite.row[AT] - crossing.used_at
    helped = line is not None and is_helped(line, lines)
    least = HELPED if helped else mapping.timeouts.shortest
    return line, 0 if idle < least or mapping.is_shut(crossing.used_at) else idle


def gone(request: Sighting, mappings: Mappings, lines: Lines) -> tuple[Line | None, int]:
    """For any undelivered request from the WAN: the line of the phone with this mapping (without a
    NAT: with this firewall state), and the time (ns) without a packet before; 0 if it may still
    have been alive."""
    key = request.destination + request.source
    mapping = mappings.towards(request) or mappings.states.get(key)
    if mapping is None or request.ends.proto != UDP:
        return None, 0
    line = lines.find(mapping.inside[:16], request.packed_ends[:16])
    at, since, limit = request.row[AT], mapping.used_at, mapping.limit
    if mapping.silent_since < at <= mapping.silent_until:  # the phone has renewed it since
        since, limit = mapping.silent_since, mapping.silent_limit
    if mapping.is_shut(since):
        return line, 0
    if line is not None and is_helped(line, lines):
        limit = HELPED
    waits_longer = at - since <= max(mapping.survived, mappings.survived)
    return line, 0 if waits_longer or at - since < limit else at - since


def note_too_late(call: Call, captured: Captured, lines: Lines, mappings: Mappings) -> Line | None:
    """A call is over: the line whose mapping had expired before it, else None."""
    crossing = undelivered(call, captured)
    if crossing is None:
        return None
    line, idle = too_late(crossing, lines, mappings)
    if line is None or not idle:
        return None
    line.too_late = crossing.entered, idle
    return line
