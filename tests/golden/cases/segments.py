# SPDX-License-Identifier: Apache-2.0
"""Golden cases of SIP over TCP of which both captures, or the only one, lost a segment (REG001,
TXN003, TXN005)."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable

from craft import House, Incoming, Packet, answer, outgoing_call, register, request

from cases.case import ALG, DLG, case
from cases.streams import _over_tcp

Lost = Callable[[bytes], bool]


def _lost(house: House, is_lost: Lost, later: bool) -> House:
    """Over TCP, without these segments on both sides. later: TCP goes on long after them."""
    other = House(phone="192.168.1.11", wan_port=40011)
    if later:
        register(house, 90, n=8)
        register(house, 150, n=9)
    outgoing_call(other, 200, "good@phone")
    made = _over_tcp(house)

    def kept(packets: list[Packet]) -> list[Packet]:
        return [packet for packet in packets if not is_lost(packet[1][54:])]

    house.lan, house.wan = kept(made.lan) + other.lan, kept(made.wan) + other.wan
    return house


def _response_to(method: bytes) -> Lost:
    return lambda payload: payload.startswith(b"SIP/2.0 200") and b" " + method in payload


def _text() -> House:
    house = House()
    register(house, 0)
    made = request("MESSAGE", "sip:300@example.net", via="192.168.1.10:5060",
                   branch="z9hG4bKtext", call_id="text@phone", cseq=1)  # fmt: skip
    house.into(5.1, answer(200, house.out(5, made)))
    return house


@case("txn003-response-lost-by-both-over-tcp", [("TXN003", "unknown", "latent")],
      ["REG001", *DLG, *ALG], state="cannot-tell")  # fmt: skip
def _() -> House:
    """Both captures lost the segment with the 200 to a text message, the last one of its
    connection: TCP brings a message once, so its silence shows nothing."""
    return _lost(_text(), _response_to(b"MESSAGE"), later=False)


@case("txn003-response-lost-by-both-and-tcp-goes-on", [("TXN003", "unknown", "latent")],
      ["REG001", *DLG, *ALG], state="cannot-tell")  # fmt: skip
def _() -> House:
    """The same where the connection is used again a minute after the time of the request."""
    return _lost(_text(), _response_to(b"MESSAGE"), later=True)


@case("txn003-bye-lost-by-both-over-tcp", [("TXN003", "unknown", "latent")],
      ["REG001", "DLG008", *DLG, *ALG], outcomes=["completed"] * 2,
      state="cannot-tell")  # fmt: skip
def _() -> House:
    """The same with the 200 to a BYE."""
    house = House()
    register(house, 0)
    outgoing_call(house, 5, "lost@tcp")
    return _lost(house, _response_to(b"BYE"), later=False)


@case("txn003-response-lost-one-sided-over-tcp",
      [("TXN003", "unknown", "latent"), ("CAP001", "unknown", "none")], ["REG001", *DLG, *ALG],
      one_file="lan", state="cannot-tell")  # fmt: skip
def _() -> House:
    """The LAN side alone."""
    return _lost(_text(), _response_to(b"MESSAGE"), later=False)


@case("reg001-response-lost-by-both-over-tcp", [("REG001", "unknown", "latent")],
      ["TXN003", *DLG, *ALG], state="cannot-tell")  # fmt: skip
def _() -> House:
    """Both captures lost the segment with the 200 to a REGISTER, and the phone does not register
    again meanwhile. It had registered before."""
    house = House()
    for n in (1, 2):
        made = request(
            "REGISTER", "sip:example.net", via="192.168.1.10:5060", branch=f"z9hG4bKonce{n}",
            call_id="once@phone", cseq=n, contact=house.contact,
            caller="<sip:100@example.net>;tag=r1", callee="<sip:100@example.net>",
        )  # fmt: skip
        seen = house.out(40 * n, made)
        if n == 1:
            house.into(40.03, answer(200, seen, contact=f"{house.contact};expires=60"))
    return _lost(house, lambda payload: False, later=False)


@case("reg001-twice-in-vain-over-tcp", [("REG001", "network", "observed")],
      [*DLG, *ALG])  # fmt: skip
def _() -> House:
    """The phone registers once more, because it got no response either: nobody answers."""
    house = House()
    for n in (1, 2):
        house.out(40 * n, request(
            "REGISTER", "sip:example.net", via="192.168.1.10:5060", branch=f"z9hG4bKvain{n}",
            call_id="vain@phone", cseq=n, contact=house.contact,
            caller="<sip:100@example.net>;tag=r1", callee="<sip:100@example.net>",
        ))  # fmt: skip
    return _lost(house, lambda payload: False, later=False)


# ---- one side alone lost the segment ----


def _lost_inside(house: House, *lost: Lost) -> House:
    """The messages of a house over one connection; the LAN capture lacks the segments of which
    any of lost is true."""
    made = _over_tcp(house)
    house.lan = [packet for packet in made.lan if not any(one(packet[1][54:]) for one in lost)]
    house.wan = made.wan
    return house


@case("txn003-bye-and-its-response-lost-over-tcp", [("TXN003", "unknown", "latent")],
      ["REG001", *DLG, *ALG], outcomes=["completed", "completed"], state="cannot-tell")  # fmt: skip
def _() -> House:
    """The last segments of a connection: the LAN capture lost the BYE of the phone, both lost the
    200 to it. TCP brought both, so a BYE on one side alone does not show that it was in vain."""
    house, other = House(), House(phone="192.168.1.11", wan_port=40011)
    register(house, 0)
    outgoing_call(house, 1, "one@phone")
    outgoing_call(other, 200, "good@phone")
    answered = _response_to(b"BYE")
    _lost_inside(house, lambda payload: payload.startswith(b"BYE"), answered)
    house.wan = [packet for packet in house.wan if not answered(packet[1][54:])]
    house.lan += other.lan
    house.wan += other.wan
    return house


@case("txn005-near-miss-copies-lost-over-tcp", [("CAP002", "unknown", "none")],
      ["TXN005", *DLG, *ALG], outcomes=["completed"] * 6, state="cannot-tell")  # fmt: skip
def _() -> House:
    """The phone sends each 2xx again before the ACK comes, also over TCP (RFC 3261 section
    13.3.1.4), and the LAN capture lacks some copies: TCP brought them, and the router lost
    nothing. Over UDP this is txn005-loss-in-the-router."""
    house = House()
    register(house, 0)
    for n in range(6):
        call = Incoming(house, f"n{n}@provider")
        call.invite(10 + 20 * n)
        call.ringing(10.1 + 20 * n)
        for after in (0, 0.5, 1.5, 3.5):
            call.ok(12 + 20 * n + after)
        call.ack(15.52 + 20 * n)
        call.bye(20 + 20 * n)
    seen: Counter[bytes] = Counter()

    def second(payload: bytes) -> bool:
        seen[payload] += 1
        return payload.startswith(b"SIP/2.0 200") and b" INVITE" in payload and seen[payload] == 2

    return _lost_inside(house, second)
