# SPDX-License-Identifier: Apache-2.0
"""DLG014: a re-INVITE or UPDATE was refused, and its sender ended the call at once.

What it sees
    A re-INVITE or UPDATE inside a call is refused, and its sender's BYE follows within half a
    second. No person hangs up so soon after an invisible message.

Why it breaks calls
    A refused re-INVITE leaves the call as it was (RFC 3261 section 14.1), but many ends give the
    call up: after a PBX asked for direct media, a fax for T.38, a user for hold. After a 408 or 481
    each end has to.

What else looks the same
    The call goes on after the refusal, or the same is asked in another way (a re-INVITE after an
    UPDATE with 405). Two re-INVITEs cross (491, or 500 with Retry-After), a challenge (401, 407), a
    refusal by a person (486, 603) or a request taken back (487). A BYE of the other end. A session
    timer: DLG007. A dialog unknown to the other end: DLG008. A header field taken out by the
    router: ALG018.

Recommendation
    The status gives the reason (488: codecs or fax; 405, 501: turn the feature off). Turn off
    direct media, T.38 or session timers at the requesting end.

References
    RFC 3261 sections 12.2.1.2, 14.1; RFC 3311 section 5.2.
"""

from __future__ import annotations

from collections.abc import Iterator

from algwatch.base import quote
from algwatch.compare.call import Call
from algwatch.diagnose import cause, taken_out
from algwatch.diagnose.finding import Finding
from algwatch.diagnose.known import Known
from algwatch.diagnose.rule import Rule, evidence
from algwatch.diagnose.rules.dlg.dlg008_ghost_dialog import GONE
from algwatch.diagnose.subject import CALL
from algwatch.sip.message import Message

RULE = Rule(
    "DLG014", "refresh-refused", "warning", CALL, ("RFC 3261 14.1", "RFC 3261 12.2.1.2"),
    "A re-INVITE or UPDATE was refused, and its sender ended the call at once.", symptom=True,
)  # fmt: skip


def check(call: Call, known: Known) -> Iterator[Finding]:
    if call.timed_out or taken_out.of_refresh(call) is not None:
        return  # DLG007, ALG018
    for s in call.seen:
        d = s.current
        if d is None or not d.cut_short or d.refused is None or d.bye_status in GONE:
            continue
        asked, refusal = d.refused
        method, status = Message(asked.payload).method, Message(refusal.payload).status
        what = "A re-INVITE" if method == "INVITE" else f"The {quote.method(method)}"
        yield RULE.finding(
            "unknown", "observed",
            f"{what} in the call to {quote.somebody(call.to)} was refused with {status}, and its "
            "sender ended the call at once.",
            [evidence(asked, "asked to change the session", "200"),
             evidence(refusal, f"refused with {status}, and then BYE", "200")],
            call.call_id, cause=cause.REFUSED, call_id=call.call_id, line=known.line_name(call),
            next_step=f"Ask whoever refused it what {status} stands for there, and turn off what "
            "was asked for (direct media, T.38, hold) at the end that asks.",
        )  # fmt: skip
        return
