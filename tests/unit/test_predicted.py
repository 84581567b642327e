# SPDX-License-Identifier: Apache-2.0
"""A drop is told before it happens, with the seconds left, and the word is changed when more is
known. All times are packet times."""

from __future__ import annotations

import re

from algwatch.base.packet import LAN, WAN, Tap
from algwatch.base.report import Report
from algwatch.diagnose.finding import Finding
from algwatch.pipeline import Pipeline
from algwatch.report.render.verdict import FINE, HURTS, Verdict
from craft import LADDER_2XX, NS, START, House, Incoming, Timed, batch

Told = list[tuple[float, Finding]]  # seconds since START, and what was said then


def answered(house: House) -> Incoming:
    call = Incoming(house, "drop@provider", contact=f"<sip:100@{house.public}>")
    call.invite(1)
    call.ok(3)
    return call


def live(house: House, until: float) -> tuple[Told, Verdict]:
    """The findings of DLG001 and DLG007 while the taps run, each half second until `until`; and the
    verdict of all."""
    pipeline = Pipeline([Tap("lan", LAN), Tap("wan", WAN)], live=True, strict=True)
    verdict, told = Verdict(), []
    packets = sorted(
        (at, tap, data) for tap, some in enumerate(house.sorted()) for at, data in some
    )

    def take(reports: list[Report], at: float) -> None:
        for report in reports:
            verdict.feed(report)
            if isinstance(report, Finding) and report.rule in ("DLG001", "DLG007"):
                told.append((at, report))

    at = 0.0
    while at <= until:
        now = START * NS + round(at * NS)
        while packets and packets[0][0] <= now:
            then, tap, data = packets.pop(0)
            take(pipeline.feed(batch([(then, data)], tap)), at)
        for tap in (0, 1):
            take(pipeline.advance(tap, now), at)
        at += 0.5
    take(pipeline.finish(), until)
    verdict.settle(pipeline.counts() | {"capture": {"sip_messages": 1, "lan": 1, "wan": 1}})
    return told, verdict


def left(finding: Finding) -> int:
    found = re.search(r"in (\d+) s\.", finding.summary)
    assert found is not None, finding.summary
    return int(found[1])


def test_a_lost_ack_is_told_at_the_second_retransmission_with_the_seconds_left() -> None:
    house = House()
    call = answered(house)
    call.dropped(3)
    told, verdict = live(house, 45)
    at, first = told[0]
    assert (first.rule, first.harm, first.predicts) == ("DLG001", "latent", True)
    assert 4.5 <= at <= 5.5  # the third 2xx came 1.5 s after the first, at 3 s
    assert at + left(first) - 35 in (-0.5, 0, -1)
    words = [(f.rule, f.harm) for _, f in told]
    assert words == [("DLG001", "latent"), ("DLG001", "observed"), ("DLG007", "observed")]
    assert told[1][0] <= 36.5
    assert verdict.state == HURTS


def test_a_prediction_is_taken_back_when_the_ack_comes_late() -> None:
    house = House()
    call = answered(house)
    for after in LADDER_2XX[:4]:
        call.ok(3 + after)
    call.ack(11)
    call.bye(100)
    told, verdict = live(house, 110)
    assert [(f.rule, f.harm) for _, f in told] == [("DLG001", "latent"), ("DLG001", "none")]
    assert 15 <= told[1][0] <= 17  # no 2xx came for T2 after the ACK
    assert "acknowledged after 8.0 s" in told[1][1].summary
    assert told[0][1].key == told[1][1].key
    assert verdict.state == FINE and not verdict.doubtful


def test_a_prediction_is_taken_back_when_the_call_ends_right_after_the_late_ack() -> None:
    house = House()
    call = answered(house)
    for after in LADDER_2XX[:4]:
        call.ok(3 + after)
    call.ack(11)
    call.bye(12)
    told, verdict = live(house, 30)
    assert [(f.rule, f.harm) for _, f in told] == [("DLG001", "latent"), ("DLG001", "none")]
    assert verdict.state == FINE and not verdict.doubtful


def test_an_ack_that_does_not_help_takes_nothing_back() -> None:
    house = House()
    call = answered(house)
    call.dropped(3)
    call.ack(11)
    call.ack(20)
    told, verdict = live(house, 45)
    assert [(f.rule, f.harm) for _, f in told][:2] == [("DLG001", "latent"), ("DLG001", "observed")]
    assert verdict.state == HURTS


