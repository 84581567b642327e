# SPDX-License-Identifier: Apache-2.0
"""Golden cases of DLG: calls whose ACK is lost"""

from __future__ import annotations

import re

from craft import (
    LADDER_2XX,
    LADDER_INVITE,
    NS,
    START,
    House,
    Incoming,
    Outgoing,
    Rewriter,
    answer,
    far_gives_up,
    frame,
    incoming_call,
    linux_in,
    linux_out,
    register,
    request,
    sdp,
)

from cases.case import ALG, DLG, PHONE_OR_PROVIDER, answered, case

# ---- DLG001, one folder a localisation ----


@case("dlg001-never-on-wan", [("DLG001", "network", "observed")],
      ["DLG002", "DLG004", *ALG], outcomes=["dropped"])  # fmt: skip
def _() -> House:
    """Phone with a public Contact (STUN); no ACK ever reaches the WAN side."""
    house = House()
    answered(house, contact=f"<sip:100@{house.public}>").dropped(3)
    return house


@case("dlg001-stopped-inbound", [("DLG001", "router", "observed")],
      ["DLG002", "DLG004", *ALG], outcomes=["dropped"])  # fmt: skip
def _() -> House:
    """The ACK comes to the WAN side after every 2xx, from the host that sent the INVITE, and
    never leaves to the LAN."""
    house = House()
    call = answered(house, contact=f"<sip:100@{house.public}>")
    for after in (0, *LADDER_2XX):
        call.ack(3.03 + after, lan=False)
    call.dropped(3)
    return house


@case("dlg001-delivered-and-ignored", [("DLG001", "phone", "observed")],
      ["DLG002", "DLG004", *ALG], outcomes=["dropped"])  # fmt: skip
def _() -> House:
    """Every ACK is delivered to the phone's own port, and it goes on with its 2xx."""
    house = House()
    call = answered(house, contact=f"<sip:100@{house.public}>")
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
      outcomes=["ongoing"], state="cannot-tell")  # fmt: skip
def _() -> House:
    """The capture ends 12 s after the answer, with five 2xx and no ACK: said before it happens,
    with the seconds that are left."""
    house = House()
    call = answered(house, contact=f"<sip:100@{house.public}>")
    for after in LADDER_2XX[:5]:
        call.ok(3 + after)
    incoming_call(House(), 0, "unused")
    return house


@case("dlg001-near-miss-slow-ack", must_not=[*DLG, *ALG, "CAP005"])
def _() -> House:
    """The ACK takes 1.8 s: two retransmissions of the 2xx, then it arrives and the call lives."""
    house = House()
    call = answered(house, contact=f"<sip:100@{house.public}>")
    call.ok(3.5)
    call.ok(4.5)
    for at in (4.8, 5.3, 6.3):
        call.ack(at)
    call.bye(20)
    return house


@case("dlg001-near-miss-capture-ends", [("CAP005", "unknown", "none")], [*DLG, *ALG],
      outcomes=["ongoing"], state="cannot-tell")  # fmt: skip
def _() -> House:
    """The capture ends one retransmission after the 2xx: too early to call the ACK missing."""
    house = House()
    call = answered(house, contact=f"<sip:100@{house.public}>")
    call.ok(3.5)
    return house


@case("dlg001-near-miss-one-ack-lost", must_not=[*DLG, *ALG], state="cannot-tell")
def _() -> House:
    """The first ACK is lost on the WAN side's way in; the repeated 2xx gets another one. A message
    that only one side shows gets no all-clear, however well its call ended."""
    house = House()
    call = answered(house, contact=f"<sip:100@{house.public}>")
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


@case("dlg001-near-miss-one-of-two-acks-lost", must_not=[*DLG, *ALG])
def _() -> House:
    """The first ACK of the phone is lost beyond the router, and so is the first retransmission of
    the 2xx. The callee hangs up 0.6 s after the second ACK has left: it need not have lost that
    one, since its next 2xx would have come later."""
    house = House()
    call = Outgoing(house, "hasty@phone")
    call.invite(1)
    call.respond(1.2, 180)
    for at in (3, 4.52):
        call.ok(at)
        call.ack(at + 0.001)
    seen = house.into(5.1, call.from_far("BYE"))
    house.out(5.1, answer(200, seen))
    return house


