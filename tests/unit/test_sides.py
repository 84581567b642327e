# SPDX-License-Identifier: Apache-2.0
"""Which copy is LAN and which is WAN in a file that holds both (design: Sides)."""

from __future__ import annotations

import pytest
from algwatch.base.native.layout import ENDS, ROW
from algwatch.base.packet import LAN, UNKNOWN, WAN
from algwatch.compare.sides import Sides
from algwatch.compare.split import split
from craft import House, Packet, batch, frame, incoming_call, outgoing_call, packets_of, pcap


def learnt(packets: list[Packet]) -> Sides:
    sides = Sides()
    sides.survey(batch(packets))
    return sides


def sides_of(packets: list[Packet]) -> list[int]:
    made = batch(packets)
    sides = learnt(packets)
    return [
        sides.of(row, made.ends[i * ENDS.size : (i + 1) * ENDS.size])
        for i, row in enumerate(ROW.iter_unpack(made.rows))
    ]


def merged(house: House) -> tuple[list[Packet], list[int]]:
    both = sorted([(*p, LAN) for p in house.lan] + [(*p, WAN) for p in house.wan])
    return [(at, data) for at, data, _ in both], [side for _, _, side in both]


@pytest.mark.parametrize("alg", ["", "linux"])
def test_nat_tells_the_sides_by_the_address_that_changed(alg: str) -> None:
    house = House(alg)
    incoming_call(house, 1, "in")
    outgoing_call(house, 10, "out")
    packets, truth = merged(house)
    assert sides_of(packets) == truth


def test_a_router_without_nat_tells_them_by_the_ttl() -> None:
    house = House(wan="192.168.1.10")
    outgoing_call(house, 1, "out")
    packets, truth = merged(house)
    assert sides_of(packets) == truth


def test_one_side_alone_is_no_two_sides() -> None:
    house = House()
    incoming_call(house, 1, "in")
    for packets in (house.lan, house.wan):
        assert not learnt(packets).found
        assert set(sides_of(packets)) == {UNKNOWN}


def test_packets_captured_twice_are_no_two_sides() -> None:
    house = House()
    incoming_call(house, 1, "in")
    twice = [copy for at, data in house.lan for copy in ((at, data), (at + 20_000, data))]
    assert not learnt(twice).found


def test_retransmissions_are_no_two_sides() -> None:
    house = House()
    for after in (0, 0.5, 1.5):
        outgoing_call(house, 1 + after, "one")
    assert not learnt(house.lan).found


def test_a_proxy_that_sends_a_message_on_is_no_router() -> None:
    """Both addresses change, and the IP ID is its own."""
    house = House()
    outgoing_call(house, 1, "one")
    passed = []
    for i, (at, data) in enumerate(house.lan):
        payload = data[42:]
        passed.append((at, data))
        again = frame(payload, "203.0.113.5", 5060, "203.0.113.9", 5060, 64, 0x7000 + i)
        passed.append((at + 300_000, again))
    assert not learnt(passed).found


def test_every_row_goes_to_exactly_one_side_and_every_tap_learns_the_time() -> None:
    house = House("linux")
    incoming_call(house, 1, "in")
    packets, truth = merged(house)
    sides = learnt(packets)
    parts = list(split(batch(packets), sides, 5))
    assert [part.tap for part in parts] == [5 + LAN, 5 + WAN, 5 + UNKNOWN]
    assert [part.count for part in parts] == [truth.count(LAN), truth.count(WAN), 0]
    assert {part.watermark for part in parts} == {packets[-1][0]}


def test_a_pcap_keeps_its_packets() -> None:
    """The craft of these tests itself."""
    house = House()
    incoming_call(house, 1, "in")
    assert packets_of(pcap(house.lan)) == house.lan
