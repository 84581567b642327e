# SPDX-License-Identifier: Apache-2.0
"""DLG013: a reliable provisional response is never acknowledged.

What it sees
    A provisional response with RSeq is repeated for more than 6 s, with the same number and To tag,
    and no PRACK reaches its sender. The two taps show the place of the loss.

Why it breaks calls
    The callee repeats such a response at T1, 2*T1, 4*T1 and so on. After 64*T1 = 32 s it has to
    refuse the INVITE with a 5xx: the call rings, and fails before anybody can answer it.

What else looks the same
    A proxy repeats a 180 without RSeq each minute. A PRACK without a response is TXN003. A PRACK
    followed by more repeats is reported here: a proxy that changes the CSeq of an INVITE has to
    change RAck as well, and a PRACK has to go to the Contact of its response. A private Contact
    past which the provider has found the phone, or another one here, is no reason, and nobody
    acknowledges a response that the router made unreadable or that came to another port. A slow
    PRACK: the response comes once or twice more, and then stops. A callee that answers the INVITE
    all the same: a warning. A caller that cancels the INVITE meanwhile: its user may have hung up
    for another reason.

Recommendation
    A PRACK goes to the Contact of the response: if it is private, see DLG002. A caller without
    100rel in its offer must not get such a response: report it to the provider. Otherwise turn
    100rel off on the phone, or report it to its maker.

References
    RFC 3262 sections 3 and 4; RFC 3261 section 12.1.2.
"""

from __future__ import annotations

from collections.abc import Iterator

from algwatch.base import address
from algwatch.base.packet import LAN, WAN
from algwatch.base.quote import quoted, somebody
from algwatch.base.sighting import Sighting, are_copies
from algwatch.compare.call import Call
from algwatch.compare.line import Line
from algwatch.compare.signs import TROUBLED
from algwatch.diagnose import cause, malformed, misrouted, retargeted
from algwatch.diagnose.finding import Finding
from algwatch.diagnose.known import Known
from algwatch.diagnose.reading import Reading
from algwatch.diagnose.rule import Rule, evidence
from algwatch.diagnose.subject import CALL
from algwatch.sip.dialog import DialogSet
from algwatch.sip.message import Message, to_text
from algwatch.sip.reliable import Reliable
from algwatch.sip.target import endpoint

RULE = Rule(
    "DLG013", "prack-missing", "warning", CALL, ("RFC 3262 3", "RFC 3262 4"),
    "A reliable provisional response is never acknowledged with PRACK, so the callee gives up.",
    when=TROUBLED,
)  # fmt: skip

UNANSWERED = Reading("unknown", cause.UNKNOWN, "no PRACK is on this side of the router")
WRONG_PRACK = {
    "provider": "Report the PRACK to the provider: RFC 3262 wants another one.",
    "phone": "Report the PRACK to the maker of the phone: RFC 3262 wants another one.",
}  # by its sender
NONE_CAME = "no PRACK ever reached this router's WAN side"


def check(call: Call, known: Known) -> Iterator[Finding]:
    s = _callee(call)
    one = s.unpracked or s.pracked_in_vain if s is not None else None
    if s is None or one is None or known.lossy(call) or known.capture.is_late(one.last_at):
        return
    reading = _reading(call, s, one, known)
    if reading is None:
        return
    refused = 500 <= s.rejected < 600 and not s.spoken
    so = f"; the callee refused the call with {s.rejected}" if refused else ""
    status = Message(one.first.payload).status
    proof = [evidence(one.first, f"{status} with RSeq, for {_seconds(one)} s", "PRACK")]
    if s.response is not None and refused:
        proof.append(evidence(s.response, f"refused with {s.rejected}", ""))
    yield RULE.finding(
        reading.where, "observed" if refused else "latent",
        f"The {status} of {somebody(call.to)} has to be acknowledged with PRACK, and came again "
        f"for {_seconds(one)} s: {reading.what}{so}.",
        proof, call.call_id, cause=reading.cause, call_id=call.call_id,
        line=known.line_name(call), next_step=reading.step,
        symptom=not (refused or s.spoken),  # nothing shows whether the user gave up for it
    )  # fmt: skip


def instead(said: Finding, line: Line) -> Finding:
    """The provider has since been seen to find the phone past its private Contact."""
    return RULE.finding(
        "network", said.harm,
        f"A provisional response came again for want of a PRACK: {NONE_CAME}.",
        said.evidence, said.key.partition("/")[2], cause=cause.UNKNOWN, call_id=said.call_id,
        line=said.line,
    )  # fmt: skip


def _seconds(one: Reliable) -> int:
    return (one.last_at - one.at) // 1_000_000_000


def _callee(call: Call) -> DialogSet | None:
    """The dialog set on the side of the callee."""
    if not call.two_sided:
        return call.seen[0] if len(call.seen) == 1 else None
    return None if call.inbound is None else call.sides[LAN if call.inbound else WAN]


