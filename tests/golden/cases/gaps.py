# SPDX-License-Identifier: Apache-2.0
"""Golden cases of captures that lack single packets: what may have fallen into such a gap is not
called missing, and what was stopped again and again still is."""

from __future__ import annotations

from craft import (
    LADDER_2XX,
    LADDER_REQUEST,
    House,
    Incoming,
    Outgoing,
    answer,
    far_gives_up,
    incoming_call,
    outgoing_call,
    register,
    request,
    sdp,
)

from cases.case import ALG, DLG, case


def _gap(house: House, at: float, n: int) -> None:
    """An answer to the phone that is in the LAN capture alone: it came out of the router."""
    call = Outgoing(house, f"gap{n}@phone")
    call.invite(at)
    call.respond(at + 0.1, 100, wan=False)
    call.respond(at + 0.3, 486)
    call.nak(at + 0.32)


@case("cap002-answer-in-a-gap", [("CAP002", "unknown", "none")], ["TXN003", *DLG, *ALG],
      outcomes=["completed", "rejected", "completed"], state="cannot-tell")  # fmt: skip
def _() -> House:
    """The WAN capture lacks packets, among them the answers of the phone to a BYE."""
    house = House()
    register(house, 0)
    outgoing_call(house, 1, "fine@phone")
    _gap(house, 20, 1)
    call = Incoming(house, "one@provider")
    call.invite(40)
    call.ringing(40.1)
    call.ok(43)
    call.ack(43.02)
    asked = call._in_dialog("BYE", 2, "203.0.113.5:5060", ())
    for after in (0, 0.5):
        house.into(60 + after, asked)
        house.out(60.02 + after, answer(200, asked), wan=False)
    register(house, 110, n=2)
    return house


@case("cap002-near-miss-every-ack-stopped",
      [("DLG001", "router", "observed"), ("CAP002", "unknown", "none")], [*ALG],
      outcomes=["dropped", "completed", "rejected"])  # fmt: skip
def _() -> House:
    """The same gaps, and a router that stops each ACK of a call: eleven do not fall into gaps."""
    house = House()
    register(house, 0)
    outgoing_call(house, 1, "fine@phone")
    _gap(house, 20, 1)
    for n in range(8):
        register(house, 22 + n, n=2 + n)
    far_gives_up(house, 40, "dead@phone", acks=True)
    register(house, 120, n=12)
    return house


@case("txn003-near-miss-asked-no-more", must_not=["TXN003", *DLG, *ALG],
      outcomes=["completed"], state="cannot-tell")  # fmt: skip
def _() -> House:
    """The answer to a BYE is in the LAN capture alone. The other end sends its BYE no more since,
    so it has the answer: the WAN capture lacks it, and this router has stopped nothing."""
    house = House()
    register(house, 0)
    call = Incoming(house, "one@provider")
    call.invite(1)
    call.ringing(1.1)
    call.ok(3)
    call.ack(3.02)
    asked = call._in_dialog("BYE", 2, "203.0.113.5:5060", ())
    house.into(20, asked, lan=False)  # lost in the LAN
    house.into(20.5, asked)
    house.out(20.52, answer(200, asked), wan=False)
    register(house, 90, n=2)
    return house


@case("txn003-asked-on-and-on", [("TXN003", "router", "observed")], [*DLG, *ALG],
      outcomes=["completed"])  # fmt: skip
def _() -> House:
    """The same, but the BYE goes on for 32 s: its answers did not leave the router."""
    house = House()
    register(house, 0)
    call = Incoming(house, "one@provider")
    call.invite(1)
    call.ringing(1.1)
    call.ok(3)
    call.ack(3.02)
    asked = call._in_dialog("BYE", 2, "203.0.113.5:5060", ())
    for after in (0, *LADDER_REQUEST):
        house.into(20 + after, asked)
        house.out(20.02 + after, answer(200, asked), wan=False)
    register(house, 90, n=2)
    return house


