# SPDX-License-Identifier: Apache-2.0
"""DLG001: a 2xx to INVITE is never acknowledged.

What it sees
    The 2xx is repeated at T1, 2*T1 and so on to T2, and no ACK reaches the callee. The two taps
    show the place of the loss. The ACK never reached the WAN side; or it arrived there and not in
    the LAN; or it left for a port without a phone; or it left the phone and not the router; or it
    left the router and the 2xx still comes. A stopped ACK is no fault of the router if it was sent
    to another port than the phone's, or came from a host contacted by no phone. A missing ACK is no
    fault of the phone if the Record-Route of the 2xx is unreachable, or asks for TCP while the call
    came over UDP, or for the other IP version or another TCP connection, or if the 2xx came
    malformed. TCP loses no ACK: without one on the connection of the phone's 2xx no network is
    blamed. An end that has refused the INVITE before its 2xx (the same To tag) has itself to blame.
    It is the phone's fault if it answers a 2xx over TCP that asks for TCP over UDP, or sent its 2xx
    to a port that is neither the source of the INVITE nor in its Via. A delivered or sent ACK is
    the router's fault if the router had written the address in its Request-URI, or the Contact used
    by the phone. A phone that repeats its 2xx from another place than its ACK was sent to has
    moved.

Why it breaks calls
    The callee must get an ACK. Without one it repeats its 2xx for 64*T1 = 32 s and then ends the
    call with BYE: the call is answered, talks, and drops.

What else looks the same
    The capture ends too early (CAP005) or lost packets (CAP002): then a place is named only if the
    ACK was seen to cross the router. An ACK crosses one retransmission on the way. An ACK takes a
    path without a tap: then the 2xx stops and nobody hangs up. Over TCP many do not repeat the 2xx:
    then an ACK that goes elsewhere than the 2xx says, and the callee's BYE after 64*T1, show it.

Recommendation
    See the finding beside this one for the cause (DLG002, DLG004, ALG011). Without one: look for
    loss between this router and the provider.

References
    RFC 3261 sections 13.2.2.4, 13.3.1.4, 17.1.1.3.
"""

from __future__ import annotations

from collections.abc import Iterator

from algwatch.base.packet import LAN, WAN
from algwatch.base.quote import somebody
from algwatch.compare.call import Call
from algwatch.compare.outcome import REPEATS, ack_of
from algwatch.compare.signs import REPEATED, TROUBLED
from algwatch.diagnose import (
    after_refusal,
    cause,
    in_house,
    malformed,
    misrouted,
    misrouted_ack,
    moved,
    no_contact,
    odd_ack,
    other_port,
    other_server,
    other_transport,
    renamed,
    retargeted,
    route_set,
    unheard,
)
from algwatch.diagnose import lost_ack as lost
from algwatch.diagnose.finding import Evidence, Finding
from algwatch.diagnose.known import Known
from algwatch.diagnose.reading import Reading
from algwatch.diagnose.rule import Rule, evidence, times
from algwatch.diagnose.subject import CALL
from algwatch.sip.dialog import MISROUTED, Dialog

RULE = Rule(
    "DLG001", "ack-lost", "error", CALL,
    ("RFC 3261 13.2.2.4", "RFC 3261 13.3.1.4", "RFC 3261 17.1.1.3"),
    "A 2xx to INVITE is never acknowledged, so the callee ends the call after 32 s.", symptom=True,
    when=REPEATED | TROUBLED,
)  # fmt: skip

