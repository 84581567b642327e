# SPDX-License-Identifier: Apache-2.0
"""A request inside a dialog that went to a host named by nothing in the call: its sender may have
looked the name of its server up anew (RFC 3263 section 4)."""

from __future__ import annotations

from algwatch.base import address
from algwatch.base.packet import LAN, WAN
from algwatch.base.sighting import Sighting
from algwatch.compare.call import Call
from algwatch.diagnose import cause
from algwatch.diagnose import lost_ack as lost
from algwatch.diagnose.known import Known
from algwatch.diagnose.reading import Reading
from algwatch.sip.message import Message

NEXT = (
    "Ask the provider whether its servers share their calls, and see in the phone whether it looks "
    "its server up anew inside a call."
)


def elsewhere(call: Call, sent: Sighting, known: Known) -> str:
    """The host that a phone's request was sent to, if it is none that the call told: not the one of
    its INVITE, and named neither in Request-URI nor in Route; else "". A phone may send all to one
    server, its outbound proxy, also where a call was redirected: its REGISTER or INVITE went there
    as well."""
    began = call.flow_pairs.get("INVITE")
    dst, message = sent.ends.dst, Message(sent.payload)
    if began is None or not call.two_sided or dst == began.far:
        return ""
    line = known.line_of(sent.packed_ends[:16], sent.packed_ends[16:32])
    if line is not None and line.messages:
        return ""
    told = [message.request_host, *(route.host for route in message.routes)]
    return "" if dst in map(address.canonical, told) else dst


def ack_elsewhere(call: Call, how: lost.LostAck, known: Known) -> Reading | None:
    """For an ACK that left the router for such a host. A name in it may be of any host."""
    lan, wan = call.dialog(LAN), call.dialog(WAN)
    if how.how != lost.BEYOND or lan is None or wan is None:
        return None
    if lan.ack is None or wan.ack is None or lan.ack.ends.dst != wan.ack.ends.dst:
        return None
    message = Message(lan.ack.payload)
    hop = message.routes[0].host if message.routes else message.request_host
    if not address.is_literal(hop.strip("[]")) or not (went := elsewhere(call, lan.ack, known)):
        return None
    return Reading(
        "phone", cause.UNKNOWN,
        f"the ACK left the router for {went}, which neither the INVITE nor its 2xx names",
        step=NEXT,
    )  # fmt: skip