@case("dlg001-near-miss-one-2xx-lost", must_not=[*DLG, "TXN003", *ALG],
      outcomes=["completed"], state="cannot-tell")  # fmt: skip
def _() -> House:
    """The first 2xx got lost on its way to the phone, and the ACK to the second is in the LAN
    capture alone. The other end sends no third one: it has the ACK."""
    house = House()
    register(house, 0)
    call = Outgoing(house, "one@phone")
    call.invite(1)
    call.respond(1.3, 180)
    call.ok(3, lan=False)
    call.ok(3.5)
    call.ack(3.52, wan=False)
    call.far_bye(30)
    register(house, 90, n=2)
    return house


@case("dlg008-refused-and-still-there", [("DLG008", "unknown", "observed")], [*ALG],
      outcomes=["completed"])  # fmt: skip
def _() -> House:
    """The phone refuses a BYE, and hangs up itself a moment later: it still had the call, and did
    not take the BYE for one of it."""
    house = House()
    register(house, 0)
    call = Outgoing(house, "one@phone")
    call.set_up(1)
    house.into(20, call.from_far("BYE"))
    house.out(20.01, answer(481, call.from_far("BYE")))
    call.bye(20.5)
    register(house, 90, n=2)
    return house


@case("dlg008-near-miss-refused-after-its-own", must_not=["DLG008", *ALG])
def _() -> House:
    """Both hang up at the same moment, and each refuses the BYE of the other."""
    house = House()
    register(house, 0)
    call = Outgoing(house, "one@phone")
    call.set_up(1)
    house.into(20, call.from_far("BYE"))
    call.bye(20.005)
    house.out(20.02, answer(481, call.from_far("BYE")))
    register(house, 90, n=2)
    return house


@case("txn006-to-another-phone",
      [("TXN006", "phone", "observed")], ["REG001", *DLG, *ALG],
      {"enable-rport-stun-outbound": "recommended"}, outcomes=["completed"])  # fmt: skip
def _() -> House:
    """A phone does not ask for rport, and another phone has the port in its Via on this router:
    that one gets the answers to its REGISTER."""
    house, other = House(), House(phone="192.168.1.77", wan_port=40077)
    register(house, 0)
    incoming_call(house, 1, "fine@provider")
    asked = request(
        "REGISTER", "sip:example.net", via="192.168.1.77:5060", branch="z9hG4bKreg77",
        call_id="reg77@192.168.1.77", cseq=1, rport=False, caller="<sip:101@example.net>;tag=r7",
        contact="<sip:101@192.168.1.77>",
    )  # fmt: skip
    for after in (0, *LADDER_REQUEST):
        seen = other.out(20 + after, asked)
        house.into(20.03 + after, answer(200, seen, to_tag="reg"))
    house.lan += other.lan
    house.wan += other.wan
    register(house, 90, n=2)
    return house


@case("txn002-refused-to-another-phone",
      [("TXN002", "phone", "observed"), ("TXN006", "phone", "latent")], [*DLG, *ALG],
      {"enable-rport-stun-outbound": "recommended"}, outcomes=["rejected"])  # fmt: skip
def _() -> House:
    """The same of the refusal of an INVITE."""
    house, other = House(), House(phone="192.168.1.77", wan_port=40077)
    register(house, 0)
    call = Outgoing(other, "one@other", rport=False)
    call.invite(20)
    for after in (0.5, 1.5, 3.5, 7.5, 15.5):
        call.invite(20 + after)
    for after in (0, *LADDER_2XX):
        house.into(20.03 + after, answer(404, call.seen, to_tag="none"))
    house.lan += other.lan
    house.wan += other.wan
    register(house, 90, n=2)
    return house


@case("dlg001-answered-to-another-account",
      [("DLG001", "phone", "observed")], [*ALG, "DLG002"], outcomes=["dropped"])  # fmt: skip
