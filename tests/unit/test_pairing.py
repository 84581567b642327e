# SPDX-License-Identifier: Apache-2.0
"""Two copies of one message become a crossing by the key that survived, and by nothing weaker."""

from __future__ import annotations

import random

import pytest
from algwatch.base.packet import LAN, WAN, Tap
from algwatch.compare.crossing import BY_IP_ID, BY_ORDER, IDENTITY, Crossing
from algwatch.diagnose.finding import Finding
from algwatch.pipeline import Pipeline
from craft import (
    House,
    Incoming,
    Outgoing,
    Packet,
    analyzed,
    batch,
    frame,
    incoming_call,
    outgoing,
    outgoing_call,
    register,
    request,
    sdp,
)
from hypothesis import given, settings
from hypothesis import strategies as st

LATER = 3.0  # seconds: by then both taps have passed every window


def crossings_of(lan: list[Packet], wan: list[Packet]) -> list[Crossing]:
    """Crossings of what was decided; a call much later lets both taps pass the windows."""
    end = House(phone="192.168.1.99", wan_port=45000)
    last = max(p[0] for p in lan + wan) / 1e9 - 1_700_000_000
    Outgoing(end, "end").invite(last + LATER)
    seen: list[Crossing] = []
    analyzed(lan + end.lan, wan + end.wan, watch=seen.append)
    seen.sort(key=lambda c: c.entered.at)
    return [c for c in seen if b"Call-ID: end\r\n" not in c.entered.payload]


def branch_changed(message: bytes) -> bytes:
    return message.replace(b"branch=z9hG4bK", b"branch=z9hG4bKalg")


def keys(crossings: list[Crossing]) -> list[str]:
    return [c.matched_by for c in crossings]


# ---- each key alone ----


def test_identity_pairs_a_rewritten_message_without_an_ip_id() -> None:
    house = House("linux", idents=False)
    Outgoing(house, "one").invite(1)
    (crossing,) = crossings_of(*house.sorted())
    assert crossing.both
    assert crossing.matched_by == IDENTITY
    assert crossing.rewritten


def test_ip_id_pairs_a_message_whose_branch_was_rewritten() -> None:
    house = House()
    house.out_alg = branch_changed
    Outgoing(house, "one").invite(1)
    (crossing,) = crossings_of(*house.sorted())
    assert crossing.both
    assert crossing.matched_by == BY_IP_ID


def test_order_within_a_known_mapping_pairs_when_ip_id_and_branch_are_gone() -> None:
    house = House(idents=False)
    register(house, 0)  # teaches the mapping
    house.out_alg = branch_changed
    Outgoing(house, "one").invite(1)
    crossings = crossings_of(*house.sorted())
    assert keys(crossings) == [IDENTITY, IDENTITY, BY_ORDER]


def test_without_a_known_mapping_order_joins_nothing() -> None:
    house = House(idents=False)
    house.out_alg = branch_changed
    Outgoing(house, "one").invite(1)
    crossings = crossings_of(*house.sorted())
    assert keys(crossings) == ["", ""]


def test_order_joins_nothing_where_two_of_a_kind_are_waiting() -> None:
    house = House(idents=False)
    register(house, 0)
    house.out_alg = branch_changed
    call = Outgoing(house, "one")
    call.invite(1)
    house.out_alg = lambda m: m.replace(b"branch=z9hG4bK", b"branch=z9hG4bKother")
    call.invite(1.1)
    first, *rest = crossings_of(*house.sorted())[2:]
    assert not first.both
    assert all(abs(c.wan.at - c.lan.at) < 0.001 for c in rest if c.lan and c.wan)


@pytest.mark.parametrize("ttl", [64, 62, 255])
def test_an_equal_ip_id_with_another_ttl_step_is_another_packet(ttl: int) -> None:
    house = House()
    message = request("INVITE", "sip:300@example.net", via="192.168.1.10:5060", branch="z9hG4bKa",
                      call_id="one", cseq=1)  # fmt: skip
    house.out(1, message, wan=False)
    other = frame(branch_changed(message), house.wan_ip, 5060, house.provider, 5060, ttl, 0x1001)
    house.wan.append((house.lan[0][0] + 200_000, other))
    assert keys(crossings_of(*house.sorted())) == ["", ""]


