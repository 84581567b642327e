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
Play = Callable[[Loop, Network, Callable[[str], None]], Facts]

DROP_AFTER = 64 * T1  # seconds, RFC 3261 section 13.3.1.4
# What any capture may carry without hurting anybody: how it was taken, which NAT there is.
QUIET = "CAP001 CAP003 CAP005 CAP007 NAT001 NAT003 NAT004 REG005"
# What the kernel's helper does to every message that it helps.
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


def facts_of(phone: Phone, provider: Provider, calls: list[Call], **more: Any) -> Facts:
    """What the endpoints themselves know: the names that a verdict may use, and what happened.

    calls: the phone's. "acks" of a call: where the provider's side sent them.
    """
    draw = phone.draw
    theirs = provider.calls
    rows = [
        {
            "call_id": call.call_id,
            "incoming": call.incoming,
            "outcome": call.outcome,
            "acked": call.acked if call.incoming else theirs[call.call_id].acked,
            "sent_finals": call.sent_finals,
            "acks": theirs[call.call_id].acks,
        }
        for call in calls
    ]
    facts: Facts = {
        "seed": draw.seed,
        "addresses": sorted(draw.addresses()),
        "phone": [draw.phone_ip, draw.phone_port],
        "contact_port": phone.contact_port,
        "provider": [draw.provider_ip, 5060],
        "caller": [draw.caller_ip, draw.caller_port],
        "wan_ip": draw.wan_ip,
        "people": [draw.user, draw.peer],
        "proxy": provider.proxy,
        "call_ids": [*(c.call_id for c in calls), phone._register_id],
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


def _call_dies(loop: Loop, phone: Phone, provider: Provider, say: Callable[[str], None]) -> Call:
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
    say(f"no ACK in {DROP_AFTER:.0f} s, answer sent {call.sent_finals} times: the phone hangs up")
    loop.sleep(2.0)
    return call


def _calls_live(
    loop: Loop, phone: Phone, provider: Provider, say: Callable[[str], None]
) -> list[Call]:
    """One incoming and one outgoing call; the draw decides who hangs up."""
    draw = phone.draw
    phone.keep_alive(1.5)
    incoming = _ring_phone(loop, phone, provider)
    loop.until(lambda: incoming.acked, 5, "the ACK at the phone")
    say("incoming call: answered and acknowledged")
    loop.sleep(draw.talk)
    (phone.hang_up(incoming) if draw.random.random() < 0.5
     else provider.hang_up(provider.calls[incoming.call_id]))  # fmt: skip
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


def healthy(loop: Loop, net: Network, say: Callable[[str], None]) -> Facts:
    """1 and 2: rport, a provider that handles NAT, calls both ways."""
    phone, provider = Phone(loop, net), Provider(loop, net)
    phone.register()
    say("the phone has registered")
    return facts_of(phone, provider, _calls_live(loop, phone, provider, say))


def needs_helper(loop: Loop, net: Network, say: Callable[[str], None]) -> Facts:
    """3: neither side knows about NAT; only the ALG makes the calls work."""
    phone = Phone(loop, net, rport=False)
    provider = Provider(loop, net, handles_nat=False, fixes_contact=False)
    phone.register()
    return facts_of(phone, provider, _calls_live(loop, phone, provider, say))


def contact_left_alone(loop: Loop, net: Network, say: Callable[[str], None]) -> Facts:
    """4: INVITE follows the source of the REGISTER, the ACK follows the private Contact."""
    phone, provider = Phone(loop, net), Provider(loop, net, fixes_contact=False)
    phone.register()
    call = _call_dies(loop, phone, provider, say)
    private = f"{net.draw.phone_ip}"
    return facts_of(phone, provider, [call], must_name={"DLG002": [private]})


def split_ports(loop: Loop, net: Network, say: Callable[[str], None]) -> Facts:
    """5b: the phone's Contact names another port than it sends from; nobody fixes it."""
    phone, provider = Phone(loop, net, split=True), Provider(loop, net, fixes_contact=False)
    phone.register()
    call = _call_dies(loop, phone, provider, say)
    return facts_of(phone, provider, [call], must_name={"DLG002": [net.draw.phone_ip]})


def forced_port(loop: Loop, net: Network, say: Callable[[str], None]) -> Facts:
    """6b: INVITE with Via :5060, ACK from the same source with another port in its Via."""
    draw = net.draw
    phone = Phone(loop, net)
    provider = Provider(loop, net, proxy=False, ack_via_port=draw.via_port)
    phone.register()
    say(f"the phone {draw.phone_ip}:{draw.phone_port} has registered at {draw.provider_ip}:5060")
    if net.helped:
        call = _call_dies(loop, phone, provider, say)
        return facts_of(
            phone, provider, [call],
            forced_port=draw.via_port, must_name={"ALG011": [str(draw.via_port)]},
        )  # fmt: skip
    call = _ring_phone(loop, phone, provider)
    loop.until(lambda: call.acked, 5, "the ACK at the phone")
    say("answered and acknowledged: the call lives")
    loop.sleep(draw.talk)
    provider.hang_up(provider.calls[call.call_id])
    loop.until(lambda: call.over, 3, "the end of the call")
    loop.sleep(1.0)
    return facts_of(phone, provider, [call], forced_port=draw.via_port)


def no_record_route(loop: Loop, net: Network, say: Callable[[str], None]) -> Facts:
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
            contact_left_alone, Truth(NOT_FIXED, QUIET, "DLG007", any_of=FIX_IT, dropped=True),
        ),
        Scenario(
            "5b-on", "other port in Contact, helper on", True, True, split_ports,
            Truth(
                NOT_FIXED, f"{QUIET} {REWRITTEN}", "DLG007 ALG010",
                any_of=FIX_IT, dropped=True,
            ),
        ),
        Scenario(
            "5b-off", "other port in Contact, helper off", False, True, split_ports,
            Truth(NOT_FIXED, QUIET, "DLG007", any_of=FIX_IT, dropped=True),
        ),
        Scenario(
            "6b-on", "forced destination port, helper on", True, True, forced_port,
            Truth(
                [
                    Must("ALG011", "router", "observed certain"),
                    Must("DLG001", "router", "observed certain"),
                ],
                # The forced port also gets into what leaves, as Via and Request-URI port (ALG011).
                f"{QUIET} ALG001 ALG002 ALG003 ALG006 ALG010 ALG011 ALG017",
                "DLG007 DLG008 TXN003 TXN005",
                advice={"disable-sip-alg": "recommended"}, dropped=True,
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
                advice={"provider-add-record-route": "recommended suspected"}, dropped=True,
            ),
        ),
        Scenario(
            "14-off", "no Record-Route, helper off", False, True, no_record_route,
            Truth(
                BYPASSED, QUIET, "DLG007",
                advice={"provider-add-record-route": "recommended suspected"}, dropped=True,
            ),
        ),
    )
}  # fmt: skip
