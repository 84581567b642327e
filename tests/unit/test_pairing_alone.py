# SPDX-License-Identifier: Apache-2.0
"""Pairing by itself: its room, its windows, and what it says of copies that may be missing."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
from algwatch.base.deadlines import NEVER
from algwatch.base.native.layout import ROW
from algwatch.base.packet import LAN, WAN
from algwatch.base.sighting import AT, Sighting
from algwatch.base.table import FRESH, Table
from algwatch.compare.crossing import BY_IP_ID, BY_ORDER, IDENTITY, Crossing, Usual, whole
from algwatch.compare.mapping import Mappings
from algwatch.compare.own_flows import OwnFlows
from algwatch.compare.pairing import Pairing
from algwatch.sip.timers import SECOND, TIMER_F, WINDOW
from algwatch.sip.unsolicited import Unsolicited
from craft import START, House, Packet, answer, batch, frame, request
from forger import directed, payload_of

NOW = START * SECOND


class Stranger(Unsolicited):
    """Everything on the WAN side is unsolicited."""

    def __init__(self) -> None:
        pass

    def sent(self, copy: Sighting) -> bool:
        return copy.side == WAN


def sightings(packets: list[Packet], side: int) -> list[Sighting]:
    made = batch(packets, side)
    return [made.sighting(side, row, i) for i, row in enumerate(ROW.iter_unpack(made.rows))]


def invite(n: int = 0, *, call_id: str = "", branch: str = "", tag: str = "",
           more: tuple[str, ...] = ()) -> bytes:  # fmt: skip
    return request(
        "INVITE", "sip:300@example.net", via="192.0.2.1:5060", branch=branch or f"z9hG4bK{n}",
        call_id=call_id or f"call{n}", cseq=1, more=more,
        caller=f"<sip:100@example.net>;tag={tag or f'tag{n}'}",
    )  # fmt: skip


def made(house: House) -> tuple[list[Sighting], list[Sighting]]:
    lan, wan = house.sorted()
    return sightings(lan, LAN), sightings(wan, WAN)


def ringed(house: House) -> list[list[Sighting]]:
    """What the phone sends, with the direction that a ring knows."""
    sides = []
    for side, packets in enumerate(house.sorted()):
        made = directed(batch(packets, side), out=side == WAN)
        rows = enumerate(ROW.iter_unpack(made.rows))
        sides.append([made.sighting(side, row, i) for i, row in rows])
    return sides


def pairing(limit: int = 64, unsolicited: Unsolicited | None = None) -> Pairing:
    return Pairing(Mappings(64), limit, unsolicited)


def wholes(crossings: Sequence[Crossing | Usual]) -> list[Crossing]:
    return [whole(one) if isinstance(one, tuple) else one for one in crossings]


def keys(crossings: Sequence[Crossing | Usual]) -> list[str]:
    return [one.matched_by for one in wholes(crossings)]


# ---- the window ----


@pytest.mark.parametrize("first", [LAN, WAN])
@pytest.mark.parametrize("apart", [WINDOW, WINDOW + SECOND // 1000])
def test_copies_pair_up_to_the_window_whichever_is_read_first(first: int, apart: int) -> None:
    house = House()
    house.out(1, invite(), wan=False)
    house.out(1 + (apart / SECOND) - 0.0002, invite(), lan=False)
    sides = made(house)
    assert sides[WAN][0].row[AT] - sides[LAN][0].row[AT] == apart
    one = pairing()
    assert one.feed(first, sides[first]) == []
    found = one.feed(1 - first, sides[1 - first])
    assert keys(found) == ([IDENTITY] if apart == WINDOW else [])


def test_it_is_due_when_what_waits_longest_is_alone() -> None:
    house = House()
    house.out(1, invite(1), wan=False)
    house.out(1.1, invite(2), lan=False)
    lan, wan = made(house)
    one = pairing()
    assert one.due > NOW + 10**6 * SECOND
    one.feed(WAN, wan)
    one.feed(LAN, lan)
    assert one.due == lan[0].row[AT] + WINDOW
    assert one.advance(one.due - 1) == []
    assert [c.lan for c in one.advance(one.due)] == lan
    assert one.due == wan[0].row[AT] + WINDOW


def test_it_is_due_when_nothing_can_contradict_a_crossing_any_more() -> None:
    house = House(wan_port=40001)
    house.out_alg = lambda message: message.replace(b"300@", b"301@")
    house.out(1, invite())
    lan, wan = made(house)
    one = pairing()
    assert one.feed(LAN, lan) == one.feed(WAN, wan) == []
    assert one.advance(one.due) == []  # the window of the first copy
    assert one.due == wan[0].row[AT] + WINDOW
    assert one.advance(one.due - 1) == []
    assert keys(one.advance(one.due)) == [IDENTITY]


# ---- room ----


def test_unsolicited_messages_have_a_quarter_of_the_room() -> None:
    house = House()
    for n in range(8):
        house.into(1 + n / 100, invite(n))
    lan, wan = made(house)
    for limit, quarter in ((8, 2), (20, 5)):
        one = pairing(limit, Stranger())
        one.feed(WAN, wan[: quarter + 1])
        assert (one.waiting.dropped, one.waiting.copies()) == (1, wan[:quarter])
        # Nor is the other copy of one that was dropped missing on its side.
        one.feed(LAN, lan[quarter:])
        found = [c.lan for c in one.advance(NOW + 2 * SECOND)]
        assert found == [None] * quarter + lan[quarter + 1 :]
        assert (one.unsolicited, one.wan_only, one.lan_only) == (quarter, 0, 7 - quarter)


def test_what_is_on_the_lan_is_never_unsolicited() -> None:
    """Its ends may be hosts that nobody is known to have called."""
    house = House()
    for n in range(8):
        house.into(1 + n / 100, invite(n), wan=False)
    lan, _ = made(house)
    one = pairing(8, Unsolicited(Table(8), 8))
    one.feed(LAN, lan)
    assert (one.waiting.dropped, one.waiting.copies()) == (0, lan)


@pytest.mark.parametrize("own", [True, False])
def test_an_answer_that_the_log_of_a_program_on_the_router_lacks_is_not_missing(own: bool) -> None:
    house = House()
    house.into(2, answer(200, house.out(1, invite(1))), lan=False)
    lan, wan = made(house)
    one = pairing()
    one.feed(LAN, lan)
    (crossing,) = wholes(one.feed(WAN, wan))
    if own:
        one.own = OwnFlows()
        one.own.cross(crossing)
    assert [c.wan for c in one.advance(NOW + 3 * SECOND)] == ([] if own else wan[1:])
    assert one.wan_only == (not own)


def test_where_there_is_no_room_a_quarter_of_those_that_wait_goes() -> None:
    house = House()
    for n in range(9):
        house.out(1 + n / 100, invite(n))
    lan, wan = made(house)
    one = pairing(8)
    one.waiting.weight = lambda copy, _: (FRESH, copy in lan[:3])  # five are of one host
    one.feed(LAN, lan)
    kept = [*lan[:3], *lan[5:]]
    assert (one.waiting.dropped, one.waiting.copies()) == (2, kept)
    assert [c.lan for c in wholes(one.feed(WAN, wan))] == kept
    # The other copies of those that had to go are not missing.
    assert one.advance(NOW + 2 * SECOND) == []
    assert (one.lan_only, one.wan_only) == (0, 0)


def test_in_the_smallest_room_one_goes() -> None:
    house = House()
    for n in range(5):
        house.out(1 + n / 100, invite(n), wan=False)
    lan, _ = made(house)
    one = pairing(4)
    one.feed(LAN, lan)
    assert (one.waiting.dropped, one.waiting.copies()) == (1, lan[1:])


def test_what_was_paired_takes_no_room() -> None:
    house = House()
    for n in range(9):
        house.out(1 + n / 100, invite(n))
    lan, wan = made(house)
    one = pairing(8)
    one.feed(LAN, lan[:8])
    assert len(one.feed(WAN, wan[:4])) == 4
    one.feed(LAN, lan[8:])
    assert (one.waiting.dropped, one.waiting.copies()) == (0, lan[4:])


def test_one_that_has_to_go_is_neither_paired_nor_missing() -> None:
    house = House()
    house.out(1, invite())
    (lan,), (wan,) = made(house)
    one = pairing()
    one.feed(LAN, [lan])
    one.waiting.evict(lan)
    assert (one.waiting.dropped, one.waiting.copies()) == (1, [])
    assert one.feed(WAN, [wan]) == one.advance(NOW + 2 * SECOND) == []
    assert (one.paired, one.wan_only) == (0, 0)


# ---- copies that may be missing ----


def lone(at: float = 1) -> Sighting:
    house = House()
    house.out(at, invite(), wan=False)
    return made(house)[0][0]


@pytest.mark.parametrize("missing", [True, False])
def test_what_is_near_an_end_of_the_other_capture_is_outside_of_it(missing: bool) -> None:
    copy = lone()
    at, step = copy.row[AT], 0 if missing else 1
    for began, ended in ((at - WINDOW - step, NEVER), (0, at + WINDOW + step)):
        one = pairing()
        one.bound(WAN, began, ended)
        one.bound(LAN, at, at)
        one.feed(LAN, [copy])
        assert len(one.advance(NOW + 2 * SECOND)) == (not missing)
        assert one.outside == [copy] * missing


@pytest.mark.parametrize("missing", [True, False])
def test_the_other_copy_may_have_been_lost_until_then(missing: bool) -> None:
    copy = lone()
    one = pairing()
    one.missed.lose(WAN, copy.row[AT] - WINDOW - (not missing))
    one.missed.lose(WAN, 0)
    one.missed.lose(LAN, NEVER)
    one.feed(LAN, [copy])
    assert len(one.advance(NOW + 2 * SECOND)) == (not missing)
    assert one.lan_only == (not missing)


@pytest.mark.parametrize(("ttl", "missing"), [(1, False), (2, True)])
def test_what_no_router_sends_on_is_not_missing(ttl: int, missing: bool) -> None:
    house = House()
    data = frame(invite(), house.phone, 5060, house.provider, 5060, ttl, 1)
    one = pairing()
    one.feed(LAN, sightings([(NOW, data)], LAN))
    assert len(one.advance(NOW + SECOND)) == one.lan_only == missing


def changed_and_without_ids(idents: bool = False) -> tuple[Pairing, list[Sighting], list[Sighting]]:
    """A mapping that is known, and a message whose branch the router changes."""
    house = House(wan_port=40001, idents=idents)
    house.out(0, invite(1))
    house.out_alg = lambda message: message.replace(b"z9hG4bK2", b"z9hG4bKalg")
    house.out(1, invite(2))
    lan, wan = made(house)
    one = pairing()
    one.feed(LAN, lan)
    assert keys(one.feed(WAN, wan)) == [IDENTITY]
    return one, lan[1:], wan[1:]


@pytest.mark.parametrize("side", [LAN, WAN])
@pytest.mark.parametrize("finish", [True, False])
def test_order_decides_nothing_where_a_copy_may_have_been_lost(side: int, finish: bool) -> None:
    for lost in (True, False):
        one, (lan,), (wan,) = changed_and_without_ids()
        last = wan if finish else lan
        one.missed.lose(side, last.row[AT] - WINDOW if lost else lan.row[AT] - WINDOW - 1)
        found = one.finish() if finish else one.advance(NOW + 2 * SECOND)
        assert [c.matched_by for c in found if c.both] == ([] if lost else [BY_ORDER])


def test_an_ip_id_decides_all_the_same() -> None:
    for finish in (True, False):
        one, _, _ = changed_and_without_ids(idents=True)
        for side in LAN, WAN:
            one.missed.lose(side, NEVER)
            one.bound(side, NOW + SECOND, NOW + SECOND)
        found = one.finish() if finish else one.advance(NOW + 2 * SECOND)
        assert keys(found) == [BY_IP_ID]
        assert forgot(one)


def test_it_finds_the_copy_that_has_no_hops_left_too() -> None:
    """Its clock is a little late."""
    house = House()
    for tap, (branch, host, ttl, at) in enumerate((
        ("z9hG4bKa", house.phone, 2, 10**6), ("z9hG4bKb", house.wan_ip, 1, 0)
    )):  # fmt: skip
        data = frame(invite(branch=branch), host, 5060, house.provider, 5060, ttl, 7)
        (house.lan, house.wan)[tap].append((NOW + at, data))
    one = pairing()
    for side, seen in zip((LAN, WAN), made(house), strict=True):
        one.feed(side, seen)
    assert keys(one.advance(NOW + SECOND)) == [BY_IP_ID]


def test_what_has_waited_for_timer_f_at_the_end_is_undecided() -> None:
    """But for what no router sends on, what strangers sent, and what is between neighbours."""
    old, new = House(), House()
    old.out(1, invite(1), wan=False)
    for n, ttl in ((2, 1), (3, 2)):
        data = frame(invite(n), old.phone, 5060, old.provider, 5060, ttl, n)
        old.lan.append((NOW + n * 10**6, data))
    old.out(1, invite(4), wan=False, dst="192.168.1.20")
    last = 1 + TIMER_F / SECOND
    new.out(last, invite(5), wan=False)
    old.out(1, invite(8))
    old.into(1, invite(6), lan=False)
    old.into(last + 1, invite(7), lan=False)
    lan, wan = made(old)
    for unsolicited, expected in ((Stranger(), 2), (None, 3)):
        one = pairing(unsolicited=unsolicited)
        one.feed(LAN, lan)
        one.feed(WAN, wan)
        one.feed(LAN, made(new)[0])
        assert one.finish() == []
        assert one.undecided == expected


# ---- several candidates ----


def forgot(one: Pairing) -> bool:
    """Nothing that was paired or left out is kept to be paired."""
    return not any((*one.waiting.first, *one.waiting.more))


@pytest.mark.parametrize("chosen", [0, 1, 2])
def test_of_copies_with_the_same_bytes_the_ip_id_chooses(chosen: int) -> None:
    house = House()
    for n in range(3):
        house.out(1 + n / 100, invite(), wan=n == chosen)
    lan, wan = made(house)
    one = pairing()
    one.feed(LAN, lan)
    (crossing,) = wholes(one.feed(WAN, wan))
    assert crossing.lan is lan[chosen]
    assert len(one.advance(NOW + 2 * SECOND)) == 2
    assert forgot(one)


def test_without_ip_ids_it_is_the_first() -> None:
    house = House(idents=False)
    for n in range(3):
        house.out(1 + n / 100, invite())
    lan, wan = made(house)
    one = pairing()
    one.feed(LAN, lan)
    assert [c.lan for c in wholes(one.feed(WAN, wan))] == lan
    assert forgot(one)


def test_another_call_and_one_of_before_the_window_are_no_candidates() -> None:
    house = House(idents=False)
    house.out(1, invite(1), wan=False)
    house.out(1.2, invite(1, call_id="other"), wan=False)
    house.out(1.3, invite(1))
    lan, wan = made(house)
    one = pairing()
    one.feed(LAN, lan)
    assert [c.lan for c in wholes(one.feed(WAN, wan))] == lan[2:]
    assert [c.lan for c in one.advance(NOW + 2 * SECOND)] == lan[:2]
    assert forgot(one)


def test_copies_of_another_call_are_no_candidates_whatever_else_is_equal() -> None:
    house = House(idents=False)
    for after in (0, 0.01):
        house.out(1 + after, invite(1, call_id="other"), wan=False)
    house.out(1.02, invite(1), lan=False)
    lan, wan = made(house)
    one = pairing()
    one.feed(LAN, lan)
    assert one.feed(WAN, wan) == []
    assert keys(one.advance(NOW + 2 * SECOND)) == ["", "", ""]
    assert (one.lan_only, one.wan_only) == (2, 1)


@pytest.mark.parametrize(("at", "chosen"), [
    (0.75, [0]), (0.749, []), (1.26, [1]), (1.261, []),
])  # fmt: skip
def test_of_several_only_those_within_the_window_are_candidates(
    at: float, chosen: list[int]
) -> None:
    house = House(idents=False)
    for after in (0, 0.01):
        house.out(1 + after, invite(), wan=False)
    house.out(at - 0.0002, invite(), lan=False)
    lan, wan = made(house)
    one = pairing()
    one.feed(LAN, lan)
    assert [c.lan for c in wholes(one.feed(WAN, wan))] == [lan[n] for n in chosen]


def test_the_copy_to_the_same_far_end_comes_first() -> None:
    house = House(idents=False)
    house.out(1, invite(), wan=False, dst="203.0.113.77")
    house.out(1.01, invite())
    lan, wan = made(house)
    one = pairing()
    one.feed(LAN, lan)
    assert [c.lan for c in wholes(one.feed(WAN, wan))] == lan[1:]
    assert one.contest == []


@pytest.mark.parametrize("to", ["", "203.0.113.88"])
def test_of_several_that_went_to_another_far_end_it_is_one(to: str) -> None:
    house = House(idents=False)
    house.out(1, invite(), wan=False)
    house.out(1.01, invite(), wan=False, dst=to)
    house.out(1.02, invite(), lan=False, dst="203.0.113.77")
    lan, wan = made(house)
    one = pairing()
    one.feed(LAN, lan)
    assert one.feed(WAN, wan) == []
    found = [c for c in one.advance(NOW + 2 * SECOND) if c.flow_pair is not None]
    assert [c.lan in lan for c in found] == [True]


def ringing(tag: str) -> bytes:
    return answer(180, invite(), to_tag=tag)


def test_of_changed_answers_the_to_tag_chooses() -> None:
    house = House(idents=False, wan_port=40001)
    house.in_alg = lambda message: message.replace(b"192.0.2.1", b"192.0.2.2")
    for n, tag in enumerate("abc"):
        house.into(1 + n / 100, ringing(tag), lan=tag == "b")
    lan, wan = made(house)
    one = pairing()
    one.feed(WAN, wan)
    one.feed(LAN, lan)
    both = [c.wan for c in one.advance(NOW + 2 * SECOND) if c.both]
    assert both == wan[1:2] and one.contest == []


def test_the_two_flows_of_a_message_that_came_the_other_way_are_another_pair() -> None:
    house = House(idents=False)
    house.out(1, invite(1))
    for side, host, ttl in ((house.lan, house.phone, 60), (house.wan, house.wan_ip, 61)):
        side.append((NOW + SECOND + 10**8, frame(invite(2), host, 5060, house.provider, 5060, ttl)))
    lan, wan = made(house)
    one = pairing()
    one.feed(LAN, lan)
    found = wholes(one.feed(WAN, wan))
    assert [c.outbound for c in found] == [True, False]
    assert all(c.flow_pair is not None and c.flow_pair.outbound is c.outbound for c in found)


def test_the_copy_with_the_same_bytes_goes_before_one_that_contradicts_it() -> None:
    house = House(idents=False)
    house.out(1, invite(more=("X: forged",)), wan=False)
    house.out(1.01, invite())
    lan, wan = made(house)
    one = pairing()
    one.feed(LAN, lan)
    assert [c.lan for c in wholes(one.feed(WAN, wan))] == lan[1:]
    assert one.contest == lan[:1]
    assert one.advance(NOW + 2 * SECOND) == []
    assert forgot(one)


def test_two_that_contradict_each_other_and_changed_prove_nothing() -> None:
    house = House(idents=False)
    house.out_alg = lambda message: message.replace(b"300@", b"301@")
    house.out(1, invite(more=("X: one",)), wan=False)
    house.out(1.01, invite(more=("X: two",)))
    lan, wan = made(house)
    one = pairing()
    one.feed(LAN, lan)
    assert one.feed(WAN, wan) == one.advance(NOW + 2 * SECOND) == []
    assert sorted(map(id, one.contest)) == sorted(map(id, [*lan, *wan]))
    assert (one.paired, one.lan_only, one.wan_only) == (0, 0, 0)
    assert forgot(one)


def test_what_contradicts_a_crossing_takes_it_back_and_is_left_out_itself() -> None:
    house = House()
    house.out_alg = lambda message: message.replace(b"300@", b"301@")
    house.out(1, invite())
    house.out(1.01, invite(more=("X: forged",)), lan=False)
    house.out(1.02, invite(more=("X: again",)), lan=False)
    lan, wan = made(house)
    one = pairing()
    one.feed(LAN, lan)
    assert one.feed(WAN, wan) == one.advance(NOW + 2 * SECOND) == []
    assert {*one.contest} == {*lan, *wan}
    assert (one.paired, one.rewritten, one.wan_only) == (0, 0, 0)
    assert forgot(one)


@pytest.mark.parametrize("ring", [True, False])
def test_one_that_went_to_another_far_end_waits_for_the_right_one_unless_a_ring_saw_it(
    ring: bool,
) -> None:
    house = House()
    house.out(1, invite(), wan=False)
    house.out(1, invite(), lan=False, dst="203.0.113.77")
    lan, wan = ringed(house) if ring else made(house)
    one = pairing()
    one.feed(LAN, lan)
    assert keys(one.feed(WAN, wan)) == [IDENTITY] * ring
    assert keys(one.advance(NOW + 2 * SECOND)) == [IDENTITY] * (not ring)


@pytest.mark.parametrize(("host", "port"), [("198.51.100.66", 40001), ("198.51.100.2", 40077)])
def test_a_copy_that_the_nat_does_not_foretell_is_not_the_other_one(host: str, port: int) -> None:
    house = House(wan_port=40001)
    house.out(1, invite(1))
    house.out(2, invite(2))
    lan, wan = house.sorted()
    at, _ = wan[1]
    forged = (at - 10**5, frame(payload_of(wan[1]), host, port, house.provider, 5060, 63))
    seen = sightings([wan[0], forged, wan[1]], WAN)
    one = pairing()
    one.feed(LAN, sightings(lan, LAN))
    assert [c.left for c in wholes(one.feed(WAN, seen))] == [seen[0], seen[2]]


def test_an_answer_with_another_to_tag_is_contradicted_by_the_one_that_left() -> None:
    """It takes the place of the true one, whose copy is on the other side already."""
    house = House(wan_port=40001)
    house.into(1, answer(200, invite(), to_tag="true"))
    lan, wan = house.sorted()
    forged = (wan[0][0] - 10**5, wan[0][1].replace(b"tag=true", b"tag=liar"))
    seen = sightings([forged, wan[0]], WAN)
    one = pairing()
    one.feed(LAN, sightings(lan, LAN))
    assert one.feed(WAN, seen[:1]) == one.feed(WAN, seen[1:]) == []
    assert one.advance(NOW + 2 * SECOND) == []
    assert len(one.contest) == 3


@pytest.mark.parametrize("mapped", [True, False])
def test_of_two_senders_of_one_message_the_nat_tells_whose_it_is(mapped: bool) -> None:
    forger, house = House(phone="192.168.1.66", idents=False), House(idents=False, wan_port=40001)
    one = pairing()
    if mapped:
        house.out(0, invite(1))
    forger.out(1, invite(), wan=False)
    house.out(1.01, invite())
    lan, wan = made(house)
    forged = made(forger)[0]
    one.feed(LAN, [*lan[:-1], *forged, lan[-1]])
    found = wholes(one.feed(WAN, wan))
    if mapped:
        assert [c.lan for c in found] == lan and one.contest == []
    else:
        assert found == [] and {*one.contest} == {*forged, *lan, *wan}
    one.advance(NOW + 2 * SECOND)
    assert forgot(one)


# ---- the fallback keys ----


def test_two_datagrams_with_one_ip_id_that_contradict_each_other_prove_nothing() -> None:
    house = House()
    house.out(1, invite(1), wan=False)
    for n, branch in enumerate(("z9hG4bKa", "z9hG4bKb")):
        data = frame(invite(1, branch=branch), house.wan_ip, 5060, house.provider, 5060, 63, 0x1001)
        house.wan.append((NOW + SECOND + n * 10**6, data))
    lan, wan = made(house)
    one = pairing()
    one.feed(LAN, lan)
    one.feed(WAN, wan)
    assert one.advance(NOW + 2 * SECOND) == []
    assert {*one.contest} == {*lan, *wan}
    assert forgot(one)


def test_two_that_are_equal_do_not_contradict_each_other() -> None:
    """A port of a bridge and the bridge, captured at once."""
    house = House()
    house.out_alg = branch_changed
    house.out(1, invite())
    house.wan *= 2
    lan, wan = made(house)
    one = pairing()
    one.feed(LAN, lan)
    one.feed(WAN, wan)
    found = one.advance(NOW + 2 * SECOND)
    assert keys(found) == [BY_IP_ID, ""] and one.contest == []


@pytest.mark.parametrize("rival", ["", "lan", "wan"])
def test_one_that_was_sent_on_to_another_far_end_has_nothing_alike_beside_it(rival: str) -> None:
    house = House(idents=False)
    house.out(1, invite(), wan=False)
    changed = invite().replace(b"300@", b"301@")
    house.out(1, changed, lan=False, dst="203.0.113.77")
    if rival:
        beside = invite(2, call_id="call0")
        house.out(1.1, beside, lan=rival == "lan", wan=rival == "wan", dst="203.0.113.88")
    lan, wan = made(house)
    one = pairing()
    one.feed(LAN, lan)
    assert one.feed(WAN, wan) == []
    found = [c for c in one.advance(NOW + 2 * SECOND) if c.both]
    assert keys(found) == ([] if rival else [IDENTITY])


@pytest.mark.parametrize("first", [LAN, WAN])
def test_an_alias_of_one_call_is_none_of_another(first: int) -> None:
    house, other = House(), House(phone="192.168.1.11", wan_port=40001, idents=False)
    house.out_alg = lambda message: message.replace(b"call1", b"alias")
    house.out(0, invite(1))
    house.out(1, invite(2), wan=False)
    other.out(1.0001, invite(2, call_id="other"), lan=False)
    house.out(2, invite(1, branch="z9hG4bKagain"))
    one = pairing()
    lan, wan = made(house)
    one.feed(LAN, lan[:1])
    one.feed(WAN, wan[:1])
    assert keys(one.advance(NOW + SECOND // 2)) == [BY_IP_ID]
    rest = lan[1:], [*made(other)[1], *wan[1:]]
    for side in first, 1 - first:
        one.feed(side, rest[side])
    found = one.advance(NOW + 3 * SECOND)
    assert [(c.lan, c.wan) for c in found if c.both] == [(lan[2], wan[1])]
    assert sorted(keys(found)) == ["", "", IDENTITY]


def known_mapping(outbound: bool, *beside: bytes) -> tuple[Pairing, list[list[Sighting]]]:
    """A message without an IPv4 ID whose branch and From tag the router changes, on a mapping that
    is known; beside: other messages, which the router swallows."""
    house = House(wan_port=40001, idents=False)
    house.out(0, invite(1))
    house.out_alg = house.in_alg = lambda message: message.replace(b"2;", b"x;").replace(
        b"z9hG4bK2", b"z9hG4bKx"
    )
    send = house.out if outbound else house.into
    send(1, invite(2).replace(b";tag=tag2", b";tag=tag2;x"))
    for n, message in enumerate(beside):
        send(1.1 + n / 100, message, lan=outbound, wan=not outbound)
    sides = [*made(house)]
    one = pairing()
    one.feed(LAN, sides[LAN])
    assert keys(one.feed(WAN, sides[WAN])) == [IDENTITY]
    return one, sides


@pytest.mark.parametrize("outbound", [True, False])
def test_order_needs_a_mapping_and_nothing_alike_beside_it(outbound: bool) -> None:
    options = invite(3, call_id="call2").replace(b"INVITE", b"OPTIONS")
    other = invite(3)
    alike = invite(3, call_id="call2")
    for beside, expected in (((), [BY_ORDER]), ((options, other), [BY_ORDER]), ((alike,), [])):
        one, _ = known_mapping(outbound, *beside)
        found = one.advance(NOW + 3 * SECOND)
        assert [c.matched_by for c in found if c.both] == expected
        assert all(c.outbound is outbound for c in found if c.both)
        assert forgot(one)


def renamed(*idents: int, mapped: bool = True, hops: int = 1) -> list[Crossing]:
    """Call-ID and branch change at once, in as many messages as there are IPv4 IDs."""
    house = House(wan_port=40001, idents=False)
    if mapped:
        house.out(0, invite(1))
    for n, ident in enumerate(idents):
        for tap, host, ttl, name in ((LAN, house.phone, 64, "in"), (WAN, house.wan_ip, 63, "out")):
            message = invite(call_id=f"{name}{n}", branch=f"z9hG4bK{name}{n}", tag="same")
            ttl += (1 - hops) * (tap == WAN)
            data = frame(message, host, 5060 if tap == LAN else 40001, house.provider, 5060, ttl,
                         ident)  # fmt: skip
            (house.lan, house.wan)[tap].append((NOW + SECOND + n * 10**6 + tap * 10**5, data))
    lan, wan = made(house)
    one = pairing()
    one.feed(LAN, lan)
    one.feed(WAN, wan)
    found = one.advance(NOW + 3 * SECOND)
    assert forgot(one)
    return [c for c in found if c.both]


def test_where_call_id_and_branch_change_the_tags_need_a_datagram_or_a_mapping() -> None:
    assert keys(renamed(7)) == keys(renamed(7, mapped=False)) == [BY_IP_ID]
    assert keys(renamed(7, 8)) == [BY_IP_ID, BY_IP_ID]
    assert keys(renamed(7, 7)) == []
    assert keys(renamed(0)) == [BY_ORDER]
    assert (
        renamed(0, mapped=False) == renamed(0, hops=2) == renamed(0, 0) == renamed(7, hops=2) == []
    )


@pytest.mark.parametrize("outbound", [True, False])
@pytest.mark.parametrize("found", [True, False])
def test_only_what_has_found_its_copy_is_no_rival(outbound: bool, found: bool) -> None:
    house = House(wan_port=40001, idents=False)
    house.out(0, invite(1))
    send = house.out if outbound else house.into
    send(1, invite(2, tag="same"), alg=lambda message: message.replace(b"2", b"8"))
    send(1.1, invite(3, tag="same"), lan=found or outbound, wan=found or not outbound)
    lan, wan = made(house)
    one = pairing()
    one.feed(LAN, lan)
    assert keys(one.feed(WAN, wan)) == [IDENTITY, IDENTITY][: 1 + found]
    assert [c.matched_by for c in one.advance(NOW + 3 * SECOND) if c.both] == [BY_ORDER] * found


@pytest.mark.parametrize("outbound", [True, False])
@pytest.mark.parametrize("phone", ["192.168.1.10", "192.168.1.11"])
def test_an_ip_id_joins_nothing_that_the_nat_contradicts(outbound: bool, phone: str) -> None:
    house = House(wan_port=40001)
    house.out(0, invite(1))
    house.phone = phone
    house.out_alg = house.in_alg = branch_changed
    (house.out if outbound else house.into)(1, invite(2))
    lan, wan = made(house)
    one = pairing()
    one.feed(LAN, lan)
    one.feed(WAN, wan)
    found = [c for c in one.advance(NOW + 3 * SECOND) if c.both]
    assert keys(found) == ([BY_IP_ID] if phone == "192.168.1.10" else [])


def branch_changed(message: bytes) -> bytes:
    return message.replace(b"z9hG4bK", b"z9hG4bKalg")
