"""The golden captures: one function a behaviour, and the verdict that the specification demands.

The verdict (`must`, `must_not`, `advice`) is written by hand from the diagnosis catalogue and the
harm taxonomy. What the program prints is recorded beside it (expected.json), and never the other
way round: a case whose verdict does not hold cannot be accepted.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence

from craft import (
    LADDER_2XX,
    LADDER_INVITE,
    House,
    Incoming,
    Outgoing,
    Packet,
    far_gives_up,
    incoming_call,
    linux_in,
    linux_out,
    outgoing_call,
    register,
    request,
    sdp,
)

Must = tuple[str, str, str]  # rule, where, harm


class Case:
    """name: its folder. purpose: one paragraph, the function's docstring. must: findings that
    have to be there; must_not: rules that have to be silent; advice: action to state, and
    nothing else may be advised; outcomes: of the calls, in order of Call-ID."""

    def __init__(self, name: str, make: Callable[[], House], must: Sequence[Must],
                 must_not: Sequence[str], advice: dict[str, str], outcomes: Sequence[str],
                 one_file: str) -> None:  # fmt: skip
        self.name = name
        self.purpose = " ".join((make.__doc__ or "").split())
        self.make = make
        self.must = list(must)
        self.must_not = list(must_not)
        self.advice = advice
        self.outcomes = list(outcomes)
        self.one_file = one_file

    def files(self) -> dict[str, list[Packet]]:
        lan, wan = self.make().sorted()
        if self.one_file:
            return {"capture.pcap": lan if self.one_file == "lan" else wan}
        return {"lan.pcap": lan, "wan.pcap": wan}

    def arguments(self, folder: str) -> list[str]:
        if self.one_file:
            return [f"{folder}/capture.pcap"]
        return ["--lan", f"{folder}/lan.pcap", "--wan", f"{folder}/wan.pcap"]


CASES: dict[str, Case] = {}

DLG = ("DLG001", "DLG002", "DLG004")
ALG = ("ALG001", "ALG002", "ALG006", "ALG010", "ALG011", "ALG014", "ALG015")
PHONE_OR_PROVIDER = {
    "enable-rport-stun-outbound": "recommended",
    "provider-fix-contact": "recommended",
}


def case(name: str, must: Sequence[Must] = (), must_not: Sequence[str] = (),
         advice: dict[str, str] | None = None, outcomes: Sequence[str] = ("completed",),
         one_file: str = "") -> Callable[[Callable[[], House]], Callable[[], House]]:  # fmt: skip
    def add(make: Callable[[], House]) -> Callable[[], House]:
        CASES[name] = Case(name, make, must, must_not, advice or {}, outcomes, one_file)
        return make

    return add


# ---- CAP: can the capture be trusted? ----


@case("cap001-one-sided", [("CAP001", "unknown", "none")], [*DLG, *ALG, "CAP005", "CAP007"],
      one_file="lan")  # fmt: skip
def _() -> House:
    """The LAN side alone of a call that the kernel's ALG rewrote. Nothing about the router can be
    said, and that is said."""
    house = House("linux")
    outgoing_call(house, 1, "one@phone")
    return house


@case("cap001-near-miss-both-sides", must_not=["CAP001", *DLG, *ALG])
def _() -> House:
    """The same call without an ALG, both sides: nothing to say."""
    house = House()
    outgoing_call(house, 1, "one@phone")
    return house


@case("cap005-starts-and-ends-inside", [("CAP005", "unknown", "none")],
      [*DLG, "TXN001", "ALG011"], outcomes=["unknown", "ongoing"])  # fmt: skip
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


# ---- TXN ----


def _unanswered(house: House, **how: object) -> House:
    call = Outgoing(house, "silent@phone")
    for after in (0, *LADDER_INVITE):
        call.invite(1 + after, **how)
    outgoing_call(house, 36, "later@phone")  # so that Timer B passes inside the capture
    return house


@case("txn001-lost-in-the-router", [("TXN001", "router", "observed")], DLG,
      outcomes=["completed", "unanswered"])  # fmt: skip
def _() -> House:
    """The INVITE and its six retransmissions are on the LAN and never on the WAN side."""
    return _unanswered(House(), wan=False)


@case("txn001-lost-beyond", [("TXN001", "network", "observed")], DLG,
      outcomes=["completed", "unanswered"])  # fmt: skip
def _() -> House:
    """The INVITE leaves the router seven times, and nobody answers."""
    return _unanswered(House())


@case("txn001-near-miss-provisional", must_not=["TXN001", *DLG], outcomes=["completed", "ongoing"])
def _() -> House:
    """The last INVITE but one is answered with 180 (a provisional response ends Timer B), and
    then it rings for long."""
    house = House()
    call = Outgoing(house, "slow@phone")
    for after in (0, *LADDER_INVITE[:-1]):
        call.invite(1 + after)
    call.respond(1 + 15.6, 180)
    outgoing_call(house, 36, "later@phone")
    return house


@case("txn001-near-miss-scanner", must_not=["TXN001", "CAP005", *DLG, *ALG],
      outcomes=["unanswered", "completed"])  # fmt: skip
def _() -> House:
    """A scanner knocks on WAN port 5060 seven times. There is no mapping for it: unsolicited,
    and nobody's fault."""
    house = House()
    knock = Incoming(house, "knock@scanner", src="192.0.2.66")
    for after in (0, *LADDER_INVITE):
        knock.invite(1 + after, lan=False)
    outgoing_call(house, 36, "later@phone")
    return house


