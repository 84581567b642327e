# SPDX-License-Identifier: Apache-2.0
"""TXN003: a request other than INVITE was never answered, or was refused.

What it sees
    A request (no INVITE, ACK or REGISTER) without any response until Timer F, 32 s; or refused by
    no person, or redirected or challenged and not sent anew; or repeated again and again after its
    response, so its sender does not get it. The two taps tell how far the request came, whether a
    response came and was lost, whether the router sent it to a port without the phone, and whether
    it went to a Contact written by the router, or the phone sent its response to the host in the
    Via and not to the source. A response that crossed the router shows that both ways work: then
    the reason of a refusal lies with the end that gave it, but for 404, 410 and 481 inside a
    dialog, where the request may be wrong.

Why it breaks calls
    Without an answer to its BYE an end does not know whether the other one still talks. Users wait
    for the effect of MESSAGE, REFER, UPDATE and PRACK. Unanswered OPTIONS, NOTIFY, SUBSCRIBE, INFO
    and PUBLISH, all refusals but those of a BYE or a text message from here, and responses that are
    not heard hurt only later: possible harm, and no all-clear. So it is with a PRACK of a call that
    was answered and acknowledged all the same.

What else looks the same
    A request over UDP without a repeat: its response was not captured, or its sender is gone. Over
    TCP, a response on one side alone: the other capture lost a segment, or a proxy has it. A
    request at the end of a capture: it is judged after 32 s only. Any answer to OPTIONS, to a
    NOTIFY as keep-alive, or to an INFO without a body shows that the peer is there. OPTIONS
    answered before: TXN004. A person declined, or the number is nobody's (MESSAGE, REFER). A
    MESSAGE that nobody reads: without a body, or about typing. A request by multicast, or of a
    scanner. A challenge (401, 407), a redirection, or a 412, 423, 491 or 503, if the request is
    sent anew in 5 s, by some phones with another Call-ID. 481 to a NOTIFY without a subscription. A
    refused refresh of a subscription, or another refused REFER: DLG012. An UPDATE after the answer:
    DLG014. A CANCEL refused with 481: TXN007. A BYE refused with 404, 408, 410 or 481: DLG008. A
    CSeq number that is not above its sender's INVITE: the refusal, or the silence, is right. A
    header field taken out by the router: ALG018. A BYE past the proxies of its call: the phone left
    its Route out, or they did not record themselves; so with a Route or Request-URI that nobody can
    reach from here, or to the number that was dialled. A repeated BYE refused with 500 may have
    ended the call: possible harm. A request after the NAT had dropped the mapping of its phone, or
    on another path: no router has to let it in, and the finding says so. A phone got another LAN
    address in the call, so its requests come from there, or those for it go to the old one.

Recommendation
    Unanswered: find the place of the stop. If the mapping had expired: a shorter refresh or
    keep-alive on the phone. Beyond the router: look for a filter, or for an absent peer. Refused:
    the status gives the reason (401: the password; 405, 489, 501: turn the feature off). Turning
    off the ALG does not help.

References
    RFC 3261 sections 8.1.3.5, 12.2.1.1, 15.1.2, 17.1.2.2 (Timer F), 22.2; RFC 3428 section 7; RFC
    3903 section 4.2; RFC 6665 sections 4.1.2, 4.2.2; RFC 6086 section 4.2.2.
"""

from __future__ import annotations

from collections.abc import Iterator

from algwatch.base import quote
from algwatch.base.native.layout import REGISTER, ROW_TCP
from algwatch.base.sighting import AT, BITS, TO_TAG, Sighting
from algwatch.compare.call import Call
from algwatch.compare.exchange import Exchange
from algwatch.diagnose import (
    cause,
    malformed,
    misrouted,
    moved,
    out_of_order,
    refused,
    renamed,
    retargeted,
    route_set,
    unheard,
)
from algwatch.diagnose.finding import Finding
from algwatch.diagnose.known import Known
from algwatch.diagnose.reading import Reading
from algwatch.diagnose.recapture import GAPS, SEGMENT
from algwatch.diagnose.rule import Rule, evidence, times
from algwatch.diagnose.rules.txn.txn001_invite_unanswered import ONCE
from algwatch.diagnose.subject import TRANSACTION
from algwatch.sip.message import Message, to_text
from algwatch.sip.status_codes import GONE
from algwatch.sip.timers import SECOND, TIMER_F
from algwatch.sip.transaction import DEAF, UDP, Transaction

