# SPDX-License-Identifier: Apache-2.0
"""Golden cases of CAP: can the capture be trusted?"""

from __future__ import annotations

import struct

from craft import (
    LADDER_2XX,
    LADDER_INVITE,
    START,
    House,
    Incoming,
    Outgoing,
    Packet,
    answer,
    incoming_call,
    outgoing_call,
    register,
)
from forger import before, payload_of, with_payload

from cases.case import ALG, DLG, answered, case


@case("cap001-one-sided", [("CAP001", "unknown", "none")], [*DLG, *ALG, "CAP005", "CAP007"],
      one_file="lan")  # fmt: skip
def _() -> House:
    """The LAN side alone of a call that the kernel's ALG rewrote. Nothing about the router can be
    said, and that is said."""
    house = House("linux")
    outgoing_call(house, 1, "one@phone")
    return house


def _pbx_on_the_router() -> House:
    """The phone talks to the router's LAN address, and the router to the provider, each with a
    Call-ID of its own."""
    inside = House(wan="192.168.1.10", provider="192.168.1.1")
    outside = House(phone="198.51.100.2", wan="198.51.100.2")
    outgoing_call(inside, 1, "a@phone")
    outgoing_call(outside, 1.05, "b@pbx")
    inside.wan = outside.wan
    return inside


@case("cap001-pbx-on-the-router", [("CAP001", "unknown", "none")], [*DLG, *ALG],
      outcomes=["completed", "completed"], one_file="both")  # fmt: skip
def _() -> House:
    """Both sides of a PBX on the router in one file: no message is on two sides, and it is not said
    that one side is missing."""
    return _pbx_on_the_router()


@case("cap001-near-miss-intercom", [("CAP001", "unknown", "none")], [*DLG, *ALG],
      outcomes=["completed", "completed"], one_file="lan")  # fmt: skip
def _() -> House:
    """The LAN side alone of a phone that calls another one in the house, and a number outside."""
    house = House()
    other = House(wan="192.168.1.10", provider="192.168.1.11")
    outgoing_call(house, 1, "out@phone")
    outgoing_call(other, 20, "room@phone")
    house.lan += other.lan
    return house


@case("cap001-near-miss-both-sides", must_not=["CAP001", *DLG, *ALG])
def _() -> House:
    """The same call without an ALG, both sides: nothing to say."""
    house = House()
    outgoing_call(house, 1, "one@phone")
    return house


@case("cap005-starts-and-ends-inside", [("CAP005", "unknown", "none")],
      [*DLG, "TXN001", "ALG011"], outcomes=["unknown", "ongoing"],
      state="cannot-tell")  # fmt: skip
def _() -> House:
    """The capture begins with the BYE of one call and ends at the 2xx of another: neither the
    INVITE of the first nor the ACK of the second is missing."""
    house = House()
    Outgoing(house, "begun@phone").bye(0)
    call = Outgoing(house, "cut@phone")
    call.invite(3)
    call.respond(3.2, 180)
    call.ok(5)
    return house


def _goes_on(until: float) -> House:
    """A call whose ACK comes at 3.02 s, and something else at the end of the capture."""
    house = House()
    call = Outgoing(house, "on@phone")
    call.set_up(1)
    register(house, until - 0.03)
    return house


@case("dlg001-near-miss-capture-ends-after-ack", must_not=[*DLG, *ALG],
      outcomes=["unknown"], state="cannot-tell")  # fmt: skip
def _() -> House:
    """The capture ends 3.5 s after the ACK: had it been lost beyond the router, its 2xx need not
    have come again yet."""
    return _goes_on(6.5)


@case("dlg001-near-miss-goes-on", must_not=[*DLG, *ALG], outcomes=["ongoing"])
def _() -> House:
    """The capture ends 5 s after the ACK, and no 2xx came again: the call goes on."""
    return _goes_on(8)


