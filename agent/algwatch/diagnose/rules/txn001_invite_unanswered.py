"""TXN001: an INVITE got no response at all until Timer B.

What it sees
    An INVITE, its retransmissions at T1, 2*T1, 4*T1 ..., and no response for 64*T1 = 32 s.

Why it breaks calls
    The caller hears nothing and gives up. Where the INVITE was lost shows on the two taps: on
    the LAN and not on the WAN side it was this router; on both, nobody behind the far side
    answered.

What else looks the same
    Internet scanners that knock on WAN port 5060: they have no mapping, the router drops them,
    and nothing is wrong. An INVITE without a retransmission is not judged. Where the capture lost
    packets meanwhile (CAP002) only one that was repeated to the end is, and no place is named.

Recommendation
    Router: see what swallowed it (size, RTP port collision, helper). Far side: look for loss or
    a filter between the router and the provider, or for a phone that is gone.

References
    RFC 3261 section 17.1.1.2.
"""

from __future__ import annotations

from algwatch.base.packet import LAN, WAN
from algwatch.base.sighting import Sighting
from algwatch.compare.call import Call
from algwatch.diagnose.context import Context
from algwatch.diagnose.finding import Finding
from algwatch.diagnose.rule import CALL, Rule, evidence
from algwatch.sip.dialog import Dialog
from algwatch.sip.transaction import Transaction

RULE = Rule(
    "TXN001", "invite-unanswered", "error", CALL, ("RFC 3261 17.1.1.2",),
    "An INVITE got no response at all until Timer B.",
)  # fmt: skip


def check(call: Call, context: Context) -> Finding | None:
    silent = [(d, *last) for d in call.seen if d.timed_out and (last := _last(d)) is not None]
    if not silent:
        return None
    which = _which(*silent[0][:2])
    if any(_has_response(d, which) for d in call.seen):
        return None
    lossy = context.lossy(call)
    if lossy and not any(t.waited_out for _, t, _ in silent):
        return None  # the response may not have been captured
    lan, wan = (_sent(call.dialogs[side], which) for side in (LAN, WAN))
    where, what = "unknown", "nobody answered it"
    if call.two_sided and (lan or wan):
        if not lan:
            return None  # unsolicited: no mapping, the router's filter did its work
        if lossy:
            what = "not all of the call was captured and kept, so it is not known how far it came"
        elif not wan:
            lonely = call.lonely.get("INVITE")
            if lonely is None:
                return None  # not proved that it never came
            # By another WAN than the ones that are watched it may well have left.
            if context.lines.know(lonely):
                where, what = "router", "it never left the router"
        elif call.inbound is None:
            what = "it was seen on both sides of the router, and nobody answered"
        elif call.inbound == which[1]:
            where, what = "phone", "it was delivered, and the phone did not answer"
        else:
            where, what = "network", "it left the router, and nobody answered"
    elif silent[0][0].side == WAN:
        return None  # one of the scanners, for all that this side shows
    sent = max(t.requests for _, t, _ in silent)
    again = silent[0][0].again is not None
    return RULE.finding(
        where, "observed", call.call_id,
        f"{'A re-INVITE in the call' if again else 'The INVITE'} to {call.to} was sent {sent} "
        f"times and got no response in 32 s: {what}.",
        [evidence(copy, f"sent {t.requests} times", "any response") for _, t, copy in silent],
        call.call_id,
    )  # fmt: skip


def _last(d: Dialog) -> tuple[Transaction, Sighting] | None:
    """The INVITE that was repeated in vain."""
    if d.again is not None:
        t, copy = d.again
    elif d.invite is not None and d.request is not None:
        t, copy = d.invite, d.request
    else:
        return None
    return (t, copy) if t.requests > 1 else None


Which = tuple[int, bool]  # CSeq number, and whether it is the caller's: each end counts its own


def _which(d: Dialog, t: Transaction) -> Which:
    return t.cseq, t.from_tag == d.caller_tag


def _sent(d: Dialog | None, which: Which) -> bool:
    """Whether this side saw the INVITE."""
    if d is None:
        return False
    seen = [d.again[0]] if d.again is not None else []
    return any(_which(d, t) == which for t in (*seen, d.invite) if t is not None)


def _has_response(d: Dialog, which: Which) -> bool:
    """Whether this side saw a final response to it."""
    if d.rejected:
        return True
    return bool(d.answered_at) and d.invite is not None and _which(d, d.invite) == which
