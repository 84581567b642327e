# SPDX-License-Identifier: Apache-2.0
"""CAP011: messages were not captured whole.

What it sees
    SIP messages captured only in their beginning, because the snap length is too short (tcpdump -s
    96, -s 300).

Why it breaks calls
    It does not. But a cut header proves nothing, and two cut copies cannot be compared. Such
    messages are left out, and no unseen message is called missing.

What else looks the same
    A message cut by the router or the network: then the IP header has the shorter length, and the
    packet was captured whole.

Recommendation
    Capture whole packets: tcpdump -s 0 -w FILE.

References
    tcpdump(1), -s; docs/capture.md.
"""

from __future__ import annotations

from collections.abc import Iterator

from algwatch.diagnose.finding import Finding
from algwatch.diagnose.known import Known
from algwatch.diagnose.recapture import WHOLE
from algwatch.diagnose.rule import Rule, evidence
from algwatch.diagnose.subject import CAPTURE

RULE = Rule(
    "CAP011", "cut-messages", "warning", CAPTURE, (),
    "Messages were not captured whole; nothing is concluded from what is cut.",
)  # fmt: skip


def check(_: None, known: Known) -> Iterator[Finding]:
    example, count = known.capture.cut_example, known.capture.cut
    if example is None:
        return
    least = 10 ** (len(str(count)) - 1)
    number = f"{count}" if known.capture.finished else f"{least} or more"
    were = "message was" if number == "1" else "messages were"
    yield RULE.finding(
        "unknown", "none",
        f"{number} SIP {were} not captured whole (the snap length of the capture is too short): "
        "nothing is concluded from what is cut, and no message is called missing.",
        [evidence(example, "a message that is cut", "all of it")], "capture",
        next_step=WHOLE,
    )  # fmt: skip
