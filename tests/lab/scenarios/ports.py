# SPDX-License-Identifier: Apache-2.0
"""Ports: a Contact, a Via or an ACK that names another one than its packet has."""

from __future__ import annotations

import socket
from typing import Any

from lab.draw import is_private
from lab.endpoint import Address
from lab.loop import Loop
from lab.network import Network
from lab.phone import Phone
from lab.provider import Provider
from lab.sip import Message, host_port, sent_by, uri_of
from lab.truth import Must, Truth

from .moves import (
    OtherPhone,
    call_dies,
    calls_live,
    facts_of,
    incoming_lives,
    never_answered,
    ring_phone,
)
from .scenario import (
    FIX_IT,
    HURT,
    NOT_FIXED,
    QUIET,
    REWRITTEN,
    SUSPECTED,
    Facts,
    Say,
    Scenario,
)


class MarksAtRegister(Provider):
    """Decides at the REGISTER whether a phone sits behind NAT, by kamailio's nat_uac_test(19):
    1 private Contact, 2 Via host is not the source, 16 Via port is not the source's.
    """

    def __init__(self, loop: Loop, net: Network, **habits: Any) -> None:
        super().__init__(loop, net, fixes_contact=False, **habits)

    def serve(self, sock: socket.socket, request: Message, source: Address) -> None:
        contact = host_port(uri_of(request.get("Contact")))[0]
        self.fixes_contact = is_private(contact) or sent_by(request.get("Via")) != source
        super().serve(sock, request, source)


def misled_provider(loop: Loop, net: Network, say: Say) -> Facts:
    """5a: the phone's Contact names another port than it sends from; the helper rewrites the
    REGISTER, so that the provider sees no NAT, and leaves the Contact of the 2xx private.
    """
    phone, provider = Phone(loop, net, split=True), MarksAtRegister(loop, net)
    phone.register()
    if net.helped:
        call = call_dies(loop, phone, provider, say)
        return facts_of(phone, provider, [call], must_name={"DLG002": [net.draw.phone_ip]})
    call = incoming_lives(loop, phone, provider)
    loop.until(lambda: call.over, 3, "the end of the call")
    loop.sleep(1.0)
    return facts_of(phone, provider, [call])


def split_ports(loop: Loop, net: Network, say: Say) -> Facts:
    """5b: the phone's Contact names another port than it sends from; nobody fixes it."""
    phone, provider = Phone(loop, net, split=True), Provider(loop, net, fixes_contact=False)
    phone.register()
    call = call_dies(loop, phone, provider, say)
    return facts_of(phone, provider, [call], must_name={"DLG002": [net.draw.phone_ip]})


def forced_invite(loop: Loop, net: Network, say: Say) -> Facts:
    """6a: the provider's INVITE itself has another port in its Via. Another phone shows that the
    provider needs no help with the NAT.
    """
    draw = net.draw
    habits: dict[str, Any] = {"proxy": False}
    habits |= {"invite_via_port": draw.via_port, "ack_via_port": draw.via_port}
    phone, provider = Phone(loop, net), Provider(loop, net, **habits)
    other = OtherPhone(loop, net, **habits)
    phone.register()
    if draw.other_first:
        other.play(say)
    if not net.helped:
        call = incoming_lives(loop, phone, provider)
        loop.until(lambda: call.over, 3, "the end of the call")
        if not draw.other_first:
            other.play(say)
        loop.sleep(1.0)
        return facts_of(phone, provider, [call], other)
    theirs = provider.call(draw.user)
    if not draw.other_first:
        loop.sleep(6)
        other.play(say)
    never_answered(loop, theirs)
    return facts_of(
        phone, provider, [], other, never_came=[theirs], forced_port=draw.via_port,
        must_name={"ALG011": [str(draw.via_port)]},
    )  # fmt: skip


