# SPDX-License-Identifier: Apache-2.0
"""A request to an address other than the phone's own."""

from __future__ import annotations

from algwatch.base.packet import LAN, WAN
from algwatch.base.sighting import Sighting
from algwatch.compare.call import Call
from algwatch.compare.restored import FROM, REQUEST_URI
from algwatch.sip.message import Message

NOT_MINE = (404, 416, 481, 482)  # to a Request-URI with a foreign address


def foreign_bye(call: Call) -> Sighting | None:
    """The refusal of the far end's BYE. The BYE came to the phone with the router's address in its
    Request-URI, although the phone had written its own into Contact."""
    d = call.dialog(WAN)
    if d is None or not _left_public(call) or d.bye_status not in NOT_MINE:
        return None
    if d.both_ended or d.bye_by_caller != call.inbound:
        return None
    return d.bye_response


def foreign_ack(call: Call) -> Sighting | None:
    """The ACK to a 2xx of the phone, with the router's address in its Request-URI."""
    d, pair = call.dialog(LAN), call.flow_pair
    if d is None or d.ack is None or d.answer is None or pair is None or not call.answered_inside:
        return None
    if d.ack.destination != d.answer.source or not _left_public(call):
        return None
    return d.ack if Message(d.ack.payload).request_host == pair.wan_host else None


def _left_public(call: Call) -> bool:
    return REQUEST_URI in call.unrestored and FROM[REQUEST_URI] in call.wrote
