# SPDX-License-Identifier: Apache-2.0
"""Messages lost by a wrong destination or source: a NAT lets in only answers to packets that went
out. Both taps show the end at fault."""

from __future__ import annotations

from algwatch.base.packet import LAN, WAN
from algwatch.base.sighting import AT, Ends, Sighting, are_copies, came_in, port_of
from algwatch.compare.call import NOWHERE, Call
from algwatch.compare.crossing import Crossing, Entry
from algwatch.compare.exchange import Exchange
from algwatch.diagnose import cause
from algwatch.diagnose.known import Known
from algwatch.diagnose.phones_contact import by_phones_contact
from algwatch.diagnose.reading import Reading
from algwatch.diagnose.recapture import SEGMENT, SILENT
from algwatch.sip.dialog import Dialog, DialogSet
from algwatch.sip.message import Message
from algwatch.sip.timers import SECOND
from algwatch.sip.transaction import UDP


def unheard_invite(call: Call) -> Crossing | None:
    """An INVITE sent by the router to the port in the Via of its sender, not to the phone (the
    helper's forced destination port, nf_conntrack_sip.c process_sip_request()), and unanswered
    until Timer B. A phone that listens there would have answered."""
    crossing, s = call.misdelivered.get("INVITE"), call.sides[LAN]
    if crossing is None or crossing.lan is None or crossing.wan is None or not call.inbound:
        return None
    if s is None or not s.timed_out or s.invite is None:
        return None
    if s.invite.provisional_at or s.invite.final_at:
        return None
    vias = Message(crossing.wan.payload).vias
    forced = bool(vias) and (vias[0].port or 5060) == crossing.lan.ends.dport
    return crossing if forced else None


def unheard_ringing(call: Call) -> Crossing | None:
    """Provisional responses that the router sent to another port of the phone than its INVITE came
    from, and the INVITE was repeated until Timer B. Without rport the phone may listen at Via's
    port."""
    crossing, s = call.misdelivered.get("1xx INVITE"), call.sides[LAN]
    if crossing is None or crossing.lan is None or crossing.wan is None or call.inbound:
        return None
    if s is None or not s.timed_out or (response := _ringing(s)) is None or s.request is None:
        return None
    via, went = Message(s.request.payload).vias[:1], response.destination
    if went[:16] != s.request.source[:16] or went != crossing.lan.destination:
        return None
    open_ = via and via[0].rport is None and (via[0].port or 5060) == response.ends.dport
    return None if open_ else crossing


def unheard_later(call: Call, known: Known) -> tuple[Sighting, Sighting] | None:
    """The copies (LAN, WAN) of an unanswered INVITE to a port that only its sender's Via names,
    after a silence that its mapping may not have survived. A port forward would not lead there.
    Not proved: the phone may be gone meanwhile."""
    inside, outside = call.sides[LAN], call.sides[WAN]
    if inside is None or not inside.timed_out or not call.inbound or call.misdelivered:
        return None
    last, came = inside.unanswered(), outside.unanswered() if outside is not None else None
    if last is None or came is None or known.lossy(call):
        return None
    (t, lan), (_, wan) = last, came
    if t is not inside.invite or t.provisional_at or t.final_at or not are_copies(lan, wan):
        return None
    vias, ends = Message(wan.payload).vias, wan.ends
    if not vias or vias[0].host != ends.src or vias[0].port in (None, 5060, ends.sport):
        return None
    if vias[0].port != lan.ends.dport or request_astray(wan, lan, known) is None:
        return None
    return lan, wan


def _ringing(s: DialogSet) -> Sighting | None:
    """A provisional response that its caller does not hear."""
    t = s.invite
    return t.response if t is not None and t.rings_unheard else None


def answer_misrouted(call: Call) -> Reading | None:
    """For a response to a call of the phone that never reached it: sent to another port than the
    INVITE came from, or by another host than the INVITE went to."""
    sent = _answer_of(call)
    return response_misrouted(*sent) if sent is not None else None


def answer_sent_elsewhere(call: Call) -> Reading | None:
    """The same, only for a response of the right host to another port."""
    sent = _answer_of(call)
    if sent is None or sent[2].packed_ends[:16] != sent[3].packed_ends[16:32]:
        return None
    return sent_elsewhere(*sent)


