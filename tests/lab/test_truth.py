# SPDX-License-Identifier: Apache-2.0
"""The judge of the verdicts is strict: a wrong word, name or advice never passes."""

from __future__ import annotations

import copy
from typing import Any

import pytest

from .draw import Draw, is_private
from .scenarios import SCENARIOS
from .truth import judge

DISABLE = "disable-sip-alg"
FACTS: dict[str, Any] = {
    "addresses": ["192.0.2.7", "10.1.2.3"],
    "call_ids": ["drawn@10.1.2.3", "living@10.1.2.4", "register"],
    "calls": [
        {"call_id": "drawn@10.1.2.3", "name": "incoming"},
        {"call_id": "living@10.1.2.4", "name": "other-phone"},
    ],
    "phone": ["10.1.2.3", 5060],
    "dead_call_ids": ["drawn@10.1.2.3"],
    "must_name": {"ALG011": ["37481"], "disable-sip-alg": ["10.1.2.4"]},
}


def finding(rule: str, where: str, summary: str) -> dict[str, Any]:
    return {
        "rule": rule, "where": where, "harm": "observed", "call_id": "drawn@10.1.2.3",
        "side": "lan", "summary": summary, "evidence": [],
    }  # fmt: skip


def advice(action: str, state: str, reason: str = "") -> dict[str, Any]:
    return {
        "action": action, "state": state, "for": [reason], "subject": "10.1.2.3 and 192.0.2.7",
    }  # fmt: skip


VERDICT: dict[str, Any] = {
    "findings": [
        finding("ALG011", "router", "delivered to 10.1.2.3:37481"),
        finding("DLG001", "router", "the ACK never reached 10.1.2.3"),
    ],
    "advice": [advice("disable-sip-alg", "recommended", "1 call to 10.1.2.4 completed")],
    "calls": [
        {"call_id": "drawn@10.1.2.3", "outcome": "dropped", "ack": "missing"},
        {"call_id": "living@10.1.2.4", "outcome": "completed", "ack": "seen"},
    ],
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
        (("findings", 0, "call_id"), "living@10.1.2.4", "ALG011 blames the wrong call"),
        (("advice", 0, "action"), "keep-sip-alg", "false advice: keep-sip-alg"),
        (("advice", 0, "state"), "suspected", "missing advice: disable-sip-alg"),
        (("advice", 0, "for"), ["rport was answered"], "does not name 10.1.2.4"),
        (("advice", 0, "subject"), "10.1.2.4 and 192.0.2.7", "about the wrong phone"),
        (("calls", 0, "outcome"), "completed", "truly dropped"),
        (("calls", 1, "outcome"), "dropped", "truly completed"),
        (("calls", 1, "ack"), "missing", "truly completed, seen"),
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


@pytest.mark.parametrize(
    "number",
    [
        n
        for n, s in SCENARIOS.items()
        if DISABLE not in " ".join([*s.truth.advice, *s.truth.may_advise])
    ],
)
def test_disable_is_a_fault_where_the_alg_is_not_the_cause(number: str) -> None:
    verdict = {"findings": [], "advice": [advice("disable-sip-alg", "suspected")]}
    facts = FACTS | {"must_name": {}}
    faults = judge(SCENARIOS[number].truth, facts, verdict).faults
    assert "false advice: disable-sip-alg suspected" in faults


@pytest.mark.parametrize(("number", "wrong"), [("6b-on", "suspected"), ("6c-on", "recommended")])
def test_disable_is_recommended_only_where_the_provider_was_seen_to_handle_the_nat(
    number: str, wrong: str
) -> None:
    verdict = {"findings": [], "advice": [advice("disable-sip-alg", wrong)]}
    (needed,) = SCENARIOS[number].truth.advice.items()
    fault = f"missing advice: {' '.join(needed)}, got {{'disable-sip-alg': '{wrong}'}}"
    assert fault in judge(SCENARIOS[number].truth, FACTS, verdict).faults


def test_the_other_phone_shares_the_house_and_the_provider_and_no_port_that_is_helped() -> None:
    for seed in range(300):
        draw = Draw(seed)
        other = draw.of_other_phone()
        assert other.phone_ip != draw.phone_ip and other.lan == draw.lan
        assert other.provider_ip == draw.provider_ip and other.provider_port != 5060
        assert other.user != draw.user and other.media_port != draw.media_port


def test_a_draw_never_gives_one_address_two_roles() -> None:
    for seed in range(300):
        draw = Draw(seed)
        assert len(draw.addresses()) == 8 + 2 + len(draw.far_ips)
        assert is_private(draw.phone_ip) and is_private(draw.other_ip)
        assert not is_private(draw.wan_ip)
        assert len({draw.phone_port, draw.contact_port, draw.via_port}) == 3


def test_the_same_seed_draws_the_same() -> None:
    one, other = (vars(Draw(42)) for _ in range(2))
    del one["random"], other["random"]
    assert one == other
