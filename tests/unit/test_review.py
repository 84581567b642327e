# SPDX-License-Identifier: Apache-2.0
"""Calls as homes really have them, each of which was read wrongly once."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from typing import Any

import pytest
from algwatch.advise.advice import Advice
from algwatch.base.packet import LAN, WAN, Tap
from algwatch.compare.counterfactual import without_alg
from algwatch.compare.line import NAT_HANDLED
from algwatch.compare.summary import CallSummary
from algwatch.diagnose.finding import Finding
from algwatch.pipeline import Pipeline, Report
from craft import (
    LADDER_2XX,
    House,
    Incoming,
    Outgoing,
    analyzed,
    answer,
    batch,
    incoming_call,
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
    send: Callable[..., bytes] = house.out
    reply: Callable[..., bytes] = house.into
    if not by_phone:
        uri, via, send, reply = f"sip:100@{house.public}", f"{house.provider}:5060", reply, send
    made = request("INVITE", uri, via=via, branch="z9hG4bKagain", call_id=call.call_id, cseq=2,
                   contact="<sip:x@192.168.1.10>", body=sdp(house.phone), **ids)  # fmt: skip
    final = answer(
        status, send(at, made), contact=f"<{uri}>" if by_phone else "<sip:y@203.0.113.5>"
    )
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
    assert 'The 2xx of "sip:200@example.net"' in lost.summary
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


# ---- whose fault it is ----


def unheard(house: House, rport: bool, lan: bool, **how: object) -> list[Report]:
    """A call of the phone whose 2xx never reaches it."""
    call = Outgoing(house, "unheard@phone", rport=rport)
    for after in (0, 0.5, 1.5, 3.5, 7.5, 15.5):
        call.invite(1 + after)
    for after in (0, *LADDER_2XX):
        call.ok(3 + after, lan=lan, **how)
    marks(house, 20, 40, 60)
    return verdict(house)


def test_a_2xx_to_a_port_that_the_phone_never_used_is_not_the_routers_fault() -> None:
    """Without rport it goes to the port of the Via, and the NAT chose another one."""
    reports = unheard(House(wan_port=62848), rport=False, lan=False, wan_port=5060)
    (lost,) = findings(reports, "DLG001")
    assert lost.where == "phone"
    assert "198.51.100.2:5060, but the INVITE came from 198.51.100.2:62848" in lost.summary
    assert "rport" in lost.summary


def test_a_2xx_from_another_host_than_was_called_is_the_providers_fault() -> None:
    reports = unheard(House(), rport=True, lan=False, src="203.0.113.77")
    (lost,) = findings(reports, "DLG001")
    assert lost.where == "provider"
    assert "203.0.113.77" in lost.summary


def test_a_2xx_that_goes_to_the_phone_next_to_it_is_not_an_ack_that_the_phone_forgot() -> None:
    one, two = House(), House(phone="192.168.1.11", wan_port=62848)
    register(one, 0)
    call = Outgoing(two, "unheard@phone", rport=False)
    call.invite(1)
    for after in (0, *LADDER_2XX):
        one.into(3 + after, answer(200, call.seen, to_tag="f", contact=call.far_contact))
    marks(one, 20, 40, 60)
    one.lan += two.lan
    one.wan += two.wan
    (lost,) = findings(verdict(one), "DLG001")
    assert "the router gave it to 192.168.1.10, which did not call" in lost.summary
    assert "the phone never sent an ACK" not in lost.summary


def stopped(contact: str, more: Sequence[str] = (), **how: Any) -> Finding:
    """A call to the phone whose ACK arrives and is not let in."""
    house = House()
    register(house, 0)
    call = Incoming(house, "stopped@provider", contact=contact, more=more)
    call.invite(1)
    call.ok(3)
    call.ack(3.05, lan=False, **how)
    call.dropped(3)
    marks(house, 40, 60)
    (lost,) = findings(verdict(house), "DLG001")
    return lost


def test_an_ack_to_the_wrong_contact_that_the_phone_itself_wrote_is_the_phones_fault() -> None:
    lost = stopped("<sip:100@198.51.100.2:41000>", wan_port=41000)
    assert (lost.where, lost.harm) == ("phone", "observed")


def test_an_ack_to_a_port_that_no_contact_named_is_the_providers_fault() -> None:
    assert stopped("<sip:100@198.51.100.2:5060>", wan_port=41000).where == "provider"


def test_an_ack_from_a_host_that_the_nat_was_never_told_of_is_the_providers_fault() -> None:
    more = ["Record-Route: <sip:203.0.113.99;lr>"]
    assert stopped("", more, src="203.0.113.99").where == "provider"


def test_an_ack_from_a_host_that_the_invite_names_nowhere_is_nobodys_fault() -> None:
    lost = stopped("", src="198.18.7.99")  # in no network of the provider's
    assert lost.where == "network"
    assert "the only ACK came from 198.18.7.99, which the INVITE names nowhere" in lost.summary


def test_an_ack_that_is_where_it_belongs_and_does_not_get_in_is_the_routers_fault() -> None:
    assert stopped("").where == "router"


# ---- the port that the helper forces ----


def test_a_2xx_that_the_router_sends_to_another_port_of_the_caller_is_found_and_hurts() -> None:
    """Reference 1.7-B1: the phone sends from 5062 with Via :5060;rport."""
    house = House(port=5062, wan_port=5062)
    register(house, 0)
    call = Outgoing(house, "via@phone")
    call.invite(1)
    call.invited = call.invited.replace(b":5062;rport", b":5060;rport")
    for after in (0, *LADDER_2XX):
        call.ok(3 + after, lan_port=5060)
    marks(house, 20, 40, 60)
    reports = verdict(house)
    (forced,) = findings(reports, "ALG011")
    assert (forced.where, forced.harm) == ("router", "observed")
    assert [f.where for f in findings(reports, "DLG001")] == ["router"]


def test_a_phone_that_answers_from_another_port_than_it_listens_on_is_not_harmed() -> None:
    """Purpose of forced_dport (Cisco 7941): a message ignored then is not the router's doing."""
    house = House()
    register(house, 0)
    call = Incoming(house, "cisco@provider")
    call.invite(1, lan_port=5080)
    call.ok(3)
    call.ack(3.05, lan_port=5080)
    call.dropped(3)
    reports = verdict(house)
    assert not [a for a in advice(reports) if a.action == "disable-sip-alg"]
    assert all(f.harm == "latent" for f in findings(reports, "ALG011"))


