# SPDX-License-Identifier: Apache-2.0
"""Golden cases of NAT: what the network address translation does to a line."""

from __future__ import annotations

from craft import (
    LADDER_2XX,
    LADDER_INVITE,
    LADDER_REQUEST,
    START,
    House,
    Incoming,
    Outgoing,
    answer,
    frame,
    incoming_call,
    outgoing_call,
    register,
    request,
    works_beside,
)

from cases.case import ALG, DLG, case

# ---- NAT005: an address that the router no longer has ----


def _joined(house: House, *others: House) -> House:
    """The packets of all phones are on the same two taps."""
    for other in others:
        house.lan += other.lan
        house.wan += other.wan
    return house


def _neighbour(house: House, wan: str, at: float, n: int, provider: str = "") -> House:
    """Another phone here, which leaves with that WAN address and registers then."""
    other = House(phone="192.168.1.11", wan=wan, wan_port=40011,
                  provider=provider or house.provider)  # fmt: skip
    register(other, at, n=n)
    return other


def _refresh_in_vain(house: House, at: float) -> None:
    """A REGISTER that leaves the router eleven times and is not answered."""
    made = request(
        "REGISTER", "sip:example.net", via=f"{house.phone}:5060", branch="z9hG4bKreg1b",
        call_id=f"reg1@{house.phone}", cseq=2, caller="<sip:100@example.net>;tag=r1",
        contact=house.contact, more=["Expires: 120"],
    )  # fmt: skip
    for after in (0, *LADDER_REQUEST):
        house.out(at + after, made)


@case("nat005-refresh-with-the-old-address",
      [("NAT005", "router", "observed"), ("REG001", "router", "observed")], [*DLG, *ALG],
      {"clear-nat-state": "recommended"}, ["completed"])  # fmt: skip
def _() -> House:
    """The line is dialled anew. The refresh of one phone still leaves with the address that is
    gone and is not answered; the other phone leaves with the new address and is served by the same
    provider."""
    house = House()
    register(house, 1)
    _refresh_in_vain(house, 110)
    later = House(phone="192.168.1.11", wan="198.51.100.9", wan_port=40011)
    outgoing_call(later, 150, "later@phone")
    return _joined(house, _neighbour(house, "198.51.100.2", 0, 11),
                   _neighbour(house, "198.51.100.9", 100, 12), later)  # fmt: skip


@case("nat005-call-with-the-old-address",
      [("NAT005", "router", "observed"), ("TXN001", "router", "observed")], [*DLG, *ALG],
      {"clear-nat-state": "recommended"}, ["unanswered"])  # fmt: skip
def _() -> House:
    """The same, and it is an INVITE that leaves with the address that is gone."""
    house = House()
    register(house, 1)
    call = Outgoing(house, "stale@phone")
    for after in (0, *LADDER_INVITE):
        call.invite(110 + after)
    return _joined(house, _neighbour(house, "198.51.100.2", 0, 11),
                   _neighbour(house, "198.51.100.9", 100, 12),
                   _neighbour(house, "198.51.100.9", 150, 13))  # fmt: skip


@case("nat005-near-miss-two-lines", [("REG001", "network", "observed")], ["NAT005", *DLG, *ALG],
      outcomes=["completed"])  # fmt: skip
def _() -> House:
    """The router has two WAN addresses all the time: the other phone had the second one from the
    beginning, so that the first one is gone is not shown by anything."""
    house = House()
    register(house, 1)
    _refresh_in_vain(house, 110)
    later = House(phone="192.168.1.11", wan="198.51.100.9", wan_port=40011)
    outgoing_call(later, 150, "later@phone")
    return _joined(house, _neighbour(house, "198.51.100.9", 0, 11),
                   _neighbour(house, "198.51.100.9", 100, 12), later)  # fmt: skip


@case("nat005-near-miss-another-provider", [("REG001", "network", "observed")],
      ["NAT005", *DLG, *ALG], outcomes=[])  # fmt: skip
