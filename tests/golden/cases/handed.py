# SPDX-License-Identifier: Apache-2.0
"""Golden cases of files handed the wrong way: exchanged or of two routers with nothing on both
sides, or filtered to one direction (CAP009, CAP002)."""

from __future__ import annotations

from craft import (
    LADDER_INVITE,
    LADDER_REQUEST,
    House,
    Incoming,
    Outgoing,
    Packet,
    frame,
    incoming_call,
    never_acknowledged,
    register,
)

from cases.case import ALG, DLG, case
from cases.quality import _by_the_router, _exchanged, _ipv6, _scans, _still_there

SIDES = ("CAP009", "unknown", "none")
UNCLEAR = ("TXN001", "unknown", "observed")
ONE_WAY = ("CAP002", "unknown", "none")
PHONE, WAN, PROVIDER = (bytes([192, 168, 1, 10]), bytes([198, 51, 100, 2]), bytes([203, 0, 113, 5]))


def _swallowed(house: House, own: House) -> House:
    """An INVITE that stays in the LAN; own: a line of the router itself, which works."""
    call = Outgoing(house, "silent@phone")
    for after in (0, *LADDER_INVITE):
        call.invite(1 + after, wan=False)
    _still_there(house, 40)
    register(own, 0, n=7)
    incoming_call(own, 3, "to@router")
    register(own, 40, n=8)
    house.wan = _by_the_router(own.wan)
    return house


@case("cap009-exchanged-nothing-on-both", [SIDES, UNCLEAR], [*DLG, *ALG, "CAP010", "REG006"],
      outcomes=["unanswered", "completed"])  # fmt: skip
def _() -> House:
    """Exchanged, and nothing crosses: public addresses alone on the side named LAN, and a private
    one in each flow of the other."""
    return _exchanged(_swallowed(House(), House(phone="198.51.100.2")))


@case("cap009-near-miss-both-public", [UNCLEAR], ["CAP009", *DLG, *ALG, "REG006"],
      outcomes=["unanswered", "completed"])  # fmt: skip
def _() -> House:
    """The same of a routed LAN with public addresses: they do not tell the sides, and nothing is
    on both, so the router is not blamed."""
    return _exchanged(_swallowed(House(phone="198.51.100.20"), House(phone="198.51.100.2")))


@case("cap009-near-miss-both-private", [UNCLEAR], ["CAP009", *DLG, *ALG, "REG006"],
      outcomes=["unanswered", "completed"])  # fmt: skip
def _() -> House:
    """Named right, behind a second NAT: each side has private addresses."""
    own = House(phone="192.168.178.2")
    house = _swallowed(House(), own)
    house.wan = own.lan  # the router's own messages have passed no router
    return house


@case("cap009-near-miss-lan-of-ipv6", [UNCLEAR], ["CAP009", *DLG, *ALG, "REG006"],
      outcomes=["unanswered", "completed"])  # fmt: skip
def _() -> House:
    """Named right: the LAN is IPv6 and has no private address, and the router's own line is IPv4
    behind a second NAT."""
    own = House(phone="192.168.178.2")
    house = _swallowed(House(phone="198.51.100.20"), own)
    house.wan, house.lan = own.lan, _ipv6(house.lan, 64, 57)
    return house


@case("cap009-near-miss-no-sip-in-the-lan", must_not=["CAP009", *DLG, *ALG, "TXN001", "REG006"],
      outcomes=["unknown"], state="cannot-tell")  # fmt: skip
def _() -> House:
    """The side named LAN has no SIP at all: the other may be either side."""
    house = _swallowed(House(), House(phone="198.51.100.2"))
    lookup = frame(bytes(12), house.phone, 5353, house.provider, 53)
    house.wan, house.lan = house.lan, [(house.lan[0][0], lookup)]
    return house


@case("cap010-near-miss-call-of-another-router", [UNCLEAR],
      ["CAP009", "CAP010", *DLG, *ALG, "REG006"], outcomes=["unanswered"])  # fmt: skip
