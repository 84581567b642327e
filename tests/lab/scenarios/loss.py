# SPDX-License-Identifier: Apache-2.0
"""The access line loses packets, hosts fall silent; the router is innocent."""

from __future__ import annotations

from lab.loop import Loop
from lab.network import Network
from lab.phone import Phone
from lab.provider import Provider
from lab.sip import T1, Message
from lab.truth import Must, Truth

from .moves import (
    Line,
    bystanders,
    call_dies,
    calls_live,
    facts_of,
    hang_up,
    incoming_lives,
    outgoing_lives,
    ring_phone,
)
from .scenario import HURT, QUIET, Facts, Play, Say, Scenario

ACK = "meta l4proto udp @th,64,32 0x41434b20"  # the first four bytes behind the UDP header
LOSSY = "numgen inc mod 7 { 1, 4 }"
BYE = "meta l4proto udp @th,64,32 0x42594520"


def incoming_ack_lost(loop: Loop, net: Network, say: Say) -> Facts:
    """17: the provider's ACK never arrives at the router. The call before shows that it is not
    the Contact which misleads it.
    """
    phone, provider = Phone(loop, net), Provider(loop, net)
    phone.register()
    others = bystanders(loop, net, provider)
    return _after_a_healthy_call(loop, net, phone, provider, others, say)


def _after_a_healthy_call(
    loop: Loop, net: Network, phone: Phone, provider: Provider, others: list[Line], say: Say
) -> Facts:
    before = incoming_lives(loop, phone, provider)
    loop.sleep(0.5)
    net.lose(True, ACK)
    call = call_dies(loop, phone, provider, say)
    facts = facts_of(phone, provider, [before, call], others)
    for row in facts["calls"]:
        if row["call_id"] == before.call_id:
            row["name"] = "before"
    return facts


def outgoing_ack_lost(loop: Loop, net: Network, say: Say) -> Facts:
    """17: the phone's ACK leaves the router and never arrives at the provider."""
    phone, provider = Phone(loop, net), Provider(loop, net)
    phone.register()
    others = bystanders(loop, net, provider)
    net.lose(False, ACK)
    call = phone.call(net.draw.peer)
    loop.until(lambda: call.answered, 5, "the answer of the provider")
    theirs = provider.calls[call.call_id]
    loop.until(lambda: theirs.over, 64 * T1 + 3, "the provider's BYE")
    loop.sleep(2.0)
    call.outcome = "dropped"
    return facts_of(phone, provider, [call], others)


def loss_both_ways(loop: Loop, net: Network, say: Say) -> Facts:
    """17: two SIP packets of seven are lost beyond the router, never two in a row; the timers of
    RFC 3261 make every call complete all the same. With one of three it would be the same message
    of each call, which no loss explains.
    """
    phone, provider = Phone(loop, net), Provider(loop, net)
    net.lose(True, f"udp sport {net.draw.provider_port} {LOSSY}")
    net.lose(False, f"udp dport {net.draw.provider_port} {LOSSY}")
    phone.register()
    calls = []
    for _ in range(3):
        calls.append(incoming_lives(loop, phone, provider))
        calls.append(outgoing_lives(loop, phone, provider))
        loop.sleep(3.0)
    loop.sleep(8.0)
    return facts_of(phone, provider, calls)


def refusal_ack_lost(loop: Loop, net: Network, say: Say) -> Facts:
    """18: the provider refuses, and the ACK to that is lost beyond the router."""
    phone, provider = Phone(loop, net), Provider(loop, net)
    phone.register()
    others = bystanders(loop, net, provider)
    net.lose(False, ACK)
    provider.refuses = net.draw.random.choice(["486 Busy Here", "603 Decline", "480 Not There"])
    call = phone.call(net.draw.peer)
    loop.sleep(64 * T1 + 3)
    return facts_of(phone, provider, [call], others)


def gives_up_after(seconds: float) -> Play:
    def play(loop: Loop, net: Network, say: Say) -> Facts:
        """19: the phone's own timer ends a call whose ACK never came."""
        phone, provider = Phone(loop, net), Provider(loop, net)
        phone.patience = seconds
        phone.register()
        return _after_a_healthy_call(loop, net, phone, provider, [], say)

    return play


def hangs_up_after_10_s(loop: Loop, net: Network, say: Say) -> Facts:
    """19, the near miss: the ACK came, and the callee hangs up after 10 s."""
    phone, provider = Phone(loop, net), Provider(loop, net)
    phone.register()
    call = ring_phone(loop, phone, provider)
    loop.sleep(10.0)
    phone.hang_up(call)
    loop.sleep(1.5)
    return facts_of(phone, provider, [call])


def refresh_lost(loop: Loop, net: Network, say: Say) -> Facts:
    """19: the phone refreshes its session (RFC 4028) with a re-INVITE that is lost beyond the
    router; the provider ends the call when the session has expired.
    """
    phone, provider = Phone(loop, net), Provider(loop, net)

    def timed(message: Message, data: bytes) -> bytes:
        if message.method != "INVITE" or message.status == 100:
            return data
        fields = [*message.fields, ("Session-Expires", "90;refresher=uac")]
        return Message(message.start, fields, message.body).encode(net.draw.forms)

    phone.written = provider.written = timed
    phone.register()
    call = phone.call(net.draw.peer)
    loop.until(lambda: call.answered, 5, "the answer of the provider")
    loop.sleep(45)
    net.lose(False, "meta l4proto udp @th,64,32 0x494e5649")  # INVI
    call.cseq += 1
    refresh, to = phone.in_dialog(call, "INVITE", call.cseq)
    assert call.invite is not None
    refresh.fields += [("Contact", phone.contact()), ("Content-Type", "application/sdp")]
    refresh.body = call.invite.body
    phone.request(refresh, to, lambda response, source: None)
    loop.sleep(15)  # 90 s less a third: when RFC 4028 section 10 tells the other end to hang up
    provider.hang_up(provider.calls[call.call_id])
    loop.sleep(2)
    return facts_of(phone, provider, [call])


