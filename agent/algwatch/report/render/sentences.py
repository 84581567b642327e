# SPDX-License-Identifier: Apache-2.0
"""Sentences about a call, a registration or a finding; each stands alone and is bounded."""

from __future__ import annotations

from algwatch.base.quote import cut_sentence, quoted, somebody
from algwatch.compare.summary import CallSummary, RegistrationSummary
from algwatch.diagnose.finding import HURTS, Finding
from algwatch.report.render import status
from algwatch.sip.reason import names_timeout

LONGEST = 400  # characters kept of a rule's sentence

ENDS = {"accepted": "was accepted", "refused": "was refused", "unanswered": "got no answer",
        "challenged": "was asked for credentials, and nothing came of it",
        "unknown": "was not seen to end"}  # fmt: skip


class Brief:
    """A finding without its evidence: the part told to people, with a bounded sentence."""

    __slots__ = ("call_id", "cause", "harm", "line", "next_step", "rule", "severity", "slug",
                 "summary", "symptom", "where")  # fmt: skip

    def __init__(self, finding: Finding) -> None:
        self.rule = finding.rule
        self.slug = finding.slug
        self.severity = finding.severity
        self.where = finding.where
        self.harm = finding.harm
        self.call_id = finding.call_id
        self.line = finding.line
        self.cause = finding.cause
        self.symptom = finding.symptom
        self.summary = cut_sentence(finding.summary, LONGEST)
        self.next_step = cut_sentence(finding.next_step, LONGEST)

    @property
    def hurts(self) -> bool:
        return self.harm in HURTS


def several(number: int, noun: str) -> str:
    return f"{number} {noun}" + ("s" if number != 1 else "")


def listed(parts: list[str]) -> str:
    """a; a and b; a, b and c."""
    return " and ".join([", ".join(parts[:-1]), parts[-1]] if len(parts) > 1 else parts)


def named_call(call: CallSummary) -> str:
    """A sentence about a call without a ladder above it, with caller and callee."""
    who = f"The call from {somebody(call.from_)} to {somebody(call.to)}"
    if call.outcome == "rejected":
        so = ""
        if call.unfollowed and status.kind(call.status) == "redirected":
            so = ", and its caller called nobody then"
        return f"{who} was {status.refused(call.status)}{so}."
    if call.outcome == "unanswered":
        return f"{who} was never answered."
    if call.outcome == "dropped":
        return f"{who} was answered and then dropped."
    if call.failure and call.outcome == "completed":
        what = "timer" if names_timeout(call.failure) else "failure"
        return f"{who} was ended by a {what}: its BYE gives the reason {quoted(call.failure)}."
    if call.unacknowledged:
        return (
            f"{who} was answered with a 2xx that came again and again, and no ACK was seen: "
            "it is not known whether its ends heard each other."
        )
    if call.outcome == "ongoing":
        return f"{who} was not decided when the capture ended."
    return f"The outcome of {_lower(who)} cannot be told from this capture."


def named_registration(registration: RegistrationSummary) -> str:
    ended = ENDS.get(registration.outcome, registration.outcome)
    if registration.status and registration.outcome != "accepted":
        ended = ended.replace("refused", f"refused with {status.in_words(registration.status)}")
        ended = ended.replace("credentials", f"credentials ({registration.status})")
    return f"The registration of {somebody(registration.aor)} {ended}."


def _lower(text: str) -> str:
    return text[:1].lower() + text[1:]
