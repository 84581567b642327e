# SPDX-License-Identifier: Apache-2.0
"""Golden cases of ACK, PRACK and BYE that take another way than their dialog says."""

from __future__ import annotations

from typing import Any

from craft import LADDER_2XX, House, Incoming, Outgoing, answer, register, request, sdp, sized

from cases.case import ALG, DLG, case
from cases.refresh import LADDER_1XX, Reliable
from cases.six import DROP, HIDDEN, NATIVE, ODD, _dropped, _native, _six
from cases.streams import _over_tcp
from cases.variants_field import unacknowledged

OTHERS = [rule for rule in DLG if rule not in ("DLG001", "DLG007")]
PHONE_FIX = {"phone-fix": "recommended"}
TCP = ";transport=tcp"


# ---- DLG001: the ACK of a call over TCP ----


def _acknowledged_by_udp(contact: str, length: float = 0) -> House:
    """A call over TCP whose ACK goes over UDP. length: the phone hangs up after so many seconds;
    0: the 2xx is repeated and the far end ends the call."""
    house, udp = House(), House()
    register(house, 0)
    call, other = (Outgoing(h, "other@way", far_contact=contact) for h in (house, udp))
    call.invite(1)
    call.respond(1.3, 180)
    for after in (0, *LADDER_2XX) if not length else (0,):
        call.ok(3 + after)
        other.ack(3.01 + after)
    if length:
        call.bye(3 + length)
    else:
        call.far_bye(35.1)
    made = _over_tcp(house)
    house.lan, house.wan = made.lan + udp.lan, made.wan + udp.wan
    return house


@case("dlg001-tcp-and-ack-over-udp", [("DLG001", "phone", "observed")], [*OTHERS, *ALG], PHONE_FIX,
      DROP)  # fmt: skip
def _() -> House:
    """The 2xx comes over TCP, its Contact asks for TCP, and the phone sends its ACK over UDP."""
    return _acknowledged_by_udp(f"<sip:300@203.0.113.5:5060{TCP}>")


@case("dlg001-tcp-and-contact-without-transport", [("DLG001", "unknown", "observed")],
      [*OTHERS, *ALG], outcomes=DROP)  # fmt: skip
def _() -> House:
    """The Contact names no transport: the phone may take UDP for it."""
    return _acknowledged_by_udp("<sip:300@203.0.113.5:5060>")


@case("dlg001-near-miss-ack-over-udp-is-taken", must_not=[*DLG, *ALG])
def _() -> House:
    """The far end takes the ACK: it does not send its 2xx again, and the phone hangs up."""
    return _acknowledged_by_udp("<sip:300@203.0.113.5:5060>", 20)


def _never(contact: str) -> House:
    """A call over TCP whose 2xx is never acknowledged."""
    house = unacknowledged(contact)
    made = _over_tcp(house)
    house.lan, house.wan = made.lan, made.wan
    return house


@case("dlg001-ack-needs-another-connection", [("DLG001", "unknown", "observed")],
      [*OTHERS, *ALG], outcomes=DROP)  # fmt: skip
def _() -> House:
    """The Contact names another port than the connection has: the phone had to open a second one,
    and it is not known whether it tried."""
    return _never(f"<sip:300@203.0.113.5:17828{TCP}>")


@case("dlg001-near-miss-ack-needs-no-connection", [("DLG001", "phone", "observed")],
      [*OTHERS, *ALG], outcomes=DROP)  # fmt: skip
def _() -> House:
    """The Contact is the other end of the connection."""
    return _never(f"<sip:300@203.0.113.5:5060{TCP}>")


def _answered_here(acked: bool) -> House:
    """A call over TCP to a phone that names another port than its connection has."""
    house = House()
    register(house, 0)
    call = Incoming(house, "here@way", contact=f"<sip:100@{house.wan_ip}:5061{TCP}>")
    call.invite(1)
    call.ringing(1.2)
    for after in (0,) if acked else (0, *LADDER_2XX):
        call.ok(3 + after)
    if acked:
        call.ack(3.05)
    call.phone_bye(35.1)
    made = _over_tcp(house)
    house.lan, house.wan = made.lan, made.wan
    return house


@case("dlg001-ack-not-on-its-connection", [("DLG001", "unknown", "observed")], [*OTHERS, *ALG],
      outcomes=DROP)  # fmt: skip
def _() -> House:
    """TCP loses no ACK: the provider wanted a connection of its own, or sent none."""
    return _answered_here(acked=False)


@case("dlg001-near-miss-ack-on-its-connection", must_not=[*DLG, *ALG])
def _() -> House:
    """The provider keeps to the connection, whatever the Contact names."""
    return _answered_here(acked=True)