# ---- DLG001, one folder a localisation ----


def _answered(
    house: House, call_id: str = "drop@provider", at: float = 1, **how: object
) -> Incoming:
    call = Incoming(house, call_id, **how)  # type: ignore[arg-type]
    call.invite(at)
    call.ringing(at + 0.2)
    call.ok(at + 2)
    return call


@case("dlg001-never-on-wan", [("DLG001", "network", "observed")],
      ["DLG002", "DLG004", *ALG], outcomes=["dropped"])  # fmt: skip
def _() -> House:
    """Phone with a public Contact (STUN); no ACK ever reaches the WAN side."""
    house = House()
    _answered(house, contact=f"<sip:100@{house.public}>").dropped(3)
    return house


@case("dlg001-stopped-inbound", [("DLG001", "router", "observed")],
      ["DLG002", "DLG004", *ALG], outcomes=["dropped"])  # fmt: skip
def _() -> House:
    """The ACK comes to the WAN side after every 2xx, from the host that sent the INVITE, and
    never leaves to the LAN."""
    house = House()
    call = _answered(house, contact=f"<sip:100@{house.public}>")
    for after in (0, *LADDER_2XX):
        call.ack(3.03 + after, lan=False)
    call.dropped(3)
    return house


@case("dlg001-delivered-and-ignored", [("DLG001", "phone", "observed")],
      ["DLG002", "DLG004", *ALG], outcomes=["dropped"])  # fmt: skip
def _() -> House:
    """Every ACK is delivered to the phone's own port, and it goes on with its 2xx."""
    house = House()
    call = _answered(house, contact=f"<sip:100@{house.public}>")
    for after in (0, *LADDER_2XX):
        call.ack(3.03 + after)
    call.dropped(3)
    return house


@case("dlg001-not-sent", [("DLG001", "phone", "observed")], ["DLG002", "DLG004", *ALG],
      outcomes=["dropped"])  # fmt: skip
def _() -> House:
    """The phone gets the 2xx eleven times and never sends an ACK."""
    house = House()
    far_gives_up(house, 1, "mute@phone")
    return house


@case("dlg001-stopped-outbound", [("DLG001", "router", "observed")], ["DLG002", "DLG004", *ALG],
      outcomes=["dropped"])  # fmt: skip
def _() -> House:
    """The phone sends its ACK to every 2xx; none leaves the router."""
    house = House()
    far_gives_up(house, 1, "kept@phone", acks=True)
    return house


@case("dlg001-beyond", [("DLG001", "network", "observed")], ["DLG002", "DLG004", *ALG],
      outcomes=["dropped"])  # fmt: skip
def _() -> House:
    """The ACK leaves the router after every 2xx, and the 2xx still comes."""
    house = House()
    far_gives_up(house, 1, "lost@phone", acks=True, leave=True)
    return house


@case("dlg001-answer-stopped", [("DLG001", "router", "observed")], ["DLG002", "DLG004", *ALG],
      outcomes=["dropped"])  # fmt: skip
def _() -> House:
    """The 2xx itself comes to the WAN side eleven times and never to the LAN: no ACK can be."""
    house = House()
    far_gives_up(house, 1, "unheard@phone", answered=False)
    return house


