# SPDX-License-Identifier: Apache-2.0
"""The short form of `make attack`: some attempts of each group, beside real calls."""

from __future__ import annotations

import os
import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from lab.namespace import NoLab

from .attempts import ATTEMPTS
from .campaign import chosen, play

SEED = int(os.environ.get("ALGWATCH_ATTACK_SEED") or random.randrange(10**6))
AT_ONCE = 4  # each mostly waits for its call
QUICK = chosen([], quick=True)
HERE = Path(__file__).resolve().parent
# What an agent without a CPU never says.
GRAVE = ("false advice", "was sent over MQTT", "was written to the log", "complained", "memory:")


def grave(result: dict[str, Any]) -> bool:
    return any(word in fault for fault in result["faults"] for word in GRAVE)


def alone(results: list[dict[str, Any]], out: Path) -> list[dict[str, Any]]:
    """Beside three others the agent may wait for a CPU until its ring is full. So what went wrong
    is played again, with nobody beside it, twice at most, unless no lack of a CPU can be the
    reason."""
    made = []
    for attempt, result in zip(QUICK, results, strict=True):
        before: list[list[str]] = []
        while result["faults"] and len(before) < 2 and not grave(result):
            before.append(result["faults"])
            folder = out / str(len(before))
            result = play([attempt], result["seed"], folder, 1)[0] | {"before": before}
        made.append(result)
    return made


@pytest.fixture(scope="module")
def results(tmp_path_factory: pytest.TempPathFactory) -> dict[str, dict[str, Any]]:
    paths = [str(HERE.parent), str(HERE.parents[1] / "agent"), os.environ.get("PYTHONPATH", "")]
    os.environ["PYTHONPATH"] = os.pathsep.join(filter(None, paths))
    try:
        made = play(QUICK, SEED, tmp_path_factory.mktemp("attack"), AT_ONCE)
        made = alone(made, tmp_path_factory.mktemp("alone"))
    except NoLab as problem:
        if os.environ.get("CI", "").lower() in ("1", "true"):
            pytest.fail(str(problem))
        pytest.skip(str(problem))
    return {result["name"]: result for result in made}


@pytest.mark.lab
@pytest.mark.parametrize("name", [attempt.name for attempt in QUICK])
def test_the_attacker_gains_nothing(
    results: dict[str, dict[str, Any]], name: str, record_property: Callable[[str, object], None]
) -> None:
    faults = results[name]["faults"]
    if "before" in results[name]:
        before = results[name]["before"]
        record_property("said", f"{name}: {before} where it waited for a CPU, then {faults}")
    assert not faults, f"again: make attack SEED={results[name]['seed']} ONLY={name}"


def test_there_are_attempts_of_every_group_and_no_two_of_one_name() -> None:
    groups = {attempt.group for attempt in ATTEMPTS} - {"quiet"}
    assert groups == {"lies", "blindness", "growth", "leaks", "leftovers"}
    assert {attempt.group for attempt in QUICK} >= groups
    assert len({attempt.name for attempt in ATTEMPTS}) == len(ATTEMPTS) >= 66