def forced_port(loop: Loop, net: Network, say: Say) -> Facts:
    """6b: INVITE with Via :5060, ACK from the same source with another port in its Via. Another
    phone shows that the provider needs no help with the NAT.
    """
    draw = net.draw
    habits: dict[str, Any] = {"proxy": False, "ack_via_port": draw.via_port}
    phone, provider = Phone(loop, net), Provider(loop, net, **habits)
    other = OtherPhone(loop, net, **habits)
    phone.register()
    say(f"the phone {draw.phone_ip}:{draw.phone_port} has registered at {draw.provider_ip}:5060")
    if draw.other_first:
        other.play(say)
    if net.helped:
        call = call_dies(loop, phone, provider, say, None if draw.other_first else other.play)
        return facts_of(
            phone, provider, [call], other, forced_port=draw.via_port,
            other_first=draw.other_first,
            must_name={"ALG011": [str(draw.via_port)], "disable-sip-alg": [draw.other_ip]},
        )  # fmt: skip
    call = ring_phone(loop, phone, provider)
    loop.until(lambda: call.acked, 5, "the ACK at the phone")
    say("answered and acknowledged: the call lives")
    loop.sleep(draw.talk)
    provider.hang_up(provider.calls[call.call_id])
    loop.until(lambda: call.over, 3, "the end of the call")
    if not draw.other_first:
        other.play(say)
    loop.sleep(1.0)
    return facts_of(phone, provider, [call], other, forced_port=draw.via_port)


def follows_contact(loop: Loop, net: Network, say: Say) -> Facts:
    """6c: rport is filled in, and the ACK goes where the Contact of the 2xx says, with another
    port in its Via. No other phone shows more.
    """
    draw = net.draw
    phone = Phone(loop, net)
    provider = Provider(loop, net, fixes_contact=False, proxy=False, ack_via_port=draw.via_port)
    phone.register()
    call = call_dies(loop, phone, provider, say)
    return facts_of(
        phone, provider, [call], forced_port=draw.via_port,
        must_name={"ALG011": [str(draw.via_port)], "DLG002": [draw.phone_ip]},
    )  # fmt: skip


def sends_from_elsewhere(loop: Loop, net: Network, say: Say) -> Facts:
    """7: the phone asks for rport, and its Via names a port at which nobody listens. Its
    registration succeeds only where nothing forces the answers there.
    """
    phone, provider = Phone(loop, net, via_port=net.draw.via_port), Provider(loop, net)
    other = OtherPhone(loop, net)
    if not net.helped:
        phone.register()
        calls = calls_live(loop, phone, provider, say)
        other.play(say)
        return facts_of(phone, provider, calls, other)
    if net.draw.other_first:
        other.play(say)
    phone.register(wait=0)
    if not net.draw.other_first:
        loop.sleep(4)
        other.play(say)
    loop.sleep(34)
    return facts_of(
        phone, provider, [], other, dead_call_ids=[phone._register_id],
        forced_port=net.draw.via_port, must_name={"ALG011": [str(net.draw.via_port)]},
    )  # fmt: skip


class ListensElsewhere(Phone):
    """The Cisco 7941 type: every packet leaves from one port, Via and Contact name another, and
    only there somebody listens.
    """

    def __init__(self, loop: Loop, net: Network) -> None:
        super().__init__(loop, net, rport=False, split=True, via_port=net.draw.contact_port)
        self.away = self.sock

    def _read(self, sock: socket.socket, data: bytes, source: Address) -> None:
        if sock is not self.away:
            super()._read(self.away, data, source)


def served_by_helper(loop: Loop, net: Network, say: Say) -> Facts:
    """7c: the forced port is the one at which the phone listens: the ALG is what helps."""
    phone, provider = ListensElsewhere(loop, net), Provider(loop, net, proxy=False)
    if net.helped:
        phone.register()
        call = incoming_lives(loop, phone, provider)
        loop.until(lambda: call.over, 5, "the end of the call")
        loop.sleep(1)
        return facts_of(phone, provider, [call])
    phone.register(wait=0)
    loop.sleep(34)
    return facts_of(phone, provider, [], dead_call_ids=[phone._register_id])


