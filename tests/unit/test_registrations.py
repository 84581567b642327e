# SPDX-License-Identifier: Apache-2.0
"""Registrations: what both sides agreed on, and how long nothing used the phone's mapping."""

from __future__ import annotations

import pytest
from algwatch.advise.advice import Advice
from algwatch.base.host import Host
from algwatch.base.packet import LAN, WAN, Tap
from algwatch.base.sighting import Sighting
from algwatch.compare.binding import Terms
from algwatch.compare.crossing import Entry, Timeouts
from algwatch.diagnose.finding import Finding
from algwatch.pipeline import Pipeline, Report
from algwatch.sip import digest
from algwatch.sip.message import Message
from craft import (
    LADDER_2XX,
    NS,
    START,
    House,
    Incoming,
    analyzed,
    answer,
    batch,
    register,
    request,
    works_beside,
)

ENDS = bytes(48)
CONTACT = "<sip:100@192.168.1.10:5060>"


def terms(asked: str, granted: str, *headers: str, more: tuple[str, ...] = ()) -> Terms:
    made = request("REGISTER", "sip:example.net", via="192.168.1.10:5060", branch="z9hG4bKa",
                   call_id="a", cseq=1, contact=asked, more=headers)  # fmt: skip
    said = answer(200, made, contact=granted, more=more)
    row = (0,) * 17
    return Terms(Sighting(row, LAN, made, ENDS), Sighting(row, LAN, said, ENDS))


@pytest.mark.parametrize(
    ("asked", "granted"),
    [
        (CONTACT, f"{CONTACT};expires=60"),
        (CONTACT, "<sip:100@192.168.1.10>;expires=60"),
        (CONTACT, f"<sip:9@192.0.2.1>;expires=9, {CONTACT};expires=60"),
        ("<sip:100@Phone.example.net>", "<sip:100@phone.example.net.>;expires=60"),
        ("<sips:100@192.0.2.1>", "<sip:100@192.0.2.1;transport=tls>;expires=60"),
        ('<sip:a@10.0.0.1>;+sip.instance="<urn:1>"', '<sip:b@192.0.2.1>;+sip.instance="<urn:1>";'
         "expires=60"),
    ],
)  # fmt: skip
def test_a_phone_knows_its_own_contact_again(asked: str, granted: str) -> None:
    one = terms(asked, granted)
    assert one.found and one.seconds == 60


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("60", 60), ('"60"', 60), ("0060", 60), ("-1", -1), ("", -1), ("6e9", -1), ("9" * 99, -1),
     ("4294967296", (1 << 32) - 1), ("\u0661", -1)],
)  # fmt: skip
def test_a_granted_time_is_read_or_is_none(text: str, seconds: int) -> None:
    assert terms(CONTACT, f"{CONTACT};expires={text}").seconds == seconds


def test_a_registration_is_removed_by_zero_or_by_all() -> None:
    assert terms(CONTACT, "", "Expires: 0").removed
    assert terms(f"{CONTACT};expires=0", "", "Expires: 60").removed
    assert terms("*", "", "Expires: 0").removed
    assert not terms(f"{CONTACT};expires=60", "", "Expires: 0").removed


def test_digest_parameters_are_compared_by_what_they_say() -> None:
    head = "Authorization: Digest "
    made = [request("REGISTER", "sip:a", via="a:1", branch="z", call_id="a", cseq=1,
                    more=[head + text]) for text in (
        'realm="a, b", nonce="x", qop=auth', 'nonce = "x",  qop="auth" ,realm="a, b"',
        'realm="a, b", nonce="y", qop=auth', "", '"""=,,=', 'realm="')]  # fmt: skip
    one, two, other, *broken = map(Message, made)
    assert digest.changed(one, two) == []
    assert digest.changed(one, other) == [("nonce", "x", "y")]
    for message in broken:
        assert isinstance(digest.changed(one, message), list)


@pytest.mark.parametrize(("host", "least"), [
    (None, 180),
    (Host(START * NS), 180),
    (Host(START * NS, udp_timeout=20, udp_timeout_stream=90), 90),
    (Host(START * NS, udp_timeout=60, udp_timeout_stream=400), 400),
])  # fmt: skip
def test_a_silence_is_told_while_it_lasts(host: Host | None, least: int) -> None:
    """least: seconds; the timeouts that the router itself tells count."""
    house = House()
    register(house, 0, expires=3600)
    pipeline = Pipeline([Tap("lan", LAN), Tap("wan", WAN)], live=True, strict=True)
    said: list[Report] = pipeline.host(host) if host is not None else []
    said += pipeline.feed(batch(house.lan, 0)) + pipeline.feed(batch(house.wan, 1))
    told: list[int] = []
    for second in range(1, 600):
        for tap in (0, 1):
            said += pipeline.advance(tap, (START + second) * NS)
        if not told and any(isinstance(r, Finding) and r.rule == "REG005" for r in said):
            told.append(second)
    assert least < told[0] < least + 20
    assert sum(isinstance(r, Finding) and r.rule == "REG005" for r in said) == 1


def test_a_mapping_that_the_router_keeps_for_longer_is_not_made_anew() -> None:
    times = Timeouts()
    times.tell(60, 600)
    entry = Entry(bytes(18), 0, times)
    entry.wake(10 * NS)
    entry.wake(300 * NS)
    assert entry.limit == 600 * NS
    entry.wake(1000 * NS)
    assert entry.limit == 60 * NS
    times.tell(0, 0)
    assert times.told and times.shortest == 60 * NS


def test_the_advice_to_turn_the_alg_off_says_what_must_be_done_first() -> None:
    house = House("linux")
    works_beside(house, 0)
    register(house, 20, expires=3600)
    register(house, 1220, expires=3600, n=2)
    call = Incoming(house, "drop@provider")
    call.invite(1230)
    call.ok(1232)
    for after in (0.05, *(0.05 + step for step in LADDER_2XX)):
        call.ack(1232 + after, via_port=5080, lan_port=5080)
        call.ok(1232.5 + after)
    call.phone_bye(1264)
    _, reports = analyzed(*house.sorted())
    advice = [r for r in reports if isinstance(r, Advice) and r.action == "disable-sip-alg"]
    assert advice
    assert any(
        "before the ALG is turned off, set a keep-alive" in why for why in advice[-1].against
    )
    assert not any("keeps the mapping open" in why for why in advice[-1].for_)
