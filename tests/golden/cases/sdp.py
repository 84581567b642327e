# SPDX-License-Identifier: Apache-2.0
"""The golden captures of media: audio in one direction, and what only looks like it."""

from __future__ import annotations

import struct
from collections.abc import Callable

from craft import FORWARD, START, House, Incoming, Outgoing, frame, sdp, sized, works_beside

from cases.case import DLG, case

SDP = ("SDP001", "SDP002", "SDP003")
PORT, FAR = 16384, 20000  # announced by the phone, and by the far end
OLD = "198.51.100.77"  # an address that the router had before
STEP = 0.1  # seconds between two packets: a file of every 20 ms would be large
STUN = {"enable-rport-stun-outbound": "recommended"}


def rtp(number: int, kind: int = 8, size: int = 8) -> bytes:
    """RFC 3550 section 5.1. kind: payload type."""
    return struct.pack("!BBHII", 0x80, kind, number & 0xFFFF, number * 160, 7) + bytes(size)


class Audio:
    """RTP of one call through a house. port, wan_port: from which the phone's leaves, on either
    side; far: host and port at which the far end is."""

    def __init__(self, house: House, port: int = PORT, wan_port: int = PORT, far: str = "",
                 far_port: int = FAR) -> None:  # fmt: skip
        self.house = house
        self.port = port
        self.wan_port = wan_port
        self.far = far or house.provider
        self.far_port = far_port

    def out(self, start: float, stop: float, lan: bool = True, wan: bool = True, kind: int = 8,
            step: float = STEP, far: str = "") -> None:  # fmt: skip
        """Of the phone."""
        house, far = self.house, far or self.far
        for i in range(round((stop - start) / step)):
            at, data = start + i * step, rtp(i, kind)
            if lan:
                house.lan.append((_ns(at), frame(data, house.phone, self.port, far, self.far_port)))
            if wan:
                sent = frame(data, house.wan_ip, self.wan_port, far, self.far_port, 63)
                house.wan.append((_ns(at + FORWARD), sent))

    def into(self, start: float, stop: float, lan: bool = True, wan: bool = True, kind: int = 8,
             step: float = STEP, to: int = 0, sport: int = 0) -> None:  # fmt: skip
        """To the phone. to: WAN port, where it is another than that of the mapping."""
        house, sport = self.house, sport or self.far_port
        for i in range(round((stop - start) / step)):
            at, data = start + 0.03 + i * step, rtp(i, kind)
            if wan:
                sent = frame(data, self.far, sport, house.wan_ip, to or self.wan_port, 60)
                house.wan.append((_ns(at), sent))
            if lan:
                sent = frame(data, self.far, sport, house.phone, self.port, 59)
                house.lan.append((_ns(at + FORWARD), sent))

    def both(self, start: float, stop: float) -> None:
        self.out(start, stop)
        self.into(start, stop)


def _ns(at: float) -> int:
    return (START * 1_000_000 + round(at * 1_000_000)) * 1000


def called(house: House, until: float, call_id: str = "talk@phone", *, body: bytes = b"",
           answer: bytes = b"", ok: bool = True, after: float = 0) -> Outgoing:  # fmt: skip
    """A call of the phone that is answered at 3 s. body: its SDP, by default with the address of
    the WAN side, as STUN tells it; answer: that of the far end; after: s, it begins so much
    later."""
    call = Outgoing(house, call_id, body=body or sdp(house.wan_ip, PORT))
    call.invite(after + 1)
    call.respond(after + 1.1, 180)
    if answer:
        call.respond(after + 3, 200, answer)
    elif ok:
        call.ok(after + 3)
    call.ack(after + 3.02)
    if until:
        call.bye(until)
    return call


def ways(body: bytes, way: str) -> bytes:
    return body + f"a={way}\r\n".encode()


