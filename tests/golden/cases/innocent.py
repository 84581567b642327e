# SPDX-License-Identifier: Apache-2.0
"""Golden cases in which the place that looks guilty is innocent, each beside one where it is not:
a call out in a gap of the LAN capture, a far end that followed the Contact, a port that only a Via
names, a provider that finds another phone here past its private Contact."""

from __future__ import annotations

import re

from craft import (
    LADDER_INVITE,
    LADDER_REQUEST,
    House,
    Incoming,
    Outgoing,
    answer,
    incoming_call,
    outgoing_call,
    register,
    request,
    works_beside,
)

from cases.case import ALG, DLG, case
from cases.flows import unpracked
from cases.refresh import Reliable

# ---- calls out in a gap of the LAN capture ----


def _unseen(answered: bool) -> House:
    """The LAN capture lacks a call of the phone as a whole."""
    house = House()
    register(house, 0)
    outgoing_call(house, 1, "fine@phone")
    call = Outgoing(house, "gap@phone")
    for after in (0,) if answered else (0, *LADDER_INVITE):
        call.invite(20 + after, lan=False)
    if answered:
        call.respond(20.3, 486, lan=False)
        house.out(20.32, call._request("ACK", 1, "sip:300@example.net", f";tag={call._tag}",
                                       branch="invite"), lan=False)  # fmt: skip
    register(house, 90, n=2)
    return house


@case("reg006-near-miss-call-out-in-a-gap", must_not=["REG006", "TXN001", *DLG, *ALG],
      outcomes=["completed", "rejected"], state="cannot-tell")  # fmt: skip
def _() -> House:
    """It came from the address that the phones here leave with: no call to a phone."""
    return _unseen(True)


@case("txn001-call-out-in-a-gap", [("TXN001", "unknown", "observed")], ["REG006", *DLG, *ALG],
      outcomes=["completed", "unanswered"])  # fmt: skip
def _() -> House:
    """The same without an answer: the INVITE has left this router."""
    return _unseen(False)


# ---- the Contact of the phone, and the port that its packets leave with ----


def _bye_to(house: House, contact: str = "") -> House:
    """The far end hangs up at port 5090, where the NAT maps nothing."""
    register(house, 0)
    call = Outgoing(house, "one@phone", contact)
    call.set_up(1)
    for after in (0, *LADDER_REQUEST):
        house.into(9 + after, call.from_far("BYE"), lan=False, wan_port=5090)
    works_beside(house, 60)
    return house


@case("txn003-bye-to-the-port-written",
      [("TXN003", "router", "observed"), ("ALG011", "router", "latent")], ["ALG014"],
      outcomes=["completed", "completed"])  # fmt: skip
def _() -> House:
    """The router writes its address with a port of its own into the Contact, and the BYE of the far
    end comes to that port. Nothing of this BYE crosses, so anybody may have sent it: no advice."""
    house = House(wan_port=40010)
    house.out_alg = lambda message: re.sub(
        rb"@192\.168\.1\.10:5060>", b"@198.51.100.2:5090>", message
    )
    return _bye_to(house)


@case("txn003-bye-to-the-port-in-a-public-contact", [("TXN003", "unknown", "observed")], [*ALG],
      outcomes=["completed", "completed"])  # fmt: skip
def _() -> House:
    """The phone writes that address and port itself: the far end does as it is told."""
    return _bye_to(House(wan_port=40010), "<sip:100@198.51.100.2:5090>")


@case("txn003-near-miss-bye-to-no-contact", [("TXN003", "provider", "observed")], [*ALG],
      {"provider-fix": "suspected"}, ["completed", "completed"])  # fmt: skip
def _() -> House:
    """No Contact names that port: the provider has made it up."""
    return _bye_to(House(wan_port=40010))


@case("dlg013-response-to-another-port",
      [("DLG013", "phone", "observed"), ("TXN006", "phone", "observed")], ["ALG008", *ALG],
      {"enable-rport-stun-outbound": "recommended"}, ["unanswered"])  # fmt: skip
def _() -> House:
    """The phone does not ask for rport, so its 183 comes to the port in Via, and the router, whose
    NAT maps another one, need not let it in."""
    house = House(wan_port=40010)
    call = Reliable(house, "eaten@phone", rport=False)
    for after in (0, *LADDER_INVITE):
        call.invite(1 + after)
        call.progress(1.3 + after, lan=False, wan_port=5060)
    call.respond(33.4, 504, lan=False, wan_port=5060)
    register(house, 60, n=2)
    return house


# ---- a port that only the Via of the sender names ----


def _late(port: int) -> House:
    """A capture begun long after the phone has registered: an INVITE in vain."""
    house = House(wan_port=40010)
    call = Incoming(house, "late@provider")
    for after in (0, *LADDER_INVITE):
        call.invite(1 + after, via_port=port, lan_port=port)
    works_beside(house, 100)
    return house


