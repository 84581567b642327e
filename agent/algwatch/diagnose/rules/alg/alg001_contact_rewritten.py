# SPDX-License-Identifier: Apache-2.0
"""ALG001: the router rewrote a Contact.

What it sees
    The Contact of a message differs between the copy that entered the router and the copy that
    left it: address, port, user or parameters, each on its own.

Why it breaks calls
    The Contact is the other side's target for the ACK, BYE and new calls. Rewritten according to
    the NAT mapping it works. With any other address the ACK is lost, and the call drops after 32 s.

What else looks the same
    A proxy or B2BUA on the router: it adds a Via or changes the Call-ID, too. An SBC beyond the
    router changes nothing between the two taps.

Recommendation
    None by itself: a consistent rewrite is benign (ALG014). For any other see ALG011.

References
    RFC 3261 sections 8.1.1.8, 12.1; net/netfilter/nf_nat_sip.c map_addr().
"""

from __future__ import annotations

from collections.abc import Iterator

from algwatch.compare.crossing import Crossing
from algwatch.diagnose.alg import changed
from algwatch.diagnose.finding import Finding
from algwatch.diagnose.known import Known
from algwatch.diagnose.rule import Rule
from algwatch.diagnose.subject import CROSSING

RULE = Rule(
    "ALG001", "contact-rewritten", "info", CROSSING, ("RFC 3261 8.1.1.8", "RFC 3261 12.1"),
    "The router rewrote a Contact.", two_sided=True,
)  # fmt: skip


def check(crossing: Crossing, known: Known) -> Iterator[Finding]:
    yield from changed(RULE, lambda r: r.header == "Contact", crossing, known)
