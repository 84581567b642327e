# SPDX-License-Identifier: Apache-2.0
"""Crossed: each crossing is joined to its call, registration or exchange, and its line learns."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from algwatch.base.native.layout import (
    ACK,
    BYE,
    INVITE,
    METHOD_NAMES,
    REFER,
    ROW_MALFORMED,
    SUBSCRIBE,
)
from algwatch.base.sighting import BITS, CALL, METHOD, STATUS, TTL
from algwatch.compare.calls import Calls
from algwatch.compare.captured import Captured
from algwatch.compare.crossing import Crossing, Usual, whole
from algwatch.compare.exchange import Exchanges
from algwatch.compare.known_rewrites import KnownRewrites
from algwatch.compare.lines import READ, Lines
from algwatch.compare.loss import Losses
from algwatch.compare.registered import Registrations
from algwatch.compare.subscribed import Subscriptions

# By method (INVITE, ACK, BYE) and class of status: the bit of FlowPair.kinds.
_KINDS = [[1 << (method << 3 | of) for of in range(7)] for method in range(BYE + 1)]
_LAST_STATUS = 699  # a status has 16 bits


class Crossed:
    """watch: called with every crossing, or None; every: with the familiar ones, too. The rest: the
    tables to tell."""

    def __init__(self, calls: Calls, lines: Lines, captured: Captured, rewrites: KnownRewrites,
                 registrations: Registrations, exchanges: Exchanges, subscriptions: Subscriptions,
                 losses: Losses, watch: Callable[[Crossing], None] | None,
                 every: bool) -> None:  # fmt: skip
        self._calls = calls
        self._calls_by_key = calls.table
        self._lines = lines
        self._captured = captured
        self._rewrites = rewrites
        self._registrations = registrations
        self._exchanges = exchanges
        self._subscriptions = subscriptions
        self._losses = losses
        self._watch = watch
        self._every = watch if every else None

    def feed(self, crossings: Sequence[Crossing | Usual]) -> list[Crossing]:
        """Join the crossings. Returns those for rules: the first of a kind on its flow pair, one
        that differs from those before, is malformed, or stayed unpaired."""
        news: list[Crossing] = []
        cross, learn, rewrites, watch = (
            self._calls.cross,
            self._lines.feed,
            self._rewrites,
            self._watch,
        )
        familiar, every = self._familiar, self._every
        for one in crossings:
            if isinstance(one, tuple):
                flows, entered, left = one
                rewritten = entered.payload is not left.payload
                headers = rewrites.of(flows, entered.row, left.payload) if rewritten else None
                if (headers is not None or not rewritten) and familiar(one, headers):
                    if every is not None:
                        every(whole(one))
                    continue
                crossing = whole(one)
                if headers is not None:
                    crossing.headers, crossing.seen_before = headers, True
            else:
                crossing = one
            if crossing.rewritten and not crossing.seen_before:
                rewrites.look(crossing)
            call = cross(crossing)
            if call is None:
                self._registrations.cross(crossing)
            row = crossing.entered.row
            method, status = row[METHOD], row[STATUS]
            if method in READ or not (status or crossing.outbound):
                learn(crossing, call)
            if method > ACK:
                if not status:
                    self._exchanges.cross(crossing)
                if SUBSCRIBE <= method <= REFER:
                    self._subscriptions.cross(crossing)
            if watch is not None:
                watch(crossing)
            pair = crossing.flow_pair
            kind = 1 << (method << 3 | status // 100)
            if pair is None:
                news.append(crossing)
                self._losses.unpaired(crossing)
                if method == INVITE and not status and call is not None:
                    self._captured.note_alone(call, crossing.entered)
                continue
            if method == INVITE and not status and call is not None:
                self._exchanges.invited(call, crossing)
            lan, wan = crossing.lan, crossing.wan
            if lan is not None and wan is not None and lan.row[TTL] == wan.row[TTL] > 0:
                self._captured.own.cross(crossing)
                if method == INVITE and not status and call is not None:
                    self._captured.note_alone(call, wan, own=True)
            if not pair.kinds & kind:
                pair.kinds |= kind
                news.append(crossing)
            elif not crossing.seen_before if crossing.rewritten else row[BITS] & ROW_MALFORMED:
                news.append(crossing)
        for crossing in news:
            self._captured.note_kind(crossing)
        return news

    def _familiar(self, usual: Usual, headers: frozenset[str] | None) -> bool:
        """True if a message was joined: of a kind that its flow pair has had, in a call that
        crossed before. Its bytes are the same on both sides (headers: None) and were so far in its
        call; or they are rewritten as in an earlier message of its kind, and its call has had all
        of these fields rewritten. Most messages are so; nothing else is learned from them."""
        pair, entered, left = usual
        row = entered.row
        method, status = row[METHOD], row[STATUS]
        if not INVITE <= method <= BYE or status > _LAST_STATUS:
            return False
        if not pair.kinds & _KINDS[method][status // 100] or row[TTL] == left.row[TTL]:
            return False
        call = self._calls_by_key.get(row[CALL])
        if call is None:
            return False
        rewritten = headers is not None
        if headers is not None:
            if method == INVITE and not status:
                return False  # another INVITE of the call is to be linked
            if row[CALL] != left.row[CALL] or call.unsolicited or call.names is not None:
                return False
            if not call.oriented or not call.knows(headers, pair.outbound):
                return False
        elif not call.settled or row[BITS] & ROW_MALFORMED:
            return False
        if method == INVITE:
            if not self._lines.skips(pair, status, left, rewritten):
                return False
            if not status:
                call.flow_pairs["INVITE"] = pair
            elif 200 <= status < 300:
                call.flow_pairs["2xx INVITE"] = pair
        elif not status:
            if method == BYE:
                self._exchanges.forwarded(entered, left)
            elif not pair.outbound:
                return False  # a line learns from an ACK
            call.flow_pairs[METHOD_NAMES[method]] = pair
        if rewritten:
            call.settled = False
        return True
