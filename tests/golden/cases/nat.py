# SPDX-License-Identifier: Apache-2.0
"""Golden cases of NAT: what the network address translation does to a line."""

from __future__ import annotations

from craft import (
    LADDER_INVITE,
    LADDER_REQUEST,
    House,
    Outgoing,
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
