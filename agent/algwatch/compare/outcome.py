# SPDX-License-Identifier: Apache-2.0
"""Outcome: how a call ended, and whether the ACK to its latest answered INVITE came."""

from __future__ import annotations

from algwatch.base import address
from algwatch.base.packet import LAN, WAN
from algwatch.base.sighting import CSEQ
from algwatch.compare.ack import (
    SLACK,
    dropped,
    ended_unacknowledged,
    ignored,
    keeps_coming,
    survived,
)
from algwatch.compare.call import Call
from algwatch.compare.misdelivered import ack_misdelivered
from algwatch.sip.dialog import DialogSet
from algwatch.sip.status_codes import CHALLENGES
from algwatch.sip.timers import ACK_WAIT, SECOND, T2, T4, TIMER_F

# Two repeats: the 2xx has waited T1 + 2*T1 = 1.5 s for its ACK, longer than any round trip.
REPEATS = 2
HEARD = 60 * SECOND  # a user who hears nothing hangs up sooner


def ack_of(call: Call, now: int) -> str:
    """seen, missing or unknown: the ACK to the latest answered INVITE. now: ns."""
    s = call.near_callee
    d = s.current if s is not None else None
    if s is None or d is None or not d.answered_at:
        return "unknown"
    if call.is_plain:
        return "seen"
    if ended_unacknowledged(s, d):
        return "missing"
    on_side = s is call.sides[call.callee_side]
    if d.acked_at and on_side and not (ack_misdelivered(call) and keeps_coming(d)):
        return "seen"
    if survived(s, d, now, call):
        return "seen" if d.acked_at else "unknown"
    waited = min(now, s.until) - d.answered_at >= ACK_WAIT or s.gave_up(d)
    if d.repeats >= REPEATS or (d.repeats and waited):
        return "missing"
    return "unknown"


def is_unacknowledged(call: Call) -> bool:
    """For a completed call with an ACK that is unknown: its 2xx came again and again, and the call
    ended in a minute. Users who hear each other talk on, whatever way their ACK took."""
    s = call.near_callee
    d = s.current if s is not None else None
    if s is None or d is None or d.repeats < REPEATS or not d.bye_at:
        return False
    return d.bye_at - d.answered_at < HEARD


def ack_ignored(call: Call, now: int) -> bool:
    """See compare/ack.py. now: ns."""
    s = call.near_callee
    return s is not None and s.current is not None and ignored(s, s.current, now)


def outcome(call: Call, now: int, said: str = "") -> str:
    """completed, dropped, cancelled, rejected, unanswered, ongoing or unknown. now: ns; said:
    the result of ack_of(), if already known."""
    spoken = ended = given_up = False
    for s in call.sides:
        d = s.current if s is not None else None
        if d is not None:
            if d.answered_at or d.confirmed:
                spoken = True
            if d.bye_at:
                ended = True
        elif s is not None and s.timed_out:
            given_up = True
    if not spoken:
        return _unanswered(call, call.seen)
    if ended and call.is_plain:
        return "unknown" if _bye_is_open(call) else "completed"
    if (said or ack_of(call, now)) == "missing" or ack_ignored(call, now):
        near = call.near_callee
        d = near.current if near is not None else None
        if near is not None and d is not None and dropped(near, d, now):
            return "dropped"
        caller = call.near_caller
        if caller is not None and caller.cancelled_at and not caller.spoken and not ended:
            return "cancelled"  # it never got the 2xx
        waits = any(s.answered_at and now - s.answered_at < ACK_WAIT for s in call.seen)
        return "completed" if ended else "ongoing" if waits else "unknown"
    if ended:
        if call.timed_out or _earlier_unacknowledged(call):
            return "dropped"
        return "unknown" if _bye_is_open(call) else "completed"
    if given_up and (caller := call.near_caller) is not None and caller.current is None:
        return "unanswered"  # the 2xx came too late for it, or never
    if call.partial or call.cut_off or call.disowned is not None or _may_come_again(call, now):
        return "unknown"
    return "ongoing"


def _may_come_again(call: Call, now: int) -> bool:
    """The ACK is too recent: a retransmission of the 2xx, the sign of a lost ACK, may still
    come. Two retransmissions are at most T2 apart (RFC 3261 section 13.3.1.4)."""
    s = call.near_callee
    d = s.current if s is not None else None
    if s is None or d is None or not d.acked_at:
        return False
    return min(now, s.until) - max(d.acked_at, d.answer_last) < T2


