# SPDX-License-Identifier: Apache-2.0
"""CallSummary and RegistrationSummary: the report of a call or a registration at its end."""

from __future__ import annotations

from algwatch.base.report import Report
from algwatch.compare.ack import waited_out
from algwatch.compare.call import Call
from algwatch.compare.outcome import ack_of, is_unacknowledged, is_unfollowed, outcome
from algwatch.compare.signs import REWRITTEN, signs


class CallSummary(Report):
    """One finished (or, at the end, unfinished) call; the row of `analyze --json`'s "calls".

    outcome: completed, dropped, cancelled, rejected, unanswered, ongoing, unknown.
    ack: seen, missing, unknown. status: of the final response that refused it, else 0. start, end:
    seconds since 1970. line: `Line.name` of the phone and its provider, "" if not known.
    unfollowed: it was challenged or redirected, and the INVITE due after this was not seen
    (compare/outcome.py). unacknowledged: completed, and it is not known whether its ends heard each
    other (compare/outcome.py). failure: the Reason of its BYE if nobody hung up (sip/reason.py).
    unsolicited: its INVITE came from a host called by nobody here, and nothing of it crossed.
    sender: the address of this host, "" for other calls.
    rang: 180 or 183 came. stranger: its INVITE came from such a host, and crossed.
    lossy: packets were lost in the capture meanwhile, so an unseen message is missing only if
    somebody waited for it to the end. inbound: the callee is in the
    LAN; None if unknown.
    """

    __slots__ = ("ack", "call_id", "end", "failure", "final_retransmissions", "from_", "inbound",
                 "invite_retransmissions", "line", "outcome", "rang", "sender", "start",
                 "status", "stranger", "to", "unacknowledged", "unfollowed",
                 "unsolicited")  # fmt: skip
    kind = "call"

    def __init__(self, call: Call, now: int, line: str = "", lossy: bool = False) -> None:
        self.call_id = call.call_id
        self.from_ = call.from_
        self.to = call.to
        self.unacknowledged = False
        if call.ended_well or not signs(call) & ~REWRITTEN:
            self.ack, self.outcome = "seen", "completed"
        else:
            self.ack = ack_of(call, now)
            self.outcome = outcome(call, now, self.ack)
            if self.ack == "unknown" and self.outcome == "completed":
                self.unacknowledged = is_unacknowledged(call)
        self.line = line
        self.inbound = call.inbound
        self.unsolicited = call.unsolicited
        if lossy:
            self._doubt(call)
        seen = call.seen
        self.failure = ""
        self.rang = self.stranger = False
        if self.outcome == "rejected":
            self.rang = any(s.invite is not None and s.invite.rang_at for s in seen)
        for s in seen:
            for d in s.dialogs:
                self.failure = self.failure or d.bye_reason
        s = seen[0]
        invite = s.request if call.unsolicited else None
        self.sender = invite.ends.src if invite is not None else ""
        start, end, refused = s.started_at, s.last_at, s.rejected
        self.invite_retransmissions = s.invite_retransmissions
        self.final_retransmissions = s.final_retransmissions
        for s in seen[1:]:
            start, end = min(start, s.started_at), max(end, s.last_at)
            refused = refused or s.rejected
            self.invite_retransmissions = max(self.invite_retransmissions, s.invite_retransmissions)
            self.final_retransmissions = max(self.final_retransmissions, s.final_retransmissions)
        self.status = refused if self.outcome in ("rejected", "cancelled") else 0
        self.unfollowed = self.outcome == "rejected" and is_unfollowed(call, now)
        self.start = start / 1e9
        self.end = end / 1e9

    def shift(self, seconds: float) -> None:
        self.start += seconds
        self.end += seconds

    def _doubt(self, call: Call) -> None:
        s = call.near_callee
        d = s.current if s is not None else None
        if self.ack == "missing" and s is not None and d is not None and not waited_out(s, d):
            self.ack = "unknown"
            if self.outcome == "dropped":
                self.outcome = "unknown"
        unanswered = [s.invite for s in call.seen if s.invite is not None]
        if self.outcome == "unanswered" and not any(t.waited_out for t in unanswered):
            self.outcome = "unknown"


class RegistrationSummary(Report):
    """One registration (the REGISTER requests of one Call-ID); the row of `analyze --json`'s
    "registrations".

    aor: the address of record, text of the To URI. outcome: accepted, refused, unanswered,
    challenged (asked for credentials, and nothing came of it), unknown. status: of the latest final
    response, 0 without one. start, end: seconds since 1970. line: as in CallSummary.
    """

    __slots__ = ("aor", "call_id", "end", "line", "outcome", "start", "status", "unsolicited")
    kind = "registration"

    def __init__(self, call_id: str, aor: str, outcome: str, status: int, start: float, end: float,
                 line: str = "", unsolicited: bool = False) -> None:  # fmt: skip
        self.call_id = call_id
        self.aor = aor
        self.outcome = outcome
        self.status = status
        self.start = start
        self.end = end
        self.line = line
        self.unsolicited = unsolicited

    def shift(self, seconds: float) -> None:
        self.start += seconds
        self.end += seconds
