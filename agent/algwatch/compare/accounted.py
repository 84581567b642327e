# SPDX-License-Identifier: Apache-2.0
"""Accounted: the RTP of calls as counted by the router's connection tracking, live.

Reading the table of connections takes time, so the reads of a call are few: a second after its
answer, at the first time a direction can be called dead, two seconds later, and after its BYE. The
counters cover the time between reads. They begin with the flow, not with the call: the count of an
earlier call on the same ports is subtracted.

An entry has the addresses of a flow on both sides and its packets both ways, as they came to the
router. A packet without an entry is not in the table. So the table shows that nothing came through,
never the place of the loss.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

from algwatch.base.packet import LAN, WAN
from algwatch.base.rtp import Announced, Stream
from algwatch.base.table import Table as Bounded
from algwatch.base.tracked import Counter, Endpoint, Tracked
from algwatch.compare.call import Call
from algwatch.compare.flow_pair import FlowPair
from algwatch.compare.media import DEAD, GRACE, Counted, Media, Shift, Table
from algwatch.sip.timers import SECOND

AGAIN = 2 * SECOND  # a live direction goes on for this time
SCAN = SECOND // 5  # between two searches for due calls
MOST_CALLS = 32  # for one read; other calls have the next one
MOST_FLOWS = 8  # of a call
KEPT = 5  # looks
MOST_OLD = 256  # flows with remembered counters, for the next call on the same ports
OLD = 30 * SECOND  # the kernel forgets no flow sooner (nf_conntrack_udp_timeout)
_SIDES = frozenset((LAN, WAN))
_HEADERS = {4: 28, 6: 48}  # bytes of IP and UDP in front of RTP

Pair = tuple[Endpoint, Endpoint]
Ends = dict[int, Pair]


class Flow:
    """One entry of a call. ends: by side its (near, far) endpoint; near is the phone's. before:
    counters (out, in) from before the call; looks: (ns, out, in), the first and the latest ones."""

    __slots__ = ("before", "ends", "looks")

    def __init__(self, ends: Ends, before: tuple[Counter, Counter]) -> None:
        self.ends = ends
        self.before = before
        self.looks: list[tuple[int, Counter, Counter]] = []

    @property
    def is_still(self) -> bool:
        """No packet was counted between the first look and the latest."""
        return len(self.looks) > 1 and self.looks[0][1:] == self.looks[-1][1:]

    def add(self, at: int, out: Counter, into: Counter) -> bool:
        """False if it is another flow with the same addresses."""
        last = self.looks[-1] if self.looks else (0, *self.before)
        if out[0] < last[1][0] or into[0] < last[2][0]:
            return False
        del self.looks[1 : 1 - KEPT]
        self.looks.append((at, out, into))
        return True

    def stream(self, side: int, inwards: bool) -> Stream | None:
        """RTP between the phone's end and the far one on this side; None without any. Packets
        counted by the first look came at an unknown time before it."""
        looks = [(at, into if inwards else out) for at, out, into in self.looks]
        packets, octets = looks[-1][1]
        first, last, sure = looks[0][0], looks[0][0], 0
        if packets > looks[0][1][0]:
            packets, octets = packets - looks[0][1][0], octets - looks[0][1][1]
            k = next(k for k in range(len(looks) - 1, 0, -1) if looks[k][1] > looks[k - 1][1])
            last, sure = looks[k][0], looks[k - 1][0]
        else:
            old = self.before[inwards]
            packets, octets = packets - old[0], octets - old[1]
        if not packets:
            return None
        host, port = self.ends[side][1]
        octets -= packets * _HEADERS[6 if ":" in host else 4]
        return Stream(host, port, inwards, packets, max(0, octets), first, last, sure)


class Talk:
    """The known media of one call. changed: ns, the latest change of its SDP; looks: ns, the reads
    of the table since then. strange: its flows are ambiguous."""

    __slots__ = ("changed", "flows", "looks", "strange")

    def __init__(self, changed: int) -> None:
        self.changed = changed
        self.flows: dict[tuple[Pair, Pair], Flow] = {}
        self.looks: list[int] = []
        self.strange = False


class Accounted(Counted):
    """table: the announcements (base.native.rtp.Rtp). sides: by tap. clock: converts kernel time
    stamps (ns) to packet time. Use: ask wanted(), read the table of connections, call looked().
    followed: returns the followed calls. offloaded: packets bypass the counters, so nothing is
    read."""

    def __init__(self, table: Table, sides: Sequence[int], clock: Shift) -> None:
        super().__init__(table, sides)
        self._clock = clock
        self._talks: dict[int, Talk] = {}
        self._asked: list[Call] = []
        self._scan_at = 0
        self.followed: Callable[[], Sequence[Call]] = list
        self.offloaded = False
        self._old: Bounded[tuple[Pair, Pair], tuple[int, Counter, Counter]] = Bounded(MOST_OLD)

    def shown(self, now: int) -> frozenset[int]:
        return _SIDES

    def wanted(self, now: int) -> frozenset[int]:
        """UDP ports of the media of calls due now (ns): read their counters, then call looked().
        Mostly empty."""
        if now < self._scan_at or self.offloaded:
            return frozenset()
        self._scan_at = now + SCAN
        calls = self.followed()
        keys = {call.key for call in calls}
        for key in [key for key in self._talks if key not in keys]:
            del self._talks[key]
        self._asked = []
        ports: set[int] = set()
        for call in calls:
            if len(self._asked) < MOST_CALLS and self._is_due(call, now):
                mine = {one.port for one in self._said(call) if one.port}
                if mine:
                    self._asked.append(call)
                    ports |= mine | self._used(call)
                else:  # nothing to read this time
                    self._talks.setdefault(call.key, Talk(0)).looks.append(now)
        return frozenset(ports)

    def looked(self, began: int, found: Sequence[Tracked]) -> None:
        """The flows found by a read. began: ns, the start of this read."""
        for call in self._asked:
            said, pair = list(self._said(call)), call.flow_pair
            if not said or pair is None:
                continue
            changed = max(one.at for one in said)
            talk = self._talks.get(call.key)
            if talk is None or talk.changed != changed:
                talk = self._talks[call.key] = Talk(changed)
            if began > changed:
                self._take(talk, said, pair, found)
                talk.looks = [*talk.looks[1 - KEPT :], began]
        self._asked = []

    def of(self, call: Call, now: int) -> Media | None:
        """As Counted.of(), up to the last read of the table; None if this shows nothing."""
        talk = self._talks.get(call.key)
        if talk is None or talk.strange or not talk.looks:
            return None
        media = super().of(call, now)
        if media is not None:
            media.tracked = True
            media.until = min(media.until, talk.looks[-1])
        return media

    # ---- when to look ----

    def _is_due(self, call: Call, now: int) -> bool:
        if call.flow_pair is None:
            return False
        since = until = 0
        for s in call.seen:
            d = s.current
            if d is None or not d.answered_at or len(s.dialogs) != 1:
                return False
            since = max(since, d.answered_at)
            until = max(until, d.bye_at)
        talk = self._talks.get(call.key)
        looks = [at for at in talk.looks if at >= since] if talk is not None else []
        if until:
            return not looks or looks[-1] < until
        due = (since + GRACE, since + DEAD, looks[-1] + AGAIN if looks else 0)
        return len(looks) < len(due) and now >= due[len(looks)]

    # ---- announcements ----

    def _said(self, call: Call) -> Iterator[Announced]:
        for key in call.keys:
            for one in self._table.of(key):
                if not one.learned:
                    one.at = self._clock(one.at)
                    one.streams = []
                    yield one

    def _announced(self, call: Call, now: int) -> Iterator[Announced]:
        """Announced media, and the phone's end of each flow, with the packets counted."""
        said, pair, talk = list(self._said(call)), call.flow_pair, self._talks.get(call.key)
        yield from said
        if pair is None or talk is None:
            return
        far = {self._sides[one.tap]: one for one in said if not _is_near(one, pair)}  # the latest
        for flow in talk.flows.values():
            if flow.is_still and all(flow.ends[s][1] != (a.host, a.port) for s, a in far.items()):
                continue  # of an earlier call or offer, from the same port of the phone
            for side, one in far.items():
                some = [flow.stream(side, inwards) for inwards in (True, False)]
                streams = [stream for stream in some if stream is not None]
                if streams:
                    host, port = flow.ends[side][0]
                    yield Announced(one.tap, one.at, one.sender, one.source, host, port, 0, False,
                                    False, one.index, streams, learned=True)  # fmt: skip

    # ---- flows ----

    def _take(self, talk: Talk, said: list[Announced], pair: FlowPair,
              found: Sequence[Tracked]) -> None:  # fmt: skip
        # A phone that announces another endpoint (STUN) is known by its packets to the far end.
        near = {flow.ends[LAN][0] for flow in talk.flows.values()}
        far: dict[int, set[Endpoint]] = {LAN: set(), WAN: set()}
        hosts = {pair.phone}
        for one in said:
            side = self._sides[one.tap]
            if not _is_near(one, pair):
                far[side].add((one.host, one.port))
            elif side == LAN and (one.host != pair.wan_host or pair.phone == pair.wan_host):
                near.add((one.host, one.port))
                hosts.add(one.host)
        for entry in found:
            placed = _placed(entry, near, hosts, far)
            if placed is None:
                continue
            outbound, ends = placed
            if (
                entry.sent is None or entry.answered is None or entry.offloaded
                or ends[WAN][0][0] != pair.wan_host  # another line, or the router itself
                or len(talk.flows) > MOST_FLOWS
            ):  # fmt: skip
                talk.strange = True
                return
            out, into = entry.sent, entry.answered
            if not outbound:
                out, into = into, out
            key = entry.original, entry.reply
            flow = talk.flows.get(key)
            if flow is None:
                flow = talk.flows[key] = Flow(ends, self._before(talk, key, out, into))
            if not flow.add(entry.at, out, into):
                talk.strange = True
            self._old.add(key, (entry.at, out, into))

    def _used(self, call: Call) -> set[int]:
        """Source ports of the phone's packets."""
        talk = self._talks.get(call.key)
        return {flow.ends[LAN][0][1] for flow in talk.flows.values()} if talk is not None else set()

    def _before(self, talk: Talk, key: tuple[Pair, Pair], out: Counter,
                into: Counter) -> tuple[Counter, Counter]:  # fmt: skip
        """The counters (out, in) of a flow before the call, as far as known."""
        old = self._old.get(key)
        if old is None or not talk.changed - OLD <= old[0] < talk.changed:
            return (0, 0), (0, 0)
        return old[1:] if old[1] <= out and old[2] <= into else ((0, 0), (0, 0))


def _is_near(one: Announced, pair: FlowPair) -> bool:
    """The phone announced it."""
    return one.source in (pair.phone, pair.wan_host)


def _placed(entry: Tracked, near: set[Endpoint], hosts: set[str],
            far: dict[int, set[Endpoint]]) -> tuple[bool, Ends] | None:  # fmt: skip
    """(the phone's side sent the first packet, the ends by side) of a flow of this call; None for
    any other flow."""
    (source, destination), (other, back) = entry.original, entry.reply
    if source in near or (source[0] in hosts and destination in far[LAN]):
        return True, {LAN: (source, destination), WAN: (back, other)}
    if other in near or (other[0] in hosts and source in far[WAN]):
        return False, {LAN: (other, back), WAN: (destination, source)}
    return None
