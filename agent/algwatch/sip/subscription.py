# SPDX-License-Identifier: Apache-2.0
"""Subscription: the SUBSCRIBE or REFER requests of one Call-ID on one side, and their NOTIFY
requests (RFC 6665, RFC 3515)."""

from __future__ import annotations

from algwatch.base.native.layout import NOTIFY, REFER, SUBSCRIBE
from algwatch.base.packet import Batch
from algwatch.base.sighting import AT, CALL, STATUS, Row, Sighting
from algwatch.base.table import Table
from algwatch.sip.message import Message, parties
from algwatch.sip.status_codes import CHALLENGES
from algwatch.sip.transaction import FINAL, ORPHAN, REQUEST, TIMED_OUT, Event, Transaction

METHODS = (SUBSCRIBE, NOTIFY, REFER)
ACCEPTED = 7  # a step beside those of Event: the request was answered with 2xx


class Subscription:
    """call: hash of the Call-ID; side. call_id, to: text of its request. transaction: of the latest
    SUBSCRIBE or REFER. request: the first one, accepted: the 2xx to it, notify: the latest NOTIFY;
    all three are released once a NOTIFY was accepted. asked: source, Call-ID and From tag of the
    request; notifier: the To tag of the 2xx. accepted_at, notified_at: ns, the first 2xx and the
    first NOTIFY. failed: the transaction of the latest NOTIFY refused or unanswered while the
    subscription lived; number: the highest CSeq number of a NOTIFY. lapsed: the transaction of a
    SUBSCRIBE refused after an accepted one, None after the next that is accepted. result: of a
    REFER, the latest status in a NOTIFY (message/sipfrag). over_at: ns, ended by Expires: 0, by a
    NOTIFY with the state terminated, or by its refusal; 0 = it lives. started_at, last_at: ns.
    unsolicited: see sip/unsolicited.py."""

    __slots__ = ("accepted", "accepted_at", "asked", "call", "call_id", "failed", "lapsed",
                 "last_at", "notified_at", "notifier", "notify", "number", "over_at", "request",
                 "result", "side", "started_at", "status", "to", "transaction",
                 "unsolicited")  # fmt: skip

    def __init__(self, call: int, side: int, at: int, transaction: Transaction) -> None:
        self.call = call
        self.side = side
        self.started_at = self.last_at = at
        self.transaction = transaction
        self.request: Sighting | None = None
        self.asked = (b"", b"", b"")
        self.notifier = b""
        self.call_id = self.to = ""
        self.accepted: Sighting | None = None
        self.notify: Sighting | None = None
        self.failed: Transaction | None = None
        self.lapsed: Transaction | None = None
        self.accepted_at = self.notified_at = self.over_at = self.status = self.result = 0
        self.number = 0
        self.unsolicited = transaction.unsolicited

    @property
    def is_refer(self) -> bool:
        return self.transaction.method == REFER


SubscriptionStep = tuple[Subscription, int]  # a subscription and what happened, as in Event


class Subscriptions:
    """One side's subscriptions by the hash of their Call-ID. limit: subscriptions followed."""

    def __init__(self, side: int, limit: int) -> None:
        self.side = side
        self.table: Table[int, Subscription] = Table(limit)

    def feed(self, event: Event, batch: Batch) -> SubscriptionStep | None:
        """An event of a SUBSCRIBE, NOTIFY or REFER transaction; the request of t is there."""
        code, t, row, i = event
        s = self.table.get(row[CALL])
        if s is not None:
            s.last_at = row[AT]
        if t.method == NOTIFY:
            return self._notified(s, code, t, row) if s is not None else None
        if code == REQUEST:
            if s is None:
                s = Subscription(row[CALL], self.side, row[AT], t)
                self.table.add(row[CALL], s, t.unsolicited)
            self._asked(s, t, row)
            return s, code
        if s is not None and code == ORPHAN and s.transaction.is_meant(t):
            asked = s.transaction  # with another Via: not all phones are strict
            asked.response = asked.response or batch.sighting(self.side, row, i)
        if s is None or t is not s.transaction:
            return None
        if code == FINAL:
            s.status = row[STATUS]
            if s.status < 300:
                if s.accepted_at:
                    s.lapsed = None
                    t.request = t.response = None  # refreshed
                    return None
                s.accepted_at, s.accepted = row[AT], batch.sighting(self.side, row, i)
                s.notifier = Message(s.accepted.payload).to.tag
                return s, ACCEPTED
            if s.status not in CHALLENGES:
                if s.accepted_at and not s.over_at:
                    s.lapsed = t
                elif not s.accepted_at:
                    s.over_at = row[AT]
            return s, code
        if code == TIMED_OUT:
            if not s.accepted_at and t.response is not None and 200 <= t.taken(row[AT]) < 300:
                s.accepted_at, s.accepted = t.response.row[AT], t.response
                return s, ACCEPTED
            return s, code
        return None

    @staticmethod
    def _asked(s: Subscription, t: Transaction, row: Row) -> None:
        s.transaction = t
        if t.request is None:
            return
        message = Message(t.request.payload)
        if t.method == REFER:  # each one is a transfer of its own
            s.accepted_at = s.result = 0
        if not s.accepted_at:
            s.request = t.request
            s.call_id, _, s.to = parties(t.request.payload)
        s.asked = t.request.source[:16], message.call_id, message.from_.tag
        s.over_at = row[AT] if t.method == SUBSCRIBE and message.ends_now else 0

    @staticmethod
    def _notified(s: Subscription, code: int, t: Transaction, row: Row) -> SubscriptionStep | None:
        if code == REQUEST and t.request is not None:
            s.notify = t.request
            s.number = max(s.number, t.cseq)
            s.notified_at = s.notified_at or row[AT]
            message = Message(t.request.payload)
            state = message.header("Subscription-State")
            if s.is_refer:
                s.result = _fragment(message.body) or s.result
            if state and state[0].lower().startswith(b"terminated"):
                s.over_at = row[AT]
            return (s, code) if s.result >= 300 else None
        if code == ORPHAN:  # an uncaptured NOTIFY was answered
            s.notified_at = s.notified_at or row[AT]
            return None
        if code in (FINAL, TIMED_OUT) and (code == TIMED_OUT or row[STATUS] >= 300):
            if t.status in CHALLENGES or (s.over_at and not s.is_refer):
                return None  # 481 is right after the end (RFC 6665 section 4.1.3)
            s.failed = t
            return s, code
        if code == FINAL:
            s.failed = None
            if s.result < 300 and (s.over_at or not s.is_refer):
                _let_go(s)
        return None

    def forget(self, s: Subscription) -> None:
        if self.table.get(s.call) is s:
            del self.table[s.call]


def _let_go(s: Subscription) -> None:
    """It works: a phone may have a hundred of them, and no verdict needs their bytes."""
    s.request = s.accepted = s.notify = None
    if s.transaction.final_at:
        s.transaction.request = s.transaction.response = None


def _fragment(body: bytes) -> int:
    """The status code of a message/sipfrag body (RFC 3420), 0 for any other body."""
    if not body.startswith(b"SIP/2.0 ") or not body[8:11].isdigit():
        return 0
    return int(body[8:11])