def _reading(call: Call, s: DialogSet, one: Reliable, known: Known) -> Reading | None:
    if s.pracked_in_vain is one:
        if named := _misnumbered(call, one) or _misaddressed(call) or _astray(call, one):
            return named
        where, lost = "unknown", "it was lost, or "
        if call.two_sided:
            where, lost = ("phone", "") if call.inbound else ("network", "it was lost beyond, or ")
        return Reading(where, cause.UNKNOWN, (
            f"a PRACK was sent, and did not end it: {lost}its RAck names another INVITE or number "
            "(RFC 3262 section 7.2)"
        ))  # fmt: skip
    if not call.two_sided:
        return UNANSWERED
    far = call.sides[WAN if call.inbound else LAN]
    if far is None or not call.paired:
        return None
    if far.has_prack(one):
        if "PRACK" not in call.unpaired:
            return None
        return Reading("router", cause.ROUTER, "the PRACK came to this router and went no further")
    if far.unpracked is None:
        if _taken_out(call, one):
            what = "the router took RSeq out of it, so its caller did not know that"
            return Reading("router", cause.ALG, what)
        if "1xx INVITE" not in call.unpaired:
            return None
        misplaced = None if call.inbound else misrouted.answer_misrouted(call)
        return misplaced or Reading("router", cause.ROUTER, "it never left the router itself")
    if (spoiled := malformed.unreadable(one.first, far.unpracked.first)) is not None:
        return spoiled
    if not call.inbound:
        if far.request is not None and not _offers(far.request):
            what = "the phone did not offer 100rel, so nobody may ask it for a PRACK"
            return Reading("provider", cause.PROVIDER, what)
        return Reading("phone", cause.PHONE, "the phone never sent one")
    contacts = Message(far.unpracked.first.payload).contacts
    ends = far.unpracked.first.ends
    host = contacts[0].host if contacts else ""
    line = known.line(call)
    if line is not None and known.finds_phone(line):
        host = ""
    if not contacts and are_copies(one.first, far.unpracked.first) and not _contacts(one.first):
        what = "it has no Contact, so its caller does not know where to send the PRACK"
        return Reading("phone", cause.PHONE, what)
    if address.is_unreachable(host) and not address.is_unroutable(ends.dst) and host != ends.src:
        return Reading("phone", cause.of_contact(host), (
            f"no PRACK reached this router, and its Contact is {host}, which cannot be reached "
            f"from {ends.dst}"
        ))  # fmt: skip
    return Reading("network", cause.UNKNOWN, NONE_CAME)


def _misnumbered(call: Call, one: Reliable) -> Reading | None:
    """For a PRACK whose RAck is not the one that its response asks for, on both sides alike."""
    made = [s.prack.request if s is not None and s.prack is not None else None for s in call.sides]
    if call.inbound is None or made[LAN] is None or made[WAN] is None:
        return None
    had, left = (_rack(prack) for prack in (made[LAN], made[WAN]))
    answered = Message(one.first.payload)
    asked = [one.rseq, str(answered.cseq).encode(), answered.method.encode()]
    if not had or had != left or had == asked or had[0] != asked[0]:
        return None
    where = "provider" if call.inbound else "phone"
    said, right = (quoted(to_text(b" ".join(parts))) for parts in (had, asked))
    return Reading(where, cause.of_place(where), (
        f"its PRACK has the RAck {said}, and should have {right} (RFC 3262 section 7.2)"
    ), step=WRONG_PRACK[where])  # fmt: skip


def _astray(call: Call, one: Reliable) -> Reading | None:
    """For a PRACK that its phone refused, because this router had changed its Request-URI."""
    made = [s.prack if s is not None else None for s in call.sides]
    lan, wan = made[LAN], made[WAN]
    if not call.inbound or lan is None or wan is None or lan.status < 300:
        return None
    changed = retargeted.by_request_uri(call, lan.request, wan.request, one.first)
    if changed is None:
        return None
    what = f"a PRACK was sent, and refused with {lan.status}: {changed.what}"
    return Reading(changed.where, changed.cause, what)


def _misaddressed(call: Call) -> Reading | None:
    """For a PRACK that was refused, and whose Request-URI names another user or host than the
    Contact of its response, on both sides alike (RFC 3262 section 4, RFC 3261 section 12.2.1.1). A
    provider that handles the NAT may put the address of the packets in place of an unroutable
    Contact: then only the user part tells."""
    lan, wan = call.sides[LAN], call.sides[WAN]
    near, far = (wan, lan) if call.inbound else (lan, wan)  # near: where the PRACK came from
    if call.inbound is None or near is None or far is None:
        return None
    if near.prack is None or far.prack is None or near.reliable is None:
        return None
    one, two = near.prack.request, far.prack.request
    if one is None or two is None or near.prack.status < 300:
        return None
    sent, contacts = Message(one.payload), Message(near.reliable.first.payload).contacts
    if not contacts or sent.request_user != Message(two.payload).request_user:
        return None
    target = contacts[0]
    own = endpoint(sent.request_host, sent.request_port, sent.request_user)
    if own == endpoint(target.host, target.port, target.user):
        return None
    literal = address.is_literal(sent.request_host.strip("[]"))
    if address.is_unroutable(target.host) and literal and sent.request_user == target.user:
        return None
    where = "provider" if call.inbound else "phone"
    return Reading(where, cause.of_place(where), (
        f"its PRACK went to {quoted(to_text(sent.request_uri))}, and not to its Contact "
        f"{quoted(to_text(target.uri))}"
    ), step=WRONG_PRACK[where])  # fmt: skip


def _contacts(response: Sighting) -> bool:
    return bool(Message(response.payload).contacts)


def _rack(prack: Sighting | None) -> list[bytes]:
    values = Message(prack.payload).header("RAck") if prack is not None else ()
    return bytes(values[0]).split() if values else []


def _taken_out(call: Call, one: Reliable) -> bool:
    """A copy of it left the router without RSeq."""
    return any(c.entered.payload == one.first.payload and not Message(c.left.payload).header("RSeq")
               for c in call.changed.values())  # fmt: skip


def _offers(invite: Sighting) -> bool:
    """True if a caller can acknowledge provisional responses (RFC 3262 section 4)."""
    message = Message(invite.payload)
    values = (*message.header("Supported"), *message.header("k"), *message.header("Require"))
    return any(b"100rel" in value.lower() for value in values)