def answer_given_to_another(call: Call) -> tuple[Reading, Sighting, Sighting] | None:
    """For a response to a phone's INVITE that came to another host of the LAN, as
    given_to_another(): with the LAN copies of the INVITE and of the response."""
    s = call.sides[LAN]
    d = s.current if s is not None else None
    if s is None or call.inbound is not False:
        return None
    response = d.answer if d is not None and d.answer is not None else s.response or _ringing(s)
    request = (d.request if d is not None else None) or s.request
    if response is None or request is None or not _is_for_another(response, request):
        return None
    reading = answer_sent_elsewhere(call)
    return (_at_another(reading, response), request, response) if reading is not None else None


def answer_to(call: Call) -> Sighting | None:
    """The response examined by answer_misrouted()."""
    sent = _answer_of(call)
    return sent[2] if sent is not None else None


def _answer_of(call: Call) -> tuple[str, str, Sighting, Sighting, Sighting | None] | None:
    """The parts of an outgoing call for response_misrouted()."""
    lan, wan = call.sides[LAN], call.sides[WAN]
    if wan is None:
        return None
    d = wan.current
    request = (d.request if d is not None else None) or wan.request
    answer = (d.answer if d is not None else None) or wan.response or _ringing(wan)
    stopped = call.unpaired.get("1xx INVITE")
    if answer is None and stopped is not None:
        answer = stopped.wan
    inside = (lan.current.request if lan is not None and lan.current is not None else None) or (
        lan.request if lan is not None else None
    )
    if answer is None or request is None:
        return None
    return "2xx" if d is not None and d.answer else "response", "INVITE", answer, request, inside


def exchange_misrouted(exchange: Exchange) -> Reading | None:
    """The same for a response to another request that came to the WAN and never to the LAN."""
    response, left = exchange.stopped_response, exchange.left
    if not exchange.outbound or response is None or left is None or left.request is None:
        return None
    status = Message(response.payload).status
    return response_misrouted(str(status), exchange.method, response, left.request,
                              exchange.request)  # fmt: skip


def exchange_sent_elsewhere(exchange: Exchange) -> Reading | None:
    """The same, only for a response of the right host to another port."""
    response, left = exchange.stopped_response, exchange.left
    if not exchange.outbound or response is None or left is None or left.request is None:
        return None
    if response.packed_ends[:16] != left.request.packed_ends[16:32]:
        return None
    status = Message(response.payload).status
    return sent_elsewhere(str(status), exchange.method, response, left.request, exchange.request)


def given_to_another(exchange: Exchange) -> Reading | None:
    """For a response to a phone's request that came to another host of the LAN: it was sent to that
    one's port of this router."""
    t, left, request = exchange.entered, exchange.left, exchange.request
    if not exchange.outbound or request is None or left is None or left.request is None:
        return None
    if t.response is None or left.response is None or not _is_for_another(t.response, request):
        return None
    status = str(Message(left.response.payload).status)
    reading = sent_elsewhere(status, exchange.method, left.response, left.request, request)
    return _at_another(reading, t.response) if reading is not None else None


def _is_for_another(response: Sighting, request: Sighting) -> bool:
    """LAN copies: the response came to a host that did not send the request."""
    return response.packed_ends[16:32] != request.packed_ends[:16]


def _at_another(reading: Reading, response: Sighting) -> Reading:
    reading.what += f"; it came to {response.ends.dst}"
    return reading


def delivered_astray(exchange: Exchange, known: Known) -> Reading | None:
    """For a request that was delivered to a phone: see request_astray()."""
    request, left = exchange.request, exchange.left
    if exchange.outbound is not False or request is None or left is None or left.request is None:
        return None
    return request_astray(request, left.request, known)


