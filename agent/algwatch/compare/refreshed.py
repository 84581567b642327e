# SPDX-License-Identifier: Apache-2.0
"""A session whose timer looks expired on one side, and was refreshed on the other (RFC 4028)."""

from __future__ import annotations

from algwatch.base.packet import LAN, WAN
from algwatch.sip.dialog import Dialog, DialogSet
from algwatch.sip.timers import WINDOW


def is_refreshed_beside(expired: Dialog, sides: list[DialogSet], inbound: bool | None,
                        gaps: bool) -> bool:  # fmt: skip
    """Another side shows that the end which hung up knew of a refresh since, as it is that end's
    own side or this end had accepted it, or one side lacks messages of this call (gaps): the side
    of this dialog was not captured whole. inbound: of the call, None if not known."""
    for s in sides:
        d = s.current
        if d is None or d.timed_out or not d.bye_at or d.timer is None or expired.timer is None:
            continue
        own = inbound is not None and s.side == (WAN if d.bye_by_caller == inbound else LAN)
        knew = own or gaps or d.timer.by_caller != d.bye_by_caller
        if knew and d.timer.at > expired.timer.at + WINDOW:
            return True
    return False
