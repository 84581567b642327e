# SPDX-License-Identifier: Apache-2.0
"""Golden cases of REG: what a registration agrees on, and how long its mapping lives."""

from __future__ import annotations

from craft import LADDER_INVITE, House, Incoming, incoming_call, register

from cases.case import ALG, DLG, case

SHORTER = {"shorter-refresh-on-phone": "recommended"}


def _beside(house: House, at: float, n: int = 90) -> None:
    """Another phone here registers with another provider, so that time goes on."""
    other = House(phone="192.168.1.90", wan=house.wan_ip, wan_port=40090, provider="203.0.113.90")
    register(other, at, n=n)
    house.lan += other.lan
    house.wan += other.wan


def _keep_alive(house: House, at: float, payload: bytes = b"\r\n\r\n") -> None:
    house.out(at, payload)


def _lost(house: House, at: float) -> None:
    """An INVITE of the provider that reaches no phone."""
    call = Incoming(house, "lost@provider")
    for after in (0, *LADDER_INVITE):
        call.invite(at + after, lan=False)


@case("reg005-mapping-is-gone",
      [("REG005", "router", "latent"), ("REG005", "router", "observed"),
       ("TXN001", "router", "observed")],
      ["REG006", *DLG, *ALG], SHORTER, outcomes=["completed", "unanswered"])  # fmt: skip
def _() -> House:
    """The phone registers for an hour and is silent then. Ten minutes later the provider's INVITE
    comes to the WAN side seven times, and there is no mapping any more."""
    house = House()
    register(house, 0, expires=3600)
    incoming_call(house, 5, "first@provider", fixed_contact=f"sip:100@{house.public}")
    _lost(house, 600)
    register(house, 650, n=9)
    return house


@case("reg005-before-a-call-is-lost", [("REG005", "router", "latent")], [*DLG, *ALG], outcomes=[])
def _() -> House:
    """The phone refreshes every half hour and sends no keep-alive: no call is lost yet."""
    house = House()
    for n, at in enumerate((0, 1800, 3600), 1):
        register(house, at, expires=3600, n=n)
    return house


@case("reg005-said-while-it-is-silent", [("REG005", "router", "latent")], [*DLG, *ALG],
      outcomes=[])  # fmt: skip
def _() -> House:
    """The capture ends before the next refresh; only another phone goes on."""
    house = House()
    register(house, 0, expires=3600)
    _beside(house, 0)
    _beside(house, 100, 91)
    _beside(house, 400, 92)
    return house


@case("reg005-short-refresh-on-a-young-mapping", [("REG005", "router", "latent")], [*DLG, *ALG],
      outcomes=[])  # fmt: skip
def _() -> House:
    """A refresh every 110 s, each over in a moment: the kernel takes none of these mappings for a
    stream, so each lives 60 s. The capture began long before, so the first one was new."""
    house = House()
    _beside(house, 0)
    for n, at in enumerate((300, 410, 520), 1):
        register(house, at, expires=120, n=n)
    return house


@case("reg005-helper-keeps-it", [("REG005", "router", "none"), ("ALG001", "router", "none")],
      [*DLG], outcomes=[])  # fmt: skip
def _() -> House:
    """The same phone behind the kernel's helper, which keeps the mapping for an hour. It is told
    because the ALG cannot be turned off before the phone sends keep-alives."""
    house = House("linux")
    for n, at in enumerate((0, 1800, 3600), 1):
        register(house, at, expires=3600, n=n)
    return house


@case("reg005-near-miss-keep-alive", must_not=["REG005", *DLG, *ALG], outcomes=[])
def _() -> House:
    """The same half hours with two line ends every 100 s."""
    house = House()
    for n, at in enumerate((0, 1800), 1):
        register(house, at, expires=3600, n=n)
        for k in range(1, 18):
            _keep_alive(house, at + 100 * k)
    return house


@case("reg005-near-miss-stun-keep-alive", must_not=["REG005", *DLG, *ALG], outcomes=[])
def _() -> House:
    """STUN on the flow of the registration (RFC 5626 section 3.5.2)."""
    house = House()
    for n, at in enumerate((0, 1200), 1):
        register(house, at, expires=3600, n=n)
        for k in range(1, 40):
            _keep_alive(house, at + 29 * k, b"\0\1\0\0\x21\x12\xa4\x42" + bytes([n, k, *range(10)]))
    return house


@case("reg005-near-miss-refreshed-in-time", must_not=["REG005", *DLG, *ALG], outcomes=[])
def _() -> House:
    """A refresh every 170 s."""
    house = House()
    for n in range(1, 6):
        register(house, 170 * n, expires=300, n=n)
    return house


@case("reg005-near-miss-this-nat-waits-longer", must_not=["REG005", *DLG, *ALG])
def _() -> House:
    """No keep-alive and half an hour of silence, and a call that came after ten minutes of it was
    delivered: this NAT is not one of those."""
    house = House()
    register(house, 0, expires=3600)
    incoming_call(house, 600, "late@provider", fixed_contact=f"sip:100@{house.public}")
    register(house, 1800, expires=3600, n=2)
    return house


@case("reg005-near-miss-switched-off", must_not=["REG005", *DLG, *ALG], outcomes=[])
def _() -> House:
    """The phone takes itself off the registrar, and comes back an hour later."""
    house = House()
    register(house, 0, expires=120)
    register(house, 60, expires=0, n=2)
    register(house, 3600, expires=120, n=3)
    return house


@case("reg005-near-miss-provider-keeps-it-open", must_not=["REG005", *DLG, *ALG], outcomes=[])
def _() -> House:
    """The provider sends four zero bytes every 30 s."""
    house = House()
    for n, at in enumerate((0, 900), 1):
        register(house, at, expires=3600, n=n)
        for k in range(1, 29):
            house.into(at + 30 * k, bytes(4))
    return house
