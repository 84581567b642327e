# SPDX-License-Identifier: Apache-2.0
"""ALG013: the router made a message too long for the line or its TCP stream.

What it sees
    An INVITE came to the router as one packet and left it in IP fragments, because the router had
    made it longer. It is unanswered, and shorter requests of the line are answered. Or an INVITE
    never left: it just fits the MTU of the line (1500, with PPPoE 1492 bytes), and no longer does
    with the bytes this router adds to an INVITE or REGISTER of the phone.
    Or SIP over TCP: bytes leave the router twice, the second time with other content and with new
    bytes behind them, on a line whose messages the router makes longer, while the phone's own bytes
    are in sequence.

Why it breaks calls
    A grown packet with DF is dropped, and the phone cannot make its own smaller, because its own
    fits. A fragmented packet is lost on paths that drop fragments. In TCP, the kernel's helper
    shifts the sequence numbers behind a lengthened message. If a segment holds a whole message and
    the beginning of the next one, the shift comes too late: the next segment repeats as many bytes
    as the message grew by. The far end keeps the earlier bytes, so the next message lacks its own,
    and the stream is read at the wrong place.

What else looks the same
    The phone's own INVITE is too long: SIZE001. The helper drops a message for its content: ALG008.
    TCP repeats bytes, all of them known, or more of them than the router adds to a message. The
    phone, or somebody in the LAN, sends contradicting bytes.

Recommendation
    Smaller messages or TCP; with the SIP ALG off the message keeps its length. For a spoiled TCP
    stream: turn the ALG off, or use UDP.

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
        return  # more than the router adds: repeated, and changed in another way
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
