"""ALG014: the router rewrites consistently, and calls complete.

What it sees
    A call in which the router changed addresses, every change is what its NAT mapping says, the
    ACK reached the callee, and the call ended normally.

Why it breaks calls
    It does not. Said once for a phone and a provider, so that nobody turns off what works.

What else looks the same
    A call that completes although its messages contradict themselves (ALG010, ALG011).

Recommendation
    None.

References
    net/netfilter/nf_nat_sip.c map_addr().
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
    "ALG014", "benign-rewrite", "info", CALL, (),
    "The router rewrites consistently with its NAT mapping, and calls complete.", two_sided=True,
)  # fmt: skip


def check(call: Call, context: Context) -> Finding | None:
    if not call.changed or call.forced:
        return None
    if call.outcome(context.now) != "completed" or call.ack(context.now) != "seen":
        return None
    if not all(r.explained for _, changes in call.changed.values() for r in changes):
        return None
    crossing, _ = next(iter(call.changed.values()))
    if context.peers.of(crossing).needs_alg:
        return None  # ALG015 says more
    every = [r for _, changes in call.changed.values() for r in changes]
    headers = sorted({r.header for r in every if r.explained != "normalised"})
    who = prints.fingerprint(every)
    return RULE.finding(
        "router", "none", call.call_id,
        f"The router rewrites {', '.join(headers) or 'nothing but form'} as its NAT mapping says, "
        f"puts it back on the way in, and the call completed: harmless ({who}).",
        alg.both_copies(crossing, rewrites(crossing)), alg.between(crossing), who,
    )  # fmt: skip