def _() -> House:
    """A router that shares its flows out over two WAN addresses. The provider of one phone is down;
    the other phone has reached a second provider with the second address since: the first address
    may well be there."""
    house = House()
    register(house, 1)
    _refresh_in_vain(house, 110)
    return _joined(house, _neighbour(house, "198.51.100.2", 0, 11),
                   _neighbour(house, "198.51.100.9", 100, 12, provider="203.0.113.80"),
                   _neighbour(house, "198.51.100.9", 150, 13, provider="203.0.113.80"))  # fmt: skip


@case("nat005-not-translated",
      [("NAT005", "router", "observed"), ("REG001", "router", "observed")], [*DLG, *ALG],
      outcomes=["completed"])  # fmt: skip
def _() -> House:
    """The phone was on before the router had its NAT rules, and repeats its REGISTER in a flow that
    nothing translates. Another phone leaves with the WAN address and is served by the same
    provider."""
    house = House(wan="192.168.1.10")
    _refresh_in_vain(house, 10)
    later = House(phone="192.168.1.11", wan_port=40011)
    outgoing_call(later, 50, "later@phone")
    return _joined(house, _neighbour(house, "198.51.100.2", 0, 11), later)


@case("nat005-call-not-translated",
      [("NAT005", "router", "observed"), ("TXN001", "router", "observed")], [*DLG, *ALG],
      outcomes=["unanswered"])  # fmt: skip
def _() -> House:
    """The same, and it is an INVITE."""
    house = House(wan="192.168.1.10")
    call = Outgoing(house, "alone@phone")
    for after in (0, *LADDER_INVITE):
        call.invite(10 + after)
    return _joined(house, _neighbour(house, "198.51.100.2", 0, 11),
                   _neighbour(house, "198.51.100.2", 50, 12))  # fmt: skip


@case("nat005-near-miss-served-untranslated", [("REG001", "network", "observed")],
      ["NAT005", *DLG, *ALG], outcomes=[])  # fmt: skip
def _() -> House:
    """The same phone leaves by a second WAN, where the router in front translates it, and was
    registered before its provider fell silent on that way."""
    house = House(wan="192.168.1.10")
    register(house, 1)
    _refresh_in_vain(house, 110)
    return _joined(house, _neighbour(house, "198.51.100.2", 0, 11),
                   _neighbour(house, "198.51.100.2", 150, 12))  # fmt: skip


@case("nat005-near-miss-translated-further-on", [("REG001", "network", "observed")],
      ["NAT005", *DLG, *ALG], outcomes=[])  # fmt: skip
def _() -> House:
    """A router that translates nobody, as the one in front of it does that: the private address of
    the phone is in its place, and the provider of this phone is down."""
    house = House(wan="192.168.1.10")
    _refresh_in_vain(house, 10)
    other = House(phone="192.168.1.11", wan="192.168.1.11", provider="203.0.113.80")
    register(other, 0, n=11)
    register(other, 60, n=12)
    return _joined(house, other)


@case("nat005-near-miss-flows-moved", must_not=["NAT005", "REG001", *DLG, *ALG], outcomes=[])
def _() -> House:
    """The line is dialled anew, and the flows of both phones move to the new address at once."""
    house = House()
    register(house, 1)
    moved = House(wan="198.51.100.9")
    register(moved, 110, n=2)
    return _joined(house, moved, _neighbour(house, "198.51.100.2", 0, 11),
                   _neighbour(house, "198.51.100.9", 100, 12))  # fmt: skip


# ---- NAT003: another NAT beyond this router ----


def _registered(house: House, at: float, received: str, rport: int) -> None:
    """REGISTER and a 200 that says from where the registrar saw it come."""
    made = request(
        "REGISTER", "sip:example.net", via=f"{house.phone}:{house.port}", branch="z9hG4bKreg1",
        call_id=f"reg1@{house.phone}", cseq=1, caller="<sip:100@example.net>;tag=r1",
        contact=house.contact, more=["Expires: 120"],
    )  # fmt: skip
    seen = house.out(at, made)
    house.into(at + 0.03, answer(200, seen, to_tag="reg", contact=f"{house.contact};expires=120",
                                 received=received, rport=rport))  # fmt: skip


@case("nat003-shared-address", [("NAT003", "network", "none")], [*DLG, *ALG])
def _() -> House:
    """The WAN address is one that the ISP shares (100.64.0.0/10). The provider answers to where
    packets come from: calls complete, and there is nothing to do."""
    house = House(wan="100.64.7.2")
    _registered(house, 0, "198.51.100.77", 41000)
    incoming_call(house, 5, "in@provider", fixed_contact="sip:100@198.51.100.77:41000")
    return house