@case("dlg001-near-miss-ack-by-another-way", must_not=[*DLG, *ALG])
def _() -> House:
    """No ACK is in the capture (it took another way), but the 2xx stops after 1.5 s and the call
    is ended by its caller ten minutes later: it was not dropped."""
    house = House()
    call = answered(house, contact=f"<sip:100@{house.public}>")
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
    answered(house).dropped(3)
    return house


@case("dlg002-helper-leaves-other-port",
      [("DLG002", "phone", "observed"), ("DLG001", "network", "observed"),
       ("ALG010", "router", "latent")],
      ["DLG004", "ALG014", "ALG015"], PHONE_OR_PROVIDER, ["dropped"])  # fmt: skip
def _() -> House:
    """The kernel's ALG is on, and the Contact names another port than the phone sends from, so it
    stays private. The router left it as it was: it is not the cause, and nothing
    shows that the call would live without the ALG (scenarios 5a and 5b)."""
    house = House("linux")
    register(house, 0)
    answered(house, contact=f"<sip:100@{house.phone}:5070>").dropped(3)
    return house


@case("dlg002-near-miss-provider-handles-nat", must_not=[*DLG, *ALG])
def _() -> House:
    """The same private Contact with a provider that sends to where the 2xx came from."""
    house = House()
    register(house, 0)
    call = answered(house, fixed_contact=f"sip:100@{house.public}")
    call.ack(3.05)
    call.bye(9)
    return house


@case("dlg002-taken-back", [("DLG001", "network", "observed"), ("DLG002", "unknown", "none")],
      ["DLG004", *ALG], outcomes=["dropped", "completed"])  # fmt: skip
def _() -> House:
    """The provider finds the same phone past its private Contact a minute later: that the ACK of
    the first call never came has another reason, and the advice is taken back."""
    house = House()
    register(house, 0)
    answered(house).dropped(3)
    incoming_call(house, 60, "later@provider", fixed_contact=f"sip:100@{house.public}")
    return house


@case("dlg002-near-miss-one-sided-found-before",
      [("DLG001", "unknown", "observed"), ("CAP001", "unknown", "none")],
      ["DLG002", "DLG004", *ALG], outcomes=["completed", "dropped"], one_file="wan")  # fmt: skip
def _() -> House:
    """The WAN side alone: the provider has found the phone past its private Contact before."""
    house = House()
    register(house, 0)
    incoming_call(house, 1, "before@provider", fixed_contact=f"sip:100@{house.public}")
    call = Incoming(house, "lost@provider")
    call.invite(60)
    call.dropped(63)
    return house


@case("dlg002-stays-another-provider",
      [("DLG002", "phone", "observed"), ("DLG001", "network", "observed")],
      ["DLG004", *ALG], PHONE_OR_PROVIDER, ["dropped", "completed"])  # fmt: skip
def _() -> House:
    """Another provider finds the same phone: that says nothing of the first one."""
    house = House()
    register(house, 0)
    answered(house).dropped(3)
    other = House(provider="203.0.113.99", wan_port=40010)
    incoming_call(other, 60, "later@provider", fixed_contact=f"sip:100@{other.public}")
    house.lan += other.lan
    house.wan += other.wan
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


# ---- DLG006, DLG008 ----