RULE = Rule(
    "TXN003", "request-failed", "warning", TRANSACTION,
    ("RFC 3261 15.1.2", "RFC 3261 17.1.2.2"),
    "A request other than INVITE was never answered, or was refused.",
)  # fmt: skip

# The other end has heard it: the call is over for both.
ENDING = ("BYE", "CANCEL")
# A user notices a missing answer to these.
CRITICAL = ("BYE", "CANCEL", "MESSAGE", "REFER", "UPDATE", "PRACK")


def check(exchange: Exchange, known: Known) -> Iterator[Finding]:
    request = exchange.request
    if request is None:
        return
    t, status = exchange.entered, exchange.status
    if t.late >= DEAF and (exchange.method in CRITICAL or _is_retransmitted(t)):
        yield from _not_heard(exchange)
        return
    if refused.is_in_vain(exchange, known):
        yield refused.in_vain(RULE, exchange)
        return
    if status and (exchange.method != "BYE" or status in GONE or status < 300):
        return  # any answer shows that the other end is there; a ghost dialog is DLG008
    if not status and t.taken(known.now):
        return  # with another Via, and its sender was content
    if not status and (t.unrepeated or exchange.settled or known.unseen(exchange)):
        return
    if exchange.asked is not None and exchange.asked.answered:
        return
    reading = request_reading(exchange, known)
    unsure = reading.step in (GAPS, SEGMENT)  # its response may have passed, too
    harm = "observed" if exchange.method in CRITICAL and not unsure else "latent"
    if reading.cause == cause.CAPTURE:
        harm = "none"
    if status:
        what = f"was refused with {status}: the other end may still be in the call"
        where, why = refused.answerer(exchange), cause.REFUSED
        if (late := _out_of_order(exchange, known)) is not None:
            where, why = late.where, late.cause
            what = f"was refused with {status}: {late.what}, and the other end may still be there"
        elif status == 500 and t.requests > 1:
            # Some ends take a repeated BYE for a new one, out of order (section 12.2.2).
            what = (
                f"was sent {times(t.requests)} and refused with {status}: the other end may have "
                "taken the first one, or still be in the call"
            )
            harm = "latent"
    else:
        # TCP repeats its segments, and nobody counts those.
        sent = "" if request.row[BITS] & ROW_TCP else f"was sent {times(t.requests)} and "
        what = f"{sent}got no response in 32 s: {reading.what}"
        where, why = reading.where, reading.cause
    if exchange.method == "PRACK" and not status and _was_answered(request, known):
        harm = "latent"
    if not exchange.two_sided and exchange.method == "BYE" and known.began_before(request):
        harm = "latent"  # anybody can send the BYE of a call unseen on one side alone
    proof = [evidence(request, f"sent {times(t.requests)}", "a final response")]
    response = exchange.stopped_response or t.response
    if response is not None:
        proof.append(evidence(response, "the response", ""))
    message = Message(request.payload)
    target = to_text(message.to.uri)
    key = exchange.call_id if exchange.method in CRITICAL else f"{reading.where}/{target}"
    asked = f"The {quote.method(exchange.method)} to {quote.somebody(target)}"
    yield RULE.finding(
        where, harm, f"{asked} {what}.", proof,
        f"{exchange.method}/{key}", cause=why, call_id=exchange.call_id,
        line=exchange.line.name if exchange.line else reading.line, next_step=reading.step,
        symptom=unsure or harm == "latent", severity=severity(reading),
    )  # fmt: skip


def _out_of_order(exchange: Exchange, known: Known) -> Reading | None:
    call = known.call(exchange.request) if exchange.request is not None else None
    if call is None or exchange.status not in (0, *out_of_order.REFUSALS):
        return None
    if exchange.method == "CANCEL":
        return None  # it has the number of its INVITE (RFC 3261 section 9.1)
    return out_of_order.out_of_order(call, exchange.request)


def _was_answered(request: Sighting, known: Known) -> bool:
    """The call of a PRACK was answered and acknowledged all the same."""
    call = known.call(request)
    return call is not None and any(s.acked_at for s in call.seen)


def severity(reading: Reading) -> str:
    """A fault of the capture is a reason for no all-clear."""
    return "warning" if reading.cause == cause.CAPTURE else ""


