"""Calls as homes really have them, each of which was read wrongly once."""

from __future__ import annotations

import re

import pytest
from algwatch.advise.advice import Advice
from algwatch.base.packet import WAN
from algwatch.compare.summary import CallSummary
from algwatch.diagnose.finding import Finding
from algwatch.pipeline import Report
from craft import (
    LADDER_2XX,
    House,
    Incoming,
    analyzed,
    answer,
    one_sided,
    outgoing_call,
    register,
    request,
    sdp,
)


def marks(house: House, *at: float) -> None:
    """Something else goes on, so that time passes."""
    for moment in at:
        register(house, moment, n=1000 + round(moment))


def verdict(house: House) -> list[Report]:
    return analyzed(*house.sorted(), to_the_end=True)[1]


def calls(reports: list[Report]) -> list[tuple[str, str, int]]:
    return [(r.outcome, r.ack, r.final_retransmissions) for r in reports
            if isinstance(r, CallSummary)]  # fmt: skip


def findings(reports: list[Report], rule: str = "") -> list[Finding]:
    return [r for r in reports if isinstance(r, Finding) and r.rule.startswith(rule)]


def hurt(reports: list[Report]) -> list[str]:
    return [f.rule for f in findings(reports) if f.harm in ("observed", "certain")]


def advice(reports: list[Report]) -> list[Advice]:
    return [r for r in reports if isinstance(r, Advice)]


# ---- one call to several phones, and calls that pass the router twice ----


def ring_both(acked: bool, second_answers: bool = False) -> House:
    """The proxy forks one call to two phones behind one router; the first one takes it."""
    one, two = House(), House(phone="192.168.1.11", wan_port=62848)
    register(one, 0)
    register(two, 0.5, n=2)
    first, second = Incoming(one, "ring@provider"), Incoming(two, "ring@provider")
    first.invite(1)
    leg = first.invited.replace(b"z9hG4bKi-", b"z9hG4bKj-")
    second.invited = leg.replace(b":5060 SIP", b":62848 SIP")
    second.invite(1.01)
    first.ringing(1.2)
    second.ringing(1.3)
    first.ok(3)
    if acked:
        first.ack(3.05)
    head = second.invited.split(b"\r\n\r\n")[0]
    if second_answers:
        # Both were lifted: each 2xx has its ACK, and the second leg is hung up at once.
        two.out(3.1, answer(200, second.delivered, to_tag="other", contact=second.contact))
        for at, method, branch in ((3.2, b"ACK", b"z9hG4bKoa-"), (3.3, b"BYE", b"z9hG4bKob-")):
            made = re.sub(rb"INVITE", method, head).replace(b"z9hG4bKj-", branch)
            made = re.sub(rb"(?m)^(To: .*?)\r$", rb"\g<1>;tag=other\r", made)
            seen = two.into(at, made + b"\r\n\r\n")
        two.out(3.35, answer(200, seen))
    else:
        seen = two.into(3.02, head.replace(b"INVITE", b"CANCEL") + b"\r\n\r\n")
        two.out(3.04, answer(200, seen))
        two.out(3.05, answer(487, second.delivered, to_tag="other"))
        two.into(3.1, head.replace(b"INVITE", b"ACK") + b"\r\n\r\n")
    if acked:
        marks(one, 10, 20, 40)
        first.bye(60)
    else:
        first.dropped(3)
    one.lan += two.lan
    one.wan += two.wan
    return one


def test_a_call_that_rings_two_phones_is_the_call_of_the_one_that_answers() -> None:
    reports = verdict(ring_both(acked=True))
    assert calls(reports) == [("completed", "seen", 0)]
    assert not hurt(reports)


def test_a_lost_ack_shows_although_another_phone_was_cancelled() -> None:
    reports = verdict(ring_both(acked=False))
    assert calls(reports) == [("dropped", "missing", 10)]
    (lost,) = findings(reports, "DLG001")
    assert (lost.where, lost.harm) == ("network", "observed")


def test_two_phones_that_answer_at_once_are_no_retransmission_and_the_call_goes_on() -> None:
    house = ring_both(acked=True, second_answers=True)
    for reports in (verdict(house), one_sided(house.sorted()[1], WAN)[1]):
        assert calls(reports) == [("completed", "seen", 0)]
        assert not hurt(reports)


def test_a_second_2xx_of_a_forking_proxy_is_no_retransmission() -> None:
    house = House()
    call = outgoing_call(house, 1, "fork@phone")
    for at in (3.3, 4.9, 5.5):
        call.house.into(at, answer(200, call.seen, to_tag="elsewhere", contact=call.far_contact))
    reports = verdict(house)
    assert calls(reports) == [("completed", "seen", 0)]
    assert not hurt(reports)


def test_a_phone_that_refuses_does_not_end_a_call_that_still_rings_at_the_other() -> None:
    one, two = House(), House(phone="192.168.1.11", wan_port=62848)
    first, second = Incoming(one, "ring@provider"), Incoming(two, "ring@provider")
    second.invite(1)
    first.invited = second.invited.replace(b"z9hG4bKi-", b"z9hG4bKj-")
    first.invite(1.01)
    two.out(1.5, answer(486, second.delivered, to_tag="busy"))
    first.ringing(1.2)
    marks(one, 5, 10, 15)
    first.ok(20)
    first.ack(20.05)
    marks(one, 30)
    first.bye(40)
    one.lan += two.lan
    one.wan += two.wan
    assert calls(verdict(one)) == [("completed", "seen", 0)]