def _ack_to(house: House, uri: str, route: bool = True, alg: Rewriter | None = None,
            loses: bool = True) -> House:  # fmt: skip
    """A call of the phone through a proxy that records itself; the ACK goes to uri."""
    register(house, 0)
    call = Outgoing(house, "odd@phone", far_contact="<sip:gw@203.0.113.90:5060>")
    proxy = "<sip:203.0.113.5:5060;lr>"
    call.invite(1)
    call.seen = call.seen.replace(
        b"Max-Forwards", f"Record-Route: {proxy}\r\nMax-Forwards".encode()
    )
    made = call._request("ACK", 1, uri, f";tag={call._tag}")
    if route:
        made = made.replace(b"Max-Forwards", f"Route: {proxy}\r\nMax-Forwards".encode())
    for after in (0, *LADDER_2XX) if loses else (0,):
        call.ok(3 + after)
        house.out(3.02 + after, made, alg=alg)
    call.far_bye(35 if loses else 20)
    return house


RIGHT = "sip:gw@203.0.113.90:5060"


@case("dlg006-dialled-number",
      [("DLG006", "phone", "observed"), ("DLG001", "phone", "observed")],
      ["DLG002", "DLG004", *ALG], {"phone-fix": "recommended"}, ["dropped"])  # fmt: skip
def _() -> House:
    """The phone sends its ACK to the number that it dialled, and without the route set."""
    return _ack_to(House(), "sip:300@example.net", route=False)


@case("dlg006-router-changes-the-uri",
      [("DLG006", "router", "observed"), ("DLG001", "router", "observed")],
      ["DLG002", "DLG004", "ALG014"], {"disable-sip-alg": "recommended"}, ["dropped"])  # fmt: skip
def _() -> House:
    """The phone addresses its ACK as the 2xx says; the copy that leaves the router has another host
    in its Request-URI."""

    def wrong(message: bytes) -> bytes:
        return message.replace(b"ACK sip:gw@203.0.113.90", b"ACK sip:gw@198.51.100.2", 1)

    return _ack_to(House(), RIGHT, alg=wrong)


@case("dlg006-near-miss-right-and-lost", [("DLG001", "network", "observed")],
      ["DLG006", "DLG002", "DLG004", *ALG], outcomes=["dropped"])  # fmt: skip
def _() -> House:
    """Request-URI and Route are right, and the 2xx still comes: lost beyond the router."""
    return _ack_to(House(), RIGHT)


@case("dlg006-capture-begins-among-the-repetitions",
      [("DLG006", "phone", "observed"), ("DLG001", "phone", "observed")],
      ["DLG002", "DLG004", *ALG], {"phone-fix": "recommended"}, ["dropped"])  # fmt: skip
def _() -> House:
    """Of a call with the ACK to the dialled number the capture has what comes after 6 s: the 2xx
    every 4 s, and each time the ACK."""
    house = _ack_to(House(), "sip:300@example.net", route=False)
    for tap in (house.lan, house.wan):
        tap[:] = [packet for packet in tap if packet[0] > (START + 6) * NS]
    return house


@case("dlg006-near-miss-accepted", must_not=["DLG006", *DLG, *ALG])
def _() -> House:
    """The ACK to the dialled number is taken all the same: the call lives."""
    return _ack_to(House(), "sip:300@example.net", loses=False)


def _hung_up(house: House, contact: str, status: int, far_bye: bool = False) -> House:
    register(house, 0)
    call = Outgoing(house, "ghost@phone", contact=contact)
    call.invite(1)
    call.ok(3)
    call.ack(3.02)
    if far_bye:
        call.far_bye(60)
    made = call._request("BYE", 2, "sip:300@203.0.113.5", f";tag={call._tag}")
    seen = house.out(60.005 if far_bye else 90, made)
    house.into(60.035 if far_bye else 90.03, answer(status, seen))
    return house


@case("dlg008-bye-to-the-private-contact", [("DLG008", "provider", "observed")], [*DLG, *ALG],
      PHONE_OR_PROVIDER)  # fmt: skip
def _() -> House:
    """The far side hung up long ago; its BYE went to the phone's private Contact. The phone's own
    BYE is refused with 481."""
    house = House()
    return _hung_up(house, house.contact, 481)


@case("dlg008-near-miss-provider-knows-the-way", [("DLG008", "network", "observed")],
      [*DLG, *ALG], outcomes=["completed", "completed"])  # fmt: skip
