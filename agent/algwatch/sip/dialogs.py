# SPDX-License-Identifier: Apache-2.0
"""Dialogs: the transactions of one side become dialogs (RFC 3261 sections 12 to 15)."""

from __future__ import annotations

from collections.abc import Callable

from algwatch.base.deadlines import NEVER
from algwatch.base.native.layout import (
    ACK,
    BYE,
    CANCEL,
    INVITE,
    PRACK,
    REFER,
    ROW_DIRECTED,
    ROW_OUTGOING,
    UPDATE,
)
from algwatch.base.packet import Batch
from algwatch.base.sighting import (
    AT,
    BITS,
    CALL,
    CSEQ,
    FLOW,
    FROM_TAG,
    STATUS,
    TO_TAG,
    Row,
    Sighting,
)
from algwatch.base.table import Table
from algwatch.sip.dialog import BY_BRANCH, BY_TAG, NOT_ODD, Dialog, DialogSet
from algwatch.sip.in_dialog import in_dialog
from algwatch.sip.message import Message
from algwatch.sip.reason import failure
from algwatch.sip.reliable import noted
from algwatch.sip.session_timer import session_timer
from algwatch.sip.target import moved
from algwatch.sip.timers import T4, TIMER_B
from algwatch.sip.transaction import (
    ACKED,
    FINAL,
    FINAL_AGAIN,
    ORPHAN,
    PROVISIONAL,
    PROVISIONAL_AGAIN,
    REQUEST,
    REQUEST_AGAIN,
    TIMED_OUT,
    Event,
    Transaction,
)

# Events of a call for later stages: (dialog set, code, row).
STARTED = 0
ANSWERED = 1  # first 2xx of the current INVITE
REPEATED = 2  # the 2xx was repeated
CONFIRMED = 3  # first ACK to this 2xx
ENDED = 4  # BYE answered, the INVITE got a non-2xx final response, or a request in it 481
UNANSWERED = 5  # Timer B of an INVITE, Timer F of a BYE
BYE_SENT = 6
CHALLENGED = 7  # the INVITE was challenged
REFRESHED = 8  # an UPDATE in it was answered with 2xx

Step = tuple[DialogSet, int, Row]

MOST_BRANCHES = 8  # of one INVITE known by their keys
# A refusal seen three times has waited T1 + 2*T1 = 1.5 s for its ACK.
UNHEARD = 2
MOST_DIALOGS = 8  # of one Call-ID on one side
CHALLENGES = (401, 407)
NO_DIALOG = 481  # to a request in a dialog already over, or never there (section 12.2.2)
# Somebody is busy or declines the call, or the number does not exist.
NO_FAULT = (404, 410, 480, 484, 485, 486, 487, 600, 603, 604, 607)
# To a re-INVITE: its sender tries again (sections 14.1, 22.2), took it back, or a person declined.
_GOES_ON = (*CHALLENGES, 486, 487, 491, 600, 603)
_NO_BRANCHES: dict[int, Transaction] = {}
_FIRST = (REQUEST, ORPHAN)  # the first event of a transaction
_ANSWERS = (FINAL, ORPHAN)
_LAST = (FINAL, TIMED_OUT)
_OPENS = (REQUEST, FINAL, ORPHAN)  # events of an unknown call


