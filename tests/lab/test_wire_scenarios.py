# SPDX-License-Identifier: Apache-2.0
"""As test_wire.py: what each further scenario shows on the wire, whatever the agent says."""

from __future__ import annotations

import itertools
import re

import pytest

from .conftest import Lab, Played
from .draw import is_private
from .scenarios import SCENARIOS
from .sip import host_port, media_of, sent_by, uri_of
from .wire import Packet, of_call, requests, responses

QUIET = ["5a-off", "6a-off", "7-off", "8-off", "9-off", "16", "22", "22-off", "31", "37-bridge"]
QUIET += ["37-vlan", "37-pppoe", "30-on", "30-off", "30-nflog"]
QUIET += [
    "29",
    "35-prack-on",
    "35-prack-off",
    "35-refer-on",
    "35-refer-off",
    "43-capture",
    "43-helper",
]
QUIET += ["12-off", "43-password-right"]
QUIET += ["39", "42", "44-on", "44-off", "25", "26-expires", "26-space", "28"]


def contact(packet: Packet) -> tuple[str, int]:
    assert packet.sip
    return host_port(uri_of(packet.sip.get("Contact")))


def row(played: Played, name: str) -> str:
    """Call-ID of the call of this name."""
    return next(str(c["call_id"]) for c in played.facts["calls"] if c["name"] == name)


@pytest.mark.parametrize("number", QUIET)
def test_every_call_completes_with_its_ack(lab: Lab, number: str) -> None:
    for played in lab.of(number):
        assert all(c["acked"] and c["outcome"] == "completed" for c in played.facts["calls"])


@pytest.mark.parametrize(
    "number",
    # Fragments are cut elsewhere; a PBX on the router has another call on the other side.
    [n for n, s in SCENARIOS.items() if not s.helper and not n.startswith(("43-fragments", "28-"))],
)
def test_without_helper_and_hop_nothing_is_changed(lab: Lab, number: str) -> None:
    for played in lab.of(number):
        if SCENARIOS[number].truth.alg == "linux":
            assert {p.raw for p in played.lan if p.sip} <= {p.raw for p in played.wan if p.sip}


def test_5a_the_register_shows_no_nat_and_the_answer_does(lab: Lab) -> None:
    for played in lab.of("5a-on"):
        register = requests(played.wan, "REGISTER")[0]
        assert register.sip
        assert not is_private(contact(register)[0])
        assert sent_by(register.sip.get("Via")) == register.source
        assert contact(responses(played.wan, 200, "INVITE")[0])[0] == played.facts["phone"][0]
        assert not requests(played.wan, "ACK")


def test_6a_the_invite_goes_to_the_port_of_its_via(lab: Lab) -> None:
    for played in lab.of("6a-on"):
        call_id = row(played, "incoming")
        forced = (played.facts["phone"][0], played.facts["forced_port"])
        assert len(requests(of_call(played.wan, call_id), "INVITE")) == 7
        assert {p.target for p in requests(of_call(played.lan, call_id), "INVITE")} == {forced}
        assert not [p for p in of_call(played.lan, call_id) if p.sip and p.sip.status]


def test_7_the_answer_to_the_register_goes_to_the_port_of_its_via(lab: Lab) -> None:
    for played in lab.of("7-on", "7c-on"):
        port = played.facts.get("forced_port", played.facts["contact_port"])
        answers = [
            p for p in responses(played.lan, 200, "REGISTER")
            if p.target[0] == played.facts["phone"][0]
        ]  # fmt: skip
        assert {p.target[1] for p in answers} == {port} != {played.facts["phone"][1]}


def test_8_both_phones_offer_one_port_and_one_invite_never_leaves(lab: Lab) -> None:
    for played in lab.of("8-on"):
        first, second = (
            requests(of_call(played.lan, row(played, name)), "INVITE")
            for name in ("other-phone", "outgoing")
        )
        ports = [media_of(i[0].sip.body) for i in (first, second) if i[0].sip]
        assert ports[0] and ports[1] and ports[0][1] == ports[1][1]
        assert ports[0][0] != ports[1][0]
        assert len(second) == 7
        assert not requests(of_call(played.wan, row(played, "outgoing")), "INVITE")


