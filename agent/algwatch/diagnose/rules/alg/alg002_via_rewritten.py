# SPDX-License-Identifier: Apache-2.0
"""ALG002: the router rewrote a Via.

What it sees
    Via differs between the two copies: sent-by address or port, received, rport. (For the branch
    see ALG005.)

Why it breaks calls
    Responses go to the topmost Via. A Via rewritten on the way out must be restored on the way in,
    or the phone drops the response (RFC 3261 section 18.1.2). A phone without its received and
    rport never learns that it is behind NAT.

What else looks the same
    A proxy on the router adds a Via of its own and changes the branch.

Recommendation
    None by itself: a consistent rewrite is benign (ALG014).

References
    RFC 3261 sections 18.1.1, 18.2.1; RFC 3581; net/netfilter/nf_nat_sip.c nf_nat_sip().
"""

from __future__ import annotations

from collections.abc import Iterator

from algwatch.compare.crossing import Crossing
from algwatch.diagnose.alg import changed
from algwatch.diagnose.finding import Finding
from algwatch.diagnose.known import Known
from algwatch.diagnose.rule import Rule
from algwatch.diagnose.rules.alg.alg005_names_rewritten import is_name
from algwatch.diagnose.subject import CROSSING

RULE = Rule(
    "ALG002", "via-rewritten", "info", CROSSING,
    ("RFC 3261 18.1.1", "RFC 3261 18.2.1", "RFC 3581"),
    "The router rewrote a Via.", two_sided=True,
)  # fmt: skip


def check(crossing: Crossing, known: Known) -> Iterator[Finding]:
    yield from changed(RULE, lambda r: r.header == "Via" and not is_name(r), crossing, known)
