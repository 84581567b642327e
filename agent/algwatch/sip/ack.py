# SPDX-License-Identifier: Apache-2.0
"""Ack: the ACK to a 2xx, and the dialog it confirms (RFC 3261 section 13.2.2.4)."""

from __future__ import annotations

from collections.abc import Callable

from algwatch.base.native.layout import ROW_DIRECTED, ROW_OUTGOING, ROW_TCP
from algwatch.base.packet import Batch
from algwatch.base.sighting import AT, BITS, CSEQ, FROM_TAG, TO_TAG, Row, Sighting
from algwatch.sip.dialog import BY_BRANCH, BY_TAG, MISROUTED, Dialog, DialogSet
from algwatch.sip.step import CONFIRMED, Step
from algwatch.sip.target import follows


def acked(s: DialogSet, row: Row, i: int, batch: Batch, step: Callable[[Step], None],
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
    was = d.earlier
    if was is not None and (row[CSEQ], row[FROM_TAG]) == (was.cseq, was.from_tag):
        d.earlier = None
    if d.invite is not None and row[CSEQ] != d.invite.cseq:
        # The ACK of an earlier INVITE may be late; one after a repeated 2xx is meant for this one.
        again = d.answers > 1 and not d.acked_at and row[FROM_TAG] == d.invite.from_tag
        meant = row[CSEQ] > d.invite.cseq or again
        if meant and d.pending is None and d.crossed is None:
            d.stray_ack = d.stray_ack or batch.sighting(s.side, row, i)
        return
    d.acked_last = at
    if d.acked_at:
        if odd == BY_BRANCH and not d.odd and d.odd_copy is None:
            d.odd_copy = batch.sighting(s.side, row, i)
        if d.ack is None and d.answers > 1 and not d.ended_at:
            d.ack = batch.sighting(s.side, row, i)  # released like the 2xx
    else:
        d.acked_at = at
        d.confirmed = True
        d.odd = odd
        if not d.ended_at:
            d.ack = batch.sighting(s.side, row, i)
            # Over UDP a 2xx that comes again tells of a fault, and over TCP nothing does.
            tcp = row[BITS] & ROW_TCP
            if tcp and not odd and d.answer is not None and not follows(d.ack, d.answer):
                d.odd = MISROUTED
        step((s, CONFIRMED, row))


def _is_of_another(ack: Row, request: Sighting | None) -> bool:
    """True if the ACK came in by the interface its INVITE went out on, or the other way round: it
    is not from the caller, and no router has forwarded it."""
    if request is None or not ack[BITS] & request.row[BITS] & ROW_DIRECTED:
        return False
    return bool((ack[BITS] ^ request.row[BITS]) & ROW_OUTGOING)
