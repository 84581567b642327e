"""Nobody is told to turn the ALG off without harm, cause and counterfactual."""

from __future__ import annotations

import json
from io import StringIO

import pytest
from algwatch.advise.advice import Advice
from algwatch.compare.line import Line
from algwatch.report.render.json import write_json
from algwatch.report.render.log_line import log_line
from craft import (
    LADDER_2XX,
    House,
    Incoming,
    analyzed,
    incoming_call,
    linux_in,
    linux_out,
    register,
    untouched,
)


def advice(house: House) -> dict[str, Advice]:
    """The last word on each action."""
    _, reports = analyzed(*house.sorted())
    return {r.action: r for r in reports if isinstance(r, Advice)}


def forced(house: House, call_id: str = "dead", at: float = 1, **how: object) -> None:
    call = Incoming(house, call_id, **how)  # type: ignore[arg-type]
    call.invite(at)
    call.ok(at + 2)
    for after in (0, *LADDER_2XX):
        call.ack(at + 2.03 + after, via_port=5080, lan_port=5080)
    call.dropped(at + 2)


def test_a_certain_class_with_a_provider_that_answers_rport_is_recommended() -> None:
    house = House("linux")
    register(house, 0)
    forced(house)
    said = advice(house)["disable-sip-alg"]
    assert said.state == "recommended"
    assert said.for_
    assert any(house.phone in line for line in said.commands)
    assert house.phone in said.subject


def test_without_any_sign_of_nat_handling_it_is_only_suspected() -> None:
    house = House("linux")
    register(house, 0, rport=False)
    forced(house, rport=False)
    said = advice(house)["disable-sip-alg"]
    assert said.state == "suspected"
    assert any("try it" in line for line in said.against)
    assert any("without rport" in line for line in said.against)


def test_a_phone_whose_calls_drop_without_rewriting_is_not_helped_by_turning_it_off() -> None:
    """Scenario 5b: it drops either way."""
    house = House()
    register(house, 0)
    call = Incoming(house, "before")
    call.invite(1)
    call.ok(3)
    call.dropped(3)
    house.out_alg = linux_out(house.phone, 5060, house.wan_ip, 5060)
    house.in_alg = linux_in(house.phone, 5060, house.wan_ip, 5060)
    forced(house, "after", 60)
    assert "disable-sip-alg" not in advice(house)


def test_advice_is_withdrawn_when_a_call_drops_without_rewriting_too() -> None:
    house = House("linux")
    register(house, 0)
    forced(house, "helper on")
    house.out_alg = house.in_alg = untouched
    call = Incoming(house, "helper off")
    call.invite(100)
    call.ok(102)
    call.dropped(102)
    _, reports = analyzed(*house.sorted())
    said = [r for r in reports if isinstance(r, Advice) and r.action == "disable-sip-alg"]
    assert [one.state for one in said] == ["recommended", "none"]
    assert any("dropped with nothing rewritten" in line for line in said[1].against)
    assert not said[1].commands
    assert "withdrawn for" in log_line(said[1])


def test_what_was_withdrawn_is_in_no_report() -> None:
    given = Advice("disable-sip-alg", "recommended", 0.9, ["why"], [], ["uci set"], "a phone")
    gone = Advice("disable-sip-alg", "none", 0.0, [], ["it drops without it too"], [], "a phone")
    for reports, expected in (([given], 1), ([given, gone], 0), ([given, gone, given], 1)):
        out = StringIO()
        write_json(reports, lambda: {"capture": {}, "crossings": {}}, out)
        assert len(json.loads(out.getvalue())["advice"]) == expected


def test_a_missing_keep_alive_is_named_before_anything_is_turned_off() -> None:
    house = House("linux")
    register(house, 0, expires=3600)
    forced(house)
    assert any("keep-alive" in line for line in advice(house)["disable-sip-alg"].against)


def test_the_same_advice_is_given_once() -> None:
    house = House("linux")
    register(house, 0)
    for i in range(4):
        forced(house, f"dead{i}", 1 + 70 * i)
    _, reports = analyzed(*house.sorted())
    assert len([r for r in reports if isinstance(r, Advice)]) == 1


@pytest.mark.parametrize("alg", ["", "linux"])
def test_healthy_calls_get_no_advice(alg: str) -> None:
    house = House(alg)
    register(house, 0)
    incoming_call(house, 1, "one", fixed_contact=f"sip:100@{house.public}")
    incoming_call(house, 20, "two", fixed_contact=f"sip:100@{house.public}")
    assert not advice(house)


def test_what_a_peer_is_known_for_decides_the_counterfactual() -> None:
    peer = Line("192.168.1.10", "203.0.113.5")
    assert peer.works_without == "unknown"
    peer.dropped_untouched = 1
    assert peer.works_without == "no"
    peer.rport_asked = peer.rport_answered = True
    assert peer.works_without == "no"  # it was seen to fail: rport is no proof against that
    peer.completed_untouched = 1
    assert peer.works_without == "yes"


def test_rport_alone_is_a_hint_and_a_call_without_rewriting_a_proof() -> None:
    peer = Line("192.168.1.10", "203.0.113.5")
    peer.rport_asked = peer.rport_answered = True
    assert peer.works_without == "yes"
    assert not peer.shown_without
    peer.nat_handled = 1
    assert peer.shown_without