def test_an_equal_ip_id_of_another_far_end_is_another_packet() -> None:
    house = House()
    message = request("INVITE", "sip:300@example.net", via="192.168.1.10:5060", branch="z9hG4bKa",
                      call_id="one", cseq=1)  # fmt: skip
    house.out(1, message, wan=False)
    other = frame(branch_changed(message), house.wan_ip, 5060, "203.0.113.77", 5060, 63, 0x1001)
    house.wan.append((house.lan[0][0] + 200_000, other))
    assert keys(crossings_of(*house.sorted())) == ["", ""]


# ---- look-alikes ----


def alike(call_id: str, branch: str = "z9hG4bKsame") -> bytes:
    return request("INVITE", "sip:300@example.net", via="198.51.100.2:5060", branch=branch,
                   call_id=call_id, cseq=1, caller="<sip:100@example.net>;tag=same")  # fmt: skip


def ids(crossing: Crossing) -> set[bytes]:
    return {
        copy.payload.split(b"Call-ID: ")[1].split(b"\r\n")[0]
        for copy in (crossing.lan, crossing.wan)
        if copy is not None
    }


@pytest.mark.parametrize("idents", [True, False], ids=["IP IDs", "no IP IDs"])
def test_two_calls_with_the_same_branch_cseq_and_tag_are_never_joined(idents: bool) -> None:
    one, two = House(idents=idents), House(phone="192.168.1.11", wan_port=40001, idents=idents)
    if idents:
        two.out(0, alike("before@home"), lan=False, wan=False)  # no two hosts count alike
    one.out(1, alike("a@home"), wan=False)  # swallowed
    two.out(1.0001, alike("b@home"), lan=False)  # its LAN copy was not captured
    crossings = crossings_of(one.lan + two.lan, one.wan + two.wan)
    assert [ids(c) for c in crossings] == [{b"a@home"}, {b"b@home"}]
    assert keys(crossings) == ["", ""]


def test_two_phones_that_call_at_once_keep_their_own_copies() -> None:
    one, two = House(idents=False), House(phone="192.168.1.11", wan_port=40001, idents=False)
    one.out(1, alike("a@home"))
    two.out(1.00005, alike("b@home"))
    crossings = crossings_of(one.lan + two.lan, one.wan + two.wan)
    assert keys(crossings) == [IDENTITY, IDENTITY]
    assert sorted(map(sorted, map(ids, crossings))) == [[b"a@home"], [b"b@home"]]


def test_a_swallowed_first_copy_does_not_shift_the_ladder() -> None:
    """INVITE, swallowed; sent again after T1 and let through: the WAN copy is the second's."""
    house = House()
    call = Outgoing(house, "one")
    call.invite(1, wan=False)
    call.invite(1.5)
    call.invite(2.5)
    crossings = crossings_of(*house.sorted())
    assert [c.both for c in crossings] == [False, True, True]
    for crossing in crossings[1:]:
        assert crossing.lan is not None
        assert crossing.wan is not None
        assert 0 < crossing.wan.at - crossing.lan.at < 0.001


def test_retransmissions_pair_each_with_its_own_copy() -> None:
    house = House(idents=False)
    call = Outgoing(house, "one")
    for after in (0, 0.5, 1.5, 3.5):
        call.invite(1 + after)
    crossings = crossings_of(*house.sorted())
    assert len(crossings) == 4
    assert all(c.lan and c.wan and c.wan.at - c.lan.at < 0.001 for c in crossings)


def test_a_phones_ack_and_its_invite_are_two_messages() -> None:
    house = House(idents=False)
    call = Outgoing(house, "one")
    call.invite(1, wan=False)
    call.respond(1.01, 486)
    call.nak(1.02)  # same branch, CSeq number and From tag as the INVITE
    crossings = crossings_of(*house.sorted())
    assert [c.both for c in crossings] == [False, True, True]


def test_copies_further_apart_than_the_window_are_two_messages() -> None:
    house = House()
    call = Outgoing(house, "one")
    call.invite(1, wan=False)
    call.invite(1.3, lan=False)
    assert [c.both for c in crossings_of(*house.sorted())] == [False, False]


# ---- absence ----


def fed(pipeline: Pipeline, packets: list[Packet], tap: int, watermark: float) -> None:
    mark = round((1_700_000_000 + watermark) * 1e9)
    pipeline.feed(batch(packets, tap, mark))