@case("txn001-delivered-to-the-port-of-via",
      [("TXN001", "unknown", "observed")], ["REG006", *DLG],
      outcomes=["completed", "unanswered"])  # fmt: skip
def _() -> House:
    """The router gave it to port 5080, which the Via of its sender names and nothing of the phone
    does (the helper's forced destination port)."""
    return _late(5080)


@case("txn001-near-miss-delivered-to-the-phone",
      [("TXN001", "phone", "observed")], ["REG006", *DLG],
      outcomes=["completed", "unanswered"])  # fmt: skip
def _() -> House:
    """The Via names the port that its sender has: nothing shows that it was the reason."""
    return _late(5060)


# ---- a provider that finds another phone here past its private Contact ----


@case("dlg013-nat-is-handled-beside", [("DLG013", "network", "observed")], [*DLG, *ALG],
      outcomes=["completed", "rejected"])  # fmt: skip
def _() -> House:
    """No PRACK comes to a phone with a private Contact, past which its provider finds another phone
    here."""
    house = unpracked()
    works_beside(house, 1)
    return house


@case("dlg013-nat-is-handled-beside-later", [("DLG013", "network", "observed")], [*DLG, *ALG],
      outcomes=["completed", "rejected"])  # fmt: skip
def _() -> House:
    """The same with that call later: the order of calls does not matter."""
    house = unpracked()
    works_beside(house, 70)
    return house


@case("dlg013-near-miss-called-beside-by-a-stranger", [("DLG013", "phone", "observed")],
      [*DLG, *ALG],
      {"enable-rport-stun-outbound": "recommended", "provider-fix-contact": "recommended"},
      ["completed", "rejected"])  # fmt: skip
def _() -> House:
    """The provider has never accepted that other phone, so it may be anybody who calls it."""
    house = unpracked()
    other = House(phone="192.168.1.77", wan_port=40077)
    incoming_call(other, 70, "beside@provider", fixed_contact=f"sip:100@{other.public}")
    house.lan += other.lan
    house.wan += other.wan
    return house


@case("dlg002-near-miss-nat-is-handled-beside", [("DLG001", "network", "observed")],
      ["DLG002", *ALG], outcomes=["completed", "dropped"])  # fmt: skip
def _() -> House:
    """No ACK comes to such a phone, either."""
    house = House()
    register(house, 0)
    call = Incoming(house, "drop@provider")
    call.invite(20)
    call.dropped(22)
    works_beside(house, 1)
    return house


# ---- a PRACK with another Request-URI ----


def _refused(house: House, contact: str = "") -> House:
    """The phone announces its public address, or another Contact, and refuses a PRACK for it."""
    register(house, 0)
    shown = contact or f"<sip:100@{house.public}>"
    call = Incoming(house, "prack@provider", shown, more=["Supported: 100rel"])
    call.invite(20)
    made = answer(183, call.delivered, to_tag=call._tag, contact=shown, body=call.body,
                  more=["Require: 100rel", "RSeq: 1"])  # fmt: skip
    prack = call._in_dialog("PRACK", 2, f"{call.src}:5060", ["RAck: 1 1 INVITE"])
    for after in (0, *LADDER_INVITE):
        house.out(20.2 + after, made)
    house.out(20.25, answer(481, house.into(20.23, prack)))
    house.out(52.3, answer(504, call.delivered, to_tag=call._tag))
    house.into(52.33, request(
        "ACK", f"sip:100@{house.public}", via=f"{call.src}:5060", branch="z9hG4bKi-prack-provider",
        call_id="prack@provider", cseq=1, **call._ids(),
    ))  # fmt: skip
    return house


@case("dlg013-prack-to-a-changed-uri", [("DLG013", "router", "observed")], [*DLG],
      {"disable-sip-alg": "suspected"}, ["rejected"])  # fmt: skip
def _() -> House:
    """The router writes the address in the LAN in its place."""
    return _refused(House("linux"))


@case("dlg013-prack-to-the-contact-written", [("DLG013", "router", "observed")], [*DLG],
      {"disable-sip-alg": "suspected"}, ["rejected"])  # fmt: skip
def _() -> House:
    """The router writes its own address into the Contact of the 183, and leaves it in the PRACK."""
    house = House(wan_port=40010)
    house.out_alg = lambda message: message.replace(b"@192.168.1.10:5060>", b"@198.51.100.2:40010>")
    return _refused(house, house.contact)


@case("dlg013-near-miss-prack-to-the-contact", [("DLG013", "phone", "observed")], [*DLG, *ALG],
      outcomes=["rejected"])  # fmt: skip
def _() -> House:
    """The router changes nothing, and the phone refuses what names its Contact."""
    return _refused(House())
