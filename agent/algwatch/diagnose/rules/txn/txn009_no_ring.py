# SPDX-License-Identifier: Apache-2.0
"""TXN009: a call never rang, and its caller gave up.

What it sees
    An INVITE with 100 Trying and no other response for 15 s or more, until its caller sent CANCEL.
    The two taps tell if a later response (ringing or a failure) came to this router and stopped
    there. The router is named if it stopped two provisional responses: one may be a lost packet.

Why it breaks calls
    The next hop sends 100, and it only asks the caller to wait. Until 180 or 183 comes, no phone is
    known to ring: the caller hears nothing, and hangs up.

What else looks the same
    A caller that hangs up at once: a call to another country may need 15 s until it rings. A call
    taken by another phone: the provider takes it back from this one. A capture with lost packets
    (CAP002). An INVITE without any response: TXN001.

Recommendation
    The rule gives no reason for the silence. Ask the sender of the 100 for the path of the call.

References
    RFC 3261 sections 8.2.6.1, 17.2.1, 21.1.1.
"""

from __future__ import annotations

from collections.abc import Iterator

from algwatch.base.packet import LAN, WAN
from algwatch.base.quote import somebody
from algwatch.compare.call import Call
from algwatch.compare.joined import AGAIN
from algwatch.compare.signs import TROUBLED
from algwatch.diagnose import cause, misrouted
from algwatch.diagnose.finding import Finding
from algwatch.diagnose.known import Known
from algwatch.diagnose.reading import Reading
from algwatch.diagnose.rule import Rule, evidence
from algwatch.diagnose.subject import CALL
from algwatch.sip.reason import taken_elsewhere
from algwatch.sip.timers import SECOND

RULE = Rule(
    "TXN009", "no-ring", "error", CALL, ("RFC 3261 8.2.6.1", "RFC 3261 21.1.1"),
    "A call got 100 Trying and nothing else, and its caller gave up.", symptom=True, when=TROUBLED,
)  # fmt: skip

PATIENT = 15 * SECOND  # 95% of the calls to other countries ring within 11 s (ITU-T E.721)


def check(call: Call, known: Known) -> Iterator[Finding]:
    s = call.near_caller
    if s is None or s.invite is None or s.cancel is None or call.unsolicited or call.spoken:
        return
    t, request, cancel = s.invite, s.request, s.cancel.request
    if not t.provisional_at or t.rang_at or request is None or cancel is None or s.branches:
        return
    waited = s.cancelled_at - t.at
    if waited < PATIENT or known.lossy(call) or taken_elsewhere(cancel.payload):
        return
    reading = _reading(call)
    yield RULE.finding(
        reading.where, "observed",
        f"The call to {somebody(call.to)} got 100 Trying and did not ring for "
        f"{waited // SECOND} s, until its caller hung up: {reading.what}.",
        [evidence(request, "100 Trying and no more", "180, 183 or a final response"),
         evidence(cancel, f"CANCEL after {waited / SECOND:.1f} s", "")],
        call.call_id, cause=reading.cause, call_id=call.call_id, line=known.line_name(call),
    )  # fmt: skip


def _reading(call: Call) -> Reading:
    far = call.sides[LAN if call.inbound else WAN]
    if not call.two_sided or call.inbound is None or far is None or far.invite is None:
        return Reading("unknown", cause.UNKNOWN, "nothing shows where the call was held")
    if far.invite.rang_at and not far.branches:
        side = "LAN" if call.inbound else "WAN"
        what = f"the ringing came to the {side} side of this router and went no further"
        misplaced = None if call.inbound else misrouted.answer_misrouted(call)
        if misplaced is None and f"1xx INVITE{AGAIN}" not in call.unpaired:
            # Nobody repeats it (RFC 3261 section 13.3.1.1), so one lost packet is enough.
            return Reading("unknown", cause.UNKNOWN, f"{what}, or is missing in one capture")
        return misplaced or Reading("router", cause.ROUTER, what)
    near = call.sides[WAN if call.inbound else LAN]
    if far.invite.finals and near is not None and near.invite and not near.invite.finals:
        side = "LAN" if call.inbound else "WAN"
        what = f"its {far.invite.status} came to the {side} side of this router and went no further"
        if f"{far.invite.status // 100}xx INVITE" in call.unpaired:
            return Reading("router", cause.ROUTER, what)
        return Reading("unknown", cause.UNKNOWN, f"one capture has a {far.invite.status} to it")
    if call.inbound:
        return Reading("phone", cause.UNKNOWN, "it was delivered, and the phone did not ring")
    return Reading("network", cause.UNKNOWN, "it left the router, and nothing came that rings")
