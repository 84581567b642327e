# SPDX-License-Identifier: Apache-2.0
"""Requests of a phone that left the router and got no response at all."""

from __future__ import annotations

from algwatch.base import address
from algwatch.base.packet import WAN
from algwatch.base.sighting import AT, Sighting
from algwatch.compare.call import Call
from algwatch.compare.exchange import Exchange
from algwatch.compare.registered import Registered
from algwatch.diagnose.known import Known


def left_unanswered(thing: Call | Registered | Exchange, known: Known) -> Sighting | None:
    """The WAN copy of a phone's request that was sent until its time was over (Timer B or F, RFC
    3261 section 17.1) and got no response; None if it was answered, not repeated, did not leave, or
    its response may not have been captured."""
    if isinstance(thing, Call):
        return _invite(thing, known)
    exchange = thing.exchange if isinstance(thing, Registered) else thing
    if isinstance(thing, Registered) and thing.said != "unanswered":
        return None
    return _exchange(exchange, known) if exchange is not None else None


def _invite(call: Call, known: Known) -> Sighting | None:
    s = call.sides[WAN]
    last = s.unanswered() if s is not None else None
    if s is None or last is None or not s.silent or call.unsolicited:
        return None
    t, request = last
    if t.requests < 2 or t.provisional_at or t.final_at:
        return None
    if known.lossy(call) and not t.waited_out:
        return None
    # If the other end repeats its INVITE to the phone, the phone is silent.
    outbound = call.inbound is not None and call.inbound != (t.from_tag == s.caller_tag)
    return request if outbound else None


def _exchange(exchange: Exchange, known: Known) -> Sighting | None:
    left = exchange.left
    if not exchange.outbound or left is None or left.request is None or exchange.status:
        return None
    if exchange.entered.unrepeated or left.finals or left.provisional_at:
        return None
    # Conclude nothing from the time after one capture's end.
    return None if known.capture.is_late(left.request.row[AT]) else left.request


def sent_unanswered(thing: Call | Registered | Exchange) -> Sighting | None:
    """The same for one captured side, if the request came from a host behind a NAT to one that is
    not: it may be a phone's."""
    request = None
    if isinstance(thing, Call):
        s = thing.seen[0]
        last = s.unanswered()
        if not thing.two_sided and s.silent and last is not None:
            t, request = last
    else:
        exchange = thing.exchange if isinstance(thing, Registered) else thing
        if exchange is None or exchange.two_sided:
            return None
        t, request = exchange.entered, exchange.request
    if request is None or t.requests < 2 or t.provisional_at or t.final_at:
        return None
    ends = request.ends
    return request if address.is_unroutable(ends.src) > address.is_unroutable(ends.dst) else None
