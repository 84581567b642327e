# SPDX-License-Identifier: Apache-2.0
"""ALG016: something beyond this router rewrites SIP.

What it sees
    A response on the WAN side has another Via, From tag or Call-ID than its request had when it
    left this router, or an address of ours in its From or To was replaced. A server repeats these
    fields unchanged (the echo), so a difference was made on the way.

Why it breaks calls
    A response with another Via, From tag or Call-ID belongs to no request of the phone, so the
    phone drops it. A less strict phone still refuses the BYE under the other name with 481. A
    change in From or To alone is mostly harmless, but proves an ALG: a second router, a modem or
    the ISP's NAT. Its other changes (Contact, SDP) do not show here.

What else looks the same
    Additions of a server: received, rport, a tag in To, :5060 written out. A malformed response
    with an unreadable From (MSG001). A session border controller or registrar answers with another
    Contact: this is its own header field. The ALG of this router: both compared copies are on the
    WAN side. An ALG beyond that restores everything stays invisible.

Recommendation
    Look for a second router or modem in front of this one, and turn its SIP ALG off or put it into
    bridge mode. Without one: ask the provider.

References
    RFC 3261 sections 8.2.6.2, 18.1.2, 18.2.1; RFC 3581 section 4.
"""

from __future__ import annotations

from collections.abc import Iterator

from algwatch.base import quote
from algwatch.base.native.layout import BYE
from algwatch.base.packet import WAN
from algwatch.base.sighting import METHOD, STATUS, Sighting
from algwatch.compare.crossing import Crossing
from algwatch.compare.echo import IDENTITY, Echo, echoes
from algwatch.diagnose import alg, cause
from algwatch.diagnose.finding import Finding
from algwatch.diagnose.known import Known
from algwatch.diagnose.rule import Rule, evidence
from algwatch.diagnose.subject import CROSSING

RULE = Rule(
    "ALG016", "upstream-alg", "info", CROSSING,
    ("RFC 3261 8.2.6.2", "RFC 3261 18.1.2", "RFC 3581 4"),
    "Something beyond this router rewrites SIP: a response does not repeat what left.",
    two_sided=True,
)  # fmt: skip


def check(crossing: Crossing, known: Known) -> Iterator[Finding]:
    refusal = crossing.wan
    if crossing.outbound and refusal is not None and refusal.row[STATUS] == 481:
        yield from _refused(crossing, refusal, known)
        return
    response, pair = crossing.wan, crossing.flow_pair
    if crossing.outbound or pair is None or response is None or response.side != WAN:
        return
    if not response.row[STATUS]:
        return
    request = known.request_of(response)
    if request is None or request.packed_ends[16:32] != response.packed_ends[:16]:
        return
    changed = echoes(request.payload, response.payload, frozenset((pair.phone, pair.wan_host)))
    if not changed:
        return
    dropped = any(one.header in IDENTITY for one in changed)
    yield RULE.finding(
        "network", "latent" if dropped else "none",
        f"A response does not repeat what left this router: {_told(changed)}. Something beyond it "
        f"rewrites SIP{', and a phone need not take such a response' if dropped else ''}.",
        [
            evidence(request, "left the router with " + _values(changed, sent=True), ""),
            evidence(response, "came back with " + _values(changed, sent=False), "the same"),
        ],
        f"{alg.between(crossing)}/{dropped}", cause=cause.OUTER_ALG,
        call_id=alg.call_id(crossing), line=alg.between(crossing),
    )  # fmt: skip


def _refused(crossing: Crossing, refusal: Sighting, known: Known) -> Iterator[Finding]:
    """The phone refused the BYE of a call known to the other end by another Call-ID, and the call
    had not ended under the phone's own."""
    call = known.call(refusal) if refusal.row[METHOD] == BYE else None
    d = call.dialog(WAN) if call is not None else None
    if d is None or d.answer is None:
        return
    request = known.request_of(d.answer)
    own = known.call(request) if request is not None else None
    if request is None or own is None or own is call:
        return
    if any(s.current is not None and s.current.bye_at for s in own.seen):
        return
    changed = [one for one in echoes(request.payload, d.answer.payload, frozenset())
               if one.header == "Call-ID"]  # fmt: skip
    if not changed:
        return
    yield RULE.finding(
        "network", "observed",
        f"A response does not repeat what left this router: {_told(changed)}. Something beyond it "
        "rewrites SIP, and the phone refused the BYE under that name with 481: it stays in the "
        "call.",
        [
            evidence(request, "left the router with " + _values(changed, sent=True), ""),
            evidence(d.answer, "came back with " + _values(changed, sent=False), "the same"),
            evidence(refusal, "the phone refused the BYE with 481", "200"),
        ],
        f"{alg.between(crossing)}/{True}", cause=cause.OUTER_ALG, call_id=own.call_id,
        line=alg.between(crossing),
    )  # fmt: skip


def _told(changed: list[Echo]) -> str:
    return ", ".join(
        f"{one.header} {quote.quoted(one.sent)} came back as {quote.quoted(one.returned)}"
        for one in changed[: alg.MOST]
    )


def _values(changed: list[Echo], sent: bool) -> str:
    return ", ".join(
        f"{one.header} {quote.quoted(one.sent if sent else one.returned)}"
        for one in changed[: alg.MOST]
    )
