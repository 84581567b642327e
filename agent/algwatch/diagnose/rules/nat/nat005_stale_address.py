# SPDX-License-Identifier: Apache-2.0
"""NAT005: a flow leaves with an address that this router no longer has.

What it sees
    Requests of a phone that leave the WAN side and are never answered, with another source address
    than the router has now. The line was dialled anew: another LAN host that had the old address
    leaves with a new one since, and the same provider answers it.

Why it breaks calls
    The NAT chose the address when the flow began and keeps it as long as packets come. A phone
    that repeats its REGISTER keeps its own dead flow alive. Responses go to an address that
    somebody else has now: the phone is not registered, and neither calls nor rings.

What else looks the same
    A provider that is down: it answers nobody. A router with two WAN addresses, both of which are
    answered. Where no other flow to this provider is answered with another address, nothing shows
    that the address is gone, and this rule is silent.

Recommendation
    Clear the NAT state of this phone on the router (conntrack -D -s PHONE -p udp), or switch the
    phone off for five minutes.

References
    nf_nat_masquerade.c (masq_device_event, masq_inet_event): only masquerading forgets the flows
    of an address that went, SNAT and many vendors' NAT do not.
"""

from __future__ import annotations

from collections.abc import Iterator

from algwatch.base import quote
from algwatch.base.packet import WAN
from algwatch.compare.call import Call
from algwatch.compare.exchange import Exchange
from algwatch.compare.registered import Registered
from algwatch.diagnose import cause
from algwatch.diagnose.finding import Finding
from algwatch.diagnose.known import Known
from algwatch.diagnose.rule import Rule, evidence
from algwatch.diagnose.subject import CALL, REGISTRATION, TRANSACTION
from algwatch.diagnose.unanswered import left_unanswered
from algwatch.sip.message import Message

RULE = Rule(
    "NAT005", "stale-address", "error", (TRANSACTION, CALL, REGISTRATION),
    (),
    "A flow leaves with an address that this router no longer has, so nothing is answered.",
    two_sided=True,
)  # fmt: skip


def check(thing: Call | Registered | Exchange, known: Known) -> Iterator[Finding]:
    request = left_unanswered(thing, known)
    if request is None or request.side != WAN:
        return
    newer = known.newer_address(request)
    if newer is None:
        return
    ends = request.ends
    inside = known.mapping(request.source, request.destination)
    line = known.line_of(inside.inside[:16], request.packed_ends[16:32]) if inside else None
    phone = line.phone if line is not None else "a phone here"
    method = quote.method(Message(request.payload).method)
    never = f"{method} from {ends.src}:{ends.sport}, never answered"
    proof = [evidence(request, never, f"from {newer.host}")]
    other = known.line_of(newer.inside, request.packed_ends[16:32])
    shown = other.shown if other is not None else None
    if shown is not None and shown.ends.src == newer.host:
        proof.append(evidence(shown, f"{newer.phone} leaves with {newer.host}", ""))
    yield RULE.finding(
        "router", "observed",
        f"The flow of {phone} to {ends.dst} still leaves with {ends.src}, which this router no "
        f"longer has: {newer.phone} has left with {newer.host} since, and is answered.",
        proof,
        f"{phone}/{ends.src}/{ends.dst}", cause=cause.STALE_NAT, call_id=thing.call_id,
        line=line.name if line is not None else "",
    )  # fmt: skip