def test_9_content_length_is_that_of_another_body(lab: Lab) -> None:
    for number, right in (("9-on", False), ("9-off", True)):
        for played in lab.of(number):
            invite = requests(played.wan, "INVITE")[0]
            assert invite.sip and invite.sip.get("Content-Type").startswith("multipart/mixed")
            assert (int(invite.sip.get("Content-Length")) == len(invite.sip.body)) == right


@pytest.mark.parametrize("kind", ["10a", "10b", "10c", "10d"])
def test_10_it_leaves_only_where_no_helper_reads_it(lab: Lab, kind: str) -> None:
    method = "REGISTER" if kind == "10d" else "INVITE"
    for played in lab.of(f"{kind}-on", f"{kind}-off"):
        sent = requests(played.lan, method)
        assert bool(requests(played.wan, method)) == played.number.endswith("off")
        text = sent[0].raw.decode()
        assert {
            "10a": not re.search(r"\r\n(content-length|l)\s*:", text, re.IGNORECASE),
            "10b": "IN IP4 pbx.example.org" in text,
            "10c": any(f"m=audio {port} " in text for port in range(1, 1024)),
            "10d": 'expires="600"' in text,
        }[kind]


def test_17_the_ack_is_lost_on_the_side_that_is_told(lab: Lab) -> None:
    for played in lab.of("17-in", "19-5", "19-10", "19-32"):
        call_id = row(played, "incoming")
        assert len(responses(of_call(played.wan, call_id), 200, "INVITE")) > 3
        assert not requests(of_call(played.wan, call_id), "ACK")
        assert requests(of_call(played.wan, row(played, "before")), "ACK")


def test_17_and_18_the_ack_left_the_router_and_the_answer_still_comes(lab: Lab) -> None:
    for played in lab.of("17-out", "18"):
        packets = of_call(played.wan, row(played, "outgoing"))
        finals = [p for p in packets if p.sip and p.sip.status >= 200 and p.sip.method == "INVITE"]
        assert len(finals) > 8
        assert len(requests(packets, "ACK")) == len(finals)


def test_20_the_bye_left_and_nobody_answered(lab: Lab) -> None:
    for played in lab.of("20"):
        assert len(requests(played.wan, "BYE")) == 11
        assert not responses(played.wan, 200, "BYE")


def test_33_the_call_stops_at_the_firewall_after_a_silence(lab: Lab) -> None:
    for played in lab.of("33-dead", "32"):
        call_id = row(played, "incoming")
        assert len(requests(of_call(played.wan, call_id), "INVITE")) == 7
        assert not requests(of_call(played.lan, call_id), "INVITE")
        before = [p for p in played.wan if p.sip and p.source[0] == played.facts["wan_ip"]]
        assert requests(of_call(played.wan, call_id), "INVITE")[0].at - before[-1].at > 6


def test_33_the_call_comes_to_another_phone(lab: Lab) -> None:
    for played in lab.of("33-wrong-on", "33-wrong-off"):
        (invite,) = requests(played.lan, "INVITE")
        assert invite.target[0] in played.facts["phones"]
        assert invite.target[0] != played.facts["phone"][0]
        assert responses(played.wan, 404, "INVITE")


def test_39_another_port_is_not_touched(lab: Lab) -> None:
    for played in lab.of("39"):
        assert played.facts["provider"][1] != 5060
        assert {p.raw for p in played.lan if p.sip} == {p.raw for p in played.wan if p.sip}


def test_42_the_contact_of_the_answer_is_the_host_of_the_record_route(lab: Lab) -> None:
    for played in lab.of("42"):
        packets = of_call(played.wan, row(played, "outgoing"))
        answer = responses(packets, 200, "INVITE")[0]
        assert answer.sip
        assert contact(answer)[0] == host_port(uri_of(answer.sip.get("Record-Route")))[0]


