# SPDX-License-Identifier: Apache-2.0
"""Answer: a final response to an INVITE begins, repeats or refuses a dialog (RFC 3261 13)."""

from __future__ import annotations

from collections.abc import Callable

from algwatch.base.packet import Batch
from algwatch.base.sighting import AT, CSEQ, FLOW, FROM_TAG, STATUS, TO_TAG, Row, Sighting
from algwatch.sip.denied import denied, holding, met_another
from algwatch.sip.dialog import NOT_ODD, Dialog, DialogSet
from algwatch.sip.session_timer import session_timer
from algwatch.sip.status_codes import CHALLENGES, NO_DIALOG
from algwatch.sip.step import ANSWERED, CHALLENGED, ENDED, REFRESHED, REPEATED, Step
from algwatch.sip.target import moved
from algwatch.sip.transaction import ORPHAN, Transaction

# A refusal seen three times has waited T1 + 2*T1 = 1.5 s for its ACK.
UNHEARD = 2
MOST_DIALOGS = 8  # of one Call-ID on one side
# To a re-INVITE: its sender tries again (section 22.2), took it back, or a person declined.
_GOES_ON = (*CHALLENGES, 486, 487, 600, 603)


def answered(code: int, s: DialogSet, t: Transaction, row: Row, i: int, batch: Batch,
              step: Callable[[Step], None]) -> None:  # fmt: skip
    """The first final response of an INVITE transaction."""
    status = row[STATUS]
    now = s.current
    pending = now.over(t) if now is not None else None
    if now is not None and pending is not None:
        now.silent = False
        if status < 300:
            now.request = pending[1]
            _accepted(s, now, t, row, i, batch, step)
            assert now.answer is not None
            now.moved = moved(now.moved, s.by_caller(now), pending[1], now.answer)
            granted(now, pending[1], now.answer)
        else:
            refused(s, now, pending[1], row, i, batch, step)
        return
    d = s.of(row) if s.dialogs else None
    if code == ORPHAN:
        if s.invite is None:
            s.invite = t
        elif s.invite.is_meant(t) and t.key not in s.branches:
            s.invite.response = s.invite.response or batch.sighting(s.side, row, i)
        if status < 200:
            return
        if d is not None and d.answered_at and d.invite is not None:
            # Two of its retransmissions were lost, and the transaction was given up here; or
            # the same 2xx was seen a hop further on, and is no retransmission.
            if t.key == d.invite.key:
                d.invite = t
                _repeated(s, d, row, i, batch, step)
            elif _is_rewritten(d, t, row):
                _repeated(s, d, row, i, batch, step)
            elif t.from_tag != d.invite.from_tag or t.cseq > d.invite.cseq:
                refreshed_unseen(s, d, t, row, i, batch, step)
            return
        if t is not s.invite:
            return
    elif d is not None and d.answered_at and d.invite is t:
        _repeated(s, d, row, i, batch, step)  # this INVITE was given up here, and came again
        return
    elif s.waiting:
        s.waiting -= 1
    if status >= 300:
        if not s.spoken:
            s.refused = status
            s.challenged += status in CHALLENGES
            s.response = batch.sighting(s.side, row, i)
            if not s.waiting:
                s.rejected = status
                step((s, CHALLENGED if status in CHALLENGES else ENDED, row))
        return
    if d is not None and d.answered_at:
        return  # the same 2xx on another branch
    if now is not None and now.answered_at:
        # Another phone answered the same call (section 13.2.2.4).
        if now.invite is not None and now.invite.cseq == t.cseq:
            _forked(s, t, row, i, batch)
        return
    if d is None:
        s.current = d = s.add(Dialog(row[TO_TAG]))
    s.invite = t
    s.refused = s.rejected = 0
    d.request = s.request
    _accepted(s, d, t, row, i, batch, step)


def _forked(s: DialogSet, t: Transaction, row: Row, i: int, batch: Batch) -> None:
    if len(s.dialogs) < MOST_DIALOGS:
        d = s.add(Dialog(row[TO_TAG]))
        d.invite = t
        d.request = s.request
        d.answered_at = d.answer_last = row[AT]
        d.answers = 1
        d.answer_tag = row[FROM_TAG]
        d.answer = batch.sighting(s.side, row, i)
        d.timer = session_timer(d.answer, True)


def _accepted(s: DialogSet, d: Dialog, t: Transaction, row: Row, i: int, batch: Batch,
              step: Callable[[Step], None]) -> None:  # fmt: skip
    if d.answered_at and not d.acked_at and not d.bye_at:
        d.earlier = d.invite
    d.invite = t
    d.acked_at = d.acked_last = 0
    d.ack = d.stray_ack = d.odd_copy = d.disowned = None
    d.odd = NOT_ODD
    d.answered_at = d.answer_last = row[AT]
    if not d.established_at:
        d.established_at = row[AT]
    d.answers = 1
    d.answer_tag = row[FROM_TAG]
    d.answer = batch.sighting(s.side, row, i)
    if not d.bye_at:  # after it nothing refreshes the session
        d.timer = session_timer(d.answer, t.from_tag == s.caller_tag)
    step((s, ANSWERED, row))