def re_invited(call: Outgoing, at: float, body: bytes, answer: bytes) -> None:
    """The phone sends another offer inside the dialog."""
    made = call._request("INVITE", 2, f"sip:300@{call.house.provider}:5060", f";tag={call._tag}",
                         call.contact, body, branch=f"re{at:.0f}")  # fmt: skip
    call.seen = call.house.out(at, made)
    call.respond(at + 0.1, 200, answer)
    ack = call._request("ACK", 2, f"sip:300@{call.house.provider}:5060", f";tag={call._tag}",
                        branch=f"reack{at:.0f}")  # fmt: skip
    call.house.out(at + 0.12, ack)


# ---- SDP003: a direction without RTP ----


@case("sdp003-stopped-on-its-way-in", [("SDP003", "router", "observed")],
      ["SDP001", "SDP002", *DLG])  # fmt: skip
def _() -> House:
    """RTP comes to the WAN port that was announced and from which the phone's RTP leaves, and not
    one packet of it leaves the router to the LAN."""
    house = House()
    called(house, 12)
    audio = Audio(house)
    audio.out(3.1, 11.9)
    audio.into(3.1, 11.9, lan=False)
    return house


@case("sdp003-stopped-on-its-way-out", [("SDP003", "router", "observed")],
      ["SDP001", "SDP002", *DLG])  # fmt: skip
def _() -> House:
    """The phone sends RTP, and none of it leaves the router; that of the far end gets through."""
    house = House()
    called(house, 12)
    audio = Audio(house)
    audio.out(3.1, 11.9, wan=False)
    audio.into(3.1, 11.9)
    return house


@case("sdp003-never-on-wan", [("SDP003", "network", "observed")], ["SDP001", "SDP002", *DLG])
def _() -> House:
    """The SDP of the phone is right, its RTP leaves the router, and none ever comes to the WAN
    side."""
    house = House()
    called(house, 12)
    Audio(house).out(3.1, 11.9)
    return house


@case("sdp003-phone-sends-nothing", [("SDP003", "phone", "observed")], ["SDP001", "SDP002", *DLG])
def _() -> House:
    """The far end is heard, and the phone sends no RTP."""
    house = House()
    called(house, 12)
    Audio(house).into(3.1, 11.9)
    return house


@case("sdp003-stops-in-the-router", [("SDP003", "router", "observed")],
      ["SDP001", "SDP002", *DLG])  # fmt: skip
def _() -> House:
    """After four seconds RTP still comes to the WAN side and no longer leaves to the LAN."""
    house = House()
    called(house, 14)
    audio = Audio(house)
    audio.out(3.1, 13.9)
    audio.into(3.1, 7)
    audio.into(7, 13.9, lan=False)
    return house


@case("sdp003-ringback-and-then-nothing", [("SDP003", "network", "observed")],
      ["SDP001", "SDP002", *DLG])  # fmt: skip
def _() -> House:
    """The far end sends early media until it answers, and nothing after."""
    house = House()
    call = Outgoing(house, "ring@phone", body=sdp(house.wan_ip, PORT))
    call.invite(1)
    call.respond(1.1, 183, sdp(house.provider, FAR))
    call.ok(3)
    call.ack(3.02)
    call.bye(26)
    audio = Audio(house)
    audio.into(1.2, 3)
    audio.out(3.1, 25.9, step=0.2)
    return house


@case("sdp003-call-to-the-phone", [("SDP003", "network", "observed")],
      ["SDP001", "SDP002", *DLG])  # fmt: skip
def _() -> House:
    """A call to the phone, the ALG off, its Contact and SDP public: the caller sends no RTP."""
    house = House()
    call = Incoming(house, "deaf@provider", contact=f"<sip:100@{house.public}>",
                    body=sdp(house.wan_ip, PORT))  # fmt: skip
    call.invite(1)
    call.ringing(1.2)
    call.ok(3)
    call.ack(3.05)
    call.bye(12)
    Audio(house).out(3.1, 11.9)
    return house


@case("sdp003-one-side-alone", [("SDP003", "unknown", "observed"), ("CAP001", "unknown", "none")],
      ["SDP001", "SDP002", *DLG], one_file="lan")  # fmt: skip
def _() -> House:
    """The LAN side alone: no RTP comes to the phone, and where it stops is not known."""
    house = House()
    called(house, 12)
    Audio(house).out(3.1, 11.9)
    return house


