# SPDX-License-Identifier: Apache-2.0
"""Golden cases of SIP over TCP whose bytes the router changes."""

from __future__ import annotations

from ipaddress import ip_address

from craft import House, Incoming, Outgoing, outgoing_call, register, tcp_frame

from cases.case import DLG, case

BEGUN = 300  # bytes of the second INVITE that travel in the segment of the first one


class Segments:
    """The messages of a house as segments of one TCP connection, on both sides. seq: the next
    sequence number, by side and direction."""

    def __init__(self, house: House) -> None:
        self.house = house
        self.lan: list[tuple[int, bytes]] = []
        self.wan: list[tuple[int, bytes]] = []
        self.seq = {(side, outward): 1000 for side in ("lan", "wan") for outward in (True, False)}
        self._ident = 0

    def send(self, side: str, at: int, outward: bool, payload: bytes, shift: int = 0,
             advance: bool = True) -> None:  # fmt: skip
        """shift: of the sequence number against the bytes before."""
        house = self.house
        own = (house.phone if side == "lan" else house.wan_ip, house.port)
        ends = (*own, house.provider, 5060) if outward else (house.provider, 5060, *own)
        made = tcp_frame(payload, *ends, self.seq[side, outward] + shift, self._ident)
        ttl = 64 - (outward == (side == "wan"))
        getattr(self, side).append((at, made[:22] + bytes([ttl]) + made[23:]))
        if advance:
            self.seq[side, outward] += len(payload) + shift

    def pair(self, lan: tuple[int, bytes], wan: tuple[int, bytes], outward: bool) -> None:
        """Both copies of one segment."""
        self._ident += 1
        self.send("lan", lan[0], outward, lan[1])
        self.send("wan", wan[0], outward, wan[1])


def _stream(spoils: bool, phone_too: bool = False, again: int = 0, other: bytes = b"") -> House:
    """A registration, a call, an INVITE whose segment holds the beginning of the next one, and a
    registration. The router makes messages longer. spoils: it does not shift what comes next;
    phone_too: the phone itself sends such bytes; again: TCP sends so many bytes of the end of that
    segment again, with the rest of the message; other: the router sends these in place of the
    first of them."""
    house = House("linux", phone="10.0.0.3", wan="198.51.100.197")
    register(house, 0)
    outgoing_call(house, 2, "before@tcp")
    calls = [Outgoing(house, name) for name in ("whole@tcp", "halved@tcp")]
    for call in calls:
        call.invite(20)
    for call in calls if not spoils else ():
        call.respond(20.3, 180)
        call.ok(22)
        call.ack(22.02)
        call.bye(26)
    register(house, 60, n=2)
    made = Segments(house)
    begun: tuple[bytes, bytes] | None = None
    for (at, inside), (then, outside) in zip(house.lan, house.wan, strict=True):
        outward = inside[26:30] == ip_address(house.phone).packed
        one, two = (data[42:].replace(b"SIP/2.0/UDP", b"SIP/2.0/TCP") for data in (inside, outside))
        if one.startswith(b"INVITE") and b"Call-ID: whole@tcp" in one:
            begun = one, two
            continue
        if begun is None:
            made.pair((at, one), (then, two), outward)
            continue
        first, longer = begun
        grew, rest = len(longer) - len(first), one[BEGUN:]
        begun = None
        made.pair((at, first + one[:BEGUN]), (then, longer + one[:BEGUN]), True)
        at, then = at + 40_000_000, then + 40_000_000
        if phone_too:
            made.send("lan", at, True, b"x" * grew + rest, -grew, advance=False)
            made.seq["lan", True] += len(rest)
        elif again:
            made.send("lan", at, True, one[BEGUN - again :], -again)
        else:
            made.send("lan", at, True, rest)
        if again:
            sent = other + one[BEGUN - again + len(other) :]
            made.send("wan", then, True, sent, -again)
        else:
            made.send("wan", then, True, rest, -grew if spoils else 0)
    house.lan, house.wan = made.lan, made.wan
    return house


