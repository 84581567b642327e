# SPDX-License-Identifier: Apache-2.0
"""Golden cases of requests that went astray because the router had changed where they go, and of
those where it only looks so."""

from __future__ import annotations

from craft import (
    LADDER_2XX,
    LADDER_REQUEST,
    House,
    Incoming,
    Outgoing,
    Timed,
    answer,
    register,
    request,
    sdp,
    works_beside,
)

from cases.case import ALG, case
from cases.rewrite import writes

FAR_PORT = (b"Contact: <sip:300@203.0.113.5:5060>", b"Contact: <sip:300@203.0.113.5:5090>")


def _called(house: House, repeats: bool, port: int = 5090) -> Outgoing:
    """A call of the phone, whose requests inside it name that port of the far end."""
    register(house, 0)
    call = Outgoing(house, "one@phone")
    call.invite(1)
    call.respond(1.3, 180)
    call.ok(3)
    told = call.far_contact
    call.far_contact = told.replace("5060", str(port))
    call.ack(3.02)
    call.far_contact = told
    if repeats:
        for after in LADDER_2XX:
            call.ok(3 + after)
    return call


@case("dlg001-far-contact-changed",
      [("DLG001", "router", "observed"), ("ALG001", "router", "latent")], ["ALG014", "DLG006"],
      {"disable-sip-alg": "suspected"}, ["completed", "dropped"])  # fmt: skip
def _() -> House:
    """The router writes another port into the Contact of the far end. The ACK of the phone goes to
    that port, as the 2xx said in the LAN, and the far end never takes it."""
    house = House()
    house.in_alg = writes(FAR_PORT)
    call = _called(house, True)
    house.into(35, call.from_far("BYE"))
    house.out(35.02, answer(200, call.from_far("BYE")))
    works_beside(house, 60)
    return house


@case("dlg001-near-miss-far-contact-kept",
      [("DLG001", "phone", "observed"), ("DLG006", "phone", "observed")], ["ALG001"],
      {"phone-fix": "recommended"}, ["completed", "dropped"])  # fmt: skip
def _() -> House:
    """The phone does so by itself: no router changed anything."""
    house = House()
    call = _called(house, True)
    house.into(35, call.from_far("BYE"))
    house.out(35.02, answer(200, call.from_far("BYE")))
    works_beside(house, 60)
    return house


@case("txn003-bye-to-the-changed-contact",
      [("TXN003", "router", "observed"), ("ALG001", "router", "latent")], ["ALG014", "DLG001"],
      {"disable-sip-alg": "suspected"}, ["completed", "completed"])  # fmt: skip
def _() -> House:
    """The far end takes the ACK by its tags, and not the BYE, which goes to the port that the
    router wrote."""
    house = House()
    house.in_alg = writes(FAR_PORT)
    call = _called(house, False)
    bye = call._request("BYE", 2, "sip:300@203.0.113.5:5090", f";tag={call._tag}")
    for after in (0, *LADDER_REQUEST):
        house.out(9 + after, bye)
    works_beside(house, 60)
    return house


@case("txn003-bye-to-another-port",
      [("TXN003", "router", "observed"), ("ALG011", "router", "latent")], ["DLG008"],
      {"disable-sip-alg": "suspected"}, ["completed", "completed"])  # fmt: skip
def _() -> House:
    """The router sends the BYE of the far end to a port at which the phone is not (the helper's
    forced destination port)."""
    house = House()
    call = _called(house, False, 5060)
    for after in (0, *LADDER_REQUEST):
        house.into(9 + after, call.from_far("BYE"), lan_port=5080)
    works_beside(house, 60)
    return house


@case("txn003-near-miss-bye-to-the-port-in-contact",
      [("TXN003", "phone", "observed"), ("ALG011", "router", "latent")],
      outcomes=["completed", "completed"])  # fmt: skip
def _() -> House:
    """The same, to a phone that announces that port: it is there, and silent."""
    house = House()
    contact = "<sip:100@192.168.1.10:5080>"
    asked = request("REGISTER", "sip:example.net", via="192.168.1.10:5060", branch="z9hG4bKreg",
                    call_id="reg@phone", cseq=1, contact=contact,
                    more=["Expires: 600"])  # fmt: skip
    seen = house.out(0, asked)
    house.into(0.03, answer(200, seen, to_tag="r", contact=f"{contact};expires=600",
                            received=house.wan_ip, rport=house.wan_port))  # fmt: skip
    call = Outgoing(house, "one@phone", contact=contact)
    call.set_up(1)
    for after in (0, *LADDER_REQUEST):
        house.into(9 + after, call.from_far("BYE"), lan_port=5080)
    works_beside(house, 60)
    return house


INWARDS = (b" sip:100@198.51.100.2:5060 SIP", b" sip:100@192.168.1.10:5060 SIP")


