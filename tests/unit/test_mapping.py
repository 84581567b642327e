# SPDX-License-Identifier: Apache-2.0
"""The NAT mapping is read from what the phone itself sent, and compared with what came in."""

from __future__ import annotations

from algwatch.compare.crossing import Crossing
from craft import House, Incoming, Outgoing, analyzed, incoming_call, outgoing_call, register


def crossings(house: House) -> list[Crossing]:
    seen: list[Crossing] = []
    analyzed(*house.sorted(), watch=seen.append)
    return seen


def misled(house: House) -> list[Crossing]:
    return [c for c in crossings(house) if c.expected is not None]


def test_a_call_that_goes_where_the_mapping_says_expects_nothing_else() -> None:
    house = House("linux", wan_port=40123)
    register(house, 0)
    incoming_call(house, 1, "in")
    outgoing_call(house, 10, "out")
    assert not misled(house)


def test_an_inbound_message_to_another_port_of_the_phone_is_noticed() -> None:
    house = House("linux")
    register(house, 0)
    Incoming(house, "in").invite(1, lan_port=5080)
    (crossing,) = misled(house)
    assert crossing.lan is not None
    assert crossing.lan.ends.dport == 5080


def test_without_a_packet_of_the_phone_there_is_no_mapping_to_differ_from() -> None:
    house = House("linux")
    Incoming(house, "in").invite(1, lan_port=5080)
    assert not misled(house)


def test_a_mapping_older_than_its_life_says_nothing() -> None:
    house = House("linux")
    register(house, 0)
    Incoming(house, "in").invite(61, lan_port=5080)
    assert not misled(house)


def test_another_lan_host_behind_the_same_port_is_a_new_mapping_and_no_wrong_port() -> None:
    one = House()
    Outgoing(one, "one").invite(1)
    two = House(phone="192.168.1.11", port=5062)
    Incoming(two, "two").invite(3)
    one.lan += two.lan
    one.wan += two.wan
    assert not misled(one)


def test_a_mapping_is_never_learnt_from_where_a_message_went() -> None:
    house = House("linux")
    register(house, 0)
    for i in range(3):
        Incoming(house, f"in{i}").invite(1 + i, lan_port=5080)
    assert len(misled(house)) == 3
