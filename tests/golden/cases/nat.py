# SPDX-License-Identifier: Apache-2.0
"""Golden cases of NAT: what the network address translation does to a line."""

from __future__ import annotations

from craft import (
    LADDER_INVITE,
    LADDER_REQUEST,
    House,
    Incoming,
    Outgoing,
    answer,
    incoming_call,
    outgoing_call,
    register,
    request,
)

from cases.case import ALG, DLG, case

# ---- NAT005: an address that the router no longer has ----


def _joined(house: House, *others: House) -> House:
    """The packets of all phones are on the same two taps."""
    for other in others:
        house.lan += other.lan
        house.wan += other.wan
    return house


def _neighbour(house: House, wan: str, at: float, n: int, provider: str = "") -> House:
    """Another phone here, which leaves with that WAN address and registers then."""
    other = House(phone="192.168.1.11", wan=wan, wan_port=40011,
                  provider=provider or house.provider)  # fmt: skip
    register(other, at, n=n)
    return other


def _refresh_in_vain(house: House, at: float) -> None:
    """A REGISTER that leaves the router eleven times and is not answered."""
    made = request(
        "REGISTER", "sip:example.net", via=f"{house.phone}:5060", branch="z9hG4bKreg1b",
        call_id=f"reg1@{house.phone}", cseq=2, caller="<sip:100@example.net>;tag=r1",
        contact=house.contact, more=["Expires: 120"],
    )  # fmt: skip
    for after in (0, *LADDER_REQUEST):
        house.out(at + after, made)


@case("nat005-refresh-with-the-old-address",
      [("NAT005", "router", "observed"), ("REG001", "router", "observed")], [*DLG, *ALG],
      {"clear-nat-state": "recommended"}, ["completed"])  # fmt: skip
def _() -> House:
    """The line is dialled anew. The refresh of one phone still leaves with the address that is
    gone and is not answered; the other phone leaves with the new address and is served by the same
    provider."""
    house = House()
    register(house, 1)
    _refresh_in_vain(house, 110)
    later = House(phone="192.168.1.11", wan="198.51.100.9", wan_port=40011)
    outgoing_call(later, 150, "later@phone")
    return _joined(house, _neighbour(house, "198.51.100.2", 0, 11),
                   _neighbour(house, "198.51.100.9", 100, 12), later)  # fmt: skip


@case("nat005-call-with-the-old-address",
      [("NAT005", "router", "observed"), ("TXN001", "router", "observed")], [*DLG, *ALG],
      {"clear-nat-state": "recommended"}, ["unanswered"])  # fmt: skip
def _() -> House:
    """The same, and it is an INVITE that leaves with the address that is gone."""
    house = House()
    register(house, 1)
    call = Outgoing(house, "stale@phone")
    for after in (0, *LADDER_INVITE):
        call.invite(110 + after)
    return _joined(house, _neighbour(house, "198.51.100.2", 0, 11),
                   _neighbour(house, "198.51.100.9", 100, 12),
                   _neighbour(house, "198.51.100.9", 150, 13))  # fmt: skip


@case("nat005-near-miss-two-lines", [("REG001", "network", "observed")], ["NAT005", *DLG, *ALG],
      outcomes=["completed"])  # fmt: skip
def _() -> House:
    """The router has two WAN addresses all the time: the other phone had the second one from the
    beginning, so that the first one is gone is not shown by anything."""
    house = House()
    register(house, 1)
    _refresh_in_vain(house, 110)
    later = House(phone="192.168.1.11", wan="198.51.100.9", wan_port=40011)
    outgoing_call(later, 150, "later@phone")
    return _joined(house, _neighbour(house, "198.51.100.9", 0, 11),
                   _neighbour(house, "198.51.100.9", 100, 12), later)  # fmt: skip


@case("nat005-near-miss-another-provider", [("REG001", "network", "observed")],
      ["NAT005", *DLG, *ALG], outcomes=[])  # fmt: skip
