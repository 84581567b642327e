# SPDX-License-Identifier: Apache-2.0
"""As test_wire_scenarios.py: the router itself, its access, other transports and other networks."""

from __future__ import annotations

from .conftest import Lab
from .draw import is_private
from .test_wire_scenarios import contact, row
from .wire import TCP, frames, of_call, requests, responses


def test_13_over_tcp_the_phone_names_another_port_than_its_connection_has(lab: Lab) -> None:
    for played in lab.of("13-on", "13-off", "13-split-on", "13-split-off"):
        invite = next(p for p in played.lan if p.raw.startswith(b"INVITE") and p.target[1] == 5060)
        assert b"SIP/2.0/TCP" in invite.raw
        whole = b"m=audio" in invite.raw
        assert whole == ("split" not in played.number)
        if whole:
            assert contact(invite)[1] != invite.source[1]


def test_34_the_wan_address_is_the_carriers_and_the_provider_sees_another(lab: Lab) -> None:
    for played in lab.of("34-cgnat", "34-alg"):
        assert played.facts["wan_ip"].startswith("100.")
        answer = responses(played.wan, 200, "REGISTER")[0]
        assert answer.sip and "received=" in answer.sip.get("Via")
        assert f"received={played.facts['wan_ip']}" not in answer.sip.get("Via")
        if played.number == "34-alg":
            sent = requests(played.wan, "INVITE")[0]
            assert sent.sip
            answers = responses(played.wan, 200, "INVITE")
            assert all(a.sip and a.sip.get("Call-ID") != sent.sip.get("Call-ID") for a in answers)


def test_36_the_addresses_are_ipv6_and_the_same_on_both_sides(lab: Lab) -> None:
    for played in lab.of("36-on", "36-off", "36-low"):
        sip = [p for p in played.wan if p.sip]
        assert sip and all(":" in p.source[0] for p in sip)
        assert {p.raw for p in played.lan if p.sip} >= {p.raw for p in sip}
        assert bool(requests(played.wan, "INVITE")) == (played.number != "36-low")


def test_12_the_next_message_lacks_what_the_invite_grew_by(lab: Lab) -> None:
    for played in lab.of("12-on", "12-off"):
        first = row(played, "outgoing").encode()
        sides = [[p for p in side if p.protocol == TCP and p.target[1] == 5060]
                 for side in (played.lan, played.wan)]  # fmt: skip
        invites = [next(p for p in side if first in p.raw) for side in sides]
        assert all(p.raw.count(b"INVITE sip:") == 2 for p in invites)
        grew = len(invites[1].raw) - len(invites[0].raw)
        assert (grew > 0) == (played.number == "12-on")
        refused = [p for p in played.lan if p.sip and p.sip.status == 501]
        assert bool(refused) == (played.number == "12-on")


def test_29_another_agent_answers_with_the_address_of_the_wan(lab: Lab) -> None:
    for played in lab.of("29", "29-taken"):
        own = [p for p in requests(played.wan, "REGISTER") if p.source[1] == 5060
               and p.source[0] == played.facts["wan_ip"] and p.ttl == 64]  # fmt: skip
        assert own
        assert not {p.raw for p in own} & {p.raw for p in played.lan}
    for played in lab.of("29-taken"):
        call_id = row(played, "incoming")
        assert responses(of_call(played.wan, call_id), 404, "INVITE")
        assert not requests(of_call(played.lan, call_id), "INVITE")
        assert responses(played.wan, 200, "OPTIONS")
        assert not requests(played.lan, "OPTIONS")


def test_30_the_wan_alone_shows_what_the_routers_own_agent_says(lab: Lab) -> None:
    for played in lab.of("30-on", "30-off", "30-dies", "30-nflog"):
        inside, outside = (requests(side, "REGISTER") for side in (played.lan, played.wan))
        own = played.facts["phone"][0]
        assert bool(inside) == (played.number == "30-nflog")
        assert all(contact(p)[0] == own and is_private(own) for p in inside)
        assert all(p.source[0] == played.facts["wan_ip"] and p.ttl == 64 for p in outside)
        public = contact(outside[0])[0] == played.facts["wan_ip"]
        assert public == (played.number in ("30-on", "30-nflog"))


