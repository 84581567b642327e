# SPDX-License-Identifier: Apache-2.0
"""The place that made an ACK to a 2xx odd."""

from __future__ import annotations

from algwatch.base.packet import LAN, WAN
from algwatch.base.sighting import are_copies
from algwatch.compare.call import Call
from algwatch.sip.dialog import Dialog


def place(call: Call, d: Dialog) -> str:
    """The end that sent it; the router if it came in right and left odd. d: the dialog on the side
    with the odd ACK."""
    if not call.two_sided or call.answered_inside is None or not call.paired:
        return "unknown"
    entered = call.sides[WAN if call.answered_inside else LAN]
    if entered is None or entered.current is None:
        return "unknown"
    if not entered.current.odd and entered.current.stray_ack is None:
        if entered.current.invite is None:
            return "unknown"  # without its INVITE no ACK looks odd
        return "router" if are_copies(entered.current.ack, d.ack) else "unknown"
    return "provider" if call.answered_inside else "phone"
