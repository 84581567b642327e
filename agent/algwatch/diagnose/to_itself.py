# SPDX-License-Identifier: Apache-2.0
"""A BYE that its own sender wrote wrong: addressed to itself, without a tag, or with another
Route."""

from __future__ import annotations

from algwatch.base import address
from algwatch.base.address import joined
from algwatch.base.packet import LAN, WAN
from algwatch.base.quote import value
from algwatch.base.sighting import FROM_TAG, TO_TAG, Sighting
from algwatch.compare.call import Call
from algwatch.diagnose import cause, retargeted
from algwatch.diagnose.reading import Reading
from algwatch.sip.message import Message
from algwatch.sip.target import endpoint

_AUTHORS = {"phone": "the phone", "provider": "the far end", "unknown": "its sender"}


def bye_to_itself(call: Call, by_caller: bool) -> tuple[Sighting, Reading] | None:
    """The BYE of a call as its sender wrote it, with the sender's own address in the Request-URI
    instead of the Contact of the other end (RFC 3261 section 12.2.1.1); None for any other.
    by_caller: of the call."""
    two_sided = call.two_sided and call.inbound is not None
    phone = two_sided and by_caller != call.inbound
    sent = _sent(call, two_sided, phone)
    if sent is None:
        return None
    message, ends = Message(sent.payload), sent.ends
    wrote = endpoint(message.request_host, message.request_port)
    own = endpoint(ends.src, ends.sport)
    # Beyond a NAT another phone may have the same host. Over TCP the source port is no listener's.
    if wrote[0] != own[0] or (wrote[1] != own[1] and not two_sided):
        return None
    where = _author(sent, two_sided, phone)
    told = retargeted.by_contact(call, sent) if where == "phone" else None
    return sent, told or Reading(where, cause.of_place(where), (
        f"{_AUTHORS[where]} wrote its own address into the Request-URI, "
        f"{value(joined(*wrote[:2]))}, and not the Contact of the other end"
    ))  # fmt: skip


def bye_without_tag(call: Call) -> tuple[Sighting, Reading] | None:
    """The BYE of a call as its sender wrote it, without the tag of an end that has one: it names no
    dialog (RFC 3261 section 12.2.1.1). None for any other."""
    pair, lan = call.flow_pair, call.dialog(LAN)
    two_sided = call.two_sided and call.inbound is not None
    inside = lan.bye if lan is not None else None
    phone = False
    if two_sided:
        if inside is None or pair is None:
            return None
        phone = inside.ends.src == pair.phone  # without its From tag it does not tell whose it is
    sent = _sent(call, two_sided, phone)
    s = next((s for s in call.seen if sent is not None and s.side == sent.side), None)
    if sent is None or s is None or s.current is None:
        return None
    message, tags = Message(sent.payload), (s.caller_tag, s.current.callee_tag)
    lacks = [
        name for name, one, tag in
        (("From", message.from_, FROM_TAG), ("To", message.to, TO_TAG))
        if not one.tag and sent.row[tag] not in tags
    ]  # fmt: skip
    if not lacks:
        return None
    where = _author(sent, two_sided, phone)
    return sent, Reading(where, cause.of_place(where), (
        f"{_AUTHORS[where]} left the tag out of its {lacks[0]}, so the BYE names no call"
    ))  # fmt: skip


def bye_by_another_route(call: Call, by_caller: bool) -> tuple[Sighting, Reading] | None:
    """The BYE of a phone that called, if its Route led it to another host than its ACK: nothing in
    a dialog changes its route set (RFC 3261 section 12.2). None for any other. by_caller: of the
    call."""
    lan = call.dialog(LAN)
    acked = call.flow_pairs.get("ACK") or call.flow_pairs.get("INVITE")
    if not call.two_sided or call.inbound is not False or not by_caller:
        return None
    if lan is None or lan.bye is None or acked is None:
        return None
    went, routes = lan.bye.ends.dst, Message(lan.bye.payload).routes
    if not routes or address.canonical(routes[0].host.strip("[]")) != went or went == acked.far:
        return None
    return lan.bye, Reading("phone", cause.PHONE, (
        f"its Route led it to {went}, while the ACK of the call went to {acked.far}: the phone "
        "changed the route set in the call"
    ))  # fmt: skip


def _sent(call: Call, two_sided: bool, phone: bool) -> Sighting | None:
    """The BYE as its sender wrote it."""
    if two_sided:
        d = call.dialog(LAN if phone else WAN)
    else:
        d = next((s.current for s in call.seen if s.current is not None), None)
    return d.bye if d is not None else None


def _author(sent: Sighting, two_sided: bool, phone: bool) -> str:
    """The place that wrote it."""
    if two_sided:
        return "phone" if phone else "provider"
    ends = sent.ends
    inside = address.is_unroutable(ends.src) and not address.is_unroutable(ends.dst)
    return "phone" if inside else "unknown"
