# SPDX-License-Identifier: Apache-2.0
"""Registration: the REGISTER requests of one Call-ID on one side (RFC 3261 section 10)."""

from __future__ import annotations

from algwatch.base.packet import Batch
from algwatch.base.sighting import AT, CALL, STATUS, Row, Sighting
from algwatch.base.table import Table
from algwatch.sip.status_codes import CHALLENGES
from algwatch.sip.timers import SECOND, T2, TIMER_F
from algwatch.sip.transaction import (
    FINAL,
    LATE,
    NOT_HEARD,
    ORPHAN,
    REQUEST,
    TIMED_OUT,
    Event,
    Transaction,
)

# Responses followed by another REGISTER of the phone (sections 10.2.8 and 22.2), for these at the
# next server of its provider (RFC 3263 section 4.3).
NEXT_SERVER = (408, 500, 503, 504)
RETRIED = (*CHALLENGES, 423, *NEXT_SERVER)
HASTY = 15 * SECOND  # half of any granted time is longer
ENDLESS = 3  # challenges without a 2xx: without credentials, with them, with fresh ones


class Registration:
    """call: hash of the Call-ID; side. transaction: of the latest REGISTER; failed: of the latest
    failed one, with its request and response; status: of the latest final response, 0 without one;
    silent: Timer F of the latest one has passed; missed: REGISTERs in a row without any response.
    accepted_at: ns, the latest 2xx. rounds:
    challenges since the last 2xx, silence or other refusal; brief: other refusals in RETRIED since
    the last 2xx. roams: the latest of several challenges in a row is of another host than the one
    before. hasty: REGISTERs in a row within HASTY of a 2xx. waited: ns, from the latest
    challenge to the next REGISTER. started_at, last_at: ns. unsolicited: see sip/unsolicited.py."""

    __slots__ = ("accepted_at", "brief", "call", "failed", "hasty", "last_at", "missed", "roams",
                 "rounds", "side", "silent", "started_at", "status", "transaction", "unsolicited",
                 "waited")  # fmt: skip

    def __init__(self, call: int, side: int, at: int, transaction: Transaction) -> None:
        self.call = call
        self.side = side
        self.started_at = self.last_at = at
        self.transaction = transaction
        self.failed: Transaction | None = None
        self.status = self.rounds = self.brief = self.accepted_at = self.hasty = 0
        self.waited = self.missed = 0
        self.silent = self.roams = False
        self.unsolicited = transaction.unsolicited

    @property
    def request(self) -> Sighting | None:
        return self.transaction.request

    def outcome(self, now: int) -> str:
        """accepted, refused, unanswered, challenged or unknown. now: ns."""
        t = self.transaction
        if self.silent or t.insisted:
            return "unanswered"
        if t.late >= LATE and now - t.last_at <= T2:
            return "unknown"  # it still asks, so it has not accepted the response
        if 200 <= (self.status or t.taken(now)) < 300:
            return "accepted"
        if self.status in CHALLENGES:
            # A person may have to type the password. Only silence, or a second try of the phone,
            # makes it an outcome.
            over = now - self.last_at >= TIMER_F or self.rounds >= ENDLESS
            return "challenged" if over else "unknown"
        again = (self.status in RETRIED and self.brief < ENDLESS) or 300 <= self.status < 400
        if again and now - self.last_at < TIMER_F:
            return "unknown"
        return "refused" if self.status >= 300 else "unknown"


RegistrationStep = tuple[Registration, int]  # a registration and what happened, as in Event


class Registrations:
    """One side's registrations by the hash of their Call-ID. limit: registrations followed."""

    def __init__(self, side: int, limit: int) -> None:
        self.side = side
        self.table: Table[int, Registration] = Table(limit)

    def feed(self, event: Event, batch: Batch) -> RegistrationStep | None:
        """An event of a REGISTER transaction."""
        code, t, row, i = event
        r = self.table.get(row[CALL])
        if code == REQUEST:
            if r is None:
                r = Registration(row[CALL], self.side, row[AT], t)
                self.table.add(row[CALL], r, t.unsolicited)
            r.transaction = t
            if r.status in CHALLENGES:
                r.waited = row[AT] - r.last_at
            elif 200 <= r.status < 300:
                r.hasty = r.hasty + 1 if row[AT] - r.accepted_at < HASTY else 0
            r.last_at = row[AT]
            return r, code
        if r is None:
            return None
        if code == ORPHAN and r.transaction.is_meant(t):
            r.transaction.response = r.transaction.response or batch.sighting(self.side, row, i)
            return r, code
        # An uncaptured REGISTER was accepted.
        unseen = code == ORPHAN and 200 <= row[STATUS] < 300 and t.cseq > r.transaction.cseq
        if code == FINAL or unseen:
            if row[STATUS] >= 300:
                if r.rounds:
                    r.roams = _other_host(r.failed, t)
                r.failed = t
            self._answered(r, row)
        elif code == NOT_HEARD:
            r.failed = t
        elif code == TIMED_OUT:
            if t is not r.transaction and r.transaction.final_at:
                return None  # another one was answered meanwhile
            r.rounds = 0
            if t.unrepeated or r.transaction.taken(row[AT]):
                r.status = 0  # nothing else is known of it
                return None
            r.failed = t
            r.silent = True
            r.missed += 1
        else:
            return None
        return r, code

    @staticmethod
    def _answered(r: Registration, row: Row) -> None:
        status = row[STATUS]
        r.last_at = row[AT]
        r.status = status
        r.silent = False
        r.missed = 0
        if status in CHALLENGES:
            r.rounds += 1
        elif status in RETRIED:
            r.brief += 1
            r.rounds = 0
        elif status < 300:
            r.accepted_at = row[AT]
            r.rounds = r.brief = 0

    def forget(self, r: Registration) -> None:
        if self.table.get(r.call) is r:
            del self.table[r.call]


def _other_host(before: Transaction | None, now: Transaction) -> bool:
    """The requests of both went to different hosts."""
    one, two = before.request if before is not None else None, now.request
    return one is not None and two is not None and one.packed_ends[16:32] != two.packed_ends[16:32]
