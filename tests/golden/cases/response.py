# SPDX-License-Identifier: Apache-2.0
"""Golden cases of TXN006 and ALG016: responses that went to where nobody waits, or that do not
repeat what was asked."""

from __future__ import annotations

from craft import (
    LADDER_2XX,
    LADDER_INVITE,
    LADDER_REQUEST,
    House,
    Outgoing,
    answer,
    incoming_call,
    outgoing_call,
    register,
    request,
    sdp,
    works_beside,
)

from cases.case import DLG, case

VIA = b"Via: SIP/2.0/UDP "


def _asked(house: House, via_port: int = 0, rport: bool = True) -> bytes:
    """A REGISTER that names that port in its Via."""
    return request(
        "REGISTER", "sip:example.net", via=f"{house.phone}:{via_port or house.port}",
        branch="z9hG4bKreg1", call_id=f"reg@{house.phone}", cseq=1, rport=rport,
        caller="<sip:100@example.net>;tag=r1", contact=house.contact, more=["Expires: 120"],
    )  # fmt: skip


def _answered(house: House, seen: bytes, rport: bool = True) -> bytes:
    return answer(200, seen, to_tag="reg", contact=f"{house.contact};expires=120",
                  received=house.wan_ip, rport=house.wan_port if rport else 0)  # fmt: skip


def _in_vain(house: House, made: bytes, at: float = 20, rport: bool = True, **how: int) -> House:
    """A REGISTER eleven times, answered each time. how: of House.into."""
    for after in (0, *LADDER_REQUEST):
        seen = house.out(at + after, made)
        house.into(at + after + 0.03, _answered(house, seen, rport), **how)  # type: ignore[arg-type]
    return house


def _later(house: House, at: float = 70) -> House:
    """Another phone here, so that time goes on."""
    other = House(phone="192.168.1.11", wan=house.wan_ip, wan_port=40011)
    outgoing_call(other, at, "later@phone")
    house.lan += other.lan
    house.wan += other.wan
    return house


@case("txn006-call-answered-at-the-port-in-via",
      [("TXN006", "phone", "observed"), ("DLG001", "phone", "observed")], ["ALG011"],
      {"enable-rport-stun-outbound": "recommended"}, ["dropped", "completed"])  # fmt: skip
def _() -> House:
    """The phone does not ask for rport, and the NAT has given it port 40123. The provider answers
    the INVITE to the port in Via, 5060, where no mapping is: the 2xx never reaches the phone."""
    house = House(wan_port=40123)
    call = Outgoing(house, "deaf@phone", rport=False)
    for after in (0, *LADDER_INVITE):
        call.invite(1 + after)
        if after < 30:
            call.ok(2 + after, lan=False, wan_port=5060)
    house.into(34.2, call.from_far("BYE"), lan=False, wan_port=5060)
    return _later(house)


@case("txn006-listens-at-the-port-in-via", [("TXN006", "phone", "observed")], ["REG001", *DLG],
      {"enable-rport-stun-outbound": "recommended"})  # fmt: skip
def _() -> House:
    """The phone sends from port 49152, names 5060 in its Via and does not ask for rport. The
    provider answers to where the packet came from, which the NAT brings to port 49152: the phone
    waits at 5060 and goes on sending."""
    house = House(port=49152, wan_port=49152)
    return _later(_in_vain(house, _asked(house, 5060, rport=False), rport=False))


@case("txn006-call-unheard-at-the-port-in-via",
      [("TXN006", "phone", "observed"), ("DLG001", "phone", "observed")], ["ALG011"],
      {"enable-rport-stun-outbound": "recommended"}, ["dropped", "completed"])  # fmt: skip