def _() -> House:
    """The same phone; this provider has sent ACK and BYE of another call to where its packets come
    from. Its private Contact is not why."""
    house = House()
    incoming_call(house, 30, "found@provider", fixed_contact=f"sip:100@{house.public}")
    return _hung_up(house, house.contact, 481)


@case("dlg008-the-way-shown-later", [("DLG008", "network", "observed")], [*DLG, *ALG],
      outcomes=["completed", "completed"])  # fmt: skip
def _() -> House:
    """The same, where the provider shows that it knows the way only later: the order of calls does
    not matter, and the advice is taken back."""
    house = _hung_up(House(), "<sip:100@192.168.1.10:5060>", 481)
    incoming_call(house, 130, "found@provider", fixed_contact=f"sip:100@{house.public}")
    return house


def _asked_again(house: House, method: str, status: int = 481) -> Outgoing:
    """A call of the phone, in which the far end refuses its re-INVITE or UPDATE at 30 s."""
    register(house, 0)
    call = Outgoing(house, "again@phone")
    call.invite(1)
    call.ok(3)
    call.ack(3.02)
    target, to = call.far_contact.strip("<>"), f";tag={call._tag}"
    asked = call._request(method, 2, target, to, call.contact, call.body, branch="again")
    house.into(30.03, answer(status, house.out(30, asked)))
    if method == "INVITE":
        house.out(30.05, call._request("ACK", 2, target, to, branch="again"))
    register(house, 100, n=2)
    return call


@case("dlg008-re-invite-not-known", [("DLG008", "network", "latent")], [*DLG, *ALG],
      outcomes=["unknown"], state="cannot-tell")  # fmt: skip
def _() -> House:
    """The phone puts the call on hold, the far end answers 481, and neither says a word more: the
    far end had lost the call before."""
    return _asked_again(House(), "INVITE").house


@case("dlg008-update-not-known", [("DLG008", "unknown", "latent")], [*DLG, *ALG],
      outcomes=["unknown"], state="cannot-tell", one_file="lan")  # fmt: skip
def _() -> House:
    """The same of an UPDATE, on the LAN side alone."""
    return _asked_again(House(), "UPDATE").house


@case("dlg008-near-miss-not-known-and-hung-up", must_not=["DLG008", *DLG, *ALG])
def _() -> House:
    """The far end knows the call all the same: its BYE comes a second later."""
    call = _asked_again(House(), "INVITE")
    call.far_bye(31)
    return call.house


@case("dlg008-near-miss-refused-for-now", must_not=["DLG008", *DLG, *ALG], outcomes=["ongoing"])
def _() -> House:
    """488: the far end does not want what was asked for, and the call goes on."""
    return _asked_again(House(), "INVITE", status=488).house


@case("dlg008-public-contact", [("DLG008", "network", "observed")], [*DLG, *ALG])
def _() -> House:
    """The same with a public Contact: the far side's BYE was lost, and nothing shows where."""
    house = House()
    return _hung_up(house, f"<sip:100@{house.public}>", 481)


@case("dlg008-near-miss-both-hang-up", must_not=["DLG008", "TXN003", *DLG, *ALG])
def _() -> House:
    """Both ends hang up at the same moment: 481 is right."""
    house = House()
    return _hung_up(house, house.contact, 481, far_bye=True)


# ---- a drop without repetition, and responses that do not arrive ----


def _once(house: House, ends: float, ack: bool = False) -> House:
    call = answered(house, contact=f"<sip:100@{house.public}>")
    if ack:
        call.ack(3.05)
    call.phone_bye(3 + ends)
    return house


@case("dlg001-never-repeated", [("DLG001", "network", "observed")], ["DLG002", "DLG004", *ALG],
      outcomes=["dropped"])  # fmt: skip
def _() -> House:
    """The 2xx comes once, no ACK comes, and the BYE comes 64*T1 later: dropped, as over TCP."""
    return _once(House(), 32)