@case("cap005-near-miss-whole-calls", must_not=["CAP005", *DLG], outcomes=["completed", "rejected"])
def _() -> House:
    """Two whole calls, one of them refused and its ACK on the INVITE's own branch."""
    house = House()
    outgoing_call(house, 1, "one@phone")
    call = Outgoing(house, "two@phone")
    call.invite(10)
    call.respond(10.2, 486)
    call.nak(10.21)
    return house


def _seen_twice(packets: list[Packet]) -> list[Packet]:
    return [copy for at, data in packets for copy in ((at, data), (at + 20_000, data))]


@case("cap007-bridge-and-port", [("CAP007", "unknown", "none")], [*DLG, *ALG])
def _() -> House:
    """Taken on the bridge and on its port: every LAN packet is there twice, 20 µs apart, with the
    same IP ID and TTL. Not one retransmission is counted."""
    house = House()
    incoming_call(house, 1, "twice@provider")
    house.lan = _seen_twice(house.lan)
    return house


@case("cap007-near-miss-retransmission", must_not=["CAP007", *DLG])
def _() -> House:
    """The phone sends its INVITE and the provider its 2xx once more after T1, from a host whose
    IP ID is always 0: retransmissions, no duplicates."""
    house = House(idents=False)
    call = Outgoing(house, "again@phone")
    call.invite(1)
    call.invite(1.5)
    call.respond(1.53, 180)
    call.ok(3)
    call.ack(3.3)
    call.ok(3.5)
    call.ack(3.8)
    call.bye(6)
    return house


def _late(house: House, ns: int) -> House:
    incoming_call(house, 1, "in@provider")
    outgoing_call(house, 10, "out@phone")
    house.wan = [(at - ns, data) for at, data in house.wan]
    return house


@case("cap008-clocks-differ", [("CAP008", "unknown", "none"), ("ALG014", "router", "none")],
      [*DLG, "TXN001"], outcomes=["completed", "completed"])  # fmt: skip
def _() -> House:
    """Two captures with clocks 3 s apart: the difference is told and taken out, and what the ALG
    rewrites is seen as with one clock."""
    return _late(House("linux"), 3_000_000_000)


@case("cap008-near-miss-within-the-window", [("ALG014", "router", "none")], ["CAP008", *DLG],
      outcomes=["completed", "completed"])  # fmt: skip
def _() -> House:
    """Clocks 0.1 s apart are no trouble."""
    return _late(House("linux"), 100_000_000)


def _cut(packets: list[Packet], size: int) -> list[Packet]:
    """As `tcpdump -s size` captures them: the IP header still says how long they were."""
    return [(at, data[:size]) for at, data in packets]


@case("cap011-snap-length-96", [("CAP011", "unknown", "none")], [*DLG, *ALG, "TXN001", "REG001"],
      outcomes=[], state="cannot-tell")  # fmt: skip
def _() -> House:
    """A rewritten call, captured with a snap length of 96: start lines and half a Via. Nothing is
    concluded from them."""
    house = House("linux")
    register(house, 0)
    incoming_call(house, 1, "cut@provider")
    house.lan, house.wan = _cut(house.lan, 96), _cut(house.wan, 96)
    return house


@case("cap011-refused-bye",
      [("DLG008", "unknown", "observed"), ("CAP011", "unknown", "none")], [*DLG, *ALG])  # fmt: skip
def _() -> House:
    """The BYE of the phone is refused with 481. All that has SDP is cut, so a BYE of the other end
    may have come and not be known, and no place is named."""
    house = House()
    register(house, 0)
    call = Outgoing(house, "cut@phone")
    call.invite(1)
    call.respond(1.1, 100)
    call.respond(1.3, 180)
    call.ok(3)
    call.ack(3.02)
    seen = house.out(20, call._request("BYE", 2, "sip:300@203.0.113.5:5060", f";tag={call._tag}"))
    house.into(20.03, answer(481, seen))
    house.lan, house.wan = _cut(house.lan, 440), _cut(house.wan, 440)
    return house


