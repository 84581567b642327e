# SPDX-License-Identifier: Apache-2.0
"""SIZE002: a TCP connection for SIP never opened.

What it sees
    A host sends SYN to a SIP port of a far end (also 5061, for TLS). It is refused (RST), or sent
    again in vain for two seconds at least. For 64*T1 the host sends no INVITE in another way and
    opens no other connection; a host that was not seen to send SIP before does not register either.
    The captures tell the place: the SYN never left the router, nobody answered it beyond, it was
    refused there, or the answer stopped in the router. Or a provider that a phone here is
    registered with asks for a connection to the WAN address, and no phone takes it: the place is
    unknown, as the provider may use the phone's own connection, and the phone name its port.

Why it breaks calls
    A phone sends a request of more than 1,300 bytes over TCP, even if it uses UDP for all others.
    With many codecs that is every INVITE: the phone registers, takes calls, and cannot make any.
    Until the connection is open, no message can be seen.

What else looks the same
    A phone tries a server that is absent, and uses another one: its next INVITE or REGISTER makes
    up for it. After RST a phone has to try UDP (RFC 3261 section 18.1.1): then there is no fault.
    Somebody in the LAN looks for open ports: the harm counts as observed only if messages have
    passed between these two hosts before.

Recommendation
    In this router: let TCP to this port pass. Beyond: ask the provider for SIP over TCP. Or fewer
    codecs and options on the phone, so that its INVITE is short enough for UDP.

References
    RFC 3261 sections 18.1.1 and 18; RFC 9293 section 3.5; RFC 5626.
"""

from __future__ import annotations

from collections.abc import Iterator

from algwatch.base import address
from algwatch.base.packet import LAN, WAN
from algwatch.compare.connects import Connect
from algwatch.compare.line import name_of
from algwatch.diagnose import cause
from algwatch.diagnose.finding import Finding
from algwatch.diagnose.known import Known
from algwatch.diagnose.rule import Rule, evidence, times
from algwatch.diagnose.subject import CONNECT

RULE = Rule(
    "SIZE002", "no-connection", "warning", CONNECT, ("RFC 3261 18.1.1", "RFC 9293 3.5"),
    "A TCP connection for SIP was asked for, and never opened.", symptom=True,
)  # fmt: skip

SHORTER = "or let the phone offer fewer codecs, so that its messages are short enough for UDP"


def check(one: Connect, known: Known) -> Iterator[Finding]:
    first = one.first
    ends = first.ends
    where, what, because, step = _place(one, known)
    sent = one.sent[first.side]
    near, far = (ends.dst, ends.src) if one.inbound else (ends.src, ends.dst)
    line = known.line_of(first.source[:16], first.destination[:16])
    observed = line is not None and where != "unknown"
    last = f" in {(one.last_at - one.started_at) / 1e9:.0f} s" if sent > 1 else ""
    proof = [evidence(first, f"SYN, sent {times(sent)}{last}", "SYN-ACK")]
    copies = [copy for copy in one.asked if copy is not None and copy is not first]
    proof += [evidence(copy, "the SYN on this side") for copy in copies]
    proof += [evidence(reply, "RST", "SYN-ACK") for reply in one.refused if reply is not None]
    if one.accepted is not None:
        proof.append(evidence(one.accepted, "SYN-ACK", "its copy in the LAN"))
    size = ""
    if observed:
        size = " A phone that uses UDP sends messages of more than 1,300 bytes over TCP."
    yield RULE.finding(
        where, "observed" if observed else "latent",
        f"{ends.src} asked {address.joined(ends.dst, ends.dport)} for a TCP connection "
        f"{times(sent)}{last}, and {what}: no message could be sent over it.{size}",
        proof, f"{near}/{far}/{ends.dport}/{where}", cause=because, next_step=step,
        line=name_of(near, far) if known.two_sided and not one.inbound else "",
    )  # fmt: skip


def _place(one: Connect, known: Known) -> tuple[str, str, str, str]:
    """Where it stopped, a clause that says so, the cause, and the next step."""
    port = one.first.ends.dport
    here = f"Let TCP to port {port} pass the firewall of the router, {SHORTER}."
    beyond = f"Ask the provider whether it takes SIP over TCP at port {port}, {SHORTER}."
    capture = known.capture
    if one.inbound:
        if one.reached:
            return "phone", "a phone did not take it", cause.UNKNOWN, (
                "Look whether this phone listens for SIP over TCP.")  # fmt: skip
        return "unknown", "no mapping of the router leads to a phone", cause.UNKNOWN, (
            "Ask the provider to send calls on the way that the phone has opened (RFC 5626), or "
            f"forward TCP port {port} to the phone.")  # fmt: skip
    refused = one.refused
    if not known.two_sided or capture.apart:
        what = "was refused" if any(refused) else "nobody answered"
        return "unknown", what, cause.UNKNOWN, beyond
    if one.accepted is not None:
        where = "the answer came to the router and never left it"
        return "router", where, cause.ROUTER, here
    if refused[WAN] is not None:
        return "provider", "it was refused beyond the router", cause.UNKNOWN, beyond
    if one.asked[WAN] is not None:
        return "network", "nobody beyond the router answered", cause.UNKNOWN, beyond
    if capture.lost_at >= one.started_at or capture.gaps or capture.is_late(one.last_at):
        return "unknown", "it did not open", cause.UNKNOWN, here
    if refused[LAN] is not None:
        return "router", "the router refused it", cause.ROUTER, here
    return "router", "it never left the router", cause.ROUTER, here
