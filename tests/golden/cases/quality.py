# SPDX-License-Identifier: Apache-2.0
"""The golden captures of what is asked of two captures before they are compared: clocks, sides,
and whether they belong together (CAP008 to CAP010)."""

from __future__ import annotations

from craft import (
    LADDER_2XX,
    LADDER_INVITE,
    NS,
    House,
    Incoming,
    Outgoing,
    Packet,
    Rewriter,
    frame,
    incoming_call,
    outgoing_call,
    register,
    request,
    sized,
)

from cases.case import ALG, DLG, answered, case

SHAPED = ("ALG014", "router", "none")  # what the Linux helper does to two healthy calls
CLOCKS = ("CAP008", "unknown", "none")
SIDES = ("CAP009", "unknown", "none")
NOT_TWO = ("CAP010", "unknown", "none")
QUALITY = ("CAP008", "CAP009", "CAP010")


def _clock(packets: list[Packet], ahead: float, ppm: float = 0) -> list[Packet]:
    """The packets as another clock stamps them, in microseconds."""
    first = packets[0][0]
    return [
        (at + round((ahead + (at - first) / NS * ppm / 1e6) * 1e6) * 1000, data)
        for at, data in packets
    ]


def _calls(alg: str = "linux", idents: bool = True) -> House:
    house = House(alg, idents=idents)
    incoming_call(house, 1, "in@provider")
    outgoing_call(house, 10, "out@phone")
    return house


def _behind(house: House, seconds: float) -> House:
    house.wan = _clock(house.wan, -seconds)
    return house


# ---- CAP008: clocks ----


@case("cap008-just-over-the-window", [CLOCKS, SHAPED], [*DLG, "TXN001"],
      outcomes=["completed", "completed"])  # fmt: skip
def _() -> House:
    """Clocks 0.3 s apart: a little more than the window in which copies are paired."""
    return _behind(_calls(), 0.3)


@case("cap008-a-minute-and-no-ip-id", [CLOCKS, ("DLG001", "network", "observed")],
      ["DLG002", "DLG004", "TXN001", *ALG], outcomes=["completed", "dropped"])  # fmt: skip
def _() -> House:
    """Clocks a minute apart, a call whose 2xx is repeated to the end, and hosts whose IP ID is
    always 0: a 2xx must not be taken for the one before it."""
    house = House(idents=False)
    call = Incoming(house, "drop@provider", contact=f"<sip:100@{house.public}>")
    call.invite(1)
    call.ringing(1.2)
    call.ok(3)
    call.dropped(3)
    outgoing_call(house, 40, "after@phone")
    return _behind(house, -60)


@case("cap008-half-a-second-and-no-ip-id", [CLOCKS, ("TXN001", "network", "observed")],
      [*DLG, *ALG], outcomes=["unanswered"])  # fmt: skip
def _() -> House:
    """Clocks apart by T1 exactly, and nothing but an INVITE that nobody answers: each copy lies
    where the retransmission before it is on the other side."""
    house = House(idents=False)
    call = Outgoing(house, "silent@phone")
    for after in (0, *LADDER_INVITE):
        call.invite(1 + after)
    for after in (0, *LADDER_INVITE):
        register(house, 2 + after, n=1 + int(after))
    return _behind(house, 0.5)


@case("cap008-an-hour", [CLOCKS, SHAPED], [*DLG, "TXN001"], outcomes=["completed", "completed"])
def _() -> House:
    """One clock in summer time: an hour apart."""
    return _behind(_calls(), 3600)


@case("cap008-a-day-ahead", [CLOCKS, SHAPED], [*DLG, "TXN001"],
      outcomes=["completed", "completed"])  # fmt: skip
def _() -> House:
    """The WAN clock a day ahead of the LAN clock."""
    return _behind(_calls(), -86400)


@case("cap008-drift", [CLOCKS], [*DLG, *ALG, "TXN001"], outcomes=["completed"] * 14)
def _() -> House:
    """Half an hour with 100 ppm between two clocks that were 0.2 s apart at its beginning: only
    the later calls are out of the window."""
    house = House()
    for n in range(7):
        outgoing_call(house, 1 + 300 * n, f"out{n}@phone")
        incoming_call(house, 150 + 300 * n, f"in{n}@provider")
    house.wan = _clock(house.wan, 0.2, 100)
    return house