def test_44_scanners_knock_and_no_phone_hears_them(lab: Lab) -> None:
    for played in lab.of("44-on", "44-off"):
        knocks = [p for p in played.wan if p.sip and p.sip.get("User-Agent") == "friendly-scanner"]
        assert len(knocks) > 20
        assert len({p.source[0] for p in knocks}) >= 2
        heard = {p.sip.get("User-Agent") for p in played.lan if p.sip}
        assert "friendly-scanner" not in heard


def test_22_and_31_the_phone_itself_writes_its_public_address(lab: Lab) -> None:
    for played in lab.of("22", "22-off", "31"):
        invite = requests(of_call(played.lan, row(played, "outgoing")), "INVITE")[0]
        assert contact(invite)[0] == played.facts["wan_ip"]


def test_23_the_ack_follows_a_port_that_the_nat_has_not_given(lab: Lab) -> None:
    for played in lab.of("23"):
        answer = responses(played.wan, 200, "INVITE")[0]
        assert contact(answer)[1] != answer.source[1]
        acks = requests(played.wan, "ACK")
        assert {a.target for a in acks} == {contact(answer)}
        assert not requests(played.lan, "ACK")


def test_24_the_bye_carries_a_call_id_that_the_phone_never_wrote(lab: Lab) -> None:
    for played in lab.of("24"):
        (bye,) = requests(played.lan, "BYE")
        invite = requests(played.lan, "INVITE")[0]
        assert bye.sip and invite.sip
        assert bye.sip.get("Call-ID") != invite.sip.get("Call-ID")
        assert responses(played.wan, 481, "BYE")


def test_26_each_damage_alone(lab: Lab) -> None:
    for played in lab.of("26-expires", "26-rport", "26-via", "26-space"):
        inside, outside = (requests(side, "REGISTER")[0] for side in (played.lan, played.wan))
        assert inside.sip and outside.sip
        if played.number == "26-expires":
            assert responses(played.lan, 200, "REGISTER")[0].sip
            lan, wan = (responses(s, 200, "REGISTER")[0].sip for s in (played.lan, played.wan))
            assert lan and wan and lan.get("Expires") != wan.get("Expires")
        elif played.number == "26-rport":
            assert ";rport" in inside.sip.get("Via") and ";rport" not in outside.sip.get("Via")
        elif played.number == "26-via":
            assert sent_by(outside.sip.get("Via"))[1] != outside.source[1]
        else:
            sides = [re.search(rb":\s{4,}0\r\n", packet.raw) for packet in (outside, inside)]
            assert sides[0] and not sides[1]


def test_27_the_refusal_was_never_on_the_wan(lab: Lab) -> None:
    for played in lab.of("27"):
        assert responses(played.lan, 486, "INVITE")
        assert not requests(played.wan, "INVITE")


def test_28_every_request_has_one_via_more(lab: Lab) -> None:
    for played in lab.of("28"):
        inside, outside = (requests(side, "REGISTER")[0].sip for side in (played.lan, played.wan))
        assert inside and outside
        assert len(outside.all("Via")) == len(inside.all("Via")) + 1


def test_the_real_endpoints_are_those_of_debian(lab: Lab) -> None:
    # The one of 28-real is the PBX itself, and its provider a script.
    for played in lab.of(*(n for n in SCENARIOS if "-real" in n and not n.startswith("28-"))):
        register = requests(played.lan, "REGISTER")[0]
        answer = responses(played.lan, 200, "REGISTER")[0]
        assert register.sip and register.sip.get("User-Agent").startswith("baresip")
        assert answer.sip and answer.sip.get("Server").startswith("kamailio")


