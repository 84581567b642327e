# SPDX-License-Identifier: Apache-2.0
"""NAT005: a flow leaves with an address not, or no longer, on this router's WAN.

What it sees
    Unanswered requests of a phone leave the WAN side with another source address than the router
    has now. The line was dialled anew: another LAN host of the old address has left with a new one
    since, and the same provider answers it; or another provider does, and the host leaves from the
    same port as before. Or the requests go to a public address with the phone's own private one,
    while another LAN host leaves translated and is answered.

Why it breaks calls
    The NAT chooses the address when the flow begins, and keeps it as long as packets come. A phone
    that repeats its REGISTER keeps its own dead flow alive: the flow began before the line was
    dialled anew, or before the router had its NAT rules. Responses go to somebody else's address
    now, or nowhere: the phone is not registered, and neither calls nor rings.

What else looks the same
    A provider is down: it answers nobody. A router has two WAN addresses, both answered. Without
    another flow that shows it, answered at another address, neither a lost address nor any
    translation is proved, and this rule is silent.

Recommendation
    Clear the NAT state of this phone on the router (conntrack -D -s PHONE -p udp), or switch the
    phone off for five minutes. If the phone is not translated even then, the NAT rules leave its
    network out.

References
    nf_nat_masquerade.c (masq_device_event, masq_inet_event): only masquerading drops the flows of a
    lost address, SNAT and many vendors' NAT do not.
"""

from __future__ import annotations

from collections.abc import Iterator

from algwatch.base import quote
from algwatch.base.packet import WAN
from algwatch.compare.call import Call
from algwatch.compare.exchange import Exchange
from algwatch.compare.registered import Registered
from algwatch.compare.signs import TROUBLED
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
    "A flow leaves with an address that is not the router's, or no longer, and is not answered.",
    two_sided=True, when=TROUBLED,
)  # fmt: skip


def check(thing: Call | Registered | Exchange, known: Known) -> Iterator[Finding]:
    request = left_unanswered(thing, known)
    if request is None or request.side != WAN:
        return
    right = known.right_address(request)
    if right is None:
        return
    ends, host = request.ends, request.packed_ends[:16]
    if right.translated:
        inside = known.mapping(request.source, request.destination)
        host = inside.inside[:16] if inside is not None else b""
    line = known.line_of(host, request.packed_ends[16:32])
    phone = line.phone if line is not None else "a phone here"
    method = quote.method(Message(request.payload).method)
    never = f"{method} from {ends.sender}, never answered"
    proof = [evidence(request, never, f"from {right.host}")]
    other = known.line_of(right.inside, request.packed_ends[16:32])
    shown = other.shown if other is not None else None
    if shown is not None and shown.ends.src == right.host:
        proof.append(evidence(shown, f"{right.phone} leaves with {right.host}", ""))
    why, step = cause.STALE_NAT, ""
    summary = (
        f"The flow of {phone} to {ends.dst} still leaves with {ends.src}, which this router no "
        f"longer has: {right.phone} has left with {right.host} since, and is answered."
    )
    if not right.translated:
        why = cause.ROUTER
        summary = (
            f"The flow of {phone} to {ends.dst} leaves with the phone's own address: this router "
            f"does not translate it; {right.phone} leaves with {right.host}, and is answered."
        )
        step = (
            f"Clear the NAT state of that phone on the router (conntrack -D -s {ends.src}); where "
            "that does not help, look whether its NAT rules cover the phone."
        )
    yield RULE.finding(
        "router", "observed", summary, proof,
        f"{phone}/{ends.src}/{ends.dst}", cause=why, call_id=thing.call_id,
        line=line.name if line is not None else "", next_step=step,
    )  # fmt: skip
