# SPDX-License-Identifier: Apache-2.0
"""Golden cases of phones that the LAN capture does not show, because they are in another network of
this router, beside one that it shows (REG006, TXN003)."""

from __future__ import annotations

from craft import LADDER_INVITE, LADDER_REQUEST, House, Incoming, register, request

from cases.case import ALG, DLG, case
from cases.quality import _ipv6

UNKNOWN = [("REG006", "unknown", "observed"), ("TXN001", "unknown", "observed")]


def _two(wan_port: int = 5060, mine: int = 40010) -> tuple[House, House]:
    """Two phones with one account. The second one is in a network that was not captured."""
    house, other = House(wan_port=mine), House(phone="192.168.2.20", wan_port=wan_port)
    register(house, 0)
    register(other, 0.5, n=2)
    return house, other


def _outside(house: House, other: House) -> House:
    register(house, 60, n=3)
    register(other, 61, n=4)
    house.wan += other.wan
    return house


def _rings_in_vain(at: House) -> None:
    call = Incoming(at, "noring@provider")
    for after in (0, *LADDER_INVITE):
        call.invite(5 + after)


@case("reg006-phone-elsewhere", UNKNOWN, [*DLG, *ALG], outcomes=["unanswered"])
def _() -> House:
    """The provider calls the second phone, at the port of its own mapping. The port is that of the
    first phone's Contact, too, and yet the provider has not taken it from there."""
    house, other = _two()
    _rings_in_vain(other)
    return _outside(house, other)


@case("reg006-phone-elsewhere-at-another-port", UNKNOWN, [*DLG, *ALG], outcomes=["unanswered"])
def _() -> House:
    """The same where the second phone has a port of its own: somebody here did open it."""
    house, other = _two(40099)
    _rings_in_vain(other)
    return _outside(house, other)


@case("reg006-phone-elsewhere-known-to-the-registrar", UNKNOWN, [*DLG, *ALG],
      outcomes=["unanswered"])  # fmt: skip
def _() -> House:
    """The second phone says nothing while this is captured. The registrar lists its Contact beside
    that of the first one."""
    house, other = House(wan_port=40010), House(phone="192.168.2.20")
    register(house, 0)
    more = b"Contact: <sip:100@192.168.2.20:5060>;expires=90\r\nContact:"
    for tap in (house.lan, house.wan):
        at, data = tap[-1]
        made = data[42:].replace(b"Contact:", more, 1)
        tap[-1] = at, _with(data, made)
    _rings_in_vain(other)
    house.wan += other.wan
    register(house, 60, n=3)
    return house


def _with(data: bytes, payload: bytes) -> bytes:
    """The same IPv4 frame with another payload."""
    more = len(payload) - len(data[42:])
    ip, udp = (int.from_bytes(data[at : at + 2], "big") + more for at in (16, 38))
    head = data[:16] + ip.to_bytes(2, "big") + data[18:38] + udp.to_bytes(2, "big") + data[40:42]
    return head + payload


@case("reg006-phone-elsewhere-over-ipv6", UNKNOWN, [*DLG, *ALG], outcomes=["unanswered"])
def _() -> House:
    """Both phones have addresses of their own, and the LAN capture shows one of them."""
    house = House(phone="198.51.100.20", wan="198.51.100.20")
    register(house, 0)
    other = House(phone="198.51.100.20", wan="198.51.100.20")
    register(other, 0.5, n=2)
    _rings_in_vain(other)
    register(house, 60, n=3)
    house.lan, house.wan = (_ipv6(some, 64, 57) for some in (house.lan, house.wan))
    house.wan += [(at, _second(data)) for at, data in _ipv6(other.wan, 64, 57)]
    return house


def _second(data: bytes) -> bytes:
    """The frame of _ipv6() for the address 2001:db8:1::21, in its header and in its payload."""
    old, new = (bytes.fromhex("20010db8000100000000000000000000")[:15] + end
                for end in (b"\x20", b"\x21"))  # fmt: skip
    payload = data[62:].replace(b"2001:db8:1::20", b"2001:db8:1::21")
    return data[:22] + data[22:54].replace(old, new) + data[54:62] + payload


@case("reg006-near-miss-phone-elsewhere", [("REG006", "router", "observed")], [*DLG, *ALG],
      outcomes=["unanswered"])  # fmt: skip
def _() -> House:
    """The provider calls the first phone, at its mapping, and the router stops the INVITE: a second
    phone with the same account has nothing to do with that."""
    house, other = _two()
    call = Incoming(house, "noring@provider")
    for after in (0, *LADDER_INVITE):
        call.invite(5 + after, lan=False)
    return _outside(house, other)


def _asked(method: str) -> House:
    house, other = _two()
    made = request(
        method, f"sip:100@{other.public}", via="203.0.113.5:5060", branch=f"z9hG4bK{method}",
        call_id="asked@provider", cseq=3,
    )  # fmt: skip
    for after in (0, *LADDER_REQUEST):
        other.into(5 + after, made)
    return _outside(house, other)


@case("txn003-phone-elsewhere", [("TXN003", "unknown", "observed")], [*DLG, *ALG], outcomes=[])
def _() -> House:
    """A text message for the second phone."""
    return _asked("MESSAGE")


@case("txn003-phone-elsewhere-options", [("TXN003", "unknown", "latent")], [*DLG, *ALG],
      outcomes=[], state="cannot-tell")  # fmt: skip
def _() -> House:
    """The provider asks the second phone whether it is there."""
    return _asked("OPTIONS")
