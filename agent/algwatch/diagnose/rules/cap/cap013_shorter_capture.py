# SPDX-License-Identifier: Apache-2.0
"""CAP013: one of the two captures began later, or ended earlier.

What it sees
    Requests on one side of the router before the first packet of the other side, or after its last
    one. The router must have forwarded them: they came from beyond it, or were accepted there.

Why it breaks calls
    It does not. A message from a time with one capture only shows nothing about the router: it is
    neither paired nor missing, and its call is judged by one side.

What else looks the same
    A router that swallows everything leaves the other side silent, too. Nobody beyond it accepts
    anything then, and each message is missing. Or a second WAN was not captured.

Recommendation
    Start both captures before the call, and stop both of them 32 s after its last message.

References
    docs/pipeline.md, "Can the captures be trusted".
"""

from __future__ import annotations

from collections.abc import Iterator

from algwatch.base.packet import LAN, SIDE_NAMES, WAN
from algwatch.compare.quality import Quality
from algwatch.diagnose.finding import Evidence, Finding
from algwatch.diagnose.known import Known
from algwatch.diagnose.recapture import SHORT
from algwatch.diagnose.rule import Rule, evidence
from algwatch.diagnose.subject import CAPTURE

RULE = Rule(
    "CAP013", "shorter-capture", "info", CAPTURE, (),
    "One capture began later or ended earlier: what the other one shows alone is not compared.",
)  # fmt: skip


def check(_: None, known: Known) -> Iterator[Finding]:
    quality = known.capture.quality
    if quality is None:
        return
    said, proof = [], []
    for side in (LAN, WAN):
        name, other = (SIDE_NAMES[one].upper() for one in (side, 1 - side))
        if quality.began[side]:
            said.append(f"the {name} capture began after the {other} capture had begun")
            proof.append(_proof(quality, side, quality.began[side]))
        if quality.ended[side]:
            said.append(f"the {name} capture ended before the {other} capture did")
            proof.append(_proof(quality, side, quality.ended[side]))
    if not said:
        return
    what = " and ".join(said)
    yield RULE.finding(
        "unknown", "none",
        f"{what[0].upper()}{what[1:]}: messages crossed the router meanwhile. They are judged by "
        "the side that shows them, and what the router did with them is not known.",
        proof, "capture",
        next_step=SHORT,
    )  # fmt: skip


def _proof(quality: Quality, side: int, at: int) -> Evidence:
    """side: of the shorter capture; at: ns, its first or last packet."""
    name, witness = SIDE_NAMES[side].upper(), quality.witnesses[side]
    if witness is not None:
        return evidence(witness, "a request that crossed the router", f"its copy on the {name}")
    moment = at / 1e9
    return Evidence(SIDE_NAMES[side], moment, f"the {name} capture begins or ends here",
                    "requests that crossed the router before or after", b"")  # fmt: skip