def _announces_public(house: House) -> Incoming:
    register(house, 0)
    call = Incoming(house, "stun@provider", contact=f"<sip:100@{house.public}>",
                    body=sdp(house.wan_ip))  # fmt: skip
    call.invite(1)
    call.ringing(1.2)
    call.ok(3)
    return call


@case("dlg001-request-uri-changed",
      [("DLG001", "router", "observed"), ("ALG003", "router", "none")], ["ALG012", "NAT002"],
      {"disable-sip-alg": "suspected"}, outcomes=["completed", "dropped"])  # fmt: skip
def _() -> House:
    """A phone that announces its public address (STUN). The router writes the private one into the
    Request-URI of the ACK, which this phone does not own: it sends its 2xx for 32 s."""
    house = House()
    house.in_alg = writes(INWARDS)
    call = _announces_public(house)
    for after in (0, *LADDER_2XX):
        call.ack(3.05 + after)
    call.dropped(3)
    works_beside(house, 60)
    return house


@case("dlg001-contact-not-changed-back",
      [("DLG001", "router", "observed"), ("ALG001", "router", "latent")], ["ALG003", "ALG014"],
      {"disable-sip-alg": "suspected"}, outcomes=["completed", "dropped"])  # fmt: skip
def _() -> House:
    """The router writes another port into the Contact of the 2xx, and gives the ACK to the phone
    with that in its Request-URI, which this phone does not own: it sends its 2xx for 32 s."""
    house = House()
    house.out_alg = writes((b"Contact: <sip:100@198.51.100.2:5060>",
                            b"Contact: <sip:100@198.51.100.2:5062>"))  # fmt: skip
    call = _announces_public(house)
    for after in (0, *LADDER_2XX):
        call.ack(3.05 + after)
    call.dropped(3)
    works_beside(house, 60)
    return house


@case("dlg001-near-miss-ack-ignored", [("DLG001", "phone", "observed")], ["ALG003", "ALG012"],
      outcomes=["completed", "dropped"])  # fmt: skip
def _() -> House:
    """The same phone on a router that changes nothing."""
    house = House()
    call = _announces_public(house)
    for after in (0, *LADDER_2XX):
        call.ack(3.05 + after)
    call.dropped(3)
    works_beside(house, 60)
    return house


@case("dlg008-bye-to-a-changed-uri",
      [("DLG008", "router", "observed"), ("ALG003", "router", "none")],
      ["ALG012", "ALG014", "DLG001"], {"disable-sip-alg": "suspected"},
      ["completed", "completed"])  # fmt: skip
def _() -> House:
    """The phone takes the ACK and refuses the BYE, which names what it did not announce."""
    house = House()
    house.in_alg = writes(INWARDS)
    call = _announces_public(house)
    call.ack(3.05)
    seen = house.into(9, call._in_dialog("BYE", 2, f"{call.src}:5060", ()))
    house.out(9.02, answer(481, seen))
    call.phone_bye(50)
    works_beside(house, 60)
    return house


@case("alg012-near-miss-uri-of-the-provider",
      [("DLG008", "unknown", "observed"), ("ALG001", "router", "latent")],
      ["ALG012", "DLG001", "DLG009"], outcomes=["completed", "completed"])  # fmt: skip
def _() -> House:
    """The provider writes the public address into the Request-URI, since it knows the NAT; the
    router changes the Contact of the far end only. The phone refuses the BYE."""
    house = House()
    house.in_alg = writes((b"Contact: <sip:200@203.0.113.5:5060>",
                           b"Contact: <sip:200@192.168.1.1:5060>"))  # fmt: skip
    register(house, 0)
    call = Incoming(house, "one@provider", fixed_contact=f"sip:100@{house.public}")
    call.invite(1)
    call.ringing(1.2)
    call.ok(3)
    call.ack(3.05)
    seen = house.into(9, call._in_dialog("BYE", 2, f"{call.src}:5060", ()))
    house.out(9.02, answer(481, seen))
    works_beside(house, 60)
    return house


@case("dlg002-near-miss-answer-to-another-phone",
      [("DLG001", "phone", "observed"), ("ALG001", "router", "latent"),
       ("TXN006", "phone", "observed")], ["DLG002", "DLG005"],
      {"enable-rport-stun-outbound": "recommended"}, outcomes=["dropped"])  # fmt: skip
