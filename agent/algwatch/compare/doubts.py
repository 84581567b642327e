# SPDX-License-Identifier: Apache-2.0
"""Doubts: messages that may be another host's, until pairing tells whether they crossed.

Anybody on a side of the router can write a response to a request, or a request of a call, and one
side knows both by their names alone. A message is in doubt unless it goes the way of its request,
or of the INVITE of its call: between the same two ends, in the direction that leads there. It
counts once it has crossed. If it has not, and its request or call has, it counts only between their
hosts, because the router may have stopped it; a neighbour's does not count.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

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
    TXN,
    Row,
    Sighting,
    came_in,
)
from algwatch.base.table import Table
from algwatch.compare.call import Call
from algwatch.compare.crossing import Crossing, Same
from algwatch.sip.doubt import Asked, Doubt, way
from algwatch.sip.side import Side
from algwatch.sip.step import Step
from algwatch.sip.timers import WINDOW
from algwatch.sip.transaction import Transaction

PART = 16  # of the bytes kept, this part may be in doubt on a side
MOST = 1 << 20  # bytes


class Doubts:
    """calls: by the hash of the Call-ID. memory: bytes of messages kept, 0: nothing is held. heard:
    called with the steps of what counts after all. held: messages in doubt,
    and those of a call behind them, in order, with True once known to have no other copy."""

    def __init__(self, calls: Table[int, Call], sides: list[Side], memory: int,
                 heard: Callable[[Side, list[Step]], None]) -> None:  # fmt: skip
        self._calls = calls
        self._heard = heard
        self._sides = sides
        self._of: list[Doubt] = []
        self.held: dict[Sighting, bool] = {}
        self._stopped: set[int] = set()  # calls whose INVITE just proved to have no other copy
        for side in (LAN, WAN):
            doubt = sides[side].transactions.doubt = Doubt(
                self._asked(side), min(memory // PART, MOST)
            )
            self._of.append(doubt)

    def settle(self, now: int, crossings: Sequence[Crossing | Same] = ()) -> None:
        """Tell the steps of messages that count after all. crossings: new ones; now: ns, pairing
        has passed it."""
        for doubt in self._of:
            if doubt.fresh:
                self.held.update(dict.fromkeys(doubt.fresh, False))
                doubt.fresh.clear()
        if not self.held:
            return
        for crossing in crossings:
            if isinstance(crossing, Crossing) and crossing.flow_pair is None:
                row = crossing.entered.row
                if row[METHOD] == INVITE and not row[STATUS]:
                    self._stopped.add(row[CALL])
                if crossing.entered in self.held:
                    self.held[crossing.entered] = True
        blocked = set()  # a message waits for those of its call before it
        for copy, alone in list(self.held.items()):
            side, call = self._sides[copy.side], (copy.side, copy.row[CALL])
            if call in blocked:
                continue
            known = copy.paired or alone or copy.row[AT] + WINDOW < now
            early = not copy.paired and now <= copy.row[AT] + 3 * WINDOW and self._is_early(copy)
            if (early or not known) and side.transactions.doubts(copy):
                blocked.add(call)
                continue
            del self.held[copy]
            self._of[copy.side].release(copy)
            doubtful = (
                (alone or now == NEVER) and not copy.paired and side.transactions.doubts(copy)
            )
            if not doubtful or self._may_be_stopped(copy):
                self._heard(side, side.believe(copy))
        self._stopped.clear()

    def _is_early(self, copy: Sighting) -> bool:
        """The INVITE of its call has crossed, and the call is still to be told."""
        call = self._calls.get(copy.row[CALL])
        if call is None or call.paired:
            return False
        return any(s.request is not None and s.request.paired > 0 for s in call.seen)

    def _asked(self, side: int) -> Asked:
        def is_doubtful(row: Row, ends: bytes, t: Transaction | None) -> bool:
            if t is None:
                t = self._invite(row, side)
                if t is None:
                    return False
                if _goes(row, ends, t, back=False) or _goes(row, ends, t, back=True):
                    return False
            elif _goes(row, ends, t, back=True):
                t.way_back = way(row)
                return False
            return True

        return is_doubtful

    def _invite(self, row: Row, side: int) -> Transaction | None:
        """The INVITE of this call on that side."""
        call = self._calls.get(row[CALL])
        s = call.sides[side] if call is not None else None
        t = s.invite if s is not None else self._of[side].invites.get(row[CALL])
        return t if t is not None and t.flow else None

    def _may_be_stopped(self, copy: Sighting) -> bool:
        """False for a message alone of no host of its request or call, if it is known what became
        of these, or if one like it came as it has to come."""
        row, ends = copy.row, copy.packed_ends
        call = self._calls.get(row[CALL])
        if not row[STATUS]:
            known = call is not None and (call.paired or self._is_stopped(call))
            return call is None or not known or self._is_of_call(copy, call)
        t = self._sides[copy.side].transactions.table.get(row[TXN] ^ row[CALL])
        if t is None or not self._is_known(t, call):
            return True
        if ends[16:32] != t.ends[:16] or _same_way(row, t) or t.way_back or self._has_right(copy):
            return False
        inbound = _is_inbound(t, call, copy.side)
        if inbound is False and copy.side == WAN:
            return True
        # Nothing stops a response behind the router: a neighbour sent it, or the router itself.
        stopped = inbound is not False or bool(row[BITS] & ROW_DIRECTED)
        return stopped and ends[:16] == t.ends[16:32]

    def _is_stopped(self, call: Call) -> bool:
        """Its INVITE did not cross."""
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
        row, transactions = copy.row, self._sides[copy.side].transactions
        for other in self.held:
            theirs = other.row
            if (
                theirs[CALL] == row[CALL]
                and other.side == copy.side
                and theirs[METHOD] == row[METHOD]
                and bool(theirs[STATUS]) is bool(row[STATUS])
                and (other.paired or not transactions.doubts(other))
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
            return False
        if came_in(copy) and source in (beyond if lan else near):
            return False  # the router sends what comes from there
        if lan:
            elsewhere = target not in near and address.in_one_network(source, target, ends[47])
            return source in near and (not elsewhere or _is_first(row))
        # The far end may have another host, too.
        return (source in near or target in near) and not self._has_right(copy)


def _is_first(row: Row) -> bool:
    """True for an INVITE outside a dialog."""
    return row[METHOD] == INVITE and not row[TO_TAG]


def _goes(row: Row, ends: bytes, t: Transaction, back: bool) -> bool:
    """True if a message goes the way of a request, or back."""
    was = t.ends
    there = was[:32] + was[40:44]
    if back:
        there = was[16:32] + was[:16] + was[42:44] + was[40:42]
    if ends[:32] + ends[40:44] != there:
        return False
    return not row[BITS] & t.bits & ROW_DIRECTED or _same_way(row, t) is not back


def _same_way(row: Row, t: Transaction) -> bool:
    """True if both surely came in, or both went out."""
    if not row[BITS] & t.bits & ROW_DIRECTED:
        return False
    return not (row[BITS] ^ t.bits) & ROW_OUTGOING


def _is_inbound(t: Transaction, call: Call | None, side: int) -> bool | None:
    """True if the request went into the LAN; None: not known."""
    if t.request is not None:
        return bool(t.copy) == (side == LAN)
    if call is None or call.inbound is None:
        return None
    s = call.sides[side]
    return call.inbound == (s is None or t.from_tag == s.caller_tag)