@case("dlg001-near-miss-once-and-acknowledged", must_not=[*DLG, *ALG])
def _() -> House:
    """A call that lasts 32 s, with its ACK."""
    return _once(House(), 32, ack=True)


@case("dlg001-responses-unheard", [("DLG001", "network", "observed")],
      ["DLG002", "DLG004", "TXN001", *ALG], outcomes=["dropped"])  # fmt: skip
def _() -> House:
    """The caller goes on sending its INVITE while the 2xx leaves the router eleven times: the
    responses do not reach it, and no ACK can come."""
    house = House()
    call = answered(house, contact=f"<sip:100@{house.public}>")
    for after in LADDER_INVITE:
        call.invite(1 + after)
    call.dropped(3)
    return house


@case("dlg001-near-miss-once-and-three-quarters-of-a-minute", must_not=[*DLG, *ALG])
def _() -> House:
    """The 2xx comes once, no ACK is seen, and the BYE comes 45 s later: nobody gave up."""
    return _once(House(), 45)


@case("dlg001-never-repeated-inside-a-proxy", [("DLG001", "unknown", "observed")],
      ["DLG002", "DLG004", *ALG], outcomes=["dropped"], one_file="wan")  # fmt: skip
def _() -> House:
    """Taken at a proxy: the INVITE and its 2xx are seen on both hops, each once. The copy of the
    next hop is no retransmission; no ACK comes, and the BYE comes 64*T1 later: dropped."""
    return _at_a_proxy(ack=False)


@case("dlg001-near-miss-hops-of-a-proxy", must_not=[*DLG, *ALG], one_file="wan")
def _() -> House:
    """Taken at a proxy: every message is seen on both hops, one a few milliseconds after the
    other. The second 2xx is the next hop's, and not one that lacked its ACK."""
    return _at_a_proxy(ack=True)


CALLER, PROXY, CALLEE = "198.51.100.2", "203.0.113.5", "203.0.113.90"


def _at_a_proxy(ack: bool) -> House:
    """CALLER calls CALLEE through PROXY, which records itself."""
    house = House()
    ident = iter(range(1, 100))

    def send(at: float, payload: bytes, src: str, dst: str) -> bytes:
        made = frame(payload, src, 5060, dst, 5060, 64, next(ident))
        house.wan.append(((START * 1_000_000 + round(at * 1_000_000)) * 1000, made))
        return payload

    def relay(at: float, payload: bytes, src: str, dst: str) -> bytes:
        """A request by way of the proxy, which puts its Via on top."""
        send(at, payload, src, PROXY)
        method = payload.split(b" ", 1)[0].lower().decode()
        via = f"Via: SIP/2.0/UDP {PROXY}:5060;branch=z9hG4bKhop-{method}\r\nVia:"
        return send(at + 0.004, payload.replace(b"Via:", via.encode(), 1), PROXY, dst)

    def back(at: float, status: int, to: bytes, src: str, dst: str) -> None:
        made = answer(status, to, to_tag="far", contact=f"<sip:300@{CALLEE}:5060>")
        send(at, made, src, PROXY)
        lines = made.split(b"\r\n")
        lines.remove(next(line for line in lines if line.startswith(b"Via:")))
        send(at + 0.004, b"\r\n".join(lines), PROXY, dst)

    def ask(method: str, cseq: int, tag: str) -> bytes:
        return request(
            method, f"sip:300@{CALLEE}:5060", via=f"{CALLER}:5060",
            branch=f"z9hG4bKnear-{method.lower()}", call_id="hops@caller", cseq=cseq,
            caller="<sip:100@example.net>;tag=near", callee=f"<sip:300@example.net>{tag}",
            contact=f"<sip:100@{CALLER}:5060>",
        )  # fmt: skip

    invite = relay(1, ask("INVITE", 1, ""), CALLER, CALLEE)
    back(1.2, 180, invite, CALLEE, CALLER)
    back(3, 200, invite, CALLEE, CALLER)
    if ack:
        relay(3.5, ask("ACK", 1, ";tag=far"), CALLER, CALLEE)
    bye = relay(35, ask("BYE", 2, ";tag=far"), CALLER, CALLEE)
    back(35.03, 200, bye, CALLEE, CALLER)
    return house


