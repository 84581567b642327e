# SPDX-License-Identifier: Apache-2.0
"""ALG011: the router wrote an address, or sent a message to one, against its own NAT mapping.

What it sees
    A Contact, Via or media address was rewritten to something else than the packet's own mapping.
    Or a call was refused as to an unknown user after the router had put its own address, or a
    private one, into the Request-URI.
    Or the response to a REGISTER went to such a port because the router had written it into Via. Or
    an inbound message left to another LAN port than the source port of the phone's own packets (the
    helper's forced destination port, made for phones that answer on their Via port: a proxy that
    changes the port in its Via sets it for all later messages).

Why it breaks calls
    The ACK, BYE or INVITE goes to a closed port: the 2xx is repeated and the call drops after 32 s.
    The protocol proves it: the phone sent its 2xx from the port in the mapping. A phone whose
    REGISTER is answered there never learns that it is registered, and one whose ringing comes there
    gives its call up.

What else looks the same
    A mapping expired and was made anew (not within 60 s of the phone's last packet; later only an
    INVITE to the port in its sender's Via counts, if that is not 5060). A phone sends from another
    port than it listens on: it is served at the port in its Contact. The Contact of REGISTER keeps
    its own port and is opened as an expectation: not a mismatch. A response to a phone without
    rport went to the port in the phone's Via: it listens there. A wrong number is refused, too: two
    such refusals do not prove the harm.

Recommendation
    Turn the SIP ALG off after a call was hurt, if the provider handles the NAT itself.

References
    RFC 3261 sections 12.1, 18.2.2; RFC 3581 section 3; net/netfilter/nf_nat_sip.c map_addr(),
    forced_dport (commit 7266507d8999).
"""

from __future__ import annotations

from collections.abc import Iterator

from algwatch.base import address
from algwatch.base.packet import WAN
from algwatch.base.quote import somebody
from algwatch.base.sighting import AT, Sighting, port_of
from algwatch.compare import fingerprint as prints
from algwatch.compare.call import Call
from algwatch.compare.crossing import Crossing
from algwatch.compare.differences import rewrites
from algwatch.compare.exchange import Exchange
from algwatch.compare.line import REACHED_REWRITTEN, WORKS_REWRITTEN
from algwatch.compare.registered import Registered
from algwatch.compare.signs import REWRITTEN, TROUBLED
from algwatch.diagnose import alg, cause, misrouted, misrouted_ack, unheard
from algwatch.diagnose import lost_ack as lost
from algwatch.diagnose.finding import Finding
from algwatch.diagnose.known import Known
from algwatch.diagnose.rule import Rule, evidence, times
from algwatch.diagnose.subject import CALL, REGISTRATION
from algwatch.sip.message import Message

RULE = Rule(
    "ALG011", "mapping-mismatch", "warning", (CALL, REGISTRATION),
    ("RFC 3261 12.1", "RFC 3261 18.2.2"),
    "The router wrote an address, or sent a message to a port, that is not its NAT mapping.",
    two_sided=True, when=REWRITTEN | TROUBLED,
)  # fmt: skip

_ON_WAN = (lost.STOPPED_INBOUND, lost.WRONG_PHONE)  # the ACK came, and not to the callee
# Nobody, or no server, has this Request-URI.
UNKNOWN_THERE = (400, 403, 404, 416, 481, 484, 604)
# By the reading of the lost ACK: the message sent to the wrong port.
_WRONG_PORT = {lost.WRONG_PORT: "ACK", lost.ANSWER_WRONG_PORT: "2xx INVITE"}


def check(thing: Call | Registered, known: Known) -> Iterator[Finding]:
    if isinstance(thing, Registered):
        yield from _of_registration(thing)
    else:
        yield from _of_call(thing, known)


def _of_registration(registered: Registered) -> Iterator[Finding]:
    """A response to REGISTER not at the port of the phone, which never accepted one."""
    exchange = registered.exchange
    if registered.said != "unanswered" or exchange is None or exchange.line is None:
        return
    forced = unheard.forced_port(exchange)
    if forced is not None:
        yield _response_forced(registered, exchange, *forced)
    elif misrouted.via_port_followed(exchange):
        yield _via_followed(registered, exchange)


def _response_forced(registered: Registered, exchange: Exchange, lan: Sighting,
                     wan: Sighting) -> Finding:  # fmt: skip
    request = exchange.request
    assert request is not None and exchange.line is not None
    asked, came, went = request.ends, wan.ends, lan.ends
    vias = Message(request.payload).vias
    linux = bool(vias) and (vias[0].port or 5060) == went.dport
    status = Message(lan.payload).status
    return RULE.finding(
        "router", "observed",
        f"The {status} to the REGISTER of {somebody(registered.aor)} arrived at {came.dst}:"
        f"{came.dport} and the router sent it to {went.receiver}, but the phone sends from "
        f"port {asked.sport} and {unheard.wanted(request)}; it sent the REGISTER "
        f"{times(exchange.entered.requests)} in 32 s.",
        [
            evidence(request, f"sent from {asked.sender}", ""),
            evidence(wan, f"{status} arrived at {came.receiver}",
                     f"to {asked.sender}"),
            evidence(lan, f"{status} left to {went.receiver}",
                     asked.sender),
        ],
        f"{registered.call_id}/forced", cause=cause.ALG, certain=True, call_id=registered.call_id,
        line=exchange.line.name, fingerprint=prints.LINUX if linux else prints.UNKNOWN,
    )  # fmt: skip


