# SPDX-License-Identifier: Apache-2.0
"""CAP001: only one side has SIP.

What it sees
    Messages on the LAN or on the WAN side of the router, and none on the other. If a capture of the
    other side was given, it holds no SIP: then the question is why.

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
from algwatch.diagnose.recapture import SILENT
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
    quality = capture.quality
    if quality is not None and quality.silent is not None:
        no, has = (SIDE_NAMES[one].upper() for one in (quality.silent, 1 - quality.silent))
        yield RULE.finding(
            "unknown", "none",
            f"The {no} capture holds no SIP, and the {has} capture has {_messages(count)}: it was "
            "taken at another interface, VLAN or port than these messages use, or nothing of them "
            f"came there. The {has} side is judged alone.",
            [evidence(first, "a message on this side", f"its copy on the {no} side")],
            "capture", severity="warning", next_step=SILENT[quality.silent],
        )  # fmt: skip
        return
    if capture.two_networks:
        yield RULE.finding(
            "unknown", "none",
            f"No message is on two sides ({_messages(count)}, some between hosts of the LAN and "
            "some between public addresses): a PBX, SBC or proxy on the router has calls of its "
            "own on either side. Rules that compare two copies stay silent.",
            [evidence(first, "a message on one side", "its copy on the other side of the router")],
            "capture",
            next_step="Read each call by itself: the PBX makes its messages anew, so there are no "
            "two copies.",
        )  # fmt: skip
        return
    yield RULE.finding(
        "unknown", "none",
        f"Only {name} side has SIP ({_messages(count)}): rules that "
        "compare the LAN with the WAN copy stay silent.",
        [evidence(first, "a message on this side", "its copy on the other side of the router")],
        "capture",
        next_step="Capture the LAN bridge and the WAN device of the router at the same time.",
    )  # fmt: skip


def _messages(count: int) -> str:
    return f"{count} message{'' if count == 1 else 's'}"
