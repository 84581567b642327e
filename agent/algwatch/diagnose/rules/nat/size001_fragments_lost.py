# SPDX-License-Identifier: Apache-2.0
"""SIZE001: only requests in IP fragments are unanswered.

What it sees
    An INVITE in IP fragments is repeated in vain, on a line with answered shorter requests and
    without any answered request in fragments. If it left the router, a hop beyond does not carry
    fragments; if not, this router does not. Or a 2xx in IP fragments never crosses this router,
    while shorter responses to its INVITE do; or it leaves, and is never acknowledged on a line with
    acknowledged shorter ones.

Why it breaks calls
    Many firewalls and carrier NATs drop the second fragment, because it has no port. With many
    codecs, candidates or headers an INVITE has more than 1500 bytes, the more so with credentials:
    the phone registers, takes calls, and cannot make any.

What else looks the same
    A provider is absent: it answers nothing. An INVITE in fragments is answered now and then:
    packets get lost. Only the router made a message too long: ALG013.

Recommendation
    Fewer codecs and options on the phone, or SIP over TCP or TLS.

References
    RFC 3261 section 18.1.1; RFC 4787 REQ-14; RFC 8900.
"""

from __future__ import annotations

from collections.abc import Iterator

from algwatch.base.packet import LAN, WAN
from algwatch.base.quote import somebody
from algwatch.compare.call import Call
from algwatch.compare.signs import TROUBLED
from algwatch.diagnose import cause
from algwatch.diagnose import lost_ack as lost
from algwatch.diagnose.finding import Finding
from algwatch.diagnose.known import Known
from algwatch.diagnose.oversized import is_fragmented, length, oversized
from algwatch.diagnose.rule import Rule, evidence, times
from algwatch.diagnose.subject import CALL

RULE = Rule(
    "SIZE001", "fragments-lost", "error", CALL, ("RFC 3261 18.1.1", "RFC 4787", "RFC 8900"),
    "Only requests that travel in IP fragments go unanswered.", two_sided=True, when=TROUBLED,
)  # fmt: skip


def check(call: Call, known: Known) -> Iterator[Finding]:
    yield from _of_answer(call, known)
    one = oversized(call, known)
    if one is None or one.grew or not is_fragmented(one.outside or one.inside):
        return
    proof = [evidence(one.inside, f"entered the router with {length(one.inside)} bytes", "")]
    if one.outside is not None:
        where, what = "network", "left the router in IP fragments, and nobody answered"
        proof.append(evidence(one.outside, "left it in IP fragments", "any response"))
    else:
        where, what = "router", "came in IP fragments and never left the router"
    yield RULE.finding(
        where, "observed",
        f"The INVITE to {somebody(call.to)} of {length(one.inside)} bytes was sent "
        f"{times(one.sent)}, {what}; shorter requests to {one.line.remote} are answered.",
        proof, call.call_id, cause=cause.SIZE, call_id=call.call_id, line=one.line.name,
    )  # fmt: skip


def _of_answer(call: Call, known: Known) -> Iterator[Finding]:
    """A 2xx in fragments never crossed the router, while shorter provisional responses to its
    INVITE did; or it left the router and was never acknowledged, while shorter ones are."""
    how = lost.lost_ack(call, known)
    if how is None or call.answered_inside is None:
        return
    line = known.line(call)
    if how.how in lost.UNTAKEN and call.answered_inside:
        if line is None or not line.finds_phone or line.fragments_answered:
            return
        where, fate = "network", "left the router in IP fragments, and was never acknowledged"
        others = f"shorter ones to {line.remote} are"
    elif how.how == lost.ANSWER_STOPPED:
        where, fate = "router", "came in IP fragments and never crossed the router"
        others = "shorter responses did"
    else:
        return
    answer = how.dialog.answer
    near = call.sides[WAN if call.answered_inside else LAN]  # the side its INVITE came from
    if answer is None or not is_fragmented(answer) or near is None or near.invite is None:
        return
    if not near.invite.provisional_at or not how.dropped(known.now):
        return
    yield RULE.finding(
        where, "observed",
        f"The 2xx of {somebody(call.to)} of {length(answer)} bytes was sent "
        f"{times(how.repeats + 1)}, {fate}; {others}.",
        [evidence(answer, "came to the router in IP fragments", "its copy on the other side")],
        f"{call.call_id}/2xx", cause=cause.SIZE, call_id=call.call_id,
        line=known.line_name(call),
    )  # fmt: skip