def _() -> House:
    """Two accounts on two ports of one adapter. The second one asks for no rport, and its 2xx goes
    to the port in its Via, which the NAT has given to the first: the router does what it has to."""
    house, other = House(port=30000), House(port=5060, wan_port=40077)
    register(house, 0)
    call = Outgoing(other, "two@phone", rport=False)
    call.invite(20)
    seen = call.seen
    for after in (0, *LADDER_2XX):
        house.into(22 + after, answer(200, seen, to_tag="far", contact=call.far_contact,
                                      body=sdp(house.provider, 20000)))  # fmt: skip
    bye = request("BYE", f"sip:100@{other.public}", via=f"{house.provider}:5060",
                  branch="z9hG4bKlast", call_id="two@phone", cseq=1,
                  caller="<sip:300@example.net>;tag=far",
                  callee="<sip:100@example.net>;tag=p-two-phone")  # fmt: skip
    other.out(54.3, answer(481, other.into(54.2, bye)))
    house.lan += other.lan
    house.wan += other.wan
    register(house, 90, n=2)
    return house


@case("txn005-near-miss-gaps", [("TXN005", "unknown", "observed"), ("CAP002", "unknown", "none")],
      [*DLG, *ALG], {"look-for-loss": "suspected"})  # fmt: skip
def _() -> House:
    """Requests of the phone are sent again, and the WAN capture has no first copy of them. The LAN
    capture lacks packets, so this one may, too: the router need not have stopped any."""
    house = House()
    register(house, 0)
    for n in range(4):
        asked = request("OPTIONS", f"sip:100@{house.public}", via=f"{house.provider}:5060",
                        branch=f"z9hG4bKo{n}", call_id=f"o{n}@far", cseq=1)  # fmt: skip
        house.out(20.02 + 20 * n, answer(200, house.into(20 + 20 * n, asked)), lan=False)
        made = request("MESSAGE", "sip:300@example.net", via=f"{house.phone}:{house.port}",
                       branch=f"z9hG4bKm{n}", call_id=f"m{n}@phone", cseq=1)  # fmt: skip
        house.out(30 + 20 * n, made, wan=False)
        house.into(30.53 + 20 * n, answer(200, house.out(30.5 + 20 * n, made)))
    outgoing_call(house, 300, "call@phone")
    return house


def _asked_in_vain(copies: tuple[float, ...]) -> House:
    """A REGISTER whose answers are in the WAN capture alone. copies: s, those after the first."""
    house = House()
    register(house, 0)
    outgoing_call(house, 5, "fine@phone")
    asked = request(
        "REGISTER", "sip:example.net", via=f"{house.phone}:{house.port}", branch="z9hG4bKreg2",
        call_id="again@phone", cseq=1, caller="<sip:100@example.net>;tag=r1",
        contact=house.contact, more=["Expires: 120"],
    )  # fmt: skip
    for after in (0, *copies):
        seen = house.out(20 + after, asked)
        made = answer(200, seen, to_tag="r", contact=f"{house.contact};expires=120",
                      received=house.wan_ip, rport=house.wan_port)  # fmt: skip
        house.into(20.02 + after, made, lan=False)
    outgoing_call(house, 70, "later@phone")
    return house


@case("reg001-near-miss-asked-no-more", must_not=["REG001", *DLG, *ALG],
      outcomes=["completed", "completed"], state="cannot-tell")  # fmt: skip
def _() -> House:
    """The phone asks twice and is content: it has an answer, and the LAN capture lacks both."""
    return _asked_in_vain((0.5,))


@case("reg001-given-up", [("REG001", "router", "observed")], [*DLG, *ALG],
      outcomes=["completed", "completed"])  # fmt: skip
def _() -> House:
    """The phone asks four times, each is answered, and gives up: four answers fell into no gap."""
    return _asked_in_vain((0.5, 1.5, 3.5))
