# SPDX-License-Identifier: Apache-2.0
"""ALG010: one of Via, Contact and SDP was rewritten and another left unchanged.

What it sees
    A message of the phone leaves the router with its public address in one place and the phone's
    own LAN address in another.

Why it breaks calls
    The message contradicts itself. A provider with a public Via takes the phone for one not behind
    NAT, and believes the private Contact or media address.

What else looks the same
    A phone writes a public address itself (STUN). Every decent NAT leaves host names, From, To and
    Call-ID alone: this is no contradiction.

Recommendation
    None by itself: a field left unchanged was not broken by the router. If a call drops, see
    DLG002: the trial without ALG decides.

References
    RFC 3261 section 8.1.1; net/netfilter/nf_nat_sip.c (a Contact with another port than the
    packet's is not touched).
"""

from __future__ import annotations

from collections.abc import Iterator

from algwatch.compare import fingerprint as prints
from algwatch.compare.crossing import Crossing
from algwatch.diagnose import alg, cause
from algwatch.diagnose.finding import Finding
from algwatch.diagnose.known import Known
from algwatch.diagnose.rule import Rule
from algwatch.diagnose.subject import CROSSING

RULE = Rule(
    "ALG010", "partial-rewrite", "warning", CROSSING, ("RFC 3261 8.1.1",),
    "The router rewrote one of Via, Contact and SDP and left another.", two_sided=True,
)  # fmt: skip


def check(crossing: Crossing, known: Known) -> Iterator[Finding]:
    done, behind = alg.contradiction(crossing)
    if not behind or crossing.lan is None:
        return
    rewritten = " and ".join(sorted({r.header for r in done}))
    yield RULE.finding(
        "router", "latent",
        f"The router rewrote {rewritten} and left {crossing.lan.ends.src} in "
        f"{' and '.join(behind)}: the message contradicts itself.",
        alg.both_copies(crossing, done), f"{alg.between(crossing)}/{'+'.join(behind)}",
        cause=cause.ALG, call_id=alg.call_id(crossing), line=alg.between(crossing),
        fingerprint=prints.fingerprint(crossing),
    )  # fmt: skip