@case("alg013-stream-spoiled", [("ALG013", "router", "certain")], DLG,
      {"disable-sip-alg": "suspected"}, outcomes=["completed", "unknown", "unknown"])  # fmt: skip
def _() -> House:
    """The helper lengthens an INVITE whose segment holds the beginning of the next one, and sends
    the rest of that one under sequence numbers that it has used."""
    return _stream(spoils=True)


@case("alg013-near-miss-stream-shifted", must_not=["ALG013", "CAP002", *DLG],
      outcomes=["completed"] * 3)  # fmt: skip
def _() -> House:
    """The same segments, and the router shifts the second one by what it has added."""
    return _stream(spoils=False)


@case("alg013-near-miss-stream-sent-again", must_not=["ALG013", "CAP002", *DLG],
      outcomes=["completed"] * 3)  # fmt: skip
def _() -> House:
    """TCP sends the end of the segment again together with the rest, with the same content."""
    return _stream(spoils=False, again=24)


@case("alg013-near-miss-stream-sent-again-changed", must_not=["ALG013", "CAP002", *DLG],
      outcomes=["completed"] * 3)  # fmt: skip
def _() -> House:
    """The same with 100 bytes, of which the router changes some: that is more than it adds to a
    message, so its sequence numbers are not what is wrong."""
    return _stream(spoils=False, again=100, other=b"x" * 5)


@case("alg013-near-miss-the-phones-own-overlap", must_not=["ALG013", *DLG],
      outcomes=["completed", "unknown"], state="cannot-tell")  # fmt: skip
def _() -> House:
    """Somebody in the LAN sends such bytes with the phone's address: they are no work of the
    router."""
    return _stream(spoils=True, phone_too=True)


def _over_tcp(house: House, lost: str = "") -> Segments:
    """The messages of a house over one connection. lost: the capture of the LAN side lost the
    segment with the response to this method."""
    made = Segments(house)
    for (at, inside), (then, outside) in zip(house.lan, house.wan, strict=True):
        outward = inside[26:30] == ip_address(house.phone).packed
        one, two = (data[42:].replace(b"SIP/2.0/UDP", b"SIP/2.0/TCP") for data in (inside, outside))
        made.pair((at, one), (then, two), outward)
        if lost and one.startswith(b"SIP/2.0 200") and lost.encode() in one:
            made.lan.pop()
    return made


def _lost_by_the_capture(lost: str) -> House:
    """Another phone shows that the capture goes on."""
    house, other = House(), House(phone="192.168.1.11", wan_port=40011)
    register(house, 0)
    outgoing_call(house, 1, "lost@tcp")
    register(other, 60)
    made = _over_tcp(house, lost)
    house.lan, house.wan = made.lan + other.lan, made.wan + other.wan
    return house


@case("txn003-response-on-one-side-over-tcp", [("TXN003", "unknown", "none")], DLG,
      outcomes=["completed"], state="cannot-tell")  # fmt: skip
def _() -> House:
    """The LAN capture lost the segment with the 200 to a BYE. The router did not stop it: TCP would
    have sent it again."""
    return _lost_by_the_capture("BYE")


@case("reg001-response-on-one-side-over-tcp", [("REG001", "unknown", "none")], DLG,
      outcomes=["completed"], state="cannot-tell")  # fmt: skip
def _() -> House:
    """The same with the 200 to a REGISTER, the first message of the connection on its way."""
    return _lost_by_the_capture("REGISTER")


@case("txn003-near-miss-both-sides-over-tcp", must_not=["REG001", "TXN003", "CAP002", *DLG])
def _() -> House:
    """The same without a loss."""
    return _lost_by_the_capture("")


