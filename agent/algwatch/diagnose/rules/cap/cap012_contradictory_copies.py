# SPDX-License-Identifier: Apache-2.0
"""CAP012: packets that claim to be one message contradict each other.

What it sees
    Two packets on one side within 250 ms, with the branch, CSeq, From tag and Call-ID of one
    message, and other bytes or other ends. If their IP ID and TTL differ, too, only beside a
    changed copy on the other side.

Why it breaks calls
    It does not. But one of them is not from its claimed sender: somebody sends forged copies, or a
    device repeats messages and changes them. Nothing is concluded from either, so harm may be
    hidden.

What else looks the same
    A retransmission comes 500 ms (T1) later at the earliest. Responses of several phones to one
    INVITE differ in their To tag. The same packet captured twice has the same bytes (CAP007).

Recommendation
    Find the host that sends the second packet (by its MAC address). Capture once more with the
    daemon: it knows the direction of each packet.

References
    RFC 3261 sections 17.1.1.2 (T1), 26.1.
"""

from __future__ import annotations

from collections.abc import Iterator

from algwatch.diagnose.finding import Finding
from algwatch.diagnose.known import Known
from algwatch.diagnose.recapture import SENDER
from algwatch.diagnose.rule import Rule, evidence
from algwatch.diagnose.subject import CAPTURE

RULE = Rule(
    "CAP012", "contradictory-copies", "warning", CAPTURE, ("RFC 3261 26.1",),
    "Packets that claim to be one message contradict each other; nothing is concluded from them.",
)  # fmt: skip


def check(_: None, known: Known) -> Iterator[Finding]:
    example, count = known.capture.contested_example, known.capture.contested
    if example is None:
        return
    least = 10 ** (len(str(count)) - 1)
    yield RULE.finding(
        "unknown", "none",
        f"{count if known.capture.finished else f'{least} or more'} packets contradict others that "
        "claim to be the same message: somebody sends forged copies, or a device changes what it "
        "repeats. Nothing is concluded from them.",
        [evidence(example, "one of the packets that contradict each other", "one packet")],
        "capture", next_step=SENDER,
    )  # fmt: skip