def _() -> House:
    """A phone does not ask for rport, so its 2xx goes to port 5060, which is the mapping of another
    phone; the router changes its Contact to a private address on the way. The ACK is not missing
    for that: its caller never got the 2xx."""
    house, other = House(wan_port=40001), House(phone="192.168.1.77")
    register(other, 0)
    register(house, 0, rport=False, n=2)
    house.in_alg = writes((b"Contact: <sip:300@203.0.113.5:5060>",
                           b"Contact: <sip:300@10.9.9.9:5060>"))  # fmt: skip
    call = Outgoing(house, "one@phone", rport=False)
    call.invite(1)
    for after in (0, *LADDER_2XX):
        made = answer(200, call.seen, to_tag=call._tag, contact=call.far_contact,
                      body=sdp(house.provider, 20000))  # fmt: skip
        other.in_alg = house.in_alg
        other.into(3 + after, made)
    for after in (0.5, 1.5, 3.5, 7.5, 15.5, 31.5):
        call.invite(1 + after)
    bye = request(
        "BYE", "sip:100@192.168.1.10:5060", via="203.0.113.5:5060", branch="z9hG4bKbye-far",
        call_id="one@phone", cseq=1, caller=f"<sip:300@example.net>;tag={call._tag}",
        callee="<sip:100@example.net>;tag=p-one-phone",
    )  # fmt: skip
    other.into(35, bye)
    other.out(35.02, answer(481, bye))
    house.lan += other.lan
    house.wan += other.wan
    return house


@case("alg011-register-answered-at-no-port", [("ALG011", "router", "observed")],
      ["REG001", "TXN006"], {"disable-sip-alg": "suspected"},
      ["completed", "completed"])  # fmt: skip
def _() -> House:
    """The phone does not ask for rport. The 200 to its REGISTER comes to its mapping, and the
    router sends it to a port that is neither in its Via nor the one that it sends from."""
    house = House()
    works_beside(house, 0)
    house.forced = 5080
    for after in (0, *LADDER_REQUEST):
        register(house, 20 + after, rport=False)
    house.forced = 0
    call = Outgoing(house, "later@phone")
    call.invite(80)
    call.respond(80.3, 180)
    call.ok(82)
    call.ack(82.02)
    call.bye(90)
    return house


@case("dlg004-near-miss-contact-changed-by-the-router", [("DLG001", "router", "observed")],
      ["DLG004"], {"disable-sip-alg": "suspected"}, ["completed", "dropped"])  # fmt: skip
def _() -> House:
    """The router writes its own address into the Contact of the far end, so the ACK goes to another
    host than the INVITE: no proxy left itself out of the route set."""
    house = House()
    house.in_alg = writes((b"Contact: <sip:300@203.0.113.5:5060>",
                           b"Contact: <sip:300@198.51.100.2:5099>"))  # fmt: skip
    register(house, 0)
    call = Outgoing(house, "one@phone")
    call.invite(1)
    target, tag = "sip:300@198.51.100.2:5099", f";tag={call._tag}"
    for after in (0, *LADDER_2XX):
        call.ok(3 + after)
        house.out(3.02 + after, call._request("ACK", 1, target, tag), dst=house.wan_ip, dport=5099)
    house.into(35, call.from_far("BYE"))
    house.out(35.02, answer(200, call.from_far("BYE")))
    works_beside(house, 60)
    return house


# ---- the refresh of a session (RFC 4028) ----


class _Public(House):
    """The phone announces its public address (STUN)."""

    @property
    def contact(self) -> str:
        return f"<sip:100@{self.public}>"


def _refuses(alg: str) -> House:
    """The phone refuses the refresh of the far end and its BYE with 481."""
    house = _Public(alg)
    call = Timed(house, "uas", 90)
    for at, method, number in ((48, "UPDATE", 7), (48.1, "BYE", 8)):
        house.out(at + 0.02, answer(481, house.into(at, call.from_far(method, number))))
    call.bye(63)
    works_beside(house, 90)
    return house


@case("dlg007-refresh-to-a-changed-uri",
      [("DLG007", "router", "observed"), ("DLG008", "router", "observed")], ["ALG014", "DLG001"],
      {"disable-sip-alg": "suspected"}, ["completed", "dropped"])  # fmt: skip
def _() -> House:
    """The helper writes the private address into their Request-URI in place of the Contact of the
    phone: no fault of the phone."""
    return _refuses("linux")


@case("dlg007-near-miss-refused-by-the-phone", [("DLG007", "phone", "observed")], ALG,
      outcomes=["completed", "dropped"])  # fmt: skip
def _() -> House:
    """The phone does so by itself."""
    return _refuses("")


@case("dlg007-refresh-into-the-lan",
      [("DLG007", "unknown", "observed"), ("ALG001", "router", "latent")], ["ALG014", "DLG001"],
      outcomes=["completed", "dropped"])  # fmt: skip
def _() -> House:
    """The router writes an address of the LAN into the Contact of the far end: the refresh of the
    phone goes there, if it sends one, and no tap shows it. The near miss is
    dlg007-phone-never-refreshes."""
    inwards = writes((b"sip:300@203.0.113.5:5060>", b"sip:300@192.168.1.1:5060>"))
    call = Timed(House(), "uac", 90, alg=inwards)
    call.far_bye(63)
    works_beside(call.house, 90)
    return call.house