def test_a_prediction_is_changed_when_the_other_end_hangs_up_first() -> None:
    house = House()
    call = answered(house)
    for after in LADDER_2XX[:5]:
        call.ok(3 + after)
    call.bye(15)
    told, _ = live(house, 60)
    assert [(f.rule, f.harm) for _, f in told] == [("DLG001", "latent"), ("DLG001", "latent")]
    assert "hung up 12.0 s after the answer" in told[1][1].summary


def test_a_refresh_that_is_overdue_is_told_with_the_seconds_left() -> None:
    call = Timed(House(), "uac", 90)
    call.far_bye(3 + 60)
    told, verdict = live(call.house, 75)
    (at, first), (then, last) = told
    assert (first.rule, first.harm, first.predicts) == ("DLG007", "latent", True)
    assert 3 + 45 < at < 3 + 60
    assert at + left(first) in (62.5, 63, 62)
    assert (last.rule, last.harm, last.where) == ("DLG007", "observed", "phone")
    assert last.key == first.key and then < 66
    assert verdict.state == HURTS


def test_a_refresh_that_comes_late_takes_the_prediction_back() -> None:
    for method in ("UPDATE", "INVITE"):
        call = Timed(House(), "uac", 90)
        call.accept(59.1, call.refresh(59, method))
        if method == "INVITE":
            made = call._request(
                "ACK", 2, call.far_contact.strip("<>"), f";tag={call._tag}", branch="ack2"
            )
            call.house.out(59.2, made)
        call.bye(90)
        told, verdict = live(call.house, 100)
        assert [(f.rule, f.harm) for _, f in told] == [("DLG007", "latent"), ("DLG007", "none")]
        assert "refreshed late" in told[1][1].summary and told[1][0] < 62
        assert verdict.state == FINE and not verdict.doubtful


def test_a_user_who_hangs_up_takes_the_prediction_back() -> None:
    call = Timed(House(), "uac", 600)
    call.bye(3 + 500)
    told, verdict = live(call.house, 520)
    assert [(f.rule, f.harm) for _, f in told] == [("DLG007", "latent"), ("DLG007", "none")]
    assert "ended before its session timer" in told[1][1].summary
    assert verdict.state == FINE


def test_each_session_waits_for_its_own_time() -> None:
    house = House()
    Timed(house, "uac", 1800, call_id="long@phone")
    other = House(phone="192.168.1.11", port=5062, wan_port=5062)
    Timed(other, "uac", 90, call_id="short@phone")
    house.lan += other.lan
    house.wan += other.wan
    told, _ = live(house, 58)
    assert [f.call_id for _, f in told] == ["short@phone"]


def test_a_call_that_renews_its_session_often_has_few_alarms() -> None:
    house = House()
    pipeline = Pipeline([Tap("lan", LAN), Tap("wan", WAN)], live=True, strict=True)
    call = Timed(house, "uac", 604800)
    for n in range(200):
        call.timer = [f"Session-Expires: {604800 - n};refresher=uac"]
        call.accept(4 + n, call.refresh(4 + n))
    for tap, some in enumerate(house.sorted()):
        pipeline.feed(batch(some, tap))
    assert len(pipeline._comparison.calls._refresh) == 1
    pipeline.finish()


def test_a_shorter_session_is_told_in_time() -> None:
    call = Timed(House(), "uac", 604800)
    call.timer = ["Session-Expires: 90;refresher=uac"]
    call.accept(10.1, call.refresh(10))
    told, _ = live(call.house, 10 + 58)
    assert [(f.rule, f.harm) for _, f in told] == [("DLG007", "latent")]


def test_a_timer_that_is_taken_away_after_the_bye_fails_nothing() -> None:
    call = Timed(House(), "uac", 90)
    seen = call.refresh(62.9)
    call.far_bye(63)
    call.accept(63.01, seen, more=[])
    live(call.house, 80)


def test_a_refreshed_session_is_never_told() -> None:
    call = Timed(House(), "uac", 90)
    for n in range(1, 6):
        call.accept(3 + 45 * n + 0.1, call.refresh(3 + 45 * n))
    call.bye(3 + 45 * 5 + 20)
    told, verdict = live(call.house, 300)
    assert not told
    assert verdict.state == FINE
