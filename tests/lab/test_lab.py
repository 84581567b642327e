# SPDX-License-Identifier: Apache-2.0
"""The agent, started as a user starts it, says the truth about every scenario.

Twice each: as its reports came over MQTT while it happened, and from the recording of the same
run with `algwatch analyze`. A false "disable" is the worst fault that the program can have.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from .agent import verdict_of
from .conftest import RUNS, SEED, Lab, Played
from .scenarios import SCENARIOS, awaits
from .truth import Score, judge, with_crowd

IDS = [f"{number}:{n}" for n, (number, _) in enumerate(RUNS)]
EACH = pytest.mark.parametrize("index", range(len(RUNS)), ids=IDS)


def judged(lab: Lab, index: int) -> Played:
    """Skips the test for a scenario that waits for a rule."""
    played = lab.runs[index]
    if awaits(played.number):
        pytest.skip(awaits(played.number))
    return played


def score_of(played: Played, verdict: dict[str, Any]) -> Score:
    return judge(SCENARIOS[played.number].truth, played.facts, verdict)


@EACH
def test_what_came_over_mqtt_is_the_truth(lab: Lab, index: int) -> None:
    played = judged(lab, index)
    assert not played.result["fault"], played.result["fault"]
    assert not score_of(played, verdict_of(played.result["mqtt"])).faults


@EACH
def test_what_analyze_says_about_the_recording_is_the_truth(lab: Lab, index: int) -> None:
    played = judged(lab, index)
    verdict = played.analyzed()
    assert not score_of(played, verdict).faults


@EACH
def test_the_agent_is_born_and_dies_on_its_state_topic(lab: Lab, index: int) -> None:
    reports = lab.runs[index].result["mqtt"]
    kinds = [kind for _, kind, _ in reports]
    assert kinds.count("state") >= 2, kinds
    assert not [k for k in kinds if k.startswith("foreign")]
    assert set(kinds) <= {"state", "finding", "advice", "health"}


@EACH
def test_nobody_s_name_or_number_leaves_the_router(lab: Lab, index: int) -> None:
    played = lab.runs[index]
    said = repr(played.result["mqtt"])
    for name in with_crowd(played.facts)["people"]:
        # Evidence is in the result as hexadecimal digits.
        assert name not in said
        assert name.encode().hex() not in said


def test_the_dropped_call_is_announced_before_it_drops(lab: Lab) -> None:
    for played in lab.live("6b-on", "6c-on", "4"):
        said = [at for at, kind, p in played.result["mqtt"] if kind == "finding"]
        assert said, "no finding at all"
        assert min(said) < 32, "the first finding came only after the call had dropped"


def test_disable_is_recommended_only_where_the_alg_is_the_cause(lab: Lab) -> None:
    for played in lab.judged:
        for verdict in (verdict_of(played.result["mqtt"]), played.analyzed()):
            given = {a["action"]: a["state"] for a in verdict["advice"] if a["state"] != "none"}
            truth = SCENARIOS[played.number].truth
            expected: list[str | None] = [*truth.advice.get("disable-sip-alg", "").split()]
            expected = expected or [None]
            if "disable-sip-alg:suspected" in truth.may_advise:
                expected += ["suspected"]
            assert given.get("disable-sip-alg") in expected, played.number


def test_6b_the_other_phone_makes_the_advice_certain_before_the_call_drops(lab: Lab) -> None:
    for played in lab.live("6b-on"):
        states = [
            (at, a["state"])
            for at, kind, payload in played.result["mqtt"] if kind == "advice"
            for a in payload["advice"]
        ]  # fmt: skip
        first = "recommended" if played.facts["other_first"] else "suspected"
        assert (states[0][1], states[-1][1]) == (first, "recommended")
        assert min(at for at, state in states if state == "recommended") < 32


def test_precision_and_recall_over_all_scenarios(
    lab: Lab, record_property: Callable[[str, object], None]
) -> None:
    score = Score()
    for played in lab.judged:
        for verdict in (verdict_of(played.result["mqtt"]), played.analyzed()):
            score.add(score_of(played, verdict))
    record_property(
        "said",
        f"lab, seed {SEED}: {len(lab.judged)} runs, two verdicts each: "
        f"precision {score.precision:.3f}, recall {score.recall:.3f} "
        f"({score.true} true, {score.false} false, "
        f"{score.missed} missed)",
    )
    assert (score.precision, score.recall) == (1.0, 1.0)
