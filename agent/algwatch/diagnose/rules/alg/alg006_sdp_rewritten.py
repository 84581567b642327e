# SPDX-License-Identifier: Apache-2.0
"""ALG006: the router rewrote the session description.

What it sees
    c= addresses, m= ports, a=rtcp, the o= line or another line of a body differ between the two
    copies.

Why it breaks calls
    Media go to the address in SDP. An address or port not forwarded by the router means one-way
    audio. Unchanged candidates contradict the rewritten c= (ICE mismatch).

What else looks the same
    A media proxy on the router puts its own address there on purpose.

Recommendation
    None by itself: a consistent rewrite is benign (ALG014).

References
    RFC 8866; RFC 3264; net/netfilter/nf_nat_sip.c nf_nat_sdp_addr(), nf_nat_sdp_media().
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
    "ALG006", "sdp-rewritten", "info", CROSSING, ("RFC 8866", "RFC 3264"),
    "The router rewrote the session description.", two_sided=True,
)  # fmt: skip


def check(crossing: Crossing, known: Known) -> Iterator[Finding]:
    yield from changed(RULE, lambda r: r.header in ("SDP", "Body"), crossing, known)
