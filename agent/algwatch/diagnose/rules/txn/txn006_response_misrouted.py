# SPDX-License-Identifier: Apache-2.0
"""TXN006: a response does not reach the sender of its request.

What it sees
    A response came to the WAN side at another port than its request had left from, and never to the
    LAN, because this port has no mapping. Or the reverse: a response was delivered to the source
    port of the phone, while the phone listens at the port in its Via and repeats the request. Or a
    response has another Via than the phone wrote, so the phone has to drop it.

Why it breaks calls
    The phone repeats its request until it gives up: it does not register, does not call, or does
    not learn the answer to its BYE. Without rport a server answers to the port in Via. Behind a NAT
    that maps other ports, this port is closed.

What else looks the same
    A router or a filter stopped a response at the right port (REG001, TXN001, TXN003). A response
    of another host than asked: the NAT does not let it in. A phone listens at its Via port and gets
    its responses there, because the helper sends them there. One retransmission crosses the
    response, or follows one that got lost behind the tap.

Recommendation
    Without rport: turn rport on (symmetric response routing). If the router changed Via or took
    rport out: its ALG. Changed beyond this router: look at the device there.

References
    RFC 3261 sections 18.1.2, 18.2.2; RFC 3581 sections 3, 4.
"""

from __future__ import annotations

from collections.abc import Iterator

from algwatch.base import quote
from algwatch.base.packet import LAN
from algwatch.base.sighting import AT, Sighting
from algwatch.compare.call import Call
from algwatch.compare.exchange import Exchange
from algwatch.compare.outcome import outcome
from algwatch.compare.registered import Registered
from algwatch.compare.signs import REPEATED, TROUBLED
from algwatch.diagnose import cause, misrouted, unheard
from algwatch.diagnose import lost_ack as lost
from algwatch.diagnose.finding import Evidence, Finding
from algwatch.diagnose.known import Known
from algwatch.diagnose.rule import Rule, evidence, times
from algwatch.diagnose.rules.txn.txn003_request_failed import CRITICAL
from algwatch.diagnose.subject import CALL, REGISTRATION, TRANSACTION
from algwatch.sip.timers import T2
from algwatch.sip.transaction import LATE, UDP

RULE = Rule(
    "TXN006", "response-misrouted", "error", (TRANSACTION, CALL, REGISTRATION),
    ("RFC 3261 18.1.2", "RFC 3261 18.2.2", "RFC 3581 4"),
    "A response was sent to a port, or with a Via, at which nobody waits for it.", two_sided=True,
    when=REPEATED | TROUBLED,
)  # fmt: skip


def check(thing: Call | Registered | Exchange, known: Known) -> Iterator[Finding]:
    if isinstance(thing, Call):
        yield from _of_call(thing, known)
    elif isinstance(thing, Exchange):
        yield from _of_exchange(thing, known)
    elif thing.said == "unanswered" and thing.exchange is not None:
        yield from _of_exchange(thing.exchange, known)


def _of_exchange(exchange: Exchange, known: Known) -> Iterator[Finding]:
    request, t, left = exchange.request, exchange.entered, exchange.left
    if request is None or t.unrepeated or exchange.settled or t.taken(known.now):
        return  # its sender was content
    if known.capture.is_late(request.row[AT]):
        return
    reading = unheard.response_not_taken(exchange)
    response = exchange.strayed_response or t.response
    if reading is None:
        reading, response = misrouted.exchange_sent_elsewhere(exchange), exchange.stopped_response
    if reading is None:
        reading, response = misrouted.given_to_another(exchange), t.response
    if reading is None or response is None:
        return
    method = quote.method(exchange.method)
    # Not all phones are strict, and over TCP no repetition shows whether this one is.
    unsure = exchange.strayed_response is not None and request.ends.proto != UDP
    serious = (method in CRITICAL or method == "REGISTER") and not unsure
    proof = [evidence(request, f"{method} sent {times(t.requests)}", "a response that is taken")]
    if left is not None and left.request is not None and response.side == left.request.side:
        proof.append(evidence(left.request, "as it left the router", ""))
    line = exchange.line.name if exchange.line is not None else ""
    yield RULE.finding(
        reading.where, "observed" if serious else "latent",
        f"The phone does not get the response to its {method}: {reading.what}.",
        [*proof, _at(response)], f"{method}/{line or exchange.call_id}", cause=reading.cause,
        call_id=exchange.call_id, line=line, symptom=unsure,
    )  # fmt: skip


def _of_call(call: Call, known: Known) -> Iterator[Finding]:
    s = call.sides[LAN]
    if s is None or call.inbound is not False or call.unsolicited or known.lossy(call):
        return
    if s.unheard is not None and not known.capture.finished and known.now - s.unheard_at <= T2:
        return  # it may come once more, as for TXN002
    if not call.contested.isdisjoint(("INVITE", "2xx INVITE")):
        return
    how = lost.lost_ack(call, known)
    if not (s.silent or s.unheard is not None or how is not None):
        return  # nothing shows yet whether the phone discarded it
    reading, pair = unheard.answer_not_taken(call), unheard.response_to(call, LAN)
    changed = reading is not None and reading.cause == cause.ALG
    if reading is not None and pair is not None:
        _, request, response = pair
    elif (given := misrouted.answer_given_to_another(call)) is not None:
        reading, request, response = given
    else:
        stopped = how is not None and how.how == lost.ANSWER_STOPPED
        last = s.unanswered()
        if last is None or not (s.silent or stopped):
            return
        reading, request = misrouted.answer_sent_elsewhere(call), last[1]
        answer = misrouted.answer_to(call)
        if reading is None or answer is None:
            return
        response = answer
    t = s.invite
    dead = s.silent or (t is not None and not t.finals and t.requests > LATE)
    dead = dead or outcome(call, known.now) in ("dropped", "unanswered", "cancelled")
    yield RULE.finding(
        reading.where, "observed" if dead else "latent",
        f"The phone does not get the response to its INVITE: {reading.what}.",
        [evidence(request, "the INVITE", "a response that is taken"), _at(response)],
        call.call_id, cause=reading.cause, certain=changed and dead, call_id=call.call_id,
        line=known.line_name(call),
    )  # fmt: skip


def _at(response: Sighting) -> Evidence:
    ends = response.ends
    return evidence(response, f"the response, from {ends.sender} to {ends.receiver}", "")
