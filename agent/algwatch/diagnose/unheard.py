# SPDX-License-Identifier: Apache-2.0
"""Responses on the side of the request's sender, discarded by it: their Via is not the one it
wrote, or it does not listen at their destination port (RFC 3261 sections 18.1.2 and 18.2.2, RFC
3581)."""

from __future__ import annotations

from algwatch.base.address import joined
from algwatch.base.packet import LAN, WAN
from algwatch.base.quote import value
from algwatch.base.sighting import Sighting, are_copies, came_in
from algwatch.compare.call import Call
from algwatch.compare.exchange import Exchange
from algwatch.diagnose import cause
from algwatch.diagnose.reading import Reading
from algwatch.sip.dialog import DialogSet
from algwatch.sip.message import Via, parsed
from algwatch.sip.transaction import LATE, UDP

PORT = ("Look at the phone for its SIP port, or capture once more from before it registers: the "
        "capture then shows whether the router sends requests to another one.")  # fmt: skip


def response_not_taken(exchange: Exchange) -> Reading | None:
    """The reading of a request other than INVITE with such a response; None without proof."""
    t, request = exchange.entered, exchange.request
    if not exchange.two_sided or exchange.outbound is None or request is None:
        return None
    if (strayed := exchange.strayed_response) is not None:
        left = exchange.left
        right = None
        if left is not None and left.request is not None and are_copies(strayed, left.response):
            assert left.response is not None
            right = not _differs(left.request, left.response)
        return _changed(request, strayed, exchange.outbound, right)
    if t.late >= LATE and exchange.outbound and t.response is not None:
        return deaf_port(request, t.response)
    return None


def sent_to_the_via(exchange: Exchange) -> Reading | None:
    """For the response of a phone that it sent to the host in the Via, while the request came from
    another one: it goes to the source (received, RFC 3261 section 18.2.2)."""
    left = exchange.left
    if exchange.outbound is not False or left is None or left.request is None:
        return None
    via, came, response = _top(left.request), left.request.ends, left.response
    if via is None or response is None or response.ends.proto != UDP:
        return None
    to = response.ends.dst
    if to == came.src or via.host.strip("[]") != to:
        return None
    return Reading("phone", cause.PHONE, (
        f"the phone sent the response to {response.ends.receiver}, as the Via says, and the "
        f"request came from {came.sender}: it belongs there (received)"
    ))  # fmt: skip


def past_uri(lan: Sighting) -> Reading | None:
    """For a request delivered to the host in its Request-URI and to another port, or to the port
    that only its sender's Via names (the helper's forced destination port, nf_conntrack_sip.c
    process_sip_request()): the phone may be elsewhere. lan: the delivered copy."""
    message, ends = parsed(lan.payload), lan.ends
    port, vias = message.request_port or 5060, message.vias
    if port == ends.dport:
        return None
    so = f"its Request-URI names port {port}, so the phone may be at that port"
    if message.request_host != ends.dst:
        if not vias or vias[0].host != ends.src or ends.sport == ends.dport:
            return None
        if vias[0].port != ends.dport:
            return None
        so = "that is the port in the Via of its sender, so the phone may be at another one"
    return Reading("unknown", cause.UNKNOWN, (
        f"it was delivered to {ends.receiver}, and nobody answered there; {so}"
    ), step=PORT)  # fmt: skip


def answer_not_taken(call: Call) -> Reading | None:
    """The same for the INVITE of a phone here."""
    if not call.two_sided or call.inbound is not False:
        return None
    pair, outside = response_to(call, LAN), response_to(call, WAN)
    if pair is None:
        return None
    s, request, response = pair
    if s.acked_at or (s.invite is not None and s.invite.acked_at):
        return None  # not all phones are strict
    if _differs(request, response):
        right = None
        if outside is not None and all(map(are_copies, pair[1:], outside[1:])):
            right = not _differs(outside[1], outside[2])
        if (changed := _changed(request, response, True, right)) is not None:
            return changed
    d = s.current
    again = s.late_invites >= LATE or s.unheard is not None
    if d is not None and d.answer is not None:
        again = again or d.answers > LATE
    return deaf_port(request, response) if again else None


