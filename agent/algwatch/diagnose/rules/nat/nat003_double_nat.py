# SPDX-License-Identifier: Apache-2.0
"""NAT003: another NAT lies between this router and the provider.

What it sees
    This router translates, and its packets are translated once more. Its WAN address is private or
    shared (RFC 1918, RFC 6598) and the provider's is not, or received= of the topmost Via shows the
    provider another public source. It hurts if a 2xx leaves with this WAN address in its Contact
    and no ACK comes: nobody on the Internet can send to it.

Why it breaks calls
    By itself it does not: responses, and all messages sent to the source of packets, come back. But
    an address written or opened by an ALG, a PBX or a static mapping of this router is not the
    public one. Its port mappings have no effect, and the outer NAT drops idle flows by its own
    clock.

What else looks the same
    A provider in the same private network (a voice VLAN): there is nothing to translate. A provider
    behind a load balancer with a hidden source: received= is private, or the provider's own. A
    router without NAT: then the NAT beyond it is the only one.

Recommendation
    If it hurts: put the outer device into bridge mode, or forward the SIP port there, or ask the
    ISP for a public address; else let the phone find its public address (STUN, outbound).

References
    RFC 3261 section 18.2.1; RFC 3581 section 4; RFC 6598.
"""

from __future__ import annotations

from collections.abc import Iterator

from algwatch.base import address
from algwatch.base.packet import WAN
from algwatch.base.sighting import STATUS, Sighting
from algwatch.compare.call import Call
from algwatch.compare.crossing import Crossing
from algwatch.compare.line import REACHED_REWRITTEN, WORKS_UNTOUCHED
from algwatch.compare.signs import REPEATED, TROUBLED
from algwatch.diagnose import cause
from algwatch.diagnose import lost_ack as lost
from algwatch.diagnose.finding import Finding
from algwatch.diagnose.known import Known
from algwatch.diagnose.rule import Rule, evidence
from algwatch.diagnose.subject import CALL, CROSSING
from algwatch.sip.message import Message

RULE = Rule(
    "NAT003", "double-nat", "info", (CROSSING, CALL),
    ("RFC 3261 18.2.1", "RFC 3581 4", "RFC 6598"),
    "Another NAT (a second router, or the ISP's) lies between this router and the provider.",
    two_sided=True, when=REPEATED | TROUBLED,
)  # fmt: skip


def check(thing: Crossing | Call, known: Known) -> Iterator[Finding]:
    if isinstance(thing, Call):
        yield from _dropped(thing, known)
    elif not thing.outbound and thing.entered.row[STATUS]:
        yield from _seen(thing)


def _seen(crossing: Crossing) -> Iterator[Finding]:
    pair = crossing.flow_pair
    if pair is None or not pair.translated:
        return
    host, public = pair.wan_host, seen_from(crossing.entered)
    inner = address.is_unroutable(host) and not address.is_unroutable(pair.far)
    if not public and not inner:
        return
    kind = "the ISP shares a public address" if _is_shared(host) else "another NAT lies beyond"
    what = f"The WAN address of this router is {host}, which is not public: {kind}"
    if public:
        as_ = f"{pair.far} says that it sees {public}"
        what = f"{what}; {as_}" if inner else (
            f"The WAN address of this router is {host}, and {as_}: another NAT lies between them"
        )  # fmt: skip
    observed = f"to {host}" + (f", with received={public}" if public else "")
    yield RULE.finding(
        "network", "none", f"{what}.",
        [evidence(crossing.entered, observed, f"received={host}, or none")], host,
        line=f"{pair.phone} and {pair.far}",
    )  # fmt: skip


def seen_from(response: Sighting) -> str:
    """The public source of the request as seen by the sender of this response (WAN copy), if it is
    not the response's destination; else ""."""
    vias = Message(response.payload).vias
    received, ends = vias[0].received if vias else "", response.ends
    if ends.version != 4 or address.ipv4(received) < 0 or address.is_unroutable(received):
        return ""
    said = address.ipv4(received)
    return "" if said in (address.ipv4(ends.dst), address.ipv4(ends.src)) else received


def _is_shared(host: str) -> bool:
    """True for RFC 6598, 100.64.0.0/10."""
    return address.ipv4(host) >> 22 == 0x64400000 >> 22


def _dropped(call: Call, known: Known) -> Iterator[Finding]:
    """No ACK came for a 2xx whose Contact names this router's non-public WAN address."""
    how = lost.lost_ack(call, known)
    if how is None or how.how != lost.NEVER_ON_WAN:
        return
    d, pair = call.dialog(WAN), call.flow_pair
    if d is None or d.answer is None or pair is None or not pair.translated:
        return
    ends = d.answer.ends
    contacts = Message(d.answer.payload).contacts
    if not contacts or contacts[0].host != ends.src or ends.src != pair.wan_host:
        return
    if not address.is_unroutable(ends.src) or address.is_unroutable(ends.dst):
        return
    line = known.line(call)
    if line is not None and (line.count(REACHED_REWRITTEN) or line.count(WORKS_UNTOUCHED)):
        return  # this provider finds the phone in spite of it
    yield RULE.finding(
        "network", "observed" if how.dropped(known.now) else "latent",
        f"The 2xx left with {ends.src}, the WAN address of this router, in its Contact, and no ACK "
        f"came: that address is not public, another NAT lies between it and {ends.dst}.",
        [evidence(d.answer, f"Contact: {ends.src}", f"an address that {ends.dst} can reach")],
        call.call_id, cause=cause.OUTER_NAT, call_id=call.call_id,
        line=line.name if line is not None else "",
    )  # fmt: skip