@case("nat003-public-addresses-twice", [("NAT003", "network", "none")], [*DLG, *ALG])
def _() -> House:
    """Both addresses are public, and the registrar sees another one than this router's: a second
    router with a subnet of its own translates once more."""
    house = House()
    _registered(house, 0, "198.51.100.77", 41000)
    incoming_call(house, 5, "in@provider", fixed_contact="sip:100@198.51.100.77:41000")
    return house


@case("nat003-contact-names-the-shared-address",
      [("NAT003", "network", "observed"), ("DLG001", "network", "observed")], ["DLG002", "ALG011"],
      {"outer-router": "recommended"}, ["dropped"])  # fmt: skip
def _() -> House:
    """The helper writes the router's WAN address into the Contact, as its mapping says; but that
    address is itself translated further on, so the ACK never finds it."""
    house = House("linux", wan="100.64.7.2")
    call = Incoming(house, "drop@provider")
    call.invite(1)
    call.ringing(1.2)
    call.ok(3)
    call.dropped(3)
    return house


@case("nat003-near-miss-voice-network", must_not=["NAT003", *DLG, *ALG])
def _() -> House:
    """The ISP's voice network: WAN address and provider are both private, and nothing lies between
    them."""
    house = House(wan="10.20.7.2", provider="10.20.0.5")
    register(house, 0)
    incoming_call(house, 5, "in@provider")
    return house


@case("nat003-near-miss-load-balancer", must_not=["NAT003", *DLG, *ALG])
def _() -> House:
    """The registrar stands behind a load balancer of its own, whose private address it sees."""
    house = House()
    _registered(house, 0, "10.0.0.9", 35060)
    incoming_call(house, 5, "in@provider", fixed_contact=f"sip:100@{house.public}")
    return house


@case("nat003-near-miss-no-nat-here", must_not=["NAT003", *DLG, *ALG])
def _() -> House:
    """This router does not translate; the one behind it does, and is the only one."""
    house = House(wan="192.168.1.10")
    _registered(house, 0, "198.51.100.77", 41000)
    incoming_call(house, 5, "in@provider", fixed_contact="sip:100@198.51.100.77:41000")
    return house


# ---- NAT002: another port than before, or than was announced ----


def _pbx(wan_port: int = 40123, at: float = 0) -> House:
    """A PBX that is told its public address and registers with it."""
    house = House(wan_port=wan_port)
    made = request(
        "REGISTER", "sip:example.net", via=f"{house.phone}:5060", branch=f"z9hG4bKreg{at:.0f}",
        call_id=f"reg@{house.phone}", cseq=1 + int(at), caller="<sip:100@example.net>;tag=r1",
        contact=ANNOUNCED, more=["Expires: 3600"],
    )  # fmt: skip
    seen = house.out(at, made)
    house.into(at + 0.03, answer(200, seen, to_tag="reg", contact=f"{ANNOUNCED};expires=3600",
                                 received=house.wan_ip, rport=wan_port))  # fmt: skip
    return house


ANNOUNCED = "<sip:100@198.51.100.2:5060>"


def _unheard(house: House, at: float, wan_port: int = 0) -> None:
    """An INVITE that comes to that port seven times and reaches nobody."""
    call = Incoming(house, "silent@provider")
    for after in (0, *LADDER_INVITE):
        call.invite(at + after, lan=False, wan_port=wan_port)


@case("nat002-call-to-the-announced-port",
      [("NAT002", "router", "observed"), ("REG006", "router", "observed"),
       ("TXN001", "router", "observed")], [*DLG, *ALG],
      {"static-nat-for-pbx": "recommended"}, ["completed", "unanswered"])  # fmt: skip
def _() -> House:
    """A PBX announces port 5060 of the public address in its Contact, and without a static mapping
    the NAT has given it 40123. The provider calls the port that was announced."""
    house = _pbx()
    _unheard(house, 10, wan_port=5060)
    outgoing_call(house, 60, "later@phone", contact=ANNOUNCED)
    return house


