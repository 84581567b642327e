"""How a 2xx without its ACK was lost: the one reading of the two taps that the rules DLG001,
DLG002, DLG004 and ALG011 share."""

from __future__ import annotations

from algwatch.base.packet import LAN, WAN
from algwatch.base.sighting import Sighting
from algwatch.compare.call import Call
from algwatch.diagnose.context import Context
from algwatch.sip.dialog import Dialog
from algwatch.sip.message import Message
from algwatch.sip.timers import ACK_WAIT, SECOND, WINDOW

NOT_SENT = "not-sent"  # the caller in the LAN never sent it
NEVER_ON_WAN = "never-on-wan"  # the caller's ACK never reached this router
STOPPED_INBOUND = "stopped-inbound"  # arrived on the WAN, never on the LAN
WRONG_PORT = "wrong-port"  # arrived, and left for another port than the callee's
ANSWER_WRONG_PORT = "answer-wrong-port"  # the 2xx did, for another port than the caller's
STOPPED_OUTBOUND = "stopped-outbound"  # left the phone, never the router
BEYOND = "beyond"  # left the router, and the 2xx still comes
IGNORED = "ignored"  # delivered to the callee in the LAN, which goes on
ANSWER_STOPPED = "answer-stopped"  # the 2xx itself never crossed this router
UNSEEN = "unseen"  # the capture lost packets meanwhile: what is missing in it proves nothing
ONE_SIDED = "one-sided"  # no ACK on the only side that there is
ONE_SIDED_IGNORED = "one-sided-ignored"  # an ACK is there, and the 2xx still comes


class LostAck:
    """dialog: the one that is nearest to the callee; how: one of the words above."""

    __slots__ = ("dialog", "how")

    def __init__(self, dialog: Dialog, how: str) -> None:
        self.dialog = dialog
        self.how = how

    @property
    def repeats(self) -> int:
        return self.dialog.invite.finals - 1 if self.dialog.invite is not None else 0

    def dropped(self, now: int) -> bool:
        """The callee gave up, or its time is over: it hurt."""
        if self.how == UNSEEN and not Call.waited_out(self.dialog):
            return False
        return Call.dropped(self.dialog, now)

    def seconds_left(self, now: int) -> int:
        """Until the callee has to give up (64*T1 after its 2xx, RFC 3261 section 13.3.1.4)."""
        return max(0, (self.dialog.answered_at + ACK_WAIT - now) // SECOND)


# These rest on an ACK that was seen.
_SEEN = (WRONG_PORT, IGNORED, BEYOND)


def lost_ack(call: Call, context: Context) -> LostAck | None:
    """None while the ACK is not proved to be lost."""
    lost = _reading(call, context.now)
    if lost is None or lost.how == ONE_SIDED_IGNORED or not context.lossy(call):
        return lost
    # Seen where it should be: of one that was not seen to cross another may have been.
    if lost.how in _SEEN and "INVITE" in call.flow_pairs and "ACK" in call.flow_pairs:
        return lost
    return LostAck(lost.dialog, UNSEEN)


def _reading(call: Call, now: int) -> LostAck | None:
    d = call.near_callee
    if d is None or not d.answered_at or d.answer is None:
        return None
    once = d.invite is None or d.invite.finals == 1
    if once and (not d.acked_at or d.answer_last - d.acked_at <= SECOND):
        return None  # nothing was repeated: neither missing nor ignored
    ignored = call.ack_ignored(now)
    if call.ack(now) != "missing" and not ignored:
        return None
    lan, wan = call.dialogs[LAN], call.dialogs[WAN]
    inside = call.answered_inside
    if not call.two_sided or inside is None:
        if len(call.seen) > 1:
            return None  # both sides saw it and it is not known which way: no reading
        return LostAck(d, ONE_SIDED_IGNORED if ignored else ONE_SIDED)
    if lan is None or wan is None:
        return None
    # A tap that lags must not turn "not yet" into "never".
    if now < d.answered_at + WINDOW:
        return None
    # Nor must a tap that lost packets: what one side got the other side must have sent.
    sent, got = (lan, wan) if inside else (wan, lan)
    if _answered(got, d) and not _answered(sent, d):
        return None
    if not _answered(got, d):
        return LostAck(d, ANSWER_STOPPED)
    return LostAck(d, _inbound(call, lan, wan) if inside else _outbound(call, lan, wan))


def _answered(d: Dialog, like: Dialog) -> bool:
    """Whether d has the answer to the INVITE that is the current one of like."""
    one, two = d.invite, like.invite
    same = one is not None and two is not None and one.cseq == two.cseq
    return bool(d.answered_at) and same and d.by_caller == like.by_caller


def _inbound(call: Call, lan: Dialog, wan: Dialog) -> str:
    if not wan.acked_at:
        return NEVER_ON_WAN
    if not lan.acked_at:
        return STOPPED_INBOUND
    return WRONG_PORT if call.ack_misdelivered() else IGNORED


def _outbound(call: Call, lan: Dialog, wan: Dialog) -> str:
    if not lan.acked_at:
        return ANSWER_WRONG_PORT if call.answer_misdelivered() else NOT_SENT
    return BEYOND if wan.acked_at else STOPPED_OUTBOUND


def strange_ack(call: Call, lost: LostAck) -> Sighting | None:
    """The ACK between two other hosts than the INVITE went between, where the INVITE came by
    way of a proxy that is not in the route set (DLG004); else None."""
    d = call.dialogs[WAN] or lost.dialog
    if d.ack is None or d.request is None or d.answer is None:
        return None
    request, ack = Message(d.request.payload), d.ack.ends
    via = d.request.ends
    if lost.how in (STOPPED_INBOUND, ONE_SIDED_IGNORED) and ack.src != via.src:
        proxied = len(request.vias) > 1 and not request.record_routes
        return d.ack if proxied and ack.dst == via.dst else None
    if lost.how in (BEYOND, ONE_SIDED_IGNORED) and ack.dst != via.dst:
        answer = Message(d.answer.payload)
        same_caller = ack.src == via.src
        return d.ack if same_caller and not answer.record_routes else None
    return None


def elapsed(d: Dialog, until: int) -> str:
    return f"{(until - d.answered_at) / 1e9:.1f} s"
