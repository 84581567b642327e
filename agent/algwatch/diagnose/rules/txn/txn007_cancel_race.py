# SPDX-License-Identifier: Apache-2.0
"""TXN007: a CANCEL came too late, too early, or did not match its INVITE.

What it sees
    A call was answered although its caller cancelled it: CANCEL and 2xx crossed. The caller then
    has to acknowledge and send BYE; the finding tells whether it did. Or a CANCEL is refused with
    481 while its INVITE goes on: it was sent before any response, or has another branch, To tag or
    Request-URI than its INVITE, by its sender or by this router. A fitting CANCEL refused with 481,
    while its INVITE gets no final response or a refusal much later, counts as possible harm.

Why it breaks calls
    Without the BYE the called person is in an empty call. A CANCEL without a match stops nothing:
    the phone rings on after the caller has hung up.

What else looks the same
    A CANCEL and a 486 cross: both are right, and 481 is the answer. A forked INVITE: the other
    branches are cancelled after an answer. A BYE was not captured (CAP002). A 2xx never
    acknowledged: DLG001. An unanswered CANCEL: TXN003.

Recommendation
    Report a missing BYE, an early CANCEL or a wrong branch to the maker of the software. For a
    branch changed by the router: turn off its SIP rewriting.

References
    RFC 3261 sections 9.1, 9.2, 15.
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
from algwatch.sip.dialog import Dialog, DialogSet
from algwatch.sip.message import Message
from algwatch.sip.status_codes import NO_DIALOG
from algwatch.sip.timers import SECOND, T2
from algwatch.sip.transaction import Transaction

RULE = Rule(
    "TXN007", "cancel-race", "info", CALL, ("RFC 3261 9.1", "RFC 3261 9.2", "RFC 3261 15"),
    "A CANCEL came too late, too early, or did not match its INVITE.", when=TROUBLED,
)  # fmt: skip

LEFT = 10 * SECOND  # a caller sends its BYE sooner after a CANCEL


def check(call: Call, known: Known) -> Iterator[Finding]:
    s = call.near_caller
    if s is None or s.cancel is None or s.cancel.request is None or call.unsolicited:
        return
    if any(one.branches for one in call.seen):
        return  # forked: the unanswered branches are cancelled
    d = s.current
    refused = s.cancel.status == NO_DIALOG
    if d is not None and d.answered_at:
        if refused and d.established_at - s.cancel.final_at >= T2:
            yield from _refused(call, s, s.cancel, known)
        elif d.invite is not None and d.invite.cseq == s.cancel.cseq and s.by_caller(d):
            yield from _answered(call, s, d, s.cancel, known)
    elif refused:
        yield from _refused(call, s, s.cancel, known)


def _answered(call: Call, s: DialogSet, d: Dialog, cancel: Transaction,
              known: Known) -> Iterator[Finding]:  # fmt: skip
    """CANCEL and 2xx crossed."""
    if not d.acked_at or cancel.request is None:
        return  # DLG001
    what = f"The call to {somebody(call.to)} was answered although its caller cancelled it"
    proof = [evidence(cancel.request, "the CANCEL", "no 2xx, or then ACK and BYE")]
    if d.answer is not None:
        proof.append(evidence(d.answer, "the 2xx"))
    where, line = _caller(call), known.line(call)
    name = line.name if line is not None else ""
    if d.bye_at and (d.bye_by_caller or d.both_ended):
        after = (d.bye_at - max(d.answered_at, cancel.at)) / 1e9
        yield RULE.finding(
            "unknown", "none",
            f"{what}: both crossed, and the caller acknowledged and hung up {after:.1f} s later, "
            "as it has to.",
            proof, call.call_id, call_id=call.call_id, line=name,
        )  # fmt: skip
        return
    until = d.bye_at or min(known.now, s.until)
    if until - max(d.acked_at, cancel.at) < LEFT or known.lossy(call):
        return  # its BYE may still come, or was not captured
    be = "was" if d.bye_at else "is"
    seconds = (until - d.answered_at) // SECOND
    ended = f"until it hung up {seconds} s later" if d.bye_at else f"for {seconds} s so far"
    yield RULE.finding(
        where, "observed",
        f"{what}. The caller acknowledged and sent no BYE: the called end {be} in the call with "
        f"nobody, {ended}.",
        proof, call.call_id, cause=cause.of_place(where), call_id=call.call_id,
        line=name,
    )  # fmt: skip


def _refused(call: Call, s: DialogSet, cancel: Transaction,
             known: Known) -> Iterator[Finding]:  # fmt: skip
    """A CANCEL with 481 while its INVITE had no final response."""
    request, invite = cancel.request, s.invite
    if request is None or s.request is None or invite is None or not invite.provisional_at:
        return
    if invite.final_at and invite.final_at - cancel.final_at < T2:
        return  # it crossed the final response, or ended the call all the same
    on = (invite.final_at or min(known.now, s.until)) - cancel.at
    if on < T2 or known.lossy(call):
        return
    where, why = "unknown", ""
    if _branch(request.payload) != _branch(s.request.payload):
        where, why = _caller(call), "it has another branch than its INVITE"
    elif unlike := _unlike(s.request.payload, request.payload):
        where, why = _caller(call), unlike
    elif invite.provisional_at > cancel.at:
        where, why = _caller(call), "it was sent before any response had come"
    elif _changed(call):
        where, why = "router", "since this router it has another branch than its INVITE"
    if not why:
        yield _rings_on(call, s.request, cancel, on if invite.final_at else 0, known)
        return
    proof = [evidence(s.request, "the INVITE"), evidence(request, "the CANCEL", "its branch")]
    if cancel.response is not None:
        proof.append(
            evidence(cancel.response, f"refused with {NO_DIALOG}", "200, and 487 to the INVITE")
        )
    yield RULE.finding(
        where, "observed",
        f"The CANCEL of the call to {somebody(call.to)} was refused with {NO_DIALOG}, because "
        f"{why}: the called end rang on for {on // SECOND} s.",
        proof, call.call_id, cause=cause.of_place(where), call_id=call.call_id,
        line=known.line_name(call),
    )  # fmt: skip


def _rings_on(call: Call, invite: Sighting, cancel: Transaction, on: int,
              known: Known) -> Finding:  # fmt: skip
    """Nothing shows the reason of the refusal. on: ns until the final response of the INVITE, 0
    without one."""
    assert cancel.request is not None
    answered = any(one.answered_at for one in call.seen)
    final = "no final response: the called end may ring on"
    if on:
        final = (
            f"its final response {on // SECOND} s later: until then the called end may have rung"
        )
    proof = [evidence(invite, "the INVITE", "a final response"),
             evidence(cancel.request, "the CANCEL", "200, and 487 to the INVITE")]  # fmt: skip
    if cancel.response is not None:
        proof.append(evidence(cancel.response, f"refused with {NO_DIALOG}", "200"))
    return RULE.finding(
        "unknown", "observed" if answered else "latent",
        f"The CANCEL of the call to {somebody(call.to)} was refused with {NO_DIALOG}, and its "
        f"INVITE got {final}.",
        proof, call.call_id, cause=cause.UNKNOWN, call_id=call.call_id,
        line=known.line_name(call), symptom=True,
        next_step="Ask whoever refused the CANCEL what became of the INVITE.",
    )  # fmt: skip


def _caller(call: Call) -> str:
    """The end that called."""
    if not call.two_sided or call.inbound is None or not call.paired:
        return "unknown"
    return "provider" if call.inbound else "phone"


def _branch(payload: bytes) -> bytes:
    vias = Message(payload).vias
    return vias[0].branch if vias else b""


def _unlike(invite: bytes, cancel: bytes) -> str:
    """The fields of section 9.1 that a CANCEL has to copy from its INVITE and did not, in words."""
    one, two = Message(invite), Message(cancel)
    if one.to.tag != two.to.tag:
        return "it has another To tag than its INVITE"
    if one.request_uri != two.request_uri:
        return "it has another Request-URI than its INVITE"
    return ""


def _changed(call: Call) -> bool:
    """On the side it left to, the branch of the CANCEL is not its INVITE's."""
    if not call.two_sided or call.inbound is None:
        return False
    far = call.sides[LAN if call.inbound else WAN]
    if far is None or far.cancel is None or far.cancel.request is None or far.request is None:
        return False
    near = call.near_caller
    if near is None or near.cancel is None:
        return False
    if not are_copies(near.cancel.request, far.cancel.request) or not are_copies(
        near.request, far.request
    ):
        return False  # this router has not sent one of them on
    return _branch(far.cancel.request.payload) != _branch(far.request.payload)
