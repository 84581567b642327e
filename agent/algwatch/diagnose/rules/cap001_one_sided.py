"""CAP001: only one side has SIP.

What it sees
    Messages on the LAN or on the WAN side of the router, and none on the other.

Why it breaks calls
    It does not. But what the router did to a message shows only when both copies are there, so
    every rule that compares them stays silent.

What else looks the same
    A PBX or phone on the router itself (its SIP never crosses the LAN), SIP that stays in the
    LAN, the wrong interface, or hardware flow offload that hides packets from the taps.

Recommendation
    Capture both sides of the router at once: the LAN bridge and the WAN layer-3 device.

References
    docs/pipeline.md, "Sides".
"""

from __future__ import annotations

from algwatch.base.packet import LAN, SIDE_NAMES, WAN
from algwatch.diagnose.context import Context
from algwatch.diagnose.finding import Finding
from algwatch.diagnose.rule import CAPTURE, Rule, evidence
from algwatch.sip.timers import TIMER_B

RULE = Rule(
    "CAP001", "one-sided-capture", "info", CAPTURE, (),
    "Only one side of the router has SIP, so nothing can be said about what the router changed.",
)  # fmt: skip


def check(context: Context) -> Finding | None:
    present = [side for side, first in enumerate(context.first) if first is not None]
    if not present or (LAN in present and WAN in present):
        return None
    if context.quality is not None and context.quality.unrelated:
        return None  # two sides, of which each is judged alone
    # A live tap may simply not have seen the other copy yet, or have lost it.
    since = max(context.started, context.lost_at)
    if not context.finished and context.now - since < TIMER_B:
        return None
    side = present[0]
    first = context.first[side]
    assert first is not None
    name = f"the {SIDE_NAMES[side].upper()}" if side in (LAN, WAN) else "one"
    count = context.sip[side]
    return RULE.finding(
        "unknown", "none", "",
        f"Only {name} side has SIP ({count} {'message' if count == 1 else 'messages'}): rules that "
        "compare the LAN with the WAN copy stay silent.",
        [evidence(first, "a message on this side", "its copy on the other side of the router")],
        "capture",
    )  # fmt: skip
