# SPDX-License-Identifier: Apache-2.0
"""Doubts: messages that may be another host's, until pairing tells whether they crossed.

Anybody on a side of the router can write a response to a request, or a request of a call, and one
side knows both by their names alone. A message is in doubt unless it goes the way of its request,
or of the INVITE of its call: between the same two ends, in the direction that leads there. It
counts once it has crossed. If it has not, and its request or call has, it counts only between their
hosts, because the router may have stopped it; a neighbour's does not count.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence
from heapq import heapify, heappop, heappush

from algwatch.base import address
from algwatch.base.deadlines import NEVER
from algwatch.base.native.layout import CANCEL, INVITE, ROW_DIRECTED, ROW_OUTGOING
from algwatch.base.packet import LAN, WAN
from algwatch.base.sighting import (
    AT,
    BITS,
    CALL,
    METHOD,
    STATUS,
    TO_TAG,
    Row,
    Sighting,
    came_in,
)
from algwatch.base.table import Table
from algwatch.compare.call import Call
from algwatch.compare.calls import Calls
from algwatch.compare.crossing import Crossing, Usual
from algwatch.sip.doubt import Doubt, same_way
from algwatch.sip.side import Side
from algwatch.sip.step import Step
from algwatch.sip.timers import WINDOW
from algwatch.sip.transaction import Transaction

PART = 16  # of the bytes kept, this part may be in doubt on a side
MOST = 1 << 20  # bytes
BESIDE = 64  # messages of neighbours


class Doubts:
    """memory: bytes of messages kept, 0: nothing is held. heard: called with the steps of what
    counts after all. fresh: messages left out since settle(). held: those not released, in order,
    with True once known to have no other copy. Their crossings wait with them: whoever is told one
    asks the two sides about its messages. beside: the LAN host that sent a message which did not
    count, by Call-ID, method, and whether it is a response."""

    def __init__(self, calls: Calls, sides: list[Side], memory: int,
                 heard: Callable[[Side, list[Step]], None]) -> None:  # fmt: skip
        self._queued = calls
        self._calls = calls.table
        self._heard = heard
        self._sides = sides
        self._of: list[Doubt] = []
        self.fresh: list[Sighting] = []
        self.held: dict[Sighting, bool] = {}
        # The same by side and Call-ID, each with its place in held: one in doubt stops its queue.
        self._queues: dict[tuple[int, int], deque[tuple[int, Sighting]]] = {}
        self._place = 0
        self._waiting: list[Crossing | Usual] = []
        self.beside: Table[tuple[int, int, bool], str] = Table(BESIDE)
        self._stopped: set[int] = set()  # calls with a message just known to have no copy
        for side in (LAN, WAN):
            transactions, dialogs = sides[side].transactions, sides[side].dialogs.table
            room = min(memory // PART, MOST)
            transactions.doubt = Doubt(transactions.table, dialogs, self.fresh, room)
            self._of.append(transactions.doubt)

    def settle(self, now: int, crossings: Sequence[Crossing | Usual] = ()) -> None:
        """Tell the steps of messages that count after all. crossings: new ones; now: ns, pairing
        has passed it."""
        if self.fresh:
            for copy in self.fresh:
                self.held[copy] = False
                self._place += 1
                queue = self._queues.setdefault((copy.side, copy.row[CALL]), deque())
                queue.append((self._place, copy))
            self.fresh.clear()
        for crossing in crossings:
            if isinstance(crossing, Crossing) and crossing.flow_pair is None:
                self._stopped.add(crossing.entered.row[CALL])
                if crossing.entered in self.held:
                    self.held[crossing.entered] = True
        told = False
        heads = [(queue[0][0], key) for key, queue in self._queues.items()]
        heapify(heads)
        while heads:
            _, key = heappop(heads)
            queue = self._queues[key]
            copy = queue[0][1]
            alone, doubt = self.held[copy], self._of[copy.side]
            known = copy.paired or alone or copy.row[AT] + WINDOW < now
            early = not copy.paired and now <= copy.row[AT] + 3 * WINDOW and self._is_early(copy)
            waits = (early or not known) and copy.row[CALL] not in doubt.spilled
            if waits and doubt.doubts(copy):
                continue  # a message waits for those of its call before it
            del self.held[copy]
            queue.popleft()
            if queue:
                heappush(heads, (queue[0][0], key))
            else:
                del self._queues[key]
            doubt.release(copy, not queue)
            doubtful = (alone or now == NEVER) and not copy.paired and doubt.doubts(copy)
            if not doubtful or self._may_be_stopped(copy):
                side = self._sides[copy.side]
                self._heard(side, side.believe(copy))
                told = True
            elif copy.side == LAN and not self._is_of_far_end(copy):
                row = copy.row
                self.beside.add((row[CALL], row[METHOD], bool(row[STATUS])), copy.ends.src)
        self._stopped.clear()
        for doubt in self._of:
            doubt.spilled.clear()
        if told:
            self._queued.sort()
            for side in self._sides:
                side.transactions.sort()

    def _is_of_far_end(self, copy: Sighting) -> bool:
        """Its source is the other end of the call, beyond the router."""
        call = self._calls.get(copy.row[CALL])
        pairs = call.flow_pairs.values() if call is not None else ()
        return any(pair.outside[18:34] == copy.packed_ends[:16] for pair in pairs)

    def ready(self, crossings: Sequence[Crossing | Usual] = ()) -> list[Crossing | Usual]:
        """Those of the waiting crossings and of these whose messages count or are left out."""
        every = [*self._waiting, *crossings]
        ready: list[Crossing | Usual] = []
        self._waiting = []
        for one in every:
            held = not self.held.keys().isdisjoint(_copies(one))
            (self._waiting if held else ready).append(one)
        return ready

    def _is_early(self, copy: Sighting) -> bool:
        """The INVITE of its call has crossed, and the call is still to be told."""
        call = self._calls.get(copy.row[CALL])
        if call is None or call.paired:
            return False
        return any(s.request is not None and s.request.paired > 0 for s in call.seen)

    def _may_be_stopped(self, copy: Sighting) -> bool:
        """False for a message alone of no host of its request or call, if it is known what became
        of these, or if one like it came as it has to come."""
        row, ends = copy.row, copy.packed_ends
        call = self._calls.get(row[CALL])
        if not row[STATUS]:
            return call is None or self._is_of_call(copy, call)
        t = self._of[copy.side].asked(row)
        if t is None or not self._is_known(t, call):
            return True
        if ends[16:32] != t.ends[:16] or same_way(row, t) or self._has_right(copy):
            return False
        # After a provisional response that came as it has to come, the final one may be stopped.
        if t.way_back[0] and t.final_flow == t.way_back[0]:
            return False
        inbound = _is_inbound(t, call, copy.side)
        if inbound is False and copy.side == WAN:
            return True
        # Nothing stops a response behind the router: a neighbour sent it, or the router itself.
        stopped = inbound is not False or bool(row[BITS] & ROW_DIRECTED)
        return stopped and ends[:16] == t.ends[16:32]

    def _is_stopped(self, call: Call) -> bool:
        """Its INVITE, the first of its messages, did not cross."""
        return "INVITE" in call.unpaired or not self._stopped.isdisjoint(call.keys)

    def _is_known(self, t: Transaction, call: Call | None) -> bool:
        """The request crossed this router, or should have."""
        asked = t.request
        if asked is not None and asked.paired > 0:
            return True
        if asked is None and call is not None and call.paired:
            return True
        if address.in_one_network(t.ends[:16], t.ends[16:32], t.ends[47]):
            return False
        return t.unpaired or (asked is None and call is not None and self._is_stopped(call))

    def _has_right(self, copy: Sighting) -> bool:
        """Another message of this kind, held behind this one, crossed or is not in doubt itself."""
        row, doubt = copy.row, self._of[copy.side]
        for _, other in self._queues.get((copy.side, row[CALL]), ()):
            theirs = other.row
            if (
                theirs[METHOD] == row[METHOD]
                and bool(theirs[STATUS]) is bool(row[STATUS])
                and (other.paired or not doubt.doubts(other))
            ):
                return True
        return False

    def _is_of_call(self, copy: Sighting, call: Call) -> bool:
        s, pairs = call.sides[copy.side], call.flow_pairs.values()
        if s is None or s.invite is None or not s.invite.flow:
            return True
        row, ends, lan = copy.row, copy.packed_ends, copy.side == LAN
        source, target = ends[:16], ends[16:32]
        asked = [t.ends for t in (s.invite, *s.branches.values()) if t.flow]
        beyond = {pair.outside[18:34] for pair in pairs}
        if not pairs:  # its INVITE did not cross
            out = s.invite.bits & ROW_OUTGOING if call.inbound is None else call.inbound is lan
            if address.in_one_network(asked[0][:16], asked[0][16:32], asked[0][47]):
                return True
            beyond = {one[:16] if out else one[16:32] for one in asked}
        near = {pair.inside[:16] if lan else pair.outside[:16] for pair in pairs}
        near |= {host for one in asked for host in (one[:16], one[16:32])} - beyond
        if row[METHOD] == CANCEL:  # it goes the way of its INVITE (RFC 3261 section 9.1)
            there = not row[BITS] & s.invite.bits & ROW_DIRECTED or same_way(row, s.invite)
            was = s.invite.ends
            return there and ends[:32] + ends[42:44] == was[:32] + was[42:44]
        if came_in(copy) and source in (beyond if lan else near):
            return False  # the router sends what comes from there
        if lan:
            elsewhere = target not in near and address.in_one_network(source, target, ends[47])
            return source in near and (not elsewhere or _is_first(row))
        # The far end may have another host, too.
        return (source in near or target in near) and not self._has_right(copy)


def _copies(crossing: Crossing | Usual) -> tuple[Sighting, Sighting]:
    if isinstance(crossing, tuple):
        return crossing[1:]
    return crossing.entered, crossing.left


def _is_first(row: Row) -> bool:
    """True for an INVITE outside a dialog."""
    return row[METHOD] == INVITE and not row[TO_TAG]


def _is_inbound(t: Transaction, call: Call | None, side: int) -> bool | None:
    """True if the request went into the LAN; None: not known."""
    if t.request is not None:
        return bool(t.copy) == (side == LAN)
    if call is None:
        return None
    if call.inbound is None:  # an INVITE on one side alone came in there
        return side == WAN if call.sides[1 - side] is None else None
    s = call.sides[side]
    return call.inbound == (s is None or t.from_tag == s.caller_tag)
