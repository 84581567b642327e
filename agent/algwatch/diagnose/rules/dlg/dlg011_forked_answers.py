# SPDX-License-Identifier: Apache-2.0
"""DLG011: several phones answered one call, and its caller did not handle each of them.

What it sees
    Several 2xx with different To tags to one INVITE, forked by a proxy. One of them is repeated,
    and no ACK with its tag comes. Or one was acknowledged, the caller's own dialog ended, and 32 s
    later no BYE was seen in the other one. Or the caller refuses the BYE of the other one (481): it
    had forgotten it.

Why it breaks calls
    Each 2xx is a dialog of its own. The caller has to acknowledge each, and to end unwanted ones
    with BYE. A phone without an ACK hears nothing for 32 s and then gives up. A phone with an ACK
    and without a BYE stays in an empty call until its user hangs up.

What else looks the same
    A caller ends the first dialog at once and talks in the second one: both are right. Copies of
    one 2xx on the hops of a proxy have one To tag. Provisional responses of several phones (early
    dialogs) need neither ACK nor BYE. A caller may talk to both phones, hang up on one and keep the
    other: so this case is only a warning.

Recommendation
    Report it to the maker of the calling phone. If a provider forks calls, let it keep the first
    2xx and cancel the other branches.

References
    RFC 3261 sections 13.2.2.4, 15, 16.7 step 5.
"""

from __future__ import annotations

from collections.abc import Iterator

from algwatch.base.packet import LAN
from algwatch.base.quote import somebody
from algwatch.compare.call import Call
from algwatch.compare.signs import TROUBLED
from algwatch.diagnose import cause, route_set
from algwatch.diagnose import lost_ack as lost
from algwatch.diagnose.finding import Finding
from algwatch.diagnose.known import Known
from algwatch.diagnose.rule import Rule, evidence
from algwatch.diagnose.rules.dlg.dlg001_ack_lost import READINGS
from algwatch.diagnose.subject import CALL
from algwatch.sip.dialog import Dialog
from algwatch.sip.status_codes import GONE

RULE = Rule(
    "DLG011", "forked-answers", "warning", CALL, ("RFC 3261 13.2.2.4", "RFC 3261 15"),
    "Several phones took one call, and its caller did not acknowledge or end each dialog.",
    when=TROUBLED,
)  # fmt: skip


def check(call: Call, known: Known) -> Iterator[Finding]:
    for other in lost.other_answers(call, known):
        yield _not_acknowledged(call, other, known)
    if known.lossy(call):
        return
    for d in call.left_open(known.now):
        if d.answer is not None and not known.capture.is_late(d.answered_at):
            yield _left(call, d, known)
    for s in call.seen:
        for d in s.dialogs:
            if d is not s.current and d.acked_at and _forgotten(d):
                yield _refused(call, d, known)
                return


def _not_acknowledged(call: Call, how: lost.LostAck, known: Known) -> Finding:
    d, s, reading = how.dialog, how.side, READINGS[how.how]
    near = call.sides[LAN]
    if how.how == lost.NOT_SENT and near is not None:
        twin = next((one for one in near.dialogs if one.callee_tag == d.callee_tag), None)
        reading = (
            route_set.recorded_beyond(call, twin, d) if twin is not None else None
        ) or reading
    assert d.answer is not None
    what = "none is on this side of the router" if how.how == lost.ONE_SIDED else reading.what
    what = what.replace("no ACK ", "no ACK to it ", 1)  # the other 2xx may have one
    hurt = how.dropped(known.now)
    so = f"it waited for {lost.elapsed(d, d.answer_last)}" if hurt else "it may have given up"
    callee = somebody(call.to if s.by_caller(d) else call.from_)
    return RULE.finding(
        reading.where, "observed" if hurt else "latent",
        f"Another phone that took the call to {callee} sent its own 2xx {how.repeats + 1} times, "
        f"and nobody acknowledged that one: {what}; {so}.",
        [evidence(d.answer, f"2xx sent {how.repeats + 1} times", "ACK within T1")],
        f"{call.call_id}/{d.callee_tag:x}", cause=reading.cause, call_id=call.call_id,
        line=known.line_name(call),
    )  # fmt: skip


def _left(call: Call, d: Dialog, known: Known) -> Finding:
    assert d.answer is not None
    where, why = _caller(call)
    return RULE.finding(
        where, "latent",
        f"Another phone took the call to {somebody(call.to)}, too, and was acknowledged; no BYE "
        "was sent to it when the call was over: unless its caller still talks to it, it stays in "
        "a call with nobody.",
        [evidence(d.answer, "its 2xx, acknowledged", "ACK, and BYE from a caller that goes")],
        f"{call.call_id}/{d.callee_tag:x}", cause=why, call_id=call.call_id,
        line=known.line_name(call),
    )  # fmt: skip


def _forgotten(d: Dialog) -> bool:
    return d.bye is not None and not d.bye_by_caller and d.bye_status in GONE and not d.both_ended


def _refused(call: Call, d: Dialog, known: Known) -> Finding:
    assert d.bye is not None
    where, why = _caller(call)
    lasted = (d.bye_at - d.answered_at) / 1e9 if d.answered_at else 0
    proof = [evidence(d.bye, "its BYE", "a BYE of the caller, when it took another phone's answer")]
    if d.answer is not None:
        proof.append(evidence(d.answer, "its 2xx"))
    if d.bye_response is not None:
        proof.append(evidence(d.bye_response, f"refused with {d.bye_status}", "200"))
    return RULE.finding(
        where, "observed",
        f"Another phone took the call to {somebody(call.to)}, too, was acknowledged, and hung up "
        f"after {lasted:.0f} s; its BYE was refused with {d.bye_status}: the caller had forgotten "
        "it without a BYE.",
        proof, f"{call.call_id}/{d.callee_tag:x}", cause=why, call_id=call.call_id,
        line=known.line_name(call),
    )  # fmt: skip


def _caller(call: Call) -> tuple[str, str]:
    """The place of the caller, and the cause of its fault."""
    if not call.two_sided or call.inbound is None or call.sides[LAN] is None:
        return "unknown", cause.UNKNOWN
    return ("provider", cause.PROVIDER) if call.inbound else ("phone", cause.PHONE)