def _() -> House:
    """The same phone calls: the 2xx is delivered to the port that it sends from, and it repeats its
    INVITE until it gives up."""
    house = House(port=49152, wan_port=49152)
    call = Outgoing(house, "deaf@phone", rport=False)
    call.invited = request(
        "INVITE", "sip:300@example.net", via=f"{house.phone}:5060", branch="z9hG4bKinvite-deaf",
        call_id="deaf@phone", cseq=1, rport=False, caller="<sip:100@example.net>;tag=p-deaf-phone",
        callee="<sip:300@example.net>", contact=f"<sip:100@{house.phone}:5060>", body=call.body,
    )  # fmt: skip
    for after in (0, *LADDER_INVITE):
        call.invite(1 + after)
        if after < 30:
            call.ok(2 + after)
    house.into(34.2, call.from_far("BYE"))
    return _later(house)


@case("txn006-via-changed-on-the-way-back",
      [("TXN006", "router", "observed"), ("REG001", "router", "observed"),
       ("ALG002", "router", "latent")], DLG,
      {"disable-sip-alg": "suspected"})  # fmt: skip
def _() -> House:
    """The router leaves the Via of the REGISTER alone and writes its own address into that of the
    response. The phone has to drop a response with a Via that it did not write."""
    house = House()
    house.in_alg = lambda message: message.replace(VIA + b"192.168.1.10", VIA + b"198.51.100.2")
    return _later(_in_vain(house, _asked(house)))


@case("txn006-refusal-via-changed-on-the-way-back",
      [("TXN006", "router", "observed"), ("TXN002", "router", "observed")], ["REG001"],
      {"disable-sip-alg": "suspected"}, ["rejected", "completed"])  # fmt: skip
def _() -> House:
    """The same of the responses to an INVITE, 486; its caller hangs up after eight seconds."""
    house = House()
    house.in_alg = lambda message: message.replace(VIA + b"192.168.1.10", VIA + b"198.51.100.2")
    call = Outgoing(house, "deaf@phone")
    for after in (0, *LADDER_INVITE[:4]):
        call.invite(1 + after)
        call.respond(1.03 + after, 486)
    return _later(house)


@case("txn006-call-via-changed-on-the-way-back",
      [("TXN006", "router", "observed"), ("DLG001", "router", "observed")], ["REG001"],
      {"disable-sip-alg": "suspected"}, ["dropped", "completed"])  # fmt: skip
def _() -> House:
    """The same of 180 and 200: the 2xx is in the LAN, and the phone that drops it sends no ACK. The
    BYE of the far end, which the phone does not answer, shows nothing of where calls go."""
    house = House()
    house.in_alg = lambda message: message.replace(VIA + b"192.168.1.10", VIA + b"198.51.100.2")
    call = Outgoing(house, "deaf@phone")
    for after in (0, *LADDER_INVITE):
        call.invite(1 + after)
        if after < 4:
            call.respond(1.03 + after, 180)
    for after in (0, *LADDER_2XX):
        call.ok(8 + after)
    house.into(40.1, call.from_far("BYE"))
    return _later(house)


@case("txn006-rport-taken-out",
      [("TXN006", "router", "observed"), ("REG001", "router", "observed")], DLG,
      {"disable-sip-alg": "suspected"}, outcomes=["completed", "completed"])  # fmt: skip
def _() -> House:
    """The phone asks for rport and the router takes that out of its Via, so the response goes to
    port 5060 of the WAN side, where no mapping is. A neighbour with the same provider lives without
    any rewriting."""
    house = House(wan_port=40123)
    works_beside(house, 0)
    house.out_alg = lambda message: message.replace(b";rport;", b";")
    _in_vain(house, _asked(house), rport=False, lan=False, wan_port=5060)
    return _later(house)


@case("txn006-via-changed-beyond", [("TXN006", "network", "observed")], [*DLG, "ALG002"],
      {"outer-router": "recommended"})  # fmt: skip