def _via_followed(registered: Registered, exchange: Exchange) -> Finding:
    request, left, response = exchange.request, exchange.left, exchange.stopped_response
    assert request is not None and exchange.line is not None and response is not None
    assert left is not None and left.request is not None
    out, came = left.request.ends, response.ends
    return RULE.finding(
        "router", "observed",
        f"The router wrote port {came.dport} into the Via of the REGISTER of "
        f"{somebody(registered.aor)}, but its NAT mapping has port {out.sport}: the response went "
        f"to {came.receiver}, where no mapping is, and the phone sent the REGISTER "
        f"{times(exchange.entered.requests)} in 32 s.",
        [
            evidence(request, "the REGISTER entered the router", ""),
            evidence(left.request, f"left it from {out.sender} with port {came.dport} in "
                     "its Via", f"port {out.sport}"),
            evidence(response, f"the response arrived at {came.receiver}",
                     f"{out.sender}"),
        ],
        f"{registered.call_id}/via", cause=cause.ALG, certain=True, call_id=registered.call_id,
        line=exchange.line.name, fingerprint=prints.UNKNOWN,
    )  # fmt: skip


def _of_call(call: Call, known: Known) -> Iterator[Finding]:
    forced = _forced(call, known)
    if forced is not None:
        yield forced  # its later rewrites of headers follow from it
        return
    if not call.spoken and (later := misrouted.unheard_later(call, known)) is not None:
        yield _forced_later(call, *later, known)
        return
    latent = None
    for crossing in call.changed.values() if call.unexplained else ():
        wrong = _wrong(call, crossing, known)
        if wrong is not None and wrong.harm == "observed":
            yield wrong  # the one that ended the call, not earlier ones
            return
        latent = latent or wrong
    # Rewrites for a phone served at another port follow from this (ALG015).
    if latent is not None and not (call.misdelivered and alg.is_served(call)):
        yield latent


def _forced(call: Call, known: Known) -> Finding | None:
    """A message to another port than the phone's. It hurt if its dialog shows harm."""
    if not call.misdelivered:
        return None
    how = lost.lost_ack(call, known)
    unheard = misrouted.unheard_invite(call) or misrouted.unheard_ringing(call)
    hurt = how is not None and _WRONG_PORT.get(how.how) in call.misdelivered
    if not hurt and alg.is_served(call):
        return None
    # An ACK outside the dialog would have been discarded on any port.
    hurt = hurt and how is not None and not how.dialog.odd
    kind = _WRONG_PORT[how.how] if how is not None and hurt else next(iter(call.misdelivered))
    if unheard is not None:
        kind = "INVITE" if call.inbound else "1xx INVITE"
    crossing = call.misdelivered[kind]
    lan, wan, port = crossing.lan, crossing.wan, port_of(crossing.expected or b"")
    assert lan is not None and wan is not None
    went, came = lan.ends, wan.ends
    proof = [
        evidence(wan, f"{kind} arrived at {came.receiver}", f"to {went.dst}:{port}"),
        evidence(lan, f"{kind} left to {went.receiver}", f"{went.dst}:{port}"),
    ]
    answer = _proof_of_port(call) if kind == "ACK" else None
    if answer is not None:
        proof.append(evidence(answer, f"the phone is at {went.dst}:{port}", ""))
    if unheard is not None:
        hurt, harm, so = True, "observed", ", and nobody answered it"
        if kind == "1xx INVITE":
            so = ", and the phone sent its INVITE again until it gave up"
    elif hurt:
        assert how is not None
        harm = "observed" if how.dropped(known.now) else "certain"
        whose = "its" if kind == "ACK" else "the"
        so = f", and {whose} 2xx came {how.repeats + 1} times without being acknowledged"
    else:
        harm, so = "latent", ""
    return RULE.finding(
        "router", harm,
        f"The {kind} from {came.src} arrived at {came.receiver} and the router sent it to "
        f"{went.receiver}, but the phone is at port {port}{so}.",
        proof, f"{call.call_id}/forced", cause=cause.ALG, certain=hurt, call_id=call.call_id,
        line=alg.between(crossing), fingerprint=prints.LINUX,
    )  # fmt: skip


