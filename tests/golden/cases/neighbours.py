# SPDX-License-Identifier: Apache-2.0
"""Calls beside a neighbour of either end, who sends messages in its name that never cross: each
verdict is the one without the neighbour."""

from __future__ import annotations

from craft import (
    LADDER_2XX,
    LADDER_INVITE,
    NS,
    START,
    House,
    Incoming,
    Outgoing,
    Packet,
    answer,
    frame,
    incoming_call,
    outgoing_call,
    register,
    request,
)

from cases.case import ALG, DLG, PHONE_OR_PROVIDER, case

NEIGHBOUR, STRANGER = "192.168.1.66", "192.0.2.77"


def _puts(tap: list[Packet], at: float, payload: bytes, src: str, dst: str) -> None:
    """Somebody sends a message on this side alone."""
    data = frame(payload, src, 5060, dst, 5060, 64, 99)
    tap.append((START * NS + round(at * NS), data))


def _dies(house: House) -> Incoming:
    """The phone shows a private Contact, and no ACK comes."""
    register(house, 0)
    call = Incoming(house, "drop@provider")
    call.invite(1)
    call.ringing(1.2)
    call.dropped(3)
    register(house, 60, n=2)
    return call


@case("txn001-answer-to-a-neighbour", [("TXN001", "network", "observed")], [*DLG, *ALG],
      outcomes=["unanswered"])  # fmt: skip
def _() -> House:
    """Nobody answers, and a host in the LAN sends a 180 and a 200 in the provider's name to a
    neighbour of the phone: neither crossed."""
    house = House()
    register(house, 0)
    call = Outgoing(house, "silent@phone")
    for after in (0, *LADDER_INVITE):
        call.invite(1 + after)
    for at, status in ((1.1, 180), (2.1, 200)):
        made = answer(status, call.invited, to_tag="forged", contact="<sip:300@203.0.113.5>")
        _puts(house.lan, at, made, house.provider, NEIGHBOUR)
    register(house, 45, n=2)
    return house


@case("txn001-near-miss-answer-to-another-port", [("ALG011", "router", "latent")],
      ["TXN001", *DLG])  # fmt: skip
def _() -> House:
    """A response that crossed counts at whatever port of the phone it arrives."""
    house = House()
    register(house, 0)
    call = Outgoing(house, "port@phone")
    call.invite(1)
    call.respond(1.1, 180, lan_port=5070)
    call.ok(3)
    call.ack(3.02)
    call.bye(6)
    return house


@case("dlg001-answer-to-a-neighbour",
      [("DLG001", "network", "observed"), ("DLG002", "phone", "observed")], ALG, PHONE_OR_PROVIDER,
      ["dropped"])  # fmt: skip
def _() -> House:
    """A 200 in the phone's name, which a neighbour got before the phone answered: the phone's own
    200, which nobody acknowledges, is another."""
    house = House(wan_port=40123)
    call = _dies(house)
    made = answer(200, call.delivered, to_tag="forged", contact="<sip:x@192.168.1.66>")
    _puts(house.lan, 1.1, made, house.phone, NEIGHBOUR)
    return house


@case("dlg001-cancelled-by-a-stranger",
      [("DLG001", "network", "observed"), ("DLG002", "phone", "observed")], ALG, PHONE_OR_PROVIDER,
      ["dropped"])  # fmt: skip
def _() -> House:
    """A CANCEL from a host that did not call: it has to go the way of its INVITE."""
    house = House(wan_port=40123)
    call = _dies(house)
    made = request(
        "CANCEL", "sip:100@198.51.100.2", via=f"{house.provider}:5060",
        branch="z9hG4bKi-drop-provider", call_id=call.call_id, cseq=1,
        caller=call._ids()["caller"],
    )  # fmt: skip
    _puts(house.wan, 1.5, made, STRANGER, house.wan_ip)
    return house


@case("dlg008-near-miss-bye-refused-by-a-neighbour", must_not=["DLG008", "TXN003", *DLG, *ALG])
def _() -> House:
    """The phone accepts the BYE, and another one got a 481 to it before, which did not cross."""
    house = House()
    register(house, 0)
    call = incoming_call(house, 1, "ends@provider")
    bye = call._in_dialog("BYE", 2, f"{house.provider}:5060", ())
    _puts(house.lan, 7.01, answer(481, bye), house.phone, NEIGHBOUR)
    register(house, 60, n=2)
    return house


@case("dlg001-near-miss-hung-up-by-a-neighbour", must_not=["DLG001", "DLG008", "TXN003", *ALG])
def _() -> House:
    """A BYE in the provider's name from a host of the LAN ends no call."""
    house = House()
    register(house, 0)
    call = incoming_call(house, 1, "ends@provider")
    bye = call._in_dialog("BYE", 2, "192.168.1.66:5060", ()).replace(b"bye-", b"forged-")
    _puts(house.lan, 4, bye, NEIGHBOUR, house.phone)
    register(house, 60, n=2)
    return house


@case("dlg001-acknowledged-by-nobody-who-called",
      [("DLG001", "network", "observed"), ("DLG002", "phone", "observed")], ALG, PHONE_OR_PROVIDER,
      ["dropped"])  # fmt: skip
def _() -> House:
    """ACKs from a host of the LAN in the provider's dialog: none of them is the caller's."""
    house = House(wan_port=40123)
    call = _dies(house)
    for after in (0, *LADDER_2XX[:4]):
        ack = call._in_dialog("ACK", 1, "192.168.1.66:5060", ())
        _puts(house.lan, 3.05 + after, ack, NEIGHBOUR, house.phone)
    return house


@case("txn002-acknowledged-by-a-host-beside", [("TXN002", "unknown", "latent")], [*DLG, *ALG],
      outcomes=["rejected", "completed"], state="cannot-tell")  # fmt: skip
def _() -> House:
    """The phone acknowledges no 486. A host beside it does, and its ACK does not leave."""
    house = House()
    register(house, 0)
    call = Outgoing(house, "busy@phone")
    call.invite(1)
    for after in (0, *LADDER_2XX):
        call.respond(2 + after, 486)
    ack = call._request("ACK", 1, "sip:300@example.net", f";tag={call._tag}", branch="invite")
    _puts(house.lan, 2.02, ack, NEIGHBOUR, house.provider)
    outgoing_call(house, 60, "later@phone")
    return house
