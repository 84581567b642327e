# SPDX-License-Identifier: Apache-2.0
"""Media: calls in which both ends are heard, or one (number 43)."""

from __future__ import annotations

import socket

from lab.draw import Draw
from lab.endpoint import Address, Call
from lab.loop import Loop
from lab.network import Network
from lab.phone import Phone, send_rtp
from lab.provider import Provider
from lab.truth import Must, Truth

from .damage import named
from .moves import facts_of, incoming_lives, ring_phone
from .scenario import FIX_IT, HURT, QUIET, REWRITTEN, Facts, Say, Scenario


class NoLatching(Provider):
    """Sends media to what the SDP says, wherever media comes from."""

    def established(self, call: object) -> None:
        remote = getattr(call, "remote_media", None)
        if remote:
            for burst in range(60):
                self.loop.later(burst * 0.05, lambda: send_rtp(self.loop, self.rtp, remote))

    def _hear(self, data: bytes, source: Address) -> None:
        self.heard += 1


def _talk_alone(loop: Loop, net: Network, provider: Provider, before: bool = False) -> Facts:
    """An incoming call in which the phone speaks for 9 s and hears nothing. before: another call
    shows that the provider finds the phone's media by itself.
    """
    phone = Phone(loop, net)
    phone.register()
    earlier = []
    if before:
        earlier.append(incoming_lives(loop, phone, provider))
        loop.until(lambda: phone.heard > 0, 3, "the provider's media")
        loop.sleep(1.5)
        net.lose(True, f"udp sport {net.draw.media_port}")
    call = ring_phone(loop, phone, provider)
    loop.until(lambda: call.acked, 5, "the ACK at the phone")
    for burst in range(18):
        loop.later(
            burst * 0.5, lambda: send_rtp(loop, phone.rtp, (net.draw.media_ip, net.draw.media_port))
        )
    loop.sleep(9.0)
    phone.hang_up(call)
    loop.sleep(1.0)
    facts = facts_of(phone, provider, [*earlier, call])
    return named(facts, earlier[0], "before") if earlier else facts


def private_media(loop: Loop, net: Network, say: Say) -> Facts:
    """43: the provider sends its media to the private address in the phone's SDP."""
    return _talk_alone(loop, net, NoLatching(loop, net))


def media_lost(loop: Loop, net: Network, say: Say) -> Facts:
    """43: the provider's media is lost before it comes to the router."""
    return _talk_alone(loop, net, Provider(loop, net), before=True)


class Steady(NoLatching):
    """Talks for longer, and less."""

    def established(self, call: object) -> None:
        remote = getattr(call, "remote_media", None)
        if remote:
            _talk(self.loop, self.rtp, remote)


def _talk(loop: Loop, sock: socket.socket, to: Address) -> None:
    """8 s of media, so few packets that a recording keeps them all."""
    for burst in range(16):
        loop.later(burst * 0.5, lambda: send_rtp(loop, sock, to))


class Latching(Provider):
    """Talks to where media comes from."""

    def _hear(self, data: bytes, source: Address) -> None:
        self.heard += 1
        if self.heard == 1:
            _talk(self.loop, self.rtp, source)


class Mute(Phone):
    """Hears, and sends no media."""

    def established(self, call: Call) -> None:
        pass


def _answered(loop: Loop, net: Network, phone: Phone, provider: Provider) -> Facts:
    """An incoming call of 9 s."""
    phone.register()
    call = ring_phone(loop, phone, provider)
    loop.until(lambda: call.acked, 5, "the ACK at the phone")
    if not isinstance(phone, Mute):
        _talk(loop, phone.rtp, (net.draw.media_ip, net.draw.media_port))
    loop.sleep(9.0)
    phone.hang_up(call)
    loop.sleep(1.0)
    assert phone.heard > 80, "the provider was to talk"
    return facts_of(phone, provider, [call])


def both_talk(loop: Loop, net: Network, say: Say) -> Facts:
    """43: a call in which both ends talk. With the helper the provider sends to the address in the
    SDP; without, to where media comes from.
    """
    provider = Steady(loop, net) if net.helped else Latching(loop, net)
    return _answered(loop, net, Phone(loop, net), provider)


def mute_phone(loop: Loop, net: Network, say: Say) -> Facts:
    """43: a phone that sends no media; a forwarded port lets the provider's in."""
    phone = Mute(loop, net)
    phone.host = net.draw.wan_ip
    return _answered(loop, net, phone, Steady(loop, net))


def _media_forwarded(draw: Draw) -> str:
    return f"""
table inet forward {{
  chain dstnat {{
    type nat hook prerouting priority dstnat;
    iifname "wan" udp dport {draw.rtp_port} dnat ip to {draw.phone_ip}
  }}
}}
insert rule inet fw4 forward iifname "wan" ct status dnat accept
"""


def other_media_port(loop: Loop, net: Network, say: Say) -> Facts:
    """43: a phone that knows its public address announces its own media port, which the NAT moves;
    the provider sends to the announced one.
    """
    phone, provider = Phone(loop, net), Steady(loop, net)
    phone.host = net.draw.wan_ip
    phone.register()
    call = ring_phone(loop, phone, provider)
    loop.until(lambda: call.acked, 5, "the ACK at the phone")
    _talk(loop, phone.rtp, (net.draw.media_ip, net.draw.media_port))
    loop.sleep(8.5)
    phone.hang_up(call)
    loop.sleep(1.0)
    return facts_of(phone, provider, [call])


def _media_moved(draw: Draw) -> str:
    return (
        f'insert rule inet fw4 srcnat oifname "wan" udp sport {draw.rtp_port} '
        "masquerade fully-random\n"
    )


SCENARIOS = [
    Scenario(
        "43-private-media", "the provider sends media to a private address", False, False,
        private_media,
        Truth(
            [], QUIET, "SDP001 SDP003", may_advise=f"{FIX_IT} provider-fix", state="hurts fine",
            filed=[Must("SDP001|SDP003", harm="latent observed certain")],
            live=[Must("SDP001", "phone", HURT), Must("SDP003", "phone", HURT)],
        ), short=True,
    ),
    Scenario(
        "43-media-lost", "the provider's media is lost on the line", False, False, media_lost,
        Truth(
            [], QUIET, "SDP001", filed=[Must("SDP003", "provider network", HURT)],
            live=[Must("SDP003", "unknown", HURT)],
            may_advise=f"look-for-loss {FIX_IT}", state="hurts",
        ), words=("--user", "nobody"),
    ),
    Scenario(
        "43-media-port", "media comes to the announced port and leaves from another", False, False,
        other_media_port,
        Truth(
            [], QUIET, "SDP003", may_advise=f"static-nat-for-pbx {FIX_IT}", state="hurts",
            filed=[Must("SDP002", "phone router", HURT)], live=[Must("SDP003", "unknown", HURT)],
        ), nft=_media_moved,
    ),
    Scenario(
        "43-talk-off", "both ends talk", False, False, both_talk, Truth([], QUIET), short=True,
    ),
    Scenario(
        "43-talk-on", "both ends talk, helper on", True, False, both_talk,
        Truth([], f"{QUIET} {REWRITTEN}"),
    ),
    Scenario(
        "43-mute", "the phone sends no media", False, False, mute_phone,
        Truth(
            [], QUIET, state="hurts", filed=[Must("SDP003", "phone", HURT)],
            live=[Must("SDP003", "unknown", HURT)],
        ),
        nft=_media_forwarded,
    ),
]  # fmt: skip