@case("nat002-ack-to-the-announced-port",
      [("NAT002", "phone", "observed"), ("DLG001", "phone", "observed")],
      ["DLG002", "NAT003", *ALG], {"static-nat-for-pbx": "recommended"}, ["dropped"])  # fmt: skip
def _() -> House:
    """The call comes to where the REGISTER came from, and the ACK to the Contact of the 2xx: port
    5060, which the NAT never gave to the PBX."""
    house = _pbx()
    call = Incoming(house, "drop@provider", contact=ANNOUNCED)
    call.invite(1)
    call.ringing(1.2)
    call.ok(3)
    for after in (0.05, 0.55, 1.55, 3.55, 7.55, 11.55, 15.55, 19.55, 23.55, 27.55, 31.55):
        call.ack(3 + after, lan=False, wan_port=5060)
    call.dropped(3)
    return house


@case("nat002-call-to-the-port-of-before",
      [("NAT002", "router", "observed"), ("REG005", "router", "observed")], [*DLG, *ALG],
      {"static-nat-for-pbx": "recommended", "shorter-refresh-on-phone": "recommended"},
      ["completed", "unanswered"])  # fmt: skip
def _() -> House:
    """The mapping of the PBX is forgotten, and its next call makes another one with another port.
    The provider, which has the binding of before, calls the port of before."""
    house = House(wan_port=40123)
    register(house, 0, expires=3600)
    later = House(wan_port=40999)
    outgoing_call(later, 600, "later@phone")
    _unheard(house, 700)
    register(later, 760, n=9)
    return _joined(house, later)


@case("nat002-router-adds-a-parameter",
      [("NAT002", "phone", "observed"), ("DLG001", "phone", "observed"),
       ("ALG001", "router", "latent")], ["ALG014"],
      {"static-nat-for-pbx": "recommended"}, ["completed", "dropped"])  # fmt: skip
def _() -> House:
    """The phone announces a port that no mapping has, and the router adds ";transport=udp" to that
    Contact: the address in it is what the phone wrote."""
    house = House()
    register(house, 0)
    contact = b"<sip:100@198.51.100.2:5062>"
    house.out_alg = lambda made: made.replace(contact, contact[:-1] + b";transport=udp>")
    call = Incoming(house, "drop@provider", contact=contact.decode())
    call.invite(1)
    call.ringing(1.2)
    call.ok(3)
    for after in (0, *LADDER_2XX):
        call.ack(3.03 + after, lan=False, wan_port=5062)
    call.dropped(3)
    works_beside(house, 60)
    return house


@case("nat002-mapping-made-anew", [("NAT002", "router", "none")], ["REG006", *DLG, *ALG],
      outcomes=["completed"])  # fmt: skip
def _() -> House:
    """The mapping of a phone is made anew with another port, and the phone registers with it at
    once: nothing is lost."""
    house = House(wan_port=40123)
    register(house, 0)
    later = House(wan_port=40999)
    register(later, 600, n=2)
    incoming_call(later, 610, "in@provider", fixed_contact=f"sip:100@{later.public}")
    return _joined(house, later)


@case("nat002-one-mapping-a-destination", [("NAT002", "router", "none")], [*DLG, *ALG],
      outcomes=["completed"])  # fmt: skip
def _() -> House:
    """A symmetric NAT: the same port of a phone leaves to two providers with two ports. Both answer
    to where packets come from."""
    house = House(wan_port=40123)
    register(house, 0)
    other = House(wan_port=40999, provider="203.0.113.80")
    register(other, 1, n=2)
    incoming_call(other, 10, "in@provider", fixed_contact=f"sip:100@{other.public}")
    return _joined(house, other)


@case("nat002-near-miss-static-mapping", must_not=["NAT002", *DLG, *ALG],
      outcomes=["completed", "completed"])  # fmt: skip
def _() -> House:
    """The same PBX with a static mapping: it leaves with the port that it announces."""
    house = _pbx(5060)
    incoming_call(house, 5, "in@provider", contact=ANNOUNCED)
    outgoing_call(house, 20, "out@phone", contact=ANNOUNCED)
    return house


