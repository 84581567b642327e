# SPDX-License-Identifier: Apache-2.0
"""Golden cases of faults whose author only the other copy, or what came before, shows: rport that
the router took out, a BYE that it readdressed, a phone that moved, a 487 that nobody asked for."""

from __future__ import annotations

import re

from craft import (
    LADDER_2XX,
    LADDER_INVITE,
    LADDER_REQUEST,
    House,
    Incoming,
    Outgoing,
    Rewriter,
    Timed,
    answer,
    outgoing_call,
    register,
    request,
)

from cases.case import ALG, DLG, PHONE_OR_PROVIDER, case
from cases.reports import later

# ---- rport ----


def _takes_out(message: bytes) -> bytes:
    """The router takes out what shows a phone its public address."""
    return re.sub(rb";received=[^;\r]*", b"", re.sub(rb";rport=\d+", b";rport", message))


def _unreachable(alg: Rewriter | None = None) -> House:
    """The NAT maps the port, and the phone goes on with its private Contact. alg: inbound."""
    house = House(wan_port=40000)
    if alg is not None:
        house.in_alg = alg
    register(house, 0)
    call = Incoming(house, "unreachable@provider")
    call.invite(1)
    call.ringing(1.2)
    call.ok(3)
    call.dropped(3)
    return house


@case("dlg002-rport-taken-out",
      [("DLG002", "unknown", "observed"), ("DLG001", "network", "observed"),
       ("ALG002", "router", "latent")], ["DLG004", "ALG011"],
      dict.fromkeys(PHONE_OR_PROVIDER, "suspected"), ["dropped"])  # fmt: skip
def _() -> House:
    """The router takes received and rport out of the responses to the phone, so the phone cannot
    know its public address: that its Contact is private is no proof against it."""
    return _unreachable(_takes_out)


@case("dlg002-near-miss-rport-kept",
      [("DLG002", "phone", "observed"), ("DLG001", "network", "observed")], ["DLG004", *ALG],
      PHONE_OR_PROVIDER, ["dropped"])  # fmt: skip
def _() -> House:
    """The phone gets both, and makes nothing of them."""
    return _unreachable()


def _without_rport(phone_asks: bool) -> House:
    """A REGISTER that leaves without rport and is not answered. phone_asks: the router took it
    out."""
    house = House(wan_port=40123)
    if phone_asks:
        house.out_alg = lambda message: message.replace(b";rport;", b";")
    made = request(
        "REGISTER", "sip:example.net", via=f"{house.phone}:5060", branch="z9hG4bKreg9",
        call_id=f"reg9@{house.phone}", cseq=1, rport=phone_asks,
        caller="<sip:100@example.net>;tag=r1", contact=house.contact, more=["Expires: 120"],
    )  # fmt: skip
    for after in (0, *LADDER_REQUEST):
        house.out(20 + after, made)
    other = House(phone="192.168.1.11", wan_port=40011)
    outgoing_call(other, 70, "later@phone")
    house.lan += other.lan
    house.wan += other.wan
    return house


@case("nat001-rport-taken-out",
      [("NAT001", "router", "latent"), ("REG001", "network", "observed"),
       ("ALG002", "router", "latent")], ["TXN006", *DLG, "ALG011"])  # fmt: skip
def _() -> House:
    """The phone asks for rport, and the router takes that out: the phone need not turn it on."""
    return _without_rport(True)


@case("nat001-near-miss-rport-not-asked-for",
      [("NAT001", "phone", "latent"), ("REG001", "network", "observed")], ["TXN006", *DLG, *ALG],
      )  # fmt: skip
def _() -> House:
    """The phone does not ask."""
    return _without_rport(False)


# ---- a BYE to nobody ----


def _not_found(uri: str, contact: str = "", leaves: str = "") -> House:
    """A BYE of the phone for uri, refused with 404. contact: which the router writes in place of
    the far end's; leaves: the Request-URI with which the BYE leaves."""
    house = House()
    register(house, 0)
    call = Outgoing(house, "bye@phone")
    call.invite(1)
    call.respond(1.2, 180)
    far = call.far_contact.strip("<>")
    call.ok(3, alg=lambda message: message.replace(far.encode(), (contact or far).encode()))
    call.ack(3.02)
    bye = call._request("BYE", 2, uri, f";tag={call._tag}")
    seen = house.out(9, bye, alg=lambda message: message.replace(
        b"BYE " + uri.encode(), b"BYE " + (leaves or uri).encode()))  # fmt: skip
    house.into(9.03, answer(404, seen))
    return later(house, 60)


