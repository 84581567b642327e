# SPDX-License-Identifier: Apache-2.0
"""Messages on another way than their request's: which of those that do not cross count."""

from __future__ import annotations

from typing import Any

import pytest
from algwatch.base.packet import LAN, WAN, Tap
from algwatch.compare.summary import CallSummary
from algwatch.diagnose.finding import Finding
from algwatch.pipeline import Pipeline, Report
from craft import (
    LADDER_REQUEST,
    NS,
    START,
    House,
    Outgoing,
    Packet,
    answer,
    batch,
    frame,
    outgoing_call,
    register,
    request,
)
from forger import Attacked, ends_of, payload_of

BOTH = pytest.mark.parametrize("live", [False, True], ids=["files", "live"])
PHONE, PBX, BESIDE, THIRD = (f"192.168.1.{n}" for n in (10, 50, 51, 52))


def _at(seconds: float, message: bytes, source: str, target: str, sport: int = 5060) -> Packet:
    ident = round(seconds * 1000) % 60_000 + 1
    return START * NS + round(seconds * NS), frame(message, source, sport, target, 5060, 64, ident)


def _judged(house: House, live: bool, side: int = LAN, forged: tuple[Packet, ...] = ()
            ) -> tuple[list[tuple[str, str, int]], set[str], list[Report]]:  # fmt: skip
    """Outcome, ACK and status of the calls; the rules of harm that was seen; all reports."""
    register(house, 0)
    register(house, 100, n=2)
    attacked = Attacked(house)
    attacked.forged[side].extend(forged)
    _, reports = attacked.judged(live, passing=True)
    calls = [(r.outcome, r.ack, r.status) for r in reports if isinstance(r, CallSummary)]
    harm = {r.rule for r in reports if isinstance(r, Finding) and r.harm == "observed"}
    return calls, harm, reports


def _inside(answers: str, ends: str, taken: str, status: int = 200) -> tuple[Packet, ...]:
    """A call of a phone to a PBX in the LAN, answered and ended by these hosts; taken: who is asked
    to end it. The router sees it and has no part in it."""
    tags: dict[str, Any] = {"caller": "<sip:100@lan>;tag=a", "call_id": "in@lan"}
    asked = request("INVITE", f"sip:50@{PBX}", via=f"{PHONE}:5060", branch="z9hG4bKin", cseq=1,
                    callee="<sip:50@lan>", contact=f"<sip:100@{PHONE}>", **tags)  # fmt: skip
    said = answer(status, asked, to_tag="b", contact=f"<sip:50@{answers}>")
    begun = _at(5, asked, PHONE, PBX), _at(6, said, answers, PHONE)
    if status >= 300:
        return begun
    ack = request("ACK", f"sip:50@{answers}", via=f"{PHONE}:5060", branch="z9hG4bKack", cseq=1,
                  callee="<sip:50@lan>;tag=b", **tags)  # fmt: skip
    bye = request("BYE", f"sip:100@{PHONE}", via=f"{ends}:5060", branch="z9hG4bKbye", cseq=1,
                  caller="<sip:50@lan>;tag=b", callee="<sip:100@lan>;tag=a",
                  call_id="in@lan")  # fmt: skip
    acked = _at(6.02, ack, PHONE, answers)
    return *begun, acked, _at(20, bye, ends, taken), _at(20.02, answer(200, bye), taken, ends)


@BOTH
@pytest.mark.parametrize(
    ("answers", "ends", "taken"),
    [(PBX, PBX, PHONE), (BESIDE, PBX, PHONE), (PBX, BESIDE, PHONE), (BESIDE, BESIDE, THIRD)],
)
def test_hosts_of_one_network_talk_past_the_router(
    live: bool, answers: str, ends: str, taken: str
) -> None:
    calls, _, _ = _judged(House(wan_port=40123), live, LAN, _inside(answers, ends, taken))
    assert calls == [("completed", "seen", 0)]


@BOTH
def test_another_host_of_the_network_may_refuse_a_call_inside_it(live: bool) -> None:
    calls, harm, _ = _judged(House(wan_port=40123), live, LAN, _inside(BESIDE, PBX, PHONE, 486))
    assert (calls, harm) == ([("rejected", "unknown", 486)], set())


@BOTH
def test_what_the_phone_sends_to_another_host_beyond_counts(live: bool) -> None:
    """The router stops its BYE."""
    house = House(wan_port=40123)
    call = Outgoing(house, "one@phone")
    call.set_up(1)
    made = call._request("BYE", 2, "sip:300@203.0.113.66", f";tag={call._tag}")
    for after in (0, *LADDER_REQUEST):
        house.out(20 + after, made, dst="203.0.113.66", wan=False)
    calls, harm, _ = _judged(house, live)
    assert (calls, harm) == ([("completed", "seen", 0)], {"TXN003"})


@BOTH
def test_no_2xx_on_another_way_takes_a_refusal_back(live: bool) -> None:
    house = House(wan_port=40123)
    call = Outgoing(house, "one@phone")
    call.invite(1)
    call.respond(1.05, 100)
    call.respond(2, 403)
    call.nak(2.02)
    made = answer(200, call.seen, to_tag=call._tag, contact=call.far_contact,
                  received=house.wan_ip, rport=house.wan_port)  # fmt: skip
    data = frame(made, house.provider, 5071, house.wan_ip, house.wan_port, 59, 0x7001)
    calls, _, _ = _judged(house, live, WAN, ((START * NS + 23 * NS // 10, data),))
    assert calls == [("rejected", "unknown", 403)]


def test_in_a_call_that_crossed_nothing_waits_longer_than_the_window() -> None:
    house = House(wan_port=40123)
    outgoing_call(house, 1, "one@phone")
    lan, wan = house.sorted()
    over = START * NS + 3 * NS + NS // 2
    at, data = next(p for p in lan if b"\r\nCSeq: 1 ACK" in p[1])
    made = payload_of((at, data)).replace(b"z9hG4bK", b"z9hG4bKforged", 1)
    forged = at + NS // 10, frame(made, "192.168.1.66", *ends_of(data)[1:])
    pipeline = Pipeline([Tap("lan", LAN), Tap("wan", WAN)], strict=True)
    parts = [(p, LAN) for p in (*lan, forged)] + [(p, WAN) for p in wan]
    for packet, tap in sorted(part for part in parts if part[0][0] < over):
        pipeline.feed(batch([packet], tap))
    doubts = pipeline._comparison._doubts
    assert doubts.held
    for side in (LAN, WAN):
        pipeline.advance(side, forged[0] + NS // 3)
    assert not doubts.held
