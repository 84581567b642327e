# SPDX-License-Identifier: Apache-2.0
"""CAP005: the capture starts or ends in the middle of a call.

What it sees
    A BYE, ACK or response whose INVITE was not captured, or a call whose last message in the
    capture still wanted an answer.

Why it breaks calls
    It does not. But messages outside the capture are not missing: a 2xx at the very end may well
    have been acknowledged a moment later.

What else looks the same
    Loss in the capture itself (CAP002).

Recommendation
    Capture from before the call until 32 s (64*T1) after its last message.

References
    RFC 3261 section 13.3.1.4 (64*T1).
"""

from __future__ import annotations

from collections.abc import Iterator

from algwatch.diagnose.finding import Finding
from algwatch.diagnose.known import Known
from algwatch.diagnose.recapture import SHORT
from algwatch.diagnose.rule import Rule, evidence
from algwatch.diagnose.subject import CAPTURE

RULE = Rule(
    "CAP005", "partial-dialog", "info", CAPTURE, ("RFC 3261 13.3.1.4",),
    "The capture starts or ends in the middle of a call: what is not in it is not called missing.",
)  # fmt: skip


def check(_: None, known: Known) -> Iterator[Finding]:
    capture = known.capture
    proof = []
    said = []
    if capture.partial_example is not None:
        said.append(f"{capture.partial} began before it")
        proof.append(evidence(capture.partial_example, "no INVITE before this", "its INVITE"))
    if capture.undecided_example is not None:
        were = "was" if capture.undecided == 1 else "were"
        said.append(f"{capture.undecided} {were} not decided at its end")
        proof.append(
            evidence(capture.undecided_example, "the capture ends", "64*T1 (32 s) after this")
        )
    if not proof:
        return
    yield RULE.finding(
        "unknown", "none",
        f"The capture does not hold whole calls: {' and '.join(said)}. "
        "Nothing in them is called missing.",
        proof, "capture",
        next_step=SHORT,
    )  # fmt: skip
