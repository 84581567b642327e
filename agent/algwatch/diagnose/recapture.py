# SPDX-License-Identifier: Apache-2.0
"""Capture again: the next step where a fault of the capture hides what became of a message."""

from __future__ import annotations

from algwatch.base.deadlines import NEVER
from algwatch.base.host import HARDWARE
from algwatch.base.packet import LAN, WAN
from algwatch.compare.captured import Captured

# The later fragments of a large message have no ports (RFC 791 section 3.2).
HOW = "tcpdump -i any -s 0 -w FILE 'port 5060 or ip[6:2] & 0x1fff != 0'"
SAFELY = HOW.replace("-s 0", "-B 16384 -s 0")  # KiB, against loss

OFFLOAD = ("Turn hardware offload off: uci set firewall.@defaults[0].flow_offloading_hw=0, uci "
           "commit firewall, service firewall restart.")  # fmt: skip
RING = "Give the capture ring more memory (ring_bytes)."
GAPS = f"Call again, and capture both sides on the router itself, with a larger buffer: {SAFELY}."
ONE_WAY = ("Call again, and capture both directions on both sides, on the router itself: without "
           f"src or dst in the filter: {HOW}.")  # fmt: skip
SHORT = ("Start one capture of both sides on the router itself before the call, and stop it 32 s "
         f"after the last message of the call: {HOW}.")  # fmt: skip
WHOLE = f"Call again, and capture whole packets: {HOW}."
ONE_CLOCK = f"Call again, and capture both sides on the router itself, which has one clock: {HOW}."
ONE_ROUTER = ("Call again, and capture both sides of one router at the same time, on the router "
              f"itself: {HOW}.")  # fmt: skip
SEGMENT = ("Call again, and capture all interfaces of the router with a larger buffer: "
           f"{SAFELY}. If it is still on one side only, a program on the router has the connection "
           "(ss -tnp).")  # fmt: skip
SENDER = "Look at the MAC addresses which host sends these packets."
SILENT = {
    LAN: "Call again, and capture all interfaces of the router at once, so that the bridge or VLAN "
         f"of the phone is among them, with the port that the phone uses: {HOW}.",
    WAN: "Call again, and capture all interfaces of the router at once, so that the one to the "
         f"provider is among them, with the port that the provider uses: {HOW}.",
}  # fmt: skip
"""By the side without SIP."""


def again(captured: Captured) -> str:
    """How to capture again, by the fault that hides most; "" if no fault is known."""
    quality = captured.quality
    if quality is not None and quality.silent is not None:
        return SILENT[quality.silent]
    if captured.host is not None and captured.host.offload == HARDWARE:
        return OFFLOAD
    if quality is not None and any(quality.one_way):
        return ONE_WAY
    if any(lost > breaks for lost, breaks in zip(captured.lost, captured.breaks, strict=True)):
        return RING
    if captured.gaps or any(captured.breaks):
        return GAPS
    if captured.cut:
        return WHOLE
    if captured.contested:
        return SENDER
    outside = captured.began or captured.ended != NEVER
    return SHORT if outside or captured.partial or captured.forgets else ""
