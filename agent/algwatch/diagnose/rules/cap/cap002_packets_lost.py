# SPDX-License-Identifier: Apache-2.0
"""CAP002: the capture lost packets.

What it sees
    Packets without room in the capture ring of an interface, by the kernel's own count. Or SIP over
    TCP continues behind bytes missing in the capture: TCP itself had them. Or one of two captures
    has one direction only, and the other one shows that messages passed in both: a filter such as
    `src host` left one out. Or messages came out of the router that are not in the capture of the
    side they came from: what goes out must have come in.

Why it breaks calls
    It does not. But an unseen message may be among the lost packets. So no message or call of this
    time is called missing, and nobody is blamed for it: seen messages count, unseen ones are
    unknown. Bytes missing in a TCP stream hide messages of its own connection alone, because
    anybody can send segments that look so.

What else looks the same
    Nothing: the kernel counts. Loss on the line is no loss in the capture. Single UDP packets
    missing on both sides show nowhere. The router itself may have sent the message (ALG009,
    REG007): then its TTL is a router's own. A router that lets nothing through in one direction:
    then nobody gets a response, and the phone sends its requests again.

Recommendation
    Give the ring more memory (ring_bytes), or keep the flood away from the router: packets to port
    5060 of the WAN have to be captured and read, too.
    One direction: capture again, without src or dst in the filter. Single packets: with a larger
    buffer (tcpdump -B 16384), and look whether tcpdump reports packets dropped by the kernel.

References
    Linux, Documentation/networking/packet_mmap.rst (PACKET_STATISTICS, tp_drops).
"""

from __future__ import annotations

from collections.abc import Iterator

from algwatch.base.packet import LAN, SIDE_NAMES, WAN
from algwatch.base.sighting import Sighting
from algwatch.compare.gaps import Gaps
from algwatch.diagnose.finding import Evidence, Finding
from algwatch.diagnose.known import Known
from algwatch.diagnose.recapture import GAPS, ONE_WAY, RING
from algwatch.diagnose.rule import Rule, evidence, times
from algwatch.diagnose.subject import CAPTURE

RULE = Rule(
    "CAP002", "packets-lost", "warning", CAPTURE, (),
    "The capture lost packets: of calls of that time nothing is called missing.",
)  # fmt: skip


def check(_: None, known: Known) -> Iterator[Finding]:
    capture = known.capture
    for side, count in enumerate(capture.lost):
        if count:
            until = max(capture.lost_at, capture.missed.torn_at)
            yield _lost(side, count, capture.breaks[side], until)
    for side in (LAN, WAN):
        if capture.quality is None:
            continue
        if capture.quality.one_way[side]:
            yield _one_way(side, known)
        elif (gaps := capture.quality.gaps[side]).example is not None:
            yield _gaps(side, gaps, gaps.example)


def _one_way(side: int, known: Known) -> Finding:
    name = SIDE_NAMES[side]
    text = (
        f"The capture of the {name.upper()} has one direction only, and messages passed in both: "
        "nothing is called missing that was not seen."
    )
    example = known.capture.first[side]
    proof = Evidence(name, 0.0, "one direction", "both directions", b"")
    if example is not None:
        proof = evidence(example, "one direction", "both directions")
    return RULE.finding(
        "unknown", "none", text, [proof], f"capture/{name}/one-way",
        next_step=ONE_WAY,
    )  # fmt: skip


def _gaps(side: int, gaps: Gaps, example: Sighting) -> Finding:
    name = SIDE_NAMES[side]
    beyond = SIDE_NAMES[1 - side]
    return RULE.finding(
        "unknown", "none",
        f"The capture of the {name.upper()} lacks packets: {gaps.missing} of {gaps.passed} that "
        f"came out on the {beyond.upper()} side of this router are not in it. What may have fallen "
        "into such a gap is not called missing.",
        [evidence(example, "came out of the router", f"its copy on the {name.upper()} side")],
        f"capture/{name}/gaps", next_step=GAPS,
    )  # fmt: skip


def _lost(side: int, count: int, gaps: int, until: int) -> Finding:
    dropped, name = count - gaps, SIDE_NAMES[side]
    what = f"{dropped} packets found no room in the ring"
    calls, step = "calls of that time", RING
    if not dropped:
        calls = "calls over those connections"
        what = f"TCP goes on {times(gaps)} behind bytes that were not captured"
        step = GAPS
    of = f" of the {name.upper()}" if side in (LAN, WAN) else ""
    least = 10 ** (len(str(count)) - 1)  # said again at ten times as much, not each second
    return RULE.finding(
        "unknown", "none",
        f"The capture{of} lost packets, {least} or more so far: unseen messages of "
        f"{calls} are not called missing.",
        [Evidence(name, until / 1e9, what, "all are captured", b"")],
        f"capture/{name}", next_step=step,
    )  # fmt: skip
