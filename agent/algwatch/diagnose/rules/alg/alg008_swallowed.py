# SPDX-License-Identifier: Apache-2.0
"""ALG008: the router's SIP helper swallowed a legal message.

What it sees
    An INVITE that entered the router again and again and never left it, on a line whose other
    messages the router rewrites, so its helper is at work there; and in it what the Linux helper
    (nf_conntrack_sip) is known to drop: a host name where SDP has an address, a media port below
    1024, or SDP without Content-Length.

Why it breaks calls
    The helper drops what it cannot parse or open. Every retransmission is dropped likewise, and
    the caller gives up after 32 s.

What else looks the same
    A firewall, a full queue, or fragments that are not forwarded: then the same message is lost
    without a helper, too. Without one of the known reasons, or on a line that nothing was
    rewritten of, TXN001 says where it stopped and no more.

Recommendation
    Turn the SIP ALG off, when the calls of this line work without it.

References
    net/netfilter/nf_conntrack_sip.c process_sdp(), set_expected_rtp_rtcp(); nf_nat_sip.c
    mangle_content_len(), nf_nat_sdp_session(); RFC 8866 sections 5.2, 5.7 (host names are legal).
"""

from __future__ import annotations

from collections.abc import Iterator

from algwatch.base.packet import WAN
from algwatch.base.quote import somebody
from algwatch.compare.call import Call
from algwatch.compare.line import REWRITTEN
from algwatch.diagnose import cause
from algwatch.diagnose.finding import Finding
from algwatch.diagnose.known import Known
from algwatch.diagnose.rule import Rule, evidence
from algwatch.diagnose.subject import CALL
from algwatch.sip.helper_drops import dropped_for
from algwatch.sip.message import Message

RULE = Rule(
    "ALG008", "swallowed", "error", CALL, ("RFC 8866 5.2", "RFC 8866 5.7", "RFC 3261 20.14"),
    "The router's SIP helper swallowed a legal message.", two_sided=True,
)  # fmt: skip


def check(call: Call, known: Known) -> Iterator[Finding]:
    crossing = call.unpaired.get("INVITE")
    if crossing is None or crossing.lan is None or call.sides[WAN] is not None:
        return
    s = call.near_caller
    if s is None or not s.timed_out or known.lossy(call):
        return
    line = known.line_of(crossing.phone, crossing.remote)
    rewritten = line.seen.get(REWRITTEN) if line is not None else None
    kind, what = dropped_for(Message(crossing.lan.payload))
    # A helper that has let through the like has not dropped this one for it.
    if line is None or rewritten is None or not kind or kind in line.passed:
        return
    proof = [evidence(crossing.lan, f"entered the router; {what}", "its copy on the WAN side")]
    if rewritten.first is not None:
        proof.append(evidence(rewritten.first, "another message of this line, rewritten", ""))
    yield RULE.finding(
        "router", "observed",
        f"The INVITE to {somebody(call.to)} entered the router and never left it: {what}, which "
        "the router's SIP helper drops. It is at work on this line, whose other messages it "
        "rewrites.",
        proof, call.call_id, cause=cause.ALG, certain=True, call_id=call.call_id, line=line.name,
    )  # fmt: skip