def _() -> House:
    """A device beyond this router has written another address into the Via of the REGISTER and
    does not put it back: the response has a Via that never left this router."""
    house = House()
    made = _asked(house)
    for after in (0, *LADDER_REQUEST):
        seen = house.out(20 + after, made).replace(VIA + b"192.168.1.10", VIA + b"203.0.113.99")
        house.into(20.03 + after, _answered(house, seen))
    return _later(house)


@case("txn006-near-miss-via-changed-and-taken", [("ALG002", "router", "latent")],
      ["TXN006", "ALG016", *DLG], outcomes=["completed"])  # fmt: skip
def _() -> House:
    """The router changes the Via of responses, and the phone is not strict: it acknowledges the
    2xx, so it has taken it."""
    house = House()
    house.in_alg = lambda message: message.replace(VIA + b"192.168.1.10", VIA + b"198.51.100.2")
    outgoing_call(house, 1, "taken@phone")
    return house


@case("txn006-near-miss-port-kept", must_not=["TXN006", "REG001", *DLG],
      outcomes=["completed", "completed"])  # fmt: skip
def _() -> House:
    """A phone without rport, of which the NAT keeps the port: the response to the port in Via finds
    it."""
    house = House()
    seen = house.out(0, _asked(house, rport=False))
    house.into(0.03, _answered(house, seen, rport=False))
    outgoing_call(house, 5, "plain@phone", rport=False)
    return _later(house)


@case("txn006-near-miss-served-at-the-port-in-via", must_not=["TXN006", "REG001", *DLG],
      outcomes=["completed"])  # fmt: skip
def _() -> House:
    """A phone that sends from port 49152 and listens at the port in its Via, 5060. The helper sends
    its responses there, and the phone is content."""
    house = House(port=49152, wan_port=49152)
    seen = house.out(0, _asked(house, 5060, rport=False))
    house.into(0.03, _answered(house, seen, rport=False), lan_port=5060)
    return _later(house)


@case("txn006-near-miss-sent-again-meanwhile", must_not=["TXN006", "REG001", *DLG],
      outcomes=["completed"])  # fmt: skip
def _() -> House:
    """The response is slow: a retransmission of the phone crosses it on the way. The phone names
    another port in its Via than it sends from, and hears the response all the same."""
    house = House(port=49152, wan_port=49152)
    made = _asked(house, 5060, rport=False)
    seen = house.out(0, made)
    house.into(0.4998, _answered(house, seen, rport=False))
    house.out(0.5001, made)
    house.into(0.53, _answered(house, seen, rport=False))
    return _later(house)


@case("txn006-near-miss-stopped-at-the-right-port", [("REG001", "router", "observed")],
      ["TXN006", *DLG])  # fmt: skip
def _() -> House:
    """The response comes to the right port of the WAN side and stops in the router: it was not
    misrouted."""
    house = House()
    return _later(_in_vain(house, _asked(house), lan=False))


@case("txn006-near-miss-from-another-port", [("REG001", "provider", "observed")],
      ["TXN006", *DLG], {"provider-fix": "recommended"})  # fmt: skip
def _() -> House:
    """The response is sent to the right port, from another one than was asked: the NAT does not let
    it in, and it was not misrouted."""
    house = House()
    return _later(_in_vain(house, _asked(house), lan=False, sport=5080))


# ---- ALG016: the echo ----

OWN = b"<sip:100@192.168.1.10>"
PUBLIC = b"<sip:100@203.0.113.99>"


def _round(house: House, change: tuple[bytes, bytes], at: float = 0, **more: str) -> None:
    """One REGISTER whose From and To are addresses; beyond the router something is changed."""
    made = _asked(house).replace(b"<sip:100@example.net>", OWN)
    seen = house.out(at, made).replace(*change)
    back = answer(200, seen, to_tag="reg", received=house.wan_ip, rport=house.wan_port,
                  contact=more.get("contact", f"{house.contact};expires=120"))  # fmt: skip
    house.into(at + 0.03, back)


