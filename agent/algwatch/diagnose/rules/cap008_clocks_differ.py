"""CAP008: the clocks of the two captures differ.

What it sees
    The same call on both sides of the router, begun more than 250 ms earlier on one of them, and
    no message of it that could be paired.

Why it breaks calls
    It does not. But copies are paired by what they say and by when they passed: with clocks that
    differ by more than 250 ms none are, so nothing can be said of what the router changed.

What else looks the same
    A router that holds messages back for so long; none does.

Recommendation
    Capture both sides on the router itself, which has one clock, or shift one file by the
    difference: editcap -t SECONDS IN OUT.

References
    docs/pipeline.md, "Pairing".
"""

from __future__ import annotations

from algwatch.diagnose.context import Context
from algwatch.diagnose.finding import Finding
from algwatch.diagnose.rule import CAPTURE, Rule, evidence

RULE = Rule(
    "CAP008", "clocks-differ", "warning", CAPTURE, (),
    "The clocks of the two captures differ, so their messages cannot be paired.", two_sided=True,
)  # fmt: skip


def check(context: Context) -> Finding | None:
    if context.apart is None:
        return None
    lan, wan = context.apart
    late = lan.at - wan.at
    side = "LAN" if late > 0 else "WAN"
    return RULE.finding(
        "unknown", "none", "",
        f"The clock of the {side} capture is {abs(late):.1f} s ahead of the other one: no message "
        "of the same call can be paired, and rules that compare the LAN with the WAN copy stay "
        "silent.",
        [
            evidence(lan, "the call begins on the LAN side", "within 250 ms of the WAN side"),
            evidence(wan, f"the same call, {abs(late):.1f} s {'earlier' if late > 0 else 'later'}"),
        ],
        "capture",
    )  # fmt: skip
