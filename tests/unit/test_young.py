# SPDX-License-Identifier: Apache-2.0
"""A stranger's INVITE gets a call when somebody reacts to it, or after the window."""

from __future__ import annotations

from random import Random

import pytest
from algwatch.base.packet import LAN, WAN, Tap
from algwatch.pipeline import Pipeline
from algwatch.sip.timers import WINDOW
from algwatch.sip.young import MOST, USUAL, Young
from craft import NS, START, House, Incoming, Packet, batch, frame
from test_flood import scans

AT = int(START * NS)


def live() -> tuple[Pipeline, Young]:
    pipeline = Pipeline([Tap("lan", LAN), Tap("wan", WAN)], live=True, strict=True)
    young = pipeline._comparison.calls.young
    assert young is not None
    return pipeline, young


def feed(pipeline: Pipeline, tap: int, packets: list[Packet]) -> None:
    pipeline.feed(batch(packets, tap))


def pass_time(pipeline: Pipeline, now: int) -> None:
    for tap in (LAN, WAN):
        pipeline.advance(tap, now)


def test_it_is_followed_once_the_window_is_over() -> None:
    pipeline, young = live()
    calls = pipeline._comparison.calls.table
    feed(pipeline, WAN, scans(Random(1), AT, AT, 1, House().wan_ip))
    assert len(young) == 1
    assert not calls
    assert pipeline.pending
    assert pipeline.due <= AT + WINDOW
    pass_time(pipeline, AT + 2 * WINDOW)
    assert not young
    (call,) = calls.values()
    assert call.unsolicited
    s = call.sides[WAN]
    assert s is not None
    assert s.invite is not None
    assert not s.partial
    assert s.started_at == AT
    assert "INVITE" in call.unpaired


@pytest.mark.parametrize("answer", ["the copy for the phone", "a response", "once more"])
def test_a_reaction_makes_the_call(answer: str) -> None:
    house = House()
    call = Incoming(house, "in")
    call.invite(0)
    if answer == "a response":
        call.ringing(0.1)
    if answer == "once more":
        call.invite(0.1, lan=False)
    lan, wan = house.sorted()
    pipeline, young = live()
    feed(pipeline, WAN, wan[:1])
    assert len(young) == 1
    if answer == "the copy for the phone":
        feed(pipeline, LAN, lan[:1])
    else:
        feed(pipeline, WAN, wan[1:])
    assert not young
    (followed,) = pipeline._comparison.calls.table.values()
    s = followed.sides[WAN]
    assert s is not None
    assert s.started_at == wan[0][0]


def test_a_flood_makes_no_calls_and_its_host_pays() -> None:
    pipeline, young = live()
    house = House()
    other = Incoming(house, "other", src="192.0.2.9")
    other.invite(0)
    feed(pipeline, WAN, house.sorted()[1])
    (kept,) = young
    flooder = Incoming(House(), "flood", src="192.0.2.66")
    flooder.invite(0)
    for number in range(20 * MOST):
        named = flooder.invited.replace(b"flood", b"%05d" % number)
        made = frame(named, flooder.src, 5060, house.wan_ip, 5060, 50, 1 + number)
        feed(pipeline, WAN, [(AT + number, made)])
        assert len(young) <= MOST
    assert len(young) > MOST // 2
    assert kept in young
    assert not pipeline._comparison.calls.table


def test_a_long_one_is_followed_at_once() -> None:
    house = House()
    Incoming(house, "long", more=["X-Long: " + "x" * USUAL]).invite(0)
    pipeline, young = live()
    feed(pipeline, WAN, house.sorted()[1])
    assert not young
    assert len(pipeline._comparison.calls.table) == 1
