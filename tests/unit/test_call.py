# SPDX-License-Identifier: Apache-2.0
"""Both sides' dialogs joined: outcome, ACK, and who is the callee."""

from __future__ import annotations

import pytest
from algwatch.compare.summary import CallSummary
from algwatch.diagnose.finding import Finding
from craft import (
    LADDER_2XX,
    LADDER_INVITE,
    House,
    Incoming,
    Outgoing,
    analyzed,
    answer,
    incoming_call,
    one_sided,
    register,
    request,
)

TICK = 80.0


def summaries(house: House, tick: float = TICK) -> list[CallSummary]:
    """Summaries of the calls; a call at `tick` lets packet time run on."""
    if tick:
        Outgoing(house, "tick").invite(tick)
    _, reports = analyzed(*house.sorted())
    return [r for r in reports if isinstance(r, CallSummary) and r.call_id != "tick"]


def summary(house: House, tick: float = TICK) -> CallSummary:
    (found,) = summaries(house, tick)
    return found


def told(house: House) -> set[tuple[str, str]]:
    _, reports = analyzed(*house.sorted())
    return {(r.rule, r.harm) for r in reports if isinstance(r, Finding)}


def answered(house: House, call_id: str = "one") -> Incoming:
    call = Incoming(house, call_id, contact=f"<sip:100@{house.public}>")
    call.invite(1)
    call.ok(3)
    return call


def test_a_call_that_is_acknowledged_and_hung_up_completed() -> None:
    house = House()
    call = answered(house)
    call.ack(3.1)
    call.bye(9)
    said = summary(house)
    assert (said.outcome, said.ack) == ("completed", "seen")
    assert said.start == pytest.approx(1_700_000_001, abs=1e-3)
    assert said.end == pytest.approx(1_700_000_009.02, abs=1e-2)


def test_a_call_in_which_both_still_talk_is_ongoing() -> None:
    house = House()
    call = answered(house)
    call.ack(3.1)
    assert (summary(house).outcome, summary(house, 0).ack) == ("ongoing", "seen")


def test_a_call_whose_2xx_is_never_acknowledged_is_dropped() -> None:
    house = House()
    answered(house).dropped(3)
    said = summary(house)
    assert (said.outcome, said.ack, said.final_retransmissions) == ("dropped", "missing", 10)


@pytest.mark.parametrize("after", [5, 10, 20])
def test_a_callee_that_gives_up_early_without_an_ack_dropped_the_call(after: float) -> None:
    """Scenario 19: device timers of 5 and 10 s."""
    house = House()
    call = answered(house)
    for step in LADDER_2XX:
        if step < after:
            call.ok(3 + step)
    call.phone_bye(3 + after)
    said = summary(house)
    assert (said.outcome, said.ack) == ("dropped", "missing")


def test_an_ack_that_is_delivered_and_a_bye_after_10_s_is_a_short_call() -> None:
    house = House()
    call = answered(house)
    call.ack(3.1)
    call.phone_bye(13)
    assert summary(house).outcome == "completed"


def test_one_2xx_at_the_end_of_a_file_is_unknown_and_two_are_not_yet_missing() -> None:
    house = House()
    call = answered(house)
    assert summary(house, 0).ack == "unknown"
    call.ok(3.5)
    assert summary(house, 0).ack == "unknown"
    call.ok(4.5)
    assert summary(house, 0).ack == "missing"


def test_a_2xx_that_stops_behind_a_late_ack_was_acknowledged() -> None:
    house = House()
    call = answered(house)
    for step in LADDER_2XX[:4]:
        call.ok(3 + step)
        call.ack(3.02 + step)
    call.bye(70)
    said = summary(house)
    assert (said.outcome, said.ack) == ("completed", "seen")


def test_a_2xx_that_goes_on_behind_delivered_acks_was_not() -> None:
    house = House()
    call = answered(house)
    for step in (0, *LADDER_2XX):
        call.ack(3.02 + step)
    call.dropped(3)
    assert summary(house).outcome == "dropped"