FAR, OTHER = "sip:300@203.0.113.5:5060", "sip:300@203.0.113.5:5999"
TWO = ["completed", "completed"]


@case("dlg008-far-contact-changed",
      [("DLG008", "router", "observed"), ("ALG001", "router", "latent")], [*DLG, "ALG014"],
      {"disable-sip-alg": "suspected"}, TWO)  # fmt: skip
def _() -> House:
    """The router writes another port into the Contact of the far end, and the BYE of the phone
    goes there."""
    return _not_found(OTHER, contact=OTHER)


@case("dlg008-request-uri-changed",
      [("DLG008", "router", "observed"), ("ALG003", "router", "latent")], [*DLG, "ALG014"],
      {"disable-sip-alg": "suspected"}, TWO)  # fmt: skip
def _() -> House:
    """The router writes another port into the Request-URI of the BYE."""
    return _not_found(FAR, leaves=OTHER)


@case("dlg008-near-miss-far-contact-changed-back",
      [("DLG008", "unknown", "observed"), ("ALG001", "router", "latent")], DLG,
      outcomes=TWO)  # fmt: skip
def _() -> House:
    """The router writes another port into the Contact of the far end, and changes it back on the
    way out: the BYE left as the far end wanted it."""
    return _not_found(OTHER, contact=OTHER, leaves=FAR)


@case("dlg008-near-miss-uri-of-the-phone", [("DLG008", "unknown", "observed")], [*DLG, *ALG],
      outcomes=TWO)  # fmt: skip
def _() -> House:
    """The phone has made up that port itself."""
    return _not_found(OTHER)


# ---- a phone that moved ----


def _unheard(phone: str = "192.168.1.10", port: int = 5060, wan_port: int = 5060) -> House:
    """A re-INVITE of a phone at that place, which nobody answers."""
    house = House()
    call = Timed(house, "uac", call_id="moves@phone")
    house.phone, house.port, house.wan_port = phone, port, wan_port
    call.refresh(20, "INVITE", LADDER_INVITE)
    call.far_bye(60)
    return later(house, 90)


@case("txn001-re-invite-from-another-address", [("TXN001", "unknown", "observed")], [*DLG, *ALG],
      outcomes=TWO)  # fmt: skip
def _() -> House:
    """The phone gets another LAN address in the call: the far end may not take its re-INVITE for
    this call, and the network is not blamed."""
    return _unheard("192.168.1.99", wan_port=40099)


@case("txn001-re-invite-from-another-port", [("TXN001", "unknown", "observed")], [*DLG, *ALG],
      outcomes=TWO)  # fmt: skip
def _() -> House:
    """The phone sends from another port in the call."""
    return _unheard(port=5070, wan_port=40099)


@case("txn001-near-miss-re-invite-from-its-place", [("TXN001", "network", "observed")],
      [*DLG, *ALG], outcomes=TWO)  # fmt: skip
def _() -> House:
    """The phone is where it was."""
    return _unheard()


# ---- a 487 that nobody asked for ----


def _ended(*statuses: int, cancelled: bool = False) -> House:
    """A call with these final responses. cancelled: by the phone."""
    house = House()
    register(house, 0)
    call = Outgoing(house, "stray@phone")
    call.invite(1)
    call.respond(1.03, 100)
    if cancelled:
        call.cancel(1.1)
    for n, status in enumerate(statuses):
        call.respond(1.2 + n / 20, status)
        call.nak(1.21 + n / 20)
    return house


@case("call-refused-behind-a-stray-487", must_not=[*DLG, *ALG], outcomes=["rejected"],
      state="hurts")  # fmt: skip
def _() -> House:
    """Nobody cancelled the call: a 487 comes, and then the 403 of the provider."""
    return _ended(487, 403)