@case("dlg001-near-miss-invite-crosses-its-answer", must_not=[*DLG, "TXN001", *ALG])
def _() -> House:
    """The INVITE is repeated once, 0.1 s after its 2xx, which it crosses on the way; the ACK
    follows, and the call lives."""
    house = House()
    call = Incoming(house, "cross@provider", contact=f"<sip:100@{house.public}>")
    call.invite(1)
    call.ok(1.4)
    call.invite(1.5)
    call.ok(1.51)
    call.ack(1.6)
    call.ack(1.7)
    call.bye(20)
    return house


# ---- where it went ----


@case("dlg001-ack-from-another-port", [("DLG001", "provider", "observed")],
      ["DLG002", "DLG004", *ALG], outcomes=["dropped"])  # fmt: skip
def _() -> House:
    """Every ACK comes from a port of the provider to which no phone has ever sent anything, and
    with the branch of the INVITE: no NAT lets it in, and it is an ACK all the same."""
    house = House()
    call = answered(house, contact=f"<sip:100@{house.public}>")
    ack = call._in_dialog("ACK", 1, f"{call.src}:5062", ()).replace(b"z9hG4bKack-", b"z9hG4bKi-")
    for after in (0, *LADDER_2XX):
        house.into(3.03 + after, ack, sport=5062, lan=False)
    call.dropped(3)
    return house


# ---- forked: each phone that takes a call is acknowledged (RFC 3261 section 13.2.2.4) ----


def _second_answer(acks: bool) -> House:
    house = House()
    call = Outgoing(house, "forked@phone")
    call.invite(1)
    call.ok(3)
    call.ack(3.02)
    for after in (0, *LADDER_2XX) if not acks else (0,):
        other = answer(200, call.seen, to_tag="second", contact="<sip:302@203.0.113.5:5060>")
        house.into(3.1 + after, other)
        if acks:
            made = call._request("ACK", 1, "sip:302@203.0.113.5", ";tag=second", branch="ack2")
            house.out(3.12, made)
    call.bye(60)
    return house


@case("dlg011-second-phone-never-acknowledged", [("DLG011", "phone", "observed")],
      ["DLG001", *ALG], {"phone-fix": "recommended"})  # fmt: skip
def _() -> House:
    """Two phones of the far side take the call. The first is acknowledged and talks; the 2xx of
    the second comes eleven times and is never acknowledged: that one hears nothing for 32 s."""
    return _second_answer(acks=False)


@case("dlg011-first-phone-never-acknowledged", [("DLG011", "phone", "observed")],
      ["DLG001", *ALG], {"phone-fix": "recommended"})  # fmt: skip
def _() -> House:
    """Two phones of the far side take the call, and the caller acknowledges the second one only:
    with that one it talks until it hangs up, and the first one waits in vain."""
    house = House()
    call = Outgoing(house, "forked@phone")
    call.invite(1)
    second = answer(200, call.seen, to_tag="second", contact="<sip:302@203.0.113.5:5060>")
    for after in (0, *LADDER_2XX):
        call.ok(3 + after)
        if not after:
            house.into(3.1, second)
            house.out(3.12, call._request("ACK", 1, "sip:302@203.0.113.5", ";tag=second"))
    seen = house.out(60, call._request("BYE", 2, "sip:302@203.0.113.5", ";tag=second"))
    house.into(60.03, answer(200, seen))
    return house


@case("dlg011-near-miss-second-phone-acknowledged", must_not=["DLG011", *DLG, *ALG])
def _() -> House:
    """The same with an ACK to each."""
    return _second_answer(acks=True)


# ---- a route set that the caller cannot reach ----


