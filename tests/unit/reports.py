# SPDX-License-Identifier: Apache-2.0
"""Reports made by hand, for tests of what is said with them."""

from __future__ import annotations

from algwatch.compare.summary import CallSummary, RegistrationSummary
from algwatch.diagnose.finding import Evidence, Finding

AT = 1767225600.0  # 2026-01-01


def call(outcome: str = "completed", status: int = 0, call_id: str = "c1@phone", ack: str = "seen",
         unsolicited: bool = False, to: str = "sip:ben@example.net",
         line: str = "", sender: str = "") -> CallSummary:  # fmt: skip
    """A summary without the call that it sums up."""
    made = CallSummary.__new__(CallSummary)
    made.unfollowed = made.unacknowledged = made.rang = made.stranger = False
    made.call_id, made.from_, made.to = call_id, "sip:anna@example.net", to
    made.outcome, made.status, made.ack = outcome, status, ack
    made.inbound = None
    made.start, made.end, made.line, made.unsolicited = AT, AT + 9, line, unsolicited
    made.failure, made.sender = "", sender
    made.invite_retransmissions = made.final_retransmissions = 0
    return made


def registration(outcome: str = "accepted", status: int = 0, aor: str = "sip:anna@example.net",
                 unsolicited: bool = False, line: str = "") -> RegistrationSummary:  # fmt: skip
    return RegistrationSummary("r1@phone", aor, outcome, status, AT, AT + 1, line, unsolicited)


def finding(harm: str = "observed", rule: str = "ALG011", call_id: str = "c1@phone",
            key: str = "", summary: str = "", symptom: bool = False, cause: str = "alg",
            severity: str = "error", next_step: str = "",
            where: str = "router", line: str = "") -> Finding:  # fmt: skip
    return Finding(rule, "a-slug", severity, where, harm, call_id, "lan", AT,
                   summary or f"{rule} has happened.", [Evidence("lan", AT, "this", "that", b"x")],
                   key or f"{rule}/{call_id}", cause=cause, symptom=symptom,
                   next_step=next_step, line=line)  # fmt: skip