@case("call-ended-with-487-and-not-cancelled", must_not=[*DLG, *ALG], outcomes=["unknown"],
      state="cannot-tell")  # fmt: skip
def _() -> House:
    """Nobody cancelled the call, and 487 is all that came."""
    return _ended(487)


@case("call-near-miss-cancelled-and-refused", must_not=[*DLG, *ALG], outcomes=["cancelled"])
def _() -> House:
    """The phone cancelled the call: whatever comes after the 487 is too late."""
    return _ended(487, 403, cancelled=True)


# ---- the next server ----

NEXT = "203.0.113.6"


def _goes_on(cseq: int, answers: bool = True, leaves: bool = True) -> House:
    """A server that is silent, and the same call at the next one (RFC 3263 section 4.3). cseq: of
    that INVITE; leaves: the first one leaves the router."""
    house = House()
    register(house, 0)
    call = Outgoing(house, "next@phone", far_contact=f"<sip:300@{NEXT}:5060>")
    for after in (0, *LADDER_INVITE):
        call.invite(10 + after, wan=leaves)
    call.invited = call._request(
        "INVITE", cseq, "sip:300@example.net", "", call.contact, call.body, branch="next"
    )
    for after in (0,) if answers else (0, *LADDER_INVITE):
        call.invite(42.1 + after, dst=NEXT)
    if answers:
        call.respond(42.3, 180, src=NEXT)
        call.ok(44, src=NEXT)
        for at, method, number in ((44.02, "ACK", cseq), (60, "BYE", cseq + 1)):
            uri = call.far_contact.strip("<>")
            seen = house.out(at, call._request(method, number, uri, f";tag={call._tag}"), dst=NEXT)
        house.into(60.03, answer(200, seen), src=NEXT)
    return later(house, 100)


for _cseq, _name in ((1, "same-number"), (2, "next-number")):

    @case(f"txn001-next-server-{_name}", [("TXN001", "unknown", "latent")], [*DLG, *ALG],
          outcomes=TWO)  # fmt: skip
    def _(cseq: int = _cseq) -> House:
        """Nobody answers at the first server, and the next one takes the call: it works."""
        return _goes_on(cseq)


@case("txn001-near-miss-next-server-silent", [("TXN001", "network", "observed")], [*DLG, *ALG],
      outcomes=["unanswered", "completed"])  # fmt: skip
def _() -> House:
    """Nobody answers at any."""
    return _goes_on(2, answers=False)


@case("txn001-near-miss-next-server-and-stopped-here", [("TXN001", "router", "observed")],
      [*DLG, *ALG], outcomes=TWO)  # fmt: skip
def _() -> House:
    """This router stopped the first one: the server was not silent."""
    return _goes_on(2, leaves=False)


# ---- two re-INVITEs, one behind the other ----


def _two_re_invites(late: bool) -> House:
    """The 2xx of the first is repeated for want of an ACK, the second has its ACK. late: so has the
    first, in the end."""
    house = House()
    call = Timed(house, "uac", call_id="two@phone")
    uri, tag = call.far_contact.strip("<>"), f";tag={call._tag}"
    first = call.refresh(20, "INVITE")
    for after in (0, *LADDER_2XX[: 6 if late else None]):
        call.accept(20.03 + after, first)
    call.accept(30.03, call.refresh(30, "INVITE"))
    house.out(30.06, call._request("ACK", 3, uri, tag, branch="ack3"))
    if late:
        house.out(36, call._request("ACK", 2, uri, tag, branch="ack2"))
    call.far_bye(52.03)
    return later(house, 100)


@case("call-earlier-re-invite-unacknowledged", must_not=[*DLG, *ALG],
      outcomes=["completed", "dropped"], state="hurts")  # fmt: skip
def _() -> House:
    """The far end waits for the first ACK for 64*T1 and gives the call up, whatever else it got."""
    return _two_re_invites(late=False)


@case("call-near-miss-earlier-re-invite-acknowledged-late", must_not=[*DLG, *ALG], outcomes=TWO)
def _() -> House:
    """The first ACK comes at last, and the far end hangs up by chance when its time is over."""
    return _two_re_invites(late=True)