# By reading: the fate of the ACK, and the place. The 2xx "was never acknowledged" if no ACK could
# be its own, see _words().
READINGS = {
    lost.NEVER_ON_WAN: Reading("network", cause.UNKNOWN,
                               "no ACK ever reached this router's WAN side"),
    lost.STOPPED_INBOUND: Reading("router", cause.ROUTER,
                                  "the ACK arrived on the WAN side and did not leave to the LAN"),
    lost.WRONG_PORT: Reading("router", cause.ALG,
                             "the ACK arrived, and the router sent it to another port"),
    lost.WRONG_PHONE: Reading("router", cause.ROUTER,
                              "the ACK arrived, and the router sent it to another phone"),
    lost.ANSWER_WRONG_PORT: Reading("router", cause.ALG,
                                    "the 2xx arrived, and the router sent it to another port"),
    lost.STOPPED_OUTBOUND: Reading("router", cause.ROUTER,
                                   "the ACK left the phone and never left the router"),
    lost.STOPPED_AGAIN: Reading("router", cause.ROUTER,
                                "the ACK left the router, came back for another phone here and "
                                "did not leave to the LAN"),
    lost.BEYOND: Reading("network", cause.UNKNOWN,
                         "the ACK left the router, and the 2xx still comes"),
    lost.NOT_SENT: Reading("phone", cause.PHONE, "the phone never sent an ACK"),
    lost.IGNORED: Reading("phone", cause.PHONE,
                          "the ACK was delivered, and the phone still repeats its 2xx"),
    lost.ANSWER_STOPPED: Reading("router", cause.ROUTER, "the 2xx itself did not cross the router"),
    lost.UNHEARD: Reading(
        "network", cause.UNKNOWN,
        "the 2xx left the router, and its caller goes on sending the INVITE: it does not hear the "
        "responses"),
    lost.CANCELLED: Reading(
        "unknown", cause.UNKNOWN,
        "its caller had cancelled the call when it was answered, and sent no ACK"),
    lost.CANCELLED_LATE: Reading(
        "network", cause.UNKNOWN,
        "the 2xx left the router, and its caller cancelled the call long after: it does not hear "
        "the 2xx"),
    lost.UNSEEN: Reading(
        "unknown", cause.UNKNOWN,
        "not all of the call was captured and kept, so it is not known what became of the ACK"),
    lost.CONTESTED: Reading(
        "unknown", cause.UNKNOWN,
        "packets that claim to be the same message contradict each other, so nothing is concluded "
        "from them"),
    lost.ONE_SIDED: Reading("unknown", cause.UNKNOWN, "no ACK on this side of the router"),
    lost.ONE_SIDED_IGNORED: Reading("unknown", cause.UNKNOWN,
                                    "an ACK was sent, and the 2xx still comes"),
    lost.ONE_SIDED_UNHEARD: Reading(
        "unknown", cause.UNKNOWN,
        "its caller goes on sending the INVITE: the responses do not reach it"),
}  # fmt: skip


def check(call: Call, known: Known) -> Iterator[Finding]:
    how = lost.lost_ack(call, known)
    if how is None or how.dialog.answer is None:
        late = _came_late(call, known)
        if late is not None:
            yield late
        return
    reading = reading_of(call, known)
    harm, so = _harm(how, known.now)
    proved = how.how not in lost.NOT_PROVED or harm == "observed"
    d, s = how.dialog, how.side
    yield RULE.finding(
        reading.where, harm,
        f"The 2xx of {callee(call, s.by_caller(d))} {_words(how, proved)}: "
        f"{reading.what}{f'; {so}' if proved else ''}.",
        _proof(call, how, known.now), _key(call, d), cause=reading.cause, call_id=call.call_id,
        line=_line(call), predicts=proved and harm == "latent" and how.is_open(known.now),
        symptom=False if _tells_alone(call, how, reading) else None,
        next_step=reading.step,
    )  # fmt: skip


def _tells_alone(call: Call, how: lost.LostAck, reading: Reading) -> bool:
    """No other rule tells of a 2xx without Contact, nor of one whose Contact the router changed on
    its way to the phone, nor of an ACK that the phone ignores for what the router wrote in it, nor
    of one that asks for another transport."""
    if reading is READINGS[how.how]:
        return False  # as most are
    if reading.step:
        return True
    if _retargeted(call, how) is not None:
        return True
    return (no_contact.reading(call, how) or after_refusal.reading(call, how)) is not None


def reading_of(call: Call, known: Known) -> Reading:
    """Place and cause of the loss, for a call with a lost ACK."""
    return known.once(call, _reading_of)


def _reading_of(call: Call, known: Known) -> Reading:
    how = lost.lost_ack(call, known)
    assert how is not None
    reading = _misrouted(call, how, known) or _acknowledged_once(call, how) or READINGS[how.how]
    if lost.ack_past_proxy(call, how) is not None:
        # It came from, or went to, a host unknown to the NAT.
        return Reading("provider", cause.RECORD_ROUTE, reading.what)
    if how.dialog.odd == MISROUTED and reading is READINGS[how.how]:
        return Reading(reading.where, reading.cause, "its ACK does not go where the 2xx says")
    if how.dialog.stray_ack is not None:
        if how.how == lost.ONE_SIDED:
            return Reading(reading.where, reading.cause, "no ACK to it on this side of the router")
        if how.how in (lost.NEVER_ON_WAN, lost.NOT_SENT):
            where = odd_ack.place(call, how.dialog)
            return Reading(where, cause.of_place(where), "the only ACK has another number")
    return reading