def _is_retransmitted(t: Transaction) -> bool:
    """Its copies ended with Timer F: some ends send each keep-alive as the same request. REGISTER
    is left to REG001."""
    return t.method != REGISTER and t.last_at - t.at <= TIMER_F + SECOND


NOT_TAKEN = Reading(
    "unknown", cause.UNKNOWN, "the response does not reach its sender, or is not taken there"
)


def _not_heard(exchange: Exchange) -> Iterator[Finding]:
    """For a request repeated after its response was seen on its sender's side."""
    request, response, t = exchange.request, exchange.entered.response, exchange.entered
    if request is None or unheard.response_not_taken(exchange) is not None:
        return  # TXN006
    proof = [evidence(request, f"sent {times(t.requests)}", "once, with its response")]
    if response is not None:
        proof.append(evidence(response, "the response", ""))
    target = quote.somebody(to_text(Message(request.payload).to.uri))
    method = exchange.method
    key = exchange.call_id if method in CRITICAL else f"deaf/{target}"
    hurts = method in CRITICAL and method not in ENDING
    reading = unheard.sent_to_the_via(exchange) or NOT_TAKEN
    yield RULE.finding(
        reading.where, "observed" if hurts else "latent",
        f"The {quote.method(method)} to {target} came again {times(t.late)} after its response: "
        f"{reading.what}.",
        proof, f"{method}/{key}", cause=reading.cause, call_id=exchange.call_id,
        line=exchange.line.name if exchange.line else "", symptom=not hurts,
    )  # fmt: skip


LOST_SEGMENT = (
    "Capture both sides once more: over TCP nothing is lost on the way, so one capture lost a "
    "segment, or a program on the router (a proxy, an ALG) keeps the connection."
)
TARGET = (
    "Look at the Record-Route of the messages that began the call: with one the phone has to send "
    "its requests that way, and without one the other end may not tell a private Contact."
)
HALF_SEEN = (
    "the responses came for a program on the router and were not logged on their way to it (a SIP "
    "helper changes them behind every hook), so it is not known what the program got"
)


