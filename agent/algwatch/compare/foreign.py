# SPDX-License-Identifier: Apache-2.0
"""A request to an address that the phone does not own."""

from __future__ import annotations

from algwatch.base.packet import WAN
from algwatch.base.sighting import Sighting
from algwatch.compare.call import Call
from algwatch.compare.restored import FROM, REQUEST_URI

NOT_MINE = (404, 416, 481, 482)  # to a Request-URI that the phone does not own


def foreign_bye(call: Call) -> Sighting | None:
    """The refusal of the far end's BYE, which came to the phone with the router's address in its
    Request-URI, where the phone had written its own into Contact."""
    d = call.dialog(WAN)
    if d is None or REQUEST_URI not in call.unrestored or d.bye_status not in NOT_MINE:
        return None
    if FROM[REQUEST_URI] not in call.wrote:
        return None
    if d.both_ended or d.bye_by_caller != call.inbound:
        return None
    return d.bye_response