def _() -> House:
    """Two files of two routers with one provider: a phone here gets no response, and an INVITE
    comes to the other router. Nothing shows that this one should have let it in."""
    house, other = House(), House(phone="192.168.7.30", wan="198.51.100.99")
    asked = Outgoing(house, "options@phone")
    for after in LADDER_REQUEST:
        house.out(after, asked._request("OPTIONS", 1, "sip:203.0.113.5", ""), wan=False)
    call = Incoming(other, "noring@provider")
    for after in (0, *LADDER_INVITE):
        call.invite(5 + after)
    _still_there(house, 60)
    other.into(60, asked._request("OPTIONS", 2, "sip:198.51.100.99", ""), src="192.0.2.66")
    house.wan = other.wan
    return house


# ---- one direction ----


def _only(packets: list[Packet], host: bytes, at: int) -> list[Packet]:
    return [(when, data) for when, data in packets if data[at : at + 4] == host]


def _sent_by(packets: list[Packet], host: bytes) -> list[Packet]:
    return _only(packets, host, 26)


def _sent_to(packets: list[Packet], host: bytes) -> list[Packet]:
    return _only(packets, host, 30)


def _not_delivered() -> House:
    """The INVITE of a registered phone's provider stays outside."""
    house = House()
    register(house, 0)
    call = Incoming(house, "noring@provider")
    for after in (0, *LADDER_INVITE):
        call.invite(5 + after, lan=False)
    register(house, 60, n=2)
    return house


DROPPED = ("DLG001", "unknown", "observed")


@case("cap002-one-way-wan-inbound", [ONE_WAY, DROPPED], [*ALG, "DLG002", "REG006"],
      outcomes=["dropped"])  # fmt: skip
def _() -> House:
    """A filter leaves the messages to the WAN only: the router seems to swallow each 2xx, and it
    does not, because the registrar answers."""
    house = never_acknowledged()
    house.wan = _sent_to(house.wan, WAN)
    return house


@case("cap002-one-way-wan-outbound", [ONE_WAY, DROPPED], [*ALG, "DLG002", "REG006"],
      outcomes=["dropped"])  # fmt: skip
def _() -> House:
    """A filter leaves the messages from the WAN address only: the phone has its responses."""
    house = never_acknowledged()
    house.wan = _sent_by(house.wan, WAN)
    return house


@case("cap002-one-way-lan-outbound", [ONE_WAY, UNCLEAR], [*ALG, *DLG, "REG006"],
      outcomes=["unanswered"])  # fmt: skip
def _() -> House:
    """A filter leaves the messages of the phone only, and an INVITE seems to stay outside. The
    phone did not repeat its REGISTER, so it had the response, which is not there either."""
    house = _not_delivered()
    house.lan = _sent_by(house.lan, PHONE)
    return house


@case("cap002-one-way-both-outbound", [ONE_WAY, DROPPED], [*ALG, "DLG002"], outcomes=["dropped"])
def _() -> House:
    """The same filter on both sides: where the ACK was lost is not known."""
    house = never_acknowledged()
    house.lan, house.wan = _sent_by(house.lan, PHONE), _sent_by(house.wan, WAN)
    return house


@case("cap002-one-way-opposite", [ONE_WAY, UNCLEAR], [*ALG, *DLG, "REG006"],
      outcomes=["unanswered"])  # fmt: skip
def _() -> House:
    """What the phone sends on the one side, and what the provider sends on the other: nothing is
    on both."""
    house = _not_delivered()
    house.lan, house.wan = _sent_by(house.lan, PHONE), _sent_by(house.wan, PROVIDER)
    return house


@case("cap002-near-miss-nothing-comes-in", [("REG001", "router", "observed")], ["CAP002", *ALG],
      outcomes=[])  # fmt: skip
def _() -> House:
    """A router that lets nothing in: the phone repeats its REGISTER, which was answered."""
    house = House()
    for n in (1, 2):
        for after in (0, *LADDER_REQUEST):
            made = len(house.lan)
            register(house, 60 * n + after, n=n)
            del house.lan[made + 1 :]  # the response
    return house


@case("cap002-near-miss-nothing-leaves", [UNCLEAR], ["CAP002", "CAP009", *ALG],
      outcomes=["unanswered"])  # fmt: skip
def _() -> House:
    """A router that lets nothing out, and scanners outside that ask once and get no response."""
    house = House()
    call = Outgoing(house, "silent@phone")
    for after in (0, *LADDER_INVITE):
        call.invite(1 + after, wan=False)
    _still_there(house, 40)
    house.wan = _scans(150)
    return house
