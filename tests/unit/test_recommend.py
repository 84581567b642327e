# SPDX-License-Identifier: Apache-2.0
"""Nobody is told to turn the ALG off without harm, cause and counterfactual."""

from __future__ import annotations

import json
from io import StringIO

import pytest
from algwatch.advise.actions import in_words
from algwatch.advise.advice import Advice
from algwatch.compare import line as words
from algwatch.compare.counterfactual import needs_alg, without_alg
from algwatch.compare.line import Line
from algwatch.compare.summary import CallSummary
from algwatch.report.render.json import write_json
from algwatch.report.render.log_line import log_line
from algwatch.report.render.verdict import Verdict
from craft import (
    LADDER_2XX,
    House,
    Incoming,
    Outgoing,
    analyzed,
    answer,
    incoming_call,
    linux_in,
    linux_out,
    register,
    request,
    untouched,
    works_beside,
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


def test_a_certain_class_with_a_provider_that_handles_the_nat_is_recommended() -> None:
    house = House("linux")
    register(house, 0)
    works_beside(house, 0.5)
    forced(house, at=20)
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
    assert [one.state for one in said] == ["suspected", "none"]
    assert any("dropped with nothing rewritten" in line for line in said[1].against)
    assert not said[1].commands
    assert "state=none" in log_line(said[1]) and "withdrawn: " in log_line(said[1])


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


def line(phone: str, *seen: str) -> Line:
    made = Line(phone, "203.0.113.5")
    for word in seen:
        made.observe(word, None, 1)
    return made


@pytest.mark.parametrize(
    ("own", "beside", "answer"),
    [
        ((), (), "unknown"),
        ((words.RPORT_ASKED, words.RPORT_ANSWERED), (), "unknown"),
        ((words.WORKS_UNTOUCHED,), (), "yes"),
        ((words.NAT_HANDLED,), (), "yes"),
        ((), (words.WORKS_UNTOUCHED,), "yes"),
        ((words.DROPS_UNTOUCHED,), (), "no"),
        ((), (words.DROPS_UNTOUCHED,), "no"),
        ((words.FOLLOWS_PHONE,), (), "no"),
        ((words.WORKS_UNTOUCHED, words.DROPS_UNTOUCHED), (), "unknown"),
        ((words.DROPS_UNTOUCHED,), (words.WORKS_UNTOUCHED,), "no"),
        ((words.WORKS_UNTOUCHED,), (words.DROPS_UNTOUCHED,), "yes"),
        ((), (words.WORKS_UNTOUCHED, words.DROPS_UNTOUCHED), "unknown"),
    ],
)
def test_what_was_seen_of_a_line_and_its_provider_decides_the_counterfactual(
    own: tuple[str, ...], beside: tuple[str, ...], answer: str
) -> None:
    others = [line("192.168.1.11", words.RPORT_ASKED, words.ACCEPTED, *beside)]
    assert without_alg(line("192.168.1.10", *own), others).answer == answer


def test_a_phone_that_the_provider_has_never_accepted_speaks_for_nobody() -> None:
    """Anyone in the LAN may answer a call that comes with the provider's address."""
    mine = line("192.168.1.10")
    for stranger in ((), (words.RPORT_ASKED,), (words.ACCEPTED,)):
        beside = [line("192.168.1.66", words.WORKS_UNTOUCHED, words.NAT_HANDLED, *stranger)]
        assert without_alg(mine, beside).answer == "unknown"
    dropped = [line("192.168.1.66", words.DROPS_UNTOUCHED)]
    assert without_alg(mine, dropped).answer == "no"


def test_the_provider_that_fills_in_rport_and_follows_the_contact_is_no_reason_to_recommend() -> (
    None
):
    """The call drops with the helper and without it: rport shows where responses go only."""
    house = House("linux")
    register(house, 0)
    forced(house)
    assert advice(house)["disable-sip-alg"].state == "suspected"


def test_two_phones_behind_two_providers_say_nothing_of_each_other() -> None:
    house = House("linux")
    register(house, 0)
    works_beside(House(provider="203.0.113.99"), 0.5)
    forced(house, at=20)
    assert advice(house)["disable-sip-alg"].state == "suspected"


def unhandled(house: House, call_id: str, at: float, **how: object) -> None:
    """A call that dies of its private Contact, with nothing rewritten."""
    call = Incoming(house, call_id, **how)  # type: ignore[arg-type]
    call.invite(at)
    call.ok(at + 2)
    call.dropped(at + 2)


@pytest.mark.parametrize("rport", [True, False])
def test_rport_is_advised_only_to_a_phone_that_does_not_ask_for_it(rport: bool) -> None:
    house = House()
    register(house, 0, rport=rport)
    unhandled(house, "dead", 1, rport=rport)
    _, reports = analyzed(*house.sorted())
    said = {r.action: r for r in reports if isinstance(r, Advice)}["enable-rport-stun-outbound"]
    verdict = Verdict()
    for report in reports:
        verdict.feed(report)
    verdict.settle({"capture": {"sip_messages": 1}, "crossings": {"paired": 1}})
    assert ("rport" in in_words(said)) is not rport
    assert ("rport" in verdict.next) is not rport
    assert any("asks for rport already" in why for why in said.against) is rport
    assert "STUN or outbound" in in_words(said)


def keep_alive(house: House, at: float) -> None:
    """OPTIONS of the provider, and the phone's 200."""
    asked = request(
        "OPTIONS", f"sip:100@{house.public}", via=f"{house.provider}:5060",
        branch=f"z9hG4bKping{at}", call_id=f"ping{at}", cseq=1,
    )  # fmt: skip
    house.out(at + 0.02, answer(200, house.into(at, asked), to_tag="p"))


def test_a_new_kind_of_reason_is_told_at_once_and_that_it_was_seen_more_often_is_not() -> None:
    house = House("linux")
    register(house, 0, expires=3600)
    forced(house)
    call = Incoming(house, "long")
    call.invite(60)
    call.ok(62)
    call.ack(62.05)
    for at in (70, 80, 90):
        keep_alive(house, at)
    call.bye(200)
    _, reports = analyzed(*house.sorted())
    said = [r for r in reports if isinstance(r, Advice)]
    assert [(r.action, r.state) for r in said] == [("disable-sip-alg", "suspected")] * 2
    assert any("no keep-alive was seen" in why for why in said[0].against)
    assert any("with keep-alives" in why for why in said[1].for_)
    (long,) = [r for r in reports if isinstance(r, CallSummary) and r.call_id == "long"]
    assert reports.index(said[1]) < reports.index(long)


def test_every_kind_of_fault_that_calls_for_an_action_is_among_its_reasons() -> None:
    house = House()
    register(house, 0)
    unhandled(house, "dead", 1)
    for n, at in enumerate((60, 200)):
        call = Outgoing(house, f"ghost{n}")
        call.invite(at)
        call.ok(at + 2)
        call.ack(at + 2.02)
        made = call._request("BYE", 2, "sip:300@203.0.113.5", f";tag={call._tag}")
        house.into(at + 60.03, answer(481, house.out(at + 60, made)))
    _, reports = analyzed(*house.sorted())
    said = [r for r in reports if isinstance(r, Advice) and r.action == "provider-fix-contact"]
    assert len(said) == 2
    assert "refused with 481" in said[1].for_[0]
    assert said[1].for_[1:] == said[0].for_


def test_a_line_that_the_alg_hurts_is_not_told_to_keep_it_when_a_call_lives() -> None:
    house = House("linux")
    register(house, 0, rport=False)
    forced(house, rport=False)
    incoming_call(house, 60, "carried", rport=False)
    _, reports = analyzed(*house.sorted())
    said = [(r.action, r.state) for r in reports if isinstance(r, Advice)]
    assert said == [("disable-sip-alg", "suspected")]


def test_keeping_the_alg_is_withdrawn_before_a_trial_without_it_is_advised() -> None:
    house = House("linux")
    register(house, 0, rport=False)
    incoming_call(house, 1, "carried", rport=False)
    forced(house, at=60, rport=False)
    _, reports = analyzed(*house.sorted())
    said = [(r.action, r.state) for r in reports if isinstance(r, Advice)]
    assert said == [("keep-sip-alg", "recommended"), ("keep-sip-alg", "none"),
                    ("disable-sip-alg", "suspected")]  # fmt: skip


def test_a_phone_with_rport_that_drops_speaks_against_one_without_and_never_for_it() -> None:
    """Where a phone that asks for rport drops without the ALG, one that does not drops all the
    more; that one that asks for it works shows nothing of the other."""
    mine, works, asks = Line("phone", "far"), Line("like", "far"), Line("asks", "far")
    for line in (mine, works):
        line.observe(words.RPORT_MISSING, None, 1)
        line.observe(words.ACCEPTED, None, 1)
    asks.observe(words.RPORT_ASKED, None, 1)
    works.observe(words.WORKS_UNTOUCHED, None, 1)
    assert without_alg(mine, [works, asks]).answer == "yes"
    asks.observe(words.DROPS_UNTOUCHED, None, 1)
    assert without_alg(mine, [works, asks]).answer == "unknown"


NO_RPORT = (words.RPORT_MISSING, words.ACCEPTED)


@pytest.mark.parametrize(
    ("like", "answer"),
    [
        ((*NO_RPORT, words.NO_WAY_BACK, words.WORKS_UNTOUCHED), "yes"),
        # At the port that the NAT kept, responses find it by Via.
        ((*NO_RPORT, words.WORKS_UNTOUCHED), "unknown"),
        # Its responses may owe their way to the ALG.
        ((*NO_RPORT, words.NO_WAY_BACK, words.WORKS_UNTOUCHED, words.REWRITTEN), "unknown"),
        # Anyone's calls.
        ((words.RPORT_MISSING, words.NO_WAY_BACK, words.WORKS_UNTOUCHED), "unknown"),
    ],
)
def test_a_phone_whose_responses_miss_it_needs_one_like_it_that_works(
    like: tuple[str, ...], answer: str
) -> None:
    mine = line("192.168.1.10", *NO_RPORT, words.NO_WAY_BACK, words.WORKS_UNTOUCHED)
    assert without_alg(mine, []).answer == "unknown"
    assert without_alg(mine, [line("192.168.1.11", *like)]).answer == answer


@pytest.mark.parametrize(
    ("seen", "needs"),
    [
        ((words.RPORT_MISSING, words.PRIVATE_CONTACT), True),
        ((words.RPORT_MISSING,), False),  # it writes its public address
        ((words.RPORT_ASKED, words.PRIVATE_CONTACT), False),
        ((words.RPORT_MISSING, words.PRIVATE_CONTACT, words.NAT_HANDLED), False),
    ],
)
def test_only_a_phone_that_does_nothing_about_the_nat_needs_the_alg(
    seen: tuple[str, ...], needs: bool
) -> None:
    assert needs_alg(line("192.168.1.10", *seen), []) is needs


# ---- what strangers can do to the advice ----


def forced_untouched_before(house: House, far: str) -> None:
    """Calls of a far end: one that lives untouched, on a flow that no helper touches, and a forced
    port a while later."""
    caller = House(wan_port=40999, provider=far)
    incoming_call(caller, 60, f"lives@{far}")
    house.lan += caller.lan
    house.wan += caller.wan
    forced(house, f"dies@{far}", at=100, src=far)


def test_the_calls_of_a_foreign_host_do_not_turn_the_alg_off() -> None:
    """It can make its own calls die at the helper, and live elsewhere, as often as it likes."""
    house = House("linux")
    register(house, 0)
    forced_untouched_before(house, "203.0.113.66")
    said = advice(house)["disable-sip-alg"]
    assert said.state == "suspected"
    assert any("may be those of anyone" in line for line in said.against)


def test_the_same_calls_of_the_provider_do() -> None:
    house = House("linux")
    register(house, 0)
    forced_untouched_before(house, house.provider)
    assert advice(house)["disable-sip-alg"].state == "recommended"


def test_a_line_that_needs_the_alg_and_one_that_it_hurts_get_no_contradicting_advice() -> None:
    house = House("linux")
    register(house, 0)
    works_beside(house, 0.5)
    forced(house, at=20)
    needs = House("linux", phone="192.168.1.55", wan_port=40555, provider="203.0.113.99")
    register(needs, 120, rport=False, n=55)
    incoming_call(needs, 130, "needs@other", rport=False)
    house.lan += needs.lan
    house.wan += needs.wan
    _, reports = analyzed(*house.sorted())
    last = {(r.action, r.subject): r for r in reports if isinstance(r, Advice)}
    given = {action: said for (action, _), said in last.items()}
    assert given["keep-sip-alg"].state == given["disable-sip-alg"].state == "suspected"
    assert any("another line needs it" in line for line in given["disable-sip-alg"].against)
    assert any("it hurts another line" in line for line in given["keep-sip-alg"].against)


@pytest.mark.parametrize(
    ("tags", "src", "status", "shown"),
    [
        (True, "", 200, True),
        (True, "", 481, False),  # to the phone it is of no dialog
        (True, "", 0, False),  # the phone says nothing to it
        (False, "", 200, False),  # of no dialog
        (True, "203.0.113.66", 200, False),  # of another host, which may have overheard the tags
    ],
)
def test_only_a_bye_that_the_phone_takes_shows_that_the_provider_handles_the_nat(
    tags: bool, src: str, status: int, shown: bool
) -> None:
    house = House(wan_port=40123)
    call = Incoming(house, "in@provider")
    call.invite(1)
    call.ok(3)
    made = call._in_dialog("BYE", 2, f"{src or house.provider}:5060", ())
    if not tags:
        made = made.replace(b"tag=", b"tag=other")
    seen = house.into(3.2, made, src=src or house.provider)
    if status:
        house.out(3.22, answer(status, seen), dst=src)
    pipeline, _ = analyzed(*house.sorted())
    lines = pipeline._comparison.lines.all()
    assert any(line.count(words.NAT_HANDLED) for line in lines) is shown
