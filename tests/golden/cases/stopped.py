# SPDX-License-Identifier: Apache-2.0
"""Messages that come from elsewhere than their request went, and that the router stops: they are no
neighbour's, and what became of their calls is told."""

from __future__ import annotations

from craft import (
    LADDER_2XX,
    LADDER_REQUEST,
    House,
    Incoming,
    Outgoing,
    incoming_call,
    outgoing_call,
    register,
    request,
)

from cases.case import ALG, case

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


@case("txn003-bye-from-another-port", [("TXN003", "unknown", "observed")], ALG)
def _() -> House:
    """The BYE of the far end comes from another port and reaches no phone. It is told although
    hardly a packet follows it."""
    house = House(wan_port=40123)
    register(house, 0)
    call = Outgoing(house, "one@phone")
    call.invite(1)
    call.respond(1.3, 180)
    call.ok(3)
    call.ack(3.02)
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


@case("txn003-cancel-from-another-port", [("TXN003", "unknown", "observed")], ALG,
      outcomes=["cancelled"])  # fmt: skip
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
