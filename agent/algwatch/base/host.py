# SPDX-License-Identifier: Apache-2.0
"""Host: the router's facts about itself at a time."""

from __future__ import annotations

from algwatch.base.owner import Owner

NOT_READ = -1

HARDWARE, SOFTWARE, NO_OFFLOAD = "hardware", "software", ""


class Host:
    """at: ns, packet time. helper: the kernel has nf_conntrack_sip; loaded: as a module, installed
    by somebody. expectations: of the SIP helper, NOT_READ without permission. udp_timeout,
    udp_timeout_stream: seconds, 0: not known. offload: the flow offload configured in the firewall,
    a word above. owners: programs with SIP ports of their own."""

    __slots__ = ("at", "expectations", "helper", "loaded", "offload", "owners", "udp_timeout",
                 "udp_timeout_stream")  # fmt: skip

    def __init__(self, at: int, helper: bool = False, loaded: bool = False,
                 expectations: int = NOT_READ, udp_timeout: int = 0, udp_timeout_stream: int = 0,
                 offload: str = NO_OFFLOAD, owners: tuple[Owner, ...] = ()) -> None:  # fmt: skip
        self.at = at
        self.helper = helper
        self.loaded = loaded
        self.expectations = expectations
        self.udp_timeout = udp_timeout
        self.udp_timeout_stream = udp_timeout_stream
        self.offload = offload
        self.owners = owners
