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
from algwatch.diagnose.rules import alg010_partial_rewrite as partial

RULE = Rule(
    "ALG014", "benign-rewrite", "info", CALL, (),
    "The router rewrites consistently with its NAT mapping, and calls complete.", two_sided=True,
)  # fmt: skip


def check(call: Call, context: Context) -> Finding | None:
    if not call.changed or call.forced or call.unexplained:
        return None
    crossing = next(iter(call.changed.values()))
    who = alg.between(crossing)
    if context.was_said(RULE.id, who):
        return None
    if call.outcome(context.now) != "completed" or call.ack(context.now) != "seen":
        return None
    assert crossing.flow_pair is not None
    if context.lines.of(crossing.flow_pair).needs_alg:
        return None  # ALG015 says more
    if any(partial.check(c, context) is not None for c in call.changed.values()):
        return None  # it contradicts itself: that this call completed proves nothing for the next
    changes = rewrites(crossing)
    looks_like = prints.fingerprint(crossing)
    return RULE.finding(
        "router",
        "none",
        call.call_id,
        f"The router rewrites {', '.join(sorted(call.headers)) or 'nothing but form'} as its NAT "
        f"mapping says, puts it back on the way in, and the call completed: harmless "
        f"({looks_like}).",
        alg.both_copies(crossing, changes),
        who,
        looks_like,
    )