def request_astray(wan: Sighting, lan: Sighting, known: Known) -> Reading | None:
    """For both copies of a request to a phone: sent by the router to another port than its NAT
    mapping has, and than the phone announces in this call or to its registrar."""
    entry = known.mapping(wan.destination, wan.source)
    went = lan.destination
    if entry is None or entry.inside == went or entry.inside[:16] != went[:16]:
        return None
    call, ends = known.call(wan), lan.ends
    announced = call.phone_contact if call is not None else NOWHERE
    own = [c for one in known.registered() if one.binding is not None for c in one.binding.near.own]
    if (ends.dst, ends.dport) in (announced, *((c.host, c.port or 5060) for c in own)):
        return None
    return Reading("router", cause.ALG, (
        f"the router sent it to {ends.receiver}, and the phone is at port "
        f"{port_of(entry.inside)}"
    ))  # fmt: skip


def via_port_followed(exchange: Exchange) -> bool:
    """True if the lost response went to a port written into Via by the router, not mapped by its
    NAT: without rport a server has to send it there (RFC 3261 section 18.2.2)."""
    response, left, request = exchange.stopped_response, exchange.left, exchange.request
    if not exchange.outbound or response is None or request is None:
        return False
    if left is None or left.request is None:
        return False
    vias, wrote = Message(left.request.payload).vias, Message(request.payload).vias
    if not vias or not wrote or vias[0].rport is not None or not are_copies(request, left.request):
        return False
    went, came = left.request.ends, response.ends
    port = vias[0].port or 5060
    if port in (wrote[0].port or 5060, went.sport):
        return False
    return (came.src, came.dst, came.dport) == (went.dst, went.src, port)


def response_misrouted(name: str, method: str, answer: Sighting, request: Sighting,
                       inside: Sighting | None) -> Reading | None:  # fmt: skip
    """answer, request: WAN copies; inside: the LAN copy of the request."""
    came, went = answer.ends, request.ends
    if came_in(request):
        return None  # somebody on the WAN side wrote it, and it never left this router
    if (elsewhere := sent_elsewhere(name, method, answer, request, inside)) is not None:
        return elsewhere
    if (came.src, came.sport) != (went.dst, went.dport):
        return Reading("provider", cause.PROVIDER, (
            f"the {name} came from {came.sender}, the {method} went to "
            f"{went.receiver}"
        ))  # fmt: skip
    return None


def sent_elsewhere(name: str, method: str, answer: Sighting, request: Sighting,
                   inside: Sighting | None) -> Reading | None:  # fmt: skip
    """For a response sent to another address or port than its request came from; else None.
    Arguments as in response_misrouted()."""
    came, went = answer.ends, request.ends
    if came_in(request):
        return None  # as in response_misrouted
    if (came.dst, came.dport) != (went.src, went.sport):
        what = f"the {name} was sent to {came.receiver}, but the {method} came from {went.sender}"
        if inside is not None and not are_copies(inside, request):
            return Reading("unknown", cause.UNKNOWN, what)
        vias = Message(request.payload).vias
        wrote = Message(inside.payload).vias if inside is not None else vias
        # Without rport a response goes to Via's port (RFC 3261 section 18.2.2).
        followed = bool(vias and wrote) and (vias[0].port or 5060) == came.dport
        if followed and vias[0].port != wrote[0].port and came.dport != (wrote[0].port or 5060):
            return Reading("router", cause.ALG, f"{what}, and the router had changed its Via")
        if followed and vias[0].rport is None and wrote[0].rport is not None:
            return Reading("router", cause.ALG, (
                f"{what}, and the router had taken rport out of its Via (RFC 3581)"
            ))  # fmt: skip
        if followed and vias[0].rport is None:
            return Reading("phone", cause.NO_RPORT, f"{what} and did not ask for rport (RFC 3581)")
        return Reading("provider", cause.PROVIDER, what)
    return None


def answer_elsewhere(lan: Dialog) -> Ends | None:
    """The LAN destination of the 2xx, if it is another host than the INVITE came from."""
    if lan.answer is None or lan.request is None:
        return None
    went = lan.answer.ends
    return went if went.dst != lan.request.ends.src else None


