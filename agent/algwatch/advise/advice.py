"""Advice: what to do, how sure, and what speaks for and against it."""

from __future__ import annotations

from algwatch.base.report import Report

STATES = ("none", "suspected", "recommended", "applied", "verified", "rolled-back")


class Advice(Report):
    """action: a word of advise/actions.py; state: a word of STATES; confidence 0 to 1; for_ and
    against: sentences; commands: lines to type on this router; subject: the line it is about
    (phone and provider)."""

    __slots__ = ("action", "against", "commands", "confidence", "for_", "state", "subject")
    kind = "advice"

    def __init__(
        self,
        action: str,
        state: str,
        confidence: float,
        for_: list[str],
        against: list[str],
        commands: list[str],
        subject: str = "",
    ) -> None:
        self.action = action
        self.state = state
        self.confidence = confidence
        self.for_ = for_
        self.against = against
        self.commands = commands
        self.subject = subject