@case("sdp003-both-sides-in-one-file", [("SDP003", "router", "observed")],
      ["SDP001", "SDP002", *DLG], one_file="both")  # fmt: skip
def _() -> House:
    """Both sides in one file that is named without a side: the addresses tell them apart."""
    house = House()
    called(house, 12)
    audio = Audio(house)
    audio.out(3.1, 11.9)
    audio.into(3.1, 11.9, lan=False)
    return house


def near_miss(name: str, **how: object) -> Callable[[Callable[[], House]], Callable[[], House]]:
    return case(f"sdp003-near-miss-{name}", must_not=[*SDP, *DLG], **how)  # type: ignore[arg-type]


@near_miss("both-ways")
def _() -> House:
    """RTP both ways on both sides."""
    house = House()
    called(house, 12)
    Audio(house).both(3.1, 11.9)
    return house


@near_miss("no-rtp-in-the-capture")
def _() -> House:
    """The capture has SIP only."""
    house = House()
    called(house, 12)
    return house


@near_miss("no-rtp-of-the-wan-side")
def _() -> House:
    """The WAN side was captured with a filter for SIP; the LAN side has RTP both ways."""
    house = House()
    called(house, 12)
    audio = Audio(house)
    audio.out(3.1, 11.9, wan=False)
    audio.into(3.1, 11.9, wan=False)
    return house


@near_miss("short-call")
def _() -> House:
    """Answered, and ended after four seconds."""
    house = House()
    called(house, 7)
    Audio(house).out(3.1, 7)
    return house


@near_miss("early-media-only", outcomes=["cancelled"])
def _() -> House:
    """An announcement of the far end before it answers: the phone need not send, and hangs up."""
    house = House()
    call = Outgoing(house, "tone@phone", body=sdp(house.wan_ip, PORT))
    call.invite(1)
    call.respond(1.1, 183, sdp(house.provider, FAR))
    Audio(house).into(1.2, 12)
    call.cancel(12.05)
    call.respond(12.1, 487)
    made = call._request("ACK", 1, "sip:300@example.net", f";tag={call._tag}", branch="invite")
    house.out(12.12, made)
    return house


def _held(hold: bytes, answer: bytes) -> House:
    house = House()
    call = called(house, 0)
    audio = Audio(house)
    audio.both(3.1, 6)
    re_invited(call, 6, hold, answer)
    call.bye(20)
    audio.out(6.2, 19.9)  # music on hold
    return house


@near_miss("on-hold")
def _() -> House:
    """The phone puts the call on hold (sendonly, recvonly) and plays music: nothing comes back."""
    body, answer = sdp("198.51.100.2", PORT), sdp("203.0.113.5", FAR)
    return _held(ways(body, "sendonly"), ways(answer, "recvonly"))


@near_miss("on-hold-by-address")
def _() -> House:
    """Hold as in RFC 2543: c=0.0.0.0, and an answer without a direction."""
    return _held(sdp("0.0.0.0", PORT), sdp("203.0.113.5", FAR))


@near_miss("inactive")
def _() -> House:
    """The call is inactive from its third second on, and one end goes on sending."""
    body, answer = sdp("198.51.100.2", PORT), sdp("203.0.113.5", FAR)
    return _held(ways(body, "inactive"), ways(answer, "inactive"))


@near_miss("resumed")
def _() -> House:
    """On hold for six seconds, and RTP both ways after it."""
    house = House()
    call = called(house, 0)
    body, answer = sdp(house.wan_ip, PORT), sdp(house.provider, FAR)
    audio = Audio(house)
    audio.both(3.1, 6)
    re_invited(call, 6, ways(body, "sendonly"), ways(answer, "recvonly"))
    audio.out(6.2, 12)
    re_invited(call, 12, body, answer)
    audio.both(12.2, 19.9)
    call.bye(20)
    return house


@near_miss("listens-only")
def _() -> House:
    """The phone announced recvonly from the beginning (an announcement service)."""
    house = House()
    called(house, 12, body=ways(sdp(house.wan_ip, PORT), "recvonly"),
           answer=ways(sdp(house.provider, FAR), "sendonly"))  # fmt: skip
    Audio(house).into(3.1, 11.9)
    return house


