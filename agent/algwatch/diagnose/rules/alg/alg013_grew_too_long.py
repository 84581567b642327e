# SPDX-License-Identifier: Apache-2.0
"""ALG013: the router made a message longer than the line or its TCP stream bears.

What it sees
    An INVITE that came to the router as one packet and left it in IP fragments, because the router
    had made it longer; it goes unanswered, and shorter requests of the line do not. Or one that
    never left: it just fits the MTU of the line (1500, with PPPoE 1492 bytes), and with what this
    router adds to an INVITE or REGISTER of the phone it does not.
    SIP over TCP of which bytes leave the router twice, the second time with other content and with
    new bytes behind them, on a line whose messages the router makes longer, while the bytes of the
    phone follow each other.

Why it breaks calls
    A packet that must not be fragmented (DF) and has grown is dropped, and the phone cannot make
    its own smaller, because that fits. One that is fragmented is lost where fragments are dropped.
    The kernel's helper shifts the sequence numbers behind a message that it made longer. When a
    segment holds a whole message and the beginning of the next one, it does so too late: the next
    segment covers as many bytes as the message grew by. The far end keeps the earlier ones, so the
    next message lacks its bytes, and what follows is read at the wrong place.

What else looks the same
    An INVITE that is too long as the phone wrote it: SIZE001. A message that the helper drops for
    what is in it: ALG008. TCP that sends bytes again, all of them known, or more of them than the
    router adds to a message. A phone, or somebody in the LAN, whose own bytes contradict each
    other.

Recommendation
    Smaller messages or TCP; with the SIP ALG off the message keeps its length. Where a TCP stream
    is spoiled: turn the ALG off, or use UDP.

References
    RFC 3261 sections 18.1.1, 18.3; RFC 1191; RFC 2516 section 7; RFC 9293 section 3.10.7.4;
    nf_nat_sip_seq_adjust().
"""

from __future__ import annotations

from collections.abc import Iterator

from algwatch.base.quote import somebody
from algwatch.base.sighting import LENGTH
from algwatch.compare.call import Call
from algwatch.compare.line import REWRITTEN, SPOILED, Line
from algwatch.compare.signs import TROUBLED
from algwatch.diagnose import cause
from algwatch.diagnose.finding import Finding
from algwatch.diagnose.known import Known
from algwatch.diagnose.oversized import length, oversized
from algwatch.diagnose.rule import Rule, evidence, times
from algwatch.diagnose.subject import CALL, LINE

RULE = Rule(
    "ALG013", "grew-too-long", "error", (CALL, LINE),
    ("RFC 3261 18.1.1", "RFC 1191", "RFC 2516", "RFC 9293 3.10.7.4"),
    "The router made a message longer than the line or its TCP stream bears.", two_sided=True,
    when=TROUBLED,
)  # fmt: skip


def check(thing: Call | Line, known: Known) -> Iterator[Finding]:
    if isinstance(thing, Line):
        yield from _spoiled(thing)
    else:
        yield from _too_long(thing, known)


def _spoiled(line: Line) -> Iterator[Finding]:
    spoiled = line.seen.get(SPOILED)
    if spoiled is None or spoiled.first is None:
        return
    copy = spoiled.first
    size = copy.row[LENGTH]
    if size > line.grew:
        return  # more than the router adds: it sent something again, and changed it otherwise
    proof = [evidence(copy, f"{size} bytes that were sent before with other content", "new bytes")]
    rewritten = line.seen.get(REWRITTEN)
    if rewritten is not None and rewritten.first is not None:
        proof.append(evidence(rewritten.first, "a message of this line, made longer", ""))
    yield RULE.finding(
        "router", "certain",
        f"The router makes messages to {line.remote} longer and does not shift the TCP stream "
        f"behind each of them: {size} bytes left it a second time, with other content. The phone "
        "sent them once. The far end drops them, and they are part of the next message.",
        proof, f"stream/{line.name}", cause=cause.ALG, line=line.name,
    )  # fmt: skip


def _too_long(call: Call, known: Known) -> Iterator[Finding]:
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
