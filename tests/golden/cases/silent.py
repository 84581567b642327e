# SPDX-License-Identifier: Apache-2.0
"""Golden cases of two captures of which one holds no SIP at all (CAP001), and of one file with both
sides that has one direction of a side only (CAP002)."""

from __future__ import annotations

from craft import (
    LADDER_INVITE,
    LADDER_REQUEST,
    START,
    House,
    Incoming,
    Outgoing,
    far_gives_up,
    frame,
    incoming_call,
    outgoing_call,
    register,
)

from cases.case import ALG, CASES, DLG, case
from cases.quality import _over_ipv6
from cases.scanners import SCANNER, TRUNK, _asked

NOISE = bytes.fromhex("12340100000100000000000003777777076578616d706c65036e65740000010001")  # DNS
SILENT = ("CAP001", "unknown", "none")
UNKNOWN_PLACE = ("DLG001", "unknown", "observed")


def _without(house: House, side: str) -> House:
    """The capture of this side was taken where no SIP is."""
    noise = [
        ((START + 3 * n) * 1_000_000_000,
         frame(NOISE, house.phone, 40000 + n, "192.0.2.53", 53)) for n in range(25)
    ]  # fmt: skip
    setattr(house, side, noise)
    return house


def _unanswered() -> House:
    house = House()
    register(house, 0)
    call = Outgoing(house, "silent@phone")
    for after in (0, *LADDER_INVITE):
        call.invite(1 + after)
    register(house, 60, n=2)
    return house


def _dropped() -> House:
    house = House()
    register(house, 0)
    far_gives_up(house, 1, "drop@phone")
    register(house, 60, n=2)
    return house


@case("cap001-silent-lan-unanswered", [SILENT], [*DLG, *ALG], outcomes=["unanswered"],
      state="hurts")  # fmt: skip
def _() -> House:
    """Nobody answers an INVITE that the WAN side shows, and the LAN capture holds no SIP: the call
    is as dead as with the WAN file alone."""
    return _without(_unanswered(), "lan")


@case("cap001-silent-lan-dropped", [SILENT, UNKNOWN_PLACE], ["DLG002", *ALG],
      outcomes=["dropped"])  # fmt: skip
def _() -> House:
    """A 2xx is never acknowledged, and the LAN capture holds no SIP."""
    return _without(_dropped(), "lan")


@case("cap001-silent-lan-not-delivered", [SILENT], ["REG006", *DLG, *ALG],
      outcomes=["unanswered"], state="hurts")  # fmt: skip
def _() -> House:
    """An INVITE for a phone gets no response, and the LAN capture holds no SIP: nothing shows that
    the router has kept it."""
    house = House()
    register(house, 0)
    call = Incoming(house, "noring@provider")
    for after in (0, *LADDER_INVITE):
        call.invite(5 + after)
    register(house, 60, n=2)
    return _without(house, "lan")


@case("cap001-silent-wan-unanswered", [SILENT, ("TXN001", "unknown", "observed")], [*DLG, *ALG],
      outcomes=["unanswered"])  # fmt: skip
def _() -> House:
    """The WAN capture holds no SIP, and an INVITE in the LAN gets no response."""
    return _without(_unanswered(), "wan")


@case("cap001-silent-wan-dropped", [SILENT, UNKNOWN_PLACE], ["DLG002", *ALG],
      outcomes=["dropped"])  # fmt: skip
def _() -> House:
    """The WAN capture holds no SIP, and no ACK is in the LAN."""
    return _without(_dropped(), "wan")


@case("cap001-silent-lan-over-ipv6", [SILENT, UNKNOWN_PLACE], ["DLG002", *ALG],
      outcomes=["dropped"])  # fmt: skip
def _() -> House:
    """The same over IPv6, without a NAT."""
    return _without(_over_ipv6(dead=True), "lan")


@case("cap001-silent-lan-trunk", [SILENT], [*DLG, *ALG], outcomes=["unanswered"],
      state="hurts")  # fmt: skip
def _() -> House:
    """A trunk at which nobody registers calls in vain, and the LAN capture holds no SIP: From has
    its own address, and it waits for an answer."""
    house = House()
    made = _asked(house, "INVITE", TRUNK, 1)
    made = made.replace(f"<sip:a@{house.wan_ip}>".encode(), f"<sip:a@{TRUNK}>".encode())
    for after in (0, *LADDER_INVITE):
        house.into(5 + after, made, src=TRUNK)
    house.into(60, _asked(house, "OPTIONS", SCANNER, 2), src=SCANNER)
    return _without(house, "lan")


@case("cap001-near-miss-silent-lan-and-scanners", [SILENT], ["TXN001", "REG001", "REG006", *DLG],
      outcomes=["unanswered"], state="cannot-tell")  # fmt: skip
def _() -> House:
    """A house without a phone: scanners knock outside, and nobody inside has a call to lose."""
    house = House()
    for method, ladder in (("INVITE", LADDER_INVITE), ("REGISTER", LADDER_REQUEST)):
        for after in (0, *ladder):
            house.into(5 + after, _asked(house, method, SCANNER, 1), src=SCANNER)
    house.into(60, _asked(house, "OPTIONS", SCANNER, 3), src=SCANNER)
    return _without(house, "lan")


@case("cap001-near-miss-silent-lan-and-good-calls", [SILENT], ["TXN001", *DLG, *ALG],
      outcomes=["completed", "completed"], state="cannot-tell")  # fmt: skip
def _() -> House:
    """Calls that end well outside: what the router does with them is not known."""
    house = House()
    register(house, 0)
    outgoing_call(house, 1, "good@phone")
    incoming_call(house, 20, "good@provider")
    return _without(house, "lan")


def _in_one_file(name: str) -> House:
    return CASES[name].make()


@case("cap002-one-way-in-one-file", [("CAP002", "unknown", "none"), UNKNOWN_PLACE],
      ["DLG002", *ALG], outcomes=["dropped"], one_file="both")  # fmt: skip
def _() -> House:
    """Both sides in one file, and of the WAN side the messages to the WAN only: the router seems to
    swallow each 2xx, and it does not, because the registrar answers."""
    return _in_one_file("cap002-one-way-wan-inbound")


@case("cap002-one-way-in-one-file-not-delivered",
      [("CAP002", "unknown", "none"), ("TXN001", "unknown", "observed")], ["REG006", *DLG, *ALG],
      outcomes=["unanswered"], one_file="both")  # fmt: skip
def _() -> House:
    """Both sides in one file, and of the LAN side the messages of the phone only: an INVITE seems
    to stay outside."""
    return _in_one_file("cap002-one-way-lan-outbound")


@case("cap002-near-miss-in-one-file", [("REG001", "router", "observed")], ["CAP002", *ALG],
      outcomes=[], one_file="both")  # fmt: skip
def _() -> House:
    """Both sides in one file, and a router that lets nothing in: the phone repeats its REGISTER,
    which was answered."""
    return _in_one_file("cap002-near-miss-nothing-comes-in")