@case("alg016-from-not-put-back", [("ALG016", "network", "none")], ["ALG001", "ALG002", *DLG])
def _() -> House:
    """A device in front of this router writes its own address into From and To of the REGISTER and
    does not put it back in the response."""
    house = House()
    _round(house, (OWN, PUBLIC))
    return _later(house)


@case("alg016-tag-not-put-back",
      [("ALG016", "network", "latent")], ["ALG001", "ALG002", *DLG])  # fmt: skip
def _() -> House:
    """A device in front of this router changes the From tag and does not put it back."""
    house = House()
    _round(house, (b";tag=r1", b";tag=x9"))
    return _later(house)


@case("alg016-via-not-put-back",
      [("ALG016", "network", "latent"), ("TXN006", "network", "observed"),
       ("DLG001", "network", "observed")], ["ALG002"],
      {"outer-router": "recommended"}, ["dropped", "completed"])  # fmt: skip
def _() -> House:
    """A device in front of this router writes its address into the Via of an INVITE and does not
    put it back: the phone drops 180 and 200, and the call with them."""
    house = House()
    call = Outgoing(house, "deaf@phone")
    for after in (0, *LADDER_INVITE):
        call.invite(1 + after)
        call.seen = call.seen.replace(VIA + b"192.168.1.10", VIA + b"203.0.113.99")
        if after < 4:
            call.respond(1.03 + after, 180)
    for after in (0, *LADDER_2XX):
        call.ok(8 + after)
    house.into(40.1, call.from_far("BYE"))
    return _later(house)


@case("alg016-near-miss-server-adds", must_not=["ALG016", "TXN006", *DLG])
def _() -> House:
    """The registrar adds received, rport and a To tag, leaves out port 5060, and writes host names
    as it likes."""
    house = House()
    _round(house, (VIA + b"192.168.1.10:5060;", VIA + b"192.168.1.10;"))
    return _later(house)


@case("alg016-near-miss-border-controller", must_not=["ALG016", "TXN006", *DLG])
def _() -> House:
    """A session border controller answers with a Contact that names the public address: its own
    header field, and no echo."""
    house = House()
    _round(house, (b"", b""), contact="<sip:100@203.0.113.99:5060>;expires=120")
    return _later(house)


@case("alg016-near-miss-own-alg",
      [("ALG014", "router", "none")], ["ALG016", "TXN006", *DLG],
      outcomes=["completed", "completed"])  # fmt: skip
def _() -> House:
    """This router's own helper writes the WAN address into Via, From and To and puts the phone's
    back: on the WAN side the echo is right."""
    house = House("linux")
    _round(house, (b"", b""))
    incoming_call(house, 5, "in@provider")
    return _later(house)


def _repeats(tag: bytes) -> House:
    """An acknowledged call whose 2xx comes three times more, with this From tag."""
    house = House("linux")
    register(house, 0)
    call = Outgoing(house, "one@phone")
    call.invite(1)
    call.respond(1.2, 180)
    call.ok(3)
    call.ack(3.05)
    again = answer(200, call.seen.replace(b";tag=p-one-phone", b";tag=" + tag), to_tag=call._tag,
                   contact=call.far_contact, body=sdp(house.provider, 20000),
                   received=house.wan_ip, rport=house.wan_port)  # fmt: skip
    for after in LADDER_2XX[:3]:
        house.into(3 + after, again)
    call.bye(20)
    return house


@case("dlg001-repeated-in-its-dialog", [("DLG001", "network", "latent")], ["DLG002"],
      state="cannot-tell")  # fmt: skip
def _() -> House:
    """The ACK left, and the 2xx still comes."""
    return _repeats(b"p-one-phone")


@case("dlg001-near-miss-repeated-with-another-tag", must_not=["DLG001", "DLG002"])
def _() -> House:
    """What is sent in the provider's name has the From tag of no dialog, so it repeats nothing."""
    return _repeats(b"forged")