def _recorded_route(proxy: str, acknowledged: bool = False) -> House:
    """A call of the phone whose 2xx names that proxy in its Record-Route."""
    house = House()
    register(house, 0)
    call = Outgoing(house, "routed@phone")
    call.invite(1)
    route = f"Record-Route: <sip:{proxy}:5060;lr>\r\nMax-Forwards"
    call.seen = call.seen.replace(b"Max-Forwards", route.encode())
    for after in (0,) if acknowledged else (0, *LADDER_2XX):
        call.ok(3 + after)
    if acknowledged:
        made = call._request("ACK", 1, call.far_contact.strip("<>"), f";tag={call._tag}")
        hop = f"Route: <sip:{proxy}:5060;lr>\r\nMax-Forwards"
        house.out(3.02, made.replace(b"Max-Forwards", hop.encode()))
    call.far_bye(35)
    return house


@case("dlg001-unreachable-route",
      [("DLG001", "provider", "observed"), ("DLG005", "provider", "observed")],
      ["DLG002", "DLG004", *ALG], {"provider-fix": "recommended"}, ["dropped"])  # fmt: skip
def _() -> House:
    """The 2xx comes with a Record-Route of a link-local address, so the phone has nowhere to send
    its ACK. That it never sent one is not its fault."""
    return _recorded_route("169.254.151.86")


@case("dlg001-unreachable-route-on-one-side",
      [("DLG001", "unknown", "observed"), ("DLG005", "unknown", "observed")],
      ["DLG002", "DLG004", *ALG], outcomes=["dropped"], one_file="lan")  # fmt: skip
def _() -> House:
    """The same, captured in the LAN only: the Record-Route is named, and nobody is blamed."""
    return _recorded_route("169.254.151.86")


@case("dlg001-near-miss-reachable-route", [("DLG001", "phone", "observed")],
      ["DLG002", "DLG004", *ALG], outcomes=["dropped"])  # fmt: skip
def _() -> House:
    """The Record-Route names the provider's proxy, which the phone can reach, and the phone never
    sends an ACK."""
    return _recorded_route("203.0.113.5")


@case("dlg001-near-miss-private-route-and-acknowledged", must_not=[*DLG, *ALG])
def _() -> House:
    """The Record-Route is of a private address, and the phone sends its ACK to its outbound proxy
    all the same, with that Route: nothing is lost."""
    return _recorded_route("10.20.30.40", acknowledged=True)


# ---- two phones of one LAN, through a proxy outside: every message passes the router twice ----


def _between_phones(house: House, back: bool, ignored: bool = False) -> House:
    """The ACKs are lost: in the router when they come `back` to it, else beyond; or they are
    delivered and ignored."""
    other = House("linux", phone="192.168.1.11", wan_port=1025)
    house.wan_port = 1024
    house.out_alg, house.in_alg = (f(house.phone, 5060, house.wan_ip, 1024)
                                   for f in (linux_out, linux_in))  # fmt: skip
    proxy = b"Via: SIP/2.0/UDP 203.0.113.5:5060;branch=z9hG4bKproxy%s\r\n"
    recorded = b"Record-Route: <sip:203.0.113.5;lr>\r\n"
    register(house, 0)
    register(other, 0.5, n=2)
    call = Outgoing(house, "inside@phone")
    call.invite(5)
    asked = call.seen.replace(b"Via:", proxy % b"1" + recorded + b"Via:", 1)
    asked = asked.replace(b"sip:300@example.net SIP", b"sip:300@198.51.100.2:1025 SIP")
    got = other.into(5.02, asked)
    final = answer(200, got, to_tag=call._tag, contact=other.contact, body=sdp(other.phone))
    ack = call._request("ACK", 1, "sip:300@198.51.100.2:1025", f";tag={call._tag}")
    ack = ack.replace(b"Max-Forwards", b"Route: <sip:203.0.113.5;lr>\r\nMax-Forwards", 1)
    for after in (0, *LADDER_2XX):
        sent = other.out(8 + after, final)
        house.into(8.01 + after, re.sub(proxy % b"1[^\r]*", b"", sent))
        seen = house.out(8.03 + after, ack)
        if back:
            seen = seen.replace(b"Route: <sip:203.0.113.5;lr>\r\n", b"")
            other.into(8.05 + after, seen.replace(b"Via:", proxy % b"2" + b"Via:", 1), lan=ignored)
    bye = request(
        "BYE", "sip:100@198.51.100.2:1024", via=f"{other.phone}:5060", branch="z9hG4bKbb",
        call_id=call.call_id, cseq=1, caller=f"<sip:300@example.net>;tag={call._tag}",
        callee="<sip:100@example.net>;tag=p-inside-phone",
    )  # fmt: skip
    seen = other.out(40, bye)
    done = house.out(40.05, answer(200, house.into(40.02, seen.replace(
        b"Via:", proxy % b"3" + b"Via:", 1))))  # fmt: skip
    other.into(40.07, re.sub(proxy % b"3", b"", done))
    house.lan += other.lan
    house.wan += other.wan
    return house


