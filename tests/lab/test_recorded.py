# SPDX-License-Identifier: Apache-2.0
"""The recorded runs of tests/golden/lab: the same truth where no lab can run."""

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
    if awaits(number):
        pytest.skip(awaits(number))
    folder = RECORDED / number
    facts = json.loads((folder / "facts.json").read_text())
    verdict = analyze_here(folder / "lan.pcap", folder / "wan.pcap")
    assert not judge(SCENARIOS[number].truth, facts, verdict).faults