@case("nat002-near-miss-two-phones", must_not=["NAT002", *DLG, *ALG], outcomes=[])
def _() -> House:
    """Two phones send from port 5060: the second gets another WAN port, and keeps it."""
    house = House()
    register(house, 0)
    register(house, 60, n=2)
    return _joined(house, _neighbour(house, house.wan_ip, 1, 11),
                   _neighbour(house, house.wan_ip, 61, 12))  # fmt: skip


@case("nat002-near-miss-another-address", must_not=["NAT002", "NAT005", *DLG, *ALG], outcomes=[])
def _() -> House:
    """The line is dialled anew: with the address the port is another one, too."""
    house = House(wan_port=40123)
    register(house, 0)
    moved = House(wan="198.51.100.9", wan_port=40999)
    register(moved, 60, n=2)
    return _joined(house, moved)


@case("nat002-near-miss-both-bindings", [("NAT002", "router", "none")],
      ["REG006", "TXN001", *DLG, *ALG], outcomes=["completed"], state="cannot-tell")  # fmt: skip
def _() -> House:
    """The registrar has the old binding, too, and sends the call to both ports: the phone rings
    all the same, and nobody waits at the old one."""
    house = House(wan_port=40123)
    register(house, 0)
    later = House(wan_port=40999)
    register(later, 600, n=2)
    call = Incoming(later, "in@provider", fixed_contact=f"sip:100@{later.public}")
    call.invite(610)
    old = call.invited.replace(b"branch=z9hG4bKi-", b"branch=z9hG4bKo-")
    for after in (0, 0.5, 1.5):
        house.into(610.001 + after, old, lan=False)
    call.ringing(610.2)
    call.ok(612)
    call.ack(612.05)
    call.bye(616)
    return _joined(house, later)


# ---- NAT001: a Via without rport ----


def _silent(house: House, rport: bool = False, at: float = 20) -> House:
    """A REGISTER eleven times, which nobody answers."""
    made = request(
        "REGISTER", "sip:example.net", via=f"{house.phone}:5060", branch="z9hG4bKreg9",
        call_id=f"reg9@{house.phone}", cseq=1, rport=rport, caller="<sip:100@example.net>;tag=r1",
        contact=house.contact, more=["Expires: 120"],
    )  # fmt: skip
    for after in (0, *LADDER_REQUEST):
        house.out(at + after, made)
    return house


def _then(house: House, at: float = 70) -> House:
    """Another phone here is served, and time goes on."""
    other = House(phone="192.168.1.11", wan=house.wan_ip, wan_port=40011)
    outgoing_call(other, at, "later@phone")
    return _joined(house, other)


@case(
    "nat001-another-port-and-no-answer",
    [("NAT001", "phone", "latent"), ("REG001", "network", "observed")],
    ["TXN006", *DLG, *ALG],
)
def _() -> House:
    """A phone without rport registers, the NAT has given it port 40123 where Via says 5060, and
    nobody answers."""
    return _then(_silent(House(wan_port=40123)))


@case(
    "nat001-behind-two-nats",
    [("NAT001", "phone", "latent"), ("REG001", "network", "observed")],
    ["TXN006", *DLG, *ALG],
)
def _() -> House:
    """This router keeps port 5060, and its WAN address is private: the port that the NAT beyond it
    gives is not known, and nobody answers."""
    return _then(_silent(House(wan="100.64.7.2")))


@case("nat001-lan-side-alone", [("NAT001", "phone", "latent"), ("REG001", "unknown", "observed")],
      [*DLG, *ALG], one_file="lan")  # fmt: skip
def _() -> House:
    """The same phone, of which the LAN side alone was captured."""
    return _then(_silent(House(wan_port=40123)))


@case("nat001-near-miss-asks-rport", [("REG001", "network", "observed")],
      ["NAT001", *DLG, *ALG])  # fmt: skip
def _() -> House:
    """The same with rport: that nobody answers has another reason."""
    return _then(_silent(House(wan_port=40123), rport=True))


@case("nat001-near-miss-answered-before", [("REG001", "network", "observed")],
      ["NAT001", *DLG, *ALG])  # fmt: skip
def _() -> House:
    """A phone without rport, which the provider has answered on this flow before: it sends to where
    packets come from, and its silence has another reason."""
    house = House(wan_port=40123)
    register(house, 0, rport=False)
    return _then(_silent(house))