@case("dlg001-between-two-phones-stopped", [("DLG001", "router", "observed")],
      ["DLG002", "DLG004", "DLG006"], outcomes=["dropped"])  # fmt: skip
def _() -> House:
    """A phone calls another one of the same LAN. Its ACK has the Contact of the 2xx that it got;
    that the callee wrote another one is the ALG's doing. The ACK comes back, and stops here."""
    return _between_phones(House("linux"), back=True)


@case("dlg006-near-miss-between-two-phones", [("DLG001", "network", "observed")],
      ["DLG002", "DLG004", "DLG006"], outcomes=["dropped"])  # fmt: skip
def _() -> House:
    """The same, and the ACKs are lost beyond the router: no phone is to blame."""
    return _between_phones(House("linux"), back=False)


@case("dlg001-between-two-phones-ignored", [("DLG001", "unknown", "observed")],
      ["DLG002", "DLG004", "DLG006"], outcomes=["dropped"])  # fmt: skip
def _() -> House:
    """The ACKs come back and are delivered, and the callee repeats its 2xx all the same: nobody
    beyond the router has lost them."""
    return _between_phones(House("linux"), back=True, ignored=True)


@case("dlg001-answer-stopped-and-cancelled", [("DLG001", "router", "observed")],
      ["DLG002", "DLG004", *ALG], outcomes=["cancelled"])  # fmt: skip
def _() -> House:
    """The 2xx stops in the router, and the caller in the LAN, who still hears it ring, gives up
    with CANCEL: the call was lost to it."""
    house = House()
    call = Outgoing(house, "rings-on@phone")
    call.invite(1)
    call.respond(1.2, 180)
    for after in (0, *LADDER_2XX[:2]):
        call.ok(3 + after, lan=False)
    call.cancel(6)
    register(house, 60)
    return house


# ---- ended by a timer: no all-clear (RFC 3326, RFC 4028) ----


def _ended_for(reason: str) -> House:
    house = House()
    register(house, 0)
    call = Outgoing(house, "timed@phone")
    call.invite(1)
    call.ok(3)
    call.ack(3.02)
    call.far_bye(903, [f"Reason: {reason}"])
    return house


@case("dlg007-near-miss-timeout-in-reason", must_not=[*DLG, "DLG007", *ALG], outcomes=["completed"],
      state="cannot-tell")  # fmt: skip
def _() -> House:
    """The far end hangs up 900 s after its answer, and its BYE says that the session timer ran
    out: nothing shows who failed to refresh it, and the call did not end well."""
    return _ended_for('SIP;cause=408;text="Session Timeout"')


@case("dlg007-near-miss-normal-clearing", must_not=[*DLG, "DLG007", *ALG], outcomes=["completed"])
def _() -> House:
    """The same with the reason of a call that ends normally."""
    return _ended_for('Q.850;cause=16;text="Normal call clearing"')
