# SPDX-License-Identifier: Apache-2.0
"""Phones and providers of several habits, and calls that live or die of them."""

from __future__ import annotations

from typing import Any

from lab.endpoint import Call
from lab.loop import Loop
from lab.network import Network
from lab.phone import Phone
from lab.provider import Provider
from lab.sip import Message
from lab.truth import Must, Truth

from .moves import bystanders, call_dies, calls_live, facts_of
from .scenario import FIX_IT, HURT, NOT_FIXED, QUIET, REWRITTEN, Facts, Say, Scenario


def healthy(loop: Loop, net: Network, say: Say) -> Facts:
    """1 and 2: rport, a provider that handles NAT, calls both ways."""
    phone, provider = Phone(loop, net), Provider(loop, net)
    phone.register()
    say("the phone has registered")
    others = bystanders(loop, net, provider)
    return facts_of(phone, provider, calls_live(loop, phone, provider, say), others)


def needs_helper(loop: Loop, net: Network, say: Say) -> Facts:
    """3: neither side knows about NAT; only the ALG makes the calls work."""
    phone = Phone(loop, net, rport=False)
    provider = Provider(loop, net, handles_nat=False, fixes_contact=False)
    phone.register()
    return facts_of(phone, provider, calls_live(loop, phone, provider, say))


def contact_left_alone(loop: Loop, net: Network, say: Say) -> Facts:
    """4: INVITE follows the source of the REGISTER, the ACK follows the private Contact."""
    phone, provider = Phone(loop, net), Provider(loop, net, fixes_contact=False)
    phone.register()
    call = call_dies(loop, phone, provider, say)
    private = f"{net.draw.phone_ip}"
    return facts_of(phone, provider, [call], must_name={"DLG002": [private]})


def no_record_route(loop: Loop, net: Network, say: Say) -> Facts:
    """14: the ACK comes from the caller's own host, which the firewall does not know."""
    phone = Phone(loop, net)
    provider = Provider(loop, net, proxy=True, record_route=False)
    phone.register()
    call = call_dies(loop, phone, provider, say)
    return facts_of(phone, provider, [call], must_name={"DLG004": [net.draw.caller_ip]})


class Neighbour(Provider):
    """A proxy that puts the address of the next proxy into the Contact of a reply, as
    fix_nated_contact() does where it is called for every reply. The next proxy then takes the ACK
    for its own and it goes no further.
    """

    def __init__(self, loop: Loop, net: Network, **habits: Any) -> None:
        super().__init__(loop, net, proxy=True, **habits)
        self.next_proxy = net.draw.far_ips[0]
        self.deaf = lambda message: message.method == "ACK"

    def contact(self) -> str:
        return f"<sip:{self.draw.peer}@{self.next_proxy}:5060>"

    def _incoming(self, sock: Any, request: Message, source: Any) -> None:
        request.fields.insert(0, ("Record-Route", f"<sip:{self.next_proxy};lr>"))
        super()._incoming(sock, request, source)


def wrong_contact_fixed(loop: Loop, net: Network, say: Say) -> Facts:
    """15: the ACK leaves the house and its Request-URI names a proxy."""
    phone, provider = Phone(loop, net), Neighbour(loop, net)
    phone.register()
    call = phone.call(net.draw.peer)
    loop.until(lambda: call.answered, 5, "the answer of the provider")
    theirs = provider.calls[call.call_id]
    loop.until(lambda: theirs.over, 40, "the callee's BYE")
    loop.sleep(2.0)
    call.outcome = "dropped"
    return facts_of(phone, provider, [call])


class BorderController(Provider):
    """A session border controller that rewrites the Contact of every reply to its own address,
    stays in the route, and finds the callee again by the dialog.
    """

    def contact(self) -> str:
        return f"<sip:{self.draw.peer}@{self.draw.provider_ip}:{self.draw.provider_port}>"


def border_controller(loop: Loop, net: Network, say: Say) -> Facts:
    """42: the Contact of the 2xx is the host of the Record-Route, and everything works."""
    phone, provider = Phone(loop, net), BorderController(loop, net, proxy=True)
    phone.register()
    others = bystanders(loop, net, provider)
    return facts_of(phone, provider, calls_live(loop, phone, provider, say), others)


def endpoints_only(loop: Loop, net: Network, say: Say) -> Facts:
    """16: a proxy that fixes the Contact of endpoints and of nobody else."""
    phone, provider = Phone(loop, net), Provider(loop, net, proxy=True)
    phone.register()
    others = bystanders(loop, net, provider)
    calls: list[Call] = calls_live(loop, phone, provider, say)
    return facts_of(phone, provider, calls, others)


BYPASSED = [Must("DLG004", "provider", HURT), Must("DLG001", harm=HURT)]
ADD_ROUTE = {"provider-add-record-route": "recommended suspected"}

SCENARIOS = [
    Scenario("1", "healthy, helper off", False, False, healthy, Truth([], QUIET), short=True),
    Scenario(
        "2", "healthy, helper on", True, False, healthy,
        Truth([Must("ALG014", "router", "none")], f"{QUIET} {REWRITTEN}"), short=True,
    ),
    Scenario(
        "3", "a phone and a provider that need the helper", True, False, needs_helper,
        Truth(
            [], f"{QUIET} {REWRITTEN} ALG015",
            advice={"keep-sip-alg": "recommended"}, may_advise="enable-rport-stun-outbound",
        ), short=True,
    ),
    Scenario(
        "4", "the provider leaves the Contact alone, helper off", False, True,
        contact_left_alone,
        Truth(NOT_FIXED, QUIET, "DLG007", any_of=FIX_IT, dropped="incoming"), short=True,
    ),
    Scenario(
        "14-on", "no Record-Route, helper on", True, True, no_record_route,
        Truth(BYPASSED, f"{QUIET} {REWRITTEN}", "DLG007", advice=ADD_ROUTE, dropped="incoming"),
        short=True,
    ),
    Scenario(
        "14-off", "no Record-Route, helper off", False, True, no_record_route,
        Truth(BYPASSED, QUIET, "DLG007", advice=ADD_ROUTE, dropped="incoming"),
    ),
    Scenario(
        "15", "a proxy puts the next proxy into the Contact of a reply", False, True,
        wrong_contact_fixed,
        Truth(
            [Must("DLG003", "provider", HURT)], QUIET, "DLG001 DLG006 DLG007 TXN003 DLG008",
            advice={"provider-fix-contact": "recommended suspected"},
            ends={"outgoing": "dropped missing|seen"}, state="hurts",
        ),
    ),
    Scenario(
        "16", "Contact fixed for endpoints only", False, False, endpoints_only, Truth([], QUIET)
    ),
    Scenario(
        "42", "border controller that rewrites the Contact and keeps the dialog alive", False,
        False, border_controller, Truth([], QUIET), short=True,
    ),
]  # fmt: skip
