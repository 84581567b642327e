# SPDX-License-Identifier: Apache-2.0
"""The scenarios of issue 2, each with its truth, declared before any verdict is known."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from .endpoint import Call
from .loop import Loop
from .network import Network
from .phone import Phone
from .provider import Provider
from .sip import T1
from .truth import Must, Truth

Facts = dict[str, Any]
Say = Callable[[str], None]
Play = Callable[[Loop, Network, Say], Facts]

DROP_AFTER = 64 * T1  # seconds, RFC 3261 section 13.3.1.4
MEANWHILE_AFTER = 5  # answers, the last one after 7.5 s: what goes wrong is a finding by then
OTHER_COMPLETED = "the call to the other phone was answered, acknowledged and completed"
# Findings that any capture may have without harm: how it was taken, which NAT there is.
QUIET = "CAP001 CAP003 CAP005 CAP007 NAT001 NAT003 NAT004 REG005"
# Findings about every message that the kernel's helper rewrites.
REWRITTEN = "ALG001 ALG002 ALG003 ALG006 ALG010 ALG014 ALG017"


class Scenario:
    """number, title: as in scenarios.md. helper: state of the ALG at the start. slow: a call
    dies in it, which takes its 32 s.
    """

    def __init__(
        self, number: str, title: str, helper: bool, slow: bool, play: Play, truth: Truth
    ) -> None:
        self.number = number
        self.title = title
        self.helper = helper
        self.slow = slow
        self.play = play
        self.truth = truth


class OtherPhone:
    """Another phone of the same router with the same provider, at a port that the router's helper
    does not watch. habits: of the provider, the same as for the first phone.
    """

    def __init__(self, loop: Loop, net: Network, **habits: Any) -> None:
        self.loop = loop
        self.way = ", past the ALG" if net.helped else ""
        draw = net.draw.of_other_phone()
        self.phone = Phone(loop, net, draw=draw)
        self.provider = Provider(loop, net, draw=draw, **habits)
        self.calls: list[Call] = []

    def play(self, say: Say) -> None:
        """It registers and is called."""
        draw = self.phone.draw
        self.phone.register()
        say(
            f"the other phone {draw.phone_ip}:{draw.phone_port} has registered at "
            f"{draw.provider_ip}:{draw.provider_port}{self.way}"
        )
        call = _incoming_lives(self.loop, self.phone, self.provider)
        self.calls.append(call)
        self.loop.until(lambda: call.over, 3, "the end of the other phone's call")
        self.loop.sleep(0.2)
        say(OTHER_COMPLETED)


def _row(name: str, call: Call, theirs: Call) -> dict[str, Any]:
    return {
        "name": name,
        "call_id": call.call_id,
        "incoming": call.incoming,
        "outcome": call.outcome,
        "acked": call.acked if call.incoming else theirs.acked,
        "sent_finals": call.sent_finals,
        "acks": theirs.acks,
    }


def facts_of(
    phone: Phone,
    provider: Provider,
    calls: list[Call],
    other: OtherPhone | None = None,
    **more: Any,
) -> Facts:
    """The endpoints' own knowledge: the names that a verdict may use, and what happened.

    calls: the phone's. "name" of a call: incoming, outgoing or other-phone. "acks": where the
    provider's side sent them.
    """
    draw = phone.draw
    rows = [
        _row("incoming" if c.incoming else "outgoing", c, provider.calls[c.call_id]) for c in calls
    ]
    people, registrations = [draw.user, draw.peer], [phone._register_id]
    if other is not None:
        rows += [_row("other-phone", c, other.provider.calls[c.call_id]) for c in other.calls]
        people.append(other.phone.draw.user)
        registrations.append(other.phone._register_id)
        theirs = other.phone.draw
        more["other_phone"] = [theirs.phone_ip, theirs.phone_port]
        more["unhelped_port"] = theirs.provider_port
    facts: Facts = {
        "seed": draw.seed,
        "addresses": sorted(draw.addresses()),
        "phone": [draw.phone_ip, draw.phone_port],
        "contact_port": phone.contact_port,
        "provider": [draw.provider_ip, draw.provider_port],
        "caller": [draw.caller_ip, draw.caller_port],
        "wan_ip": draw.wan_ip,
        "people": people,
        "proxy": provider.proxy,
        "call_ids": [*(r["call_id"] for r in rows), *registrations],
        "calls": rows,
        "dead_call_ids": [r["call_id"] for r in rows if r["outcome"] == "dropped"],
        "must_name": {},
    }
    return facts | more


def _ring_phone(loop: Loop, phone: Phone, provider: Provider) -> Call:
    """Somebody calls; returns the phone's view once it has answered."""
    theirs = provider.call(phone.draw.user)
    loop.until(
        lambda: theirs.call_id in phone.calls and phone.calls[theirs.call_id].answered,
        5, "the answer of the phone",
    )  # fmt: skip
    return phone.calls[theirs.call_id]