@case("dlg001-predicted", [("DLG001", "network", "latent")], ["DLG002", "DLG004", *ALG],
      outcomes=["ongoing"])  # fmt: skip
def _() -> House:
    """The capture ends 12 s after the answer, with five 2xx and no ACK: said before it happens,
    with the seconds that are left."""
    house = House()
    call = _answered(house, contact=f"<sip:100@{house.public}>")
    for after in LADDER_2XX[:5]:
        call.ok(3 + after)
    incoming_call(House(), 0, "unused")
    return house


@case("dlg001-near-miss-slow-ack", must_not=[*DLG, *ALG, "CAP005"])
def _() -> House:
    """The ACK takes 1.8 s: two retransmissions of the 2xx, then it arrives and the call lives."""
    house = House()
    call = _answered(house, contact=f"<sip:100@{house.public}>")
    call.ok(3.5)
    call.ok(4.5)
    for at in (4.8, 5.3, 6.3):
        call.ack(at)
    call.bye(20)
    return house


@case("dlg001-near-miss-capture-ends", [("CAP005", "unknown", "none")], [*DLG, *ALG],
      outcomes=["ongoing"])  # fmt: skip
def _() -> House:
    """The capture ends one retransmission after the 2xx: too early to call the ACK missing."""
    house = House()
    call = _answered(house, contact=f"<sip:100@{house.public}>")
    call.ok(3.5)
    return house


@case("dlg001-near-miss-one-ack-lost", must_not=[*DLG, *ALG])
def _() -> House:
    """The first ACK is lost on the WAN side's way in; the repeated 2xx gets another one."""
    house = House()
    call = _answered(house, contact=f"<sip:100@{house.public}>")
    call.ack(3.05, lan=False)
    call.ok(3.5)
    call.ack(3.55)
    call.bye(20)
    return house


@case("dlg001-near-miss-three-acks-lost", must_not=[*DLG, *ALG])
def _() -> House:
    """Three ACKs of the phone are lost beyond the router and the fourth arrives: the 2xx stops
    after 3.5 s, and the call lives for a minute."""
    house = House()
    call = Outgoing(house, "lossy@phone")
    call.invite(1)
    call.respond(1.2, 180)
    for after in (0, *LADDER_2XX[:3]):
        call.ok(3 + after)
        call.ack(3.02 + after)
    call.bye(63)
    return house


@case("dlg001-near-miss-ack-by-another-way", must_not=[*DLG, *ALG])
def _() -> House:
    """No ACK is in the capture (it took another way), but the 2xx stops after 1.5 s and the call
    is ended by its caller ten minutes later: it was not dropped."""
    house = House()
    call = _answered(house, contact=f"<sip:100@{house.public}>")
    call.ok(3.5)
    call.ok(4.5)
    call.bye(603)
    return house


# ---- DLG002, DLG004 ----


@case("dlg002-private-contact",
      [("DLG002", "phone", "observed"), ("DLG001", "network", "observed")],
      ["DLG004", *ALG], PHONE_OR_PROVIDER, ["dropped"])  # fmt: skip
def _() -> House:
    """No ALG, the phone writes its private address into the Contact of its 2xx, and the provider
    sends the ACK there: it never arrives. Turning an ALG off would not help."""
    house = House()
    register(house, 0)
    _answered(house).dropped(3)
    return house


@case("dlg002-helper-leaves-other-port",
      [("DLG002", "phone", "observed"), ("DLG001", "network", "observed"),
       ("ALG010", "router", "latent")],
      ["DLG004", "ALG014", "ALG015"], PHONE_OR_PROVIDER, ["dropped"])  # fmt: skip
def _() -> House:
    """The kernel's ALG is on, and the Contact names another port than the phone sends from, so it
    stays private (reference 1.3). The router left it as it was: it is not the cause, and nothing
    shows that the call would live without the ALG (scenarios 5a and 5b)."""
    house = House("linux")
    register(house, 0)
    _answered(house, contact=f"<sip:100@{house.phone}:5070>").dropped(3)
    return house


@case("dlg002-near-miss-provider-handles-nat", must_not=[*DLG, *ALG])
def _() -> House:
    """The same private Contact with a provider that sends to where the 2xx came from."""
    house = House()
    register(house, 0)
    call = _answered(house, fixed_contact=f"sip:100@{house.public}")
    call.ack(3.05)
    call.bye(9)
    return house


FAR = "192.0.2.77"