def _acknowledged_once(call: Call, how: lost.LostAck) -> Reading | None:
    """For an ACK lost beyond, and a phone that owes one to each 2xx (RFC 3261 section 13.2.2.4) and
    sent no other: one lost packet ended the call."""
    lan = call.dialog(LAN)
    if how.how != lost.BEYOND or lan is None or lan.repeats <= REPEATS:
        return None
    if not lan.acked_at or lan.acked_last != lan.acked_at or not lan.repeated_since(lan.acked_at):
        return None
    usual = READINGS[how.how]
    what = f"{usual.what}, which the phone acknowledged only once"
    return Reading(usual.where, usual.cause, what)


def _key(call: Call, d: Dialog) -> str:
    return f"{call.call_id}/{d.invite.cseq if d.invite else 0}"


def _came_late(call: Call, known: Known) -> Finding | None:
    """Take back a prediction: the ACK came before the callee gave up."""
    s = call.near_callee
    d = s.current if s is not None else None
    if s is None or d is None or d.ack is None or not known.was_said(RULE.id, _key(call, d)):
        return None
    if (call.predicted and not d.bye_at) or ack_of(call, known.now) != "seen":
        return None
    return RULE.finding(
        "unknown", "none",
        f"The 2xx of {callee(call, s.by_caller(d))} came {d.repeats + 1} times and was "
        f"acknowledged after {lost.elapsed(d, d.acked_at)}: the callee does not end the call for "
        "want of an ACK.",
        [evidence(d.ack, f"ACK after {lost.elapsed(d, d.acked_at)}", "ACK within T1")],
        _key(call, d), cause=cause.NONE, call_id=call.call_id, line=_line(call), severity="info",
    )  # fmt: skip


def _words(how: lost.LostAck, proved: bool) -> str:
    d = how.dialog
    said = "was never acknowledged" if proved else "was not seen to be acknowledged"
    if how.how in (*lost.SHOWN, lost.ONE_SIDED_IGNORED):
        said = "was not taken as acknowledged" if proved else said
    if d.stray_ack is not None:
        said += " (an ACK came with another CSeq number than its INVITE)"
    if not d.repeats:
        return f"{said} and not repeated"
    return f"{said} and came {how.repeats + 1} times"


def callee(call: Call, by_caller: bool) -> str:
    """The end that sent this 2xx."""
    return somebody(call.to if by_caller else call.from_)


def _line(call: Call) -> str:
    pair = call.flow_pair
    return f"{pair.phone} and {pair.far}" if pair is not None else ""


def _harm(how: lost.LostAck, now: int) -> tuple[str, str]:
    d, s = how.dialog, how.side
    if how.dropped(now):
        by_either = d.bye_at and (s.gave_up(d) or not d.repeats or how.how == lost.UNHEARD)
        end = d.bye_at if by_either else d.answer_last
        return "observed", f"the call was dropped {lost.elapsed(d, end)} after the answer"
    if d.bye_at:
        return "latent", (
            f"the other end hung up {lost.elapsed(d, d.bye_at)} after the answer, before it dropped"
        )
    if how.how == lost.ANSWER_STOPPED and s.cancelled_at > d.answered_at:
        after = lost.elapsed(d, s.cancelled_at)
        return "observed", f"its caller, who never got it, cancelled the call {after} later"
    left = how.seconds_left(now)
    if left:
        return "latent", f"the callee will end the call in {left} s"
    return "latent", (
        "the callee fell silent without ending the call, so it is not known what became of it"
    )


def _proof(call: Call, how: lost.LostAck, now: int) -> list[Evidence]:
    d = how.dialog
    assert d.answer is not None
    proof = [evidence(d.answer, f"2xx sent {times(how.repeats + 1)}", "ACK within T1")]
    far = call.dialog(WAN)
    ack = d.ack or (far.ack if far is not None else None)
    if ack is not None:
        ends = ack.ends
        proof.append(evidence(ack, f"ACK {ends.sender} to {ends.receiver}", "delivered"))
    forced = call.misdelivered.get("ACK")
    if forced is not None and forced.lan is not None:
        ends = forced.lan.ends
        proof.append(evidence(forced.lan, f"ACK left to {ends.receiver}", "the callee"))
    if d.bye is not None and how.dropped(now):
        proof.append(evidence(d.bye, "the callee ends the call", "a call that goes on"))
    return proof