@case("cap008-clock-set-meanwhile", [CLOCKS, ("CAP001", "unknown", "none")],
      [*DLG, *ALG, "TXN001"],
      outcomes=["completed", "completed"], state="cannot-tell")  # fmt: skip
def _() -> House:
    """The WAN clock is set by 5 s between two calls: no difference fits both, so nothing is
    compared and nothing is missing."""
    house = _calls()
    house.wan = [(at + (5 * NS if i >= len(house.wan) // 2 else 0), data)
                 for i, (at, data) in enumerate(sorted(house.wan))]  # fmt: skip
    return house


@case("cap008-too-few-pairs",
      [CLOCKS, ("CAP001", "unknown", "none"), ("DLG001", "unknown", "observed")],
      ["DLG002", "DLG004", "TXN001", *ALG], outcomes=["dropped"])  # fmt: skip
def _() -> House:
    """Clocks half a minute apart, IP ID 0, and one message that is on both sides: too little to
    measure the difference by. The call is dead, and nobody is blamed for it."""
    house = House("linux", idents=False)
    register(house, 0)
    call = answered(house)
    for after in (0, *LADDER_2XX):
        call.ack(3.03 + after, via_port=5080, lan_port=5080)
    call.dropped(3)
    house.wan = sorted(house.wan)[:1]
    return _behind(house, 30)


@case("cap008-near-miss-first-copies-lost", [("TXN001", "network", "observed")],
      ["CAP008", *DLG, *ALG], outcomes=["unanswered"])  # fmt: skip
def _() -> House:
    """The router loses the first copy of an INVITE whose IP ID is 0: its retransmission is the
    first on the WAN side, and the clocks agree all the same."""
    house = House(idents=False)
    call = Outgoing(house, "silent@phone")
    for after in (0, *LADDER_INVITE):
        call.invite(1 + after, wan=after > 0)
    register(house, 34)
    return house


# ---- CAP009: sides ----


def _exchanged(house: House) -> House:
    house.lan, house.wan = house.wan, house.lan
    return house


@case("cap009-exchanged", [SIDES, SHAPED], [*DLG, "TXN001", "CAP008", "CAP010"],
      outcomes=["completed", "completed"])  # fmt: skip
def _() -> House:
    """The LAN capture given as WAN and the other way round."""
    return _exchanged(_calls())


@case("cap009-exchanged-swallowed", [SIDES, ("TXN001", "router", "observed")],
      [*DLG, "CAP008", "CAP010"], outcomes=["completed", "unanswered"])  # fmt: skip
def _() -> House:
    """Exchanged, and the router swallows an INVITE: that one is on the side named WAN only, which
    would look like a scanner."""
    house = House()
    register(house, 0)
    call = Outgoing(house, "silent@phone")
    for after in (0, *LADDER_INVITE):
        call.invite(1 + after, wan=False)
    outgoing_call(house, 36, "later@phone")
    return _exchanged(house)


@case("cap009-exchanged-and-an-hour", [SIDES, CLOCKS, SHAPED], [*DLG, "TXN001", "CAP010"],
      outcomes=["completed", "completed"])  # fmt: skip
def _() -> House:
    """Exchanged, and the clocks an hour apart."""
    return _exchanged(_behind(_calls(), 3600))


def _routed() -> House:
    """A router without NAT between public addresses."""
    house = House(phone="198.51.100.20", wan="198.51.100.20")
    incoming_call(house, 1, "in@provider")
    outgoing_call(house, 10, "out@phone")
    return house


@case("cap009-near-miss-no-nat", must_not=[*QUALITY, *DLG, *ALG],
      outcomes=["completed", "completed"])  # fmt: skip
def _() -> House:
    """A router without NAT between public addresses, its sides named right."""
    return _routed()


@case("cap009-exchanged-no-nat", [SIDES], [*DLG, "CAP010"], outcomes=["completed", "completed"])
def _() -> House:
    """The same exchanged: no address tells which host is in the LAN, but what enters the side that
    was named WAN has the TTL with which hosts begin, and what enters the other one has not."""
    return _exchanged(_routed())


def _ipv6(packets: list[Packet], near_ttl: int, far_ttl: int) -> list[Packet]:
    """The packets of a routed house over IPv6. The TTLs: with which each end begins, here or
    further on."""
    made = []
    phone, far = "2001:db8:1::20", "2001:db8:ffff::5"
    for at, data in packets:
        out, crossed = data[26:30] == bytes([198, 51, 100, 20]), data[22] in (63, 59)
        payload = data[42:]
        for old, new in ((b"198.51.100.20", phone), (b"203.0.113.5", far)):
            payload = payload.replace(b"IN IP4 " + old, b"IN IP6 " + new.encode())
            payload = payload.replace(b"received=" + old, b"received=" + new.encode())
            payload = payload.replace(old, b"[" + new.encode() + b"]")
        ttl = (near_ttl if out else far_ttl) - crossed
        ends = (phone, 5060, far, 5060) if out else (far, 5060, phone, 5060)
        made.append((at, frame(sized(payload), *ends, ttl)))
    return made


def _over_ipv6(far_ttl: int = 57, dead: bool = False) -> House:
    house = House(phone="198.51.100.20", wan="198.51.100.20")
    register(house, 0)
    if dead:
        call = answered(house)
        call.dropped(3)
    register(house, 60, n=2)
    house.lan, house.wan = (_ipv6(some, 64, far_ttl) for some in (house.lan, house.wan))
    return house


@case("cap009-exchanged-ipv6", [SIDES, ("DLG001", "network", "observed")],
      ["DLG002", "CAP010"], outcomes=["dropped"])  # fmt: skip
def _() -> House:
    """Exchanged over IPv6, and no ACK comes to a call: not the phone is at fault, which the
    exchanged sides would show as the caller that never sent one."""
    return _exchanged(_over_ipv6(dead=True))


@case("cap009-exchanged-ipv6-tagged", [SIDES, ("DLG001", "network", "observed")],
      ["DLG002", "CAP010"], outcomes=["dropped"])  # fmt: skip
def _() -> House:
    """The same where one capture has a VLAN tag in every frame: it is as good a witness."""
    house = _exchanged(_over_ipv6(dead=True))
    house.lan[:] = [(at, data[:12] + b"\x81\x00\x00\x07" + data[12:]) for at, data in house.lan]
    return house


@case("cap009-exchanged-ipv6-at-the-provider", [SIDES], [*DLG, "CAP010"], outcomes=[])
def _() -> House:
    """Both ends are next to the router, so their distance tells nothing: the one that registers is
    in the LAN."""
    return _exchanged(_over_ipv6(far_ttl=64))


@case("cap009-near-miss-phone-outside", must_not=[*QUALITY, *DLG, *ALG], outcomes=[])
def _() -> House:
    """A phone outside registers over IPv6 at a PBX in the LAN. Its packets have come from afar, so
    that it registers does not make it one of the LAN."""
    house = _exchanged(_over_ipv6())
    for some in (house.lan, house.wan):
        some[:] = [(at, _with_ttl(data)) for at, data in some]
    return house


def _with_ttl(data: bytes) -> bytes:
    """The TTLs of both ends exchanged: the one that registers is far."""
    return data[:21] + bytes([{64: 57, 63: 56, 57: 64, 56: 63}[data[21]]]) + data[22:]


@case("cap009-near-miss-ttl-set", [SHAPED], [*QUALITY, *DLG], outcomes=["completed", "completed"])
def _() -> House:
    """A router that sends everything to the WAN with a TTL of 65: the copies of the phone's
    messages seem to have entered from there."""
    house = _calls()
    house.wan = [(at, data[:22] + b"\x41" + data[23:] if data[26:30] == bytes([198, 51, 100, 2])
                  else data) for at, data in house.wan]  # fmt: skip
    return house


# ---- CAP010: two captures that are no two sides ----


@case("cap010-one-capture-twice", [NOT_TWO, ("CAP001", "unknown", "none")],
      [*DLG, *ALG, "TXN001", "CAP007", "CAP008", "CAP009"],
      outcomes=["completed", "completed"], state="cannot-tell")  # fmt: skip
def _() -> House:
    """The LAN capture given as LAN and as WAN: one side, captured once."""
    house = _calls()
    house.wan = list(house.lan)
    return house


@case("cap010-both-sides-twice", [NOT_TWO, SHAPED], [*DLG, "TXN001", "CAP001", "CAP008", "CAP009"],
      outcomes=["completed", "completed"], state="cannot-tell")  # fmt: skip
def _() -> House:
    """A capture that holds both sides given as LAN, and the WAN side of it given as WAN: the
    first alone tells everything."""
    house = _calls()
    house.lan = sorted(house.lan + house.wan)
    return house


def _next_door() -> House:
    """Another phone behind another router, with the same provider."""
    return House(phone="192.168.7.30", wan="198.51.100.99", idents=False)


@case("cap010-two-routers", [NOT_TWO, ("DLG001", "unknown", "observed")],
      ["DLG002", "DLG004", *ALG, "TXN001", "CAP001", "CAP008", "CAP009"],
      outcomes=["completed", "dropped"])  # fmt: skip
def _() -> House:
    """The LAN side of one router and the WAN side of another, at the same time. A call is dropped
    on the one; the other did nothing to it."""
    house, other = House(), _next_door()
    outgoing_call(house, 1, "one@phone")
    register(house, 20)
    register(other, 0, n=5)
    call = Incoming(other, "two@provider", contact=f"<sip:100@{other.public}>")
    call.invite(2)
    call.ok(3)
    call.dropped(3)
    house.wan = other.wan
    return house


@case("cap010-two-days", [NOT_TWO, ("TXN001", "unknown", "observed")],
      [*DLG, *ALG, "CAP001", "CAP008", "CAP009"],
      outcomes=["completed", "unanswered"])  # fmt: skip
def _() -> House:
    """The WAN side of Monday and the LAN side of Tuesday, of one router: nothing overlaps, and an
    INVITE that nobody answered was not swallowed by that router."""
    house, before = House(), House()
    register(before, -86000, n=8)
    outgoing_call(before, -85990, "monday@phone")
    register(house, 0)
    call = Outgoing(house, "tuesday@phone")
    for after in (0, *LADDER_INVITE):
        call.invite(1 + after)
    register(house, 36, n=2)
    house.wan = before.wan
    return house


def _still_there(house: House, at: float) -> None:
    """The phone sends something else, so the LAN capture lasts longer than Timer B."""
    asked = request("OPTIONS", "sip:203.0.113.5", via="192.168.1.10:5060", branch="z9hG4bKping",
                    call_id="ping@phone", cseq=1)  # fmt: skip
    house.out(at, asked, wan=False)


def _scans(count: int, answered: bool = False) -> list[Packet]:
    """A scanner outside. answered: by the router itself."""
    packets = []
    for n in range(count):
        asked = request(
            "REGISTER" if n % 2 else "OPTIONS", "sip:100@198.51.100.2", via="192.0.2.66:5071",
            branch=f"z9hG4bKscan{n}", call_id=f"scan{n}", cseq=1,
            caller=f"<sip:{n}@198.51.100.2>;tag=s{n}", callee=f"<sip:{n}@198.51.100.2>",
        )  # fmt: skip
        house = House(phone="198.51.100.2")
        house.into(0.3 * n, asked, src="192.0.2.66", sport=5071, ttl=52)
        if answered:
            said = asked.replace(asked.split(b"\r\n", 1)[0], b"SIP/2.0 200 OK", 1)
            house.out(0.3 * n + 0.01, said, dst="192.0.2.66", dport=5071)
        packets += house.wan
    return _by_the_router(packets)


def _by_the_router(packets: list[Packet]) -> list[Packet]:
    """A message that the router sends itself has its first TTL."""
    own = bytes([198, 51, 100, 2])
    return [(at, data[:22] + b"\x40" + data[23:] if data[26:30] == own else data)
            for at, data in packets]  # fmt: skip


@case("cap010-near-miss-scanners-outside", must_not=[*QUALITY, *DLG, *ALG, "TXN001"],
      outcomes=["completed", "completed"], state="cannot-tell")  # fmt: skip
def _() -> House:
    """Calls inside the LAN, and scanners that the router answers outside: nothing had to cross,
    and nothing is missing."""
    house = House(provider="192.168.1.20")
    outgoing_call(house, 1, "inside@phone")
    incoming_call(house, 8, "inside@other")
    house.wan = _scans(40, answered=True)
    return house


@case("cap010-near-miss-one-call-among-scanners", must_not=[*QUALITY, *DLG, *ALG],
      outcomes=["completed"])  # fmt: skip
def _() -> House:
    """Hundreds of messages of scanners, and one call that is on both sides."""
    house = House()
    outgoing_call(house, 1, "one@phone")
    house.wan = sorted(house.wan + _scans(400))
    return house


@case("cap010-near-miss-swallows-all", [("TXN001", "unknown", "observed")],
      [*QUALITY, *DLG, *ALG], outcomes=["unanswered"])  # fmt: skip
def _() -> House:
    """A router that swallows all that its phone sends, while scanners try the WAN: the two captures
    share nothing, and are the two sides of it."""
    house = House()
    call = Outgoing(house, "silent@phone")
    for after in (0, *LADDER_INVITE):
        call.invite(1 + after, wan=False)
    _still_there(house, 40)
    house.wan = _scans(150, answered=True)
    return house


@case("cap010-near-miss-own-line-and-swallowed", [("TXN001", "unknown", "observed")],
      [*QUALITY, *DLG, *ALG], outcomes=["unanswered", "completed"])  # fmt: skip
def _() -> House:
    """The same router has a line of its own, which works: its TTL says that nothing of it ever
    was in the LAN."""
    house = House()
    call = Outgoing(house, "silent@phone")
    for after in (0, *LADDER_INVITE):
        call.invite(1 + after, wan=False)
    _still_there(house, 40)
    own = House(phone="198.51.100.2")
    register(own, 0, n=7)
    incoming_call(own, 3, "to@router")
    register(own, 40, n=8)
    house.wan = _by_the_router(own.wan)
    return house


@case("cap010-near-miss-pbx-on-the-router", must_not=[*QUALITY, *DLG, *ALG, "TXN001"],
      outcomes=["completed", "completed"], state="cannot-tell")  # fmt: skip
def _() -> House:
    """The phone talks to a PBX on the router, which calls the provider: two calls with nothing
    in common, and both sides of one router."""
    house = House(provider="192.168.1.1")
    register(house, 0)
    outgoing_call(house, 1, "inside@phone")
    pbx = House(phone="198.51.100.2")
    register(pbx, 0.2)
    outgoing_call(pbx, 1.1, "outside@pbx")
    house.wan = _by_the_router(pbx.wan)
    return house


def _proxied(message: bytes) -> bytes:
    return message.replace(b"branch=z9hG4bK", b"branch=z9hG4bKproxy-")


@case("cap010-near-miss-proxy-on-the-router", must_not=[*QUALITY, *DLG, *ALG, "TXN001"],
      outcomes=["completed"], state="cannot-tell")  # fmt: skip
def _() -> House:
    """A proxy on the router: the same calls on both sides, with other branches and between other
    hosts."""
    house = House(provider="192.168.1.1")
    outgoing_call(house, 1, "one@phone")
    outside = House(phone="198.51.100.2")
    change: Rewriter = _proxied
    outside.out_alg = change
    outgoing_call(outside, 1.002, "one@phone")
    house.wan = _by_the_router(outside.wan)
    return house


@case("cap010-near-miss-too-little", must_not=[*QUALITY, *DLG, *ALG, "TXN001"],
      outcomes=["completed"], state="cannot-tell")  # fmt: skip
def _() -> House:
    """The WAN capture began late and holds one registration of the router itself."""
    house = House()
    outgoing_call(house, 1, "one@phone")
    packet = frame(
        request("OPTIONS", "sip:203.0.113.5", via="198.51.100.2:5060", branch="z9hG4bKo", cseq=1,
                call_id="ping@router"),
        "198.51.100.2", 5060, "203.0.113.5", 5060,
    )  # fmt: skip
    house.wan = [(house.lan[0][0], packet)]
    return house
