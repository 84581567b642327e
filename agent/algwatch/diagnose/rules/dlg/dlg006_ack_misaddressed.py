# SPDX-License-Identifier: Apache-2.0
"""DLG006: the ACK to a 2xx is not addressed as that 2xx says.

What it sees
    An ACK that left the router while the 2xx keeps coming, and whose Request-URI is not the
    Contact of the 2xx, or whose Route is not its Record-Route in reverse order.

Why it breaks calls
    The provider routes an ACK by its Request-URI and Route. One with the dialled number instead of
    the remote target belongs to no dialog there; nobody takes it, and the call drops after 32 s.

What else looks the same
    A strict router in the route set, which belongs into the Request-URI. An ACK that the router's
    ALG rewrote: then the LAN copy is right, and the router is named. An odd ACK in a call that
    goes on is accepted by somebody: no finding.

Recommendation
    Report it to the maker of the phone, with both messages.

References
    RFC 3261 sections 12.1.2, 12.2.1.1, 13.2.2.4.
"""

from __future__ import annotations

from collections.abc import Iterator

from algwatch.base.packet import LAN, WAN
from algwatch.compare.call import Call
from algwatch.diagnose import lost_ack as lost
from algwatch.diagnose import misrouted
from algwatch.diagnose.finding import Finding
from algwatch.diagnose.known import Known
from algwatch.diagnose.rule import Rule, evidence
from algwatch.diagnose.subject import CALL

RULE = Rule(
    "DLG006", "ack-misaddressed", "error", CALL, ("RFC 3261 12.2.1.1", "RFC 3261 13.2.2.4"),
    "The ACK to a 2xx is not addressed as that 2xx says: Request-URI or Route.", two_sided=True,
)  # fmt: skip


def check(call: Call, known: Known) -> Iterator[Finding]:
    how = lost.lost_ack(call, known)
    if how is None or how.how != lost.BEYOND:
        return
    reading = misrouted.ack_beyond(call)
    if reading is None:
        return
    s = call.sides[LAN if reading.where == "phone" else WAN]
    d = s.current if s is not None else None
    if d is None or d.ack is None or d.answer is None:
        return
    line = known.line(call)
    yield RULE.finding(
        reading.where, "observed" if how.dropped(known.now) else "latent",
        f"The ACK was not addressed as the 2xx says: {reading.what}; so nobody took it.",
        [evidence(d.ack, "the ACK", "Request-URI and Route from the 2xx"),
         evidence(d.answer, "Contact and Record-Route of the 2xx")],
        call.call_id, cause=reading.cause, certain=reading.where == "router",
        call_id=call.call_id, line=line.name if line else "",
    )  # fmt: skip
