# SPDX-License-Identifier: Apache-2.0
"""A call that the ALG kills is diagnosed as well in any flood as without one."""

from __future__ import annotations

from functools import cache

import floods
import pytest
from algwatch.base.packet import LAN, WAN
from algwatch.pipeline import Pipeline, Report
from floods import FLOODS, Flood, Said
from sample import some

ONE_OF_A_KIND = (
    floods.responses_of_the_provider,
    floods.invites_of_a_lan_host,
    floods.invites_of_the_provider,
    floods.invites_of_many_through_the_mapping,
    floods.new_addresses_of_a_lan_host,
    floods.tags_of_one_call,
)


@cache
def quiet() -> Said:
    return floods.said(floods.run(None, 0)[0])


def held_back(reports: list[Report]) -> str:
    """The differences from a house without a flood; "" where there are none."""
    findings, advice = floods.said(reports)
    wanted, given = quiet()
    said = [f"not said: {one}" for one in wanted - findings]
    said += [f"said: {one}" for one in findings - wanted]
    if advice != given:
        said.append(f"advice: {advice}")
    return "; ".join(said)


def test_without_a_flood_it_is_known_and_disabling_is_recommended() -> None:
    findings, advice = quiet()
    assert {("DLG001", "observed", "router"), ("ALG011", "observed", "router")} <= findings
    assert advice == {"disable-sip-alg": "recommended"}


@pytest.mark.parametrize("rate", [50, 150])
@pytest.mark.parametrize("flood", some(FLOODS, 4), ids=lambda flood: flood.__name__)
def test_a_flood_of_ten_seconds_hides_nothing(flood: Flood, rate: int) -> None:
    assert held_back(floods.run(flood, rate)[0]) == ""


@pytest.mark.parametrize("flood", some(FLOODS, 4), ids=lambda flood: flood.__name__)
def test_nor_does_one_of_two_thousand_a_second(flood: Flood) -> None:
    """From before the INVITE until the 2xx was sent."""
    assert held_back(floods.run(flood, 2000, floods.CALL_AT - 0.4, 2.5)[0]) == ""


@pytest.mark.parametrize("flood", some(ONE_OF_A_KIND, 3), ids=lambda flood: flood.__name__)
def test_nor_does_one_of_two_thousand_a_second_for_ten_seconds(flood: Flood) -> None:
    assert held_back(floods.run(flood, 2000)[0]) == ""


@pytest.mark.parametrize("flood", some(ONE_OF_A_KIND, 3), ids=lambda flood: flood.__name__)
def test_nor_does_one_that_lasts_as_long_as_the_call(flood: Flood) -> None:
    assert held_back(floods.run(flood, 150, floods.CALL_AT - 2, 40)[0]) == ""


def test_a_flood_that_rings_costs_no_call_that_was_answered() -> None:
    reports, pipeline = floods.run(floods.invites_that_ring, 300, floods.CALL_AT + 2.2, 4)
    assert held_back(reports) == ""
    assert pipeline.counts()["evicted"]["calls"] > 500


RESPONSES = tuple(flood for flood in FLOODS if flood.__name__.startswith("responses"))


@pytest.mark.parametrize("flood", some(RESPONSES, 2), ids=lambda flood: flood.__name__)
def test_responses_that_answer_nothing_have_no_state(flood: Flood) -> None:
    most = {"transactions": 0, "dialogs": 0, "calls": 0, "waiting": 0}

    def watch(pipeline: Pipeline) -> None:
        comparison = pipeline._comparison
        assert comparison.pairing is not None
        for side in (LAN, WAN):
            held = comparison.sides[side]
            most["transactions"] = max(most["transactions"], len(held.transactions.table))
            most["dialogs"] = max(most["dialogs"], len(held.dialogs.table))
        most["calls"] = max(most["calls"], len(comparison.calls.table))
        most["waiting"] = max(most["waiting"], len(comparison.pairing.waiting.copies()))

    reports, pipeline = floods.run(flood, 200, warm=200, watch=watch)
    assert held_back(reports) == ""
    assert pipeline.counts()["evicted"]["strays"] >= 2000
    assert most["transactions"] < 10
    assert most["dialogs"] <= 2
    assert most["calls"] <= 2
    assert most["waiting"] < 10


def test_a_response_after_the_start_may_answer_what_was_asked_before() -> None:
    _, pipeline = floods.run(floods.responses_of_a_host, 200)
    assert "strays" not in pipeline.counts()["evicted"]
    assert pipeline.counts()["evicted"]["unsolicited"] > 1000


def test_what_was_turned_away_is_counted() -> None:
    _, pipeline = floods.run(floods.invites_of_a_lan_host, 2000, seconds=3)
    evicted = pipeline.counts()["evicted"]
    assert evicted["transactions"] > 4000
    assert evicted["calls"] > 4000