def _earlier_unacknowledged(call: Call) -> bool:
    """The 2xx of an earlier re-INVITE was repeated to the end, beside a later one with its ACK, and
    the call ended then."""
    for s in call.seen:
        t = s.current.earlier if s.current is not None else None
        if t is not None and t.finals > REPEATS:
            to_the_end = t.last_at - t.final_at >= ACK_WAIT - T2 - SECOND
            if to_the_end and abs(s.bye_at - t.final_at - ACK_WAIT) <= SLACK:
                return True
    return False


def _bye_is_open(call: Call) -> bool:
    """The end of the BYE is not known. It got no response, and the capture ends before it had
    to cross or while it is repeated; or it was never repeated; or it was challenged and nothing
    followed."""
    some = [s.current for s in call.sides if s is not None and s.current is not None]
    for d in some:
        if not d.ended_at:
            break
    else:
        return False  # most calls: the BYE was answered wherever it was seen
    lan, wan = call.dialog(LAN), call.dialog(WAN)
    if any(d.bye_unrepeated or d.bye_challenged or d.bye_repeated for d in some):
        return not any(d.ended_at for d in some)
    if lan is None or wan is None or bool(lan.bye_at) == bool(wan.bye_at):
        return False
    d = lan if lan.bye_at else wan
    return not d.bye_status and not d.bye_unanswered and not d.ended_at


def _unanswered(call: Call, seen: list[DialogSet]) -> str:
    """The outcome of a call without a 2xx or an ACK to one. The strongest result of any side
    counts. But a caller without a response was not answered, whatever reached the other
    side."""
    caller = call.near_caller
    if caller is not None and caller.timed_out and not any(s.cancelled_at for s in seen):
        return "unanswered"
    said = "unknown"
    for s in seen:
        if s.cancelled_at:
            return "cancelled"
        if s.rejected == 487:
            # Nobody was seen to cancel it: the CANCEL was not captured, or something else ended it.
            if s.partial:
                return "cancelled"
        elif s.rejected:
            # A call that began unseen may go on after a refused re-INVITE (RFC 3261 section 14.1).
            if not (s.partial or _asks_again(caller, s)):
                said = "rejected"
        elif s.timed_out and said != "rejected":
            said = "unanswered"
        elif said == "unknown" and s.invite is not None and s.invite.provisional_at:
            said = "ongoing"
    return said


def _asks_again(caller: DialogSet | None, s: DialogSet) -> bool:
    """The caller got the refusal that s shows, and its next INVITE is only on its own side: the end
    of that one is the end of the call."""
    if caller is None or caller is s or caller.rejected:
        return False
    now, before = caller.request, s.request
    return now is not None and before is not None and now.row[CSEQ] > before.row[CSEQ]


def is_unfollowed(call: Call, now: int) -> bool:
    """The caller owed another INVITE after its refusal, and none was seen. now: ns.

    A redirection is judged after T4. A challenge is judged only in a one-sided capture beyond
    the NAT of the phone: the new INVITE may have been lost before this tap.
    """
    s = call.near_caller or call.seen[0]
    if 300 <= s.rejected < 400:
        waited = min(now, s.until) - s.last_at >= T4
        return (call.inbound is False or call.outward) and waited and not call.followed
    if s.rejected not in CHALLENGES or call.two_sided or s.challenged > 1:
        return False
    return s.request is not None and not address.is_unroutable(s.request.ends.src)


def is_over(call: Call, now: int) -> bool:
    """True if nothing more of the call is waited for. now: ns."""
    for s in call.sides:
        if s is None:
            continue
        d = s.current
        if d is not None and d.ended_at and d.bye_at and len(s.dialogs) == 1:
            return True  # as most calls end
        # A caller without the 2xx is done before the callee gives up.
        failed = s.rejected or (s.timed_out and not call.spoken)
        if d is None:
            if failed:
                return not _asked_anew(call, s)
        elif (
            d.ended_at
            or d.bye_unanswered
            or (d.bye_at and now - d.bye_at >= TIMER_F)
            or (not s.spoken and failed)
        ):
            return not any(one.stays for one in s.dialogs) or now - s.last_at >= TIMER_F
    return False


def _asked_anew(call: Call, s: DialogSet) -> bool:
    """A later INVITE than the refused one of s waits on the other side, and never came to this
    side."""
    if s.invite is None:
        return False
    return any(one is not None and one.waiting and one.invite is not None
               and one.invite.cseq > s.invite.cseq for one in call.sides)  # fmt: skip
