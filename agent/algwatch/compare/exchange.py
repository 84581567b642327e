# SPDX-License-Identifier: Apache-2.0
"""Exchange: a request other than INVITE and ACK, and its response, on both sides of the router.

Only made for failed requests: a healthy request costs a link between its two transactions.
"""

from __future__ import annotations

from algwatch.base import address
from algwatch.base.deadlines import NEVER, Deadlines, Waiting
from algwatch.base.native.layout import ACK, INVITE, METHOD_NAMES, OPTIONS
from algwatch.base.packet import LAN, UNKNOWN, WAN
from algwatch.base.sighting import (
    AT,
    CALL,
    FLOW,
    METHOD,
    STATUS,
    TXN,
    Sighting,
    are_copies,
)
from algwatch.compare.call import Call
from algwatch.compare.crossing import Crossing
from algwatch.compare.line import FOLLOWS_PHONE, Line
from algwatch.compare.lines import Lines
from algwatch.sip.anew import is_awaited
from algwatch.sip.message import Message, parties
from algwatch.sip.qualify import Asked
from algwatch.sip.side import Side
from algwatch.sip.timers import ROUND, T4, WINDOW
from algwatch.sip.transaction import UDP, Transaction

TWICE = 2  # copies of a request

Failed = tuple[Transaction, int]  # with its side


class Exchange:
    """sides: its transaction as LAN, WAN and UNKNOWN saw it. outbound: the request went from the
    LAN to the WAN; None with one side only. line: of the phone and the provider, if known. asked:
    for OPTIONS the history of its flow, else None.
    """

    __slots__ = ("asked", "line", "outbound", "sides", "two_sided")

    def __init__(self, entered: Transaction, side: int, two_sided: bool) -> None:
        self.two_sided = two_sided
        self.sides: list[Transaction | None] = [None, None, None]
        self.sides[side] = entered
        self.outbound: bool | None = side == LAN if side != UNKNOWN and two_sided else None
        if entered.forwarded is not None:
            self.sides[WAN if side == LAN else LAN] = entered.forwarded
        self.line: Line | None = None
        self.asked: Asked | None = None

    @property
    def entered(self) -> Transaction:
        """The transaction on the side the request came from."""
        order = (UNKNOWN, LAN, WAN) if self.outbound is not False else (WAN, LAN)
        return next(t for t in map(self.sides.__getitem__, order) if t is not None)

    @property
    def left(self) -> Transaction | None:
        """The transaction on the other side; None if the request never came there."""
        return self.entered.forwarded

    @property
    def request(self) -> Sighting | None:
        return self.entered.request

    @property
    def method(self) -> str:
        return METHOD_NAMES[self.entered.method]

    @property
    def unpaired(self) -> bool:
        """The request is proved never to have reached the other side."""
        return self.entered.unpaired

    @property
    def status(self) -> int:
        """Status of the final response to the sender of the request, 0 without one."""
        return self.entered.status

    @property
    def stopped_response(self) -> Sighting | None:
        """A response that came to this router and never reached the sender of the request."""
        left = self.left
        if left is None or not left.finals or self.entered.finals:
            return None
        return left.response

    @property
    def settled(self) -> bool:
        """A response is on the other side alone, and the request, over UDP, was not sent again
        after it. It is sent again until a response comes (Timer E, RFC 3261 section 17.1.2.2), so
        its sender has this one, and it was not captured on its side. Two copies may be answered
        each; a sender of more of them has given up."""
        t, left, response = self.entered, self.left, self.stopped_response
        if left is None or response is None or response.ends.proto != UDP or t.waited_out:
            return False
        each = left.finals == t.requests == TWICE
        return each or t.last_at < response.row[AT] + ROUND

    @property
    def answered_alike(self) -> bool:
        """The first final responses of both sides are copies of one message."""
        return self.left is not None and are_copies(self.entered.response, self.left.response)

    @property
    def half_captured(self) -> bool:
        """The response is on one side alone, over TCP. TCP sends again what the router does not let
        through, so the other capture lost it, or a program on the router keeps the connection."""
        response = self.stopped_response
        return response is not None and response.ends.proto != UDP

    @property
    def strayed_response(self) -> Sighting | None:
        """A response that reached the sender of the request, or its side of the router, with
        another Via than the request's. The sender discards it (RFC 3261 section 18.1.2)."""
        return self.entered.response if not self.entered.finals else None

    @property
    def call_id(self) -> str:
        return parties(self.request.payload)[0] if self.request is not None else ""