def _() -> House:
    """A router that shares its flows out over two WAN addresses. The provider of one phone is down;
    the other phone has reached a second provider with the second address since: the first address
    may well be there."""
    house = House()
    register(house, 1)
    _refresh_in_vain(house, 110)
    return _joined(house, _neighbour(house, "198.51.100.2", 0, 11),
                   _neighbour(house, "198.51.100.9", 100, 12, provider="203.0.113.80"),
                   _neighbour(house, "198.51.100.9", 150, 13, provider="203.0.113.80"))  # fmt: skip


@case("nat005-near-miss-flows-moved", must_not=["NAT005", "REG001", *DLG, *ALG], outcomes=[])
def _() -> House:
    """The line is dialled anew, and the flows of both phones move to the new address at once."""
    house = House()
    register(house, 1)
    moved = House(wan="198.51.100.9")
    register(moved, 110, n=2)
    return _joined(house, moved, _neighbour(house, "198.51.100.2", 0, 11),
                   _neighbour(house, "198.51.100.9", 100, 12))  # fmt: skip


# ---- NAT003: another NAT beyond this router ----


def _registered(house: House, at: float, received: str, rport: int) -> None:
    """REGISTER and a 200 that says from where the registrar saw it come."""
    made = request(
        "REGISTER", "sip:example.net", via=f"{house.phone}:{house.port}", branch="z9hG4bKreg1",
        call_id=f"reg1@{house.phone}", cseq=1, caller="<sip:100@example.net>;tag=r1",
        contact=house.contact, more=["Expires: 120"],
    )  # fmt: skip
    seen = house.out(at, made)
    house.into(at + 0.03, answer(200, seen, to_tag="reg", contact=f"{house.contact};expires=120",
                                 received=received, rport=rport))  # fmt: skip


@case("nat003-shared-address", [("NAT003", "network", "none")], [*DLG, *ALG])
def _() -> House:
    """The WAN address is one that the ISP shares (100.64.0.0/10). The provider answers to where
    packets come from: calls complete, and there is nothing to do."""
    house = House(wan="100.64.7.2")
    _registered(house, 0, "198.51.100.77", 41000)
    incoming_call(house, 5, "in@provider", fixed_contact="sip:100@198.51.100.77:41000")
    return house


@case("nat003-public-addresses-twice", [("NAT003", "network", "none")], [*DLG, *ALG])
def _() -> House:
    """Both addresses are public, and the registrar sees another one than this router's: a second
    router with a subnet of its own translates once more."""
    house = House()
    _registered(house, 0, "198.51.100.77", 41000)
    incoming_call(house, 5, "in@provider", fixed_contact="sip:100@198.51.100.77:41000")
    return house


@case("nat003-contact-names-the-shared-address",
      [("NAT003", "network", "observed"), ("DLG001", "network", "observed")], ["DLG002", "ALG011"],
      {"outer-router": "recommended"}, ["dropped"])  # fmt: skip
def _() -> House:
    """The helper writes the router's WAN address into the Contact, as its mapping says; but that
    address is itself translated further on, so the ACK never finds it."""
    house = House("linux", wan="100.64.7.2")
    call = Incoming(house, "drop@provider")
    call.invite(1)
    call.ringing(1.2)
    call.ok(3)
    call.dropped(3)
    return house


@case("nat003-near-miss-voice-network", must_not=["NAT003", *DLG, *ALG])
def _() -> House:
    """The ISP's voice network: WAN address and provider are both private, and nothing lies between
    them."""
    house = House(wan="10.20.7.2", provider="10.20.0.5")
    register(house, 0)
    incoming_call(house, 5, "in@provider")
    return house


@case("nat003-near-miss-load-balancer", must_not=["NAT003", *DLG, *ALG])
def _() -> House:
    """The registrar stands behind a load balancer of its own, whose private address it sees."""
    house = House()
    _registered(house, 0, "10.0.0.9", 35060)
    incoming_call(house, 5, "in@provider", fixed_contact=f"sip:100@{house.public}")
    return house


@case("nat003-near-miss-no-nat-here", must_not=["NAT003", *DLG, *ALG])
def _() -> House:
    """This router does not translate; the one behind it does, and is the only one."""
    house = House(wan="192.168.1.10")
    _registered(house, 0, "198.51.100.77", 41000)
    incoming_call(house, 5, "in@provider", fixed_contact="sip:100@198.51.100.77:41000")
    return house
