# SPDX-License-Identifier: Apache-2.0
"""Undo: take back one change, from any step of its journal."""

from __future__ import annotations

import time

from algwatch.act import live, openwrt, state, steps
from algwatch.act.nftables import Nftables
from algwatch.act.router import Router
from algwatch.act.target import Target
from algwatch.advise.platforms import plan
from algwatch.advise.platforms.plan import Plan
from algwatch.kernel.flows import Flows
from algwatch.quiet import suppress

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from algwatch.act.changes import Changes
    from algwatch.act.journal import Journal

PATIENCE = 200.0  # seconds for phones in a call, or coming back one by one


def facts(made: Plan) -> dict[str, object]:
    """A plan for the journal; planned() is its reverse."""
    return {"platform": made.platform, "edits": [list(one) for one in made.edits],
            "rules": [list(one) for one in made.rules], "kept": list(made.kept)}  # fmt: skip


def planned(journal: Journal) -> Plan:
    fact = journal.fact(steps.BEGIN, "plan", {})
    return Plan(
        fact.get("platform", plan.NFTABLES),
        tuple(plan.Edit(*one) for one in fact.get("edits", [])),
        tuple(plan.HelperRule(*one) for one in fact.get("rules", [])),
        tuple(fact.get("kept", [])),
    )


def target_of(router: Router, made: Plan) -> Target:
    if made.platform == plan.NFTABLES:
        return Nftables(router, made)
    return openwrt.of(made.platform)(router, made)


def undo(router: Router, changes: Changes, journal: Journal, why: str,
         say: Callable[[str], None], patience: float = PATIENCE) -> list[str]:  # fmt: skip
    """Configuration and ruleset first, then the live entries. Returns the parts that could not be
    restored; then the change counts as unfinished and the next attempt begins here. why: a
    sentence."""
    say(f"change {journal.number} is undone: {why}")
    with suppress(OSError):  # also on a disk that is full: every part may be done twice
        journal.step(steps.UNDO, why=why)
    target = target_of(router, planned(journal))
    problems = target.restore(journal)
    for note in target.notes:
        say(note)
    left: dict[str, str] = {}
    names = journal.fact(steps.LIVE, "entries", [])
    if names and journal.fact(steps.BEGIN, "boot") == router.boot:
        try:
            with Flows() as flows:
                left = live.renew(flows, names, live.Timeouts(router), patience, say)
        except OSError as problem:
            problems.append(f"live entries cannot be deleted: {problem.strerror}")
    for name, reason in left.items():
        say(f"{name} goes on without the helper until it ends: {reason}")
    if not problems:
        finish(changes, journal, steps.ROLLED_BACK, why=why, left=list(left))
    return problems


def finish(changes: Changes, journal: Journal, word: str, **more: object) -> None:
    """The journal's last word, and the file for reports. OSError if the word does not count: an
    undone change is undone all the same."""
    try:
        journal.step(word, **more)
    except OSError:
        if word != steps.ROLLED_BACK:
            raise
        with suppress(OSError):
            journal.drop_copies()  # a full disk: all is restored, so the copies are not needed
            journal.step(word, **more)
    with suppress(OSError):
        others = [one for one in state.read(changes.folder) if one.number != journal.number]
        phone = journal.fact(steps.BEGIN, "only", "") or state.ALL
        now = state.Change(journal.number, word, int(time.time()), phone)
        state.write(changes.folder, [*others, now][-64:])
