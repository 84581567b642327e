# SPDX-License-Identifier: Apache-2.0
"""The lab is true: each scenario shows on the wire what it claims, whatever the agent says.

These tests read the captures with the lab's own reader and know nothing of the agent.
"""

from __future__ import annotations

import pytest

from .conftest import Lab, Played
from .draw import is_private
from .sip import host_port, sent_by, uri_of
from .wire import ICMP, Packet, of_call, requests, responses

DEAD = ["4", "5b-on", "5b-off", "6b-on", "6c-on", "6c-off", "14-on", "14-off"]
LIVE = ["1", "2", "3", "6b-off"]
# RFC 3261 section 13.3.1.4: when the 2xx leaves again, in seconds after the first one.
LADDER = [0.0, 0.5, 1.5, 3.5, 7.5, 11.5, 15.5, 19.5, 23.5, 27.5, 31.5]


def only(lab: Lab, number: str) -> Played:
    return lab.of(number)[0]


def dead(played: Played) -> tuple[list[Packet], list[Packet]]:
    """The one call that drops, on the LAN and on the WAN side."""
    (call_id,) = played.facts["dead_call_ids"]
    return of_call(played.lan, call_id), of_call(played.wan, call_id)


@pytest.mark.parametrize("number", LIVE)
def test_a_live_scenario_completes_every_call_with_its_ack(lab: Lab, number: str) -> None:
    for played in lab.of(number):
        assert all(c["acked"] and c["outcome"] == "completed" for c in played.facts["calls"])
        for call in played.facts["calls"]:
            for side in (played.lan, played.wan):
                acks = [p for p in requests(side, "ACK") if p.sip]
                assert [a for a in acks if a.sip and a.sip.get("Call-ID") == call["call_id"]]
            if call["incoming"]:
                assert call["sent_finals"] == 1


@pytest.mark.parametrize("number", DEAD)
def test_a_dead_call_repeats_its_answer_on_the_rfc_ladder_and_ends_after_32_s(
    lab: Lab, number: str
) -> None:
    played = only(lab, number)
    (call,) = (c for c in played.facts["calls"] if c["name"] == "incoming")
    assert (call["outcome"], call["acked"]) == ("dropped", False)
    for side in dead(played):
        finals = [p.at for p in responses(side, 200, "INVITE")]
        assert [round(at - finals[0], 3) for at in finals] == pytest.approx(LADDER, abs=0.3)
        bye = requests(side, "BYE")[0]
        assert bye.at - finals[0] == pytest.approx(32.0, abs=0.3)


@pytest.mark.parametrize("number", ["2", "3", "5b-on", "6b-on", "6c-on", "14-on"])
def test_with_the_helper_on_the_router_rewrites_the_register(lab: Lab, number: str) -> None:
    for played in lab.of(number):
        before, after = requests(played.lan, "REGISTER")[0], requests(played.wan, "REGISTER")[0]
        assert before.sip and after.sip
        assert before.raw != after.raw
        assert host_port(before.sip.get("Contact"))[0] == played.facts["phone"][0]
        assert host_port(after.sip.get("Contact"))[0] == played.facts["wan_ip"]
        assert sent_by(after.sip.get("Via"))[0] == played.facts["wan_ip"]


@pytest.mark.parametrize("number", ["1", "4", "5b-off", "6b-off", "6c-off", "14-off"])
def test_with_the_helper_off_both_copies_of_every_message_are_the_same(
    lab: Lab, number: str
) -> None:
    for played in lab.of(number):
        lan = {p.raw for p in played.lan if p.sip}
        assert lan
        # A packet that the firewall dropped has no LAN copy; every LAN packet has its WAN copy.
        assert lan <= {p.raw for p in played.wan if p.sip}


@pytest.mark.parametrize("number", ["4", "5b-on", "5b-off", "6c-off"])
def test_a_private_contact_leaves_the_router_and_no_ack_ever_comes(lab: Lab, number: str) -> None:
    played = only(lab, number)
    for answer in responses(played.wan, 200, "INVITE"):
        assert answer.sip
        host, port = host_port(uri_of(answer.sip.get("Contact")))
        assert (host, port) == (played.facts["phone"][0], played.facts["contact_port"])
        assert is_private(host)
    assert not requests(played.wan, "ACK")
    assert not requests(played.lan, "ACK")


def test_5b_contact_names_another_port_than_the_phone_sends_from(lab: Lab) -> None:
    for played in lab.of("5b-on", "5b-off"):
        assert played.facts["contact_port"] != played.facts["phone"][1]
        assert all(
            p.source[1] == played.facts["phone"][1] for p in responses(played.lan, 200, "INVITE")
        )