def request_reading(exchange: Exchange, known: Known, doubted: bool = True) -> Reading:
    """The place an unanswered request, or its response, went to. doubted: nothing shows that its
    sender misses the response."""
    if exchange.entered.finals:
        return (
            unheard.response_not_taken(exchange)
            or unheard.delivered_elsewhere(exchange)
            or misrouted.given_to_another(exchange)
            or Reading(
                "unknown", cause.UNKNOWN, "it does not reach its sender, or is not taken there"
            )
        )
    if doubted and _came_once(exchange):
        return Reading("unknown", cause.UNKNOWN, ONCE, step=GAPS)
    if not exchange.two_sided or exchange.outbound is None:
        return Reading("unknown", cause.UNKNOWN, "nobody answered it")
    if exchange.request is not None and known.capture.own.is_hidden(exchange.request):
        return Reading("unknown", cause.UNKNOWN, HALF_SEEN)
    if exchange.request is not None and known.capture.is_late(exchange.request.row[AT]):
        return Reading("unknown", cause.UNKNOWN, "nobody answered it")
    if (not_taken := unheard.response_not_taken(exchange)) is not None:
        return not_taken
    call = known.call(exchange.request) if exchange.request is not None else None
    if call is not None and exchange.outbound:
        astray = retargeted.by_contact(call, exchange.request)
        if astray is not None:
            return astray
    host, by = route_set.unroutable_request(exchange.request) if exchange.outbound else ("", "")
    if host:
        return Reading("unknown", cause.UNKNOWN, f"its {by} sent it to {host}, a private address")
    left = exchange.left
    # TCP brings a message in the end: a capture may have lost its one segment.
    over_tcp = exchange.request is not None and exchange.request.row[BITS] & ROW_TCP
    if left is None:
        if over_tcp and exchange.request is not None:
            kept = misrouted.over_tcp(exchange.request) if exchange.unpaired else None
            return kept or Reading("unknown", cause.UNKNOWN, "nobody answered it")
        if exchange.unpaired and not exchange.outbound:
            gone = moved.given_to_nobody(exchange.request, known) if exchange.request else None
            return gone or misrouted.given_to_no_phone(
                exchange.request, known, "it reached this router and was given to no phone"
            )
        request = exchange.request
        reached = request is not None and (exchange.line or known.lines_at(request.ends.dst))
        if not exchange.unpaired or not reached:
            # It may well have left through an unwatched WAN.
            return Reading("unknown", cause.UNKNOWN, "nobody answered it")
        return Reading("router", cause.ROUTER, "it never left the router")
    if left.finals or left.provisional_at:
        unlike = _delivered(exchange)
        if unlike is not None:
            return unlike
        side, other = ("WAN", "LAN") if exchange.outbound else ("LAN", "WAN")
        what = f"its response came to the {side} side of this router"
        if over_tcp:
            so = f"{what}, and the capture of the {other} side does not have it"
            return Reading("unknown", cause.CAPTURE, so, step=LOST_SEGMENT)
        if exchange.stopped_response is None or left.request is None:
            # It may have crossed unseen, and nothing shows whether its address was the right one.
            so = f"{what}, and it is not proved that it went no further"
            return Reading("unknown", cause.UNKNOWN, so)
        return misrouted.exchange_misrouted(exchange) or Reading(
            "router", cause.ROUTER, f"{what} and went no further"
        )
    if (spoiled := malformed.unreadable(exchange.request, left.request)) is not None:
        return spoiled
    if not exchange.outbound:
        astray = misrouted.delivered_astray(exchange, known)
        gone = moved.delivered(left.request, known) if left.request is not None else None
        what = "it was delivered, and the phone did not answer"
        return astray or gone or Reading("phone", cause.UNKNOWN, what)
    if (late := _out_of_order(exchange, known)) is not None and late.where == "phone":
        return Reading(late.where, late.cause, f"it left the router, but {late.what}")
    if (from_new := moved.sends_from_elsewhere(call, exchange.request)) is not None:
        return from_new
    if (elsewhere := _went_elsewhere(exchange, call)) is not None:
        return elsewhere
    # After the end of the call, nothing shows whether it went to the right end.
    lost = call is None and left.request is not None and bool(left.request.row[TO_TAG])
    if (wrong := misrouted.wrong_source(left.request, known)) is not None:
        return wrong
    host, by = route_set.hidden_target(left.request)
    if host:
        return Reading("unknown", cause.UNKNOWN, (
            f"it left the router, and nobody answered; its {by} names {host}, a private address"
        ), step=TARGET)  # fmt: skip
    if so := route_set.dialled(left.request):
        what = f"it left the router, and nobody answered; {so}"
        return Reading("unknown", cause.UNKNOWN, what, step=route_set.DIALLED)
    if so := route_set.unrouted(left.request, exchange.line):
        what = f"it left the router, and nobody answered; {so}"
        return Reading("unknown", cause.UNKNOWN, what, step=route_set.UNROUTED)
    return Reading(
        "unknown" if lost else "network", cause.UNKNOWN, "it left the router, and nobody answered"
    )


def _came_once(exchange: Exchange) -> bool:
    """Over TCP, and neither side shows a response; on both sides if there are two."""
    request, left = exchange.request, exchange.left
    if request is None or request.ends.proto == UDP or exchange.entered.requests > 1:
        return False
    if exchange.two_sided and left is None:
        return False
    return left is None or not (left.finals or left.provisional_at)


def _went_elsewhere(exchange: Exchange, call: Call | None) -> Reading | None:
    """A request inside a call left for another host than its INVITE. By the route set, that is the
    fault of the phone if the proxy on this way had recorded itself, else of the provider."""
    began = call.flow_pairs.get("INVITE") if call is not None else None
    request = exchange.request
    if began is None or request is None or request.ends.dst == began.far:
        return None
    return Reading(
        "unknown", cause.UNKNOWN,
        f"it left the router for {request.ends.dst}, while the call was set up through "
        f"{began.far}, and nobody answered",
        step=f"Ask the provider whether {began.far} records itself in the route set "
        "(Record-Route): if so, the phone does not follow it; if not, it has to.",
    )  # fmt: skip


def _delivered(exchange: Exchange) -> Reading | None:
    """For a response that crossed the router, while its request is repeated."""
    request, response = exchange.request, exchange.stopped_response
    if request is None or response is None or not response.paired:
        return None
    unlike = renamed.unlike(request, response) if exchange.outbound else ""
    if unlike:
        return Reading("router", cause.ALG, f"the router gave it its response with {unlike}")
    return Reading("unknown", cause.UNKNOWN, "its response crossed the router, and it goes on")
