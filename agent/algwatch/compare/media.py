# SPDX-License-Identifier: Apache-2.0
"""Media: the RTP of one call on both sides of the router, beside the media announced in its
messages (RFC 3264, RFC 3550).

RTP is counted in C while a file is read (native/rtp.c), by announcement: the endpoint of one end of
the call. Each stream names its other end, so RTP from an unannounced endpoint to an announced one
is seen, too. Live interfaces do not count RTP: the capture filter excludes it, and connection
tracking counts it (compare/accounted.py).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

from algwatch.base.packet import LAN, UNKNOWN, WAN
from algwatch.base.rtp import Announced, Stream
from algwatch.base.tracked import Endpoint
from algwatch.base.typed import Protocol
from algwatch.compare.call import Call
from algwatch.sip.timers import SECOND

# A direction is dead after this time without RTP, if the other direction is alive.
DEAD = 5 * SECOND
GRACE = SECOND  # RTP of the earlier session may still arrive after an answer
ALIVE = 50  # packets: a second of the usual 20 ms

Shift = Callable[[int], int]
Streams = dict[tuple[Endpoint, Endpoint], Stream]  # by source and destination


class Table(Protocol):
    """The counter of RTP: base.native.rtp.Rtp."""

    def first(self, tap: int) -> int: ...

    def of(self, call: int) -> list[Announced]: ...


class Way:
    """RTP in one direction on one side. pairs: (source, destination) of its streams, those with
    the most packets first; streams: by these. last, sure: as in Stream. Times in ns, 0 = none."""

    __slots__ = ("first", "last", "octets", "packets", "pairs", "streams", "sure")

    def __init__(self, streams: Streams | None = None) -> None:
        some = streams or {}
        self.packets = sum(s.packets for s in some.values())
        self.octets = sum(s.octets for s in some.values())
        self.first = min((s.first for s in some.values()), default=0)
        self.last = max((s.last for s in some.values()), default=0)
        self.sure = max((s.sure for s in some.values()), default=0)
        self.streams = some
        self.pairs = sorted(some, key=lambda pair: -some[pair].packets)

    def to(self, end: Endpoint) -> bool:
        return any(destination == end for _, destination in self.pairs)


NONE = Way()


class End:
    """One end of the call as shown on one side. now: its announcement in force."""

    __slots__ = ("now",)

    def __init__(self, now: Announced) -> None:
        self.now = now

    @property
    def endpoint(self) -> Endpoint:
        return self.now.host, self.now.port

    @property
    def audible(self) -> bool:
        """It announced an audio stream in both directions."""
        return bool(self.now.port and self.now.host) and not self.now.held


class Media:
    """call. since: ns, answered and all announcements made; changed: one was made anew in the call,
    as to resume it; until: ns, its end, or the end of what is known. shown: sides with counted RTP
    of any call by then; of a file with both sides, of this call. tracked: counted by the router's
    connection tracking, so packets that came but did not go through are missing. stranger: who sent
    most RTP that is in no way, on the WAN side to the phone's host, though nobody announced it and
    the phone sends nothing there: any host of the Internet can, and a NAT stops it rightly. None:
    nobody. unsure: behind the router more streams came than are counted."""

    __slots__ = ("_ends", "_ways", "call", "changed", "shown", "since", "stranger", "tracked",
                 "unsure", "until")  # fmt: skip

    def __init__(self, call: Call, ends: dict[tuple[int, bool], End],
                 ways: dict[tuple[int, bool], Way], since: int, until: int,
                 shown: frozenset[int]) -> None:  # fmt: skip
        self.call = call
        self._ends = ends
        self._ways = ways
        self.since = since
        self.until = until
        self.shown = shown
        self.stranger: Endpoint | None = None
        self.changed = self.tracked = self.unsure = False

    def end(self, side: int, caller: bool) -> End | None:
        return self._ends.get((side, caller))

    def to(self, side: int, caller: bool) -> Way:
        """RTP to the caller, or to the callee."""
        return self._ways.get((side, caller), NONE)

    @property
    def sides(self) -> list[int]:
        """Sides with audio announced by both ends."""
        return [
            s for s in (LAN, WAN, UNKNOWN) if (s, True) in self._ends and (s, False) in self._ends
        ]

    @property
    def phone_is_caller(self) -> bool:
        return self.call.inbound is False

    def near(self, side: int) -> End | None:
        """The phone's end."""
        return self.end(side, self.phone_is_caller)

    def far(self, side: int) -> End | None:
        return self.end(side, not self.phone_is_caller)

    def inbound(self, side: int) -> Way:
        """RTP to the phone."""
        return self.to(side, self.phone_is_caller)

    def outbound(self, side: int) -> Way:
        return self.to(side, not self.phone_is_caller)

    @property
    def both_talk(self) -> bool:
        """Both ends last announced RTP in both directions on every side. With ICE they may have
        chosen other endpoints, so such a call does not count."""
        sides = self.sides
        for side in sides:
            one, two = self._ends[side, True], self._ends[side, False]
            if not (one.audible and two.audible) or (one.now.ice and two.now.ice):
                return False
        return bool(sides)

    @property
    def latched(self) -> bool:
        """The far end sent to the source of the phone's RTP, not to the address in its SDP (RFC
        7362)."""
        near, pair = self.near(WAN), self.call.flow_pair
        if near is None or pair is None or near.now.host == pair.wan_host:
            return False
        return any(host == pair.wan_host for _, (host, _) in self.inbound(WAN).pairs)

    def is_dead(self, way: Way) -> bool:
        """Nothing came this way since both ends could talk."""
        return way.last <= self.since + GRACE

    def is_alive(self, way: Way) -> bool:
        """It came for long enough to have heard the other direction."""
        return way.packets >= ALIVE and way.sure >= self.since + DEAD

    def lasted(self, way: Way) -> int:
        """ns, the time it came since both ends could talk."""
        return max(0, way.sure - max(way.first, self.since))


