# SPDX-License-Identifier: Apache-2.0
"""Messages that somebody sends on one side as if they had come out of the router there: in two
files they look like gaps of the other capture, and gaps excuse what is missing."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from algwatch.base.packet import LAN, WAN
from algwatch.diagnose.finding import Finding
from craft import (
    LADDER_INVITE,
    LADDER_REQUEST,
    NS,
    House,
    Incoming,
    Outgoing,
    answer,
    far_gives_up,
    frame,
    register,
    request,
)
from forger import Attacked, surveyed

SIDES = pytest.mark.parametrize("side", [LAN, WAN], ids=["lan", "wan"])


def invite_stopped(house: House) -> None:
    call = Outgoing(house, "one@phone")
    for after in (0, *LADDER_INVITE):
        call.invite(1 + after, wan=False)


def acks_stopped(house: House) -> None:
    far_gives_up(house, 1, "one@phone", acks=True)


def answers_to_bye_stopped(house: House) -> None:
    call = Incoming(house, "one@phone")
    call.invite(1)
    call.ringing(1.1)
    call.ok(3)
    call.ack(3.02)
    asked = call._in_dialog("BYE", 2, "203.0.113.5:5060", ())
    for after in (0, *LADDER_REQUEST):
        house.into(10 + after, asked)
        house.out(10.02 + after, answer(200, asked), wan=False)


HARMS: list[Callable[[House], None]] = [invite_stopped, acks_stopped, answers_to_bye_stopped]


def attacked(harm: Callable[[House], None]) -> Attacked:
    """The phone also registers now and then."""
    house = House(wan_port=40123)
    register(house, 0)
    harm(house)
    for n in range(8):
        register(house, 50 + 5 * n, n=2 + n)
    return Attacked(house)


def forge(attacked: Attacked, side: int, call_id: str, count: int) -> None:
    """Requests out of the router on a side, in the phone's flow."""
    house, start = attacked.house, attacked.lan[0][0]
    for n in range(count):
        made = request("OPTIONS", "sip:x@192.0.2.9", via="192.0.2.1:5060", cseq=50 + n,
                       branch=f"z9hG4bKforged{n}", call_id=call_id.format(n))  # fmt: skip
        ends = (house.provider, 5060, house.phone, house.port)
        if side == WAN:
            ends = (house.wan_ip, house.wan_port, house.provider, 5060)
        at = start + NS + n * 80 * NS // count
        attacked.forged[side].append((at, frame(made, *ends, 57, 0x7001 + n)))


def harm_told(attacked: Attacked) -> set[tuple[str, str]]:
    _, reports = attacked.judged(False, passing=True)
    return {(r.rule, r.where) for r in reports if isinstance(r, Finding) and r.hurts}


@SIDES
@pytest.mark.parametrize("harm", HARMS)
@pytest.mark.parametrize("call_id", ["nobody{}", "one@phone"], ids=["of-nobody", "of-the-call"])
def test_forged_gaps_hide_nothing_that_was_stopped_again_and_again(
    harm: Callable[[House], None], side: int, call_id: str
) -> None:
    truth = harm_told(attacked(harm))
    assert any(where == "router" for _, where in truth)
    made = attacked(harm)
    forge(made, side, call_id, 200)
    assert harm_told(made) == truth


@SIDES
def test_what_no_call_of_this_router_has_is_no_gap(side: int) -> None:
    made = attacked(acks_stopped)
    forge(made, side, "nobody{}", 200)
    assert surveyed(*made.taps()) is None


@SIDES
def test_one_call_shows_no_more_gaps_than_messages_that_crossed(side: int) -> None:
    made = attacked(answers_to_bye_stopped)
    forge(made, side, "one@phone", 200)
    quality = surveyed(*made.taps())
    assert quality is not None
    crossed = 5  # INVITE, 180, 200, ACK, BYE
    assert 0 < quality.gaps[1 - side].missing <= crossed
