# SPDX-License-Identifier: Apache-2.0
"""Other transports and other networks: TCP, IPv6, a second router in front."""

from __future__ import annotations

from lab.draw import Draw
from lab.endpoint import Address
from lab.hop import Alg, Hop
from lab.loop import Loop
from lab.network import Network
from lab.phone import Phone
from lab.provider import Provider
from lab.stream import TcpPhone, TcpProvider, whole
from lab.truth import Must, Truth

from .moves import calls_live, facts_of, never_answered
from .scenario import HURT, QUIET, Facts, Play, Say, Scenario
from .vendor import edited


def _halves(data: bytes) -> list[bytes]:
    return [data[: len(data) // 2], data[len(data) // 2 :]]


def over_tcp(split: bool) -> Play:
    def play(loop: Loop, net: Network, say: Say) -> Facts:
        """13: the phone's connection comes from another port than its Via and Contact name."""
        cut = _halves if split else whole
        provider = TcpProvider(loop, net, cut, proxy=False)
        loop.sleep(0.1)
        phone = TcpPhone(loop, net, cut)
        loop.sleep(0.1)
        phone.register()
        return facts_of(phone, provider, calls_live(loop, phone, provider, say))

    return play


def over_ipv6(loop: Loop, net: Network, say: Say) -> Facts:
    """36: no NAT; the firewall lets in what belongs to a flow from inside."""
    draw = net.draw.of_ipv6()
    phone, provider = Phone(loop, net, draw=draw), Provider(loop, net, draw=draw)
    phone.register()
    return facts_of(phone, provider, calls_live(loop, phone, provider, say))


def low_port_over_ipv6(loop: Loop, net: Network, say: Say) -> Facts:
    """36: the helper changes nothing without NAT, and drops what it does not like all the same."""
    draw = net.draw.of_ipv6()
    phone, provider = Phone(loop, net, draw=draw), Provider(loop, net, draw=draw)
    phone.register()
    draw.rtp_port = 2 * draw.random.randint(200, 500)
    call = never_answered(loop, phone.call(draw.peer))
    return facts_of(phone, provider, [call])


def behind_carrier(loop: Loop, net: Network, say: Say) -> Facts:
    """34: the router's own WAN address is one of the carrier's network (RFC 6598)."""
    phone, provider = Phone(loop, net), Provider(loop, net)
    phone.register()
    facts = facts_of(phone, provider, calls_live(loop, phone, provider, say))
    facts["addresses"] += [net.draw.public_ip, net.draw.public_gateway]
    return facts


class TagHidden(Alg):
    """Call-ID hiding as Juniper's (see vendor.py), on the carrier's router, one way only."""

    def __init__(self, host: str) -> None:
        self.host = host

    def outbound(self, data: bytes, inside: Address, outside: Address) -> bytes | None:
        if b" REGISTER" in data:
            return data
        return edited(data, Call_ID=lambda v: v.replace(f"@{self.host}", f"@{outside[0]}"))


def upstream_alg(loop: Loop, net: Network, say: Say) -> Facts:
    """34: the carrier's router changes the Call-ID of what goes out, and does not put it back:
    responses on this router's WAN do not repeat what was sent there.
    """
    Hop(loop, net, TagHidden(net.draw.phone_ip), upstream=True)
    phone, provider = Phone(loop, net), Provider(loop, net)
    phone.register()
    call = phone.call(net.draw.peer)
    changed = call.call_id.replace(net.draw.phone_ip, net.draw.public_ip)
    loop.until(
        lambda: call.answered and provider.calls[changed].acked, 5, "the ACK at the provider"
    )
    loop.sleep(net.draw.talk)
    provider.hang_up(provider.calls[changed])
    loop.sleep(2.0)
    facts = facts_of(phone, provider, [call])
    facts["call_ids"].append(changed)
    facts["noise"] = [changed]
    facts["addresses"] += [net.draw.public_ip, net.draw.public_gateway]
    return facts


def _carried(draw: Draw) -> None:
    draw.public_ip, draw.public_gateway = draw.wan_ip, draw.gateway_ip
    block = f"100.{draw.random.randint(64, 127)}.{draw.random.randint(0, 255)}"
    draw.wan_ip, draw.gateway_ip = f"{block}.{draw.random.randint(2, 254)}", f"{block}.1"


def _carried_with_host(draw: Draw) -> None:
    _carried(draw)
    draw.call_id = lambda host: f"{draw.token(16)}@{host}"  # type: ignore[method-assign]


HALF = "ALG001 ALG002 ALG003 REG002 ALG006 ALG010 ALG014 ALG017"

SCENARIOS = [
    Scenario(
        "13-on", "TCP, helper on", True, False, over_tcp(False),
        Truth([Must("ALG010", "router", "none latent")], f"{QUIET} {HALF}"), tcp=True,
    ),
    Scenario("13-off", "TCP, helper off", False, False, over_tcp(False), Truth([], QUIET)),
    Scenario(
        "13-split-on", "TCP, each message in two segments, helper on", True, False,
        over_tcp(True), Truth([], f"{QUIET} {HALF}"), tcp=True,
    ),
    Scenario(
        "13-split-off", "TCP, each message in two segments, helper off", False, False,
        over_tcp(True), Truth([], QUIET),
    ),
    Scenario(
        "34-cgnat", "a carrier's NAT in front", False, False, behind_carrier,
        Truth([Must("NAT003", harm="none latent")], QUIET, may_advise="outer-router"),
        carrier=True, tune=_carried,
    ),
    Scenario(
        "34-alg", "an ALG on the carrier's router", False, False, upstream_alg,
        Truth(
            [Must("ALG016", "network provider")], QUIET, "ALG016 DLG009 DLG008 TXN003",
            advice={"outer-router": "recommended suspected"}, state="hurts fine cannot-tell",
            alg="upstream", ends={"outgoing": "completed|unknown|ongoing seen|unknown"},
        ), carrier=True, tune=_carried_with_host,
    ),
    *(
        Scenario(
            f"36-{word}", f"IPv6 without NAT, helper {word}", helper, False, over_ipv6,
            Truth([], f"{QUIET} ALG017"), ipv6=True, short=helper,
        )
        for word, helper in (("on", True), ("off", False))
    ),
    Scenario(
        "36-low", "IPv6, a media port below 1024, helper on", True, True, low_port_over_ipv6,
        Truth(
            [Must("TXN001|ALG008", "router", HURT)], f"{QUIET} ALG017", "TXN001 TXN005",
            may_advise="disable-sip-alg", ends={"outgoing": "unanswered unknown"}, state="hurts",
        ), ipv6=True,
    ),
]  # fmt: skip