def bye_lost(loop: Loop, net: Network, say: Say) -> Facts:
    """20: the phone hangs up, and no copy of its BYE arrives at the provider."""
    phone, provider = Phone(loop, net), Provider(loop, net)
    phone.register()
    call = ring_phone(loop, phone, provider)
    loop.until(lambda: call.acked, 5, "the ACK at the phone")
    loop.sleep(net.draw.talk)
    net.lose(False, BYE)
    phone.hang_up(call)
    loop.sleep(64 * T1 + 3)
    return facts_of(phone, provider, [call])


def peer_dies(loop: Loop, net: Network, say: Say) -> Facts:
    """21: the provider asks with OPTIONS whether the phone is there; it falls silent and returns.
    Every 4 s instead of every minute.
    """
    phone, provider = Phone(loop, net), Provider(loop, net)
    phone.register()
    source = provider.bindings[net.draw.user][1]

    def ask() -> None:
        provider.qualify(net.draw.user, source)
        loop.later(4.0, ask)

    ask()
    loop.sleep(9.0)
    phone.deaf = lambda message: True
    loop.sleep(36.0)
    phone.deaf = lambda message: False
    loop.sleep(9.0)
    return facts_of(phone, provider, [])


def lost_then_hangs_up(loop: Loop, net: Network, say: Say) -> Facts:
    """17, the near miss: one ACK is lost and the next one arrives."""
    phone, provider = Phone(loop, net), Provider(loop, net)
    phone.register()
    net.lose(True, f"{ACK} numgen inc mod 1000 0")
    call = ring_phone(loop, phone, provider)
    loop.until(lambda: call.acked, 5, "the second ACK")
    loop.sleep(net.draw.talk)
    hang_up(phone, provider, call)
    loop.sleep(1.0)
    return facts_of(phone, provider, [call, *calls_live(loop, phone, provider, say)])


BEYOND = [Must("DLG001", "provider network", HURT)]
LINE = "look-for-loss"
DEAD_MAY = "DLG007 TXN005"

SCENARIOS = [
    Scenario(
        "17-in", "the ACK is lost before the router", False, True, incoming_ack_lost,
        Truth(BEYOND, QUIET, DEAD_MAY, may_advise=LINE, dropped="incoming"), short=True,
    ),
    Scenario(
        "17-out", "the ACK is lost behind the router", False, True, outgoing_ack_lost,
        Truth(
            BEYOND, QUIET, DEAD_MAY, may_advise=LINE, ends={"outgoing": "dropped missing|seen"},
            state="hurts",
        ),
    ),
    Scenario(
        "17-near", "one ACK is lost, the next arrives", False, False, lost_then_hangs_up,
        Truth([], f"{QUIET} TXN005", may_advise=LINE),
    ),
    Scenario(
        "17-both", "two packets of seven are lost beyond the router", False, True, loss_both_ways,
        Truth(
            [Must("TXN005", "network provider")], f"{QUIET} TXN005 DLG001", "TXN005",
            may_advise=LINE, state="fine hurts",
        ),
    ),
    Scenario(
        "18", "the ACK to a refusal is lost", False, True, refusal_ack_lost,
        Truth(
            [Must("TXN002", "provider network")], f"{QUIET} TXN002 TXN005", may_advise=LINE,
            ends={"outgoing": "rejected unknown"}, state="fine hurts",
        ),
    ),
    *(
        Scenario(
            f"19-{n}", f"the callee gives up {n} s after an answer without ACK", False, slow,
            gives_up_after(n),
            Truth(
                [Must("DLG007"), *BEYOND], QUIET, DEAD_MAY, may_advise=LINE, dropped="incoming"
            ),
        )
        for n, slow in ((5, False), (10, False), (32, True))
    ),
    Scenario(
        "19-near", "the callee hangs up 10 s after the ACK", False, False, hangs_up_after_10_s,
        Truth([], QUIET),
    ),
    Scenario(
        "19-timer", "the session refresh is lost", False, True, refresh_lost,
        Truth(
            [Must("DLG007", harm=HURT)], QUIET, "TXN001 TXN005 DLG001", may_advise=LINE,
            ends={"outgoing": "completed|dropped seen|missing|unknown"}, state="hurts",
        ),
    ),
    Scenario(
        "20", "the BYE is lost behind the router", False, True, bye_lost,
        Truth(
            [Must("TXN003|DLG008", "provider network", HURT)], QUIET, "TXN003 TXN005",
            may_advise=LINE,
            ends={"incoming": "completed|unknown seen"}, state="hurts",
        ),
    ),
    Scenario(
        "21", "a qualified peer dies and returns", False, True, peer_dies,
        Truth(
            [Must("TXN004", "phone")], f"{QUIET} TXN003 TXN004", "TXN004 TXN005",
            state="fine hurts",
        ),
    ),
]  # fmt: skip
