# SPDX-License-Identifier: Apache-2.0
"""Golden cases after public reports: what a request carried is refused, an answer is too long, a
phone has moved."""

from __future__ import annotations

from collections.abc import Sequence

from craft import (
    LADDER_2XX,
    LADDER_INVITE,
    House,
    Incoming,
    Outgoing,
    answer,
    fragmented,
    outgoing_call,
    register,
    request,
    sdp,
)
from refusals import with_body

from cases.case import ALG, DLG, case
from cases.taken_out import without

NO = [*DLG, *ALG]


def later(house: House, at: float = 100) -> House:
    """Another phone here with another provider, so that time goes on."""
    other = House(phone="192.168.1.99", wan_port=40099, provider="203.0.113.77")
    register(other, at, n=99)
    outgoing_call(other, at + 1, "then@phone")
    house.lan += other.lan
    house.wan += other.wan
    return house


# ---- DLG013: a PRACK that does not end it ----


def _acknowledged(ends: bool) -> House:
    """A reliable 183 of the far end, and a PRACK at once. ends: it ends the repetition."""
    house = House()
    register(house, 0)
    call = Outgoing(house, "prack@phone")
    made = call._request("INVITE", 1, "sip:300@example.net", "", call.contact, call.body)
    call.invited = made.replace(b"Max-Forwards", b"Supported: 100rel\r\nMax-Forwards")
    call.invite(1)
    for after in (0,) if ends else (0, 0.5, 1.5, 3.5, 7.5, 15.5, 31.5):
        house.into(1.2 + after, answer(
            183, call.seen, to_tag=call._tag, contact=call.far_contact, received=house.wan_ip,
            rport=house.wan_port, more=["Require: 100rel", "RSeq: 7"],
        ))  # fmt: skip
    prack = request(
        "PRACK", "sip:300@203.0.113.5:5060", via="192.168.1.10:5060", branch="z9hG4bKprack",
        call_id="prack@phone", cseq=2, caller="<sip:100@example.net>;tag=p-prack-phone",
        callee=f"<sip:300@example.net>;tag={call._tag}",
        more=["RAck: 7 1 INVITE" if ends else "RAck: 7 9 INVITE"],
    )  # fmt: skip
    seen = house.out(1.25, prack)
    house.into(1.3, answer(200 if ends else 481, seen))
    call.respond(33.2, 504)
    call.nak(33.25)
    return later(house)


@case("dlg013-prack-in-vain", [("DLG013", "phone", "observed")], NO,
      {"phone-fix": "recommended"}, ["rejected", "completed"])  # fmt: skip
def _() -> House:
    """The RAck of the phone's PRACK names another CSeq number than its INVITE and the 183 have, so
    the 183 comes again until the far end gives up."""
    return _acknowledged(False)


@case("dlg013-near-miss-prack-ends-it", must_not=["DLG013", *NO], state="hurts",
      outcomes=["rejected", "completed"])  # fmt: skip
def _() -> House:
    """The PRACK is accepted, and the call is refused with 504 for another reason."""
    return _acknowledged(True)


# ---- TXN002 ----


@case("txn002-ack-with-another-sent-by", [("TXN002", "phone", "latent")], NO,
      outcomes=["rejected", "completed"])  # fmt: skip
def _() -> House:
    """A PBX with two addresses puts the second one into the Via of its ACK: the 486 comes again."""
    house = House()
    register(house, 0)
    call = Outgoing(house, "busy@phone")
    call.invite(1)
    nak = call._request("ACK", 1, "sip:300@example.net", f";tag={call._tag}", branch="invite")
    for after in (0, *LADDER_2XX):
        call.respond(3 + after, 486)
        house.out(3.02 + after, nak.replace(b"UDP 192.168.1.10", b"UDP 10.8.0.2"))
    return later(house)


# ---- ALG018: Min-SE ----


def _too_small(taken: bool) -> House:
    house = House()
    register(house, 0)
    call = Outgoing(house, "timer@phone")
    call.invite(1)
    made = answer(422, call.seen, to_tag=call._tag, received=house.wan_ip, rport=house.wan_port,
                  more=["Min-SE: 1800"])  # fmt: skip
    house.into(1.05, made, alg=without("Min-SE") if taken else None)
    call.nak(1.06)
    return later(house)


@case("alg018-min-se", [("ALG018", "router", "observed")], NO, {"disable-sip-alg": "suspected"},
      ["completed", "rejected"])  # fmt: skip
def _() -> House:
    """The session interval is refused as too small, and the router takes out which one would do:
    the phone cannot call again with that."""
    return _too_small(True)


@case("alg018-near-miss-min-se", must_not=["ALG018", *NO], state="hurts",
      outcomes=["completed", "rejected"])  # fmt: skip
def _() -> House:
    """The phone is told, and does not call again all the same."""
    return _too_small(False)


# ---- TXN003: what was sent is refused ----


def _pressed(kind: str, status: int) -> House:
    """INFO requests of the phone in a call. kind: their Content-Type."""
    house = House()
    register(house, 0)
    call = Outgoing(house, "keys@phone")
    call.invite(1)
    call.ok(3)
    call.ack(3.02)
    for cseq in (2, 3):
        made = call._request("INFO", cseq, "sip:300@203.0.113.5:5060", f";tag={call._tag}",
                             branch=f"info{cseq}")  # fmt: skip
        made = made.replace(b"Content-Length", b"Content-Type: %s\r\nContent-Length"
                            % kind.encode())  # fmt: skip
        house.into(5.05 + cseq, answer(status, house.out(5 + cseq, made)))
    made = call._request("BYE", 4, "sip:300@203.0.113.5:5060", f";tag={call._tag}")
    house.into(20.03, answer(200, house.out(20, made)))
    return house


