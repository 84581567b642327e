# SPDX-License-Identifier: Apache-2.0
"""Misdelivered: messages of a call that reached the LAN at the wrong port."""

from __future__ import annotations

from algwatch.base.packet import LAN, WAN
from algwatch.base.sighting import are_copies
from algwatch.compare.call import Call
from algwatch.compare.crossing import Crossing
from algwatch.sip.message import Message


def goes_to_contact(call: Call, crossing: Crossing) -> bool:
    """The message went to the address and port in the Contact of the phone. The phone may send
    from another port."""
    if crossing.lan is None:
        return False
    went = crossing.lan.ends
    return (went.dst, went.dport) == call.phone_contact


def answer_misdelivered(call: Call) -> bool:
    """The 2xx to a call of the phone reached the LAN at a wrong port. The right one is the
    source port of the phone if it asked for rport (RFC 3581), else the port in its Via."""
    d, out = call.dialog(LAN), call.dialog(WAN)
    if d is None or d.answer is None or d.request is None:
        return False
    if out is None or not are_copies(d.request, out.request):
        return False
    vias = Message(d.answer.payload).vias
    if not vias:
        return False
    if vias[0].rport is None and (vias[0].port or 5060) == d.answer.ends.dport:
        return False
    answer = call.misdelivered.get("2xx INVITE")
    if answer is not None and answer.lan is not None:
        return True
    # Its sender chose another port of this router, as Via says without rport: the port of another
    # phone, or of another account of this one.
    sent, asked = out.answer, out.request
    if sent is not None and asked is not None and sent.destination != asked.source:
        return False
    went, came = d.answer.destination, d.request.source
    return went[:16] == came[:16] and went != came


def ack_misdelivered(call: Call) -> bool:
    """The ACK reached the LAN, but no port of its callee. A phone that answered an INVITE on
    this port listens there, whatever port it sends from."""
    if not call.two_sided or "ACK" in call.contested:
        return False
    ack_, invite = call.misdelivered.get("ACK"), call.misdelivered.get("INVITE")
    if ack_ is not None:
        assert ack_.lan is not None
        if invite is None:
            return True
        assert invite.lan is not None
        return ack_.lan.destination != invite.lan.destination
    d, out = call.dialog(LAN), call.dialog(WAN)
    if not call.answered_inside or d is None or d.ack is None or d.answer is None:
        return False
    # The sender itself chose another port of this router than the 2xx came from.
    if out is None or out.answer is None or not are_copies(d.answer, out.answer):
        return False
    if out.ack is not None and out.ack.destination != out.answer.source:
        return False
    went = d.ack.destination
    if went[:16] != d.answer.source[:16] or went == d.answer.source:
        return False
    return d.request is not None and went != d.request.destination
