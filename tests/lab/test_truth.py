"""The judge of the verdicts is strict: a wrong word, name or advice never passes."""

from __future__ import annotations

import copy
from typing import Any

import pytest

from .draw import Draw, is_private
from .scenarios import SCENARIOS
from .truth import judge

FACTS: dict[str, Any] = {
    "addresses": ["192.0.2.7", "10.1.2.3"],
    "call_ids": ["drawn@10.1.2.3", "register"],
    "calls": [{"call_id": "drawn@10.1.2.3"}],
    "dead_call_ids": ["drawn@10.1.2.3"],
    "must_name": {"ALG011": ["37481"]},
}


def finding(rule: str, where: str, summary: str) -> dict[str, Any]:
    return {
        "rule": rule, "where": where, "harm": "observed", "call_id": "drawn@10.1.2.3",
        "side": "lan", "summary": summary, "evidence": [],
    }  # fmt: skip


VERDICT: dict[str, Any] = {
    "findings": [
        finding("ALG011", "router", "delivered to 10.1.2.3:37481"),
        finding("DLG001", "router", "the ACK never reached 10.1.2.3"),
    ],
    "advice": [{"action": "disable-sip-alg", "state": "recommended"}],
    "calls": [{"call_id": "drawn@10.1.2.3", "outcome": "dropped", "ack": "missing"}],
    "verdict": {"state": "hurts", "why": ["the ACK arrived at another port"], "next": ""},
    "exit": 1,
}
TRUTH = SCENARIOS["6b-on"].truth


def test_the_true_verdict_has_no_fault() -> None:
    score = judge(TRUTH, FACTS, VERDICT)
    assert not score.faults
    assert (score.precision, score.recall) == (1.0, 1.0)


@pytest.mark.parametrize(
    ("path", "value", "fault"),
    [
        (("findings", 0, "where"), "phone", "missing: ALG011"),
        (("findings", 0, "where"), "phone", "no ALG but the router's"),
        (("findings", 0, "summary"), "37481: not the Linux helper", "it is the Linux helper"),
        (("findings", 1, "where"), "provider", "false: DLG001 where provider"),
        (("findings", 0, "harm"), "none", "missing: ALG011"),
        (("findings", 1, "rule"), "DLG004", "false: DLG004"),
        (("findings", 0, "summary"), "delivered to 10.1.2.3:5060", "does not name 37481"),
        (("findings", 0, "summary"), "10.9.9.9 port 37481", "an address nobody drew: 10.9.9.9"),
        (("findings", 1, "call_id"), "other", "a Call-ID nobody drew"),
        (("findings", 1, "call_id"), "register", "blames the wrong call"),
        (("advice", 0, "action"), "keep-sip-alg", "false advice: keep-sip-alg"),
        (("advice", 0, "state"), "suspected", "missing advice: disable-sip-alg"),
        (("calls", 0, "outcome"), "completed", "truly dropped"),
        (("calls", 0, "call_id"), "stranger", "a call that was not made"),
        (("verdict", "state"), "fine", "state fine, truly hurts"),
        (("exit",), 0, "exit status 0 with the state hurts"),
    ],
)
def test_one_wrong_word_is_a_fault(path: tuple[Any, ...], value: Any, fault: str) -> None:
    verdict: Any = copy.deepcopy(VERDICT)
    at = verdict
    for step in path[:-1]:
        at = at[step]
    at[path[-1]] = value
    assert any(fault in f for f in judge(TRUTH, FACTS, verdict).faults)


def test_over_mqtt_a_pseudonym_stands_for_the_call_and_only_with_its_host() -> None:
    verdict: Any = copy.deepcopy(VERDICT)
    del verdict["calls"]
    for said, true in (
        ("c-0123456789ab@10.1.2.3", True),
        ("c-0123456789ab@10.1.2.4", False),
        ("c-0123456789ab", False),
        ("stranger@10.1.2.3", False),
    ):
        for one in verdict["findings"]:
            one["call_id"] = said
        assert (not judge(TRUTH, FACTS, verdict).faults) == true


@pytest.mark.parametrize("number", [n for n in SCENARIOS if n != "6b-on"])
def test_disable_is_a_fault_everywhere_but_in_6b(number: str) -> None:
    verdict = {"findings": [], "advice": [{"action": "disable-sip-alg", "state": "suspected"}]}
    facts = FACTS | {"must_name": {}}
    faults = judge(SCENARIOS[number].truth, facts, verdict).faults
    assert "false advice: disable-sip-alg suspected" in faults


def test_a_draw_never_gives_one_address_two_roles() -> None:
    for seed in range(300):
        draw = Draw(seed)
        assert len(draw.addresses()) == 7
        assert is_private(draw.phone_ip)
        assert not is_private(draw.wan_ip)
        assert len({draw.phone_port, draw.contact_port, draw.via_port}) == 3


def test_the_same_seed_draws_the_same() -> None:
    one, other = (vars(Draw(42)) for _ in range(2))
    del one["random"], other["random"]
    assert one == other
