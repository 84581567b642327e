# SPDX-License-Identifier: Apache-2.0
"""CAP010: the two captures are not the two sides of one router.

What it sees
    One capture given twice: the same packets, with the same addresses and TTL, on both sides. Or
    two unrelated captures: each has requests the router must have forwarded, and not one message is
    on both.

Why it breaks calls
    It does not. But the router would seem to swallow every message on one side only. So the sides
    are not compared, and each is judged alone.

What else looks the same
    A router that forwards nothing, a PBX on the router itself, or calls inside the LAN while
    scanners try the WAN: one side then has no request that must have crossed. A router with calls
    of its own on each side (SBC, B2BUA) shares no message either, and looks like two routers.

Recommendation
    Capture both sides of one router at the same time: the LAN bridge and the WAN layer-3 device
    used by the calls.

References
    docs/pipeline.md, "Can the captures be trusted".
"""

from __future__ import annotations

from collections.abc import Iterator

from algwatch.compare.quality import Quality
from algwatch.diagnose.finding import Evidence, Finding
from algwatch.diagnose.known import Known
from algwatch.diagnose.recapture import ONE_ROUTER
from algwatch.diagnose.rule import Rule, evidence
from algwatch.diagnose.subject import CAPTURE

RULE = Rule(
    "CAP010", "not-two-sides", "warning", CAPTURE, (),
    "The two captures are not the two sides of one router, so they are not compared.",
)  # fmt: skip


def check(_: None, known: Known) -> Iterator[Finding]:
    quality = known.capture.quality
    if quality is None or not (quality.same or quality.unrelated):
        return
    text = _same(quality) if quality.same else _unrelated(quality)
    seen, expected = (
        ("the same packet is in both captures", "another TTL, or another address, on each side")
        if quality.same
        else ("a request that must have crossed the router", "its copy on the other side")
    )
    proof = [
        evidence(copy, seen, expected) for copy in (quality.lan, quality.wan) if copy is not None
    ]
    if not proof:
        proof = [Evidence("unknown", 0.0, text, expected, b"")]
    yield RULE.finding(
        "unknown", "none", text, proof, "capture",
        next_step=ONE_ROUTER,
    )  # fmt: skip


def _same(quality: Quality) -> str:
    text = "Both captures hold the same packets, with the same addresses and TTL, so they are one: "
    if quality.late:
        return text + "nothing can be said about what the router changed."
    left = "LAN" if quality.wan_kept else "WAN"
    return text + f"the one that was named {left} is left out."


def _unrelated(quality: Quality) -> str:
    lan, wan = quality.asked
    text = (
        f"{lan} request{'' if lan == 1 else 's'} on the LAN side and {wan} on the WAN side must "
        "have crossed the router, and no message is on both: these are not the two sides of one "
        "router"
    )
    text += "" if quality.together else ", and the captures do not overlap in time"
    how = "they are not compared" if quality.late else "each side is judged alone"
    return f"{text}. So {how}."