def wrong_source(request: Sighting | None, known: Known) -> Reading | None:
    """The reading of a request that left with a source address not this router's (NAT005)."""
    if request is None or request.side != WAN:
        return None
    right, src = known.right_address(request), request.ends.src
    if right is None:
        other = known.other_address(request)
        if other is None:
            return None
        return Reading("unknown", cause.UNKNOWN, (
            f"it left with {src}, to which nothing was answered since, while {other.phone} leaves "
            f"with {other.host} and is answered: {src} may be an address that this router had "
            "before"
        ), step=(
            f"Look whether the router still has {src} (ip addr), and whether that line works: if "
            "not, clear the NAT state of the phone (conntrack -D -s and its LAN address)."
        ))  # fmt: skip
    if right.translated:
        why, what = cause.STALE_NAT, f"it left with {src}, which this router no longer has"
    else:
        why, what = cause.ROUTER, f"it left with the phone's own address {src}, not translated"
    others = f"others leave with {right.host} and are answered"
    return Reading("router", why, f"{what}: {others}")


def over_tcp(request: Sighting) -> Reading | None:
    """The reading of a request on one side alone, over TCP, which sends it again until its receiver
    has it: nothing shows that the router has kept it. None over UDP."""
    if request.ends.proto == UDP:
        return None
    other = "WAN" if request.side == LAN else "LAN"
    return Reading("unknown", cause.UNKNOWN, (
        f"it came over TCP, which loses nothing on the way: the capture of the {other} lost it, or "
        "a program on this router, or a host in a network that was not captured, has the connection"
    ), step=SEGMENT)  # fmt: skip


def given_to_no_phone(request: Sighting | None, known: Known, what: str) -> Reading:
    """The reading of a request that came to this router and went no further. request: its WAN copy;
    what: this event in words."""
    if request is None:
        return Reading("router", cause.ROUTER, what)
    line, idle = known.mapping_gone(request)
    if line is not None and idle:
        return Reading("router", cause.NAT_TIMEOUT, (
            f"{what}, as nothing had used the mapping of {line.phone} for {idle / SECOND:.0f} s"
        ), line.name)  # fmt: skip
    if known.is_elsewhere(request):
        return elsewhere(request)
    if (kept := over_tcp(request)) is not None:
        return kept
    phone, far = request.packed_ends[16:32], request.packed_ends[:16]
    entry = known.mapping_towards(request)
    open_ = entry is not None and _was_open(request, entry, known)
    if not open_ and known.line_of(phone, far) is None:  # a line exists without a NAT, too
        came = request.ends
        own = _is_of_its_call(request, known)
        if own and (aimed := by_phones_contact(request, known)) is not None:
            return aimed
        return Reading("provider" if own else "unknown", cause.PROVIDER if own else cause.UNKNOWN, (
            f"{what}; it came from port {came.sport} of {came.src} to port {came.dport}, and no "
            "phone was seen to send anything that way before, so this router need not let it in"
        ))  # fmt: skip
    if entry is not None and (since := known.mapping_since(entry)) is not None:
        key, newest = since
        if key[18:] == request.source and entry.last_at < newest.first_at < request.row[AT]:
            return Reading("router", cause.UNKNOWN, (
                f"{what}, as its mapping is gone: the phone leaves with port {port_of(key)} since"
            ))  # fmt: skip
    return Reading("router", cause.ROUTER, what)


def _is_of_its_call(request: Sighting, known: Known) -> bool:
    """Another port of the very host that the call was set up with sent it: no stranger."""
    call = known.call(request)
    began = call.flow_pairs.get("INVITE") if call is not None else None
    return began is not None and request.ends.src == began.far


def elsewhere(request: Sighting) -> Reading:
    """The reading of a request for somebody whom the LAN side does not show."""
    ends = request.ends
    return Reading("unknown", cause.UNKNOWN, (
        f"it came to {ends.receiver}, which sends to {ends.src} past the LAN side: a phone in a "
        "network that was not captured, or a program on this router"
    ), step=SILENT[LAN])  # fmt: skip


def _was_open(request: Sighting, entry: Entry, known: Known) -> bool:
    """The mapping was open: the phone had sent something through it before this request, or the
    call itself came through it. entry: this mapping."""
    call = known.call(request)
    began = call.flow_pairs.get("INVITE") if call is not None else None
    if began is not None and began.outside == request.destination + request.source:
        return True
    return entry.first_at < request.row[AT]