class Counted:
    """RTP by call. table: its counter. sides: by index of the tap, UNKNOWN for a tap of both sides
    or of an unknown one. shifts: of taps whose times are moved to another clock."""

    def __init__(self, table: Table, sides: Sequence[int],
                 shifts: Sequence[Shift | None] = ()) -> None:  # fmt: skip
        self._table = table
        self._sides = list(sides)
        self._shifts = list(shifts) or [None] * len(self._sides)

    def part(self, taps: Sequence[int]) -> Counted:
        """The same for some taps; the others do not count."""
        sides = [side if tap in taps else -1 for tap, side in enumerate(self._sides)]
        return Counted(self._table, sides, self._shifts)

    def shown(self, now: int) -> frozenset[int]:
        """Sides with RTP counted up to this time (ns). The counter may be further on."""
        found = set()
        for tap, side in enumerate(self._sides):
            first = self._table.first(tap) if side >= 0 else 0
            if first and self._at(tap, first) <= now:
                found.add(side)
        return frozenset(found)

    def of(self, call: Call, now: int) -> Media | None:
        """The media of an answered call as known now (ns); None if nothing was counted, or if
        several phones answered."""
        shown = self.shown(now)
        answered = 0
        if not shown or call.unsolicited:
            return None
        until = now
        for s in call.seen:
            d = s.current
            if d is None or len(s.dialogs) != 1:
                return None
            answered = max(answered, d.established_at)
            if d.bye_at:
                until = min(until, d.bye_at)
        if not answered:
            return None
        by_end: dict[tuple[int, bool], list[Announced]] = {}
        said: dict[tuple[int, bool], list[Announced]] = {}
        for one in self._announced(call, now):
            for side, part, announces in self._placed(call, one):
                by_caller = self._by_caller(call, side, one)
                if by_caller is None:
                    continue
                if one.learned:  # the other end
                    by_caller = not by_caller
                elif announces:
                    said.setdefault((side, by_caller), []).append(part)
                by_end.setdefault((side, by_caller), []).append(part)
        ends = {key: End(_one_line(some)[-1]) for key, some in said.items()}
        streams = {(side, caller): _way(by_end, side, caller)
                   for side in (LAN, WAN, UNKNOWN) for caller in (True, False)}  # fmt: skip
        came = {side for (side, _), some in streams.items() if some}
        stranger = _put_strangers_out(call, ends, streams)
        ways = {key: Way(some) for key, some in streams.items()}
        # Perhaps only strangers are captured there.
        shown -= came - {side for (side, _), way in ways.items() if way.packets}
        if call.two_sided and UNKNOWN in shown:  # a file with both sides: take this call's own
            shown |= {side for (side, _), way in ways.items() if way.packets}
        changed = max((end.now.at for end in ends.values()), default=0)
        media = Media(call, ends, ways, max(answered, changed), until, shown)
        media.stranger = stranger
        media.unsure = any(one.more for one in by_end.get((LAN, media.phone_is_caller), ()))
        media.changed = changed > answered + GRACE
        return media

    def _announced(self, call: Call, now: int) -> Iterator[Announced]:
        for key in call.keys:
            for one in self._table.of(key):
                if self._sides[one.tap] < 0:
                    continue
                one.at = self._at(one.tap, one.at)
                for stream in one.streams:
                    stream.first = self._at(one.tap, stream.first)
                    stream.last = stream.sure = self._at(one.tap, stream.last)
                if one.at <= now:
                    yield one

    def _at(self, tap: int, at: int) -> int:
        shift = self._shifts[tap]
        return at if shift is None else shift(at)

    def _placed(self, call: Call, one: Announced) -> list[tuple[int, Announced, bool]]:
        """The sides of an announcement: (side, it with the streams there, it was announced there).

        In a file with both sides, the address of the phone, or its WAN address by the NAT, tells
        the side of a stream. An announcement of the far end is the same on both sides.
        """
        side, pair = self._sides[one.tap], call.flow_pair
        if side != UNKNOWN or not call.two_sided:
            return [(side, one, True)]
        if pair is None or pair.phone == pair.wan_host:
            return []
        placed = []
        for side, host in ((LAN, pair.phone), (WAN, pair.wan_host)):
            part = one.between([s for s in one.streams if host in (one.host, s.host)])
            announces = one.source == host or one.source not in (pair.phone, pair.wan_host)
            placed.append((side, part, announces))
        return placed

    @staticmethod
    def _by_caller(call: Call, side: int, one: Announced) -> bool | None:
        s = call.sides[side]
        d = s.current if s is not None else None
        if s is None or d is None or not one.sender:
            return None
        if one.sender == s.caller_tag:
            return True
        return False if one.sender == d.callee_tag else None