@pytest.mark.parametrize("number", ["6b-on", "6c-on"])
def test_6_the_ack_reaches_the_router_and_leaves_it_for_the_port_of_its_via(
    lab: Lab, number: str
) -> None:
    played = only(lab, number)
    of_lan, of_wan = dead(played)
    phone, forced = tuple(played.facts["phone"]), played.facts["forced_port"]
    wan, lan = requests(of_wan, "ACK"), requests(of_lan, "ACK")
    assert len(wan) == len(lan) == len(LADDER)
    mapped = responses(of_wan, 200, "INVITE")[0].source
    for packet in wan:
        assert packet.sip
        assert packet.source == tuple(played.facts["provider"])
        assert packet.target == mapped
        assert sent_by(packet.sip.get("Via")) == (played.facts["provider"][0], forced)
    for packet in lan:
        assert packet.target == (phone[0], forced)
        assert forced != phone[1]
    # The INVITE before, with the usual Via, was delivered where it belongs.
    assert requests(of_lan, "INVITE")[0].target == phone


def test_6b_the_phone_refuses_the_misdirected_ack_with_port_unreachable(lab: Lab) -> None:
    refusals = [p for p in only(lab, "6b-on").lan if p.protocol == ICMP]
    assert len(refusals) >= len(LADDER)


def test_6b_the_forced_port_also_gets_into_the_repeated_answers_and_the_bye(lab: Lab) -> None:
    # nf_nat_sip.c, map_addr(): what names the packet's destination gets the forced port,
    # whichever way the packet goes.
    played = only(lab, "6b-on")
    lan, wan = dead(played)
    forced = played.facts["forced_port"]
    vias = [sent_by(p.sip.get("Via"))[1] for p in responses(wan, 200, "INVITE") if p.sip]
    assert vias == [5060] + [forced] * (len(LADDER) - 1)
    assert {sent_by(p.sip.get("Via"))[1] for p in responses(lan, 200, "INVITE") if p.sip} == {5060}
    (_, lan_port), (_, wan_port) = (
        host_port(requests(side, "BYE")[0].raw.decode().split()[1]) for side in (lan, wan)
    )
    assert (lan_port, wan_port) == (5060, forced)


@pytest.mark.parametrize("number", ["6b-on", "6b-off"])
def test_6b_the_other_phone_is_unhelped_and_its_ack_comes_past_its_private_contact(
    lab: Lab, number: str
) -> None:
    played = only(lab, number)
    phone, port = tuple(played.facts["other_phone"]), played.facts["unhelped_port"]
    (call,) = (c for c in played.facts["calls"] if c["name"] == "other-phone")
    lan, wan = (of_call(side, call["call_id"]) for side in (played.lan, played.wan))
    assert port != 5060
    assert {p.raw for p in lan if p.sip} == {p.raw for p in wan if p.sip}
    (answer,) = responses(wan, 200, "INVITE")
    assert answer.sip
    assert host_port(uri_of(answer.sip.get("Contact"))) == phone
    assert answer.target == (played.facts["provider"][0], port)
    ((ack,), (delivered,)) = requests(wan, "ACK"), requests(lan, "ACK")
    assert ack.sip
    assert sent_by(ack.sip.get("Via"))[1] == played.facts["forced_port"]
    assert ack.target == answer.source
    assert delivered.target == phone


def test_6c_the_contact_decides_where_the_ack_goes(lab: Lab) -> None:
    on, off = only(lab, "6c-on"), only(lab, "6c-off")
    for played in (on, off):
        assert {p.sip.get("Via").count(";rport=") for p in responses(played.lan, 200, "REGISTER")
                if p.sip} == {1}  # fmt: skip
        (answer, *_) = responses(played.wan, 200, "INVITE")
        assert answer.sip
        contact = host_port(uri_of(answer.sip.get("Contact")))
        (call,) = played.facts["calls"]
        assert {tuple(to) for to in call["acks"]} == {contact}
    assert off.facts["calls"][0]["acks"][0][0] == off.facts["phone"][0]
    assert on.facts["calls"][0]["acks"][0][0] == on.facts["wan_ip"]


def test_14_the_ack_comes_from_another_host_and_stops_at_the_router(lab: Lab) -> None:
    for played in lab.of("14-on", "14-off"):
        (invite,) = requests(played.wan, "INVITE")
        acks = requests(played.wan, "ACK")
        assert invite.sip
        assert len(invite.sip.all("Via")) == 2
        assert not invite.sip.all("Record-Route")
        assert len(acks) == len(LADDER)
        assert {a.source for a in acks} == {tuple(played.facts["caller"])}
        assert invite.source == tuple(played.facts["provider"]) != acks[0].source
        assert not requests(played.lan, "ACK")


def test_3_neither_phone_nor_provider_does_anything_about_the_nat(lab: Lab) -> None:
    played = only(lab, "3")
    assert all("rport" not in p.raw.decode() for p in requests(played.lan, "REGISTER"))
    for side in (played.lan, played.wan):
        assert all(b"received=" not in p.raw for p in side if p.sip)


def test_draws_differ_from_run_to_run(lab: Lab) -> None:
    seeds = {r.facts["seed"] for r in lab.runs}
    assert len({tuple(r.facts["phone"]) for r in lab.runs}) == len(seeds)
    assert len({c for r in lab.runs for c in r.facts["call_ids"]}) > 2 * len(seeds)