def _forced_later(call: Call, lan: Sighting, wan: Sighting, known: Known) -> Finding:
    entry = known.mapping(wan.destination, wan.source)
    assert entry is not None
    went, came, port = lan.ends, wan.ends, port_of(entry.inside)
    return RULE.finding(
        "router", "observed",
        f"The INVITE from {came.src} arrived at {came.receiver} and the router sent it to "
        f"{went.receiver}, the port in the Via of its sender, but the phone sends from port "
        f"{port}, and nobody answered it.",
        [evidence(wan, f"INVITE arrived at {came.receiver}", f"to {went.dst}:{port}"),
         evidence(lan, f"INVITE left to {went.receiver}", f"{went.dst}:{port}")],
        f"{call.call_id}/forced", cause=cause.ALG, call_id=call.call_id,
        line=known.line_name(call), fingerprint=prints.LINUX,
    )  # fmt: skip


def _may_follow(call: Call, how: lost.LostAck, crossing: Crossing) -> bool:
    """True if the ACK may be lost because the far end followed the router's address in this
    message. False for the 2xx of a re-INVITE, which came to the phone all the same; after an ACK to
    the mapping; and without an ACK if the address is this router's own: an ACK to another port of
    it would have come to the WAN side all the same."""
    d, wan = how.dialog, call.dialog(WAN)
    if crossing.entered.row[AT] <= d.established_at < d.answered_at:
        return False
    if wan is None or wan.answer is None:
        return True
    if how.how == lost.NEVER_ON_WAN:
        contacts = Message(crossing.left.payload).contacts
        return not contacts or contacts[0].host != crossing.left.ends.src
    return wan.ack is None or wan.ack.destination != wan.answer.source


def _refused_there(call: Call, crossing: Crossing) -> int:
    """The status of the refusal of a phone's INVITE, if the router had put an address into its
    Request-URI at which no provider is: its own, or a private one. 0 without it."""
    caller, left = call.near_caller, crossing.left
    if caller is None or caller.rejected not in UNKNOWN_THERE or not crossing.outbound:
        return 0
    asked, sent = Message(crossing.entered.payload), Message(left.payload)
    host = sent.request_host
    if sent.status or sent.method != "INVITE" or asked.request_host == host:
        return 0
    here = host == left.ends.src or address.is_unroutable(host)
    return caller.rejected if here and not address.is_unroutable(left.ends.dst) else 0


def _proof_of_port(call: Call) -> Sighting | None:
    """The phone's own 2xx: it left from the phone's real port."""
    s = call.near_callee
    return s.current.answer if s is not None and s.current is not None else None


def _wrong(call: Call, crossing: Crossing, known: Known) -> Finding | None:
    every = [] if prints.is_proxy(crossing) else rewrites(crossing)
    wrong = [
        r for r in every
        if r.header in ("Contact", "Via", "SDP", "Request-URI")
        and r.field in ("address", "port") and not r.explained
    ]  # fmt: skip
    if not wrong:
        return None
    how = lost.lost_ack(call, known)
    contact = any(r.header == "Contact" for r in wrong) and crossing.outbound
    hurt = how is not None and contact and how.how in (lost.NEVER_ON_WAN, *_ON_WAN)
    if how is not None and how.how in _ON_WAN:
        if how.how == lost.WRONG_PHONE:
            stopped = misrouted_ack.sent_elsewhere(call)
        else:
            stopped = misrouted_ack.misrouted(call, known)
        hurt = hurt and (stopped is None or stopped.cause == cause.ALG)  # else by no fault of it
    line = known.line(call)
    if line is not None and line.count(REACHED_REWRITTEN):
        hurt = False  # the router's address was reached before: the loss has another cause
    if hurt and how is not None and not _may_follow(call, how, crossing):
        hurt = False
    harm = "latent"
    if hurt and how is not None:
        harm = "observed" if how.dropped(known.now) else "latent"
    refused = _refused_there(call, crossing) if how is None else 0
    if line is not None and line.count(WORKS_REWRITTEN):
        refused = 0  # such a call lived, and a number may be wrong
    if refused:
        harm = "observed"
    wanted = next((r.wanted for r in wrong if r.expected and r.expected != r.after), "")
    tail = f"; its NAT mapping says {wanted}" if wanted else "; its NAT mapping does not say so"
    if refused:
        tail += f"; the call was refused with {refused}"
    return RULE.finding(
        "router", harm,
        f"The router wrote what its NAT mapping does not say: {alg.told(wrong)}{tail}."
        + alg.whose(prints.looks_like(crossing)),
        alg.both_copies(crossing, wrong),
        # Each call hurt counts; otherwise once for a phone and a provider. Of refusals as well: two
        # of them do not prove the harm.
        f"{call.call_id if harm == 'observed' and not refused else alg.between(crossing)}/written",
        cause=cause.ALG, call_id=call.call_id, line=alg.between(crossing),
        fingerprint=prints.fingerprint(crossing),
    )  # fmt: skip