def test_15_the_ack_names_the_next_proxy_and_the_answer_still_comes(lab: Lab) -> None:
    for played in lab.of("15", "15-real"):
        packets = of_call(played.wan, row(played, "outgoing"))
        answer = responses(packets, 200, "INVITE")
        assert len(answer) > 8
        acks = requests(packets, "ACK")
        assert len(acks) >= len(answer) - 1
        assert acks[0].sip
        proxies = [host_port(uri_of(r))[0] for r in answer[0].sip.all("Record-Route")]  # type: ignore[union-attr]
        assert host_port(acks[0].sip.start.split(" ")[1])[0] in proxies


def test_21_the_phone_is_asked_all_the_time_and_silent_for_a_while(lab: Lab) -> None:
    for played in lab.of("21", "21-real"):
        asked = {p.sip.get("Call-ID") for p in requests(played.lan, "OPTIONS") if p.sip}
        times = sorted(p.at for p in played.lan if p.sip and p.sip.status == 200
                       and p.sip.method == "OPTIONS")  # fmt: skip
        assert len(asked) >= 8
        assert max(b - a for a, b in itertools.pairwise(times)) > 25


def test_43_the_ack_is_wrong_in_one_way(lab: Lab) -> None:
    for played in lab.of("43-branch", "43-uri", "43-route"):
        packets = of_call(played.wan, row(played, "outgoing"))
        invite, ack = requests(packets, "INVITE")[0], requests(packets, "ACK")[0]
        answer = responses(packets, 200, "INVITE")[0]
        assert invite.sip and ack.sip and answer.sip
        uri = ack.sip.start.split(" ")[1]
        assert (ack.sip.branch == invite.sip.branch) == (played.number == "43-branch")
        wrong = uri != uri_of(answer.sip.get("Contact"))
        assert wrong == (played.number == "43-uri")
        routed = len(ack.sip.all("Route")) == len(answer.sip.all("Record-Route"))
        assert routed == (played.number != "43-route")


def test_43_the_registrar_answers_with_a_contact_of_somebody_else(lab: Lab) -> None:
    for played in lab.of("43-contact"):
        sent, answer = (
            requests(played.lan, "REGISTER")[0],
            responses(played.lan, 200, "REGISTER")[0],
        )
        assert contact(sent)[0] != contact(answer)[0]


def test_43_the_answer_keeps_the_public_via(lab: Lab) -> None:
    for played in lab.of("43-back"):
        answer = responses(played.lan, 200, "INVITE")[0]
        assert answer.sip and sent_by(answer.sip.get("Via"))[0] == played.facts["wan_ip"]
        assert not requests(played.lan, "ACK")


def test_43_media_comes_from_one_end_only(lab: Lab) -> None:
    for played in lab.of("43-private-media", "43-media-lost"):
        begun = requests(of_call(played.lan, row(played, "incoming")), "INVITE")[0].at
        media = [p for p in played.lan if p.raw[:2] == b"\x80\x08" and p.at > begun]
        assert len(media) > 80  # a recording keeps the beginning of each flow
        assert {p.source[0] for p in media} == {played.facts["phone"][0]}


def test_35_two_answers_have_two_tags(lab: Lab) -> None:
    for played in lab.of("35-fork", "35-fork-lost"):
        packets = of_call(played.wan, row(played, "outgoing"))
        tags = {p.sip.get("To") for p in responses(packets, 200, "INVITE") if p.sip}
        acked = {p.sip.get("To") for p in requests(packets, "ACK") if p.sip}
        assert len(tags) == 2
        assert len(acked) == (2 if played.number == "35-fork" else 1)


def test_11_it_fits_on_one_side_and_not_on_the_other(lab: Lab) -> None:
    for played in lab.of("11-on", "11-off"):
        invite = requests(played.lan, "INVITE")[0]
        assert 1488 <= len(invite.raw) + 28 <= 1492
        assert bool(requests(played.wan, "INVITE")) == (played.number == "11-off")