def _by_proxy(house: House, record_route: bool) -> Incoming:
    """The INVITE comes by way of the provider's proxy from the caller's own host FAR."""
    proxy = house.provider
    more = [f"Via: SIP/2.0/UDP {FAR}:5060;branch=z9hG4bKfar"]
    if record_route:
        more.append(f"Record-Route: <sip:{proxy};lr>")
    call = Incoming(house, "proxied@far", contact=f"<sip:100@{house.public}>", more=more)
    call.far = f"<sip:200@{FAR}:5060>"
    call.invite(1)
    call.ringing(1.2)
    call.ok(3)
    return call


@case("dlg004-missing-record-route",
      [("DLG004", "provider", "observed"), ("DLG001", "provider", "observed")],
      ["DLG002", *ALG], {"provider-add-record-route": "recommended"}, ["dropped"])  # fmt: skip
def _() -> House:
    """The INVITE came by way of a proxy without Record-Route; the ACK comes straight from the
    caller's host, for which the router has no mapping, and is dropped."""
    house = House()
    call = _by_proxy(house, record_route=False)
    for after in (0, *LADDER_2XX):
        call.ack(3.05 + after, src=FAR, lan=False)
    call.dropped(3)
    return house


@case("dlg004-with-helper",
      [("DLG004", "provider", "observed"), ("DLG001", "provider", "observed")],
      ["DLG002", "ALG011", "ALG014"], {"provider-add-record-route": "recommended"},
      ["dropped"])  # fmt: skip
def _() -> House:
    """The same with the kernel's ALG on: it is on the way too, and not the cause."""
    house = House("linux")
    register(house, 0)
    call = Incoming(house, "proxied@far", more=[f"Via: SIP/2.0/UDP {FAR}:5060;branch=z9hG4bKfar"])
    call.invite(1)
    call.ok(3)
    for after in (0, *LADDER_2XX):
        call.ack(3.05 + after, src=FAR, lan=False)
    call.dropped(3)
    return house


@case("dlg004-near-miss-recorded", [("DLG001", "router", "observed")], ["DLG004", "DLG002", *ALG],
      outcomes=["dropped"])  # fmt: skip
def _() -> House:
    """The proxy did record itself and the ACK comes through it; it still does not reach the LAN.
    That is the router's doing."""
    house = House()
    call = _by_proxy(house, record_route=True)
    for after in (0, *LADDER_2XX):
        call.ack(3.05 + after, lan=False, more=[f"Via: SIP/2.0/UDP {FAR}:5060;branch=z9hG4bKa"])
    call.dropped(3)
    return house


@case("dlg004-near-miss-direct-and-delivered", must_not=[*DLG, *ALG])
def _() -> House:
    """The ACK comes straight from the caller's host, and the router lets it in: the call lives."""
    house = House()
    call = _by_proxy(house, record_route=False)
    call.ack(3.05, src=FAR)
    call.bye(9)
    return house


# ---- ALG001, ALG002, ALG006, ALG010 ----


@case("alg001-contact", [("ALG001", "router", "none")], [*DLG, "ALG002", "ALG006", "ALG011"])
def _() -> House:
    """An ALG that rewrites only Contact, and by the mapping."""
    house = House()
    house.out_alg = _only(b"Contact: ", house.out_alg, linux_out(*_four(house)))
    house.in_alg = _only(b"Contact: ", house.in_alg, linux_in(*_four(house)))
    register(house, 0)
    incoming_call(house, 1, "contact@provider", body=sdp(house.wan_ip))
    return house


def _four(house: House) -> tuple[str, int, str, int]:
    return house.phone, house.port, house.wan_ip, house.wan_port


def _only(start: bytes, keep: Callable[[bytes], bytes],
          change: Callable[[bytes], bytes]) -> Callable[[bytes], bytes]:  # fmt: skip
    """An ALG that changes only lines that begin so, without touching the body."""

    def rewrite(message: bytes) -> bytes:
        old, new = keep(message).split(b"\r\n"), change(message).split(b"\r\n")
        assert len(old) == len(new)
        return b"\r\n".join(
            n if o.startswith(start) and i else o
            for i, (o, n) in enumerate(zip(old, new, strict=True))
        )

    return rewrite


