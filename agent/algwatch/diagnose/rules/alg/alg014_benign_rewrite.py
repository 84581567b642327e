# SPDX-License-Identifier: Apache-2.0
"""ALG014: the router rewrites consistently, and calls complete.

What it sees
    The router changed addresses in a call, every change follows its NAT mapping, the ACK reached
    the callee, every INVITE was answered, and the BYE was accepted.

Why it breaks calls
    It does not. Reported once for a phone and a provider, so nobody turns off a working ALG.

What else looks the same
    A call completes although its messages contradict themselves (ALG010, ALG011).

Recommendation
    None.

References
    net/netfilter/nf_nat_sip.c map_addr().
"""

from __future__ import annotations

from collections.abc import Iterator

from algwatch.compare import fingerprint as prints
from algwatch.compare.call import Call
from algwatch.compare.differences import rewrites
from algwatch.compare.outcome import ack_of, outcome
from algwatch.compare.signs import REWRITTEN
from algwatch.diagnose import alg
from algwatch.diagnose.finding import Finding
from algwatch.diagnose.known import Known
from algwatch.diagnose.rule import Rule
from algwatch.diagnose.subject import CALL

RULE = Rule(
    "ALG014", "benign-rewrite", "info", CALL, (),
    "The router rewrites consistently with its NAT mapping, and calls complete.", two_sided=True,
    when=REWRITTEN,
)  # fmt: skip


def check(call: Call, known: Known) -> Iterator[Finding]:
    crossing = alg.consistent(call)
    if crossing is None or known.was_said(RULE.id, alg.between(crossing)):
        return
    if outcome(call, known.now) != "completed" or ack_of(call, known.now) != "seen":
        return
    if _failed(call):
        return
    line = known.line(call)
    if line is None or known.needs_alg(line):
        return  # ALG015 says more
    if any(alg.contradiction(c)[1] for c in call.changed.values()):
        return  # it contradicts itself: this completed call proves nothing for the next
    changes = rewrites(crossing)
    looks_like = prints.fingerprint(crossing)
    back = not call.unpaired  # of the router's own calls no inbound message is seen
    yield RULE.finding(
        "router", "none",
        f"The router rewrites {', '.join(sorted(call.headers)) or 'nothing but form'} as its NAT "
        f"mapping says, {'puts it back on the way in, ' if back else ''}and the call completed: "
        f"harmless ({looks_like}).",
        alg.both_copies(crossing, changes), alg.between(crossing), call_id=call.call_id,
        line=alg.between(crossing), fingerprint=looks_like,
    )  # fmt: skip


def _failed(call: Call) -> bool:
    """A request of it was not answered, or its BYE was refused."""
    every = [s.current for s in call.seen if s.current is not None]
    return any(d.silent or d.bye_unanswered or d.bye_status >= 300 for d in every)
