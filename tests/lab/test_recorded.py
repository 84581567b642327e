# SPDX-License-Identifier: Apache-2.0
"""The recorded runs of tests/golden/lab: the same truth where no lab can run.

Nothing is skipped: a verdict that is known to be wrong (AWAITED) has to be wrong still.
"""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from .run import analyze_here
from .scenarios import SCENARIOS, awaits
from .truth import judge

RECORDED = Path(__file__).resolve().parents[1] / "golden" / "lab"


def test_every_scenario_has_been_recorded() -> None:
    assert {p.parent.name for p in RECORDED.glob("*/facts.json")} == set(SCENARIOS)


@pytest.mark.parametrize("number", list(SCENARIOS))
def test_the_verdict_on_a_recorded_run_is_the_truth(number: str) -> None:
    folder = RECORDED / number
    facts = json.loads((folder / "facts.json").read_text())
    verdict = analyze_here(folder / "lan.pcap", folder / "wan.pcap")
    score = judge(SCENARIOS[number].truth, facts, verdict)
    assert not score.false_disable
    if awaits(number):
        assert score.faults, f"right now: take {number} out of AWAITED"
    else:
        assert not score.faults
