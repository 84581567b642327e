# SPDX-License-Identifier: Apache-2.0
"""CAP006: the router forwards flows in hardware, past the capture.

What it sees
    A firewall configured for hardware flow offload (flow_offloading_hw of OpenWrt).

Why it breaks calls
    It does not. But packets of an established flow pass in the switch or packet engine. The kernel,
    and the capture with it, sees none of them. So nothing is called missing.

What else looks the same
    Software flow offload: the taps see its packets. Flows with the SIP helper are never offloaded.
    The setting alone does not tell whether this hardware can do it.

Recommendation
    Turn hardware offload off while algwatch runs: uci set
    firewall.@defaults[0].flow_offloading_hw=0. With it on, opening the WAN device for a capture has
    made some routers restart, so `algwatch run` refuses to start without permission
    (hardware_offload = on).

References
    nft_flow_offload_eval() and nf_flow_table_offload.c of the kernel; OpenWrt firewall4 (fw4.uc),
    issues 10947 and 24459.
"""

from __future__ import annotations

from collections.abc import Iterator

from algwatch.base.host import HARDWARE
from algwatch.diagnose.finding import Evidence, Finding
from algwatch.diagnose.known import Known
from algwatch.diagnose.recapture import OFFLOAD
from algwatch.diagnose.rule import Rule
from algwatch.diagnose.subject import CAPTURE

RULE = Rule(
    "CAP006", "hardware-offload", "warning", CAPTURE, (),
    "The router forwards flows in hardware, where no capture sees them: nothing is called missing.",
)  # fmt: skip


def check(_: None, known: Known) -> Iterator[Finding]:
    host = known.capture.host
    if host is None or host.offload != HARDWARE:
        return
    yield RULE.finding(
        "unknown", "none",
        "Hardware flow offload is on: packets of a flow that goes on pass this router and are not "
        "captured, so nothing is called missing that was not seen.",
        [Evidence("unknown", host.at / 1e9, "flow_offloading_hw is on in /etc/config/firewall",
                  "off while algwatch watches", b"")],
        "offload",
        next_step=OFFLOAD,
    )  # fmt: skip