# ---- re-INVITE ----


def again(house: House, call: Incoming, at: float, status: int, by_phone: bool,
          acked: bool = True) -> tuple[bytes, bytes]:  # fmt: skip
    """A re-INVITE in an incoming call; its final response and its ACK."""
    ids = call._ids()
    if by_phone:
        ids = {"caller": ids["callee"], "callee": ids["caller"]}
    uri, via = f"sip:200@{house.provider}", f"{house.phone}:5060"
    send, reply = house.out, house.into
    if not by_phone:
        uri, via, send, reply = f"sip:100@{house.public}", f"{house.provider}:5060", reply, send
    made = request("INVITE", uri, via=via, branch="z9hG4bKagain", call_id=call.call_id, cseq=2,
                   contact="<sip:x@192.168.1.10>", body=sdp(house.phone), **ids)  # fmt: skip
    final = answer(status, send(at, made), contact="<sip:y@203.0.113.5>")
    reply(at + 0.1, final)
    branch = "z9hG4bKagain" if status >= 300 else "z9hG4bKagain-ack"
    ack = request("ACK", uri, via=via, branch=branch, call_id=call.call_id, cseq=2, **ids)
    if acked:
        send(at + 0.15, ack)
    return final, ack


def talking(house: House) -> Incoming:
    register(house, 0)
    call = Incoming(house, "long@provider")
    call.invite(1)
    call.ok(3)
    call.ack(3.05)
    return call


@pytest.mark.parametrize("by_phone", [False, True])
@pytest.mark.parametrize("status", [200, 488, 491])
def test_a_reinvite_leaves_a_call_one_call_however_it_is_answered(
    status: int, by_phone: bool
) -> None:
    house = House()
    call = talking(house)
    again(house, call, 20, status, by_phone)
    marks(house, 30, 40, 60)
    call.bye(100)
    reports = verdict(house)
    assert calls(reports) == [("completed", "seen", 0)]
    assert not hurt(reports)


def test_a_lost_ack_to_the_phones_own_reinvite_is_not_blamed_on_the_phone() -> None:
    house = House()
    call = talking(house)
    final, ack = again(house, call, 20, 200, by_phone=True)
    for after in LADDER_2XX:
        house.into(20.1 + after, final)
        house.out(20.15 + after, ack)
    call.bye(52.1)
    reports = verdict(house)
    (lost,) = findings(reports, "DLG001")
    assert (lost.where, lost.harm) == ("network", "observed")
    assert "The 2xx of sip:200@example.net" in lost.summary
    assert "32.0 s after" in lost.summary
    assert [outcome for outcome, _, _ in calls(reports)] == ["dropped"]


def test_a_reinvite_that_nobody_answers_is_told_and_the_call_goes_on_until_its_bye() -> None:
    house = House()
    call = talking(house)
    ids = call._ids()
    made = request("INVITE", f"sip:200@{house.provider}", via=f"{house.phone}:5060", cseq=1,
                   branch="z9hG4bKagain", call_id=call.call_id, caller=ids["callee"],
                   callee=ids["caller"])  # fmt: skip
    for after in (0, 0.5, 1.5, 3.5, 7.5, 15.5, 31.5):
        house.out(20 + after, made)
    marks(house, 40, 55, 60, 70)
    call.bye(80)
    reports = verdict(house)
    (silent,) = findings(reports, "TXN001")
    assert (silent.where, silent.harm) == ("network", "observed")
    assert "7 times" in silent.summary
    assert calls(reports) == [("completed", "seen", 0)]


# ---- 2xx that come again, and calls that live ----


def repeated(house: House, call: Incoming, *after: float) -> None:
    register(house, 0)
    call.invite(1)
    call.ok(3)
    for moment in after:
        call.ok(3 + moment)


@pytest.mark.parametrize("ends", [True, False])
def test_a_phone_that_stops_repeating_its_2xx_has_not_dropped_the_call(ends: bool) -> None:
    """Its ACK came by a way that no tap sees (RFC 3261 section 13.3.1.4: else it goes on)."""
    house = House()
    call = Incoming(house, "lives@provider")
    repeated(house, call, 0.5, 1.5)
    marks(house, 10, 20, 30, 40, 50, 60)
    if ends:
        call.bye(100)
    for reports in (verdict(house), one_sided(house.sorted()[0])[1]):
        assert not hurt(reports)
        assert [outcome for outcome, _, _ in calls(reports)] == ["completed" if ends else "unknown"]


def test_who_hangs_up_before_the_32_seconds_was_not_dropped() -> None:
    house = House()
    call = Incoming(house, "short@provider")
    repeated(house, call, 0.5, 1.5, 3.5, 7.5)
    call.bye(13)
    marks(house, 20, 40, 60)
    for reports in (verdict(house), one_sided(house.sorted()[1], WAN)[1]):
        assert not hurt(reports)
        assert calls(reports) == [("completed", "missing", 4)]
        (lost,) = findings(reports, "DLG001")
        assert "the other end hung up 10.0 s after the answer" in lost.summary


def test_a_2xx_is_the_same_one_after_two_of_its_retransmissions_were_lost() -> None:
    house = House()
    call = Incoming(house, "lossy@provider")
    repeated(house, call, 0.5, 1.5, 3.5, 15.5, 19.5, 23.5, 27.5, 31.5)
    call.phone_bye(35)
    reports = verdict(house)
    assert calls(reports) == [("dropped", "missing", 8)]
    assert "came 9 times" in findings(reports, "DLG001")[0].summary
