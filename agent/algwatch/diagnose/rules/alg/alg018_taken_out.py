# SPDX-License-Identifier: Apache-2.0
"""ALG018: the router took out a header field, and the message was refused for want of it.

What it sees
    A request left the router without a header field it had when it came, and was refused with a
    status for the missing field: 400 or 489 for a SUBSCRIBE, NOTIFY or PUBLISH without Event, 400
    for a NOTIFY without Subscription-State or a REFER without Refer-To, 400 or 481 for a PRACK
    without RAck, 400 for a request without Contact or Max-Forwards, 415 for a body without
    Content-Type, 403 for a request without its credentials. A 421 asks for an extension supported
    by the sender, and the router took its option tag out of Supported or Require. The router took
    Min-Expires out of a 423, or Min-SE out of a 422, so the phone cannot learn the acceptable time.
    A call without Route was refused with 403, and its phone's registration was accepted with a
    Service-Route taken out by the router.

Why it breaks calls
    These fields carry the meaning of the request. Without Event the lamps for other phones (BLF)
    and for messages (MWI) stay dark, without Refer-To nobody is transferred, without RAck a call
    with reliable ringing ends after 32 s.

What else looks the same
    A call refused with 403 although others go without Route: its number is barred. A proxy on the
    router takes out its own credentials (RFC 3261 section 22.3). A phone wrote no such field, or a
    provider refuses the unknown: both copies are the same. A header field taken out and missed by
    nobody (Server, User-Agent, Allow-Events): nothing is refused. Credentials of a REGISTER or an
    INVITE: REG004. A field in its compact form.

Recommendation
    See the advice on the router's ALG.

References
    RFC 3261 sections 8.1.1, 20; RFC 3262 section 7.2; RFC 3515 section 2.4.2; RFC 3608 section
    5; RFC 6665 sections 8.2.1, 8.3.2.
"""

from __future__ import annotations

from collections.abc import Iterator

from algwatch.base import quote
from algwatch.base.packet import LAN, WAN
from algwatch.base.sighting import are_copies
from algwatch.compare.call import Call
from algwatch.compare.exchange import Exchange
from algwatch.compare.line import WITHOUT_ROUTE, Line
from algwatch.compare.registered import Registered
from algwatch.diagnose import cause, taken_out
from algwatch.diagnose.finding import Evidence, Finding
from algwatch.diagnose.known import Known
from algwatch.diagnose.rule import Rule, evidence
from algwatch.diagnose.subject import CALL, REGISTRATION, TRANSACTION
from algwatch.diagnose.taken_out import TakenOut
from algwatch.sip.message import Message, parties

RULE = Rule(
    "ALG018", "taken-out", "warning", (TRANSACTION, CALL, REGISTRATION),
    ("RFC 3261 8.1.1", "RFC 3262 7.2", "RFC 3515 2.4.2", "RFC 6665 8.2.1"),
    "The router took out a header field, and the message was refused for want of it.",
    two_sided=True,
)  # fmt: skip

FORBIDDEN = 403
# Optional in RFC 2543, so a 400 may have another reason: one case proves nothing.
DOUBTFUL = "Max-Forwards"
# It refutes the finding about a missing Route, and no other.
REFUTED_BY = WITHOUT_ROUTE


def check(thing: Exchange | Call | Registered, known: Known) -> Iterator[Finding]:
    if isinstance(thing, Call):
        if taken_out.is_unrefused(thing) or known.lossy(thing):
            return
        found, line = taken_out.of_call(thing), known.line_name(thing)
        if found is None:
            yield from _without_route(thing, known)
    else:
        exchange = thing.exchange if isinstance(thing, Registered) else thing
        if exchange is None or (isinstance(thing, Registered) and thing.said != "refused"):
            return
        found = taken_out.of_exchange(exchange)
        line = exchange.line.name if exchange.line is not None else ""
    if found is None:
        return
    method = quote.method(Message(found.before.payload).method)
    call_id, _, to = parties(found.before.payload)
    what = found.name + (f" ({quote.quoted(found.option)})" if found.option else "")
    message = f"{found.status} to the {method}" if found.in_response else method
    so = "it was refused with" if not found.in_response else "its sender was refused with"
    yield RULE.finding(
        "router", "observed",
        f"The router took {what} out of the {message} of {quote.somebody(to)}, and {so} "
        f"{found.status}.",
        _proof(found), f"{method}/{call_id}", cause=cause.ROUTER if found.by_proxy else cause.ALG,
        call_id=call_id, certain=not found.in_response and found.name != DOUBTFUL, line=line,
    )  # fmt: skip


def _proof(found: TakenOut) -> list[Evidence]:
    proof = [evidence(found.before, f"entered the router with {found.name}", "unchanged"),
             evidence(found.after, f"left it without {found.name}", "unchanged")]  # fmt: skip
    if not found.in_response:
        proof.append(evidence(found.refusal, f"refused with {found.status}", "2xx"))
    return proof


def _without_route(call: Call, known: Known) -> Iterator[Finding]:
    """A call outside the Service-Route, because its phone was not told."""
    lan, wan = call.sides[LAN], call.sides[WAN]
    if call.inbound is not False or lan is None or wan is None:
        return
    if not lan.rejected == wan.rejected == FORBIDDEN:
        return
    request, refusal, line = lan.request, wan.response, known.line(call)
    if request is None or refusal is None or Message(request.payload).routes:
        return
    if line is None or line.count(WITHOUT_ROUTE) or known.capture.contested:
        return  # other calls went without it, or may have
    for one in known.registered():
        agreed = one.binding
        if agreed is None or agreed.far is None or agreed.far is agreed.near:
            continue
        told, came = agreed.near.granted, agreed.far.granted
        if told.destination != request.source or told.source != request.destination:
            continue  # of another phone, or by another provider
        if not are_copies(told, came):
            continue
        if Message(came.payload).header("Service-Route") and not (
            Message(told.payload).header("Service-Route")
        ):  # fmt: skip
            yield RULE.finding(
                "router", "observed",
                "The router took Service-Route out of the 200 to the REGISTER of "
                f"{quote.somebody(one.aor)}, so the call to {quote.somebody(call.to)} went without "
                f"Route, and was refused with {wan.rejected}.",
                [evidence(came, "entered the router with Service-Route", "unchanged"),
                 evidence(told, "left it without Service-Route", "unchanged"),
                 evidence(request, "without Route", "Route as in Service-Route (RFC 3608)"),
                 evidence(refusal, f"refused with {wan.rejected}", "2xx")],
                f"{one.call_id}/Service-Route", cause=cause.ALG, call_id=call.call_id,
                line=line.name,
            )  # fmt: skip
            return


def instead(said: Finding, line: Line) -> Finding | None:
    """A call without Route was answered since: the other refusal has another reason."""
    key = said.key.partition("/")[2]
    if not key.endswith("/Service-Route"):
        return None
    return RULE.finding(
        "router", "none",
        "The router took Service-Route out of the 200 to a REGISTER, and a call without Route was "
        "answered since: it is not missed.",
        said.evidence, key, cause=cause.NONE, call_id=said.call_id, line=said.line, severity="info",
    )  # fmt: skip
