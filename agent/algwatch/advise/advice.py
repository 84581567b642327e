# SPDX-License-Identifier: Apache-2.0
"""Advice: an action, its confidence, and the reasons for and against it."""

from __future__ import annotations

from algwatch.base.report import Report

STATES = ("none", "suspected", "recommended", "applied", "verified", "rolled-back")


class Advice(Report):
    """action: a word of advise/actions.py; state: a word of STATES; confidence 0 to 1; for_ and
    against: sentences; commands: lines to type on this router; subject: the line it is about (phone
    and provider). title: the action in words, if its own do not fit. kinds: words for the reasons;
    a new one makes the same advice news. short: the lines to type instead of `commands` on a router
    with algwatch."""

    __slots__ = ("action", "against", "commands", "confidence", "for_", "kinds", "short", "state",
                 "subject", "title")  # fmt: skip
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
        title: str = "",
        kinds: frozenset[str] = frozenset(),
        short: tuple[str, ...] = (),
    ) -> None:
        self.action = action
        self.state = state
        self.confidence = confidence
        self.for_ = for_
        self.against = against
        self.commands = commands
        self.subject = subject
        self.title = title
        self.kinds = kinds
        self.short = short


class InForce:
    """Advice given and not withdrawn, one for an action and its subject, the latest last. limit:
    how many are kept; the oldest goes."""

    __slots__ = ("_given", "_limit")

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._given: dict[tuple[str, str], Advice] = {}

    def feed(self, advice: Advice) -> None:
        """State "none" withdraws the earlier advice."""
        key = (advice.action, advice.subject)
        self._given.pop(key, None)
        if advice.state == "none":
            return
        self._given[key] = advice
        if len(self._given) > self._limit:
            del self._given[next(iter(self._given))]

    def all(self) -> list[Advice]:
        return list(self._given.values())
