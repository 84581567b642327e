# SPDX-License-Identifier: Apache-2.0
"""Target: changes, keeps and restores a platform. One class a kind of firewall."""

from __future__ import annotations

from algwatch.act import copies, ruleset, steps
from algwatch.act.router import Failed, Router
from algwatch.advise.platforms.plan import Plan

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from algwatch.act.journal import Journal

RULESET = "ruleset"  # name of the copy


class Target:
    """Every method may raise Failed (an unusable program or file) and OSError (the journal or a
    copy cannot be written): then the step was not taken, or has to be undone."""

    def __init__(self, router: Router, plan: Plan) -> None:
        self.router = router
        self.plan = plan

        self.notes: list[str] = []  # sentences about things restore() found and kept

    def listing(self) -> str:
        """The loaded ruleset as text, unchanged while the rules are."""
        return ruleset.listing(self.router)

    def still_set(self) -> list[str]:
        """The loaded rules that set the SIP helper."""
        return [f"{rule.place} {rule.text}" for rule in ruleset.helper_rules(self.router)]

    def save(self, journal: Journal) -> None:
        """Copies of everything to restore. The step SAVED says that they are whole."""
        text = self.listing()
        fact = copies.save(journal.folder, RULESET, text.encode("utf-8", "surrogateescape"))
        journal.step(steps.SAVED, ruleset=fact, **self.copy(journal))

    def copy(self, journal: Journal) -> dict[str, Any]:
        """The configuration's part of save(); facts for the journal."""
        raise NotImplementedError

    def change(self, journal: Journal, only: str) -> None:
        """Everything up to the loaded ruleset. only: address of a phone, for a trial."""
        raise NotImplementedError

    def keep(self, journal: Journal) -> list[str]:
        """Make the trial permanent; sentences for people."""
        raise NotImplementedError

    def restore(self, journal: Journal) -> list[str]:
        """Restore configuration and ruleset, from any step on; may be called again and again.
        Returns the parts that could not be restored, in sentences."""
        raise NotImplementedError


def ended(target: Target, only: str, number: int) -> str:
    """The reason change `number`, once in force, is no longer loaded (others have loaded the
    firewall anew, or set the helper again); "" if it is loaded. Failed."""
    if only:
        if ruleset.is_marked(target.listing(), number):
            return ""
        return f"the rule for {only} is not loaded any more, so that its new flows get the helper"
    left = target.still_set()
    return f"the loaded ruleset sets the SIP helper again: {left[0]}" if left else ""


def saved_ruleset(journal: Journal) -> str | None:
    data = copies.load(journal.folder, RULESET, journal.fact(steps.SAVED, "ruleset", ""))
    return None if data is None else data.decode("utf-8", "surrogateescape")


def check_effect(target: Target, journal: Journal, only: str) -> None:
    """The loaded ruleset must be the earlier one, without the SIP helper. Failed."""
    journal.step(steps.EFFECT)
    before = saved_ruleset(journal)
    if before is None:
        raise Failed("the saved ruleset is damaged")
    now = target.listing()
    if only and not ruleset.is_marked(now, journal.number):
        raise Failed("the rule for this phone is not loaded")
    if not only and (left := target.still_set()):
        raise Failed(f"the loaded ruleset still sets the SIP helper: {left[0]}")
    other = [
        line
        for line in ruleset.differences(before, now)
        if not ruleset.is_marked(line, journal.number)
    ]
    if other:
        raise Failed(f"the loaded ruleset is not what it was: {other[0]} "
                     f"({len(other)} lines that have nothing to do with helpers)")  # fmt: skip


def check_restored(target: Target, journal: Journal) -> list[str]:
    """Sentences about differences from the saved ruleset. After a change in force for a while only
    rules about helpers count: others may have changed the rest since."""
    before = saved_ruleset(journal)
    if before is None:
        return ["the saved ruleset is damaged: whether all of it is back cannot be told"]
    try:
        now = target.listing()
    except Failed as why:
        return [f"whether all of it is back cannot be told: {why}"]
    if now == before:
        return []
    lost = ruleset.lost_helpers(before, now)
    if lost:
        return [f"a rule is not back: {lost[0]}"]
    other = ruleset.differences(before, now)
    if not other:
        return []
    said = f"the loaded ruleset differs from the one before the change: {other[0]}"
    if any(journal.has(word) for word in steps.IN_FORCE) or target.notes:
        target.notes.append(f"{said}; somebody else changed it since")
        return []
    return [said]