def test_43_the_long_invite_leaves_in_fragments_and_the_short_one_is_answered(lab: Lab) -> None:
    for played in lab.of("43-fragments"):
        long = row(played, "outgoing")
        sent = [p for p in played.wan if long.encode() in p.raw]
        assert len(sent) >= 7
        assert not responses(of_call(played.wan, long), 100, "INVITE")
        assert responses(of_call(played.wan, row(played, "before")), 200, "INVITE")


def test_35_prack_refer_and_subscribe_are_as_their_rfcs_draw_them(lab: Lab) -> None:
    for played in lab.of("35-prack-on", "35-prack-off"):
        ringing = responses(played.wan, 180, "INVITE")[0]
        prack = requests(played.wan, "PRACK")[0]
        assert ringing.sip and prack.sip
        assert prack.sip.get("RAck") == f"{ringing.sip.get('RSeq')} 1 INVITE"
        assert responses(played.lan, 200, "PRACK")
    for played in lab.of("35-refer-on", "35-refer-off"):
        ends = [p.raw.rpartition(b"\r\n\r\n")[2] for p in requests(played.lan, "NOTIFY")]
        assert ends == [b"SIP/2.0 100 Trying\r\n", b"SIP/2.0 200 OK\r\n"]
    for played in lab.of("35-subscribe-on", "35-subscribe-off"):
        assert len(requests(played.lan, "SUBSCRIBE")) == len(requests(played.lan, "NOTIFY")) == 2


def test_35_the_prack_leaves_and_the_ringing_comes_again(lab: Lab) -> None:
    for played in lab.of("35-prack-lost"):
        assert len(requests(played.wan, "PRACK")) > 8
        assert not responses(played.wan, 200, "PRACK")
        assert len(responses(played.lan, 180, "INVITE")) > 4
        assert responses(played.lan, 504, "INVITE")


def test_35_the_transfer_names_a_call_that_the_provider_never_saw(lab: Lab) -> None:
    for played in lab.of("35-replaces"):
        refer = requests(played.wan, "REFER")[0]
        assert refer.sip
        named = refer.sip.get("Refer-To").partition("Replaces=")[2].partition("%3B")[0]
        named = named.replace("%40", "@")
        assert [
            p for p in requests(played.lan, "INVITE") if p.sip and p.sip.get("Call-ID") == named
        ]
        assert not [p for p in played.wan if p.sip and p.sip.get("Call-ID") == named]


def test_35_the_notify_has_nowhere_to_go(lab: Lab) -> None:
    for played in lab.of("35-subscribe-lost"):
        subscribe = requests(played.wan, "SUBSCRIBE")[0]
        assert is_private(contact(subscribe)[0])
        assert responses(played.lan, 200, "SUBSCRIBE")
        assert not requests(played.wan, "NOTIFY")


def test_43_a_cancel_crosses_the_answer(lab: Lab) -> None:
    for played in lab.of("43-cancel", "43-cancel-held"):
        packets = of_call(played.wan, row(played, "outgoing"))
        cancel, bye = requests(packets, "CANCEL")[0], requests(packets, "BYE")[0]
        answer, ack = responses(packets, 200, "INVITE")[0], requests(packets, "ACK")[0]
        assert abs(cancel.at - answer.at) < 0.1
        assert cancel.at < ack.at < bye.at
        here = bye.source[0] == played.facts["wan_ip"]
        assert here == (played.number == "43-cancel")
        assert (bye.at - ack.at > 10) == (played.number == "43-cancel-held")


def test_43_both_ends_talk_and_a_mute_phone_does_not(lab: Lab) -> None:
    for played in lab.of("43-talk-off", "43-talk-on", "43-mute"):
        media = [p for p in played.lan if p.raw[:2] == b"\x80\x08"]
        phone = played.facts["phone"][0]
        assert sum(p.target[0] == phone for p in media) > 80
        sent = sum(p.source[0] == phone for p in media)
        assert sent > 80 if played.number != "43-mute" else not sent
