# SPDX-License-Identifier: Apache-2.0
"""Golden cases of ACKs over TCP that do not go where their 2xx says (DLG001, DLG005, DLG006).

Nothing is repeated over TCP: only the BYE after 64*T1 shows that the callee never got its ACK."""

from __future__ import annotations

from collections.abc import Sequence

from craft import House, Incoming, Outgoing, register

from cases.case import ALG, DLG, case
from cases.route import CALLEE, CORE, EDGE, recorded
from cases.streams import _over_tcp

PHONE_FIX = {"phone-fix": "recommended"}
PROVIDER_FIX = {"provider-fix": "recommended"}
NO = [*DLG, *ALG, "DLG005", "DLG006", "DLG007", "TXN008"]


def _house(house: House) -> House:
    made = _over_tcp(house)
    house.lan, house.wan = made.lan, made.wan
    return house


def _out(route: Sequence[str] = (EDGE, CORE), uri: str = CALLEE, ends: float = 34) -> House:
    """A call of the phone, answered at 2 s. route, uri: of the ACK; ends: the callee's BYE."""
    house = House()
    register(house, 0)
    call = Outgoing(house, "astray@tcp", far_contact=f"<{CALLEE}>")
    call.invite(1)
    call.seen = recorded(call.seen, CORE, EDGE)
    call.ok(2)
    ack = call._request("ACK", 1, uri, f";tag={call._tag}")
    house.out(2.02, recorded(ack, *route, name="Route"))
    call.far_bye(ends)
    register(house, 60, n=2)
    return _house(house)


@case("dlg005-ack-without-route-over-tcp",
      [("DLG005", "phone", "observed"), ("DLG001", "phone", "observed")],
      ["DLG006", *ALG], PHONE_FIX, ["dropped"])  # fmt: skip
def _() -> House:
    """The phone leaves the Route out of its ACK."""
    return _out(route=())


@case("dlg006-ack-misaddressed-over-tcp",
      [("DLG006", "phone", "observed"), ("DLG001", "phone", "observed")],
      ["DLG005", *ALG], PHONE_FIX, ["dropped"])  # fmt: skip
def _() -> House:
    """Its Request-URI is the callee's address of record, and not the Contact."""
    return _out(uri="sip:300@example.net")


@case("dlg001-ack-astray-over-tcp-one-sided",
      [("DLG001", "unknown", "observed"), ("CAP001", "unknown", "none")],
      ["DLG006", *ALG], outcomes=["dropped"], one_file="lan")  # fmt: skip
def _() -> House:
    """The LAN side alone: the router may have changed the ACK."""
    return _out(route=())


@case("dlg005-near-miss-astray-and-alive-over-tcp", must_not=NO)
def _() -> House:
    """The same ACK: the proxy knows the way, and the callee hangs up after 18 s."""
    return _out(route=(), ends=20)


@case("dlg005-near-miss-right-ack-over-tcp", must_not=NO)
def _() -> House:
    """The ACK is right, and the callee hangs up after 32 s."""
    return _out()


def _in(uri: str = "", via: str = "", ends: float = 34) -> House:
    """A call to the phone, answered at 2 s. uri: of the ACK; via: a second one, below that of the
    proxy; ends: the phone's BYE."""
    house = House()
    register(house, 0)
    call = Incoming(house, "astray@tcp", fixed_contact=uri, more=[f"Record-Route: <sip:{EDGE};lr>"])
    call.invite(1)
    call.ok(2)
    more = [f"Via: SIP/2.0/TCP {via};branch=z9hG4bKbelow"] if via else []
    call.ack(2.05, more=more)
    call.phone_bye(ends)
    register(house, 60, n=2)
    return _house(house)


@case("dlg006-delivered-to-nobody-over-tcp",
      [("DLG006", "provider", "observed"), ("DLG001", "provider", "observed")],
      ["DLG005", *ALG], PROVIDER_FIX, ["dropped"])  # fmt: skip
def _() -> House:
    """The provider's ACK asks the phone for a user that is not its own."""
    return _in(uri="sip:7@198.51.100.2:5060", via=CORE)


@case("dlg006-near-miss-provider-handles-nat-over-tcp", must_not=NO)
def _() -> House:
    """The provider writes the address of the packets in place of the private Contact, its proxy has
    taken its Route out, and the user hangs up after 32 s."""
    return _in(uri="sip:100@198.51.100.2:5060", via=CORE)