class Dialogs:
    """One side's dialog sets, by the hash of their Call-ID. limit: sets followed at once, and
    finished ones remembered, so a late echo opens no call anew."""

    def __init__(self, side: int, limit: int) -> None:
        self.side = side
        self.since, self.until = 0, NEVER  # ns; the side was captured from then until then
        self.table: Table[int, DialogSet] = Table(limit)
        self._over: Table[int, None] = Table(limit)

    def feed(self, events: list[Event], batch: Batch, rest: list[Event]) -> list[Step]:
        """Events of one batch to steps, in order; events without a call go to rest."""
        steps: list[Step] = []
        step = steps.append
        get = self.table.get
        for event in events:
            code, t, row, i = event
            method = t.method
            if method > CANCEL or not method:
                rest.append(event)
                if method in (UPDATE, PRACK):
                    in_dialog(get(row[CALL]), event, batch)
                if method == UPDATE:
                    self._update(event, batch, step)
                elif method == REFER and code == FINAL and row[STATUS] < 300:
                    self._transferred(t, row)
                continue
            s = get(row[CALL])
            if s is None:
                s = self._begun(code, t, row, i, batch)
                if s is None:
                    if code == TIMED_OUT and method == BYE:
                        rest.append(event)  # the other side saw the end of the call
                    continue
                step((s, STARTED, row))
            if code != TIMED_OUT:
                s.last_at = row[AT]
            if method == INVITE:
                if code == PROVISIONAL:
                    continue  # irrelevant to a dialog
                if s.invite is not None and code in _FIRST:
                    code = self._resumed(code, s, t, row)
                if code == REQUEST:
                    self._invited(s, t, row, i, batch)
                elif code in _ANSWERS:
                    self._answered(code, s, t, row, i, batch, step)
                elif code == FINAL_AGAIN:
                    self._answered_again(s, t, row, i, batch, step)
                elif code == REQUEST_AGAIN:
                    s.invite_retransmissions += 1
                    s.late_invites += 200 <= t.status < 300
                elif code == ACKED:
                    if 200 <= t.status < 300:
                        self._acked(s, row, i, batch, step, BY_BRANCH)
                    elif not t.acked_at:
                        t.acked_at = row[AT]
                elif code == TIMED_OUT:
                    self._silent(s, t, row, step)
                elif code == PROVISIONAL_AGAIN and t is s.invite:
                    s.reliable = noted(s.reliable, batch.sighting(self.side, row, i))
            elif method == ACK:
                d = s.current
                sure = code == REQUEST_AGAIN or (d is not None and d.answered_at and not s.branches)
                if sure or not s.refused_it(t.key):
                    if s.is_to_refusal(row):
                        s.misbranched = True
                    else:
                        self._acked(s, row, i, batch, step, NOT_ODD)
            elif method == BYE:
                self._bye(code, s, t, row, i, batch, step)
                if code in _LAST:
                    rest.append(event)
            elif code == REQUEST:  # CANCEL
                s.cancelled_at = row[AT]
                s.cancel = t
                t.request = batch.sighting(self.side, row, i)
            elif code in (TIMED_OUT, FINAL):
                rest.append(event)
        return steps

    def _begun(self, code: int, t: Transaction, row: Row, i: int, batch: Batch) -> DialogSet | None:
        """The set of a Call-ID outside the table, None if it need not be there."""
        call, method = row[CALL], t.method
        if code not in _OPENS:
            return None  # the echo of a finished call
        if method == CANCEL and code != REQUEST:
            return None  # its response may come long after the call
        invited = method == INVITE and code == REQUEST
        if call in self._over and not (invited and not row[TO_TAG]):
            return None
        if method == BYE and self.table.evicted:
            return None  # of an evicted call: nothing could be concluded
        s = DialogSet(call, self.side, row[AT])
        s.since, s.until = self.since, self.until
        s.caller_tag = row[FROM_TAG]
        s.unsolicited = t.unsolicited
        strange = t.unsolicited or not invited
        if strange or len(self.table) >= self.table.limit:
            self.table.add(call, s, strange)
        else:
            self.table[call] = s
        s.first = batch.sighting(self.side, row, i)
        if invited:
            s.request = s.first
        return s

    def _invited(self, s: DialogSet, t: Transaction, row: Row, i: int, batch: Batch) -> None:
        """The first sighting of an INVITE transaction."""
        if not row[TO_TAG]:
            s.partial = False
        if s.spoken:
            d = s.of(row) if row[TO_TAG] else None
            if d is not None:
                d.refused = None
                d.crossed = d.pending
                d.pending = (t, batch.sighting(self.side, row, i))
                if d.timer is not None:
                    d.timer.try_(d.pending[1], t.from_tag == s.caller_tag)
            return
        if s.invite is None:
            if s.request is None:
                s.request = batch.sighting(self.side, row, i)
            s.invite = t
            s.waiting += 1
            return
        branch = self._is_branch(s, t)
        s.waiting = s.waiting + 1 if branch else 1
        if not branch:
            s.branches = _NO_BRANCHES
            s.cancelled_at = 0
            s.cancel = None
            s.timed_out = False
        elif len(s.branches) < MOST_BRANCHES:
            s.branches = s.branches or {s.invite.key: s.invite}
            s.branches[t.key] = t
        if branch and not s.rejected:
            return
        s.request = batch.sighting(self.side, row, i)
        s.invite = t
        s.refused = s.rejected if branch else 0
        s.rejected = 0

    @staticmethod
    def _is_branch(s: DialogSet, t: Transaction) -> bool:
        """True if t carries the current INVITE, on any path."""
        now = s.invite
        return now is not None and now.cseq == t.cseq and now.from_tag == t.from_tag

    @staticmethod
    def _resumed(code: int, s: DialogSet, t: Transaction, row: Row) -> int:
        """The code, had the table kept the transaction t begins anew. It was evicted if its time
        was not over; another key is another branch."""
        was = s.invite_of(t.key)
        if was is None or was.cseq != t.cseq:
            return code
        over = was.last_at + T4 if was.final_at else was.at + TIMER_B
        if t.at >= over and (was.final_at or not was.provisional_at):
            return code
        answered = was.final_at
        t.resume(was)
        d = s.current
        if was is s.invite:
            s.invite = t
        if d is not None:
            if was is d.invite:
                d.invite = t
            elif d.pending is not None and was is d.pending[0]:
                d.pending = (t, d.pending[1])
            elif d.crossed is not None and was is d.crossed[0]:
                d.crossed = (t, d.crossed[1])
        if t.key in s.branches:
            s.branches[t.key] = t
        if code == REQUEST:
            return REQUEST_AGAIN
        if row[STATUS] < 200:
            return PROVISIONAL
        return FINAL_AGAIN if answered else FINAL

    def _answered(self, code: int, s: DialogSet, t: Transaction, row: Row, i: int, batch: Batch,
                  step: Callable[[Step], None]) -> None:  # fmt: skip
        """The first final response of an INVITE transaction."""
        status = row[STATUS]
        now = s.current
        pending = now.over(t) if now is not None else None
        if now is not None and pending is not None:
            now.silent = False
            if status < 300:
                now.request = pending[1]
                self._accepted(s, now, t, row, i, batch, step)
                assert now.answer is not None
                now.moved = moved(now.moved, s.by_caller(now), pending[1], now.answer)
            else:
                self._refused(s, now, pending[1], row, i, batch, step)
            return
        d = s.of(row) if s.dialogs else None
        if code == ORPHAN:
            if s.invite is None:
                s.invite = t
            elif s.invite.is_meant(t) and t.key not in s.branches:
                s.invite.response = s.invite.response or batch.sighting(self.side, row, i)
            if status < 200:
                return
            if d is not None and d.answered_at and d.invite is not None:
                # Two of its retransmissions were lost, and the transaction was given up here; or
                # the same 2xx was seen a hop further on, and is no retransmission.
                if t.key == d.invite.key:
                    d.invite = t
                    self._repeated(s, d, row, i, batch, step)
                elif _is_rewritten(d, t, row):
                    self._repeated(s, d, row, i, batch, step)
                return
            if t is not s.invite:
                return
        elif s.waiting:
            s.waiting -= 1
        if status >= 300:
            if not s.spoken:
                s.refused = status
                s.challenged += status in CHALLENGES
                s.response = batch.sighting(self.side, row, i)
                if not s.waiting:
                    s.rejected = status
                    step((s, CHALLENGED if status in CHALLENGES else ENDED, row))
            return
        if d is not None and d.answered_at:
            return  # the same 2xx on another branch
        if now is not None and now.answered_at:
            # Another phone answered the same call (section 13.2.2.4).
            if now.invite is not None and now.invite.cseq == t.cseq:
                self._forked(s, t, row, i, batch)
            return
        if d is None:
            s.current = d = s.add(Dialog(row[TO_TAG]))
        s.invite = t
        d.request = s.request
        self._accepted(s, d, t, row, i, batch, step)

    def _forked(self, s: DialogSet, t: Transaction, row: Row, i: int, batch: Batch) -> None:
        if len(s.dialogs) < MOST_DIALOGS:
            d = s.add(Dialog(row[TO_TAG]))
            d.invite = t
            d.request = s.request
            d.answered_at = d.answer_last = row[AT]
            d.answers = 1
            d.answer = batch.sighting(self.side, row, i)
            d.timer = session_timer(d.answer, True)

    def _accepted(self, s: DialogSet, d: Dialog, t: Transaction, row: Row, i: int, batch: Batch,
                  step: Callable[[Step], None]) -> None:  # fmt: skip
        d.invite = t
        d.acked_at = d.acked_last = 0
        d.ack = d.stray_ack = d.odd_copy = d.disowned = None
        d.odd = NOT_ODD
        d.answered_at = d.answer_last = row[AT]
        if not d.established_at:
            d.established_at = row[AT]
        d.answers = 1
        d.answer = batch.sighting(self.side, row, i)
        d.timer = session_timer(d.answer, t.from_tag == s.caller_tag)
        step((s, ANSWERED, row))

    def _answered_again(self, s: DialogSet, t: Transaction, row: Row, i: int, batch: Batch,
                        step: Callable[[Step], None]) -> None:  # fmt: skip
        """A repeated final response to an INVITE."""
        if row[STATUS] >= 300 and t.finals > UNHEARD:
            if s.unheard is None or s.unheard[0] is not t:
                s.unheard = t, batch.sighting(self.side, row, i)
            s.unheard_at = row[AT]
        now = s.current
        if now is not None and now.callee_tag == row[TO_TAG] and (
            t is now.invite or _is_rewritten(now, t, row)
        ):  # fmt: skip
            self._repeated(s, now, row, i, batch, step)
            return
        if now is None or t is not now.invite or not now.answered_at:
            # A call through the provider back into the house has two branches here.
            if not self._is_branch(s, t) or not s.answered_at:
                s.final_retransmissions += 1
            return
        d = s.of(row)
        if d is now:
            self._repeated(s, d, row, i, batch, step)
        elif d is None:
            self._forked(s, t, row, i, batch)
        else:
            d.answers += 1
            d.answer_last = row[AT]

    def _repeated(self, s: DialogSet, d: Dialog, row: Row, i: int, batch: Batch,
                  step: Callable[[Step], None]) -> None:  # fmt: skip
        s.final_retransmissions += 1
        d.answers += 1
        d.answer_last = row[AT]
        if d.answer is None:  # released after its ACK, needed again now
            d.answer = batch.sighting(self.side, row, i)
        step((s, REPEATED, row))

    def _acked(self, s: DialogSet, row: Row, i: int, batch: Batch, step: Callable[[Step], None],
               odd: str) -> None:  # fmt: skip
        """An ACK to a 2xx: it has the CSeq number of its INVITE, whatever else is wrong."""
        d = s.current
        if d is None or row[TO_TAG] != d.callee_tag != row[FROM_TAG]:
            d = s.of(row)
        if d is None:
            d = s.current
            if d is None:
                d = s.add(Dialog(row[TO_TAG]))
            elif row[FROM_TAG] in (s.caller_tag, d.callee_tag):
                odd = odd or BY_TAG
            else:
                return
        if row[BITS] & ROW_DIRECTED and _is_of_another(row, d.request):
            return
        at = row[AT]
        if d is not s.current:
            if s.current is not None and not s.current.acked_at and d.answer is not None:
                s.current = d  # the caller talks to the end it acknowledges
            else:
                d.acked_at = d.acked_at or at
                d.acked_last = at
                return
        if d.invite is not None and row[CSEQ] != d.invite.cseq:
            if row[CSEQ] > d.invite.cseq and d.pending is None and d.crossed is None:
                d.stray_ack = d.stray_ack or batch.sighting(self.side, row, i)
            return
        d.acked_last = at
        if d.acked_at:
            if odd == BY_BRANCH and not d.odd and d.odd_copy is None:
                d.odd_copy = batch.sighting(self.side, row, i)
            if d.ack is None and d.answers > 1 and not d.ended_at:
                d.ack = batch.sighting(self.side, row, i)  # released like the 2xx
        else:
            d.acked_at = at
            d.confirmed = True
            d.odd = odd
            if not d.ended_at:
                d.ack = batch.sighting(self.side, row, i)
            step((s, CONFIRMED, row))

    def _refused(self, s: DialogSet, d: Dialog, asked: Sighting | None, row: Row, i: int,
                 batch: Batch, step: Callable[[Step], None]) -> None:  # fmt: skip
        """A re-INVITE or UPDATE was refused: the dialog stays as it was (section 14.1), if the
        other end knows it."""
        if asked is not None and not d.bye_at and row[STATUS] not in _GOES_ON:
            d.refused = asked, batch.sighting(self.side, row, i)
            if row[STATUS] == 500 and Message(d.refused[1].payload).header("Retry-After"):
                d.refused = None  # it crossed another one, as with 491 (section 14.2)
        if d.timer is not None:
            d.timer.refuse(row[STATUS], row[AT])
        if row[STATUS] == NO_DIALOG and not d.bye_at:
            d.disowned = batch.sighting(self.side, row, i)
            step((s, ENDED, row))

    def _bye(self, code: int, s: DialogSet, t: Transaction, row: Row, i: int, batch: Batch,
             step: Callable[[Step], None]) -> None:  # fmt: skip
        d = s.current
        if d is None or row[TO_TAG] != d.callee_tag != row[FROM_TAG]:
            d = s.of(row) or d
        if d is None:
            d = s.add(Dialog(row[FROM_TAG] if row[TO_TAG] == s.caller_tag else row[TO_TAG]))
        current = d is s.current
        if code == REQUEST:
            t.request = batch.sighting(self.side, row, i)
            if not d.bye_at:
                d.bye_at = row[AT]
                d.bye_of = t
                d.bye_reason = failure(t.request.payload)
                d.bye_by_caller = row[FROM_TAG] == s.caller_tag
                d.hung_up(row)
                if d.timer is not None:
                    d.timed_out = d.timer.ends(d.bye_at, d.bye_by_caller, d.bye_reason)
                if d.timed_out or not d.acked_at or d.answer_last > d.acked_at:
                    d.bye = t.request
                if current:
                    step((s, BYE_SENT, row))
            elif d.bye_by_caller != (row[FROM_TAG] == s.caller_tag):
                d.both_ended = True
            elif d.bye_response is not None:
                d.bye_of, d.bye = t, t.request  # presumably with credentials
        elif code in _ANSWERS:
            status = row[STATUS]
            if code == FINAL and status >= 300:
                t.response = d.bye_response = batch.sighting(self.side, row, i)
                d.bye = t.request
            if status >= 200 and status not in CHALLENGES and not d.ended_at:
                d.ended_at = row[AT]
                d.bye_status = status
                step((s, ENDED, row))
        elif code == TIMED_OUT:
            d.bye_unanswered = True
            d.bye_unrepeated = t.unrepeated
            d.bye = d.bye or t.request
            step((s, UNANSWERED, row))

    def _update(self, event: Event, batch: Batch, step: Callable[[Step], None]) -> None:
        """An UPDATE inside a dialog (RFC 3311): an answered one refreshes the session."""
        code, t, row, i = event
        s = self.table.get(row[CALL])
        d = s.of(row) if s is not None else None
        if s is None or d is None or not d.answered_at:
            return
        if code == REQUEST:
            if d.timer is not None:
                d.timer.try_(batch.sighting(self.side, row, i), t.from_tag == s.caller_tag)
        elif code == FINAL and row[STATUS] >= 300:
            self._refused(s, d, t.request, row, i, batch, step)
        elif code == FINAL or (
            # A 2xx to an uncaptured request refreshes the session as well.
            code == ORPHAN and 200 <= row[STATUS] < 300 and d.timer and not d.timer.tried_at
        ):
            d.timer = session_timer(batch.sighting(self.side, row, i), t.from_tag == s.caller_tag)
            d.disowned = None
            if d is s.current:
                step((s, REFRESHED, row))

    def _transferred(self, t: Transaction, row: Row) -> None:
        """A REFER was accepted: its sender goes on with a transfer, which ends the call as well."""
        s = self.table.get(row[CALL])
        d = s.of(row) if s is not None else None
        if d is not None and d.refused is not None and not d.bye_at:
            asked, _ = d.refused
            if asked.row[FROM_TAG] == t.from_tag:
                d.refused = None

    @staticmethod
    def _silent(s: DialogSet, t: Transaction, row: Row, step: Callable[[Step], None]) -> None:
        """Timer B of an INVITE: of the call itself if no branch is left to be answered. If its
        sender accepted a response with another Via, it has its response and waits on."""
        if t.taken(row[AT]):
            return
        d = s.current
        if d is not None and d.waits_for(t):
            d.silent = True
            step((s, UNANSWERED, row))
            return
        if s.waiting:
            s.waiting -= 1
        if s.waiting or s.spoken:
            return
        if s.refused:
            s.rejected = s.refused
            step((s, ENDED, row))
        else:
            s.timed_out = True
            step((s, UNANSWERED, row))

    def forget(self, s: DialogSet) -> None:
        if self.table.get(s.call) is s:
            del self.table[s.call]
            if len(self._over) < self._over.limit:
                self._over[s.call] = None
            else:
                self._over.add(s.call, None)


def _is_of_another(ack: Row, request: Sighting | None) -> bool:
    """True if the ACK came in by the interface its INVITE went out on, or the other way round: it
    is not from the caller, and no router has forwarded it."""
    if request is None or not ack[BITS] & request.row[BITS] & ROW_DIRECTED:
        return False
    return bool((ack[BITS] ^ request.row[BITS]) & ROW_OUTGOING)


def _is_rewritten(d: Dialog, t: Transaction, row: Row) -> bool:
    """True if a 2xx of no seen INVITE repeats the one of d, on its flow: a router has begun to
    rewrite its Via (the helper's forced port)."""
    first = d.invite
    if first is None or t.requests or not d.answered_at or row[STATUS] >= 300:
        return False
    return first.final_flow == row[FLOW] and first.cseq == row[CSEQ]
