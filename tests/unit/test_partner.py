# SPDX-License-Identifier: Apache-2.0
"""The fallbacks of pairing asked directly: which of the waiting copies is the other one."""

from __future__ import annotations

from algwatch.base.packet import LAN, WAN
from algwatch.base.sighting import Sighting
from algwatch.compare.crossing import BY_IP_ID, BY_ORDER, IDENTITY
from algwatch.compare.mapping import Mappings
from algwatch.compare.partner import fallback
from craft import House, answer, request
from test_pairing_alone import sightings


def info(cseq: int, branch: str) -> bytes:
    return request(
        "INFO", "sip:300@example.net", via="192.168.1.10:5060", branch=f"z9hG4bK{branch}",
        call_id="one@phone", cseq=cseq, callee="<sip:300@example.net>;tag=far",
    )  # fmt: skip


def waiting(*messages: bytes, idents: bool = True) -> tuple[list[Sighting], list[Sighting]]:
    """Each leaves the router with another branch, so its identity does not decide."""
    house = House(wan_port=40123, idents=idents)
    house.out_alg = lambda message: message.replace(b"z9hG4bK", b"z9hG4bKalg-")
    for n, message in enumerate(messages):
        house.out(1 + n / 100, message)
    lan, wan = house.sorted()
    return sightings(lan, LAN), sightings(wan, WAN)


def mapped(lan: Sighting, wan: Sighting) -> Mappings:
    mappings = Mappings(64)
    mappings.learn(mappings.flow_pair(lan, wan, True), lan.row[0], wan.row[0], False)
    return mappings


def test_one_datagram_is_one_message() -> None:
    (lan,), (wan,) = waiting(info(2, "a"))
    assert fallback(wan, [wan], [lan], [], Mappings(64)) == (lan, BY_IP_ID, [])


def test_what_has_a_partner_is_none() -> None:
    for idents in (True, False):
        (lan,), (wan,) = waiting(info(2, "a"), idents=idents)
        lan.paired = 1
        assert fallback(wan, [wan], [lan], [], mapped(lan, wan))[0] is None


def test_order_decides_on_a_known_mapping() -> None:
    (lan,), (wan,) = waiting(info(2, "a"), idents=False)
    assert fallback(wan, [wan], [lan], [], mapped(lan, wan)) == (lan, BY_ORDER, [])
    assert fallback(wan, [wan], [lan], [], Mappings(64))[0] is None


def test_another_number_is_another_request() -> None:
    """One of each was not captured on the other side."""
    lan, wan = waiting(info(2, "a"), info(3, "b"), idents=False)
    mappings = mapped(lan[0], wan[0])
    assert fallback(wan[1], [wan[1]], [lan[0]], [], mappings)[0] is None
    assert fallback(lan[0], [lan[0]], [wan[1]], [], mappings)[0] is None


def test_the_answers_of_two_phones_are_two() -> None:
    """One of each was not captured on the other side."""
    house, asked = House(wan_port=40123), info(2, "a").replace(b";tag=far", b"")
    house.out(1, asked)
    house.into(1.1, answer(200, asked, to_tag="one"), lan=False)
    house.into(1.11, answer(200, asked, to_tag="two"), wan=False)
    packets = house.sorted()
    lan, wan = sightings(packets[LAN], LAN), sightings(packets[WAN], WAN)
    assert fallback(wan[1], wan[1:], lan[1:], [], mapped(lan[0], wan[0]))[0] is None


def test_a_rival_keeps_order_from_deciding_unless_it_has_a_partner() -> None:
    lan, wan = waiting(info(2, "a"), info(2, "b"), idents=False)
    mappings = mapped(lan[0], wan[0])
    assert fallback(wan[0], wan, lan[:1], [], mappings)[0] is None
    assert fallback(wan[0], wan[:1], lan, [], mappings)[0] is None
    wan[1].paired = 1
    assert fallback(wan[0], wan, lan[:1], [], mappings)[1] == BY_ORDER


def test_one_that_stayed_alone_may_be_the_other_one() -> None:
    lan, wan = waiting(info(2, "a"), info(2, "b"), idents=False)
    mappings = mapped(lan[0], wan[0])
    assert fallback(wan[0], wan[:1], lan[:1], [lan[1].row], mappings)[0] is None


def test_unchanged_and_alone_it_may_have_gone_to_another_far_end() -> None:
    house = House()
    house.out(1, info(2, "a"), wan=False)
    house.out(1, info(2, "a"), lan=False, dst="203.0.113.77")
    lan, wan = house.sorted()
    one, two = sightings(lan, LAN), sightings(wan, WAN)
    two[0].row = (*two[0].row[:11], 0, *two[0].row[12:])
    assert fallback(two[0], two, one, [], Mappings(64)) == (one[0], IDENTITY, [])
    assert fallback(two[0], [*two, *sightings(wan, WAN)], one, [], Mappings(64))[0] is None