def _one_line(some: list[Announced]) -> list[Announced]:
    """The announcements of the first audio line with a port: more than one line is rare."""
    taken = next((one.index for one in some if one.port), some[0].index)
    return [one for one in some if one.index == taken]


def _put_strangers_out(call: Call, ends: dict[tuple[int, bool], End],
                       streams: dict[tuple[int, bool], Streams]) -> Endpoint | None:  # fmt: skip
    """Leave out RTP that anybody may have sent into a call with both sides: on its way out from
    another host than the phone's, on its way in to another one, or from where neither the far end
    announced, nor the phone sends to, nor RTP comes on the other side. Returns the stranger of
    Media."""
    pair, phone = call.flow_pair, call.inbound is False
    if not call.two_sided or pair is None:
        return None
    came = {side: {source for source, _ in streams[side, phone]} for side in (LAN, WAN)}
    strange: Streams = {}
    for side, host in ((LAN, pair.phone), (WAN, pair.wan_host)):
        near, far = ends.get((side, phone)), ends.get((side, not phone))
        hosts = {host, near.now.host if near is not None else host}
        out = {ends: s for ends, s in streams[side, not phone].items() if ends[0][0] in hosts}
        known = came[WAN if side == LAN else LAN] | {to for _, to in out}
        if far is not None:
            known.add(far.endpoint)
        came_in = {ends: s for ends, s in streams[side, phone].items() if ends[1][0] in hosts}
        strange = {ends: s for ends, s in came_in.items() if ends[0] not in known}  # the WAN's stay
        streams[side, not phone] = out
        streams[side, phone] = {ends: s for ends, s in came_in.items() if ends not in strange}
    return max(strange, key=lambda ends: strange[ends].packets)[0] if strange else None


def _way(by_end: dict[tuple[int, bool], list[Announced]], side: int, caller: bool) -> Streams:
    """RTP to one end, as counted at its own announcement and at the other end's. The same packet is
    in both counts, so the larger number holds."""
    to_it = _streams(by_end.get((side, caller), ()), True)
    from_other = _streams(by_end.get((side, not caller), ()), False)
    for pair, stream in from_other.items():
        known = to_it.get(pair)
        if known is None:
            to_it[pair] = stream
        else:
            to_it[pair] = _merged(known, stream, max)
    return to_it


def _streams(some: Sequence[Announced], inwards: bool) -> Streams:
    found: Streams = {}
    for one in some:
        own = one.host, one.port
        for s in one.streams:
            if s.inwards is not inwards:
                continue
            other = s.host, s.port
            pair = (other, own) if inwards else (own, other)
            known = found.get(pair)
            found[pair] = s if known is None else _merged(known, s, int.__add__)
    return found


def _merged(a: Stream, b: Stream, count: Callable[[int, int], int]) -> Stream:
    return Stream(
        a.host, a.port, a.inwards, count(a.packets, b.packets), count(a.octets, b.octets),
        min(a.first, b.first), max(a.last, b.last), max(a.sure, b.sure),
    )  # fmt: skip
