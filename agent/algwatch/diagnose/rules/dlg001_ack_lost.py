"""DLG001: a 2xx to INVITE is never acknowledged.

What it sees
    The 2xx, its retransmissions at T1, 2*T1, ... T2, and no ACK that reaches the callee. The two
    taps tell where it was lost: it never reached the WAN side, it arrived there and not in the
    LAN, it left for a port where nobody is, it left the phone and not the router, or it left the
    router and the 2xx still comes. What stopped here because it was sent to a port that is not
    the phone's, or came from a host that no phone has sent anything to, is not put on the router.

Why it breaks calls
    The callee must hear an ACK. Without one it repeats its 2xx for 64*T1 = 32 s and then ends the
    call with BYE: the call is answered, talks, and drops.

What else looks the same
    A capture that ends too early (CAP005), or that lost packets meanwhile (CAP002): then a place is
    named only where the ACK was seen to cross the router; an ACK that crosses one retransmission on
    the way; an ACK that took a way without a tap: then the 2xx stops coming and nobody hangs up.
    Over TCP the 2xx is repeated all the same.

Recommendation
    See the finding beside this one that names the cause (DLG002, DLG004, ALG011). Without one:
    look for loss between this router and the provider.

References
    RFC 3261 sections 13.2.2.4, 13.3.1.4, 17.1.1.3.
"""

from __future__ import annotations

from algwatch.base.packet import LAN, WAN
from algwatch.compare.call import Call
from algwatch.diagnose import lost_ack as lost
from algwatch.diagnose import misrouted
from algwatch.diagnose.context import Context
from algwatch.diagnose.finding import Finding
from algwatch.diagnose.rule import CALL, Rule, evidence
from algwatch.sip.dialog import Dialog

RULE = Rule(
    "DLG001", "ack-lost", "error", CALL,
    ("RFC 3261 13.2.2.4", "RFC 3261 13.3.1.4", "RFC 3261 17.1.1.3"),
    "A 2xx to INVITE is never acknowledged, so the callee ends the call after 32 s.",
)  # fmt: skip

# how it was lost: (where, what happened to the ACK)
READINGS = {
    lost.NEVER_ON_WAN: ("network", "no ACK ever reached this router's WAN side"),
    lost.STOPPED_INBOUND: ("router", "the ACK arrived on the WAN side and never left to the LAN"),
    lost.WRONG_PORT: ("router", "the ACK arrived, and the router sent it to another port"),
    lost.ANSWER_WRONG_PORT: ("router", "the 2xx arrived, and the router sent it to another port"),
    lost.STOPPED_OUTBOUND: ("router", "the ACK left the phone and never left the router"),
    lost.BEYOND: ("network", "the ACK left the router, and the 2xx still comes"),
    lost.NOT_SENT: ("phone", "the phone never sent an ACK"),
    lost.IGNORED: ("phone", "the ACK was delivered, and the phone still repeats its 2xx"),
    lost.ANSWER_STOPPED: ("router", "the 2xx itself never crossed the router"),
    lost.UNSEEN: (
        "unknown",
        "not all of the call was captured and kept, so it is not known what became of the ACK",
    ),
    lost.ONE_SIDED: ("unknown", "no ACK on this side of the router"),
    lost.ONE_SIDED_IGNORED: ("unknown", "an ACK was sent, and the 2xx still comes"),
}


def _astray(call: Call, how: str, context: Context) -> misrouted.Reading | None:
    """Where this router could do nothing about it."""
    if how == lost.STOPPED_INBOUND:
        return misrouted.ack_misrouted(call, context)
    if how == lost.ANSWER_STOPPED and not call.answered_inside:
        return misrouted.answer_misrouted(call)
    lan = call.dialogs[LAN]
    if how == lost.NOT_SENT and lan is not None:
        went = misrouted.answer_elsewhere(lan)
        if went is not None:
            reading = misrouted.answer_misrouted(call)
            where, why = reading or ("router", "the 2xx arrived where the INVITE came from")
            return where, f"{why}, so the router gave it to {went.dst}, which did not call"
    return None


def _not_dropped(d: Dialog, how: lost.LostAck, now: int) -> str:
    if d.bye_at:
        return (
            f"the other end hung up {lost.elapsed(d, d.bye_at)} after the answer, before it dropped"
        )
    left = how.seconds_left(now)
    if left:
        return f"the callee will end the call in {left} s"
    return "the callee fell silent without ending the call, so it is not known what became of it"


def check(call: Call, context: Context) -> Finding | None:
    how = lost.lost_ack(call, context)
    if how is None:
        return None
    d = how.dialog
    answer = d.answer
    if answer is None:
        return None
    where, what = _astray(call, how.how, context) or READINGS[how.how]
    if lost.strange_ack(call, how) is not None:
        where = "provider"  # it came from, or went to, a host that the NAT was never told of
    expected = "ACK within T1"
    proof = [evidence(answer, f"2xx sent {how.repeats + 1} times", expected)]
    far = call.dialogs[WAN]
    ack = d.ack or (far.ack if far is not None else None)
    if ack is not None:
        ends = ack.ends
        proof.append(
            evidence(ack, f"ACK {ends.src}:{ends.sport} to {ends.dst}:{ends.dport}", "delivered")
        )
    forced = call.forced.get("ACK")
    if forced is not None and forced.lan is not None:
        ends = forced.lan.ends
        proof.append(evidence(forced.lan, f"ACK left to {ends.dst}:{ends.dport}", "the callee"))
    if d.bye is not None and how.dropped(context.now):
        proof.append(evidence(d.bye, "the callee ends the call", "a call that goes on"))
    if how.dropped(context.now):
        harm = "observed"
        end = d.bye_at if d.gave_up else d.answer_last
        so = f"the call was dropped {lost.elapsed(d, end)} after the answer"
    else:
        harm = "latent"
        so = _not_dropped(d, how, context.now)
    known = how.how != lost.UNSEEN or harm == "observed"
    return RULE.finding(
        where, harm, call.call_id,
        f"The 2xx of {call.to if d.by_caller else call.from_} "
        f"{'was never' if known else 'was not seen to be'} acknowledged and came "
        f"{how.repeats + 1} times: {what}{f'; {so}' if known else ''}.",
        proof, f"{call.call_id}/{d.invite.cseq if d.invite else 0}",
    )  # fmt: skip
