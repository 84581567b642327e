# SPDX-License-Identifier: Apache-2.0
"""The ACK to a 2xx that was lost by a wrong destination or source, as misrouted.py."""

from __future__ import annotations

from algwatch.base import address
from algwatch.base.packet import LAN, WAN
from algwatch.base.sighting import AT, TTL, Sighting, are_copies
from algwatch.compare.call import Call
from algwatch.compare.crossing import SHORTEST
from algwatch.diagnose import cause
from algwatch.diagnose.known import Known
from algwatch.diagnose.reading import Reading
from algwatch.sip.dialog import Dialog, DialogSet
from algwatch.sip.message import Message
from algwatch.sip.target import same_endpoint


def _dialog(s: DialogSet | None) -> Dialog | None:
    return s.current if s is not None else None


def _invite(call: Call) -> Sighting | None:
    """The INVITE that came in from the WAN; its LAN copy has the same source."""
    for d in (_dialog(call.sides[WAN]), _dialog(call.sides[LAN])):
        if d is not None and d.request is not None:
            return d.request
    return None


def of_stranger(call: Call) -> Sighting | None:
    """The ACK, if it stopped at the WAN side, and its source is not named in the INVITE and is no
    neighbour of its sender (providers have several proxies). Anybody who knows the call can send
    such an ACK, so it shows nothing about the caller's own. A host name in the INVITE could stand
    for any address: then None."""
    wan, request = _dialog(call.sides[WAN]), _invite(call)
    if wan is None or wan.ack is None or request is None:
        return None
    src, invite = wan.ack.ends.src, Message(request.payload)
    hosts = {one.host.strip("[]") for one in (*invite.contacts, *invite.record_routes)}
    hosts.update(host.strip("[]") for via in invite.vias for host in (via.host, via.received))
    hosts.discard("")
    if _are_neighbours(wan.ack, request) or not all(address.is_literal(host) for host in hosts):
        return None
    return wan.ack if src not in hosts else None


def _are_neighbours(one: Sighting, other: Sighting) -> bool:
    """True if the senders of both are in one network."""
    a, b = one.packed_ends, other.packed_ends
    return a[47] == b[47] and address.in_one_network(a[:16], b[:16], a[47])


def misrouted(call: Call, known: Known) -> Reading | None:
    """For an ACK that arrived on the WAN and never left to the LAN: a wrong destination, or a
    source no phone was seen to send to."""
    wan, request = _dialog(call.sides[WAN]), _invite(call)
    if wan is None or wan.ack is None or wan.answer is None:
        return None
    if wan.ack.row[TTL] == 1:
        return Reading("network", cause.UNKNOWN, (
            "the ACK arrived with a TTL of 1, so no router may send it on (RFC 1812 section 5.3.1)"
        ))  # fmt: skip
    if (elsewhere := sent_elsewhere(call)) is not None:
        return elsewhere
    if request is None:
        return Reading("unknown", cause.UNKNOWN, (
            "the ACK arrived on the WAN side and did not leave to the LAN; its INVITE was not "
            "captured, so it is not known whether the NAT had to let it in"
        ))  # fmt: skip
    if wan.ack.source == request.source:
        return None
    ack, invite = wan.ack.ends, request.ends
    if of_stranger(call) is not None:
        return Reading("network", cause.UNKNOWN, (
            f"the only ACK came from {ack.src}, which the INVITE names nowhere, so it need not be "
            "the caller's"
        ))  # fmt: skip
    stopped = call.unpaired.get("ACK")
    used_at = stopped.used_at if stopped is not None else 0
    if wan.ack.row[AT] - used_at < SHORTEST:
        return None
    if ack.src == invite.src:
        came = f"port {ack.sport} of {ack.src}, the INVITE from port {invite.sport}"
    else:
        came = f"{ack.src}, the INVITE from {invite.src}"
    return Reading(
        "provider", cause.PROVIDER,
        f"the ACK came from {came}: no phone was seen to send anything there, so the NAT need not "
        "let it in",
    )  # fmt: skip


def sent_elsewhere(call: Call) -> Reading | None:
    """For an ACK that came to the WAN side: sent to another address or port than the 2xx came
    from."""
    lan, wan = _dialog(call.sides[LAN]), _dialog(call.sides[WAN])
    if wan is None or wan.ack is None or wan.answer is None:
        return None
    ack, answer = wan.ack.ends, wan.answer.ends
    if (ack.dst, ack.dport) == (answer.src, answer.sport):
        return None
    what = f"the ACK was sent to {ack.receiver}, but the 2xx came from {answer.sender}"
    shown = Message(wan.answer.payload).contacts
    if not shown or (shown[0].host, shown[0].port or 5060) != (ack.dst, ack.dport):
        return Reading("provider", cause.PROVIDER, what)
    what += ", as its Contact said"
    if lan is None or lan.answer is None or not are_copies(lan.answer, wan.answer):
        return Reading("unknown", cause.UNKNOWN, what)
    wrote = Message(lan.answer.payload).contacts
    if wrote and same_endpoint(wrote[0], shown[0]):
        return Reading("phone", cause.NAT_UNHANDLED, what)
    return Reading("router", cause.ALG, f"{what}, which the router had written")
