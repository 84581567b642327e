# SPDX-License-Identifier: Apache-2.0
"""Restored: does a router that writes its public address on the way out restore the phone's own on
the way in?"""

from __future__ import annotations

from algwatch.base.sighting import STATUS, port_of
from algwatch.compare.crossing import Crossing
from algwatch.sip.message import Message
from algwatch.sip.target import endpoint

VIA, REQUEST_URI, ROUTE = "Via", "Request-URI", "Route"
# By field with a public address left: the header field the router had written it into.
FROM = {VIA: "Via", REQUEST_URI: "Contact", ROUTE: "Record-Route"}


def left_public(crossing: Crossing) -> list[str]:
    """Words above for fields with the router's public address left in the copy to the phone: the
    topmost Via of a response, the Request-URI and the topmost Route of a request. A Request-URI
    with another port than this mapping's was not written for the phone."""
    pair = crossing.flow_pair
    if crossing.outbound or pair is None or not pair.translated or pair.phone == pair.wan_host:
        return []
    came, left = Message(crossing.entered.payload), Message(crossing.left.payload)
    public = pair.wan_host
    if crossing.entered.row[STATUS]:
        # An additional Via is a proxy's own.
        vias = left.vias if len(left.vias) == len(came.vias) else []
        return [VIA] if vias and vias[0].host == public else []
    mapped = endpoint(public, port_of(pair.outside))
    uris = {endpoint(m.request_host, m.request_port) for m in (came, left)}
    found = [REQUEST_URI] if uris == {mapped} else []
    routes = left.routes
    return [*found, ROUTE] if routes and routes[0].host == public else found
