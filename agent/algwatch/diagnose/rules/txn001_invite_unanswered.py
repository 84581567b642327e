"""TXN001: an INVITE got no response at all until Timer B.

What it sees
    An INVITE, its retransmissions at T1, 2*T1, 4*T1 ..., and no response for 64*T1 = 32 s.

Why it breaks calls
    The caller hears nothing and gives up. Where the INVITE was lost shows on the two taps: on
    the LAN and not on the WAN side it was this router; on both, nobody behind the far side
    answered.

What else looks the same
    Internet scanners that knock on WAN port 5060: they have no mapping, the router drops them,
    and nothing is wrong. An INVITE without a retransmission is not judged.

Recommendation
    Router: see what swallowed it (size, RTP port collision, helper). Far side: look for loss or
    a filter between the router and the provider, or for a phone that is gone.

References
    RFC 3261 section 17.1.1.2.
"""

from __future__ import annotations

from algwatch.base.packet import LAN, WAN
from algwatch.compare.call import Call
from algwatch.diagnose.context import Context
from algwatch.diagnose.finding import Finding
from algwatch.diagnose.rule import CALL, Rule, evidence

RULE = Rule(
    "TXN001", "invite-unanswered", "error", CALL, ("RFC 3261 17.1.1.2",),
    "An INVITE got no response at all until Timer B.",
)  # fmt: skip


def check(call: Call, context: Context) -> Finding | None:
    silent = [d for d in call.seen if d.timed_out and d.invite_retransmissions and d.request]
    if not silent or any(d.answered_at or d.rejected for d in call.seen):
        return None
    lan, wan = call.dialogs[LAN], call.dialogs[WAN]
    where, what = "unknown", "nobody answered it"
    if call.two_sided and (lan is not None or wan is not None):
        if lan is None:
            return None  # unsolicited: no mapping, the router's filter did its work
        if wan is None:
            lonely = call.lonely.get("INVITE")
            if lonely is None:
                return None  # not proved that it never came
            # By another WAN than the ones that are watched it may well have left.
            if context.peers.know(lonely):
                where, what = "router", "it never left the router"
        elif call.inbound:
            where, what = "phone", "it was delivered, and the phone did not answer"
        else:
            where, what = "network", "it left the router, and nobody answered"
    elif silent[0].side == WAN:
        return None  # one of the scanners, for all that this side shows
    first = silent[0].request
    assert first is not None
    sent = 1 + max(d.invite_retransmissions for d in silent)
    return RULE.finding(
        where, "observed", call.call_id,
        f"The INVITE to {call.to} was sent {sent} times and got no response in 32 s: {what}.",
        [evidence(d.request, f"sent {1 + d.invite_retransmissions} times", "any response")
         for d in silent if d.request is not None],
        call.call_id,
    )  # fmt: skip
