# SPDX-License-Identifier: Apache-2.0
"""A message that was not captured is not missing: a call beside packets that a ring lost."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import algwatch.base.table
import algwatch.pipeline
import pytest
from algwatch.advise.advice import Advice
from algwatch.base.packet import LAN, WAN, Tap
from algwatch.base.report import Report
from algwatch.compare.limits import Limits
from algwatch.compare.summary import CallSummary
from algwatch.diagnose.finding import Finding
from algwatch.pipeline import Pipeline
from craft import (
    LADDER_2XX,
    LADDER_INVITE,
    NS,
    START,
    House,
    Incoming,
    Outgoing,
    batch,
    far_gives_up,
    linux_in,
    linux_out,
    register,
    request,
    works_beside,
)
from test_clock_steps import watched

Loss = tuple[int, float]  # tap, seconds after START until when packets were lost
BOTH = pytest.mark.parametrize("tap", [LAN, WAN], ids=["lan", "wan"])


def live(
    house: House, *losses: Loss, packets: int = 7, finish: bool = True
) -> tuple[Pipeline, list[Report]]:
    """Both taps in tenths of a second, and what was lost told before time passes it."""
    lan, wan = house.sorted()
    pipeline = Pipeline([Tap("lan", LAN), Tap("wan", WAN)], live=True, strict=True)
    reports: list[Report] = []
    begin = START * NS
    end = max(p[-1][0] for p in (lan, wan) if p) + 40 * NS
    for at in range(begin, end, NS // 10):
        for tap, copies in ((LAN, lan), (WAN, wan)):
            for lossy, until in losses:
                if lossy == tap and at <= begin + until * NS < at + NS // 10:
                    pipeline.lost(tap, packets, at + NS // 10)
            part = [p for p in copies if at <= p[0] < at + NS // 10]
            if part:
                reports += pipeline.feed(batch(part, tap))
            reports += pipeline.advance(tap, at + NS // 10)
    return pipeline, reports + pipeline.finish() if finish else reports


def verdicts(reports: list[Report], *rules: str) -> list[tuple[str, str, str]]:
    """The last word of each rule on each call."""
    last = {r.key: (r.rule, r.where, r.harm) for r in reports if isinstance(r, Finding)}
    return [said for said in last.values() if said[0] in rules]


def summary(reports: list[Report], call_id: str) -> tuple[str, str]:
    (one,) = [r for r in reports if isinstance(r, CallSummary) and r.call_id == call_id]
    return one.outcome, one.ack


def advice(reports: list[Report]) -> dict[str, str]:
    return {r.action: r.state for r in reports if isinstance(r, Advice)}


# ---- calls whose ACK the router swallowed ----


def swallowed_inbound() -> House:
    house = House()
    register(house, 0)
    call = Incoming(house, "call", contact=f"<sip:100@{house.public}>")
    call.invite(2)
    call.ok(4)
    for after in (0, *LADDER_2XX):
        call.ack(4.05 + after, lan=False)
    call.dropped(4)
    return house


def swallowed_outbound() -> House:
    house = House()
    register(house, 0)
    far_gives_up(house, 2, "call", acks=True)
    return house


def answer_swallowed() -> House:
    house = House()
    register(house, 0)
    far_gives_up(house, 2, "call", answered=False)
    return house


SWALLOWED = pytest.mark.parametrize(
    "made", [swallowed_inbound, swallowed_outbound, answer_swallowed]
)


@SWALLOWED
def test_without_loss_the_router_is_named(made: Callable[[], House]) -> None:
    _, reports = live(made())
    assert verdicts(reports, "DLG001", "CAP002") == [("DLG001", "router", "observed")]
    assert summary(reports, "call") == ("dropped", "missing")


@BOTH
@SWALLOWED
@pytest.mark.parametrize("at", [1.8, 2.0, 4.1, 20.0])
def test_with_loss_on_either_tap_nobody_is(
    made: Callable[[], House], tap: int, at: float
) -> None:  # fmt: skip
    _, reports = live(made(), (tap, at))
    assert verdicts(reports, "DLG001") == [("DLG001", "unknown", "observed")]
    findings = [r for r in reports if isinstance(r, Finding)]
    if at < 6:  # later the router was named before anything was lost, and rightly
        assert not any(r.where == "router" for r in findings)
    told = next(r for r in reversed(findings) if r.rule == "DLG001")
    assert "not all of the call was captured and kept" in told.summary
    # The callee was seen to wait to the end.
    assert summary(reports, "call") == ("dropped", "missing")


@BOTH
@SWALLOWED
def test_what_was_lost_before_the_call_is_nothing_to_it(
    made: Callable[[], House], tap: int
) -> None:  # fmt: skip
    _, reports = live(made(), (tap, 1.6))
    assert verdicts(reports, "DLG001") == [("DLG001", "router", "observed")]


@BOTH
def test_a_callee_that_hangs_up_before_its_time_may_have_got_an_ack(tap: int) -> None:
    """A path of 2 s, the ACK lost in the capture, and a short call."""
    house = House()
    call = Incoming(house, "call", contact=f"<sip:100@{house.public}>")
    call.invite(1)
    for after in (0.0, 0.5, 1.5):
        call.ok(3 + after)
    call.phone_bye(8)
    _, without = live(house)
    assert ("DLG001", "network", "observed") in verdicts(without, "DLG001")
    assert summary(without, "call") == ("dropped", "missing")
    _, reports = live(house, (tap, 5.0))
    words = [(r.where, r.harm) for r in reports if isinstance(r, Finding) and r.rule == "DLG001"]
    assert words == [("network", "latent"), ("unknown", "latent")]  # before it was lost, and after
    assert summary(reports, "call") == ("unknown", "unknown")
    _, reports = live(house, (tap, 3.1))
    assert verdicts(reports, "DLG001") == [("DLG001", "unknown", "latent")]
    (told,) = [r for r in reports if isinstance(r, Finding) and r.rule == "DLG001"]
    assert "was not seen to be acknowledged" in told.summary
    assert "will end" not in told.summary


# ---- an INVITE that nobody answers ----


def unanswered(ladder: tuple[float, ...]) -> House:
    house = House()
    register(house, 0)
    call = Outgoing(house, "call")
    for after in (0.0, *ladder):
        call.invite(2 + after, wan=False)
    return house


def test_without_loss_an_invite_that_never_left_is_the_routers() -> None:
    _, reports = live(unanswered(LADDER_INVITE))
    assert verdicts(reports, "TXN001") == [("TXN001", "router", "observed")]


@BOTH
@pytest.mark.parametrize("at", [2.0, 20.0])
def test_with_loss_it_is_unanswered_and_nobody_knows_where(tap: int, at: float) -> None:
    _, reports = live(unanswered(LADDER_INVITE), (tap, at))
    assert verdicts(reports, "TXN001") == [("TXN001", "unknown", "observed")]
    assert summary(reports, "call") == ("unanswered", "unknown")


@BOTH
def test_an_invite_that_was_not_repeated_to_the_end_may_have_been_answered(tap: int) -> None:
    house = unanswered(LADDER_INVITE[:2])
    _, without = live(house)
    assert verdicts(without, "TXN001") == [("TXN001", "router", "observed")]
    _, reports = live(house, (tap, 4.0))
    assert verdicts(reports, "TXN001") == []
    assert summary(reports, "call") == ("unknown", "unknown")


# ---- what was seen stays ----


def forced() -> House:
    house = House("linux")
    register(house, 0)
    works_beside(house, 50)
    call = Incoming(house, "call")
    call.invite(2)
    call.ok(4)
    for after in (0, *LADDER_2XX):
        call.ack(4.03 + after, via_port=5080, lan_port=5080)
    call.dropped(4)
    return house


@BOTH
@pytest.mark.parametrize("at", [2.0, 4.1, 20.0])
def test_an_ack_that_was_seen_to_go_to_another_port_is_evidence_all_the_same(
    tap: int, at: float
) -> None:  # fmt: skip
    _, reports = live(forced(), (tap, at))
    assert verdicts(reports, "DLG001", "ALG011") == [
        ("DLG001", "router", "observed"), ("ALG011", "router", "observed"),
    ]  # fmt: skip
    assert advice(reports)["disable-sip-alg"] == "recommended"


@BOTH
def test_but_not_where_the_port_of_its_invite_is_not_known(tap: int) -> None:
    """A phone whose INVITE went to that port listens there, wherever it sends from."""
    house = forced()
    packets = (house.lan, house.wan)[tap]
    packets[:] = [p for p in packets if b"INVITE sip:" not in p[1]]
    _, reports = live(house, (tap, 2.0))
    assert not any(harm in ("observed", "certain") and where == "router"
                   for _, where, harm in verdicts(reports, "DLG001", "ALG011"))  # fmt: skip
    assert "disable-sip-alg" not in advice(reports)


@BOTH
def test_nor_where_nobody_saw_the_invite(tap: int) -> None:
    house = forced()
    for packets in (house.lan, house.wan):
        packets[:] = [p for p in packets if b"INVITE sip:" not in p[1]]
    _, reports = live(house, (tap, 2.0))
    assert verdicts(reports, "DLG001") == [("DLG001", "unknown", "observed")]
    assert "disable-sip-alg" not in advice(reports)


@BOTH
def test_a_call_of_which_something_was_lost_does_not_speak_against_turning_the_alg_off(
    tap: int,
) -> None:
    """No ACK was seen in it, and nothing rewritten: that proves neither."""
    house = House(wan_port=1024)
    register(house, 0)
    call = Incoming(house, "drops")
    call.invite(2)
    call.ok(4)
    call.dropped(4)
    house.out_alg = linux_out(house.phone, 5060, house.wan_ip, 1024)
    house.in_alg = linux_in(house.phone, 5060, house.wan_ip, 1024)
    call = Incoming(house, "call")
    call.invite(60)
    call.ok(62)
    for after in (0, *LADDER_2XX):
        call.ack(62.03 + after, via_port=5080, lan_port=5080)
    call.dropped(62)
    _, without = live(house)
    assert "disable-sip-alg" not in advice(without)
    _, reports = live(house, (tap, 5.0))
    assert summary(reports, "drops") == ("dropped", "missing")
    assert advice(reports)["disable-sip-alg"] == "suspected"


# ---- pairing ----


@BOTH
def test_a_copy_beside_a_loss_on_the_other_tap_is_not_alone(tap: int) -> None:
    house = House()
    Outgoing(house, "lan").invite(1, wan=False)
    Incoming(house, "wan").invite(1, lan=False)
    Outgoing(house, "later lan").invite(3, wan=False)
    Incoming(house, "later wan").invite(3, lan=False)
    counts = live(house, (tap, 1.05))[0].counts()["crossings"]
    assert (counts["lan_only"], counts["wan_only"]) == ((2, 1) if tap == LAN else (1, 2))


@BOTH
def test_the_only_two_that_are_left_of_a_loss_are_no_pair(tap: int) -> None:
    """The copies of two others were lost: what is left must not be compared."""
    house = House(idents=False)
    register(house, 0)
    call = Outgoing(house, "call")
    call.invite(1)
    call.invited = call.invited.replace(b"z9hG4bKinvite", b"z9hG4bKother1")
    call.invite(2, wan=False)
    call.invited = call.invited.replace(b"z9hG4bKother1", b"z9hG4bKother2")
    call.invite(2.1, lan=False)
    assert live(house)[0].counts()["crossings"]["paired"] == 4
    counts = live(house, (tap, 2.0))[0].counts()["crossings"]
    assert counts["paired"] == 3
    assert counts["rewritten"] == 0


# ---- CAP002, CAP001 ----


def told(house: House, *losses: Loss, packets: int = 7) -> list[Finding]:
    _, reports = live(house, *losses, packets=packets)
    return [r for r in reports if isinstance(r, Finding) and r.rule == "CAP002"]


def test_what_a_tap_lost_is_said_of_its_side_with_the_number() -> None:
    (one,) = told(swallowed_inbound(), (WAN, 3.0), packets=8291)
    assert (one.side, one.where, one.harm, one.severity) == ("wan", "unknown", "none", "warning")
    assert "The capture of the WAN lost packets, 1000 or more so far" in one.summary
    assert "8291 packets" in one.evidence[0].observed
    assert one.at == pytest.approx(START + 3.1)


def test_it_is_said_again_only_when_it_is_ten_times_as_much() -> None:
    losses = [(LAN, 3.0 + n) for n in range(20)]
    assert [one.side for one in told(swallowed_inbound(), *losses, packets=1)] == ["lan", "lan"]


def test_an_interface_that_was_gone_lost_nothing_that_was_counted() -> None:
    assert told(swallowed_inbound(), (WAN, 3.0), packets=0) == []
    _, reports = live(swallowed_inbound(), (WAN, 3.0), packets=0)
    assert verdicts(reports, "DLG001") == [("DLG001", "unknown", "observed")]


def test_a_side_is_not_called_silent_while_packets_are_lost() -> None:
    house = House()
    register(house, 1)
    house.wan = []  # live() goes on for 40 s
    _, reports = live(house, finish=False)
    assert verdicts(reports, "CAP001") == [("CAP001", "unknown", "none")]
    _, reports = live(house, (WAN, 12.0), finish=False)
    assert verdicts(reports, "CAP001") == []


# ---- calls that had to go for want of room ----


def overfull(monkeypatch: pytest.MonkeyPatch, then: str) -> list[Report]:
    """A phone repeats its 2xx to the end. After the first one four other calls push the call out
    of the tables, and on the LAN the phone's OPTIONS push out its INVITE too: there the next 2xx
    opens it anew, on the WAN that is an echo. then: what else comes of it."""
    monkeypatch.setattr(algwatch.pipeline, "ROUTER", Limits(12, 4, 256, 128))
    # The oldest goes, whatever it has shown: as in a flood of what has shown as much.
    monkeypatch.setattr(algwatch.base.table, "choose", lambda _, limit, count: range(count))
    house = House()
    register(house, 0)
    call = Incoming(house, "call")
    call.invite(2)
    call.ok(4)
    for i in range(4):
        Incoming(house, f"other{i}").invite(4.1 + i / 100)
    for i in range(12):
        ping = request("OPTIONS", "sip:192.168.1.1", via=f"{house.phone}:5060",
                       branch=f"z9hG4bKping{i}", call_id=f"ping{i}", cseq=1)  # fmt: skip
        house.out(4.2 + i / 100, ping, wan=False)
    for after in LADDER_2XX:
        call.ok(4 + after)
        if then == "ACK":  # and the phone ignores it
            call.ack(4.1 + after)
    if then == "BYE":
        call.phone_bye(36)
    pipeline, reports = live(house)
    assert pipeline.counts()["evicted"]["calls"] > 0
    return reports


@pytest.mark.parametrize("then", ["nothing", "ACK", "BYE"])
def test_who_forgot_a_call_names_nobody(monkeypatch: pytest.MonkeyPatch, then: str) -> None:
    reports = overfull(monkeypatch, then)
    assert all(where == "unknown" for _, where, _ in verdicts(reports, "DLG001", "TXN001"))
    assert advice(reports) == {}
    assert not [r for r in reports if isinstance(r, Finding) and "began before" in r.summary]


# ---- the daemon ----


@BOTH
@pytest.mark.parametrize(("pause", "full"), [(0.1, False), (2.0, False), (2.0, True)])
def test_the_daemon_tells_before_anybody_concludes_from_it(
    tap: int, pause: float, full: bool
) -> None:  # fmt: skip
    """The ACK of a slow caller is on one side, and the other tap may have had no room for it."""
    house = House()
    for n in range(40):
        register(house, n / 4, n=n)
    call = Incoming(house, "call") if tap == LAN else Outgoing(house, "call")
    call.invite(2)
    for after in (0.0, 0.5, 1.5, 3.5):
        call.ok(4 + after)
    missing: dict[str, Any] = {("lan", "wan")[tap]: False}
    call.ack(5.8, **missing)
    call.bye(20)

    def places(drops: dict[int, int]) -> set[str]:
        reports = watched(house, [], pause, full, drops)
        return {r.where for r in reports if isinstance(r, Finding) and r.rule == "DLG001"}

    assert places({}) == {"router"}
    assert places({tap: START * NS + round(5.8 * NS)}) == {"unknown"}