# ---- DLG001, DLG002: Contacts in calls over IPv6 ----


def _unacknowledged(contact: str, dst: str = "") -> House:
    """A call over IPv6. dst: the ACKs go there; else there are none."""
    house = _native()
    register(house, 0)
    call = Outgoing(house, "never@six", far_contact=contact)
    call.invite(1)
    for after in (0, *LADDER_2XX):
        call.ok(3 + after)
        if dst:
            call.ack(3.01 + after, dst=dst)
    call.far_bye(35.1)
    return house


@case("dlg001-ipv4-contact-over-ipv6", [("DLG001", "unknown", "observed")], [*OTHERS, *ALG],
      outcomes=DROP)  # fmt: skip
def _() -> House:
    """The provider's Contact is an IPv4 address, where the phone may not get."""
    return _six(_unacknowledged("<sip:300@203.0.113.99:5060>"), NATIVE)


@case("dlg002-unique-local-contact-of-far-end",
      [("DLG002", "provider", "observed"), ("DLG001", "provider", "observed")], ALG,
      {"provider-fix-contact": "recommended"}, DROP)  # fmt: skip
def _() -> House:
    """The provider's Contact is a unique local address: the ACK leaves, and arrives nowhere."""
    house = _unacknowledged("<sip:300@10.9.9.9:5060>", "10.9.9.9")
    return _six(house, {**NATIVE, "10.9.9.9": "fd00:42::9"})


@case("dlg001-near-miss-global-contact-of-far-end", [("DLG001", "network", "observed")],
      [*OTHERS, *ALG], outcomes=DROP)  # fmt: skip
def _() -> House:
    """A reachable Contact: the ACK is lost for another reason."""
    return _six(_unacknowledged("<sip:300@203.0.113.5:5060>", "203.0.113.5"), NATIVE)


@case("dlg001-contact-cut-short", [("DLG001", "phone", "observed")], [*OTHERS, *ALG], PHONE_FIX,
      DROP)  # fmt: skip
def _() -> House:
    """The phone's Contact is an incomplete IPv6 address."""
    return _six(_dropped(_native(), ODD), NATIVE, names={HIDDEN: "=[2001:db8:1"})


# ---- DLG008: the Route of a BYE ----


def _by_route(bye: str) -> House:
    """A proxy beside the one that got the INVITE records itself, and the ACK goes there. bye: the
    proxy in the Route of the phone's BYE, which is refused with 481."""
    house, recorded = House(), "<sip:203.0.113.6;lr>"
    register(house, 0)
    call = Outgoing(house, "route@phone", far_contact="<sip:300@203.0.113.60:5060>")
    call.invite(1)
    call.seen = call.seen.replace(b"Max-Forwards", f"Record-Route: {recorded}\r\nMax-Forwards"
                                  .encode(), 1)  # fmt: skip
    call.respond(1.3, 180)
    call.ok(3)

    def routed(method: str, cseq: int, host: str) -> bytes:
        made = call._request(method, cseq, "sip:300@203.0.113.60:5060", f";tag={call._tag}")
        return made.replace(b"Max-Forwards", f"Route: <sip:{host};lr>\r\nMax-Forwards".encode(), 1)

    house.out(3.02, routed("ACK", 1, "203.0.113.6"), dst="203.0.113.6")
    seen = house.out(60, routed("BYE", 2, bye), dst=bye)
    house.into(60.03, answer(481, seen), src=bye)
    return house


@case("dlg008-bye-by-another-route", [("DLG008", "phone", "observed")], [*DLG, *ALG], PHONE_FIX)
def _() -> House:
    """The phone has changed the route set in the call: its BYE goes to a proxy that does not know
    the call."""
    return _by_route("203.0.113.9")


@case("dlg008-near-miss-bye-by-the-route-of-the-ack", [("DLG008", "provider", "observed")],
      [*DLG, *ALG], {"enable-rport-stun-outbound": "recommended",
                     "provider-fix-contact": "recommended"})  # fmt: skip
def _() -> House:
    """The BYE goes where the ACK went."""
    return _by_route("203.0.113.6")


# ---- DLG013: the target of a PRACK ----


def _pracked(uri: str) -> House:
    """The PRACK of the phone goes to this URI, and is refused with 481."""
    call = Reliable(House(), "pracked@phone")
    house = call.house
    register(house, 0)
    call.invite(1)
    call.respond(1.03, 100)
    call.progress(1.3)
    made = call._request("PRACK", 2, uri, f";tag={call._tag}")
    made = made.replace(b"Max-Forwards", b"RAck: 1 1 INVITE\r\nMax-Forwards")
    house.into(1.4, answer(481, house.out(1.35, made)))
    for after in LADDER_1XX:
        call.progress(1.3 + after)
    call.respond(33.4, 504)
    call.nak(33.42)
    return house


