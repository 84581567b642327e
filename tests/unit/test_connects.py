# SPDX-License-Identifier: Apache-2.0
"""TCP connections asked for in vain: bounds, and the sides that a file does not name."""

from __future__ import annotations

from algwatch.compare.connects import ATTEMPTS
from algwatch.diagnose.finding import Finding
from craft import (
    START,
    House,
    Incoming,
    Packet,
    analyzed,
    frame,
    outgoing_call,
    register,
    tcp_frame,
)

SYN = 2
NS = 10**9


def _syn(at: float, src: str, sport: int, dst: str, seq: int, ident: int) -> Packet:
    made = tcp_frame(b"", src, sport, dst, 5060, seq, ident, SYN, 0)
    return START * NS + round(at * NS), made


def _found(house: House) -> list[Finding]:
    lan, wan = house.sorted()
    _, reports = analyzed(lan, wan, to_the_end=True)
    return [one for one in reports if isinstance(one, Finding) and one.rule == "SIZE002"]


def _phone() -> House:
    house = House()
    for n in range(4):
        register(house, 30 * n, n=n + 1)
    outgoing_call(house, 5, "short@phone")
    return house


def test_a_flood_of_scanners_does_not_hide_the_phone() -> None:
    house = _phone()
    for n, after in enumerate((0, 1, 3)):
        house.lan.append(_syn(20 + after, house.phone, 40000, house.provider, 7000, n))
    for n in range(ATTEMPTS * 20):
        src = f"192.88.{n // 250}.{n % 250 + 1}"
        house.wan.append(_syn(20.5 + n / 1000, src, 40000, house.wan_ip, n, n))
    (found,) = _found(house)
    assert (found.where, found.harm) == ("router", "observed")


def test_a_flood_of_scanners_does_not_hide_the_other_way_of_the_phone() -> None:
    house = _phone()
    for n, after in enumerate((0, 1, 3)):
        house.lan.append(_syn(20 + after, house.phone, 40000, house.provider, 7000, n))
    outgoing_call(house, 24, "other-way@phone")
    scanned = Incoming(house, "scan")
    scanned.invite(0)
    for n in range(ATTEMPTS * 4):
        payload = scanned.invited.replace(b": scan", b": %d" % n)
        made = frame(payload, f"192.88.{n // 250}.{n % 250 + 1}", 5060, house.wan_ip, 5060)
        house.wan.append((START * NS + round((30 + n / 500) * NS), made))
    assert not _found(house)


def test_a_sequence_number_of_the_firewalls_own_is_no_loss_in_the_router() -> None:
    house = _phone()
    for n, after in enumerate((0, 1, 3)):
        house.lan.append(_syn(20 + after, house.phone, 40000, house.provider, 7000, n))
        house.wan.append(_syn(20.0002 + after, house.wan_ip, 40000, house.provider, 99, n))
    (found,) = _found(house)
    assert (found.where, found.harm) == ("network", "observed")


def test_a_phone_that_registers_over_udp_then_lost_nothing_though_a_copy_was_not_captured() -> None:
    house = House()
    register(house, 20)
    house.lan.pop(0)  # the REGISTER; its response crosses
    for n, after in enumerate((0, 1, 3, 7, 15)):
        house.lan.append(_syn(after, house.phone, 40000, house.provider, 7000, n))
        house.wan.append(_syn(after + 0.0002, house.wan_ip, 40000, house.provider, 7000, n))
    assert not _found(house)