@case("alg001-near-miss-domain-contact", [("ALG002", "router", "none")], [*DLG, "ALG001", "ALG011"])
def _() -> House:
    """The Contact is a host name, which the kernel's ALG leaves alone (reference 1.3); Via and
    SDP it rewrites."""
    house = House("linux")
    outgoing_call(house, 1, "name@phone", contact="<sip:100@phone.example.org>",
                  far_contact="<sip:300@203.0.113.5:5060>")  # fmt: skip
    return house


@case("alg002-via", [("ALG002", "router", "none")], [*DLG, "ALG001", "ALG006", "ALG011"])
def _() -> House:
    """An ALG that rewrites only Via, out and back in; the phone itself writes a public Contact
    and SDP (STUN)."""
    house = House()
    house.out_alg = _only(b"Via: ", house.out_alg, linux_out(*_four(house)))
    house.in_alg = _only(b"Via: ", house.in_alg, linux_in(*_four(house)))
    outgoing_call(house, 1, "via@phone", contact=f"<sip:100@{house.public}>",
                  body=sdp(house.wan_ip))  # fmt: skip
    return house


@case("alg002-near-miss-provider-adds-received", must_not=[*DLG, *ALG])
def _() -> House:
    """No ALG. The provider fills received and rport in: the Via of its responses differs from
    the request's, and is the same on both sides of the router."""
    house = House(wan_port=40123)
    register(house, 0)
    outgoing_call(house, 1, "echo@phone", contact=f"<sip:100@{house.public}>",
                  body=sdp(house.wan_ip))  # fmt: skip
    return house


@case("alg006-sdp", [("ALG006", "router", "none")], [*DLG, "ALG001", "ALG002", "ALG011"])
def _() -> House:
    """An SDP-only ALG: c= and o= become the public address, Content-Length follows."""
    house = House()
    whole = linux_out(*_four(house))

    def only_body(message: bytes) -> bytes:
        from craft import sized

        head, _, _ = message.partition(b"\r\n\r\n")
        return sized(head + b"\r\n\r\n" + whole(message).partition(b"\r\n\r\n")[2])

    house.out_alg = only_body
    outgoing_call(house, 1, "body@phone", contact=f"<sip:100@{house.public}>")
    return house


@case("alg006-near-miss-public-sdp", [("ALG001", "router", "none")], [*DLG, "ALG006", "ALG011"])
def _() -> House:
    """The kernel's ALG is on, and the phone writes the public address into its SDP itself."""
    house = House("linux")
    outgoing_call(house, 1, "stun@phone", body=sdp(house.wan_ip))
    return house


@case("alg010-via-without-contact", [("ALG010", "router", "latent"), ("ALG002", "router", "none")],
      [*DLG, "ALG001", "ALG011", "ALG014"])  # fmt: skip
def _() -> House:
    """The Contact names another port than the phone sends from: the kernel rewrites Via and SDP
    and leaves the Contact private. The provider sends to the source anyway and the call lives."""
    house = House("linux")
    private = f"<sip:100@{house.phone}:5070>"
    call = Outgoing(house, "half@phone", contact=private)
    call.invite(1)
    call.respond(1.3, 180)
    call.ok(3)
    call.ack(3.02)
    call.bye(9)
    return house


@case("alg010-near-miss-whole", [("ALG014", "router", "none")], [*DLG, "ALG010", "ALG011"])
def _() -> House:
    """Via, Contact and SDP all rewritten; the private address is left in the Call-ID only, where
    no NAT writes."""
    house = House("linux")
    register(house, 0)
    outgoing_call(house, 1, f"whole@{house.phone}")
    return house


# ---- ALG011: forced destination port, Contact with a wrong port ----


def _forced(call: Incoming, at: float = 3) -> None:
    """The ACKs carry Via :5080, so the kernel sends them to phone:5080 (reference 1.7-B)."""
    for after in (0, *LADDER_2XX):
        call.ack(at + 0.03 + after, via_port=5080, lan_port=5080)
    call.dropped(at)


@case("alg011-forced-port",
      [("ALG011", "router", "observed"), ("DLG001", "router", "observed")],
      ["DLG002", "DLG004", "ALG014", "ALG015"], {"disable-sip-alg": "recommended"},
      ["dropped"])  # fmt: skip
def _() -> House:
    """Scenario 6b: INVITE with Via :5060, ACK with Via :5080. On the WAN it comes to the phone's
    mapping, on the LAN it leaves to port 5080, where nobody is; the 2xx is repeated, the call
    drops after 32 s. The phone asks for rport and the provider fills it in."""
    house = House("linux")
    register(house, 0)
    _forced(_answered(house))
    return house


