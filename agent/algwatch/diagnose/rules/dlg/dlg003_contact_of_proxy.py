# SPDX-License-Identifier: Apache-2.0
"""DLG003: the Contact of a 2xx is the address of a proxy on its way, and the ACK ends there.

What it sees
    A 2xx from the provider to a call of the phone. Its Contact has the host and port of a proxy in
    its Record-Route, or of the host that sent it. The ACK left the router, addressed by the 2xx,
    and the 2xx keeps coming.

Why it breaks calls
    A proxy that handles NAT writes the source of a packet into the Contact of a phone behind a NAT.
    Done with a packet of another proxy, it replaces the callee's Contact by this proxy's address.
    The ACK and the BYE end at the proxy: nothing in them names the callee. The callee ends the call
    after 32 s.

What else looks the same
    A session border controller that is the other end of the call writes its own address: its calls
    complete. After one such call of this phone, a missing ACK has another cause. Without a
    Record-Route no proxy is known, and a host that answers by itself writes its own Contact. An ACK
    whose address contradicts its 2xx is DLG005 or DLG006.

Recommendation
    Provider: fix the Contact of phones only, not of replies from another proxy (kamailio:
    fix_nated_contact only for endpoints, or add_contact_alias).

References
    RFC 3261 sections 12.1.2, 13.2.2.4, 16.7 step 9.
"""

from __future__ import annotations

from collections.abc import Iterator

from algwatch.base.packet import WAN
from algwatch.compare.call import Call
from algwatch.compare.signs import REPEATED, TROUBLED
from algwatch.diagnose import lost_ack as lost
from algwatch.diagnose import route_set
from algwatch.diagnose.finding import Finding
from algwatch.diagnose.known import Known
from algwatch.diagnose.rule import Rule, evidence, times
from algwatch.diagnose.subject import CALL

RULE = Rule(
    "DLG003", "contact-of-proxy", "error", CALL, ("RFC 3261 12.1.2", "RFC 3261 13.2.2.4"),
    "The Contact of a 2xx is the address of a proxy on its way, so the ACK ends at that proxy.",
    when=REPEATED | TROUBLED,
)  # fmt: skip


def check(call: Call, known: Known) -> Iterator[Finding]:
    how = lost.lost_ack(call, known)
    reading = route_set.contact_at_proxy(call, how, known) if how is not None else None
    if how is None or reading is None:
        return
    d = (call.sides[WAN] or how.side).current
    assert d is not None and d.answer is not None and d.ack is not None
    yield RULE.finding(
        reading.where, "observed" if how.dropped(known.now) else "latent",
        f"The ACK cannot reach the callee: {reading.what}.",
        [evidence(d.answer, f"2xx sent {times(how.repeats + 1)}", "the Contact of the callee"),
         evidence(d.ack, "the ACK, as the 2xx says", "delivered")],
        call.call_id, cause=reading.cause, call_id=call.call_id, line=known.line_name(call),
    )  # fmt: skip