@near_miss("comfort-noise")
def _() -> House:
    """The far end is silent: it sends comfort noise (payload type 13) every two seconds."""
    house = House()
    called(house, 20)
    audio = Audio(house)
    audio.out(3.1, 19.9)
    audio.into(3.1, 19.9, kind=13, step=2)
    return house


@near_miss("silence-suppressed")
def _() -> House:
    """The far end says hello and is silent for the rest of the call, without comfort noise."""
    house = House()
    called(house, 20)
    audio = Audio(house)
    audio.out(3.1, 19.9)
    audio.into(3.1, 5.5)
    return house


@near_miss("hello-and-silence")
def _() -> House:
    """The far end says hello and is silent for the nine seconds that the call lasts."""
    house = House()
    called(house, 12)
    audio = Audio(house)
    audio.out(3.1, 11.9)
    audio.into(3.1, 3.7)
    return house


@near_miss("relay-from-another-port")
def _() -> House:
    """STUN, and a relay of the provider that sends from a port which it did not announce."""
    house = House()
    called(house, 12)
    audio = Audio(house)
    audio.out(3.1, 11.9)
    audio.into(3.1, 11.9, sport=31000)
    return house


@near_miss("media-inside-the-lan")
def _() -> House:
    """The router writes the private address of another phone here into the SDP of the far end, so
    that media stay inside."""
    house = House()
    old, new = b"c=IN IP4 203.0.113.5\r\n", b"c=IN IP4 192.168.1.77\r\n"
    house.in_alg = lambda message: sized(message.replace(old, new))
    called(house, 12)
    Audio(house).out(3.1, 11.9, wan=False, far="192.168.1.77")
    Audio(house).into(3.1, 11.9, lan=False)
    return house


@near_miss("fax")
def _() -> House:
    """Audio becomes fax (T.38) after three seconds: one end leaves an RTP stream running."""
    fax = b"m=image %d udptl t38\r\n"
    one = sdp("198.51.100.2", PORT).replace(b"m=audio 16384 RTP/AVP 8\r\n", fax % PORT)
    two = sdp("203.0.113.5", FAR).replace(b"m=audio 20000 RTP/AVP 8\r\n", fax % FAR)
    return _held(one, two)


@near_miss("audio-declined")
def _() -> House:
    """The far end declines audio with port 0 and takes the video: nobody sends audio there."""
    house = House()
    video = b"m=video 30000 RTP/AVP 96\r\n"
    answer = sdp(house.provider, 0) + video
    called(house, 12, body=sdp(house.wan_ip, PORT) + video, answer=answer)
    Audio(house).out(3.1, 11.9)
    return house


@near_miss("video-declined")
def _() -> House:
    """The far end declines the video with port 0: audio goes both ways."""
    house = House()
    offer = sdp(house.wan_ip, PORT) + b"m=video 16386 RTP/AVP 96\r\n"
    called(house, 12, body=offer, answer=sdp(house.provider, FAR) + b"m=video 0 RTP/AVP 96\r\n")
    Audio(house).both(3.1, 11.9)
    return house


@near_miss("ice")
def _() -> House:
    """Both ends have candidates: RTP goes where ICE found a way, here to a relay."""
    house = House()
    ice = b"a=ice-ufrag:abcd\r\na=candidate:1 1 UDP 1 192.0.2.9 3478 typ relay\r\n"
    called(house, 12, body=sdp(house.wan_ip, PORT) + ice, answer=sdp(house.provider, FAR) + ice)
    Audio(house).out(3.1, 11.9)
    return house


@near_miss("rtcp-on-the-same-port")
def _() -> House:
    """rtcp-mux: RTCP beside RTP on one port. Neither end sends audio, so it shows nothing."""
    house = House()
    called(house, 12)
    Audio(house).out(3.1, 11.9, kind=200)  # a sender report
    return house


# ---- SDP001: an address to which nothing can come ----


@case("sdp001-private-address",
      [("SDP001", "phone", "observed"), ("SDP003", "phone", "observed")], ["SDP002", *DLG],
      STUN)  # fmt: skip