FORCED = [Must("ALG011", "router", HURT), Must("DLG001", "router", HURT)]
# The forced port also gets into what leaves, as Via and Request-URI port (ALG011).
FORCED_HARMLESS = f"{QUIET} REG002 ALG001 ALG002 ALG003 ALG006 ALG010 ALG011 ALG017"
# The answer to the phone's BYE goes to the forced port, too.
FORCED_MAY = "DLG007 DLG008 TXN003 TXN005"
DISABLE = {"disable-sip-alg": "recommended"}

SCENARIOS = [
    Scenario(
        "5a-on", "the helper misleads the provider's test for NAT", True, True, misled_provider,
        # On the wire it is 5b: only a trial tells them apart, so disable is suspected at most.
        Truth(
            NOT_FIXED, f"{QUIET} {REWRITTEN} REG002", "DLG007 ALG010", any_of=FIX_IT,
            may_advise=SUSPECTED, dropped="incoming",
        ),
    ),
    Scenario(
        "5a-off", "the same phone and provider, helper off", False, False, misled_provider,
        Truth([], QUIET),
    ),
    Scenario(
        "5b-on", "other port in Contact, helper on", True, True, split_ports,
        Truth(
            NOT_FIXED, f"{QUIET} {REWRITTEN} REG002", "DLG007 ALG010", any_of=FIX_IT,
            dropped="incoming",
        ), short=True,
    ),
    Scenario(
        "5b-off", "other port in Contact, helper off", False, True, split_ports,
        Truth(NOT_FIXED, QUIET, "DLG007", any_of=FIX_IT, dropped="incoming"),
    ),
    Scenario(
        "6a-on", "forced destination port of the INVITE, helper on", True, True, forced_invite,
        Truth(
            [Must("ALG011", "router", HURT)], FORCED_HARMLESS, "TXN001 REG006 TXN005",
            advice=DISABLE, ends={"incoming": "unanswered unknown"}, state="hurts",
        ), short=True,
    ),
    Scenario(
        "6a-off", "the same provider, helper off", False, False, forced_invite, Truth([], QUIET)
    ),
    Scenario(
        "6b-on", "forced destination port, helper on", True, True, forced_port,
        Truth(FORCED, FORCED_HARMLESS, FORCED_MAY, advice=DISABLE, dropped="incoming"), short=True,
    ),
    Scenario(
        "6b-off", "the same provider, helper off", False, False, forced_port, Truth([], QUIET),
        short=True,
    ),
    Scenario(
        "6c-on", "forced port, provider follows the Contact, helper on", True, True,
        follows_contact,
        Truth(
            FORCED, FORCED_HARMLESS, FORCED_MAY, advice={"disable-sip-alg": "suspected"},
            dropped="incoming",
        ), short=True,
    ),
    Scenario(
        "6c-off", "the same provider that follows the Contact, helper off", False, True,
        follows_contact, Truth(NOT_FIXED, QUIET, "DLG007", any_of=FIX_IT, dropped="incoming"),
    ),
    Scenario(
        "7-on", "rport and another port in Via, helper on", True, True, sends_from_elsewhere,
        Truth(
            [Must("ALG011", "router", HURT)], FORCED_HARMLESS, "REG001 TXN003 TXN005 TXN006",
            advice=DISABLE, state="hurts",
        ), short=True,
    ),
    Scenario(
        "7-off", "rport and another port in Via, helper off", False, False, sends_from_elsewhere,
        Truth([], QUIET),
    ),
    Scenario(
        "7c-on", "a phone that listens at its Via port only, helper on", True, False,
        served_by_helper,
        Truth(
            [], f"{FORCED_HARMLESS} {REWRITTEN} ALG015",
            advice={"keep-sip-alg": "recommended suspected"},
            may_advise="enable-rport-stun-outbound",
        ),
    ),
    Scenario(
        "7c-off", "a phone that listens at its Via port only, helper off", False, True,
        served_by_helper,
        Truth(
            [Must("TXN006", harm=HURT)], QUIET, "REG001 TXN003 TXN005",
            may_advise=f"{FIX_IT} phone-fix keep-sip-alg", state="hurts",
        ),
    ),
]  # fmt: skip
