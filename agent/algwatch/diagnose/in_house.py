# SPDX-License-Identifier: Apache-2.0
"""Calls from one phone of the house to another, through a server outside: each request leaves this
router and comes back, mostly with the Call-ID of before (RFC 3261 section 16.6)."""

from __future__ import annotations

from algwatch.base.packet import LAN
from algwatch.base.sighting import Sighting
from algwatch.compare.call import Call
from algwatch.diagnose import cause
from algwatch.diagnose import lost_ack as lost
from algwatch.diagnose.reading import Reading


def came_back_for(call: Call, sent: Sighting, label: str) -> str:
    """The other phone here that a request inside the call came back for; else "". sent: its copy in
    the LAN; label: see compare/joined.py. The latest INVITE went to the same phone."""
    began, back = call.flow_pairs.get("INVITE"), call.flow_pairs.get(label)
    if began is None or back is None or sent.side != LAN:
        return ""
    return back.phone if began.phone == back.phone != sent.ends.src else ""


def ack_came_back(call: Call, how: lost.LostAck) -> Reading | None:
    """For an ACK that left the router while the 2xx still comes: nobody beyond has lost it."""
    lan = call.dialog(LAN)
    if how.how != lost.BEYOND or lan is None or lan.ack is None:
        return None
    if not (phone := came_back_for(call, lan.ack, "ACK")):
        return None
    return Reading("unknown", cause.UNKNOWN, (
        f"the ACK left the router and came back for {phone}, a phone here, which still repeats its "
        "2xx"
    ))  # fmt: skip
