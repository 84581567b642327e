# SPDX-License-Identifier: Apache-2.0
"""Changes undone by a reboot, and changes still to undo."""

from __future__ import annotations

from algwatch.act import steps
from algwatch.act.undo import finish, undo

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from algwatch.act.changes import Changes
    from algwatch.act.journal import Journal
    from algwatch.act.router import Router


def survives(journal: Journal) -> bool:
    """True if the change is still there after a reboot."""
    if journal.has(steps.KEEP):
        return True
    return journal.has(steps.COMMIT) and not journal.fact(steps.EDIT, "override")


def settle(router: Router, changes: Changes, say: Callable[[str], None],
           patience: float) -> tuple[bool, list[str]]:  # fmt: skip
    """Undo every unfinished change, and note those undone by a reboot. Returns (something was
    undone, the parts that could not be restored)."""
    problems: list[str] = []
    undone = False
    for journal in changes.unfinished():
        undone = True
        why = f"it stopped half way, behind the step {journal.state}"
        problems += undo(router, changes, journal, why, say, patience)
    for journal in changes.in_force():
        if journal.fact(steps.BEGIN, "boot") != router.boot and not survives(journal):
            finish(changes, journal, steps.ROLLED_BACK, why="a reboot undid it")
    return undone, problems