@case("cap011-one-side-is-cut", [("CAP011", "unknown", "none")], [*DLG, *ALG, "TXN001", "REG001"],
      state="cannot-tell")  # fmt: skip
def _() -> House:
    """The WAN side alone was captured with a snap length of 300: what is cut there is not called
    missing, and nothing is compared with it."""
    house = House("linux")
    register(house, 0)
    incoming_call(house, 1, "cut@provider")
    house.wan = _cut(house.wan, 300)
    return house


def _beside(phone: str, wan_port: int) -> House:
    """This router stops a call of one phone. Messages of another call are cut: of that phone, at
    that WAN port."""
    house = House()
    register(house, 0)
    call = Outgoing(house, "stopped@phone")
    for after in (0, *LADDER_INVITE):
        call.invite(10 + after, wan=False)
    other = House(phone=phone, wan_port=wan_port)
    register(other, 14.5)
    outgoing_call(other, 15, "cut@phone")
    register(other, 90, n=2)
    house.lan += other.lan
    house.wan += _cut(other.wan, 440)
    return house


@case("cap011-call-of-another-phone",
      [("TXN001", "router", "observed"), ("CAP011", "unknown", "none")], [*DLG, *ALG],
      outcomes=["completed", "unanswered"])  # fmt: skip
def _() -> House:
    """What is cut excuses the calls over its own connection alone."""
    return _beside("192.168.1.77", 40077)


@case("cap011-near-miss-call-of-the-same-phone",
      [("TXN001", "unknown", "observed"), ("CAP011", "unknown", "none")], [*DLG, *ALG],
      outcomes=["completed", "unanswered"])  # fmt: skip
def _() -> House:
    """The INVITE may be among the messages that are cut."""
    return _beside("192.168.1.10", 5060)


@case("cap011-near-miss-whole", must_not=["CAP011", *DLG, *ALG])
def _() -> House:
    """A snap length of 65,535: every message is whole."""
    house = House()
    incoming_call(house, 1, "whole@provider")
    house.lan, house.wan = _cut(house.lan, 65535), _cut(house.wan, 65535)
    return house


# ---- CAP012: forged copies ----


def _forged(house: House, method: bytes, lan_port: int = 0, old: bytes = b"",
            new: bytes = b"") -> None:  # fmt: skip
    """A LAN host and a WAN host send a copy of each such message just before the true one, with
    its IP ID and TTL: to another LAN port, or with other bytes on the WAN."""
    for tap, packets in enumerate((house.lan, house.wan)):
        for packet in list(packets):
            if not payload_of(packet).startswith(method) or old not in payload_of(packet):
                continue
            data = bytearray(packet[1])
            if lan_port and not tap:
                data[36:38] = struct.pack("!H", lan_port)
            made = bytes(data)
            if tap and old:
                made = with_payload(made, payload_of(packet).replace(old, new))
            packets.append(before(packet, made))


@case("cap012-acks-forged-to-another-port",
      [("CAP012", "unknown", "none"), ("DLG001", "unknown", "observed")], ALG,
      outcomes=["dropped"])  # fmt: skip
def _() -> House:
    """A router without an ALG delivers each ACK to the phone, which repeats its 2xx all the same.
    Before each of them, forged copies show an ACK that the router sends to another port: nothing is
    concluded from either, and no ALG is blamed."""
    house = House(wan_port=40123)
    register(house, 0)
    call = answered(house)
    for after in (0, *LADDER_2XX):
        call.ack(3.03 + after)
    call.dropped(3)
    _forged(house, b"ACK", lan_port=5099)
    return house


@case("cap012-a-rewrite-is-forged", [("CAP012", "unknown", "none")], [*DLG, *ALG],
      state="cannot-tell")  # fmt: skip
