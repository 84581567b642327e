# SPDX-License-Identifier: Apache-2.0
"""The state of an ACK by the retransmissions of its 2xx (RFC 3261 section 13.3.1.4).

The callee repeats its 2xx at T1, 2*T1, ... T2 until an ACK comes, and ends the call 64*T1 after the
first one. So a 2xx that stops early was acknowledged, with or without an ACK in the capture.
"""

from __future__ import annotations

from algwatch.sip.dialog import MISROUTED, Dialog, DialogSet
from algwatch.sip.timers import ACK_WAIT, SECOND, T1, T2, WINDOW

TYPE_CHECKING = False
if TYPE_CHECKING:
    from algwatch.compare.call import Call

SLACK = 2 * SECOND  # the BYE of 64*T1 may be this far from it
CLOSE = SECOND + SECOND // 2  # the same if only the BYE shows it


def keeps_coming(d: Dialog) -> bool:
    """The 2xx came again after an ACK: more often than one copy already on its way explains."""
    return d.repeated_since(d.acked_at + WINDOW)


def went_to_the_end(d: Dialog) -> bool:
    """The 2xx was repeated until no time was left for another one."""
    return d.answer_last - d.answered_at >= ACK_WAIT - T2 - SECOND


def waited_out(s: DialogSet, d: Dialog) -> bool:
    """The callee waited for its ACK to the end: none came, captured or not."""
    lasted = d.bye_at - d.answered_at - ACK_WAIT
    if s.gave_up(d) and abs(lasted) <= SLACK:
        return True  # its BYE is the one of 64*T1
    return went_to_the_end(d)


def ended_unacknowledged(s: DialogSet, d: Dialog) -> bool:
    """A 2xx came once and got no ACK, and the BYE of either end came 64*T1 later. Over TCP, and at
    a B2BUA, nothing is repeated. Or its ACK did not go where the 2xx says, and this BYE is the
    callee's."""
    if d.answers != 1 or not d.bye_at or abs(d.bye_at - d.answered_at - ACK_WAIT) > CLOSE:
        return False
    if d.acked_at:
        return d.odd == MISROUTED and s.gave_up(d)
    return d.stray_ack is None


def _next(d: Dialog) -> int:
    """ns from the latest 2xx to the next one. The steps T1, 2*T1, 4*T1 and T2 and the sums of
    consecutive ones all differ. So the time since the first 2xx tells the step, even after
    losses."""
    lasted = d.answer_last - d.answered_at
    return 2 * T1 if lasted < 3 * T1 // 2 else 4 * T1 if lasted < 7 * T1 // 2 else T2


def survived(s: DialogSet, d: Dialog, now: int, call: Call | None = None) -> bool:
    """The callee stopped repeating its 2xx and did not give up: an ACK got through, captured or
    not. now: ns; call: an ACK on its other side counts, too."""
    quiet = (d.bye_at or min(now, s.until)) - d.answer_last
    overdue = d.bye_at and d.answers > 1 and quiet > _next(d) + WINDOW
    if quiet <= T2 + SECOND and not overdue:
        return False  # it may still repeat
    if waited_out(s, d) or ended_unacknowledged(s, d):
        return False
    lasted = d.bye_at - d.answered_at - ACK_WAIT if d.bye_at else 0
    if d.acked_last >= d.answer_last or lasted > SLACK:
        return True
    some = call.seen if call is not None else ()
    return any(one.current is not None and one.current.acked_last >= d.answer_last for one in some)


def dropped(s: DialogSet, d: Dialog, now: int) -> bool:
    """True if a callee without its ACK ended the call, by its BYE or by waiting to the end. A
    callee that fell silent before, or whose caller hung up, did not. now: ns."""
    if s.gave_up(d) or ended_unacknowledged(s, d):
        return True
    return went_to_the_end(d) and min(now, s.until) - d.answered_at >= ACK_WAIT


def ignored(s: DialogSet, d: Dialog, now: int) -> bool:
    """The 2xx goes on after an ACK for longer than one already on its way explains: the callee
    never got this ACK. now: ns."""
    if not d.acked_at or d.answer_last - d.acked_at <= 3 * SECOND // 2:
        return False
    if d.bye_at and d.answers == 2 and d.acked_last >= d.answer_last and not waited_out(s, d):
        return False  # one ACK was lost; the next may have come before the BYE
    return not survived(s, d, now)
