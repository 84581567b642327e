# SPDX-License-Identifier: Apache-2.0
"""A phone sends two messages of one name, of which one never crosses the router: what each side
saw first is not one message, and the router has not made the one of the other. Each call is of a
house without any ALG, whose provider handles the NAT by itself."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from algwatch.advise.advice import Advice
from algwatch.base.packet import LAN, WAN
from algwatch.diagnose.finding import Finding
from craft import (
    LADDER_2XX,
    LADDER_INVITE,
    House,
    Incoming,
    Outgoing,
    Timed,
    _ns,
    answer,
    frame,
    incoming_call,
    register,
    request,
    token,
)
from forger import Attacked

ELSEWHERE = "203.0.113.99"  # where a decoy goes, or would go
TWICE = (20, 200)  # two calls that are independent of each other


def at_ease() -> House:
    house = House(wan_port=40123)
    register(house, 0)
    incoming_call(house, 1, "works@provider", fixed_contact=f"sip:100@{house.public}")
    return house


def two_registers() -> House:
    """With two times; the registrar refuses the shorter one."""
    house = at_ease()
    for n in range(4):
        asked = [
            request("REGISTER", "sip:example.net", via=f"{house.phone}:{house.port}",
                    branch=f"z9hG4bKx{n}", call_id="two@phone", cseq=5 + n,
                    caller="<sip:100@example.net>;tag=r1", contact=house.contact,
                    more=[f"Expires: {seconds}"])
            for seconds in (3600, 60)
        ]  # fmt: skip
        house.out(20 + n, asked[0], wan=False, dst=ELSEWHERE)
        seen = house.out(20.01 + n, asked[1])
        house.into(20.04 + n, answer(423, seen, more=["Min-Expires: 1800"]))
    incoming_call(house, 90, "later@provider", fixed_contact=f"sip:100@{house.public}")
    return house


def two_challenges() -> House:
    """The first one, of another nonce, is stopped on its way to the phone."""
    house = at_ease()
    for n in range(4):
        asked = request(
            "REGISTER", "sip:example.net", via=f"{house.phone}:{house.port}",
            branch=f"z9hG4bKx{n}", call_id="two@phone", cseq=5 + n,
            caller="<sip:100@example.net>;tag=r1", contact=house.contact,
            more=['Authorization: Digest username="a", realm="r", nonce="n", uri="sip:r"'],
        )  # fmt: skip
        seen = house.out(20 + n, asked)
        for nonce, lan in (("one", False), ("two", True)):
            more = [f'WWW-Authenticate: Digest realm="r", nonce="{nonce}"']
            house.into(20.04 + n, answer(401, seen, more=more), lan=lan)
    incoming_call(house, 90, "later@provider", fixed_contact=f"sip:100@{house.public}")
    return house


def _acks(branch: str, uri: str) -> House:
    """A right ACK that never crosses, and a wrong one that does."""
    house = at_ease()
    for at in TWICE:
        call = Outgoing(house, f"acks{at}@phone")
        call.invite(at)
        call.respond(at + 0.2, 180)
        target = call.far_contact.strip("<>")
        for after in (0, *LADDER_2XX):
            call.ok(at + 2 + after)
            right = call._request("ACK", 1, target, f";tag={call._tag}")
            wrong = call._request("ACK", 1, uri or target, f";tag={call._tag}", branch=branch)
            house.out(at + 2.01 + after, right, wan=False, dst=ELSEWHERE)
            house.out(at + 2.02 + after, wrong)
        call.far_bye(at + 34)
    return house


def two_acks() -> House:
    return _acks("", "sip:nobody@203.0.113.5:5060")


def two_branches() -> House:
    return _acks("invite", "")


def two_session_timers() -> House:
    """Somebody answers an UPDATE that was never sent, at a port where the router delivers nothing:
    the two sides know two times."""
    house = at_ease()
    for at in TWICE:
        call = Timed.__new__(Timed)
        Outgoing.__init__(call, house, f"timed{at}@phone")
        call.refreshes, call.timer = 0, ["Session-Expires: 90;refresher=uac", "Require: timer"]
        call.invite(at)
        call.accept(at + 2, call.seen)
        call.ack(at + 2.02)
        never = request(
            "UPDATE", "sip:x", via="192.0.2.9:5060", branch=f"z9hG4bKu{at}", call_id=call.call_id,
            cseq=2, caller=f"<sip:100@example.net>;tag=p-{token(call.call_id)}",
            callee=f"<sip:300@example.net>;tag={call._tag}",
        )  # fmt: skip
        longer = answer(200, never, more=["Session-Expires: 1800;refresher=uac"])
        house.into(at + 2.05, longer, lan=False, wan_port=7777)
        call.far_bye(at + 62)
    return house


def two_cancels() -> House:
    house = at_ease()
    for at in TWICE:
        call = Outgoing(house, f"cancels{at}@phone")
        call.invite(at)
        call.respond(at + 0.2, 180)
        wrong, right = (call._request("CANCEL", 1, "sip:300@example.net", "", branch=branch)
                        for branch in ("other", "invite"))  # fmt: skip
        seen = house.out(at + 5, wrong)
        house.out(at + 5.1, right, wan=False, dst=ELSEWHERE)
        house.into(at + 5.2, answer(481, right))
        house.into(at + 5.25, answer(481, seen))
        call.respond(at + 60, 486)
        call.nak(at + 60.1)
    return house


def two_vias() -> House:
    house = at_ease()
    for at in TWICE:
        call = Outgoing(house, f"vias{at}@phone")
        call.invited = call._request("INVITE", 1, "sip:300@example.net", "", call.contact,
                                     call.body)  # fmt: skip
        decoy = call.invited.replace(b"UDP 192.168.1.10:5060", b"UDP 192.168.1.10:5999")
        for after in (0, *LADDER_INVITE[:-1]):
            house.out(at + after, decoy, wan=False, dst=ELSEWHERE)
        call.seen = house.out(at + 0.01, call.invited)
        for after in (0, *LADDER_2XX):
            call.ok(at + 2 + after)
        call.far_bye(at + 34)
    return house


def two_senders() -> House:
    """The same bytes with the same IP ID from two ports, of which one crosses: which one has that
    mapping is not known. Then an ACK comes to it, and the 2xx came from the other port."""
    house = at_ease()
    asked = request("OPTIONS", "sip:x", via=f"{house.phone}:7000", branch="z9hG4bKp",
                    call_id="two@x", cseq=1, contact=house.contact)  # fmt: skip
    for port, after in ((house.port, 0), (7001, 0.0001)):
        house.lan.append((_ns(20 + after), frame(asked, house.phone, port, house.provider, 5060, 64,
                                                 777)))  # fmt: skip
    house.wan.append((_ns(20.0003), frame(asked, house.wan_ip, 47001, house.provider, 5060, 63,
                                          777)))  # fmt: skip
    call = Incoming(house, "in@provider", contact=f"<sip:100@{house.public}>")
    call.invite(21)
    call.ringing(21.2)
    call.ok(23)
    for after in (0, *LADDER_2XX):
        call.ack(23.03 + after, wan_port=47001, lan_port=7001)
    call.dropped(23)
    return house


def two_answers() -> House:
    """The one with a Contact never crosses; no ACK follows the other."""
    house = at_ease()
    for at in TWICE:
        call = Incoming(house, f"answers{at}@provider")
        call.invite(at)
        call.ringing(at + 0.2)
        named = answer(200, call.delivered, to_tag=call._tag, contact=house.contact)
        bare = answer(200, call.delivered, to_tag=call._tag)
        for after in (0, *LADDER_2XX):
            house.out(at + 2 + after, named, wan=False, dst=ELSEWHERE)
            house.out(at + 2.01 + after, bare)
        call.phone_bye(at + 34)
    return house


HOUSES: list[Callable[[], House]] = [
    two_registers, two_challenges, two_acks, two_branches, two_session_timers, two_cancels,
    two_vias, two_senders, two_answers,
]  # fmt: skip


@pytest.mark.parametrize("live", [False, True], ids=["files", "live"])
@pytest.mark.parametrize("made", HOUSES, ids=[made.__name__ for made in HOUSES])
def test_a_decoy_makes_no_rewrite(made: Callable[[], House], live: bool) -> None:
    attacked = Attacked(made())
    assert attacked.taps()[LAN] and attacked.taps()[WAN]
    pipeline, reports = attacked.judged(live)
    assert pipeline.counts()["crossings"]["rewritten"] == 0
    for one in reports:
        if isinstance(one, Finding):
            assert not (one.hurts and (one.where == "router" or one.cause == "alg")), one.summary
        assert not (isinstance(one, Advice) and one.action == "disable-sip-alg"), one.state
