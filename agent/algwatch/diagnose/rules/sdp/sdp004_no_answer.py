# SPDX-License-Identifier: Apache-2.0
"""SDP004: an answer without SDP ended the call.

What it sees
    A call is answered and acknowledged, and within half a second one end hangs up, because it was
    not told where to send its media: the 2xx to an INVITE or re-INVITE has no SDP, or the ACK has
    none although the 2xx was the offer (its INVITE had none). If its sender wrote it, the router
    took it out.

Why it breaks calls
    An end without the SDP of the other one knows no address, port or codec. Many ends give such a
    call up at once, with or without a Reason in their BYE; the users see a call that dies as it is
    answered, or when it is put on hold, transferred or turned into a fax.

What else looks the same
    A call that goes on without it: some ends take the SDP of a provisional response. With 100rel
    the answer may be in a provisional response or in the PRACK. A refused re-INVITE with a BYE
    after it: DLG014. The other end hangs up: it has what it needs.

Recommendation
    Report it to the maker of the software that left it out. Between a PBX and its trunk, look for a
    setting for INVITE without SDP ("late offer", "3PCC"), and turn it off. If the router took it
    out, turn off its SIP rewriting.

References
    RFC 3261 sections 13.2.1, 13.3.1.4, 14.2; RFC 3264 section 4; RFC 3262 section 5.
"""

from __future__ import annotations

from collections.abc import Iterator

from algwatch.base.packet import LAN, WAN
from algwatch.base.quote import somebody
from algwatch.base.sighting import Sighting, are_copies
from algwatch.compare.call import Call
from algwatch.compare.signs import TROUBLED
from algwatch.diagnose import cause
from algwatch.diagnose.finding import Finding
from algwatch.diagnose.known import Known
from algwatch.diagnose.rule import Rule, evidence
from algwatch.diagnose.subject import CALL
from algwatch.sip.dialog import ANSWER_OWES, Dialog, DialogSet
from algwatch.sip.message import Message

RULE = Rule(
    "SDP004", "no-answer", "warning", CALL, ("RFC 3261 13.2.1", "RFC 3264 4"),
    "A 2xx or an ACK had no SDP where it has to have one, and the call was ended at once.",
    when=TROUBLED,
)  # fmt: skip


def check(call: Call, known: Known) -> Iterator[Finding]:
    found = next(((s, s.current) for s in call.seen if s.current and s.current.owing), None)
    if found is None:
        return
    s, d = found
    where = _author(call, s, d)
    if where is None or d.answer is None or d.ack is None or d.request is None or d.bye_of is None:
        return
    if d.owing == ANSWER_OWES:
        what, wrong = "the 2xx to its INVITE has no SDP", d.answer
        wanted = "the answer to the offer, or an offer"
    else:
        what, wrong = "the ACK has no SDP, although the 2xx was the offer", d.ack
        wanted = "the answer to the offer in the 2xx"
    if not _is_bare(wrong):
        return
    proof = [evidence(wrong, "no SDP", wanted), evidence(d.request, "the INVITE")]
    if d.bye_of.request is not None:
        proof.append(evidence(d.bye_of.request, "BYE at once", "a call that goes on"))
    yield RULE.finding(
        where, "observed",
        f"The call to {somebody(call.to)} was ended at once by the end that has to know where to "
        f"send its media: {what}.",
        proof, call.call_id, cause=cause.of_place(where), call_id=call.call_id,
        line=known.line_name(call),
    )  # fmt: skip


def _is_bare(copy: Sighting) -> bool:
    """It has no body of any kind, and says so: SDP may be a part of another body, and a capture may
    have cut it off."""
    message = Message(copy.payload)
    return not message.body and not message.content_length.strip("0 ")


def _author(call: Call, s: DialogSet, d: Dialog) -> str | None:
    """The end that left it out; the router if that end's own copy has it; None if not known."""
    if not call.two_sided or call.inbound is None or d.invite is None:
        return "unknown"
    by_inviter = d.owing != ANSWER_OWES
    caller = (d.invite.from_tag == s.caller_tag) == by_inviter
    phone = caller != call.inbound
    near = call.dialog(LAN if phone else WAN)
    if near is None:
        return None
    if near.owing == d.owing:
        return "phone" if phone else "provider"
    wrote, came = (near.answer, d.answer) if d.owing == ANSWER_OWES else (near.ack, d.ack)
    changed = wrote is not None and are_copies(wrote, came) and not _is_bare(wrote)
    return "router" if changed else None