def _() -> House:
    """No ALG and no STUN: the SDP on the WAN side has the phone's private address. Its RTP leaves,
    and the provider sends to what it was told."""
    house = House()
    called(house, 12, body=sdp(house.phone, PORT))
    Audio(house).out(3.1, 11.9)
    return house


@case("sdp001-written-by-the-router",
      [("SDP001", "router", "observed"), ("SDP003", "router", "observed"),
       ("ALG006", "router", "latent")],
      ["SDP002", *DLG])  # fmt: skip
def _() -> House:
    """The phone writes the right public address, and the router puts another one in its place."""
    house = House()
    right, wrong = f"c=IN IP4 {house.wan_ip}".encode(), f"c=IN IP4 {OLD}".encode()
    house.out_alg = lambda message: sized(message.replace(right, wrong))
    called(house, 12)
    Audio(house).out(3.1, 11.9)
    return house


@case("sdp001-soon-over", [("SDP001", "phone", "latent")], ["SDP002", "SDP003", *DLG])
def _() -> House:
    """The same, but hung up after three seconds."""
    house = House()
    called(house, 6, body=sdp(house.phone, PORT))
    audio = Audio(house)
    audio.out(3.1, 6, step=0.05)
    return house


@case("sdp001-address-of-yesterday",
      [("SDP001", "phone", "observed"), ("SDP003", "phone", "observed")], ["SDP002", *DLG],
      STUN)  # fmt: skip
def _() -> House:
    """The phone writes a public address that the router no longer has."""
    house = House()
    called(house, 12, body=sdp(OLD, PORT))
    Audio(house).out(3.1, 11.9)
    return house


@case("sdp001-wan-side-alone",
      [("SDP001", "unknown", "observed"), ("SDP003", "unknown", "observed"),
       ("CAP001", "unknown", "none")],
      ["SDP002", *DLG], {"enable-rport-stun-outbound": "suspected"}, one_file="wan")  # fmt: skip
def _() -> House:
    """The private address, on the WAN side alone: it may be the router that wrote it."""
    house = House()
    called(house, 12, body=sdp(house.phone, PORT))
    Audio(house).out(3.1, 11.9)
    return house


@case("sdp001-near-miss-latching", must_not=[*SDP, *DLG])
def _() -> House:
    """The provider sends to where the phone's RTP comes from, whatever the SDP says."""
    house = House()
    called(house, 12, body=sdp(house.phone, PORT))
    Audio(house, wan_port=40001).both(3.1, 11.9)
    return house


@case("sdp003-lost-where-the-provider-latches", [("SDP003", "network", "observed")],
      ["SDP001", "SDP002", *DLG], outcomes=["completed", "completed"])  # fmt: skip
def _() -> House:
    """The RTP of an earlier call with the same private address came back, so the address is not why
    none comes in this one."""
    house = House()
    audio = Audio(house, wan_port=40001)
    called(house, 9, "before@phone", body=sdp(house.phone, PORT))
    audio.both(3.1, 8.9)
    called(house, 72, body=sdp(house.phone, PORT), after=60)
    audio.out(63.1, 71.9)
    return house


@case("sdp001-near-miss-latching-from-another-port", [("CAP001", "unknown", "none")],
      [*SDP, *DLG], one_file="wan")  # fmt: skip
def _() -> House:
    """The same on the WAN side alone, and its RTP comes from a port that it did not announce."""
    house = House()
    called(house, 12, body=sdp(house.phone, PORT))
    audio = Audio(house, wan_port=40001)
    audio.out(3.1, 11.9)
    audio.into(3.1, 11.9, sport=31000)
    return house


@case("sdp001-near-miss-no-rtp", must_not=[*SDP, *DLG])
def _() -> House:
    """A private address in the SDP, and a capture without RTP."""
    house = House()
    called(house, 12, body=sdp(house.phone, PORT))
    return house


@case("sdp001-near-miss-provider-inside", must_not=[*SDP, "DLG001"])
def _() -> House:
    """A provider in the same private network can reach the address. It is RTP that is missing."""
    house = House(provider="10.20.0.5", wan="10.1.2.3")
    called(house, 12, body=sdp(house.phone, PORT))
    Audio(house).both(3.1, 11.9)
    return house


