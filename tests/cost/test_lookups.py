# SPDX-License-Identifier: Apache-2.0
"""A hostile capture with many calls must not read all of them for each other."""

from __future__ import annotations

import python_cost
from craft import House, Outgoing, analyzed, answer, request


def _invite(source: str, target: str, name: str, more: tuple[str, ...] = ()) -> bytes:
    return request("INVITE", f"sip:1@{target}", via=f"{source}:5060", branch=f"z9hG4bK{name}",
                   call_id=name, cseq=1, contact=f"<sip:s@{source}:5060>", more=more)  # fmt: skip


def replaces(count: int) -> House:
    """Calls that the router rewrites, and as many that want to replace one and are refused."""
    house = House("linux")
    for n in range(count):
        call = Outgoing(house, f"call{n}@phone")
        call.invite(n / 100)
        call.ok(n / 100 + 0.002)
        call.ack(n / 100 + 0.003)
    for n in range(count):
        at = (count + n) / 100 + 1
        message = _invite(house.phone, house.provider, f"other{n}", ("Replaces: none;to-tag=x",))
        house.out(at, message)
        house.into(at + 0.002, answer(481, message, to_tag="q"))
    return house


def strangers(count: int) -> House:
    """Registrations of as many phones, and calls that each of them refuses."""
    house = House()
    for n in range(count):
        house.port = house.wan_port = 10000 + n
        house.phone = f"192.168.{1 + n // 250}.{2 + n % 250}"
        message = _invite(house.phone, house.provider, f"phone{n}", ("Expires: 3600",))
        message = message.replace(b"INVITE", b"REGISTER")
        house.out(n / 100, message)
        granted = f"<sip:s@{house.phone}:5060>;expires=3600"
        house.into(n / 100 + 0.002, answer(200, message, to_tag="q", contact=granted))
    for n in range(count):
        at = (count + n) / 100 + 1
        message = _invite(house.provider, house.phone, f"call{n}")
        house.into(at, message)
        house.out(at + 0.001, answer(404, message, to_tag="z"))
    return house


def _cost(house: House) -> int:
    sides = house.sorted()
    return python_cost.opcodes(lambda: analyzed(*sides, size=200))


def test_many_dialogs_that_are_to_be_replaced_do_not_have_every_call_read() -> None:
    few, many = (_cost(replaces(count)) for count in (40, 160))
    assert (many - 4 * few) / (160**2 - 4 * 40**2) < 600  # opcodes a call and dialog


def test_a_refused_call_does_not_read_every_registration_anew() -> None:
    """Each is looked at, and what it says was read when it was made."""
    few, many = (_cost(strangers(count)) for count in (60, 240))
    assert (many - 4 * few) / (240**2 - 4 * 60**2) < 250  # opcodes a call and registration