@case("nat001-near-miss-works", must_not=["NAT001", "TXN006", *DLG, *ALG],
      outcomes=["completed", "completed"])  # fmt: skip
def _() -> House:
    """A phone without rport, whose provider answers to where packets come from: no news."""
    house = House(wan_port=40123)
    register(house, 0, rport=False)
    outgoing_call(house, 5, "plain@phone", rport=False)
    return _then(house)


@case("nat001-near-miss-port-kept", [("REG001", "network", "observed")],
      ["NAT001", *DLG, *ALG])  # fmt: skip
def _() -> House:
    """The NAT keeps the port that stands in Via: a response would find the phone."""
    return _then(_silent(House()))


# ---- NAT004: a public address that the phone wrote itself ----


def _stun(house: House, at: float) -> None:
    """A binding request from the SIP port, and its response (RFC 8489 section 5)."""
    for tap, src, port in ((house.lan, house.phone, house.port),
                           (house.wan, house.wan_ip, house.wan_port)):  # fmt: skip
        asked = b"\x00\x01\x00\x00\x21\x12\xa4\x42" + b"algwatch0001"
        said = b"\x01\x01\x00\x00\x21\x12\xa4\x42" + b"algwatch0001"
        stamp = (START * 1000 + round(at * 1000)) * 1_000_000
        tap.append((stamp, frame(asked, src, port, "203.0.113.200", 3478)))
        tap.append((stamp + 30_000_000, frame(said, "203.0.113.200", 3478, src, port)))


@case("nat004-stun-agrees", [("NAT004", "phone", "none")], ["NAT002", *DLG, *ALG],
      outcomes=["completed"])  # fmt: skip
def _() -> House:
    """A phone asks a STUN server and announces what it heard; the NAT has the same for the flow to
    the provider."""
    house = House(wan_port=40123)
    _stun(house, 0)
    incoming_call(house, 5, "in@provider", contact="<sip:100@198.51.100.2:40123>")
    return house


@case("nat004-stun-says-another-port", [("NAT004", "phone", "latent")], [*DLG, *ALG],
      outcomes=["completed"])  # fmt: skip
def _() -> House:
    """The NAT has one mapping a destination: the port that STUN named is not that of the flow to
    the provider, which sends to where packets come from."""
    house = House(wan_port=40123)
    asks = House(wan_port=40555)
    _stun(asks, 0)
    incoming_call(house, 5, "in@provider", contact="<sip:100@198.51.100.2:40555>",
                  fixed_contact="sip:100@198.51.100.2:40123")  # fmt: skip
    return _joined(house, asks)


@case("nat004-configured-address-of-before", [("NAT004", "phone", "latent")], [*DLG, *ALG],
      outcomes=["completed"])  # fmt: skip
def _() -> House:
    """A PBX is configured with the address that the line had before."""
    house = House(wan="198.51.100.9")
    incoming_call(house, 5, "in@provider", contact="<sip:100@198.51.100.2:5060>",
                  fixed_contact="sip:100@198.51.100.9:5060")  # fmt: skip
    return house


@case("nat004-near-miss-written-by-the-router", [("ALG014", "router", "none")], ["NAT004", *DLG],
      outcomes=["completed"])  # fmt: skip
def _() -> House:
    """The helper writes the public address; the phone wrote its private one."""
    house = House("linux", wan_port=40123)
    incoming_call(house, 5, "in@provider")
    return house


@case("nat004-near-miss-outer-address", must_not=["NAT004", *DLG, *ALG], outcomes=["completed"])
def _() -> House:
    """Two NATs in a row: the phone announces the outermost address, as STUN said."""
    house = House(wan="100.64.7.2")
    _stun(house, 0)
    incoming_call(house, 5, "in@provider", contact="<sip:100@198.51.100.77:41000>")
    return house


@case("nat004-near-miss-host-name", must_not=["NAT004", *DLG, *ALG], outcomes=["completed"])
def _() -> House:
    """A PBX announces a host name, which is not looked up here."""
    house = House()
    incoming_call(house, 5, "in@provider", contact="<sip:100@pbx.example.org:5060>")
    return house