def _retargeted(call: Call, how: lost.LostAck) -> Reading | None:
    """For an ACK sent, or delivered, with an address written by the router."""
    lan, wan = call.dialog(LAN), call.dialog(WAN)
    if lan is None or wan is None:
        return None
    if how.how == lost.BEYOND:
        reading = retargeted.by_contact(call, wan.ack)
    elif how.how == lost.IGNORED:
        reading = retargeted.by_request_uri(call, lan.ack, wan.ack)
    else:
        return None
    if reading is None:
        return None
    what = f"{READINGS[how.how].what}: {reading.what}"
    return Reading(reading.where, reading.cause, what)


def _is_at_another_port(call: Call) -> bool:
    """The ACK came into the LAN to a port neither of the 2xx nor of its INVITE."""
    d = call.dialog(LAN)
    if not call.answered_inside or d is None or d.ack is None or d.answer is None:
        return False
    asked = d.request.destination if d.request is not None else d.answer.source
    return d.ack.destination not in (d.answer.source, asked)


def _misrouted(call: Call, how: lost.LostAck, known: Known) -> Reading | None:
    """The loss is another end's, or this router could not help it."""
    if (twice := after_refusal.reading(call, how)) is not None:
        return twice
    unmatched = renamed.ack_unmatched(call, how) or renamed.answer_to_nothing(call, how)
    if unmatched is not None:
        return unmatched
    if (spoiled := malformed.unreadable_ack(call, how)) is not None:
        return spoiled
    if how.how == lost.STOPPED_INBOUND:
        return misrouted_ack.misrouted(call, known)
    ignored = how.how in (lost.IGNORED, lost.WRONG_PHONE)
    if ignored and (elsewhere := moved.answers_from_elsewhere(call)) is not None:
        return elsewhere
    if how.how == lost.IGNORED and _is_at_another_port(call):
        return misrouted_ack.sent_elsewhere(call)
    if how.how == lost.WRONG_PHONE:
        return _to_another(call)
    if how.how == lost.ANSWER_STOPPED and not call.answered_inside:
        return unheard.answer_not_taken(call) or misrouted.answer_misrouted(call)
    odd = how.dialog.odd and how.dialog.odd != MISROUTED
    if how.how in (lost.IGNORED, lost.WRONG_PORT, lost.BEYOND) and odd:
        # Its callee need not take such an ACK on any port (TXN008).
        where = odd_ack.place(call, how.dialog)
        return Reading(where, cause.of_place(where), READINGS[how.how].what)
    if (astray := _retargeted(call, how) or renamed.ack_foreign(call, how, known)) is not None:
        return astray
    if (nowhere := no_contact.reading(call, how)) is not None:
        return nowhere
    routed = route_set.unroutable_route(call, how) or route_set.unroutable_contact(call, how)
    routed = routed or route_set.misaddressed(call, how)
    routed = routed or route_set.contact_at_proxy(call, how, known)
    routed = routed or other_transport.reading(call, how) or other_port.reading(call, how)
    routed = routed or other_server.ack_elsewhere(call, how, known)
    routed = routed or in_house.ack_came_back(call, how)
    if routed is not None:
        return routed
    lan = call.dialog(LAN)
    if how.how == lost.NOT_SENT and lan is not None:
        if (not_taken := unheard.answer_not_taken(call)) is not None:
            return not_taken
        went = misrouted.answer_elsewhere(lan)
        if went is not None:
            reading = misrouted.answer_misrouted(call) or Reading(
                "router", cause.ROUTER, "the 2xx arrived where the INVITE came from"
            )
            what = f"{reading.what}, so the router gave it to {went.dst}, which did not call"
            return Reading(reading.where, reading.cause, what)
        if (sent := misrouted.answer_sent_elsewhere(call)) is not None:
            return sent  # to another port of the phone: that of another account, perhaps
        if lan.answer is not None:
            ends, never = lan.answer.packed_ends, READINGS[lost.NOT_SENT].what
            return moved.registered_since(ends[16:32], ends[47], lan.answer, known, never)
    return None


def _to_another(call: Call) -> Reading:
    """The ACK went to a LAN host other than the sender of the 2xx."""
    wrong, lan = READINGS[lost.WRONG_PHONE], call.dialog(LAN)
    assert lan is not None and lan.ack is not None and lan.answer is not None
    what = (
        f"the ACK arrived, and the router sent it to {lan.ack.ends.dst}, but the phone is "
        f"{lan.answer.ends.src}"
    )
    sent = misrouted_ack.sent_elsewhere(call)
    if sent is None:
        return Reading(wrong.where, wrong.cause, what)
    return Reading(sent.where, sent.cause, f"{what}: {sent.what}")
