# SPDX-License-Identifier: Apache-2.0
"""Bye: the BYE of a dialog and its answer (RFC 3261 section 15)."""

from __future__ import annotations

from collections.abc import Callable

from algwatch.base.native.layout import ROW_SDP
from algwatch.base.packet import Batch
from algwatch.base.sighting import AT, BITS, FROM_TAG, STATUS, TO_TAG, Row
from algwatch.sip.dialog import ACK_OWES, ANSWER_OWES, AT_ONCE, NOTHING_OWED, Dialog, DialogSet
from algwatch.sip.reason import failure
from algwatch.sip.status_codes import CHALLENGES
from algwatch.sip.step import BYE_SENT, ENDED, UNANSWERED, Step
from algwatch.sip.timers import T4
from algwatch.sip.transaction import FINAL, ORPHAN, REQUEST, TIMED_OUT, Transaction

_ANSWERS = (FINAL, ORPHAN)


def bye(code: int, s: DialogSet, t: Transaction, row: Row, i: int, batch: Batch,
         step: Callable[[Step], None]) -> None:  # fmt: skip
    d = s.current
    if d is None or row[TO_TAG] != d.callee_tag != row[FROM_TAG]:
        d = s.of(row) or d
    if d is None:
        d = s.add(Dialog(row[FROM_TAG] if row[TO_TAG] == s.caller_tag else row[TO_TAG]))
    current = d is s.current
    if code == REQUEST:
        t.request = batch.sighting(s.side, row, i)
        if not d.bye_at:
            d.bye_at = row[AT]
            d.bye_of = t
            d.bye_reason = failure(t.request.payload)
            d.bye_by_caller = row[FROM_TAG] == s.caller_tag
            d.hung_up(row)
            if d.answers == 1 and d.acked_at and row[AT] - d.acked_at <= AT_ONCE:
                d.owing = _owing(s, d, row)
            if d.timer is not None:
                d.timed_out = d.timer.ends(d.bye_at, d.bye_by_caller, d.bye_reason)
            if d.timed_out or not d.acked_at or d.answer_last > d.acked_at:
                d.bye = t.request
            if current:
                step((s, BYE_SENT, row))
        elif d.bye_by_caller != (row[FROM_TAG] == s.caller_tag):
            reply = d.bye_response if d.bye_given_up else None
            given_up = reply is not None and row[AT] - reply.row[AT] > T4
            d.refused_first = (d.bye_status >= 300 or given_up) and not d.both_ended
            d.both_ended = True
        elif d.bye_response is not None:
            d.bye_of, d.bye = t, t.request  # presumably with credentials
    elif code in _ANSWERS:
        status = row[STATUS]
        if code == ORPHAN:
            asked = d.bye_of
            if asked is not None and asked.is_meant(t):
                asked.response = asked.response or batch.sighting(s.side, row, i)
        elif status >= 300:
            t.response = batch.sighting(s.side, row, i)
            if not d.refused_first:
                d.bye, d.bye_response = t.request, t.response
        if status >= 200 and status not in CHALLENGES and not d.ended_at:
            d.ended_at = row[AT]
            d.bye_status = status
            step((s, ENDED, row))
    elif code == TIMED_OUT:
        d.bye_unanswered = True
        d.bye_unrepeated = t.unrepeated
        d.bye = d.bye or t.request
        step((s, UNANSWERED, row))


def _owing(s: DialogSet, d: Dialog, bye: Row) -> str:
    """The message of the latest answered INVITE without the SDP that it has to have (section
    13.2.1), if the end that needs it sends this BYE; a word of sip/dialog.py."""
    if d.request is None or d.answer is None or d.ack is None or d.invite is None:
        return NOTHING_OWED
    offered = d.request.row[BITS] & ROW_SDP
    answered = d.answer.row[BITS] & ROW_SDP
    by_inviter = bye[FROM_TAG] == d.invite.from_tag
    if not answered and by_inviter and s.prack is None:
        return ANSWER_OWES  # with a PRACK, a provisional response may have had it (RFC 3262)
    if not offered and answered and not by_inviter and not d.ack.row[BITS] & ROW_SDP:
        return ACK_OWES
    return NOTHING_OWED