def _() -> House:
    """A call without an ALG. Just before the 2xx of the phone forged copies show that the router
    wrote another Contact into it."""
    house = House(wan_port=40123)
    incoming_call(house, 1, "in@provider")
    _forged(house, b"SIP/2.0 200", old=b"Contact: <sip:100@192.168.1.10:5060>",
            new=b"Contact: <sip:100@198.51.100.2:5060>")  # fmt: skip
    return house


@case("cap012-a-rewrite-is-hidden", [("CAP012", "unknown", "none")], ["CAP007"],
      outcomes=["dropped"], state="hurts")  # fmt: skip
def _() -> House:
    """The router writes its WAN address into the Contact, and the call drops. A forged copy of each
    2xx that seems to leave as it came hides that: nothing is concluded about the Contact."""
    house = House("linux", wan_port=40123)
    register(house, 0)
    call = answered(house)
    call.dropped(3)
    for packet in list(house.lan):
        if payload_of(packet).startswith(b"SIP/2.0 200") and b"INVITE" in payload_of(packet):
            true = next(p for p in house.wan if p[1][18:20] == packet[1][18:20])
            house.wan.append(before(true, with_payload(true[1], payload_of(packet))))
    return house


@case("cap012-near-miss-two-phones-ring", [("ALG014", "router", "none")], ["CAP012", *DLG],
      outcomes=["completed"])  # fmt: skip
def _() -> House:
    """Two phones of a PBX ring within 50 ms: two 180 for one INVITE, with two To tags."""
    house = House("linux", wan_port=40123)
    call = Incoming(house, "in@provider")
    call.invite(1)
    call.ringing(1.2)
    at, data = house.lan[-1]
    seen = house.wan[-1][1]
    tag = payload_of((at, data)).split(b"tag=")[-1].split(b"\r\n")[0]
    for packets, one, later in ((house.lan, data, 0), (house.wan, seen, 200_000)):
        again = payload_of((at, one)).replace(tag, b"x" * len(tag))
        other = one[:18] + b"\x77\x77" + one[20:]  # an IP ID of its own
        packets.append((at + 50_000_000 + later, with_payload(other, again)))
    call.ok(3)
    call.ack(3.03)
    call.bye(6)
    return house


# ---- CAP013: one capture began later, or ended earlier ----

CUT = 40  # s after START: between two calls


def _cut_to(packets: list[Packet], first: float = 0, last: float = 1e6) -> list[Packet]:
    """The packets of that time, in seconds after START."""
    return [one for one in packets if first <= one[0] / 1e9 - START < last]


def _four_calls() -> House:
    house = House("linux", wan_port=1024)
    register(house, 0)
    for at in (5, 45):
        outgoing_call(house, at, f"out{at}@phone")
        incoming_call(house, at + 20, f"in{at}@provider")
    return house


def _dies_alone(at: float, other: float) -> House:
    """A call that is never acknowledged, and two good ones at another time."""
    house = House("linux", wan_port=1024)
    register(house, other)
    outgoing_call(house, other + 2, "out@phone")
    incoming_call(house, other + 12, "in@provider")
    call = Incoming(house, "dead@provider")
    call.invite(at)
    call.ringing(at + 0.2)
    call.ok(at + 2)
    call.dropped(at + 2)
    register(house, at + 40, n=2)
    return house


@case("cap013-wan-began-later", [("CAP013", "unknown", "none")], [*DLG, "CAP005", "TXN001"],
      outcomes=["completed"] * 4)  # fmt: skip
def _() -> House:
    """The WAN capture begins 40 s after the LAN capture. The calls before it are judged by the LAN
    side, and none of their messages is missing on the WAN."""
    house = _four_calls()
    house.wan = _cut_to(house.wan, first=CUT)
    return house


@case("cap013-lan-began-later", [("CAP013", "unknown", "none")], [*DLG, "CAP005", "TXN001"],
      outcomes=["completed"] * 4)  # fmt: skip
