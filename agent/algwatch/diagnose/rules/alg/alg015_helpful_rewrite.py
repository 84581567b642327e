# SPDX-License-Identifier: Apache-2.0
"""ALG015: without the rewriting this phone and this provider may not work.

What it sees
    A call completed with consistent rewriting. Its phone writes private addresses and does not ask
    for rport, and its provider was never seen to handle NAT by itself. Or a phone without rport
    sends from one port and listens at another one, named in its Via and Contact, and the router
    serves it there (the helper's forced destination port, made for phones like Cisco's 7941).

Why it breaks calls
    It does not: the ALG carries the call. With the ALG off, the provider would send the ACK, BYE
    and every incoming call to a private address, or the router would deliver them to the phone's
    source port, a port it does not listen at.

What else looks the same
    A provider handles NAT and shows it only after a private address (then turning off would be
    safe; a trial on one phone decides). A phone not at the forced port: ALG011.

Recommendation
    Keep the SIP ALG, or make the phone handle the NAT itself (rport, STUN, outbound) first.

References
    RFC 3581; RFC 5626; net/netfilter/nf_conntrack_sip.c forced_dport
    (commit 7266507d8999).
"""

from __future__ import annotations

from collections.abc import Iterator

from algwatch.base.sighting import port_of
from algwatch.compare import fingerprint as prints
from algwatch.compare.call import Call
from algwatch.compare.crossing import Crossing
from algwatch.compare.differences import rewrites
from algwatch.compare.line import RPORT_MISSING, Line
from algwatch.compare.outcome import ack_of, outcome
from algwatch.compare.signs import REWRITTEN
from algwatch.diagnose import alg, cause
from algwatch.diagnose.finding import Finding
from algwatch.diagnose.known import Known
from algwatch.diagnose.rule import Rule, evidence
from algwatch.diagnose.subject import CALL

RULE = Rule(
    "ALG015", "helpful-rewrite", "info", CALL, ("RFC 3581", "RFC 5626"),
    "Without the rewriting this phone and this provider may not work.", two_sided=True,
    when=REWRITTEN,
)  # fmt: skip


def check(call: Call, known: Known) -> Iterator[Finding]:
    line = known.line(call)
    if line is None:
        return
    served = _served(call, line)
    crossing = served or alg.consistent(call)
    if crossing is None or not (served or known.needs_alg(line)):
        return
    if known.was_said(RULE.id, alg.between(crossing)):
        return
    if outcome(call, known.now) != "completed" or ack_of(call, known.now) != "seen":
        return
    if served is None:
        what = (
            f"The phone {line.phone} writes its private address and does not ask for rport; the "
            f"rewriting is what carries its calls to {line.remote}."
        )
        proof = alg.both_copies(crossing, rewrites(crossing))
    else:
        assert served.lan is not None and served.wan is not None
        came, went = served.wan.ends, served.lan.ends
        sends = port_of(served.expected or b"")
        what = (
            f"The phone {line.phone} sends from port {sends}, listens at port {went.dport}, which "
            "its Contact names, and does not ask for rport; the router sends it there what comes "
            f"for it, and that is what carries its calls to {line.remote}."
        )
        proof = [
            evidence(served.wan, f"arrived at {came.receiver}",
                     f"by the NAT mapping to {went.dst}:{sends}"),
            evidence(served.lan, f"left to {went.receiver}", "where the phone listens"),
        ]  # fmt: skip
    yield RULE.finding(
        "router", "none", what, proof, alg.between(crossing),
        cause=cause.ALG_NEEDED, call_id=call.call_id, line=alg.between(crossing),
        fingerprint=prints.fingerprint(crossing) if served is None else prints.LINUX,
    )  # fmt: skip


def _served(call: Call, line: Line) -> Crossing | None:
    """A message to the listening port of a phone that sends from another one, on a rewritten line
    (a port forward does the same without rewrites)."""
    if not call.misdelivered or not call.changed or not line.count(RPORT_MISSING):
        return None
    return next(iter(call.misdelivered.values())) if alg.is_served(call) else None
