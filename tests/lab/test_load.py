# SPDX-License-Identifier: Apache-2.0
"""The short form of `make lab-calls`: every number of the agent is that of the wire."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from .conftest import SEED, no_lab
from .load import faults_of
from .play import NO_LAB

LOAD = Path(__file__).resolve().parent / "load.py"
TRUE = {"calls": 60, "completed": 60, "lan": 424, "wan": 424, "paired": 424, "rewritten": 180,
        "harmful": 0, "advice": 0, "drops": 0}  # fmt: skip


def test_sixty_calls_are_counted_exactly() -> None:
    env = dict(os.environ, CALLS="60", RATE="15", SEED=str(SEED))
    done = subprocess.run(
        [sys.executable, str(LOAD)], env=env, capture_output=True, text=True, timeout=120,
        check=False,
    )  # fmt: skip
    if done.returncode == NO_LAB:
        no_lab(done.stderr.strip().splitlines()[-1])
    assert done.returncode == 0, f"{done.stdout}\n{done.stderr}"


def test_a_number_that_differs_by_one_is_told() -> None:
    numbers = {"ends": [30, 30], "truly": TRUE, "said": TRUE}
    assert not faults_of(numbers, 60)
    for name in TRUE:
        assert faults_of({**numbers, "said": {**TRUE, name: TRUE[name] + 1}}, 60)
    assert faults_of({**numbers, "ends": [30, 29]}, 60)
