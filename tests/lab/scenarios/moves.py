# SPDX-License-Identifier: Apache-2.0
"""Moves that scenarios share: phones that register and are called, and the endpoints' own facts."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from lab.endpoint import Call
from lab.loop import Loop
from lab.network import Network
from lab.phone import Phone
from lab.provider import Provider
from lab.sip import T1

from .scenario import Facts, Say

DROP_AFTER = 64 * T1  # seconds, RFC 3261 section 13.3.1.4
MEANWHILE_AFTER = 5  # answers, the last one after 7.5 s: what goes wrong is a finding by then
OTHER_COMPLETED = "the call to the other phone was answered, acknowledged and completed"


class Line:
    """A phone, its provider and its calls. name: of its incoming calls in the facts."""

    def __init__(self, phone: Phone, provider: Provider, name: str) -> None:
        self.phone = phone
        self.provider = provider
        self.name = name
        self.calls: list[Call] = []

    def is_called(self) -> Call:
        """It is called, and the call completes."""
        loop = self.phone.loop
        call = incoming_lives(loop, self.phone, self.provider)
        self.calls.append(call)
        loop.until(lambda: call.over, 3, "the end of the other phone's call")
        loop.sleep(0.2)
        return call


class OtherPhone(Line):
    """Another phone of the same router with the same provider, at a port that the router's helper
    does not watch. habits: of the provider, the same as for the first phone.
    """

    def __init__(self, loop: Loop, net: Network, **habits: Any) -> None:
        self.way = ", past the ALG" if net.helped else ""
        draw = net.draw.of_other_phone()
        super().__init__(
            Phone(loop, net, draw=draw), Provider(loop, net, draw=draw, **habits), "other-phone"
        )

    def play(self, say: Say) -> None:
        """It registers and is called."""
        draw = self.phone.draw
        self.phone.register()
        say(
            f"the other phone {draw.phone_ip}:{draw.phone_port} has registered at "
            f"{draw.provider_ip}:{draw.provider_port}{self.way}"
        )
        self.is_called()
        say(OTHER_COMPLETED)


def bystanders(loop: Loop, net: Network, provider: Provider) -> list[Line]:
    """As many healthy phones as the draw says, registered at the same provider and called."""
    lines = [
        Line(Phone(loop, net, draw=net.draw.of_more(n)), provider, "bystander")
        for n in range(net.draw.bystanders)
    ]
    for line in lines:
        line.phone.register()
        line.is_called()
    return lines


def _row(name: str, call: Call, theirs: Call | None) -> dict[str, Any]:
    known = theirs or call
    return {
        "name": name,
        "call_id": call.call_id,
        "incoming": call.incoming,
        "outcome": call.outcome,
        "acked": call.acked if call.incoming else known.acked,
        "sent_finals": max(call.sent_finals, known.sent_finals),
        "acks": known.acks,
    }


def facts_of(
    phone: Phone,
    provider: Provider,
    calls: list[Call],
    other: Line | list[Line] | None = None,
    never_came: list[Call] | None = None,
    **more: Any,
) -> Facts:
    """The endpoints' own knowledge: the names that a verdict may use, and what happened.

    calls: the phone's. "name" of a call: incoming, outgoing, other-phone or bystander. "acks":
    where the provider's side sent them. never_came: the provider's calls that the phone never saw.
    """
    draw = phone.draw
    rows = [
        _row("incoming" if c.incoming else "outgoing", c, provider.calls.get(c.call_id))
        for c in calls
    ]
    rows += [_row("incoming", c, None) for c in never_came or []]
    people, registrations = [draw.user, draw.peer], [phone._register_id]
    lines = [] if other is None else other if isinstance(other, list) else [other]
    for line in lines:
        rows += [
            _row(
                line.name if c.incoming or line.name != "bystander" else f"{line.name}-out",
                c, line.provider.calls.get(c.call_id),
            )
            for c in line.calls
        ]  # fmt: skip
        people.append(line.phone.draw.user)
        registrations.append(line.phone._register_id)
        if isinstance(line, OtherPhone):
            theirs = line.phone.draw
            more["other_phone"] = [theirs.phone_ip, theirs.phone_port]
            more["unhelped_port"] = theirs.provider_port
    phones = [phone, *(line.phone for line in lines)]
    facts: Facts = {
        "seed": draw.seed,
        "addresses": sorted(set().union(*(p.draw.addresses() for p in phones))),
        "phone": [draw.phone_ip, draw.phone_port],
        "contact_port": phone.contact_port,
        "provider": [draw.provider_ip, draw.provider_port],
        "caller": [draw.caller_ip, draw.caller_port],
        "wan_ip": draw.wan_ip,
        "people": people,
        "proxy": provider.proxy,
        "call_ids": [*(r["call_id"] for r in rows), *registrations, *provider.qualified],
        "calls": rows,
        "dead_call_ids": [r["call_id"] for r in rows if r["outcome"] != "completed"],
        "must_name": {},
    }
    return facts | more


def ring_phone(loop: Loop, phone: Phone, provider: Provider) -> Call:
    """Somebody calls; returns the phone's view once it has answered."""
    theirs = provider.call(phone.draw.user)
    loop.until(
        lambda: theirs.call_id in phone.calls and phone.calls[theirs.call_id].answered,
        10, "the answer of the phone",
    )  # fmt: skip
    return phone.calls[theirs.call_id]