# ---- SDP002: a port or an address that is not the one in use ----


@case("sdp002-announced-port-is-not-the-mapping",
      [("SDP002", "phone", "observed"), ("SDP003", "phone", "observed")],
      ["SDP001", *DLG])  # fmt: skip
def _() -> House:
    """The phone announces the public address with its own port, and the NAT has given its RTP
    another one: what comes to the announced port is dropped."""
    house = House()
    called(house, 12)
    audio = Audio(house, wan_port=40001)
    audio.out(3.1, 11.9)
    audio.into(3.1, 11.9, lan=False, to=PORT)
    return house


@case("sdp002-sent-to-another-port",
      [("SDP002", "provider", "observed"), ("SDP003", "provider", "observed")],
      ["SDP001", *DLG], {"provider-fix": "recommended"})  # fmt: skip
def _() -> House:
    """The provider sends to a port that the phone did not announce."""
    house = House()
    called(house, 12)
    audio = Audio(house)
    audio.out(3.1, 11.9)
    audio.into(3.1, 11.9, lan=False, to=PORT + 2)
    return house


ELSEWHERE = "203.0.113.99"


def _redirecting() -> House:
    house = House()
    old, new = b"c=IN IP4 203.0.113.5\r\n", b"c=IN IP4 203.0.113.99\r\n"
    house.in_alg = lambda message: sized(message.replace(old, new))
    return house


@case("sdp002-far-address-changed",
      [("SDP002", "router", "observed"), ("ALG006", "router", "latent")],
      ["SDP001", *DLG], {"disable-sip-alg": "suspected"})  # fmt: skip
def _() -> House:
    """The router changes the media address of the far end on its way to the phone, which sends its
    RTP to a host that expects none."""
    house = _redirecting()
    called(house, 12)
    audio = Audio(house)
    audio.out(3.1, 11.9, far=ELSEWHERE)
    audio.into(3.1, 11.9)
    return house


@case("sdp002-near-miss-media-proxy", [("ALG006", "router", "latent")], [*SDP, *DLG])
def _() -> House:
    """The same change by a media proxy, which sends on to the far end what it gets."""
    house = _redirecting()
    called(house, 12)
    audio = Audio(house)
    audio.out(3.1, 11.9, wan=False, far=ELSEWHERE)
    audio.out(3.1, 11.9, lan=False)
    audio.into(3.1, 11.9)
    return house


@case("sdp002-near-miss-latching-relay", [("ALG006", "router", "latent")], [*SDP, *DLG],
      outcomes=["completed"] * 3)  # fmt: skip
def _() -> House:
    """The router relays media: it writes its own address into the SDP for the phone, and sends on
    to where the RTP of the far end came from, which is another host than the far end announced."""
    house = House()
    old, new = b"IN IP4 203.0.113.5", b"IN IP4 198.51.100.2"
    house.in_alg = lambda message: sized(message.replace(old, new))
    relay = "203.0.113.77"
    for n, after in enumerate((0, 100)):
        called(house, after + 12, f"talk{n}@phone", after=after)
        start, stop = after + 3.1, after + 11.9
        Audio(house, far=relay, far_port=41000).out(start, stop, lan=False)
        Audio(house, far=relay, far_port=41000).into(start, stop, lan=False)
        Audio(house, far=house.wan_ip).out(start, stop, wan=False)
        Audio(house, far=house.wan_ip).into(start, stop, wan=False)
    works_beside(house, 130)
    return house


@case("sdp002-near-miss-helper", [("ALG014", "router", "none")], [*SDP, *DLG])
def _() -> House:
    """The kernel's ALG writes the address, and opens the announced port: RTP that comes to it
    reaches the phone, although the phone's own leaves from another one."""
    house = House("linux")
    called(house, 12, body=sdp(house.phone, PORT))
    audio = Audio(house, wan_port=40001)
    audio.out(3.1, 11.9)
    audio.into(3.1, 11.9, to=PORT)
    return house