def test_a_call_that_lives_longer_than_64_t1_without_a_captured_ack_was_not_dropped() -> None:
    house = House()
    call = answered(house)
    call.ok(3.5)
    call.ok(4.5)
    call.bye(120)
    said = summary(house, 200)
    assert (said.outcome, said.ack) == ("completed", "unknown")


@pytest.mark.parametrize(("status", "outcome"), [(486, "rejected"), (404, "rejected"),
                                                (487, "unknown")])  # fmt: skip
def test_a_refused_call_is_rejected_unless_cancelled_unseen(status: int, outcome: str) -> None:
    house = House()
    call = Outgoing(house, "one")
    call.invite(1)
    call.respond(2, status)
    call.nak(2.1)
    assert summary(house).outcome == outcome


def test_an_invite_without_any_response_is_unanswered_after_timer_b() -> None:
    house = House()
    Outgoing(house, "one").invite(1)
    assert summary(house, 0).outcome == "unknown"
    assert summary(house, 80).outcome == "unanswered"


def test_a_call_that_rings_is_ongoing() -> None:
    house = House()
    call = Outgoing(house, "one")
    call.invite(1)
    call.respond(1.1, 180)
    assert summary(house).outcome == "ongoing"


def test_the_ack_is_judged_where_the_callee_is() -> None:
    """The callee of an outgoing call is outside: an ACK that stays in the LAN is missing."""
    house = House()
    call = Outgoing(house, "one")
    call.invite(1)
    for step in (0, *LADDER_2XX):
        call.ok(3 + step)
        call.ack(3.02 + step, wan=False)
    assert summary(house).ack == "missing"


def test_one_side_alone_reads_the_same_call() -> None:
    house = House()
    call = answered(house)
    call.ack(3.1)
    call.bye(9)
    for packets in house.sorted():
        _, reports = one_sided(packets)
        (said,) = (r for r in reports if isinstance(r, CallSummary))
        assert (said.outcome, said.ack) == ("completed", "seen")


def test_a_re_invite_that_is_not_acknowledged_is_told_of_a_call_that_was_healthy() -> None:
    house = House()
    call = answered(house)
    call.ack(3.1)
    made = call._in_dialog("INVITE", 2, f"{call.src}:5060", ())
    seen = house.into(20, made)
    again = answer(200, seen, contact=call.contact)
    for step in (0, *LADDER_2XX):
        house.out(20.1 + step, again)
    call.phone_bye(52.1)
    assert ("DLG001", "observed") in told(house)
    assert summary(house, 90).outcome == "dropped"


def test_many_calls_leave_nothing_behind() -> None:
    house = House("linux")
    for i in range(60):
        incoming_call(house, i * 12, f"c{i}")
    pipeline, reports = analyzed(*house.sorted())
    said = [r for r in reports if isinstance(r, CallSummary)]
    assert len(said) == 60
    assert {r.outcome for r in said} == {"completed"}
    assert len(pipeline._comparison.calls.table) <= 1  # the last one, for the last rules
    assert sum(len(side.transactions.table) for side in pipeline._comparison.sides) < 40
    assert sum(len(side.dialogs.table) for side in pipeline._comparison.sides) == 0


@pytest.mark.parametrize("size", [1, 2, 7, 50])
def test_a_challenged_call_that_is_given_up_is_judged_before_it_is_closed(size: int) -> None:
    """The caller types its password for a minute, and stops asking before Timer B."""
    house = House()
    register(house, 0)
    call = Outgoing(house, "slow@phone")
    call.invite(1)
    call.respond(1.03, 407)
    call.nak(1.05)
    asked = request(
        "INVITE", "sip:300@example.net", via="192.168.1.10:5060", branch="z9hG4bKagain",
        call_id="slow@phone", cseq=2, caller="<sip:100@example.net>;tag=p-slow-phone",
        callee="<sip:300@example.net>", contact=house.contact, body=call.body,
    )  # fmt: skip
    for after in (0, *LADDER_INVITE[:5]):
        house.out(64.8 + after, asked)
    register(house, 130, n=2)
    _, reports = analyzed(*house.sorted(), size=size)
    found = {(r.rule, r.where, r.harm) for r in reports if isinstance(r, Finding)}
    assert ("TXN001", "network", "observed") in found
