# SPDX-License-Identifier: Apache-2.0
"""An ACK that had to take another transport than the call (RFC 3261 sections 18.1.1 and 19.1.1)."""

from __future__ import annotations

from algwatch.base.packet import LAN, WAN
from algwatch.base.quote import quoted
from algwatch.base.sighting import Sighting
from algwatch.compare.call import Call
from algwatch.diagnose import cause, route_set
from algwatch.diagnose import lost_ack as lost
from algwatch.diagnose.misrouted import Reading
from algwatch.sip.dialog import Dialog
from algwatch.sip.message import Address, parsed, to_text
from algwatch.sip.target import is_whole, remote_target
from algwatch.sip.transaction import UDP

_READINGS = (lost.NOT_SENT, lost.NEVER_ON_WAN, lost.ONE_SIDED)
_SECURE, _NAME = b"sips:", b"transport="
_NEXT = (
    "Let both ends use one transport for the whole call (UDP, or TCP for the account of the phone "
    "too), and see whether a TCP connection between the two is possible at all."
)


def reading(call: Call, how: lost.LostAck) -> Reading | None:
    """For an ACK that was not seen at all: the 2xx came over UDP and sends it over another
    transport, where it may have failed or was not captured. None otherwise."""
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