def _() -> House:
    """The LAN capture begins 40 s after the WAN capture. The calls before it are with the provider
    that the phone calls later, so they are not unsolicited."""
    house = _four_calls()
    house.lan = _cut_to(house.lan, first=CUT)
    return house


@case("cap013-wan-ended-earlier", [("CAP013", "unknown", "none")], [*DLG, "CAP005", "TXN001"],
      outcomes=["completed"] * 4)  # fmt: skip
def _() -> House:
    """The WAN capture ends in the midst of the LAN capture."""
    house = _four_calls()
    house.wan = _cut_to(house.wan, last=CUT)
    return house


@case("cap013-lan-ended-earlier", [("CAP013", "unknown", "none")], [*DLG, "CAP005", "TXN001"],
      outcomes=["completed"] * 4)  # fmt: skip
def _() -> House:
    """The LAN capture ends in the midst of the WAN capture."""
    house = _four_calls()
    house.lan = _cut_to(house.lan, last=CUT)
    return house


@case("cap013-dies-before-lan-began", [("CAP013", "unknown", "none"),
      ("DLG001", "unknown", "observed")], ["ALG011", "DLG002"],
      outcomes=["dropped", "completed", "completed"])  # fmt: skip
def _() -> House:
    """A call is never acknowledged before the LAN capture begins: it is dead, and the WAN side
    alone does not tell where the ACK was lost."""
    house = _dies_alone(at=2, other=60)
    house.lan = _cut_to(house.lan, first=55)
    return house


def _unanswered(house: House, at: float, **how: bool) -> None:
    call = Outgoing(house, "silent@phone")
    for after in (0, 0.5, 1.5, 3.5, 7.5, 15.5, 31.5):
        call.invite(at + after, **how)


@case("cap013-dies-after-wan-ended", [("CAP013", "unknown", "none"),
      ("TXN001", "unknown", "observed")], ["ALG008", *DLG],
      outcomes=["completed", "completed", "unanswered"])  # fmt: skip
def _() -> House:
    """After the end of the WAN capture an INVITE of the phone is never answered: packet time goes
    on with the LAN capture, the call is dead, and the router is not blamed."""
    house = House("linux", wan_port=1024)
    register(house, 0)
    outgoing_call(house, 5, "a@phone")
    _unanswered(house, 50)
    outgoing_call(house, 90, "b@phone")
    house.wan = _cut_to(house.wan, last=CUT)
    return house


@case("cap013-registration-dies-after-lan-ended", [("CAP013", "unknown", "none"),
      ("REG001", "unknown", "observed")], DLG,
      outcomes=["completed", "completed"])  # fmt: skip
def _() -> House:
    """After the end of the LAN capture the next REGISTER of the phone is never answered: the WAN
    capture shows it, and the registration that was accepted before does not hide it."""
    house = House("linux", wan_port=1024)
    register(house, 0)
    outgoing_call(house, 5, "a@phone")
    before = len(house.wan)
    for after in (0, 0.5, 1.5, 3.5, 7.5, 11.5, 15.5, 19.5, 23.5, 27.5, 31.5):
        register(house, 50 + after, n=2)
    house.wan = house.wan[:before] + house.wan[before::2]
    outgoing_call(house, 90, "b@phone")
    house.lan = _cut_to(house.lan, last=CUT)
    return house


@case("cap013-near-miss-swallows-first", [("TXN001", "unknown", "observed")], ["CAP013", *DLG],
      outcomes=["completed", "unanswered"])  # fmt: skip
def _() -> House:
    """A router swallows the first call of a phone, which shows nothing on the WAN for 40 s: nobody
    beyond it has answered anything, so the WAN capture has not begun later."""
    house = House("linux", wan_port=1024)
    _unanswered(house, 1, wan=False)
    register(house, 45)
    outgoing_call(house, 50, "a@phone")
    return house


