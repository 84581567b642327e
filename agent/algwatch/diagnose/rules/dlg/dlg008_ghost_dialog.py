# SPDX-License-Identifier: Apache-2.0
"""DLG008: one end had ended the call, and the other did not hear of it.

What it sees
    A BYE in an established dialog that is refused with 481 (or 404, 408, 410), while no BYE of
    the other end was seen.

Why it breaks calls
    The end that was left behind talks to nobody until its user hangs up; a PBX or a trunk may
    count the call, and bill it, for hours. Where the phone had shown a private Contact and nobody
    handled the NAT, the other end's BYE went to that address and was lost.

What else looks the same
    Both ends hang up at the same moment: each sees the other's BYE, and 481 is right. A call that
    was transferred.

Recommendation
    On the phone: rport, STUN or outbound (RFC 5626). At the provider: fix the Contact of
    endpoints behind NAT.

References
    RFC 3261 sections 12.2.2, 15.1.2; RFC 3581; RFC 5626.
"""

from __future__ import annotations

from collections.abc import Iterator

from algwatch.compare.call import Call
from algwatch.diagnose import cause
from algwatch.diagnose.finding import Finding
from algwatch.diagnose.known import Known
from algwatch.diagnose.rule import Rule, evidence
from algwatch.diagnose.rules.dlg.dlg002_private_contact import private_contact
from algwatch.diagnose.subject import CALL

RULE = Rule(
    "DLG008", "ghost-dialog", "error", CALL, ("RFC 3261 15.1.2", "RFC 3261 12.2.2"),
    "One end had ended the call, and the other one did not hear of it.",
)  # fmt: skip

GONE = (404, 408, 410, 481)  # what an end answers to the BYE of a dialog that it no longer has


def check(call: Call, known: Known) -> Iterator[Finding]:
    for s in call.seen:
        d = s.current
        if d is None or d.bye_status not in GONE or d.both_ended or not d.confirmed:
            continue
        if d.bye is None:
            continue
        phone = d.bye_by_caller != call.inbound  # the BYE is the phone's
        where, why, so = "unknown", cause.UNKNOWN, ""
        line = known.line(call)
        shown, host = line.shown if line is not None else None, ""
        if call.two_sided and call.inbound is not None and phone:
            where = "network"
            host = private_contact(shown, True) if shown is not None else ""
            if host:
                where, why = "provider", cause.NAT_UNHANDLED
                so = f": the phone's Contact was {host} on the WAN, where nobody can send to"
        proof = [evidence(d.bye, "the BYE", "200")]
        if d.bye_response is not None:
            proof.append(evidence(d.bye_response, f"refused with {d.bye_status}", "200"))
        if host and shown is not None:
            proof.append(evidence(shown, f"Contact host {host}", "an address to send to"))
        yield RULE.finding(
            where, "observed",
            f"The BYE was refused with {d.bye_status}: the other end had ended the call before, "
            f"and its own BYE never came{so}.",
            proof, call.call_id, cause=why, call_id=call.call_id, line=line.name if line else "",
        )  # fmt: skip
        return
