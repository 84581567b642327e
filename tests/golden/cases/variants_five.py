# SPDX-License-Identifier: Apache-2.0
"""Golden cases: what a report told of one message, of the others that the same fault meets."""

from __future__ import annotations

from craft import (
    LADDER_2XX,
    LADDER_REQUEST,
    House,
    Incoming,
    Outgoing,
    answer,
    fragmented,
    incoming_call,
    register,
    request,
    sdp,
)

from cases.case import ALG, DLG, case

NO = [*DLG, *ALG]
LONG = b"".join(b"a=fmtp:%d profile-level-id=42e01f;packetization-mode=1\r\n" % n
                for n in range(96, 126))  # fmt: skip


# ---- NAT005: a flow to another provider than the one that shows the new address ----


def _two_providers(port: int) -> House:
    """The line is dialled anew. One account of a PBX leaves from `port` to its provider, and with
    the new address; the other one to a second provider with the old address, and is not
    answered."""
    house = House(phone="192.168.1.11", port=5070)
    first = House(phone="192.168.1.11", wan_port=40011, provider="203.0.113.80")
    second = House(phone="192.168.1.11", port=port, wan="198.51.100.9", wan_port=40017,
                   provider="203.0.113.80")  # fmt: skip
    register(house, 0)
    register(first, 1, n=11)
    asked = request(
        "REGISTER", "sip:example.net", via=f"{house.phone}:{house.port}", branch="z9hG4bKagain",
        call_id=f"reg1@{house.phone}", cseq=2, caller="<sip:100@example.net>;tag=r1",
        contact=house.contact, more=["Expires: 120"],
    )  # fmt: skip
    for after in (0, *LADDER_REQUEST):
        house.out(100 + after, asked)
    register(second, 95, n=12)
    register(second, 150, n=13)
    house.lan += first.lan + second.lan
    house.wan += first.wan + second.wan
    return house


@case("nat005-flow-to-another-provider",
      [("NAT005", "router", "observed"), ("REG001", "router", "observed")], NO,
      {"clear-nat-state": "recommended"}, [])  # fmt: skip
def _() -> House:
    """The flow of one port moved from the old address to the new one, so the router has lost the
    old address, and the other flow is stuck with it."""
    return _two_providers(5060)


@case("nat005-near-miss-new-flow-by-another-address", [("REG001", "network", "observed")],
      ["NAT005", *NO], outcomes=[])  # fmt: skip
def _() -> House:
    """The PBX took a new port: a router with two WAN addresses may send a new flow another way."""
    return _two_providers(5066)


# ---- SIZE001: a 2xx of the phone in fragments ----


def _answers(body: bytes, cancelled: float = 0) -> House:
    """A call that lives, and one whose 2xx is never acknowledged. body: the end of its SDP.
    cancelled: when its caller cancels it."""
    house = House(wan_port=40123)
    register(house, 0)
    incoming_call(house, 1, "short@provider", fixed_contact=f"sip:100@{house.public}")
    call = Incoming(house, "long@provider", body=sdp(house.phone) + body)
    call.invite(20)
    call.ringing(20.2)
    call.ok(22)
    if cancelled:
        made = request(
            "CANCEL", f"sip:100@{house.public}", via="203.0.113.5:5060",
            branch="z9hG4bKi-long-provider", call_id=call.call_id, cseq=1,
            caller=call._ids()["caller"],
        )  # fmt: skip
        house.out(cancelled + 0.01, answer(200, house.into(cancelled, made)))
    for after in LADDER_2XX:
        call.ok(22 + after)
    call.phone_bye(54)
    register(house, 90, n=2)
    house.lan, house.wan = fragmented(house.lan), fragmented(house.wan)
    return house


@case("size001-answer-of-the-phone-in-fragments",
      [("SIZE001", "network", "observed"), ("DLG001", "network", "observed")], [*DLG[1:], *ALG],
      {"smaller-messages-or-tcp": "recommended"}, ["dropped", "completed"])  # fmt: skip
def _() -> House:
    """The phone offers many codecs in its 200, which leaves in IP fragments; its caller goes on
    hearing the ringing, and cancels. A call with a short 200 lives."""
    return _answers(LONG, 42)


@case("size001-near-miss-short-answer-unheard", [("DLG001", "network", "observed")],
      ["SIZE001", *DLG[1:], *ALG], outcomes=["dropped", "completed"])  # fmt: skip
def _() -> House:
    """The same with a short 200: its caller cancels the call 20 s after it, so it has not got the
    200. The length is not why, and nobody had cancelled when the phone answered."""
    return _answers(b"", 42)


# ---- DLG008: the private Contact of a later re-INVITE ----


def _left_alone(again: bool) -> House:
    """A call that the far end hangs up, along the flow of the phone, and one that it ended without
    a BYE. again: the phone had sent a re-INVITE in that one."""
    house = House(wan_port=40123)
    register(house, 0)
    incoming_call(house, 1, "first@provider", fixed_contact=f"sip:100@{house.public}")
    call = Outgoing(house, "ghost@phone")
    call.invite(20)
    call.ok(22)
    call.ack(22.02)
    target, tag = call.far_contact.strip("<>"), f";tag={call._tag}"
    if again:
        hold = house.out(30, call._request("INVITE", 2, target, tag, call.contact, call.body,
                                           branch="again"))  # fmt: skip
        house.into(30.05, answer(200, hold, to_tag=call._tag, contact=call.far_contact,
                                 body=sdp(house.provider, 20000)))  # fmt: skip
        house.out(30.07, call._request("ACK", 2, target, tag, branch="taken"))
    bye = house.out(80, call._request("BYE", 3, target, tag))
    house.into(80.03, answer(481, bye))
    register(house, 90, n=2)
    return house


@case("dlg008-contact-sent-again", [("DLG008", "unknown", "observed")], NO,
      outcomes=["completed", "completed"])  # fmt: skip
def _() -> House:
    """The provider finds the phone past its private Contact, and the phone sends this Contact once
    more in a re-INVITE: the BYE may have gone there, so the network is not to blame for sure."""
    return _left_alone(True)


@case("dlg008-near-miss-contact-sent-once", [("DLG008", "network", "observed")], NO,
      outcomes=["completed", "completed"])  # fmt: skip
def _() -> House:
    """The same without a re-INVITE: the provider finds the phone, so the BYE was lost elsewhere."""
    return _left_alone(False)