@case("alg011-forced-port-nothing-known",
      [("ALG011", "router", "observed"), ("DLG001", "router", "observed")],
      ["DLG002", "DLG004", "ALG014", "ALG015"], {"disable-sip-alg": "suspected"},
      ["dropped"])  # fmt: skip
def _() -> House:
    """The same of a phone without rport, of whose provider nothing is known: it is the ALG, and
    whether the call would live without it only a trial can tell."""
    house = House("linux")
    register(house, 0, rport=False)
    _forced(_answered(house, rport=False))
    return house


@case("alg011-near-miss-translated-port", [("ALG014", "router", "none")],
      [*DLG, "ALG010", "ALG011"],
      outcomes=["completed", "completed"])  # fmt: skip
def _() -> House:
    """The NAT gave the phone WAN port 40123: the ports differ between the two copies of every
    message, in headers and payload, and that is the mapping."""
    house = House("linux", wan_port=40123)
    register(house, 0)
    incoming_call(house, 1, "in@provider")
    outgoing_call(house, 12, "out@phone")
    return house


@case("alg011-near-miss-forced-but-answered", [("ALG011", "router", "latent")], DLG)
def _() -> House:
    """The router sends the provider's messages to port 5080, where this phone listens too
    (made for phones that answer on their Via port): the call lives. A wrong port, no harm, and
    no advice."""
    house = House("linux")
    register(house, 0)
    call = _answered(house)
    call.ack(3.05, via_port=5080, lan_port=5080)
    call.phone_bye(9)
    return house


@case("alg011-near-miss-later-ack-right", [("ALG011", "router", "latent")], ["DLG001", "DLG002"])
def _() -> House:
    """The first ACK goes to port 5080, the one to the repeated 2xx to the phone's own port: the
    2xx stops and the call lives for a minute. Nothing was hurt, so nothing is advised."""
    house = House("linux")
    register(house, 0)
    call = _answered(house)
    call.ack(3.03, via_port=5080, lan_port=5080)
    call.ok(3.5)
    call.ack(3.55)
    call.bye(63)
    return house


def _contact_port_kept(house: House) -> None:
    """A vendor's ALG that writes the phone's own port behind the public address."""
    whole = linux_out(*_four(house))
    wrong = re.compile(rb"(?m)^(Contact: .*?):%d" % house.wan_port)
    house.out_alg = lambda message: wrong.sub(rb"\g<1>:%d" % house.port, whole(message))


def _ack_to_contact(house: House, call_id: str, at: float) -> None:
    call = _answered(house, call_id, at)
    for after in (0, *LADDER_2XX):
        call.ack(at + 2.05 + after, lan=False, wan_port=house.port)
    call.dropped(at + 2)


@case("alg011-contact-port",
      [("ALG011", "router", "observed"), ("DLG001", "router", "observed")],
      ["DLG002", "DLG004", "ALG014", "ALG015"], {"disable-sip-alg": "suspected"},
      ["dropped"])  # fmt: skip
def _() -> House:
    """Harm class A2: the mapping is port 40123, and the ALG writes :5060 into the Contact. The
    ACK comes to WAN port 5060, where there is no mapping. Harmful and the router's doing, seen
    once; and a provider that goes where the Contact says may go to the private one without the
    ALG: only suspected."""
    house = House("linux", wan_port=40123)
    _contact_port_kept(house)
    register(house, 0)
    _ack_to_contact(house, "a2@provider", 1)
    return house


@case("alg011-contact-port-twice",
      [("ALG011", "router", "observed"), ("DLG001", "router", "observed")],
      ["DLG002", "DLG004", "ALG014", "ALG015"], {"disable-sip-alg": "suspected"},
      ["dropped", "dropped"])  # fmt: skip
def _() -> House:
    """The same twice, 100 s apart: independent. The provider fills rport in, but both ACKs went
    where the Contact says, so its NAT handling is not proved: still the trial decides."""
    house = House("linux", wan_port=40123)
    _contact_port_kept(house)
    register(house, 0)
    _ack_to_contact(house, "a2-one@provider", 1)
    _ack_to_contact(house, "a2-two@provider", 101)
    return house


@case("alg011-contact-port-works-without",
      [("ALG011", "router", "observed"), ("DLG001", "router", "observed")],
      ["DLG002", "DLG004", "ALG015"], {"disable-sip-alg": "recommended"},
      ["dropped", "dropped", "completed"])  # fmt: skip