def response_to(call: Call, side: int) -> tuple[DialogSet, Sighting, Sighting] | None:
    """The dialog set of this side, its INVITE, and a response to it, or one meant for it with
    another Via."""
    s = call.sides[side]
    if s is None:
        return None
    d = s.current
    if d is not None and d.pending is None and d.answer is not None and d.request is not None:
        return s, d.request, d.answer
    if s.request is None or s.invite is None:
        return None
    response = s.invite.response if not s.invite.finals else s.response
    return (s, s.request, response) if response is not None else None


def _differs(request: Sighting, response: Sighting) -> bool:
    """True if the topmost Via has the branch of the request's and another sent-by."""
    return _has_changed(_top(request), _top(response))


def _has_changed(asked: Via | None, got: Via | None) -> bool:
    if asked is None or got is None or asked.branch != got.branch or not asked.branch:
        return False
    return asked.sent_by != got.sent_by


def _changed(request: Sighting, response: Sighting, outbound: bool,
             right: bool | None) -> Reading | None:  # fmt: skip
    """For a response with another Via than its request. right: they agree on the other side of the
    router, so this router changed it; None: not known."""
    asked, got = _top(request), _top(response)
    if asked is None or got is None or not _has_changed(asked, got):
        return None
    if came_in(response):
        return None  # a neighbour of the sender made it: this router has sent no such response
    who = "the phone" if outbound else "the other end"
    what = (
        f"a response came back with {value(joined(got.host, got.port))} in its Via, where "
        f"{who} had written {value(joined(asked.host, asked.port))}, so it is dropped"
    )
    if right is None:
        return Reading("unknown", cause.UNKNOWN, what)
    if right:
        return Reading("router", cause.ALG, f"{what}: this router changed it")
    if outbound:
        return Reading("network", cause.OUTER_ALG, f"{what}: it was changed beyond this router")
    return Reading("phone", cause.PHONE, f"{what}: it left the phone so")


def deaf_port(request: Sighting, response: Sighting) -> Reading | None:
    """For a response delivered to the source port of the phone, while the phone listens at the port
    in its Via, without rport."""
    via, went, came = _top(request), request.ends, response.ends
    if came_in(response):
        return None  # as in _changed
    if via is None or via.rport is not None or via.host.strip("[]") != went.src:
        return None
    if (came.dst, came.dport) != (went.src, went.sport) or (via.port or 5060) == went.sport:
        return None
    return Reading("phone", cause.NO_RPORT, (
        f"the response was delivered to port {went.sport}, from which the phone sends, but its Via "
        f"names port {via.port or 5060} without rport, so that it listens there"
    ))  # fmt: skip


def forced_port(exchange: Exchange) -> tuple[Sighting, Sighting] | None:
    """Both copies (LAN, WAN) of a response that came to the mapping of the phone's source port, and
    was sent by the router to another port. Without rport, the phone does not listen there either
    (its Via names another port). The phone sent its request until Timer F."""
    t, left, request = exchange.entered, exchange.left, exchange.request
    if not exchange.outbound or request is None or left is None or left.request is None:
        return None
    if not t.insisted or t.response is None or left.response is None:
        return None
    if not exchange.answered_alike:
        return None
    via, went, came = _top(request), request.source, t.response.destination
    if via is None or went[:16] != came[:16] or went == came:
        return None
    if via.rport is None and (via.port or 5060) == t.response.ends.dport:
        return None
    if left.response.destination != left.request.source:
        return None
    return t.response, left.response


def delivered_elsewhere(exchange: Exchange) -> Reading | None:
    """The reading of the result of forced_port()."""
    forced = forced_port(exchange)
    if forced is None or exchange.request is None:
        return None
    went, asked = forced[0].ends, exchange.request.ends
    return Reading("router", cause.ALG, (
        f"the router sent it to port {went.dport}, but the phone sends from port {asked.sport} and "
        f"{wanted(exchange.request)}"
    ))  # fmt: skip


def wanted(request: Sighting) -> str:
    """The place a request's sender wants its response at, a clause."""
    via = _top(request)
    if via is None or via.rport is not None:
        return "asks for responses there (rport)"
    return f"names port {via.port or 5060} in its Via"


def _top(copy: Sighting) -> Via | None:
    message = parsed(copy.payload)
    # Nobody can say what the sender of a malformed one meant.
    return None if "bad_via" in message.anomalies else message.top_via
