# SPDX-License-Identifier: Apache-2.0
"""CAP007: the same packet was captured more than once.

What it sees
    The same message with the same IP ID and TTL on the same side within 250 ms. A retransmission
    comes 500 ms (T1) later at the earliest, and with an IP ID of its own.

Why it breaks calls
    It does not, and it is not counted as a retransmission.

What else looks the same
    A retransmission. A forwarded copy is told apart by its TTL or its addresses.

Recommendation
    Capture the bridge (br-lan) and not its ports too; the layer-3 WAN device and not its parent.

References
    RFC 3261 section 17.1.1.1 (T1).
"""

from __future__ import annotations

from collections.abc import Iterator

from algwatch.diagnose.finding import Finding
from algwatch.diagnose.known import Known
from algwatch.diagnose.rule import Rule, evidence
from algwatch.diagnose.subject import CAPTURE

RULE = Rule(
    "CAP007", "duplicate-packets", "info", CAPTURE, ("RFC 3261 17.1.1.1",),
    "Packets were captured more than once; the copies are not counted as retransmissions.",
)  # fmt: skip


def check(_: None, known: Known) -> Iterator[Finding]:
    duplicate, count = known.capture.duplicate, known.capture.duplicates
    if duplicate is None:
        return
    one = count == 1
    yield RULE.finding(
        "unknown", "none",
        f"{count} {'packet was' if one else 'packets were'} captured more than once on the same "
        f"side; {'it is' if one else 'they are'} counted once.",
        [evidence(duplicate, "same message, IP ID and TTL within 250 ms", "once")],
        "capture",
    )  # fmt: skip
