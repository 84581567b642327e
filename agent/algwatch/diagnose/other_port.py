# SPDX-License-Identifier: Apache-2.0
"""Ports named and not used: a 2xx names another one than it comes from, or a phone responds to one
that nobody named."""

from __future__ import annotations

from algwatch.base.packet import LAN, WAN
from algwatch.compare.call import Call
from algwatch.diagnose import cause, route_set
from algwatch.diagnose import lost_ack as lost
from algwatch.diagnose.reading import Reading
from algwatch.sip.message import parsed
from algwatch.sip.transaction import UDP


def reading(call: Call, how: lost.LostAck) -> Reading | None:
    """For an ACK that left the router to the named port, and for a 2xx that never reached its
    caller; None otherwise."""
    if how.how == lost.BEYOND:
        return _named(call)
    return _responded(call) if how.how in lost.UNTAKEN else None


def _named(call: Call) -> Reading | None:
    """The ACK went to the host of the 2xx, and to another port: the one in its Contact (RFC 3261
    section 12.2.1.1)."""
    d = call.dialog(WAN)
    if d is None or d.ack is None or d.answer is None or route_set.proxies_ahead(d):
        return None
    ack, answer = d.ack.ends, d.answer.ends
    if (ack.proto, ack.dst) != (UDP, answer.src) or ack.dport == answer.sport:
        return None
    contacts = parsed(d.answer.payload).contacts
    if not contacts or (contacts[0].port or 5060) != ack.dport:
        return None
    named = f"port {ack.dport}" if contacts[0].port else f"no port, which means {ack.dport}"
    return Reading(
        "network", cause.UNKNOWN,
        f"the ACK left the router for {ack.receiver}, and the 2xx still comes: its Contact names "
        f"{named}, while it comes from port {answer.sport}",
        step=f"Ask the provider whether it listens at port {ack.dport} of {ack.dst}: if not, it "
        f"has to write port {answer.sport} into its Contact.",
    )  # fmt: skip


def _responded(call: Call) -> Reading | None:
    """The phone sent its 2xx to a port that is neither the source of the INVITE nor in its Via (RFC
    3261 section 18.2.2, RFC 3581)."""
    d = call.dialog(LAN)
    if d is None or d.request is None or d.answer is None:
        return None
    asked, answer = d.request.ends, d.answer.ends
    via = parsed(d.request.payload).top_via
    if via is None or answer.proto != UDP or answer.dst != asked.src:
        return None
    if via.maddr or answer.dport in (asked.sport, via.port or 5060):
        return None
    return Reading("phone", cause.PHONE, (
        f"the phone sent it to port {answer.dport} of {answer.dst}, and the INVITE came from port "
        f"{asked.sport}, with port {via.port or 5060} in its Via"
    ), step=(
        "Look for a server port in the phone's account that does not fit; if there is none, report "
        "to the maker of the phone that its responses do not go where the request came from."
    ))  # fmt: skip
