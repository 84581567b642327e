# SPDX-License-Identifier: Apache-2.0
"""Host: what the router says of itself at a time."""

from __future__ import annotations

from algwatch.base.owner import Owner

NOT_READ = -1

HARDWARE, SOFTWARE, NO_OFFLOAD = "hardware", "software", ""


class Host:
    """at: ns, packet time. helper: the kernel has nf_conntrack_sip; loaded: as a module, which
    somebody has installed. expectations: of the SIP helper, NOT_READ where this process may not
    look. udp_timeout, udp_timeout_stream: seconds, 0 where not known. offload: flow offload that
    the firewall is configured for, a word above. owners: programs with SIP ports of their own."""

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