def hang_up(phone: Phone, provider: Provider, call: Call) -> None:
    """The draw decides who."""
    (phone.hang_up(call) if phone.draw.random.random() < 0.5
     else provider.hang_up(provider.calls[call.call_id]))  # fmt: skip


def incoming_lives(loop: Loop, phone: Phone, provider: Provider) -> Call:
    """Somebody calls and the phone gets the ACK; the draw decides who hangs up."""
    call = ring_phone(loop, phone, provider)
    loop.until(lambda: call.acked, 10, "the ACK at the phone")
    loop.sleep(phone.draw.talk)
    hang_up(phone, provider, call)
    return call


def outgoing_lives(loop: Loop, phone: Phone, provider: Provider) -> Call:
    """The phone calls and its ACK arrives; the draw decides who hangs up."""
    call = phone.call(phone.draw.peer)
    loop.until(
        lambda: call.answered and provider.calls[call.call_id].acked, 10, "the outgoing call"
    )
    loop.sleep(phone.draw.talk)
    hang_up(phone, provider, call)
    return call


def call_dies(
    loop: Loop,
    phone: Phone,
    provider: Provider,
    say: Say,
    meanwhile: Callable[[Say], None] | None = None,
) -> Call:
    """meanwhile: played while the phone waits for its ACK, shorter than the call."""
    call = ring_phone(loop, phone, provider)
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
    say(f"no ACK in {phone.patience:.0f} s, answered {call.sent_finals} times: the phone hangs up")
    loop.sleep(2.0)
    return call


def calls_live(loop: Loop, phone: Phone, provider: Provider, say: Say) -> list[Call]:
    """One incoming and one outgoing call; the draw decides who hangs up."""
    phone.keep_alive(1.5)
    incoming = incoming_lives(loop, phone, provider)
    say("incoming call: answered and acknowledged")
    loop.sleep(0.4)
    outgoing = outgoing_lives(loop, phone, provider)
    say("outgoing call: answered and acknowledged")
    loop.until(lambda: incoming.over and outgoing.over, 5, "the end of both calls")
    loop.sleep(1.0)
    return [incoming, outgoing]


def never_answered(loop: Loop, call: Call) -> Call:
    """The caller gives up after Timer B."""
    loop.until(lambda: call.over, DROP_AFTER + 3, "the end of an unanswered call")
    loop.sleep(1.0)
    return call
