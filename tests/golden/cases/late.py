# SPDX-License-Identifier: Apache-2.0
"""Golden cases of captures that do not show where the phone listens, or that its INVITE came before
its 2xx: neither is the fault of the phone."""

from __future__ import annotations

from craft import LADDER_2XX, LADDER_INVITE, House, Incoming, Outgoing, register

from cases.case import case


@case("txn006-begun-late", [("TXN006", "router", "observed"), ("DLG001", "router", "observed")],
      advice={"disable-sip-alg": "suspected"}, outcomes=["dropped"])  # fmt: skip
def _() -> House:
    """The captures begin behind the first 2xx, whose Via the ALG has changed. The phone does not
    take it and sends its INVITE once more: it does not owe an ACK."""
    house = House("linux", wan_port=40100)
    call = Outgoing(house, "late@phone", f"<sip:100@{house.public}>")
    call.invite(0)  # makes it
    call.invited = call.invited.replace(b"UDP 192.168.1.10:5060", f"UDP {house.public}".encode())
    call.invite(1)
    for packets in (house.lan, house.wan):
        packets.clear()
    for after in LADDER_2XX[:4]:
        call.ok(3 + after)
        if after == 3.5:
            call.invite(8.5)
    call.far_bye(12)
    return house


@case("txn001-past-its-port", [("TXN001", "unknown", "observed"), ("ALG011", "router", "latent")],
      outcomes=["unanswered"], state="hurts")  # fmt: skip
def _() -> House:
    """An INVITE with port 5060 in its Request-URI is delivered to port 5080 of the phone, and
    nobody answers there. The captures do not show at which port the phone is."""
    house = House(wan_port=40100)
    call = Incoming(house, "past@provider")
    for after in (0, *LADDER_INVITE):
        call.invite(20 + after, lan_port=5080, alg=lambda raw: raw.replace(
            f"sip:100@{house.public}".encode(), b"sip:100@192.168.1.10:5060"))  # fmt: skip
    other = House(phone="192.168.1.11", wan_port=40011)
    register(other, 90)
    house.lan += other.lan
    house.wan += other.wan
    return house
