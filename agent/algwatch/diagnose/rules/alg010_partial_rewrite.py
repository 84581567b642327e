"""ALG010: one of Via, Contact and SDP was rewritten and another left.

What it sees
    A message of the phone leaves the router with its public address in one place and the phone's
    own LAN address in another.

Why it breaks calls
    The message contradicts itself. A provider that sees a public Via takes the phone for one
    that is not behind NAT, and believes the private Contact or media address.

What else looks the same
    A phone that writes a public address itself (STUN). Host names, From, To and Call-ID are left
    alone by every decent NAT and are no contradiction.

Recommendation
    None by itself: what the router left alone it did not break. Where a call drops, see DLG002:
    the trial without ALG decides.

References
    RFC 3261 section 8.1.1; net/netfilter/nf_nat_sip.c (a Contact with another port than the
    packet's is not touched).
"""

from __future__ import annotations

from algwatch.compare import fingerprint as prints
from algwatch.compare.crossing import Crossing
from algwatch.compare.rewrite import MAPPING, rewrites
from algwatch.diagnose import alg
from algwatch.diagnose.context import Context
from algwatch.diagnose.finding import Finding
from algwatch.diagnose.rule import CROSSING, Rule
from algwatch.sip.message import Message

RULE = Rule(
    "ALG010", "partial-rewrite", "warning", CROSSING, ("RFC 3261 8.1.1",),
    "The router rewrote one of Via, Contact and SDP and left another.", two_sided=True,
)  # fmt: skip


def check(crossing: Crossing, context: Context) -> Finding | None:
    if not crossing.outbound or crossing.lan is None or crossing.wan is None:
        return None
    changes = rewrites(crossing)
    done = [r for r in changes if r.header in ("Via", "Contact", "SDP") and r.explained == MAPPING
            and r.field == "address"]  # fmt: skip
    if not done:
        return None
    phone = crossing.lan.ends.src
    left = Message(crossing.wan.payload)
    behind = []
    if not left.status and left.vias and left.vias[0].host == phone:
        behind.append("Via")
    if any(c.host == phone for c in left.contacts):
        behind.append("Contact")
    if phone in left.sdp.connections:
        behind.append("SDP")
    if not behind:
        return None
    rewritten = " and ".join(sorted({r.header for r in done}))
    return RULE.finding(
        "router", "latent", alg.call_id(crossing),
        f"The router rewrote {rewritten} and left {phone} in {' and '.join(behind)}: the message "
        "contradicts itself.",
        alg.both_copies(crossing, done), f"{alg.between(crossing)}/{'+'.join(behind)}",
        prints.fingerprint(crossing),
    )  # fmt: skip
