# SPDX-License-Identifier: Apache-2.0
"""Messages that come from elsewhere than their request went, and that the router stops: they are no
neighbour's, and what became of their calls is told."""

from __future__ import annotations

from craft import (
    LADDER_2XX,
    LADDER_INVITE,
    LADDER_REQUEST,
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

from cases.case import ALG, DLG, case

SECOND = "203.0.113.6"  # another host of the provider
PEER = "192.0.2.200"  # the far end itself


@case("dlg001-answered-by-another-host",
      [("DLG001", "provider", "observed"), ("DLG007", "provider", "observed")], ALG,
      outcomes=["dropped"])  # fmt: skip
def _() -> House:
    """The host that was called rings, another one accepts, and the router lets it in nowhere."""
    house = House(wan_port=40123)
    register(house, 0)
    call = Outgoing(house, "one@phone")
    call.invite(1)
    call.respond(1.3, 180)
    for after in (0, *LADDER_2XX):
        call.ok(3 + after, src=SECOND, lan=False)
    house.into(35.2, call.from_far("BYE"), src=SECOND, lan=False)
    register(house, 70, n=2)
    return house


@case("dlg001-near-miss-answered-by-another-host", must_not=["DLG001", "DLG007", "TXN001", *ALG])
def _() -> House:
    """The same, and the router lets it in."""
    house = House(wan_port=40123)
    register(house, 0)
    call = Outgoing(house, "one@phone")
    call.invite(1)
    call.respond(1.3, 180)
    call.ok(3, src=SECOND)
    call.ack(3.02)
    call.bye(8)
    register(house, 70, n=2)
    return house


@case("txn003-bye-from-another-port", [("TXN003", "provider", "observed")], ALG,
      {"provider-fix": "suspected"})  # fmt: skip
def _() -> House:
    """The BYE of the far end comes from another port and reaches no phone. It is told although
    hardly a packet follows it."""
    house = House(wan_port=40123)
    register(house, 0)
    call = Outgoing(house, "one@phone")
    call.set_up(1)
    for after in (0, *LADDER_REQUEST):
        house.into(8 + after, call.from_far("BYE"), sport=5070, lan=False)
    register(house, 70, n=2)
    return house


@case("txn003-bye-to-the-peer", [("TXN003", "unknown", "observed")], ALG)
def _() -> House:
    """The BYE of the phone goes to the far end itself and does not leave the router."""
    house = House(wan_port=40123)
    register(house, 0)
    call = Outgoing(house, "one@phone", far_contact=f"<sip:300@{PEER}:5060>")
    call.invite(1)
    call.respond(1.3, 180)
    call.ok(3)
    call.ack(3.02, dst=PEER)
    bye = call._request("BYE", 2, f"sip:300@{PEER}:5060", f";tag={call._tag}")
    for after in (0, *LADDER_REQUEST):
        house.out(8 + after, bye, dst=PEER, wan=False)
    register(house, 70, n=2)
    return house


@case("txn003-near-miss-bye-to-the-peer", must_not=["TXN003", "DLG001", *ALG],
      outcomes=["completed", "completed"])  # fmt: skip
def _() -> House:
    """Calls in both directions, whose BYE goes where the INVITE went."""
    house = House(wan_port=40123)
    register(house, 0)
    outgoing_call(house, 1, "one@phone")
    incoming_call(house, 20, "two@provider")
    register(house, 70, n=2)
    return house


@case("txn003-cancel-from-another-port", [("TXN003", "provider", "observed")], ALG,
      {"provider-fix": "suspected"}, ["cancelled"])  # fmt: skip
def _() -> House:
    """The caller's CANCEL comes from another port of its host and reaches no phone."""
    house = House(wan_port=40123)
    register(house, 0)
    call = Incoming(house, "one@provider")
    call.invite(1)
    call.ringing(1.2)
    made = request(
        "CANCEL", f"sip:100@{house.public}", via=f"{house.provider}:5060",
        branch="z9hG4bKi-one-provider", call_id=call.call_id, cseq=1, caller=call._ids()["caller"],
    )  # fmt: skip
    for after in (0, *LADDER_REQUEST):
        house.into(5 + after, made, sport=5070, lan=False)
    register(house, 70, n=2)
    return house


# ---- a host beside the phone, which may be the phone itself under another address ----


def _beside(house: House, at: float, payload: bytes) -> None:
    """Another host of the LAN sends this to the provider, and the router stops it."""
    when = (START * 1_000_000 + round(at * 1_000_000)) * 1000
    ident = 0x7000 + len(house.lan)
    made: Packet = (
        when, frame(payload, "192.168.1.66", 5060, house.provider, 5060, 64, ident)
    )  # fmt: skip
    house.lan.append(made)


def _acknowledged(method: str) -> House:
    """The 2xx of a call comes again and again, and a host beside the phone sends this."""
    house = House()
    register(house, 0)
    call = Outgoing(house, "one@phone")
    call.invite(1)
    call.respond(1.2, 180)
    made = call._request(method, 1, call.far_contact.strip("<>"), f";tag={call._tag}")
    for after in (0, *LADDER_2XX):
        call.ok(2 + after)
        _beside(house, 2.02 + after, made)
    call.far_bye(34)
    register(house, 70, n=2)
    return house


@case("dlg001-acknowledged-by-a-host-beside", [("DLG001", "unknown", "observed")], ALG,
      outcomes=["dropped"])  # fmt: skip
def _() -> House:
    """The phone seems to send no ACK. A host beside it does, and the router stops that: the phone
    has two addresses, or somebody forges."""
    return _acknowledged("ACK")


@case("dlg001-near-miss-bye-of-a-host-beside", [("DLG001", "phone", "observed")], ALG,
      outcomes=["dropped"])  # fmt: skip
def _() -> House:
    """A host beside the phone sends something that the phone does not owe: it sent no ACK."""
    return _acknowledged("BYE")


@case("txn001-answered-by-a-host-beside", [("TXN001", "unknown", "observed")], [*DLG, *ALG],
      outcomes=["unanswered"])  # fmt: skip
def _() -> House:
    """An INVITE comes to a phone, and a host beside it rings and accepts."""
    house = House()
    register(house, 0)
    call = Incoming(house, "one@provider")
    for after in (0, *LADDER_INVITE):
        call.invite(5 + after)
        for later, status in ((0.1, 180), (0.2, 200)):
            made = answer(status, call.delivered, to_tag="b", contact="<sip:100@192.168.1.66>")
            _beside(house, 5 + after + later, made)
    register(house, 70, n=2)
    return house


def _asked(method: str) -> House:
    house = House()
    register(house, 0)
    made = request(method, f"sip:100@{house.public}", via="203.0.113.5:5060",
                   branch="z9hG4bKasked", call_id="asked@provider", cseq=3)  # fmt: skip
    for after in (0, *LADDER_REQUEST):
        _beside(house, 5.05 + after, answer(200, house.into(5 + after, made), to_tag="b"))
    register(house, 70, n=2)
    return house


@case("txn003-answered-by-a-host-beside", [("TXN003", "unknown", "observed")], [*DLG, *ALG],
      outcomes=[])  # fmt: skip
def _() -> House:
    """A text message comes to a phone, and a host beside it takes it."""
    return _asked("MESSAGE")


@case("txn003-notify-answered-by-a-host-beside", [("TXN003", "unknown", "latent")], [*DLG, *ALG],
      outcomes=[], state="cannot-tell")  # fmt: skip
def _() -> House:
    """The same with a NOTIFY."""
    return _asked("NOTIFY")
