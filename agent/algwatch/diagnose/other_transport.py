# SPDX-License-Identifier: Apache-2.0
"""An ACK that took, or had to take, another way than the call: another transport, a TCP connection
of its own, or the other IP version (RFC 3261 sections 18.1.1 and 19.1.1)."""

from __future__ import annotations

from algwatch.base import address
from algwatch.base.packet import LAN, WAN
from algwatch.base.quote import quoted
from algwatch.base.sighting import Sighting
from algwatch.compare.call import Call
from algwatch.diagnose import cause, route_set
from algwatch.diagnose import lost_ack as lost
from algwatch.diagnose.reading import Reading
from algwatch.sip.dialog import Dialog
from algwatch.sip.message import Address, parsed, to_text
from algwatch.sip.target import endpoint, is_whole, remote_target
from algwatch.sip.transaction import UDP

_READINGS = (lost.NOT_SENT, lost.NEVER_ON_WAN, lost.ONE_SIDED)
_SECURE, _NAME = b"sips:", b"transport="
_NEXT = (
    "Let both ends use one transport for the whole call (UDP, or TCP for the account of the phone "
    "too), and see whether a TCP connection between the two is possible at all."
)
_REACH = "Look whether {} can be reached from the phone at all: its 2xx sends the ACK there."

_REUSE = (
    "Ask the provider to send its requests over the connection that the phone has opened (RFC "
    "5626), and see whether the phone names the port of that connection in its Contact."
)


def reading(call: Call, how: lost.LostAck) -> Reading | None:
    """For an ACK that was not seen at all, where its 2xx sends it another way: it may have failed
    there or was not captured. And for one that left over UDP in a call over TCP. None otherwise."""
    if how.how == lost.BEYOND:
        return _by_udp(call)
    if how.how == lost.NOT_SENT and (new := _new_way(call)) is not None:
        return new
    if how.how == lost.NEVER_ON_WAN and (gone := _not_on_connection(call)) is not None:
        return gone
    if how.how not in _READINGS:
        return None
    d = how.dialog
    if how.how != lost.ONE_SIDED:
        near = call.dialog(LAN if how.how == lost.NOT_SENT else WAN)
        d = near if near is not None else d
    hop = _next_hop(d)
    if d.answer is None or hop is None or d.answer.ends.proto != UDP:
        return None
    other = _transport(hop)
    if not other:
        return None
    return Reading(
        "unknown", cause.UNKNOWN,
        f"it came over UDP and wants its ACK over {other}, at {quoted(to_text(hop.uri))}, and none "
        "came that way",
        step=_NEXT,
    )  # fmt: skip


def _by_udp(call: Call) -> Reading | None:
    """The ACK of the phone left over UDP, and its 2xx came over TCP. A Contact that names no
    transport may mean UDP (RFC 3263 section 4.1)."""
    d = call.dialog(LAN)
    if d is None or d.ack is None or d.answer is None:
        return None
    if d.ack.ends.proto != UDP or d.answer.ends.proto == UDP or (hop := _next_hop(d)) is None:
        return None
    named, at = _transport(hop), quoted(to_text(hop.uri))
    if named:
        return Reading("phone", cause.PHONE, (
            f"it came over TCP and wants its ACK over {named}, at {at}, and the phone sent it over "
            "UDP"
        ), step=_NEXT)  # fmt: skip
    return Reading("unknown", cause.UNKNOWN, (
        f"it came over TCP, its Contact or Record-Route {at} names no transport, and the ACK left "
        "over UDP"
    ), step=_NEXT)  # fmt: skip


def _new_way(call: Call) -> Reading | None:
    """The phone sent no ACK, and its 2xx wants it where the phone may not get: over the other IP
    version, or over a TCP connection to another endpoint."""
    d = call.dialog(LAN)
    hop = _next_hop(d) if d is not None else None
    if d is None or d.answer is None or hop is None:
        return None
    ends, host, at = d.answer.ends, hop.host.strip("[]"), quoted(to_text(hop.uri))
    if not address.is_literal(host):
        return None  # any host may have this name
    if address.is_ipv6(host) != (ends.version == 6):
        came, other = ("IPv6", "IPv4") if ends.version == 6 else ("IPv4", "IPv6")
        what = f"it came over {came} and wants its ACK over {other}, at {at}, and none was sent"
    elif ends.proto != UDP and endpoint(host, hop.port) != endpoint(ends.src, ends.sport):
        what = (
            f"it came over TCP from {ends.sender} and wants its ACK at {at}, over a connection of "
            "its own, and none was sent"
        )
    else:
        return None
    return Reading("unknown", cause.UNKNOWN, what, step=_REACH.format(at))


def _not_on_connection(call: Call) -> Reading | None:
    """The 2xx of the phone left over TCP, and no ACK came. TCP loses none: its sender asked for a
    connection of its own to the Contact, or sent none."""
    d = call.dialog(WAN)
    if d is None or d.answer is None or d.answer.ends.proto == UDP:
        return None
    contact = remote_target(parsed(d.answer.payload))
    at = f", its Contact is {quoted(to_text(contact.uri))}" if contact is not None else ""
    return Reading("unknown", cause.UNKNOWN, (
        f"it left over TCP from {d.answer.ends.sender}{at}, and no ACK came over that connection"
    ), step=_REUSE)  # fmt: skip


def _next_hop(d: Dialog) -> Address | None:
    ahead = route_set.proxies_ahead(d)
    if ahead:
        return ahead[-1]
    answer: Sighting | None = d.answer
    message = parsed(answer.payload) if answer is not None else None
    if message is None or not is_whole(message):
        return None
    before = parsed(d.request.payload).record_routes if d.request is not None else []
    return remote_target(message) if len(message.record_routes) == len(before) else None


def _transport(uri: Address) -> str:
    """Its transport in words, "" for UDP or none named."""
    named = next((part[len(_NAME) :] for part in uri.uri_params.lower().split(b";")
                  if part.startswith(_NAME)), b"")  # fmt: skip
    if uri.uri[: len(_SECURE)].lower() == _SECURE or named == b"tls":
        return "TLS"
    return "TCP" if named == b"tcp" else ""
