# SPDX-License-Identifier: Apache-2.0
"""ALG008: the router's SIP helper swallowed a legal message.

What it sees
    An INVITE or its 2xx, of either end, entered the router again and again and never left it. The
    router rewrites other messages of this line, so its helper is at work there. And the message has
    a known reason for the Linux helper (nf_conntrack_sip) to drop it: a host name as SDP address, a
    media port below 1024, SDP without Content-Length, or a media port another call of this house
    has offered to the same provider within 180 s, with its pinhole still open. Or a REGISTER on
    such a line has the expires of its Contact in quotes.

Why it breaks calls
    The helper drops everything it cannot parse or open. It drops every retransmission, too, and the
    caller gives up after 32 s.

What else looks the same
    A firewall, a full queue, or unforwarded fragments: then the same message is lost without a
    helper, too. Without one of the known reasons, or on a line without rewrites, TXN001 names the
    place and no more.

Recommendation
    Turn the SIP ALG off, if the calls of this line work without it.

References
    net/netfilter/nf_conntrack_sip.c process_sdp(), set_expected_rtp_rtcp(); nf_nat_sip.c
    mangle_content_len(), nf_nat_sdp_session(); RFC 8866 sections 5.2, 5.7 (host names are legal).
"""

from __future__ import annotations

from collections.abc import Iterator

from algwatch.base.quote import somebody
from algwatch.base.sighting import AT, STATUS, Sighting
from algwatch.compare.call import Call
from algwatch.compare.crossing import SHORTEST
from algwatch.compare.line import REWRITTEN, Line
from algwatch.compare.registered import Registered
from algwatch.compare.signs import REPEATED, TROUBLED
from algwatch.diagnose import cause
from algwatch.diagnose import lost_ack as lost
from algwatch.diagnose.finding import Finding
from algwatch.diagnose.known import Known
from algwatch.diagnose.rule import Rule, evidence
from algwatch.diagnose.subject import CALL, REGISTRATION
from algwatch.sip.helper_drops import dropped_for
from algwatch.sip.message import Message
from algwatch.sip.timers import SECOND
from algwatch.sip.transaction import UDP

PENDING = 180 * SECOND  # lifetime of an unused pinhole (nf_conntrack_sip.c)

RULE = Rule(
    "ALG008", "swallowed", "error", (CALL, REGISTRATION),
    ("RFC 8866 5.2", "RFC 8866 5.7", "RFC 3261 20.14"),
    "The router's SIP helper swallowed a legal message.", two_sided=True,
    when=REPEATED | TROUBLED,
)  # fmt: skip


def check(thing: Call | Registered, known: Known) -> Iterator[Finding]:
    if isinstance(thing, Registered):
        yield from _of_registration(thing, known)
    else:
        yield from _of_call(thing, known)


def _of_registration(registered: Registered, known: Known) -> Iterator[Finding]:
    exchange = registered.exchange
    if registered.said != "unanswered" or exchange is None or exchange.line is None:
        return
    request, line = exchange.request, exchange.line
    if request is None or not exchange.unpaired or exchange.left is not None:
        return
    if not exchange.outbound or exchange.entered.unrepeated:
        return
    at = request.row[AT]
    if known.capture.is_late(at) or known.capture.lost_by(request) >= at:
        return
    rewritten = line.seen.get(REWRITTEN)
    kind, what = dropped_for(Message(request.payload))
    if not kind or rewritten is None or kind in line.passed:
        return
    proof = [evidence(request, f"entered the router; {what}", "its copy on the WAN side")]
    if rewritten.first is not None:
        proof.append(evidence(rewritten.first, "another message of this line, rewritten", ""))
    yield RULE.finding(
        "router", "observed",
        f"The REGISTER of {somebody(registered.aor)} entered the router and never left it: {what}, "
        "which the router's SIP helper drops. It is at work on this line, whose other messages it "
        "rewrites.",
        proof, registered.call_id, cause=cause.ALG, certain=True, call_id=registered.call_id,
        line=line.name,
    )  # fmt: skip


def _of_call(call: Call, known: Known) -> Iterator[Finding]:
    crossing, name = call.unpaired.get("INVITE"), f"INVITE to {somebody(call.to)}"
    if crossing is not None and len(call.seen) == 1:
        s = call.near_caller
        if s is None or not s.timed_out:
            return
        if not s.invite_retransmissions and crossing.entered.ends.proto == UDP:
            return  # Timer A repeats one without a response (RFC 3261 section 17.1.1.2)
    else:
        how = lost.lost_ack(call, known)
        crossing, name = call.unpaired.get("2xx INVITE"), "2xx to the INVITE"
        if how is None or how.how != lost.ANSWER_STOPPED:
            return
    if crossing is None or known.lossy(call):
        return
    copy, phone, entry = crossing.entered, crossing.phone, crossing.mapping
    if crossing.wan is not None:
        if entry is None or copy.row[AT] - crossing.used_at >= max(SHORTEST, entry.survived):
            return  # a firewall stops what comes without a mapping
        phone = entry.inside[:16]
    line = known.line_of(phone, crossing.remote)
    rewritten = line.seen.get(REWRITTEN) if line is not None else None
    kind, what = dropped_for(Message(copy.payload))
    if line is None or rewritten is None:
        return
    other = None
    if not kind and not copy.row[STATUS] and crossing.lan is not None:
        other, what = _collision(copy, line, known)
    # A helper that passed such a message before did not drop this one for it.
    if (other is None and not kind) or kind in line.passed:
        return
    other_side = "WAN" if crossing.lan is not None else "LAN"
    proof = [evidence(copy, f"entered the router; {what}", f"its copy on the {other_side} side")]
    if other is not None:
        proof.append(evidence(other, "offered the port before", "another port"))
    if rewritten.first is not None:
        proof.append(evidence(rewritten.first, "another message of this line, rewritten", ""))
    yield RULE.finding(
        "router", "observed",
        f"The {name} entered the router and never left it: {what}, which the router's SIP helper "
        "drops. It is at work on this line, whose other messages it rewrites.",
        # The pinhole of the other offer may have been used up, unseen here.
        proof, call.call_id, cause=cause.ALG, certain=other is None, call_id=call.call_id,
        line=line.name,
    )  # fmt: skip


def _collision(mine: Sighting, line: Line, known: Known) -> tuple[Sighting | None, str]:
    """The recent INVITE of another phone with the same media port for the same provider and a
    pinhole perhaps still open, and a clause. At another port of one phone, anybody may have sent
    it."""
    ports = _ports(mine)
    for one in known.beside(line):
        offer = one.offer
        if offer is None:
            continue
        same = ports & _ports(offer)
        ago = mine.row[AT] - offer.row[AT]
        if same and 0 <= ago < PENDING:
            ends = offer.ends
            return offer, (
                f"its media port {min(same)} is the one that {ends.sender} offered to "
                f"the same provider {ago / SECOND:.1f} s before"
            )
    return None, ""


def _ports(invite: Sighting) -> set[int]:
    return {media.port for media in Message(invite.payload).sdp.media if media.port}
