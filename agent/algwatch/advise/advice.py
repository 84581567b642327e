"""Advice: what to do, how sure, and what speaks for and against it."""

from __future__ import annotations

ACTIONS = (
    "disable-sip-alg",
    "keep-sip-alg",
    "enable-rport-stun-outbound",
    "static-nat-for-pbx",
    "provider-fix-contact",
    "provider-add-record-route",
    "shorter-refresh-on-phone",
    "look-for-loss",
    "move-sip-port-or-tls",
)
STATES = ("none", "suspected", "recommended", "applied", "verified", "rolled-back")


class Advice:
    """action, state: words of the tuples above; confidence 0 to 1; for_ and against: sentences;
    commands: lines to type on this router; subject: the phone and provider it is about."""

    __slots__ = ("action", "against", "commands", "confidence", "for_", "state", "subject")

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