def _incoming_lives(loop: Loop, phone: Phone, provider: Provider) -> Call:
    """Somebody calls and the phone gets the ACK; the draw decides who hangs up."""
    call = _ring_phone(loop, phone, provider)
    loop.until(lambda: call.acked, 5, "the ACK at the phone")
    loop.sleep(phone.draw.talk)
    (phone.hang_up(call) if phone.draw.random.random() < 0.5
     else provider.hang_up(provider.calls[call.call_id]))  # fmt: skip
    return call


def _call_dies(
    loop: Loop,
    phone: Phone,
    provider: Provider,
    say: Say,
    meanwhile: Callable[[Say], None] | None = None,
) -> Call:
    """meanwhile: played while the phone waits for its ACK, shorter than the call."""
    call = _ring_phone(loop, phone, provider)
    say("the phone has answered and waits for the ACK")
    while not call.over:
        sent = call.sent_finals
        loop.until(
            lambda n=sent: call.over or call.sent_finals > n,  # type: ignore[misc]
            DROP_AFTER, "the next answer or the end of the call",
        )  # fmt: skip
        if not call.over:
            say(f"no ACK: the phone sends its answer again, {call.sent_finals} times now")
        if meanwhile is not None and call.sent_finals >= MEANWHILE_AFTER:
            meanwhile(say)
            meanwhile = None
    say(f"no ACK in {DROP_AFTER:.0f} s, answer sent {call.sent_finals} times: the phone hangs up")
    loop.sleep(2.0)
    return call


def _calls_live(loop: Loop, phone: Phone, provider: Provider, say: Say) -> list[Call]:
    """One incoming and one outgoing call; the draw decides who hangs up."""
    draw = phone.draw
    phone.keep_alive(1.5)
    incoming = _incoming_lives(loop, phone, provider)
    say("incoming call: answered and acknowledged")
    loop.sleep(0.4)
    outgoing = phone.call(draw.peer)
    loop.until(
        lambda: outgoing.answered and provider.calls[outgoing.call_id].acked,
        5, "the outgoing call",
    )  # fmt: skip
    say("outgoing call: answered and acknowledged")
    loop.sleep(draw.talk)
    (phone.hang_up(outgoing) if draw.random.random() < 0.5
     else provider.hang_up(provider.calls[outgoing.call_id]))  # fmt: skip
    loop.until(lambda: incoming.over and outgoing.over, 3, "the end of both calls")
    loop.sleep(1.0)
    return [incoming, outgoing]


def healthy(loop: Loop, net: Network, say: Say) -> Facts:
    """1 and 2: rport, a provider that handles NAT, calls both ways."""
    phone, provider = Phone(loop, net), Provider(loop, net)
    phone.register()
    say("the phone has registered")
    return facts_of(phone, provider, _calls_live(loop, phone, provider, say))


def needs_helper(loop: Loop, net: Network, say: Say) -> Facts:
    """3: neither side knows about NAT; only the ALG makes the calls work."""
    phone = Phone(loop, net, rport=False)
    provider = Provider(loop, net, handles_nat=False, fixes_contact=False)
    phone.register()
    return facts_of(phone, provider, _calls_live(loop, phone, provider, say))


def contact_left_alone(loop: Loop, net: Network, say: Say) -> Facts:
    """4: INVITE follows the source of the REGISTER, the ACK follows the private Contact."""
    phone, provider = Phone(loop, net), Provider(loop, net, fixes_contact=False)
    phone.register()
    call = _call_dies(loop, phone, provider, say)
    private = f"{net.draw.phone_ip}"
    return facts_of(phone, provider, [call], must_name={"DLG002": [private]})


def split_ports(loop: Loop, net: Network, say: Say) -> Facts:
    """5b: the phone's Contact names another port than it sends from; nobody fixes it."""
    phone, provider = Phone(loop, net, split=True), Provider(loop, net, fixes_contact=False)
    phone.register()
    call = _call_dies(loop, phone, provider, say)
    return facts_of(phone, provider, [call], must_name={"DLG002": [net.draw.phone_ip]})


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
        call = _call_dies(loop, phone, provider, say, None if draw.other_first else other.play)
        return facts_of(
            phone, provider, [call], other, forced_port=draw.via_port,
            other_first=draw.other_first,
            must_name={"ALG011": [str(draw.via_port)], "disable-sip-alg": [draw.other_ip]},
        )  # fmt: skip
    call = _ring_phone(loop, phone, provider)
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
    call = _call_dies(loop, phone, provider, say)
    return facts_of(
        phone, provider, [call], forced_port=draw.via_port,
        must_name={"ALG011": [str(draw.via_port)], "DLG002": [draw.phone_ip]},
    )  # fmt: skip