def test_30_tap_holds_what_the_agent_gets_unless_a_helper_will_change_it(lab: Lab) -> None:
    words = ("off", "on", "dies", "deaf-on", "deaf-off", "mute-on", "mute-off")
    for played in lab.of(*(f"30-tap-{word}" for word in words)):
        helped = played.number.endswith("-on")
        before, after = requests(played.lan, "REGISTER")[0], requests(played.wan, "REGISTER")[0]
        assert contact(before)[0] == played.facts["phone"][0] != after.source[0]
        assert (before.raw != after.raw) == helped
        far = played.facts["provider"][0]
        came = [{p.raw for p in side if p.sip and p.source[0] == far}
                for side in (played.lan, played.wan)]  # fmt: skip
        assert came[1] and came[0] == (set() if helped else came[1])
        late = [p for p in responses(played.lan, 200, "INVITE") if p.source[0] != far]
        assert ("deaf" in played.number) <= (len(late) > 8)


def test_28_the_calls_of_a_pbx_are_two_and_no_helper_of_the_lan_touches_its_own(lab: Lab) -> None:
    for played in lab.of("28-pbx-on", "28-pbx-off", "28-pbx-tap", "28-pbx-lan", "28-real-on"):
        names = {row["call_id"]: row["name"] for row in played.facts["calls"]}
        inside, outside = (
            {p.sip.get("Call-ID") for p in side if p.sip} & names.keys()
            for side in (played.lan, played.wan)
        )
        assert inside and outside and not inside & outside
        assert {names[one] for one in outside} == {"trunk"}
        own = requests(played.wan, "REGISTER")[0]
        assert own.ttl == 64 and contact(own)[0] == played.facts["wan_ip"]


def test_37_the_wire_carries_what_the_wan_shows(lab: Lab) -> None:
    for played in lab.of("37-vlan", "37-pppoe"):
        kinds = {frame[12:14] for _, frame, _ in frames(played.directory / "wan.pcap")}
        assert kinds == {{"37-vlan": b"\x81\x00", "37-pppoe": b"\x88\x64"}[played.number]}
        before, after = requests(played.lan, "REGISTER")[0], requests(played.wan, "REGISTER")[0]
        assert contact(before)[0] == played.facts["phone"][0]
        assert contact(after)[0] == played.facts["wan_ip"]


def test_38_nobody_reads_what_is_sealed(lab: Lab) -> None:
    for played in lab.of("38-on", "38-off"):
        for side in (played.lan, played.wan):
            assert not [p for p in side if p.sip]
            assert [p for p in side if p.target[1] == 5061 and p.raw.startswith(b"\x16\x03")]


def test_43_a_flow_keeps_the_old_address(lab: Lab) -> None:
    for played in lab.of("43-redialled"):
        sent = requests(played.wan, "REGISTER")
        new = {p.source[0] for p in sent} - {played.facts["wan_ip"]}
        assert len(new) == 1
        changed = next(p.at for p in sent if p.source[0] in new)
        late = [p for p in sent if p.at > changed and p.source[0] not in new]
        assert len(late) > 5
        answers = {p.target[0] for p in responses(played.wan, 200, "REGISTER") if p.at > changed}
        assert answers == new


def test_43_credentials(lab: Lab) -> None:
    for played in lab.of("43-digest", "43-password-on", "43-password-off", "43-password-right"):
        lan, wan = (
            [p.sip.get("Authorization") for p in requests(side, "REGISTER") if p.sip][1]
            for side in (played.lan, played.wan)
        )
        assert lan and (lan != wan) == (played.number == "43-digest")
        fits = played.number == "43-password-right"
        assert bool(responses(played.lan, 200, "REGISTER")) == fits
        assert len(responses(played.lan, 401, "REGISTER")) == (1 if fits else 5)


def test_43_media_comes_to_the_announced_port_and_leaves_from_another(lab: Lab) -> None:
    for played in lab.of("43-media-port"):
        media = [p for p in played.wan if p.raw[:2] == b"\x80\x08"]
        outside = played.facts["wan_ip"]
        left = {p.source[1] for p in media if p.source[0] == outside}
        came = {p.target[1] for p in media if p.target[0] == outside}
        assert len(left) == len(came) == 1 and left != came
        heard = [p for p in played.lan if p.raw[:2] == b"\x80\x08"
                 and p.target[0] == played.facts["phone"][0]]  # fmt: skip
        assert not heard
