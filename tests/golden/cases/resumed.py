# SPDX-License-Identifier: Apache-2.0
"""Golden cases of media: silence after a call is resumed, an SDP with two addresses, and the
address of a relay."""

from __future__ import annotations

from craft import House, sdp, sized

from cases.case import DLG, case
from cases.sdp import FAR, PORT, SDP, Audio, called, re_invited, ways

RELAY, SESSION = "203.0.113.77", "203.0.113.99"
PHONE_FIX = {"phone-fix": "recommended"}


def _resumed(until: float) -> House:
    """RTP both ways, a hold, and from 12 s on RTP of the phone alone."""
    house = House()
    call, audio = called(house, 0), Audio(house)
    body, answer = sdp(house.wan_ip, PORT), sdp(house.provider, FAR)
    audio.both(3.1, 6)
    re_invited(call, 6, ways(body, "sendonly"), ways(answer, "recvonly"))
    re_invited(call, 12, body, answer)
    audio.out(12.2, until - 0.1)
    call.bye(until)
    return house


@case("sdp003-silent-after-hold", [("SDP003", "unknown", "observed")], ["SDP001", "SDP002", *DLG])
def _() -> House:
    """The call is resumed, and the far end sends nothing any more. It had sent all the time
    before, so it suppresses no silence."""
    return _resumed(24)


@case("sdp003-near-miss-silent-soon-after-hold", must_not=[*SDP, *DLG])
def _() -> House:
    """The call ends some seconds after it was resumed: the far end may have listened."""
    return _resumed(20)


def _two_addresses(to: str) -> House:
    """The 2xx has one address for the session, and another one for its audio. to: the phone sends
    its RTP there."""
    house = House()
    answer = sdp(SESSION, FAR) + f"c=IN IP4 {house.provider}\r\n".encode()
    called(house, 12, answer=answer)
    audio = Audio(house)
    audio.out(3.1, 11.9, far=to)
    audio.into(3.1, 11.9)
    return house


@case("sdp002-sent-to-the-address-of-the-session", [("SDP002", "phone", "observed")],
      ["SDP001", *DLG], PHONE_FIX)  # fmt: skip
def _() -> House:
    """The phone sends its RTP to the address of the session. That of the media section counts (RFC
    4566 section 5.7), and nobody hears the phone."""
    return _two_addresses(SESSION)


@case("sdp002-near-miss-sent-to-the-address-of-the-media", must_not=[*SDP, *DLG])
def _() -> House:
    """The phone takes the right one of the two."""
    return _two_addresses("")


def _moved(follows: bool) -> House:
    """The far end's answer to a re-INVITE has another port. follows: so does the phone's RTP."""
    house = House()
    call, audio = called(house, 0), Audio(house)
    audio.both(3.1, 8)
    re_invited(call, 8, sdp(house.wan_ip, PORT), sdp(house.provider, FAR + 200))
    after = Audio(house, far_port=FAR + 200)
    (after if follows else audio).out(8.2, 19.9)
    after.into(8.2, 19.9)
    call.bye(20)
    return house


@case("sdp002-sent-to-the-port-of-before", [("SDP002", "phone", "observed")], ["SDP001", *DLG],
      PHONE_FIX)  # fmt: skip
def _() -> House:
    """The port of the far end changes in the call, and the phone keeps to the one before (RFC 3264
    section 8.3.1)."""
    return _moved(follows=False)


@case("sdp002-near-miss-follows-to-the-port", must_not=[*SDP, *DLG])
def _() -> House:
    """The phone sends to the new port from the answer on."""
    return _moved(follows=True)


def _relayed(*, overwrites: bool, beside: bool = False) -> House:
    """A phone announces its TURN relay. overwrites: the router writes its own address instead, and
    RTP comes there; beside: another phone's call shows RTP on both sides."""
    house = House()
    if overwrites:
        old, new = (f"c=IN IP4 {host}\r\n".encode() for host in (RELAY, house.wan_ip))
        house.out_alg = lambda m: sized(m.replace(old, new)) if old in m else m
    called(house, 12, body=sdp(RELAY, PORT))
    if overwrites:
        Audio(house).into(3.1, 11.9, lan=False)
    if beside:
        other = House(phone="192.168.1.11", wan_port=40011)
        called(other, 12, "beside@phone", body=sdp(other.wan_ip, 30000))
        Audio(other, 30000, 30000).both(3.1, 11.9)
        house.lan += other.lan
        house.wan += other.wan
    return house


@case("sdp002-relay-overwritten",
      [("SDP002", "router", "observed"), ("ALG006", "router", "latent")], ["SDP001", *DLG],
      outcomes=["completed"] * 2)  # fmt: skip
def _() -> House:
    """The phone announced the address of its TURN relay, the router made its own of it, and what
    comes there stays there."""
    return _relayed(overwrites=True, beside=True)


@case("sdp002-relay-overwritten-and-no-other-rtp",
      [("SDP002", "router", "latent"), ("ALG006", "router", "latent")], ["SDP001", *DLG],
      state="cannot-tell")  # fmt: skip
def _() -> House:
    """No RTP at all was captured in the LAN: the capture may be without it there."""
    return _relayed(overwrites=True)


@case("sdp002-near-miss-relay-kept", must_not=[*SDP, "ALG006", *DLG])
def _() -> House:
    """The router leaves the address of the relay alone: RTP travels there, by the port of TURN."""
    return _relayed(overwrites=False)