def no_record_route(loop: Loop, net: Network, say: Say) -> Facts:
    """14: the ACK comes from the caller's own host, which the firewall does not know."""
    phone = Phone(loop, net)
    provider = Provider(loop, net, proxy=True, record_route=False)
    phone.register()
    call = _call_dies(loop, phone, provider, say)
    return facts_of(phone, provider, [call], must_name={"DLG004": [net.draw.caller_ip]})


FIX_IT = "enable-rport-stun-outbound provider-fix-contact"
NOT_FIXED = [
    Must("DLG002", "phone provider", "observed certain"),
    Must("DLG001", "provider network", "observed certain"),
]
FORCED = [
    Must("ALG011", "router", "observed certain"),
    Must("DLG001", "router", "observed certain"),
]
# The forced port also gets into what leaves, as Via and Request-URI port (ALG011).
FORCED_HARMLESS = f"{QUIET} ALG001 ALG002 ALG003 ALG006 ALG010 ALG011 ALG017"
# The answer to the phone's BYE goes to the forced port, too.
FORCED_MAY = "DLG007 DLG008 TXN003 TXN005"
BYPASSED = [Must("DLG004", "provider", "observed certain"), Must("DLG001", harm="observed certain")]

SCENARIOS = {
    s.number: s
    for s in (
        Scenario("1", "healthy, helper off", False, False, healthy, Truth([], QUIET)),
        Scenario(
            "2", "healthy, helper on", True, False, healthy,
            Truth([Must("ALG014", "router", "none")], f"{QUIET} {REWRITTEN}"),
        ),
        Scenario(
            "3", "a phone and a provider that need the helper", True, False, needs_helper,
            Truth(
                [], f"{QUIET} {REWRITTEN} ALG015",
                advice={"keep-sip-alg": "recommended"}, may_advise="enable-rport-stun-outbound",
            ),
        ),
        Scenario(
            "4", "the provider leaves the Contact alone, helper off", False, True,
            contact_left_alone,
            Truth(NOT_FIXED, QUIET, "DLG007", any_of=FIX_IT, dropped="incoming"),
        ),
        Scenario(
            "5b-on", "other port in Contact, helper on", True, True, split_ports,
            Truth(
                NOT_FIXED, f"{QUIET} {REWRITTEN}", "DLG007 ALG010",
                any_of=FIX_IT, dropped="incoming",
            ),
        ),
        Scenario(
            "5b-off", "other port in Contact, helper off", False, True, split_ports,
            Truth(NOT_FIXED, QUIET, "DLG007", any_of=FIX_IT, dropped="incoming"),
        ),
        Scenario(
            "6b-on", "forced destination port, helper on", True, True, forced_port,
            Truth(
                FORCED, FORCED_HARMLESS, FORCED_MAY,
                advice={"disable-sip-alg": "recommended"}, dropped="incoming",
            ),
        ),
        Scenario(
            "6b-off", "the same provider, helper off", False, False, forced_port,
            Truth([], QUIET),
        ),
        Scenario(
            "14-on", "no Record-Route, helper on", True, True, no_record_route,
            Truth(
                BYPASSED, f"{QUIET} {REWRITTEN}", "DLG007",
                advice={"provider-add-record-route": "recommended suspected"}, dropped="incoming",
            ),
        ),
        Scenario(
            "14-off", "no Record-Route, helper off", False, True, no_record_route,
            Truth(
                BYPASSED, QUIET, "DLG007",
                advice={"provider-add-record-route": "recommended suspected"}, dropped="incoming",
            ),
        ),
        Scenario(
            "6c-on", "forced port, provider follows the Contact, helper on", True, True,
            follows_contact,
            Truth(
                FORCED, FORCED_HARMLESS, FORCED_MAY,
                advice={"disable-sip-alg": "suspected"}, dropped="incoming",
            ),
        ),
        Scenario(
            "6c-off", "the same provider that follows the Contact, helper off", False, True,
            follows_contact, Truth(NOT_FIXED, QUIET, "DLG007", any_of=FIX_IT, dropped="incoming"),
        ),
    )
}  # fmt: skip
