# SPDX-License-Identifier: Apache-2.0
"""Golden cases of captures that do not show where the phone listens, that its INVITE came before
its 2xx, or what it offered: none is the fault of the phone."""

from __future__ import annotations

from craft import LADDER_2XX, LADDER_INVITE, House, Incoming, Outgoing, register, sdp

from cases.case import ALG, DLG, case
from cases.sdp import FAR, PORT, Audio, called, ways


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


def _talks(answer: str = "sendrecv", heard: bool = False, wan: bool = False) -> House:
    """A call whose INVITE came before the captures, or (wan) before that of the LAN. answer: what
    the far end is to do; heard: its RTP comes."""
    house = House()
    call = called(house, 0, answer=ways(sdp(house.provider, FAR), answer))
    audio = Audio(house, PORT)
    audio.out(3, 20)
    if heard:
        audio.into(3, 20)
    call.bye(20)
    house.lan.sort()
    house.wan.sort()
    del house.lan[0]
    if not wan:
        del house.wan[0]
    return house


@case("sdp003-begun-late", [("SDP003", "unknown", "latent")], [*DLG, *ALG], state="cannot-tell")
def _() -> House:
    """The captures lack the INVITE. The far end is to send and receive, RTP goes there and none
    comes back: no all-clear, and no place."""
    return _talks()


@case("sdp003-lan-begun-late", [("SDP003", "unknown", "latent")], [*DLG, *ALG],
      state="cannot-tell")  # fmt: skip
def _() -> House:
    """The same, and only the LAN capture lacks the INVITE."""
    return _talks(wan=True)


@case("sdp003-near-miss-begun-late-and-heard", must_not=["SDP003", *DLG, *ALG])
def _() -> House:
    """The captures lack the INVITE, and RTP goes both ways."""
    return _talks(heard=True)


@case("sdp003-near-miss-begun-late-on-hold", must_not=["SDP003", *DLG, *ALG])
def _() -> House:
    """The captures lack the INVITE, and the far end is not to send."""
    return _talks("recvonly")