# ---- would it work without the ALG? ----


def test_a_provider_inside_the_same_private_network_does_not_handle_nat_by_being_reached() -> None:
    """Behind CGNAT the Contact that the ALG wrote is private, too, and the ACK went there."""
    house = House("linux", wan="100.64.3.4", provider="100.64.0.1")
    register(house, 0, rport=False)
    incoming_call(house, 5, "in@provider", rport=False)
    outgoing_call(house, 20, "out@phone", rport=False)
    pipeline, reports = analyzed(*house.sorted(), to_the_end=True)
    (line,) = pipeline._comparison.lines.all()
    assert (line.count(NAT_HANDLED), without_alg(line, ()).answer) == (0, "unknown")
    assert [a.action for a in advice(reports)] == ["keep-sip-alg"]


def test_a_call_whose_ack_nobody_saw_does_not_show_that_it_works_without_the_alg() -> None:
    house = House()
    register(house, 0)
    call = Incoming(house, "brief@provider")
    call.invite(1)
    call.ok(3)
    call.phone_bye(3.4)
    marks(house, 20, 40)
    pipeline, _ = analyzed(*house.sorted(), to_the_end=True)
    (line,) = pipeline._comparison.lines.all()
    assert without_alg(line, ()).answer == "unknown"


def test_one_side_alone_says_nothing_of_what_the_router_left_unchanged() -> None:
    house = House()
    call = Incoming(house, "private@provider")
    call.invite(1)
    call.ok(3)
    call.dropped(3)
    given = advice(one_sided(house.sorted()[1], WAN)[1])
    assert given
    assert not any("the router" in line for a in given for line in a.against)


# ---- live ----


def test_a_call_whose_bye_is_never_answered_is_told_and_forgotten() -> None:
    house = House()
    call = Outgoing(house, "ghost@phone")
    call.invite(1)
    call.ok(3)
    call.ack(3.02)
    made = call._request("BYE", 2, "sip:300@203.0.113.5", "")
    for after in (0, 0.5, 1.5, 3.5, 7.5, 11.5, 15.5, 19.5, 23.5, 27.5, 31.5):
        house.out(10 + after, made)
    marks(house, *range(50, 100, 10))
    taps = [Tap("lan", LAN), Tap("wan", WAN)]
    pipeline = Pipeline(taps, live=True, strict=True)
    reports: list[Report] = []
    for tap, packets in enumerate(house.sorted()):
        for packet in packets:
            reports += pipeline.feed(batch([packet], tap))
    assert calls(reports) == [("completed", "seen", 0)]
    assert not pipeline._comparison.calls.table
    assert not pipeline._comparison.sides[0].dialogs.table


# ---- clocks ----


def test_a_call_back_into_the_house_counts_a_repeated_2xx_once() -> None:
    one, two = House(), House(phone="192.168.1.11", wan_port=62848)
    call = Outgoing(one, "back@phone")
    call.invite(1)
    via = b"Via: SIP/2.0/UDP 203.0.113.5:5060;branch=z9hG4bKproxy\r\n"
    delivered = two.into(1.03, call.seen.replace(b"Via: SIP", via + b"Via: SIP", 1))
    final = answer(200, delivered, to_tag="b", contact=two.contact, body=sdp(two.phone))
    for after in (0, *LADDER_2XX):
        one.into(3.01 + after, two.out(3 + after, final).replace(via, b"", 1))
    marks(one, 40, 60)
    one.lan += two.lan
    one.wan += two.wan
    assert calls(verdict(one)) == [("dropped", "missing", 10)]


def test_a_provider_that_was_seen_to_find_the_phone_is_not_told_to_handle_nat() -> None:
    house = House()
    register(house, 0)
    incoming_call(house, 5, "fine@provider")
    marks(house, 20)
    call = Incoming(house, "loss@provider")
    call.invite(100)
    call.ok(102)
    call.dropped(102)
    reports = verdict(house)
    assert hurt(reports) == ["DLG001", "DLG007"]
    assert not advice(reports)
