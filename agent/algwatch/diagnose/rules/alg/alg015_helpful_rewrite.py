# SPDX-License-Identifier: Apache-2.0
"""ALG015: without the rewriting this phone and this provider may not work.

What it sees
    A call that completed with consistent rewriting, of a phone that writes private addresses and
    does not ask for rport, with a provider that was never seen to handle NAT by itself.

Why it breaks calls
    It does not: the ALG is what carries the call. Turned off, the provider would send the ACK,
    BYE and every incoming call to a private address.

What else looks the same
    A provider that handles NAT and shows it only when it sees a private address (then turning
    off would be safe; a trial on one phone decides).

Recommendation
    Keep the SIP ALG, or make the phone handle the NAT itself (rport, STUN, outbound) first.

References
    RFC 3581; RFC 5626; reference, harm taxonomy B2.
"""

from __future__ import annotations

from collections.abc import Iterator

from algwatch.compare import fingerprint as prints
from algwatch.compare.call import Call
from algwatch.compare.differences import rewrites
from algwatch.diagnose import alg, cause
from algwatch.diagnose.finding import Finding
from algwatch.diagnose.known import Known
from algwatch.diagnose.rule import Rule
from algwatch.diagnose.subject import CALL

RULE = Rule(
    "ALG015", "helpful-rewrite", "info", CALL, ("RFC 3581", "RFC 5626"),
    "Without the rewriting this phone and this provider may not work.", two_sided=True,
)  # fmt: skip


def check(call: Call, known: Known) -> Iterator[Finding]:
    crossing = alg.consistent(call)
    line = known.line(call)
    if crossing is None or line is None or not known.needs_alg(line):
        return
    if known.was_said(RULE.id, alg.between(crossing)):
        return
    if call.outcome(known.now) != "completed" or call.ack(known.now) != "seen":
        return
    yield RULE.finding(
        "router", "none",
        f"The phone {line.phone} writes its private address and does not ask for rport; the "
        f"rewriting is what carries its calls to {line.remote}.",
        alg.both_copies(crossing, rewrites(crossing)), alg.between(crossing),
        cause=cause.ALG_NEEDED, call_id=call.call_id, line=alg.between(crossing),
        fingerprint=prints.fingerprint(crossing),
    )  # fmt: skip
