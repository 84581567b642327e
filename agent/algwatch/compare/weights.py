# SPDX-License-Identifier: Apache-2.0
"""Weights: grade and host of entries in the tables of this stage and of sip/ (see base/table.py).

The host is the sender of the first message to the router. An outgoing message has the router's own
address on the WAN side, so the LAN host pays for it once both copies were seen.
"""

from __future__ import annotations

from algwatch.base.sighting import CALL, METHOD, Sighting
from algwatch.base.table import ANSWERED, CROSSED, FRESH, STRANGE, Table, Weight
from algwatch.compare.call import Call
from algwatch.compare.crossing import Entry
from algwatch.compare.flow_pair import FlowPair
from algwatch.compare.held import OF_CALLS
from algwatch.compare.line import Line, ends_of
from algwatch.compare.lines import Lines
from algwatch.compare.registered import Registered
from algwatch.compare.subscribed import Subscribed
from algwatch.sip.dialog import DialogSet
from algwatch.sip.registration import Registration
from algwatch.sip.side import Side
from algwatch.sip.subscription import Subscription
from algwatch.sip.transaction import Transaction
from algwatch.sip.unsolicited import Unsolicited

RINGS = "rings"


def by_phone(line: str, value: object) -> Weight:
    """Weight of an entry stored under the name of a line: its phone pays."""
    return CROSSED, ends_of(line)[0]


def call(key: int, one: Call) -> Weight:
    """Weight of a call. ANSWERED needs both copies and an answer of the other end, and is lost once
    the call was refused or timed out. Calls that only ring pay apart from those that talk: a flood
    that a phone rings for costs its host no call whose harm is still to come."""
    if one.unsolicited:
        return STRANGE, one.host
    talks = rings = over = False
    partial = True
    for s in one.sides:
        if s is None:
            continue
        partial = partial and s.partial
        if s.spoken:
            talks = True
        elif s.rejected or s.timed_out:
            over = True
        elif s.invite is not None and s.invite.provisional_at:
            rings = True
    crossed = one.paired or not one.two_sided
    if partial:  # anybody can send the messages after an INVITE
        return FRESH if crossed else STRANGE, one.host
    if over or not crossed:
        return FRESH, one.host
    if talks:
        return ANSWERED, one.host
    return (ANSWERED, (one.host, RINGS)) if rings else (CROSSED, one.host)


class Weights:
    """Weighs the entries of all tables; an entry of a call by its call. lines, unsolicited: to
    weigh far hosts; unsolicited is None without two sides."""

    def __init__(self, calls: Table[int, Call], lines: Lines,
                 unsolicited: Unsolicited | None) -> None:  # fmt: skip
        self._calls = calls
        self._lines = lines
        self._unsolicited = unsolicited
        self._answering: tuple[int, set[bytes]] = (-1, set())

    def weigh_sides(self, sides: list[Side]) -> None:
        """Weigh the tables of each side."""
        for side in sides:
            side.transactions.table.weigh = self.transaction
            side.dialogs.table.weigh = self.dialogs
            side.registrations.table.weigh = self.agreed
            side.subscriptions.table.weigh = self.agreed

    def transaction(self, key: int, t: Transaction) -> Weight:
        one = self._calls.get(t.call)
        if one is not None:
            grade, host = call(t.call, one)
            # A response without its request shows nothing, nor does another method than a call's.
            ours = t.requests and t.method in OF_CALLS
            return grade if ours else min(grade, FRESH), host
        host = t.owner or t.ends[:16]
        if t.unsolicited or not t.requests:
            return STRANGE, host
        if t.copy or t.forwarded is not None:
            return ANSWERED if t.final_at else CROSSED, host
        return FRESH, host

    def dialogs(self, key: int, s: DialogSet) -> Weight:
        one = self._calls.get(s.call)
        if one is not None:
            return call(s.call, one)
        return STRANGE if s.unsolicited or s.partial else FRESH, b""

    @staticmethod
    def agreed(key: int, one: Registration | Subscription) -> Weight:
        """The weight of a registration or subscription, as one side saw it."""
        host = one.transaction.owner or one.transaction.ends[:16]
        if one.unsolicited:
            return STRANGE, host
        if one.transaction.copy or one.transaction.forwarded is not None:
            return ANSWERED if one.accepted_at else CROSSED, host
        return FRESH, host

    @staticmethod
    def joined(key: int, one: Registered | Subscribed) -> Weight:
        """The same, as both sides saw it."""
        near = one.near
        host = near.transaction.owner or near.transaction.ends[:16]
        if one.unsolicited:
            return STRANGE, host
        if one.paired or not one.two_sided:
            return ANSWERED if near.accepted_at else CROSSED, host
        return FRESH, host

    @staticmethod
    def line(key: bytes, line: Line) -> Weight:
        return ANSWERED if line.answered else CROSSED, key[:16]

    @staticmethod
    def mapping(key: bytes, entry: Entry) -> Weight:
        return ANSWERED if entry.answered_at else CROSSED, entry.inside[:16]

    @staticmethod
    def flow_pair(key: int, pair: FlowPair) -> Weight:
        return CROSSED, pair.inside[:16]

    @staticmethod
    def rewrite(key: tuple[bytes, bool, int, int], known: object) -> Weight:
        return CROSSED, key[0][:16]

    def remote(self, remote: bytes, host: bytes) -> Weight:
        """Weight of a far host. host: the LAN host that contacted it."""
        assert self._unsolicited is not None
        # Refreshed only after some evictions, because it reads every line.
        moment = self._unsolicited.known.evicted // 16
        if self._answering[0] != moment:
            self._answering = moment, self._lines.answering()
        return ANSWERED if remote in self._answering[1] else FRESH, host

    def waiting(self, copy: Sighting, strange: bool) -> Weight:
        """Weight of a sighting waiting for its other copy. strange: it is unsolicited."""
        one = self._calls.get(copy.row[CALL])
        if one is not None:
            grade, host = call(copy.row[CALL], one)
            return grade if copy.row[METHOD] in OF_CALLS else min(grade, FRESH), host
        return STRANGE if strange else FRESH, copy.packed_ends[:16]