def test_never_came_is_said_only_when_both_taps_have_passed_the_window() -> None:
    house = House()
    Outgoing(house, "one").invite(1, wan=False)
    pipeline = Pipeline([Tap("lan", LAN), Tap("wan", WAN)], strict=True)
    mark = 1_700_000_000 * 10**9

    def lonely() -> int:
        return pipeline.counts()["crossings"]["lan_only"]

    fed(pipeline, house.lan, 0, 10)
    assert lonely() == 0  # the WAN tap has told nothing yet
    pipeline.advance(1, mark + 1_249_000_000)
    assert lonely() == 0  # the window is not over there
    pipeline.advance(1, mark + 1_251_000_000)
    assert lonely() == 1


def test_idle_taps_are_looked_at_often_while_a_copy_is_waited_for() -> None:
    house = House()
    house.out(1, request("OPTIONS", "sip:300@example.net", via="192.168.1.10:5060",
                         branch="z9hG4bKa", call_id="one", cseq=1), wan=False)  # fmt: skip
    pipeline = Pipeline([Tap("lan", LAN), Tap("wan", WAN)], strict=True)
    said = [pipeline.pending]
    fed(pipeline, house.lan, 0, 1)
    said.append(pipeline.pending)
    for tap in 0, 1:
        pipeline.advance(tap, (1_700_000_000 + 2) * 10**9)
    assert [*said, pipeline.pending] == [False, True, False]


def test_a_copy_that_comes_late_from_a_lagging_tap_is_no_absence() -> None:
    house = House()
    Outgoing(house, "one").invite(1)
    pipeline = Pipeline([Tap("lan", LAN), Tap("wan", WAN)], strict=True)
    fed(pipeline, house.lan, 0, 60)
    fed(pipeline, house.wan, 1, 60)
    assert pipeline.counts()["crossings"] == {
        "paired": 1, "lan_only": 0, "wan_only": 0, "unsolicited": 0, "rewritten": 0,
    }  # fmt: skip


@pytest.mark.parametrize("side", ["lan", "wan"])
def test_what_waits_at_the_end_of_a_file_is_unknown_and_not_missing(side: str) -> None:
    house = House()
    Outgoing(house, "one").invite(1, **{side: False})
    pipeline, reports = analyzed(*house.sorted())
    counts = pipeline.counts()["crossings"]
    assert counts["lan_only"] == counts["wan_only"] == counts["paired"] == 0
    assert not [r for r in reports if isinstance(r, Finding) and r.rule != "CAP001"
                and r.rule != "CAP005"]  # fmt: skip


@pytest.mark.parametrize("idents", [True, False])
def test_at_the_end_of_a_file_the_fallback_keys_are_tried_too(idents: bool) -> None:
    house = House(idents=idents)
    register(house, 0)  # teaches the mapping
    house.out_alg = branch_changed
    Outgoing(house, "one").invite(1)
    seen: list[Crossing] = []
    analyzed(*house.sorted(), watch=seen.append)
    assert keys(seen) == [IDENTITY, IDENTITY, BY_IP_ID if idents else BY_ORDER]


def test_a_flood_over_the_limit_is_called_neither_paired_nor_missing() -> None:
    pipeline = Pipeline([Tap("lan", LAN), Tap("wan", WAN)], live=True, strict=True)
    house = House()
    for i in range(2000):
        house.into(1 + i / 1e5, alike(f"knock{i}", f"z9hG4bK{i}"), lan=False, src="192.0.2.66")
    fed(pipeline, house.wan, 1, 1.1)
    pairing = pipeline._comparison.pairing
    assert pairing is not None
    assert pairing.waiting.dropped > 0
    pipeline.advance(0, (1_700_000_000 + 9) * 10**9)
    pipeline.advance(1, (1_700_000_000 + 9) * 10**9)
    counts = pipeline.counts()["crossings"]
    assert counts["unsolicited"] + pairing.waiting.dropped == 2000
    assert counts["wan_only"] == 0


# ---- direction ----


def test_the_higher_ttl_entered_the_router() -> None:
    house = House()
    outgoing_call(house, 1, "one")
    for crossing in crossings_of(*house.sorted()):
        assert crossing.outbound == (crossing.entered.ends.src == house.phone)


