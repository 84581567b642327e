# SPDX-License-Identifier: Apache-2.0
"""DLG004: the ACK bypasses a proxy of its INVITE.

What it sees
    The INVITE came through a proxy that did not record itself in the route set (no Record-Route).
    The ACK comes straight from another host, unknown to the NAT mapping of this router, and goes no
    further; or it goes straight to the Contact of the 2xx, which keeps coming through the proxy.

Why it breaks calls
    A NAT or firewall lets in answers to earlier packets. It knows the proxy's address, not the
    caller's own: ACK and BYE are dropped, and the call ends after 32 s.

What else looks the same
    The ALG is on the path, too, but the same packet is dropped without it. A recorded proxy whose
    ACK was lost on the line. An ACK to a host that its 2xx does not name: the phone has looked its
    server up anew (DLG001).

Recommendation
    Provider: add Record-Route on every proxy needed by a dialog (RFC 3261 section 16.6).

References
    RFC 3261 sections 12.2.1.1, 16.6 step 4; RFC 5853 section 3.1.
"""

from __future__ import annotations

from collections.abc import Iterator

from algwatch.base.packet import WAN
from algwatch.compare.call import Call
from algwatch.compare.signs import REPEATED, TROUBLED
from algwatch.diagnose import cause
from algwatch.diagnose import lost_ack as lost
from algwatch.diagnose.finding import Finding
from algwatch.diagnose.known import Known
from algwatch.diagnose.rule import Rule, evidence
from algwatch.diagnose.subject import CALL

RULE = Rule(
    "DLG004", "missing-record-route", "error", CALL,
    ("RFC 3261 12.2.1.1", "RFC 3261 16.6"),
    "A proxy that carried the INVITE is not in the route set; ACK and BYE bypass it and are lost.",
    when=REPEATED | TROUBLED,
)  # fmt: skip


def check(call: Call, known: Known) -> Iterator[Finding]:
    how = lost.lost_ack(call, known)
    ack = lost.ack_past_proxy(call, how) if how is not None else None
    if how is None or ack is None:
        return
    d = (call.sides[WAN] or how.side).current
    assert d is not None and d.request is not None
    invite, direct = d.request.ends, ack.ends
    if direct.src != invite.src:
        said = (
            f"The INVITE came from the proxy {invite.src}, the ACK straight from {direct.src}, "
            "which has no mapping here"
        )
    else:
        said = (
            f"The INVITE went to the proxy {invite.dst}, the ACK straight to {direct.dst}, and "
            "the 2xx keeps coming"
        )
    yield RULE.finding(
        "provider", "observed" if how.dropped(known.now) else "latent",
        f"{said}: the proxy left itself out of the route set (no Record-Route).",
        [
            evidence(d.request, f"{invite.src} to {invite.dst}, no Record-Route", "Record-Route"),
            evidence(ack, f"{direct.src} to {direct.dst}", f"{invite.src} to {invite.dst}"),
        ],
        call.call_id, cause=cause.RECORD_ROUTE, call_id=call.call_id,
        line=known.line_name(call),
    )  # fmt: skip
