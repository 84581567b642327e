# SPDX-License-Identifier: Apache-2.0
"""CAP001: only one side has SIP.

What it sees
    Messages on the LAN or on the WAN side of the router, and none on the other.

Why it breaks calls
    It does not. But only two copies show the router's changes to a message, so every rule that
    compares copies stays silent.

What else looks the same
    A PBX or phone on the router itself: its SIP never crosses the LAN. (In a file with both of its
    sides, the addresses tell.) SIP within the LAN, the wrong interface, or hardware flow offload,
    which hides packets from the taps.

Recommendation
    Capture both sides of the router at once: the LAN bridge and the WAN layer-3 device.

References
    docs/pipeline.md, "Sides".
"""

from __future__ import annotations

from collections.abc import Iterator

from algwatch.base.packet import LAN, SIDE_NAMES, WAN
from algwatch.diagnose.finding import Finding
from algwatch.diagnose.known import Known
from algwatch.diagnose.rule import Rule, evidence
from algwatch.diagnose.subject import CAPTURE
from algwatch.sip.timers import TIMER_B

RULE = Rule(
    "CAP001", "one-sided-capture", "info", CAPTURE, (),
    "Only one side of the router has SIP, so nothing can be said about what the router changed.",
)  # fmt: skip


def check(_: None, known: Known) -> Iterator[Finding]:
    capture = known.capture
    present = [side for side, first in enumerate(capture.first) if first is not None]
    if not present or (LAN in present and WAN in present):
        return
    if capture.quality is not None and capture.quality.unrelated:
        return  # two sides, each judged alone
    # A live tap may have missed the other copy, or not have seen it yet.
    since = max(capture.started, capture.lost_at)
    if not capture.finished and known.now - since < TIMER_B:
        return
    side = present[0]
    first = capture.first[side]
    assert first is not None
    name = f"the {SIDE_NAMES[side].upper()}" if side in (LAN, WAN) else "one"
    count = capture.sip[side]
    if capture.two_networks:
        yield RULE.finding(
            "unknown", "none",
            f"No message is on two sides ({count} messages, some between hosts of the LAN and some "
            "between public addresses): a PBX, SBC or proxy on the router has calls of its own on "
            "either side. Rules that compare two copies stay silent.",
            [evidence(first, "a message on one side", "its copy on the other side of the router")],
            "capture",
            next_step="Read each call by itself: the PBX makes its messages anew, so there are no "
            "two copies.",
        )  # fmt: skip
        return
    yield RULE.finding(
        "unknown", "none",
        f"Only {name} side has SIP ({count} {'message' if count == 1 else 'messages'}): rules that "
        "compare the LAN with the WAN copy stay silent.",
        [evidence(first, "a message on this side", "its copy on the other side of the router")],
        "capture",
        next_step="Capture the LAN bridge and the WAN device of the router at the same time.",
    )  # fmt: skip
