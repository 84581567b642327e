# SPDX-License-Identifier: Apache-2.0
"""DLG006: the address of an ACK contradicts its 2xx.

What it sees
    An ACK left the router, or was delivered to the phone, while the 2xx keeps coming. Its
    Request-URI is not the Contact of the 2xx.

Why it breaks calls
    Every hop routes an ACK by its Request-URI and Route. An ACK with the dialled number instead of
    the remote target belongs to no dialog there. It is discarded, and the call drops after 32 s.

What else looks the same
    A strict router of the route set belongs into the Request-URI. A wrong Route with a right
    Request-URI is DLG005. A provider may write the public address of the phone in place of its
    private Contact. If the router's ALG rewrote the ACK, the LAN copy is right, and the router is
    named. If the call goes on, somebody accepted the odd ACK: no finding.

Recommendation
    Report it to the maker of the phone, or to the provider if it sent the ACK, with both messages.

References
    RFC 3261 sections 12.1.2, 12.2.1.1, 13.2.2.4.
"""

from __future__ import annotations

from collections.abc import Iterator

from algwatch.compare.call import Call
from algwatch.compare.signs import REPEATED, TROUBLED
from algwatch.diagnose import lost_ack as lost
from algwatch.diagnose import route_set
from algwatch.diagnose.finding import Finding
from algwatch.diagnose.known import Known
from algwatch.diagnose.rule import Rule
from algwatch.diagnose.subject import CALL

RULE = Rule(
    "DLG006", "ack-misaddressed", "error", CALL, ("RFC 3261 12.2.1.1", "RFC 3261 13.2.2.4"),
    "The Request-URI of the ACK to a 2xx is not the Contact of that 2xx.", two_sided=True,
    when=REPEATED | TROUBLED,
)  # fmt: skip


def check(call: Call, known: Known) -> Iterator[Finding]:
    how = lost.lost_ack(call, known)
    if how is not None:
        yield from route_set.misaddressed_ack(
            RULE, call, how, known, False, "The ACK was not addressed as the 2xx says",
            "Request-URI and Route from the 2xx", "Contact and Record-Route of the 2xx",
        )  # fmt: skip