@case("txn003-key-refused", [("TXN003", "network", "latent")], NO, state="cannot-tell")
def _() -> House:
    """The phone sends the keys that its user presses as INFO, and the provider refuses them with
    415: the menu of a voice mailbox hears nothing, unless they go in RTP as well."""
    return _pressed("application/dtmf-relay", 415)


@case("txn003-near-miss-other-info-refused", must_not=["TXN003", *NO])
def _() -> House:
    """INFO that asks for a fresh picture is refused: a call without video needs none."""
    return _pressed("application/media_control+xml", 415)


def _text(status: int) -> House:
    house = House()
    register(house, 0)
    made = request(
        "MESSAGE", "sip:200@example.net", via="192.168.1.10:5060", branch="z9hG4bKtext",
        call_id="text@phone", cseq=1, caller="<sip:100@example.net>;tag=t1",
        callee="<sip:200@example.net>",
    )  # fmt: skip
    made = with_body(made, "text/plain")
    house.into(1.05, answer(status, house.out(1, made)))
    return later(house)


@case("txn003-text-refused", [("TXN003", "provider", "observed")], NO)
def _() -> House:
    """A text message is refused with 403: nobody gets it."""
    return _text(403)


@case("txn003-near-miss-text-to-nobody", must_not=["TXN003", *NO])
def _() -> House:
    """A text message to a number that does not exist."""
    return _text(404)


@case("txn003-near-miss-text-to-a-phone", [("TXN003", "phone", "latent")], NO,
      state="cannot-tell")  # fmt: skip
def _() -> House:
    """The provider sends a text message to a phone, which takes none (405): that hurts nobody who
    did not expect one."""
    house = House()
    register(house, 0)
    made = request(
        "MESSAGE", f"sip:100@{house.public}", via="203.0.113.5:5060", branch="z9hG4bKtext",
        call_id="text@provider", cseq=1,
    )  # fmt: skip
    made = with_body(made, "text/plain")
    house.out(1.02, answer(405, house.into(1, made), to_tag="t1"))
    return later(house)


# ---- REG002: no time at all ----


@case("reg002-grants-nothing", [("REG002", "provider", "observed")], NO,
      {"provider-fix": "recommended"})  # fmt: skip
def _() -> House:
    """The 200 to a REGISTER lists the Contact of the phone with expires=0, as if it had taken
    itself off."""
    house = House()
    asked = request(
        "REGISTER", "sip:example.net", via="192.168.1.10:5060", branch="z9hG4bKreg1",
        call_id="reg1@phone", cseq=1, caller="<sip:100@example.net>;tag=r1",
        contact=house.contact, more=["Expires: 3600"],
    )  # fmt: skip
    house.into(0.03, answer(200, house.out(0, asked), contact=f"{house.contact};expires=0"))
    return later(house)


# ---- TXN001: a phone that has moved ----


def _moved(back: bool) -> House:
    """An account registers from one LAN address, then from another one. back: and once more from
    the first one. The call comes to the first one."""
    old, new = House(), House(phone="192.168.1.20", wan_port=40020)
    register(old, 0, expires=3600, n=1)
    register(new, 60, expires=3600, n=2)
    if back:
        register(old, 80, expires=3600, n=3)
    call = Incoming(old, "moved@provider")
    for after in (0, *LADDER_INVITE):
        call.invite(110 + after)
    old.lan += new.lan
    old.wan += new.wan
    return later(old, 200)


@case("txn001-phone-has-moved", [("TXN001", "unknown", "observed")], NO,
      outcomes=["unanswered", "completed"])  # fmt: skip
def _() -> House:
    """The phone has got another address by DHCP and registered from there; the call comes to the
    address that it had before, where nobody is: the phone is not blamed."""
    return _moved(False)


@case("txn001-near-miss-two-phones-of-one-account", [("TXN001", "phone", "observed")], NO,
      outcomes=["unanswered", "completed"])  # fmt: skip
def _() -> House:
    """Two phones of one account: the one that was called has registered last, and is silent."""
    return _moved(True)


# ---- SIZE001: an answer in fragments ----


def _long_answer(statuses: Sequence[int]) -> House:
    """A 2xx in IP fragments that stops at the router. statuses: of the provisional responses that
    cross."""
    house = House()
    register(house, 0)
    call = Outgoing(house, "long@phone")
    call.invite(1)
    for status in statuses:
        call.respond(1.3, status)
    made = answer(
        200, call.seen, to_tag=call._tag, contact=call.far_contact, received=house.wan_ip,
        rport=house.wan_port, body=sdp(house.provider) + b"a=x:" + b"y" * 1600 + b"\r\n",
    )  # fmt: skip
    for after in (0, *LADDER_2XX):
        house.into(3 + after, made, lan=False)
    call.far_bye(35)
    house.wan = fragmented(house.wan)
    return later(house)


@case("size001-answer-in-fragments",
      [("SIZE001", "router", "observed"), ("DLG001", "router", "observed")], [*DLG[1:], *ALG],
      {"smaller-messages-or-tcp": "recommended"}, ["dropped", "completed"])  # fmt: skip
def _() -> House:
    """The provider's 200 has many codecs and comes in IP fragments, which the router does not put
    together; its 180 is short, and crosses."""
    return _long_answer([180])


@case("size001-near-miss-nothing-crosses", [("DLG001", "router", "observed")],
      ["SIZE001", *DLG[1:], *ALG], outcomes=["dropped", "completed"])  # fmt: skip
def _() -> House:
    """Nothing shorter crosses either: the length need not be why."""
    return _long_answer([])
