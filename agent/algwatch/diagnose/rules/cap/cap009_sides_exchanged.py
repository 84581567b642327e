# SPDX-License-Identifier: Apache-2.0
"""CAP009: the two sides were named the wrong way round.

What it sees
    The capture named WAN holds the entering copies (a TTL one higher) before a change of their
    source address, or the copies delivered to a changed destination. Without translation: packets
    enter there with the TTL of a sending host (64, 128, 255), and packets entering the other side
    come from afar; or REGISTER requests enter there. If no message is on both sides, the addresses:
    the capture named LAN has public IPv4 addresses only, and each flow on the other one has a
    private end next to it.

Why it breaks calls
    It does not. But every verdict with a place would name the opposite one. So the sides are
    exchanged before anything is judged.

What else looks the same
    A router that changes TTLs, or a PBX in the LAN with phones registering from outside. The sides
    are exchanged only on a clear majority of all messages. If TTL and REGISTER contradict each
    other, the sides stay as named.

Recommendation
    Name the capture of the LAN bridge with --lan, and the capture of the WAN device with --wan.

References
    docs/pipeline.md, "Can the captures be trusted".
"""

from __future__ import annotations

from collections.abc import Iterator

from algwatch.base.sighting import TTL
from algwatch.diagnose.finding import Evidence, Finding
from algwatch.diagnose.known import Known
from algwatch.diagnose.rule import Rule, evidence
from algwatch.diagnose.subject import CAPTURE

RULE = Rule(
    "CAP009", "sides-exchanged", "warning", CAPTURE, (),
    "The capture named LAN is the WAN side; the sides are exchanged where they can be.",
)  # fmt: skip


def check(_: None, known: Known) -> Iterator[Finding]:
    quality = known.capture.quality
    if quality is None or not quality.exchanged:
        return
    by = f"{quality.pairs} messages on both"
    if not quality.pairs:
        by = ("their addresses (only public ones on the side named LAN, a private one in each flow "
              "of the other)")  # fmt: skip
    text = f"The two sides are named the wrong way round, by {by}: "
    if quality.late:
        text += (
            "what cannot be read twice cannot be put right, so the sides are not compared. Give "
            "the other capture with --lan."
        )
    else:
        text += "they are exchanged, and judged as what they are."
    proof = [
        evidence(copy, f"{copy.ends.src} to {copy.ends.dst}, TTL {copy.row[TTL]}")
        for copy in (quality.lan, quality.wan)
        if copy is not None
    ]
    if not proof:
        proof = [Evidence("unknown", 0.0, text, "", b"")]
    yield RULE.finding(
        "unknown", "none", text, proof, "capture", severity="" if quality.late else "info",
        next_step="Give the other capture with --lan." if quality.late else "",
    )  # fmt: skip