class Exchanges:
    """Links the two transactions of a crossing request, and keeps failed ones until the failure is
    certain: a copy changed by the router waits two windows for a contradiction, and a refused one
    that is to be sent anew T4 for that. sides: LAN and WAN."""

    def __init__(self, sides: list[Side], lines: Lines, two_sided: bool) -> None:
        self._tables = [side.transactions.table for side in sides]
        limit = sum(table.limit for table in self._tables)
        self._failed: Deadlines[Failed] = Deadlines(2 * WINDOW, limit, self._living)
        self._refused: Deadlines[Failed] = Deadlines(T4, limit, self._awaited)
        self._anew = [side.anew for side in sides]
        self._qualify = [side.qualify.table for side in sides]
        self._lines = lines
        self._two_sided = two_sided

    def cross(self, crossing: Crossing) -> None:
        """The crossing of a first request, or of an unpaired one."""
        row = crossing.entered.row
        if row[STATUS] or row[METHOD] == INVITE or row[METHOD] == ACK:
            return
        if crossing.flow_pair is not None:
            self.forwarded(crossing.entered, crossing.left)
            return
        entered = self.transaction(crossing.entered)
        if entered is not None:
            entered.unpaired = entered.forwarded is None

    def forwarded(self, came: Sighting, went: Sighting) -> None:
        """Both copies of a request that is no INVITE or ACK."""
        entered = self.transaction(came)
        if entered is None or entered.forwarded is not None:
            return
        left = self.transaction(went)
        if left is not None and left is not entered:
            entered.forwarded = left
            left.copy = True
            _crossed(entered, came)
            _crossed(left, went)
            left.owner = entered.ends[:16]
            entered.unpaired = False

    def invited(self, call: Call, crossing: Crossing) -> None:
        """The crossing of an INVITE with both copies."""
        for copy in (crossing.entered, crossing.left):
            s = call.sides[copy.side]
            if s is not None and s.request is not copy:
                sent = crossing.outbound and copy is crossing.entered
                s.crossed(copy, self.transaction(copy), sent)

    def transaction(self, copy: Sighting) -> Transaction | None:
        """The transaction of a message, on its side; None after its end."""
        return self._tables[copy.side].get(copy.row[TXN] ^ copy.row[CALL])

    @property
    def due(self) -> int:
        """ns; nothing waits for changed() before it."""
        return min(self._failed.next, self._refused.next)

    def changed(self, sides: list[Side], now: int) -> list[Exchange]:
        """Failed requests with both copies known by now (ns)."""
        failed: list[Failed] = []
        for side in sides:
            for t in side.failed:
                if t.finals and is_awaited(t):
                    self._refused.add(t.final_at, (t, side.side))
                elif self._is_told(t, now):
                    failed.append((t, side.side))
                else:
                    self._failed.add(max(t.last_at - 2 * WINDOW, _asked(t)), (t, side.side))
            side.failed.clear()
        failed += [one for one in self._refused.due(now) if self._anew[one[1]].take(one[0])]
        return self._made(failed + self._failed.due(now))

    def finish(self) -> list[Exchange]:
        """The capture is over: the requests still waiting."""
        return self._made(self._failed.due(NEVER))

    def _is_told(self, t: Transaction, now: int) -> bool:
        """Nothing more will come on the side the request went to."""
        if not self._two_sided or now >= max(t.last_at, _asked(t) + 2 * WINDOW):
            return True
        return t.last_at <= now and (t.copy or t.forwarded is not None)

    def _made(self, failed: list[Failed]) -> list[Exchange]:
        made = (self.made(t, side) for t, side in failed)
        return [exchange for exchange in made if exchange is not None]

    def _living(self, waiting: Waiting[Failed]) -> list[tuple[int, Failed]]:
        tables = self._tables
        return [item for item in waiting
                if tables[item[1][1]].get(item[1][0].key) is item[1][0]]  # fmt: skip

    def _awaited(self, waiting: Waiting[Failed]) -> list[tuple[int, Failed]]:
        return [item for item in waiting if not item[1][0].acked_at]

    def made(self, t: Transaction, side: int) -> Exchange | None:
        """The exchange of a failed transaction on this side; None for the copy of another
        transaction: the same failure; and None if nobody has to answer it."""
        if t.copy or t.request is None or t.unsolicited:
            return None
        if address.is_multicast(t.ends[16:32], t.ends[47]):
            return None  # a phone asks whoever is there for its settings
        made = Exchange(t, side, self._two_sided)
        if t.method == OPTIONS:
            made.asked = self._qualify[side].get(t.flow)
        if self._two_sided and side != UNKNOWN:
            ends = t.request.packed_ends
            phone, remote = ends[:16], ends[16:32]
            if side == WAN:
                left = t.forwarded
                if left is None or left.request is None:
                    return made
                ends = left.request.packed_ends
                phone, remote = ends[16:32], ends[:16]
            made.line = self._lines.find(phone, remote)
            self._note(made)
        return made

    @staticmethod
    def _note(made: Exchange) -> None:
        """Note a response sent to the port in Via instead of the request's source. It shows nothing
        about the provider if the router took out the phone's rport, or wrote another port than the
        packet's source."""
        response, left, request = made.stopped_response, made.left, made.request
        if response is None or left is None or left.request is None or made.line is None:
            return
        if made.outbound and request is not None and response.destination != left.request.source:
            vias, wrote = Message(response.payload).vias, Message(request.payload).vias
            asked = bool(wrote) and wrote[0].rport is not None
            stripped = asked and bool(vias) and vias[0].rport is None
            came = left.request.ends.sport
            spoiled = bool(wrote) and (wrote[0].port or 5060) == came != response.ends.dport
            misled = stripped or spoiled
            if vias and (vias[0].port or 5060) == response.ends.dport and not misled:
                made.line.observe(FOLLOWS_PHONE, response)


def _asked(t: Transaction) -> int:
    """ns."""
    return t.request.row[AT] if t.request is not None else t.at


def _crossed(t: Transaction, copy: Sighting) -> None:
    """This request crossed, so one with its branch before it may be anybody's."""
    if t.request is None or t.request.row[AT] >= copy.row[AT]:
        return
    t.request, row = copy, copy.row
    if t.flow != row[FLOW]:
        t.belongs_to(copy)
