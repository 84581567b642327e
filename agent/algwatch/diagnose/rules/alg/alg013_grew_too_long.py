# SPDX-License-Identifier: Apache-2.0
"""ALG013: the router made a message too long for the line.

What it sees
    An INVITE that came to the router as one packet and left it in IP fragments, because the router
    had made it longer; it goes unanswered, and shorter requests of the line do not. Or one that
    never left: it just fits the MTU of the line (1500, with PPPoE 1492 bytes), and with what this
    router adds to an INVITE or REGISTER of the phone it does not.

Why it breaks calls
    A packet that must not be fragmented (DF) and has grown is dropped, and the phone cannot make
    its own smaller, because that fits. One that is fragmented is lost where fragments are dropped.

What else looks the same
    An INVITE that is too long as the phone wrote it: SIZE001. A message that the helper drops for
    what is in it: ALG008. Over TCP the helper can spoil a stream that has a whole message and a
    part of the next one in a segment; what is sent after that is not told here.

Recommendation
    Smaller messages or TCP; with the SIP ALG off the message keeps its length.

References
    RFC 3261 section 18.1.1; RFC 1191; RFC 2516 section 7; reference, section 1.9.
"""

from __future__ import annotations

from collections.abc import Iterator

from algwatch.base.quote import somebody
from algwatch.compare.call import Call
from algwatch.compare.line import REWRITTEN
from algwatch.diagnose import cause
from algwatch.diagnose.finding import Finding
from algwatch.diagnose.known import Known
from algwatch.diagnose.oversized import length, oversized
from algwatch.diagnose.rule import Rule, evidence, times
from algwatch.diagnose.subject import CALL

RULE = Rule(
    "ALG013", "grew-too-long", "error", CALL, ("RFC 3261 18.1.1", "RFC 1191", "RFC 2516"),
    "The router made a message too long for the line.", two_sided=True,
)  # fmt: skip


def check(call: Call, known: Known) -> Iterator[Finding]:
    one = oversized(call, known)
    if one is None or not one.grew:
        return
    size = length(one.inside)
    proof = [evidence(one.inside, f"entered the router as one packet of {size} bytes", "")]
    if one.outside is not None:
        what = (
            f"left in IP fragments, because the router had made it {length(one.outside) - size} "
            "bytes longer, and nobody answered"
        )
        proof.append(evidence(one.outside, f"{length(one.outside)} bytes in IP fragments", ""))
    else:
        what = (
            f"never left the router, which adds up to {one.line.grew} bytes to a request: it fits "
            "the line as the phone sent it, and no longer after that"
        )
        rewritten = one.line.seen.get(REWRITTEN)
        if rewritten is not None and rewritten.first is not None:
            proof.append(evidence(rewritten.first, "another message of this line, rewritten", ""))
    yield RULE.finding(
        "router", "observed",
        f"The INVITE to {somebody(call.to)} of {size} bytes was sent {times(one.sent)} and {what}; "
        f"shorter requests to {one.line.remote} are answered.",
        proof, call.call_id, cause=cause.SIZE, call_id=call.call_id, line=one.line.name,
    )  # fmt: skip