@case("cap002-near-miss-keep-alive-first", must_not=["CAP002", "REG001", "TXN003", *DLG])
def _() -> House:
    """The capture begins on a connection that is at rest: the first segment both ways is a
    keep-alive (RFC 5626 section 3.5.1), and a call follows."""
    house = House()
    outgoing_call(house, 1, "after@rest")
    made = Segments(house)
    began = house.lan[0][0]
    for outward in (True, False):
        made.pair((began - 10**9, b"\r\n\r\n"), (began - 10**9 + 1000, b"\r\n\r\n"), outward)
    for (at, inside), (then, outside) in zip(house.lan, house.wan, strict=True):
        outward = inside[26:30] == ip_address(house.phone).packed
        one, two = (data[42:].replace(b"SIP/2.0/UDP", b"SIP/2.0/TCP") for data in (inside, outside))
        made.pair((at, one), (then, two), outward)
    house.lan, house.wan = made.lan, made.wan
    return house


@case("reg006-mapping-of-tcp", [("REG006", "unknown", "observed")], ["REG005", *DLG],
      outcomes=["unanswered"])  # fmt: skip
def _() -> House:
    """An INVITE comes to the WAN side on a TCP connection that was at rest for two minutes, and to
    no phone. A router keeps such connections for hours, so no timeout of UDP is why. TCP does not
    send it again, so somebody has it: nothing shows that the router stopped it."""
    house, other = House(), House(phone="192.168.1.11", wan_port=40011)
    register(house, 0)
    made = _over_tcp(house)
    call = Incoming(House(wan_port=5060), "rest@tcp")
    call.invite(120, lan=False)
    ((at, data),) = call.house.wan
    made.send("wan", at, False, data[42:].replace(b"SIP/2.0/UDP", b"SIP/2.0/TCP"))
    register(other, 200)
    house.lan, house.wan = made.lan + other.lan, made.wan + other.wan
    return house


@case("reg006-lost-by-the-lan-capture-over-tcp", [("REG006", "unknown", "observed")], DLG,
      outcomes=["unanswered"])  # fmt: skip
def _() -> House:
    """The LAN capture lost the segment of an INVITE, and TCP goes on long after it."""
    house = House()
    register(house, 0)
    Incoming(house, "lost@tcp").invite(10)
    register(house, 90, n=2)
    register(house, 150, n=3)
    made = _over_tcp(house)
    house.lan = [one for one in made.lan if not one[1][54:].startswith(b"INVITE")]
    house.wan = made.wan
    return house


@case("reg006-new-connection-over-tcp", [("REG006", "unknown", "observed")], DLG,
      outcomes=["unanswered"])  # fmt: skip
def _() -> House:
    """An INVITE comes on a TCP connection that the provider has opened: without somebody who took
    the connection there would be no data on it, so it was not the NAT that refused it."""
    house = House(wan_port=40010)
    register(house, 0)
    caller = House()
    Incoming(caller, "new@tcp").invite(10, sport=45000, wan_port=5060, lan=False)
    ((at, data),) = caller.wan
    payload = data[42:].replace(b"SIP/2.0/UDP", b"SIP/2.0/TCP")
    register(house, 60, n=2)
    sent = tcp_frame(payload, house.provider, 45000, house.wan_ip, 5060, 1)
    house.wan.append((at, sent[:22] + b"\x3c" + sent[23:]))
    return house


@case("alg007-content-length-over-tcp", [("ALG007", "router", "observed")], DLG,
      {"disable-sip-alg": "suspected"}, ["rejected"])  # fmt: skip
def _() -> House:
    """The router writes a longer address into the SDP and leaves Content-Length as it was: the end
    of the body is read as the beginning of the next message, and the call is refused with 400."""
    house = House("linux", phone="10.0.0.3", wan="198.51.100.197")
    helper = house.out_alg

    def forgets(message: bytes) -> bytes:
        length = message.partition(b"Content-Length: ")[2].partition(b"\r\n")[0]
        head, _, rest = helper(message).partition(b"Content-Length: ")
        return head + b"Content-Length: " + length + b"\r\n" + rest.partition(b"\r\n")[2]

    house.out_alg = forgets
    register(house, 0)
    call = Outgoing(house, "short@tcp")
    call.invite(5)
    call.respond(5.1, 400)
    call.nak(5.12)
    register(house, 60, n=2)
    made = _over_tcp(house)
    house.lan, house.wan = made.lan, made.wan
    return house