def test_the_outgoing_bit_of_a_ring_decides_before_the_ttl() -> None:
    house = House()
    message = alike("one")
    house.lan.append((2 * 10**9, frame(message, house.phone, 5060, house.provider, 5060, 60, 1)))
    house.wan.append((2 * 10**9 + 100, frame(message, house.wan_ip, 5060, house.provider, 5060,
                                             64, 1)))  # fmt: skip
    seen: list[Crossing] = []
    pipeline = Pipeline([Tap("lan", LAN), Tap("wan", WAN)], watch=seen.append, strict=True)
    pipeline.feed(batch(house.lan, 0))
    pipeline.feed(outgoing(batch(house.wan, 1)))
    assert seen[0].outbound


def test_addresses_tell_the_direction_where_the_ttl_does_not() -> None:
    house = House()
    message = alike("one")
    house.wan.append((2 * 10**9, frame(message, house.wan_ip, 5060, house.provider, 5060, 64, 1)))
    house.lan.append((2 * 10**9 + 100, frame(message, house.phone, 5060, house.provider, 5060,
                                             64, 1)))  # fmt: skip
    (crossing,) = crossings_of(house.lan, house.wan)
    assert crossing.outbound


# ---- any order, any loss ----


def town() -> House:
    """Calls of three phones, rewritten or not, answered, refused and dropped, all mixed."""
    whole = House("linux")
    register(whole, 0)
    incoming_call(whole, 1, "in1")
    outgoing_call(whole, 1.3, "out1")
    plain = House(phone="192.168.1.11", wan_port=40001, idents=False)
    register(plain, 0.1, n=2)
    outgoing_call(plain, 1.1, "out2", contact=f"<sip:100@{plain.public}>",
                  body=sdp(plain.wan_ip))  # fmt: skip
    kept = House(phone="192.168.1.12", wan_port=40002)
    call = Incoming(kept, "kept", contact=f"<sip:100@{kept.public}>")
    call.invite(2)
    call.ok(4)
    call.dropped(4)
    for other in (plain, kept):
        whole.lan += other.lan
        whole.wan += other.wan
    Outgoing(whole, "end").invite(60)
    return whole


TOWN_LAN, TOWN_WAN = town().sorted()


def said(lan: list[Packet], wan: list[Packet], cut: random.Random) -> tuple[list[object], object]:
    """Findings and counts when the taps' batches come in some order: each tap in its own order,
    one tap ahead of the other by any number of batches."""
    parts: list[list[list[Packet]]] = [[], []]
    for tap, packets in enumerate((lan, wan)):
        at = 0
        while at < len(packets):
            size = cut.randrange(1, 9)
            parts[tap].append(packets[at : at + size])
            at += size
    pipeline = Pipeline([Tap("lan", LAN), Tap("wan", WAN)], strict=True)
    reports = []
    while parts[0] or parts[1]:
        tap = cut.choice([t for t in (0, 1) if parts[t]])
        reports += pipeline.feed(batch(parts[tap].pop(0), tap))
    reports += pipeline.finish()
    findings = sorted(
        (r.rule, r.where, r.harm, r.call_id) for r in reports if isinstance(r, Finding)
    )
    return list(findings), pipeline.counts()["crossings"]


IN_STEP = said(TOWN_LAN, TOWN_WAN, random.Random(0))


@settings(max_examples=60, deadline=None, derandomize=True)
@given(st.integers(0, 10**9))
def test_any_interleaving_of_the_taps_gives_the_same_crossings_and_findings(seed: int) -> None:
    assert said(TOWN_LAN, TOWN_WAN, random.Random(seed)) == IN_STEP


@settings(max_examples=60, deadline=None, derandomize=True)
@given(st.integers(0, 10**9), st.floats(0.05, 0.7))
def test_lost_copies_never_pair_two_different_messages(seed: int, loss: float) -> None:
    chance = random.Random(seed)
    lan = [p for p in TOWN_LAN if chance.random() > loss]
    wan = [p for p in TOWN_WAN if chance.random() > loss]
    seen: list[Crossing] = []
    analyzed(lan, wan, size=chance.randrange(1, 9), watch=seen.append)
    for crossing in seen:
        if crossing.lan is None or crossing.wan is None:
            continue
        # A message leaves 200 us after it entered: any other copy is another message.
        assert abs(abs(crossing.wan.at - crossing.lan.at) - 0.0002) < 0.00001
        assert len(ids(crossing)) == 1