@case("cap013-near-miss-swallows-last", must_not=["CAP013", *DLG],
      outcomes=["completed", "unknown"], state="cannot-tell")  # fmt: skip
def _() -> House:
    """A router swallows the last call of a phone: that shows no end of the WAN capture. Packet time
    ends with the WAN side, so the call is not decided."""
    house = House("linux", wan_port=1024)
    register(house, 0)
    outgoing_call(house, 5, "a@phone")
    _unanswered(house, 50, wan=False)
    return house


@case("cap013-near-miss-quiet-ends", must_not=["CAP013", "CAP005", *DLG],
      outcomes=["completed"] * 3)  # fmt: skip
def _() -> House:
    """The phone calls another one in the house before and after a call to the provider: the WAN is
    quiet at both ends, as it should be. What stays in the house needs no router, so nothing of it
    is missing."""
    house = House("linux", wan_port=1024)
    other = House(wan="192.168.1.10", provider="192.168.1.11")
    outgoing_call(other, 1, "early@phone")
    outgoing_call(house, 30, "out@phone")
    outgoing_call(other, 60, "late@phone")
    house.lan += other.lan
    return house


@case("cap013-near-miss-answered-after-the-end", [("CAP013", "unknown", "none")],
      ["TXN001", "TXN003", *DLG], outcomes=["completed"] * 3)  # fmt: skip
def _() -> House:
    """The WAN capture ends while an INVITE is still unanswered, and the LAN side shows how the call
    goes on: the WAN side does not time out, and no response was held back by the router."""
    house = House("linux", wan_port=1024)
    register(house, 0)
    outgoing_call(house, 5, "a@phone")
    call = Outgoing(house, "slow@phone")
    for after in (0, 0.5, 1.5, 3.5, 7.5, 15.5):
        call.invite(20 + after)
    call.respond(41, 180)
    call.ok(43)
    call.ack(43.02)
    call.bye(60)
    outgoing_call(house, 90, "z@phone")
    house.wan = _cut_to(house.wan, last=CUT)
    return house


@case("cap013-dies-across-the-end", [("CAP013", "unknown", "none")], ["ALG011", *DLG],
      outcomes=["dropped", "completed", "completed"], state="hurts")  # fmt: skip
def _() -> House:
    """The LAN capture ends while the phone rings. Its 2xx is never acknowledged, which the WAN side
    alone shows: the call is dead, and not completed because of its BYE."""
    house = _dies_alone(at=30, other=0)
    house.lan = _cut_to(house.lan, last=31)
    return house


@case("cap013-dies-across-the-beginning", [("CAP013", "unknown", "none"),
      ("DLG001", "unknown", "observed")], ["ALG011", "DLG002"],
      outcomes=["dropped", "completed", "completed"])  # fmt: skip
def _() -> House:
    """The LAN capture begins when the phone has repeated its 2xx for the last time: the WAN side
    shows that it was never acknowledged."""
    house = _dies_alone(at=2, other=60)
    house.lan = _cut_to(house.lan, first=33)
    return house


def _ends_only(status: int) -> House:
    """The far end's BYE of a call that began long before the capture."""
    house = House()
    call = Outgoing(house, "late@phone")
    call.seen = call._request("INVITE", 1, "sip:300@example.net", "", call.contact)
    seen = house.into(1, call.from_far("BYE"))
    house.out(1.02, answer(status, seen))
    return house


@case("cap005-bye-alone", [("CAP005", "unknown", "none")], [*DLG, *ALG], outcomes=["unknown"],
      state="cannot-tell")  # fmt: skip
def _() -> House:
    """The phone accepts the BYE, so there was a call: how it went cannot be told."""
    return _ends_only(200)


@case("cap005-near-miss-bye-of-a-stranger", must_not=[*DLG, *ALG], outcomes=["unknown"],
      state="cannot-tell")  # fmt: skip
def _() -> House:
    """The phone knows no such call (481): nobody here had one."""
    return _ends_only(481)
