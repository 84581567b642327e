# SPDX-License-Identifier: Apache-2.0
"""LostAck: how the ACK to a 2xx was lost, read from both taps.

All rules about a lost ACK share this reading (Known.once). A reading is one word below. It names a
place only when the captured messages prove it (RFC 3261 sections 13.2.2.4 and 13.3.1.4).
"""

from __future__ import annotations

from algwatch.base import address
from algwatch.base.packet import LAN, WAN
from algwatch.base.sighting import Sighting, came_in
from algwatch.compare import ack
from algwatch.compare.call import Call
from algwatch.compare.misdelivered import ack_misdelivered, answer_misdelivered
from algwatch.compare.outcome import REPEATS, ack_ignored, ack_of
from algwatch.diagnose import retargeted
from algwatch.diagnose.known import Known
from algwatch.sip.dialog import Dialog, DialogSet
from algwatch.sip.message import parsed
from algwatch.sip.target import remote_target
from algwatch.sip.timers import ACK_WAIT, SECOND, TIMER_B, WINDOW

NOT_SENT = "not-sent"  # the caller in the LAN never sent it
NEVER_ON_WAN = "never-on-wan"  # the caller's ACK never reached this router
STOPPED_INBOUND = "stopped-inbound"  # arrived on the WAN, never on the LAN
WRONG_PORT = "wrong-port"  # arrived, and the router sent it to a port other than the callee's
WRONG_PHONE = "wrong-phone"  # arrived, and the router sent it to another host than the callee
ANSWER_WRONG_PORT = "answer-wrong-port"  # the router sent the 2xx to a port not the caller's
STOPPED_OUTBOUND = "stopped-outbound"  # left the phone, and never left the router
STOPPED_AGAIN = "stopped-again"  # left, came back for another phone here, and was stopped
BEYOND = "beyond"  # left the router, and the 2xx still comes
IGNORED = "ignored"  # delivered to the callee in the LAN, which still repeats the 2xx
ANSWER_STOPPED = "answer-stopped"  # the 2xx itself never crossed this router
UNHEARD = "unheard"  # the 2xx left the router, and its caller still sends the INVITE
CANCELLED = "cancelled"  # its caller, beyond, had cancelled the call before it got the 2xx
CANCELLED_LATE = "cancelled-late"  # its caller cancelled long after a 2xx that it did not get
UNSEEN = "unseen"  # the capture lost packets meanwhile: a missing ACK proves nothing
CONTESTED = "contested"  # packets that claim to be the same ACK, or 2xx, contradict each other
ONE_SIDED = "one-sided"  # no ACK on the only captured side
ONE_SIDED_IGNORED = "one-sided-ignored"  # an ACK is there, and the 2xx still comes
ONE_SIDED_UNHEARD = "one-sided-unheard"  # the INVITE is repeated after its 2xx

ALONE = (ONE_SIDED, ONE_SIDED_IGNORED)
# Readings that rest on a captured ACK.
SHOWN = (WRONG_PORT, WRONG_PHONE, IGNORED, BEYOND)
_UNHEARD = (UNHEARD, ONE_SIDED_UNHEARD)
UNTAKEN = (NEVER_ON_WAN, UNHEARD, CANCELLED_LATE)  # it left, and may not have been understood
_NOT_SEEN = (NOT_SENT, NEVER_ON_WAN, ONE_SIDED)  # without any ACK
# Readings without a place for the loss.
NOT_PROVED = (UNSEEN, CONTESTED)
CROSSING = 2 * SECOND  # a CANCEL and a 2xx that were under way together