def answered_again(s: DialogSet, t: Transaction, row: Row, i: int, batch: Batch,
                    step: Callable[[Step], None]) -> None:  # fmt: skip
    """A repeated final response to an INVITE."""
    if row[STATUS] >= 300 and t.finals > UNHEARD:
        if s.unheard is None or s.unheard[0] is not t:
            s.unheard = t, batch.sighting(s.side, row, i)
        s.unheard_at = row[AT]
    if s.rejected == 487 != row[STATUS] >= 300 and t is s.invite and not s.cancelled_at:
        # Nobody had cancelled it: a forged or stray 487 came before the true refusal.
        s.rejected = s.refused = row[STATUS]
        s.response = batch.sighting(s.side, row, i)
    now = s.current
    if now is not None and now.callee_tag == row[TO_TAG] and (
        t is now.invite or _is_rewritten(now, t, row)
    ):  # fmt: skip
        _repeated(s, now, row, i, batch, step)
        return
    if now is None or t is not now.invite or not now.answered_at:
        # A call through the provider back into the house has two branches here.
        if not s.is_branch(t) or not s.answered_at:
            s.final_retransmissions += 1
        elif (other := s.of(row)) is not None and other is not now and other.invite is t:
            other.answers += 1  # of another phone in this house
            other.answer_last = row[AT]
        return
    d = s.of(row)
    if d is now:
        _repeated(s, d, row, i, batch, step)
    elif d is None:
        _forked(s, t, row, i, batch)
    else:
        d.answers += 1
        d.answer_last = row[AT]


def _repeated(s: DialogSet, d: Dialog, row: Row, i: int, batch: Batch,
              step: Callable[[Step], None]) -> None:  # fmt: skip
    if row[FROM_TAG] != d.answer_tag:
        return  # of no dialog: whoever sends it does not repeat the 2xx
    s.final_retransmissions += 1
    d.answers += 1
    d.answer_last = row[AT]
    if d.answer is None:  # released after its ACK, needed again now
        d.answer = batch.sighting(s.side, row, i)
    step((s, REPEATED, row))


def refused(s: DialogSet, d: Dialog, asked: Sighting | None, row: Row, i: int,
             batch: Batch, step: Callable[[Step], None]) -> None:  # fmt: skip
    """A re-INVITE or UPDATE was refused: the dialog stays as it was (section 14.1), if the
    other end knows it."""
    if asked is not None and not d.bye_at:
        reply = batch.sighting(s.side, row, i)
        other = d.refused[1].row[AT] if d.refused is not None else 0
        crossed = d.pending is not None or max(d.answered_at, other) > asked.row[AT]
        if row[STATUS] not in _GOES_ON:
            d.refused = None if met_another(reply) else (asked, reply)
        d.denied = denied(d.denied, asked, reply, crossed)
    if d.timer is not None:
        d.timer.refuse(row[STATUS], row[AT])
    if row[STATUS] == NO_DIALOG and not d.bye_at:
        d.disowned = batch.sighting(s.side, row, i)
        step((s, ENDED, row))


def granted(d: Dialog, asked: Sighting, answer: Sighting) -> None:
    """A re-INVITE or UPDATE got its 2xx."""
    d.denied = denied(d.denied, asked, answer, False, d.holders)
    d.holders = holding(d.holders, asked)
    if d.denied is not None and not d.bye_at:
        d.refused = asked, answer


def refreshed_unseen(s: DialogSet, d: Dialog, t: Transaction, row: Row, i: int, batch: Batch,
                     step: Callable[[Step], None]) -> None:  # fmt: skip
    """The final response to an uncaptured re-INVITE or UPDATE tells of it: a 2xx refreshes the
    session, another is a refresh in vain. Not where a request was seen: its sender may drop this
    response as another's."""
    timer = d.timer
    if timer is None or timer.tried is not None or d.bye_at:
        return
    by_caller = t.from_tag == s.caller_tag
    if row[STATUS] >= 300:
        timer.tried_at, timer.tried_by_caller = row[AT], by_caller
        timer.refuse(row[STATUS], row[AT])
        return
    d.timer = session_timer(batch.sighting(s.side, row, i), by_caller)
    d.disowned = None
    if d is s.current:
        step((s, REFRESHED, row))


def _is_rewritten(d: Dialog, t: Transaction, row: Row) -> bool:
    """True if a 2xx of no seen INVITE repeats the one of d, on its flow: a router has begun to
    rewrite its Via (the helper's forced port)."""
    first = d.invite
    if first is None or t.requests or not d.answered_at or row[STATUS] >= 300:
        return False
    return first.final_flow == row[FLOW] and first.cseq == row[CSEQ]
