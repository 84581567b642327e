# SPDX-License-Identifier: Apache-2.0
"""Nobody attacks: each play is judged right, or what is said of the attacks means nothing."""

from __future__ import annotations

from ..stage import PLAYS, Attempt, Stage


def _wait(stage: Stage) -> None:
    stage.over.wait()


ATTEMPTS = [
    Attempt(
        f"quiet-{play.__name__}", "quiet", play, "nothing", _wait, quick=play.__name__ == "dying"
    )
    for play in PLAYS
]
