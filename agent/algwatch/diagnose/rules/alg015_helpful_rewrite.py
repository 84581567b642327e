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

from algwatch.compare import fingerprint as prints
from algwatch.compare.call import Call
from algwatch.compare.rewrite import rewrites
from algwatch.diagnose import alg
from algwatch.diagnose.context import Context
from algwatch.diagnose.finding import Finding
from algwatch.diagnose.rule import CALL, Rule

RULE = Rule(
    "ALG015", "helpful-rewrite", "info", CALL, ("RFC 3581", "RFC 5626"),
    "Without the rewriting this phone and this provider may not work.", two_sided=True,
)  # fmt: skip


def check(call: Call, context: Context) -> Finding | None:
    if not call.changed or call.forced or call.unexplained:
        return None
    crossing = next(iter(call.changed.values()))
    assert crossing.flow_pair is not None
    who = alg.between(crossing)
    peer = context.lines.of(crossing.flow_pair)
    if not peer.needs_alg or context.was_said(RULE.id, who):
        return None
    if call.outcome(context.now) != "completed" or call.ack(context.now) != "seen":
        return None
    changes = rewrites(crossing)
    return RULE.finding(
        "router",
        "none",
        call.call_id,
        f"The phone {peer.phone} writes its private address and does not ask for rport; the "
        f"rewriting is what carries its calls to {peer.remote}.",
        alg.both_copies(crossing, changes),
        who,
        prints.fingerprint(crossing),
    )