def _() -> House:
    """Twice, 100 s apart, after a call of the same phone and provider that lived with nothing
    rewritten and a private Contact: independent, and the counterfactual was seen."""
    house = House(wan_port=40123)
    register(house, 0)
    incoming_call(house, 1, "w@provider", fixed_contact=f"sip:100@{house.public}")
    house.out_alg = linux_out(*_four(house))
    house.in_alg = linux_in(*_four(house))
    _contact_port_kept(house)
    _ack_to_contact(house, "a2-one@provider", 21)
    _ack_to_contact(house, "a2-two@provider", 121)
    return house


# ---- ALG014, ALG015 ----


@case("alg014-benign",
      [("ALG014", "router", "none"), ("ALG001", "router", "none"), ("ALG002", "router", "none"),
       ("ALG006", "router", "none")],
      [*DLG, "ALG010", "ALG011", "ALG015"], outcomes=["completed", "completed"])  # fmt: skip
def _() -> House:
    """Scenario 2: the kernel's ALG, rport, calls both ways, everything put back on the way in."""
    house = House("linux")
    register(house, 0)
    incoming_call(house, 1, "in@provider")
    outgoing_call(house, 12, "out@phone")
    return house


@case("alg014-near-miss-refused", [("ALG001", "router", "none")],
      [*DLG, "ALG014", "ALG015", "ALG011"],
      outcomes=["rejected"])  # fmt: skip
def _() -> House:
    """Consistent rewriting of a call that was refused: nothing shows yet that calls complete."""
    house = House("linux")
    register(house, 0)
    call = Outgoing(house, "busy@phone")
    call.invite(1)
    call.respond(1.2, 486)
    call.nak(1.22)
    return house


@case("alg015-helpful", [("ALG015", "router", "none")], [*DLG, "ALG014", "ALG011"],
      {"keep-sip-alg": "recommended"}, ["completed", "completed"])  # fmt: skip
def _() -> House:
    """Scenario 3: neither the phone (no rport) nor the provider knows about NAT; the calls live
    because of the ALG."""
    house = House("linux")
    register(house, 0, rport=False, expires=3600)
    incoming_call(house, 1, "in@provider", rport=False)
    outgoing_call(house, 12, "out@phone", rport=False)
    return house


@case("alg015-near-miss-provider-handles-nat", [("ALG001", "router", "none")], [*DLG, "ALG015"],
      outcomes=["completed", "completed"])  # fmt: skip
def _() -> House:
    """A phone without rport whose first call lived with nothing rewritten (the ALG was turned on
    afterwards): the provider handles the NAT by itself, nobody needs the ALG."""
    house = House()
    register(house, 0, rport=False)
    incoming_call(house, 1, "before@provider", rport=False, fixed_contact=f"sip:100@{house.public}")
    house.out_alg = linux_out(*_four(house))
    house.in_alg = linux_in(*_four(house))
    register(house, 20, rport=False, n=2)
    incoming_call(house, 21, "with@provider", rport=False)
    return house


# ---- what must never be joined or blamed ----


@case(
    "pairing-two-phones-alike",
    must_not=["CAP005", "CAP007", *DLG, *ALG],
    outcomes=["completed", "completed"],
)
def _() -> House:
    """Two phones call through one router at the same moment with the same tags, CSeq and branch,
    and IP ID 0: only the Call-ID tells them apart."""
    house = House(idents=False)
    other = House(phone="192.168.1.11", wan_port=40001, idents=False)
    for one, call_id, late in ((house, "a@home", 0.0), (other, "b@home", 0.00005)):
        call = Outgoing(one, call_id, contact=f"<sip:100@{one.public}>", body=sdp(one.wan_ip))
        made = request(
            "INVITE", "sip:300@example.net", via="198.51.100.2:5060", branch="z9hG4bKsame",
            call_id=call_id, cseq=1, caller="<sip:100@example.net>;tag=same",
            callee="<sip:300@example.net>", contact=call.contact, body=call.body,
        )  # fmt: skip
        call.invited = made
        call.invite(1 + late)
        call.respond(1.3 + late, 180)
        call.ok(3 + late)
        call.ack(3.02 + late)
        call.bye(9 + late)
    house.lan += other.lan
    house.wan += other.wan
    return house


import cases_cap  # noqa: E402, F401  (more of them)