class LostAck:
    """side: the dialog set nearest to the callee; dialog: its current dialog; how: a word above."""

    __slots__ = ("dialog", "how", "side")

    def __init__(self, side: DialogSet, dialog: Dialog, how: str) -> None:
        self.side = side
        self.dialog = dialog
        self.how = how

    @property
    def repeats(self) -> int:
        return self.dialog.repeats

    def dropped(self, now: int) -> bool:
        """True if it hurt: the callee gave up, or its time is over. now: ns."""
        if self.how in NOT_PROVED and not ack.waited_out(self.side, self.dialog):
            return False
        if self.how in _UNHEARD and self._was_given_up():
            return True
        return ack.dropped(self.side, self.dialog, now)

    def _was_given_up(self) -> bool:
        """Its caller hung up when Timer B of this INVITE was over (RFC 3261 section 12.2.1.2)."""
        d = self.dialog
        if not d.bye_at or d.invite is None or self.side.gave_up(d):
            return False
        return abs(d.bye_at - d.invite.at - TIMER_B) <= ack.SLACK

    def seconds_left(self, now: int) -> int:
        """Seconds until the callee gives up (64*T1 after its 2xx, RFC 3261 13.3.1.4). now: ns."""
        left = self.dialog.answered_at + ACK_WAIT - now
        return max(1, left // SECOND) if left > 0 else 0

    def is_open(self, now: int) -> bool:
        """The callee still waits, and nobody has ended the call. now: ns."""
        return not self.dialog.bye_at and self.seconds_left(now) > 0


def lost_ack(call: Call, known: Known) -> LostAck | None:
    """The reading of this call; None unless the ACK is proved to be lost."""
    return known.once(call, _lost_ack)


def _lost_ack(call: Call, known: Known) -> LostAck | None:
    lost = _reading(call, known.now)
    if lost is not None and not call.contested.isdisjoint(("ACK", "2xx INVITE")):
        return LostAck(lost.side, lost.dialog, CONTESTED)
    if lost is not None and lost.how in _NOT_SEEN and _began_before(lost.dialog):
        return LostAck(lost.side, lost.dialog, UNSEEN)
    if lost is None or lost.how == ONE_SIDED_IGNORED or not known.lossy(call):
        return lost
    # A lost packet could have been another ACK. Trust the reading only if both INVITE and ACK were
    # paired.
    if lost.how in SHOWN and "INVITE" in call.flow_pairs and "ACK" in call.flow_pairs:
        return lost
    return LostAck(lost.side, lost.dialog, UNSEEN)


def _began_before(d: Dialog) -> bool:
    """The capture began behind the INVITE and its provisional responses: the first 2xx seen may be
    a repetition, and an ACK to the one before it unseen."""
    t = d.invite
    return t is None or not (t.requests or t.provisional_at)


def _reading(call: Call, now: int) -> LostAck | None:
    s = call.near_callee
    d = s.current if s is not None else None
    if s is None or d is None or not d.answered_at or d.answer is None:
        return None
    if 0 < d.bye_at < d.answered_at and d.ended_at and not d.both_ended:
        # A user had hung up before this 2xx, so its ACK keeps no call (RFC 5407 appendix B).
        return None
    if d.answers == 1 and not ack.ended_unacknowledged(s, d):
        return None  # the 2xx was not repeated: the ACK is neither missing nor ignored
    ignored = ack_ignored(call, now)
    if ack_of(call, now) != "missing" and not ignored:
        return None
    inside = call.answered_inside
    if not call.two_sided or inside is None or len(call.seen) == 1:
        if len(call.seen) > 1:
            return None  # both sides saw the call, but not its direction
        if call.two_sided and call.unpaired and inside is None:
            return None
        if not d.acked_at and _cancelled(s):
            return LostAck(s, d, CANCELLED)
        if s.late_invites and not d.acked_at:
            return LostAck(s, d, ONE_SIDED_UNHEARD)
        return LostAck(s, d, ONE_SIDED_IGNORED if ignored or d.acked_at else ONE_SIDED)
    lan, wan = call.sides[LAN], call.sides[WAN]
    if lan is None or wan is None or not call.paired:
        return None
    # A tap that lags must not turn "not yet" into "never".
    if now < d.answered_at + WINDOW:
        return None
    # A 2xx received on one side, and not captured on the other, shows packet loss in the capture.
    sent, got = (lan, wan) if inside else (wan, lan)
    if _answered(got, s) and not _answered(sent, s):
        return None
    if not _answered(got, s) or _brought_by_another(call, got):
        return LostAck(s, d, ANSWER_STOPPED)
    how = _inbound(call, lan, wan) if inside else _outbound(call, lan, wan)
    acked = max(one.current.acked_last for one in (lan, wan) if one.current is not None)
    if how == UNSEEN and now - acked <= WINDOW:
        return None  # its other copy may come
    return LostAck(s, d, how)


def _brought_by_another(call: Call, got: DialogSet) -> bool:
    """The router has sent no 2xx on to this side: the one here came in from a neighbour, who may
    hide so that the router stops them, or make it look as if the router sent them elsewhere."""
    d = got.current
    if d is None or d.answer is None or "2xx INVITE" in call.flow_pairs:
        return False
    return came_in(d.answer)


def other_answers(call: Call, known: Known) -> list[LostAck]:
    """The same for the 2xx of other phones that answered this call, too (section 13.2.2.4): the
    caller has to acknowledge each of them."""
    s = call.near_callee
    if s is None or len(s.dialogs) < 2:
        return []
    return [
        LostAck(s, d, _other_answer(call, s, d, known)) for d in s.dialogs
        if d is not s.current and d.answer is not None and not d.acked_at and d.answers > REPEATS
    ]  # fmt: skip


def _other_answer(call: Call, s: DialogSet, d: Dialog, known: Known) -> str:
    inside = call.answered_inside
    far = call.sides[WAN if inside else LAN]
    if not call.two_sided or inside is None:
        return ONE_SIDED
    if far is None or not call.paired or known.lossy(call):
        return UNSEEN
    twin = next((other for other in far.dialogs if other.callee_tag == d.callee_tag), None)
    if twin is None:
        return ANSWER_STOPPED if not inside and "2xx INVITE" in call.unpaired else UNSEEN
    if inside:
        return STOPPED_INBOUND if twin.acked_at else NEVER_ON_WAN
    return STOPPED_OUTBOUND if twin.acked_at else NOT_SENT


def _answered(s: DialogSet, like: DialogSet) -> bool:
    """True if s has an answer to the INVITE of the current dialog of like."""
    one = s.current.invite if s.current is not None else None
    two = like.current.invite if like.current is not None else None
    if one is None or two is None or s.current is None or like.current is None:
        return False
    # A router that changes the CSeq, too, leaves two copies at one moment.
    same = one.cseq == two.cseq or s.call != like.call
    same = same or abs(s.answered_at - like.answered_at) <= WINDOW
    return bool(s.answered_at) and same and s.by_caller(s.current) == like.by_caller(like.current)


def _inbound(call: Call, lan: DialogSet, wan: DialogSet) -> str:
    if not wan.acked_at:
        if _cancelled(wan):
            return CANCELLED_LATE if _cancelled_late(wan) else CANCELLED
        return UNHEARD if wan.late_invites else NEVER_ON_WAN
    if not lan.acked_at:
        return STOPPED_INBOUND if _stopped(call) else UNSEEN
    if ack_misdelivered(call):
        return WRONG_PORT
    return WRONG_PHONE if _went_to_another(lan) else IGNORED


def _went_to_another(lan: DialogSet) -> bool:
    """The ACK went to a LAN host other than the sender of the 2xx."""
    d = lan.current
    if d is None or d.ack is None or d.answer is None:
        return False
    return d.ack.packed_ends[16:32] != d.answer.packed_ends[:16]


def _outbound(call: Call, lan: DialogSet, wan: DialogSet) -> str:
    if not lan.acked_at:
        return ANSWER_WRONG_PORT if answer_misdelivered(call) else NOT_SENT
    if not wan.acked_at:
        return STOPPED_OUTBOUND if _stopped(call) else UNSEEN
    back, answer = call.unpaired.get("ACK"), wan.current.answer if wan.current is not None else None
    if back is None or back.wan is None or answer is None:
        return BEYOND
    # Both ends are in the LAN: the ACK came back to the source of the 2xx, an address of this
    # router as is the ACK's own source. Anybody can send it back to a far end.
    ack_ = wan.current.ack if wan.current is not None else None
    ours = ack_ is not None and ack_.source[:16] == answer.source[:16]
    return STOPPED_AGAIN if ours and back.wan.destination == answer.source else BEYOND


def _cancelled(s: DialogSet) -> bool:
    """The caller cancelled the answered INVITE. It had not got the 2xx then, so the Contact of this
    2xx does not keep its ACK away (RFC 3261 sections 9.1 and 15). s: the side the CANCEL came in
    on. The CANCEL of a forked INVITE may be for another branch."""
    d, cancel = s.current, s.cancel
    if d is None or cancel is None or d.invite is None or s.branches:
        return False
    return cancel.cseq == d.invite.cseq and s.by_caller(d)


def _cancelled_late(s: DialogSet) -> bool:
    """The CANCEL came when the 2xx and its repeats had long left: they did not cross on the way."""
    return s.cancel is not None and s.cancel.at - s.answered_at > CROSSING


def _stopped(call: Call) -> bool:
    """True if an ACK stopped in this router. An ACK that crossed did not stop, even if a side does
    not assign it to its call: the first INVITE of this side may be forged."""
    return "ACK" in call.unpaired


def ack_past_proxy(call: Call, lost: LostAck) -> Sighting | None:
    """The ACK, if it went between other hosts than the INVITE, and the INVITE came through a proxy
    outside the route set (DLG004); else None."""
    s = call.sides[WAN] or lost.side
    d = s.current
    if d is None or d.ack is None or d.request is None or d.answer is None:
        return None
    request, ends = parsed(d.request.payload), d.ack.ends
    via = d.request.ends
    if lost.how in (STOPPED_INBOUND, ONE_SIDED_IGNORED) and ends.src != via.src:
        proxied = len(request.vias) > 1 and not request.record_routes
        return d.ack if proxied and ends.dst == via.dst else None
    if lost.how in (BEYOND, ONE_SIDED_IGNORED) and ends.dst != via.dst:
        answer = parsed(d.answer.payload)
        same_caller = ends.src == via.src
        # A private address bypasses no proxy: its Contact is the fault (DLG002).
        direct = same_caller and not address.is_unroutable(ends.dst)
        if retargeted.by_contact(call, d.ack) is not None:
            return None  # this router sent it there, not the proxy
        target = remote_target(answer)
        host = target.host.strip("[]") if target is not None else ""
        if address.is_literal(host) and address.canonical(host) != ends.dst:
            return None  # not to its callee: its sender looked another server up
        own = answer.vias[0].received if answer.vias else ""
        if ends.dst in (ends.src, own):
            return None  # back to the caller: no far end wrote such a Contact
        return d.ack if direct and not answer.record_routes else None
    return None


def elapsed(d: Dialog, until: int) -> str:
    return f"{(until - d.answered_at) / 1e9:.1f} s"
