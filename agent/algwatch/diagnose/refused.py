# SPDX-License-Identifier: Apache-2.0
"""Requests other than INVITE, BYE and REGISTER that were refused, and not by a person.

A response shows that both ways and the NAT work, so the end that gave it has the reason."""

from __future__ import annotations

from algwatch.base import address, quote
from algwatch.base.sighting import TO_TAG, Sighting
from algwatch.compare.exchange import Exchange
from algwatch.diagnose import cause, taken_out
from algwatch.diagnose.finding import Finding
from algwatch.diagnose.known import Known
from algwatch.diagnose.rule import Rule, evidence
from algwatch.sip.message import Message, to_text
from algwatch.sip.status_codes import ANEW, CHALLENGES, NO_DIALOG, NO_FAULT, UNKNOWN_TO_SUBSCRIBER

PASSWORD = "Check the user name and the password that the phone has for its provider."
KEYS = "Set the phone to send DTMF in RTP (RFC 4733)."
FOLLOWS = "Look whether the end that sent it follows redirections (3xx)."
OFF = ("Ask the provider what {} stands for there, or turn off at the phone what it asks for "
       "(lamps, messages waiting, presence).")  # fmt: skip
# The other end lacks what an INFO asks for (RFC 6086 section 4.2.2), and the call goes on without.
LACKS = (405, 415, 469, 488, 489, 501)
NOT_FOUND = (404, 410)
KEEP_ALIVE = b"keep-alive"
NOT_READ = ("application/im-iscomposing", "message/imdn")


def is_in_vain(exchange: Exchange, known: Known) -> bool:
    """A refused request that does not do its work, declined by nobody."""
    request, status = exchange.request, exchange.status
    if status < 300 or request is None or taken_out.of_exchange(exchange) is not None:
        return False  # ALG018
    if exchange.method == "UPDATE" and exchange.entered.acked_at:
        return False  # DLG014, DLG008
    judge = _JUDGES.get(exchange.method)
    return judge is not None and judge(status, request, known)


def _message(status: int, request: Sighting, known: Known) -> bool:
    """Without a body it is a keep-alive, and nobody reads one that tells of typing (RFC 3994) or of
    a text that arrived (RFC 5438)."""
    message = Message(request.payload)
    silent = message.content_type.lower().startswith(NOT_READ)
    return status not in NO_FAULT and bool(message.body) and not silent


def _info(status: int, request: Sighting, known: Known) -> bool:
    """Without a body it asks only whether the call is still there."""
    message = Message(request.payload)
    if _is_key(message):
        return True
    return status == NO_DIALOG or (bool(message.body) and status not in LACKS)


def _is_key(info: Message) -> bool:
    return "dtmf" in info.content_type.lower()


def _refer(status: int, request: Sighting, known: Known) -> bool:
    """Any other refusal is DLG012's."""
    return status < 400 or status in CHALLENGES or status == 491


def _notify(status: int, request: Sighting, known: Known) -> bool:
    """481 ends a subscription (RFC 6665 section 4.2.2), and 482 does: DLG012 knows whether it
    lived. Any answer to a keep-alive is one. A phone without a lamp for what it never asked for
    misses nothing."""
    events = Message(request.payload).header("Event")
    if status in UNKNOWN_TO_SUBSCRIBER or (not request.row[TO_TAG] and status in LACKS):
        return False
    if bool(events) and events[0].strip().lower() == KEEP_ALIVE:
        return False
    one = known.subscribed(request)
    return one is None or one.disordered is None


def _subscribe(status: int, request: Sighting, known: Known) -> bool:
    """A refused refresh is DLG012's, and to end a subscription is never in vain."""
    if not request.row[TO_TAG]:
        return True
    one = known.subscribed(request)
    lived = one is not None and bool(one.near.accepted_at) and one.outbound is not False
    return not lived and not Message(request.payload).ends_now


def _cancel(status: int, request: Sighting, known: Known) -> bool:
    """481 is TXN007's."""
    call = known.call(request)
    ended = call is not None and any(s.rejected == 487 for s in call.seen)
    return status != NO_DIALOG and not ended


def _any(status: int, request: Sighting, known: Known) -> bool:
    return True


_JUDGES = {
    "MESSAGE": _message, "INFO": _info, "REFER": _refer, "NOTIFY": _notify,
    "SUBSCRIBE": _subscribe, "UPDATE": _any, "CANCEL": _cancel, "PUBLISH": _any, "PRACK": _any,
}  # fmt: skip


def in_vain(rule: Rule, exchange: Exchange) -> Finding:
    request, response, method = exchange.request, exchange.entered.response, exchange.method
    assert request is not None
    status, target = exchange.status, quote.somebody(to_text(Message(request.payload).to.uri))
    what, is_key = f"The {quote.method(method)}", False
    if method == "MESSAGE":
        what = "The text message"
    elif method == "INFO" and (is_key := _is_key(Message(request.payload))):
        what = "The key pressed in the call (INFO)"
    proof = [evidence(request, f"the {quote.method(method)}", "200")]
    if response is not None:
        proof.append(evidence(response, _how(status), "200"))
    in_dialog = bool(request.row[TO_TAG]) or method == "CANCEL"
    key = exchange.call_id if in_dialog and method != "MESSAGE" else target
    # A key may have been sent by RTP as well, not every phone here takes texts, and a text may be
    # sent anew after a while.
    later = response is not None and bool(Message(response.payload).header("Retry-After"))
    sure = method == "MESSAGE" and _is_sent_here(exchange, request) and not later
    so = ", and it was not sent anew" if status in ANEW and method != "CANCEL" else ""
    return rule.finding(
        answerer(exchange), "observed" if sure else "latent",
        f"{what} to {target} was {_how(status)}{so}.", proof,
        f"{method}/refused/{key}", cause=cause.REFUSED, call_id=exchange.call_id,
        line=exchange.line.name if exchange.line else "", symptom=not sure,
        next_step=_step(method, status, sure, is_key),
    )  # fmt: skip


def _how(status: int) -> str:
    return f"{'redirected' if status < 400 else 'refused'} with {status}"


def _step(method: str, status: int, sure: bool, is_key: bool) -> str:
    if status in CHALLENGES:
        return PASSWORD
    if status < 400:
        return FOLLOWS
    if is_key:
        return KEYS
    if method == "MESSAGE":
        if sure:
            return f"Ask the provider why it refuses text messages with {status}."
        return "Look whether the phone that refused it can take text messages at all."
    if method in ("SUBSCRIBE", "PUBLISH"):
        return OFF.format(status)
    return ""


def answerer(exchange: Exchange) -> str:
    """The place of the end that refused this request, if the response crossed this router. It may
    have refused a request that the router had changed for that."""
    left, request = exchange.left, exchange.request
    in_dialog = request is not None and bool(request.row[TO_TAG])
    if exchange.status == NO_DIALOG or (exchange.status in NOT_FOUND and in_dialog):
        return "unknown"  # either end may be wrong about it, or about the Request-URI
    if exchange.outbound is None or left is None or not left.finals or request is None:
        return "unknown"
    if left.request is None or left.request.payload != request.payload:
        return "unknown"
    if not exchange.outbound:
        return "phone"
    return "network" if in_dialog else "provider"


def _is_sent_here(exchange: Exchange, request: Sighting) -> bool:
    """A phone here sent it. If it was seen on one side only, addresses in the LAN decide."""
    if exchange.left is not None:
        return bool(exchange.outbound)
    ends = request.ends
    return address.is_unroutable(ends.src) and not address.is_unroutable(ends.dst)
