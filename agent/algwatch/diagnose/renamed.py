# SPDX-License-Identifier: Apache-2.0
"""Names changed by the router one way and not restored the other way: the receiver cannot match
such a message (RFC 3261 sections 12.2.2, 17.1.3, 18.1.2)."""

from __future__ import annotations

from algwatch.base import sighting
from algwatch.base.packet import LAN, WAN
from algwatch.base.quote import quoted
from algwatch.base.sighting import Sighting
from algwatch.compare.call import Call
from algwatch.compare.foreign import foreign_ack
from algwatch.compare.joined import Joined, T
from algwatch.compare.line import REACHED_REWRITTEN
from algwatch.compare.names import BRANCH, CALL_ID, CSEQ, TAG, Broken
from algwatch.compare.restored import VIA
from algwatch.diagnose import cause
from algwatch.diagnose import lost_ack as lost
from algwatch.diagnose.known import Known
from algwatch.diagnose.reading import Reading
from algwatch.sip.dialog import DialogSet
from algwatch.sip.message import Message, to_text
from algwatch.sip.status_codes import NO_DIALOG
from algwatch.sip.transaction import LATE


def name(text: str) -> str:
    """For people; a tag may have been taken out."""
    return quoted(text) if text else "none"


def _called(one: Broken) -> str:
    return f"the {one.what} {quoted(one.became)}" if one.became else f"no {one.what}"


def broken(thing: Joined[T], outbound: bool) -> Broken | None:
    """The first message of a direction with a name unknown to its receiver."""
    if thing.names is None:
        return None
    for what in (CALL_ID, TAG, BRANCH, CSEQ):
        one = thing.names.broken.get((what, outbound))
        if one is not None:
            return one
    return None


def response_unmatched(thing: Joined[T]) -> Reading | None:
    """For a response that came to the phone, although the phone behaves as without one."""
    one = broken(thing, False)
    if one is not None:
        return Reading("router", cause.ALG, (
            f"the router gave the phone its responses with {_called(one)}, "
            f"and the phone had written {name(one.was)}"
        ))  # fmt: skip
    crossing = thing.unrestored.get(VIA)
    if crossing is not None and crossing.flow_pair is not None:
        return Reading("router", cause.ALG, (
            "the router gave the phone its responses with the router's own address "
            f"{crossing.flow_pair.wan_host} in Via, where the phone had written another"
        ))  # fmt: skip
    return None


def none_taken(caller: DialogSet) -> bool:
    """True if this side repeated its INVITE again and again, across this router, in spite of
    responses to it."""
    last = caller.unanswered() if caller.timed_out else None
    if last is None or last[0].response is None:
        return False
    again = last[0].again
    return again is not None and again.early + again.late - again.stopped > LATE


def ack_unmatched(call: Call, how: lost.LostAck) -> Reading | None:
    """For an ACK, or a 2xx, with names unknown to its receiver."""
    inside = call.answered_inside
    if (unknown := answer_unknown(call, how)) is not None:
        return unknown
    if not inside and how.how in (lost.ANSWER_STOPPED, lost.NOT_SENT):
        return response_unmatched(call)
    if how.how not in (lost.UNSEEN, lost.IGNORED, lost.BEYOND, lost.STOPPED_INBOUND,
                       lost.STOPPED_OUTBOUND):  # fmt: skip
        return None
    one = broken(call, not inside)
    if one is None or one.what == BRANCH:
        return None
    return Reading("router", cause.ALG, (
        f"the router sent the ACK on with {_called(one)}, and the "
        f"{'phone' if inside else 'other end'} knows {name(one.was)}"
    ))  # fmt: skip


def answer_unknown(call: Call, how: lost.LostAck) -> Reading | None:
    """For a 2xx of the phone that left with names of no INVITE of the far end, which sent no
    ACK."""
    one = broken(call, True)
    if how.how not in lost.UNTAKEN or one is None or one.kind != "2xx INVITE":
        return None
    return Reading("router", cause.ALG, (
        f"the router sent the 2xx on with {_called(one)}, and the other end knows {name(one.was)}"
    ))  # fmt: skip


def ack_foreign(call: Call, how: lost.LostAck, known: Known) -> Reading | None:
    """For an ACK ignored by the phone: it has the router's address in its Request-URI, the phone
    had written its own into Contact, and no such ACK was ever accepted."""
    line = known.line(call)
    if how.how != lost.IGNORED or (line is not None and line.count(REACHED_REWRITTEN)):
        return None
    ack = foreign_ack(call)
    if ack is None:
        return None
    host = Message(ack.payload).request_host
    return Reading("router", cause.ALG, (
        f"the ACK came to the phone with {host}, which the router had written into its Contact, in "
        "the Request-URI, and the phone still repeats its 2xx"
    ))  # fmt: skip


def answer_to_nothing(call: Call, how: lost.LostAck) -> Reading | None:
    """For a 2xx that came to the phone with the CSeq number of none of its INVITEs: the phone
    discards it (RFC 3261 section 17.1.3). Nothing shows the author of the change."""
    s, d = call.sides[LAN], call.dialog(LAN)
    if how.how != lost.NOT_SENT or call.answered_inside or s is None or s.request is None:
        return None
    if d is None or d.answer is None:
        return None
    got, asked = (copy.row[sighting.CSEQ] for copy in (d.answer, s.request))
    if got == asked or (d.invite is not None and d.invite.cseq == got):
        return None
    return Reading("unknown", cause.UNKNOWN, (
        f"it came to the phone with CSeq {got}, and the INVITE of the phone has {asked}"
    ))  # fmt: skip


def refused_bye(call: Call) -> Sighting | None:
    """The 481 to a BYE whose Call-ID or tag is unknown to its receiver."""
    if call.inbound is None:
        return None
    for side, outbound in ((LAN, False), (WAN, True)):
        sent, one = call.dialog(WAN if side == LAN else LAN), broken(call, outbound)
        if sent is None or one is None or one.what not in (CALL_ID, TAG):
            continue
        if sent.bye_status != NO_DIALOG or sent.both_ended:
            continue
        if (sent.bye_by_caller != call.inbound) is not outbound:
            continue
        for s in (call.sides[side], *call.astray):
            for got in s.dialogs if s is not None else ():
                if got.bye_response is not None and got.bye_status == NO_DIALOG:
                    return got.bye_response
        return sent.bye_response
    return None


def unlike(request: Sighting, response: Sighting) -> str:
    """The names of its request not repeated by a response, a clause; "" if it repeats all (RFC 3261
    section 8.2.6.2)."""
    asked, got = Message(request.payload), Message(response.payload)
    names = [(CALL_ID, asked.call_id, got.call_id), ("From tag", asked.from_.tag, got.from_.tag)]
    vias, others = asked.vias, got.vias
    if vias and others:
        names.append((BRANCH, vias[0].branch, others[0].branch))
        names.append((VIA, vias[0].host.encode(), others[0].host.encode()))
    for what, one, two in names:
        if one != two:
            wrote = quoted(to_text(one))
            return f"the {what} {quoted(to_text(two))}, where the phone had written {wrote}"
    return ""
