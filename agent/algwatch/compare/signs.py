# SPDX-License-Identifier: Apache-2.0
"""Signs: a quick look at a call, so only rules with a possible finding read it."""

from __future__ import annotations

from algwatch.compare.call import Call

REWRITTEN = 1  # the router changed a message of it
REPEATED = 2  # a 2xx of it was repeated, or not acknowledged
TROUBLED = 4  # anything else unusual for a call answered, acknowledged and ended
EVERY = REWRITTEN | REPEATED | TROUBLED


def signs(call: Call) -> int:
    """Bits above. A call without REPEATED and TROUBLED was seen from its INVITE to the 2xx of its
    BYE on each captured side, with nothing lost, refused, cancelled, forked or odd."""
    if call.unpaired or call.misdelivered or call.contested or call.unsolicited or call.astray:
        return EVERY
    if call.moved or call.unjudged or call.was_overdue or (call.two_sided and not call.paired):
        return EVERY
    found = 0
    if call.headers or call.changed or call.names is not None or call.unrestored:
        found = REWRITTEN
    seen = call.seen
    if call.two_sided and len(seen) < 2:
        return EVERY
    for s in seen:
        d = s.current
        if d is None or not d.answered_at or len(s.dialogs) != 1:
            return EVERY
        if not d.acked_at or d.answers != 1 or s.final_retransmissions:
            found |= REPEATED
        if not d.bye_at or not d.ended_at or d.bye_status >= 300 or d.bye_response is not None:
            return EVERY
        if d.silent or d.odd or d.timed_out or d.bye_unanswered or d.both_ended:
            return EVERY
        if d.pending is not None or d.crossed is not None or s.branches or d.owing:
            return EVERY
        if s.timed_out or s.late_invites or s.misbranched or s.rejected or s.cancelled_at:
            return EVERY
        if (
            d.earlier
            or d.stray_ack
            or d.odd_copy
            or d.disowned
            or s.unheard
            or s.cancel
            or s.reliable
            or s.given_up
        ):
            return EVERY
    return found