@case("dlg013-prack-to-another-contact", [("DLG013", "phone", "observed")],
      [rule for rule in DLG if rule != "DLG013"], PHONE_FIX, ["rejected"])  # fmt: skip
def _() -> House:
    """The phone sends its PRACK to the Contact of another callee, which does not know it."""
    return _pracked("sip:301@203.0.113.77:5060")


@case("dlg013-near-miss-prack-to-the-contact", [("DLG013", "network", "observed")],
      [rule for rule in DLG if rule != "DLG013"], {}, ["rejected"])  # fmt: skip
def _() -> House:
    """It goes to the Contact of its response, and is refused all the same."""
    return _pracked("sip:300@203.0.113.5:5060")


def _callee(contact: str | None, uri: str = "", cancels: bool = False) -> House:
    """The phone's 183 asks for PRACK. contact: of it, None for its own address. uri: a PRACK comes
    to it, and is refused with 404. cancels: the caller hangs up before the phone gives up."""
    house = House()
    register(house, 0)
    call = Incoming(house, "asks@phone", contact=house.contact)
    made: dict[str, Any] = {"via": f"{house.provider}:5060", "call_id": "asks@phone",
                            "caller": "<sip:300@example.net>;tag=far"}  # fmt: skip
    shown = house.contact if contact is None else contact
    invite = request(
        "INVITE", f"sip:100@{house.public}", branch="z9hG4bKasks", cseq=1,
        callee="<sip:100@example.net>", contact=f"<sip:300@{house.provider}:5060>",
        more=["Supported: 100rel"], body=sdp(house.provider, 20000), **made,
    )  # fmt: skip
    seen = house.into(1, sized(invite))
    house.out(1.02, answer(100, seen))
    for after in (0, *(LADDER_1XX if not cancels else LADDER_1XX[:7])):
        house.out(1.3 + after, answer(
            183, seen, to_tag=call._tag, contact=shown,
            more=["Require: 100rel", "RSeq: 1"], body=sdp(house.phone),
        ))  # fmt: skip
        if uri and not after:
            prack = request("PRACK", uri, branch="z9hG4bKprack", cseq=2,
                            callee=f"<sip:100@example.net>;tag={call._tag}",
                            more=["RAck: 1 1 INVITE"], **made)  # fmt: skip
            house.out(1.37, answer(404, house.into(1.35, prack)))
    if cancels:
        at = 28.04
        cancel = request("CANCEL", f"sip:100@{house.public}", branch="z9hG4bKasks", cseq=1,
                         callee="<sip:100@example.net>", **made)  # fmt: skip
        house.out(at - 0.02, answer(200, house.into(at - 0.04, cancel), to_tag=call._tag))
        house.out(at, answer(487, seen, to_tag=call._tag))
    else:
        at = 33.4
        house.out(at, answer(504, seen, to_tag=call._tag))
    house.into(at + 0.02, request("ACK", f"sip:100@{house.public}", branch="z9hG4bKasks", cseq=1,
                                  callee=f"<sip:100@example.net>;tag={call._tag}",
                                  **made))  # fmt: skip
    return house


@case("dlg013-prack-to-the-name", [("DLG013", "provider", "observed")],
      [rule for rule in DLG if rule != "DLG013"], {"provider-fix": "recommended"},
      ["rejected"])  # fmt: skip
def _() -> House:
    """The provider sends its PRACK to the name of the account, and not to the phone's Contact."""
    return _callee(None, "sip:100@example.net")


@case("dlg013-near-miss-prack-to-where-packets-come-from", [("DLG013", "phone", "observed")],
      [rule for rule in DLG if rule != "DLG013"], {}, ["rejected"])  # fmt: skip
def _() -> House:
    """The provider handles the NAT: it writes the address of the packets, and the phone refuses
    the PRACK."""
    return _callee(None, "sip:100@198.51.100.2:5060")


@case("dlg013-no-contact", [("DLG013", "phone", "observed")],
      [rule for rule in DLG if rule != "DLG013"], PHONE_FIX, ["rejected"])  # fmt: skip
def _() -> House:
    """The phone's 183 has no Contact, so nobody knows where to send the PRACK."""
    return _callee("")


@case("dlg013-prack-to-the-name-and-cancelled", [("DLG013", "provider", "latent")],
      [rule for rule in DLG if rule != "DLG013"], {}, ["cancelled"],
      state="cannot-tell")  # fmt: skip
def _() -> House:
    """The caller hangs up meanwhile: nothing shows that it did so for want of a PRACK, and this is
    no all-clear."""
    return _callee(None, "sip:100@example.net", cancels=True)
