# SPDX-License-Identifier: Apache-2.0
"""A PBX on the router (a B2BUA, RFC 3261 section 6). Phones register with it, and each call is two:
one in the LAN and one with the provider, each with a Call-ID, tags and SDP of its own.
"""

from __future__ import annotations

import copy
import socket
from typing import Any

from .endpoint import Address, Call
from .loop import Loop
from .network import Network
from .phone import Phone
from .provider import Provider
from .sip import Message, uri_of, user_of

TICK = 0.05  # seconds between two looks at the other half of each call


class Inside(Provider):
    """Its LAN side: registrar and far end of the phones here."""

    trunk: Trunk

    def _incoming(self, sock: socket.socket, request: Message, source: Address) -> None:
        super()._incoming(sock, request, source)
        call = self.calls[request.get("Call-ID")]
        self.trunk.pairs.append((call, self.trunk.call(user_of(uri_of(request.get("To"))))))


class Trunk(Phone):
    """Its WAN side: a user agent at port 5060 of host. inside: where its phones are; extension: the
    one that gets its calls. pairs: (call in the LAN, call with the provider)."""

    def __init__(self, loop: Loop, net: Network, inside: Inside, host: str) -> None:
        draw = net.draw.of_more(0)
        draw.phone_ip, draw.phone_port = host, 5060
        lan, net.phone = net.phone, net.router
        try:
            super().__init__(loop, net, draw=draw)
        finally:
            net.phone = lan
        self.inside, inside.trunk = inside, self
        self.extension = net.draw.user
        self.pairs: list[tuple[Call, Call]] = []
        loop.later(TICK, self._join)

    def _incoming(self, sock: socket.socket, request: Message, source: Address) -> None:
        super()._incoming(sock, request, source)
        call = self.calls[request.get("Call-ID")]
        self.pairs.append((self.inside.call(self.extension), call))

    def _join(self) -> None:
        """One half that is over ends the other one."""
        for here, there in self.pairs:
            if here.over and there.answered and not there.over:
                self.hang_up(there)
            if there.over and here.answered and not here.over:
                self.inside.hang_up(here)
        self.loop.later(TICK, self._join)


def b2bua(loop: Loop, net: Network, host: str = "") -> tuple[Trunk, Phone]:
    """The PBX, registered with the provider from an address of the router (that of the WAN where
    host names none), and a phone that is registered with the PBX."""
    draw: Any = copy.copy(net.draw)
    draw.provider_ip = draw.caller_ip = draw.media_ip = draw.domain = draw.router_ip
    # The trunk has port 5060 where it sits at the LAN address, too.
    draw.provider_port = 5060 if host != draw.router_ip else 5062
    draw.caller_port, draw.media_port = 5064, draw.media_port + 20
    draw.ring += 0.4  # the other half rings before this one is answered
    provider, net.provider = net.provider, net.router
    try:
        inside = Inside(loop, net, proxy=False, draw=draw)
    finally:
        net.provider = provider
    trunk = Trunk(loop, net, inside, host or draw.wan_ip)
    trunk.ring += 0.4
    trunk.register()
    phone_draw = copy.copy(draw)
    phone_draw.ring = net.draw.ring
    phone = Phone(loop, net, draw=phone_draw)
    phone.register()
    return trunk, phone
