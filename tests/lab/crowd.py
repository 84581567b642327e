# SPDX-License-Identifier: Apache-2.0
"""Crowd: healthy phones of another provider in the same house, which change no verdict."""

from __future__ import annotations

import copy
import random
from typing import Any

from .draw import Draw
from .forms import Forms
from .loop import Loop
from .network import Network
from .phone import Phone
from .provider import Provider
from .scenarios.moves import facts_of, incoming_lives, outgoing_lives
from .stream import TcpPhone, TcpProvider
from .truth import JOINED

KEEP_ALIVE = 1.5  # seconds: some scenarios shorten the router's timeouts to a few


def invite(draw: Draw, helped: bool) -> None:
    """Gives the crowd its addresses, before the network is built. helped: it may use the port that
    the router's helper watches.
    """
    chance = random.Random(f"crowd of {draw.seed}")
    taken = draw.addresses()
    net = draw.provider_ip.rpartition(".")[0]
    draw.crowd_provider = chance.choice(
        [h for h in (f"{net}.{n}" for n in range(1, 255)) if h not in taken]
    )
    free = [h for h in map(str, draw.lan.hosts()) if h not in taken]
    draw.crowd_ips = chance.sample(free, draw.crowd)
    draw.crowd_port = chance.choice([5060, 5062, 5080][not helped :])


class Crowd:
    """Each of them registers, has a call, and keeps its mapping alive. facts: see facts_of."""

    def __init__(self, loop: Loop, net: Network) -> None:
        self.loop, self.net = loop, net
        self.chance = random.Random(f"crowd plays {net.draw.seed}")
        self.facts: dict[str, Any] = {key: [] for key in JOINED}
        self.facts["provider"] = net.draw.crowd_provider
        shared: Provider | None = None
        for number in range(len(net.draw.crowd_ips)):
            draw = self._draw(number)
            if self.chance.random() < 0.3:
                draw.provider_port, draw.caller_port = 5090 + number, 5910 + number
                draw.media_port += 20000 + 2 * number
                provider: Provider = TcpProvider(loop, net, draw=draw)
                loop.sleep(0.05)
                phone: Phone = TcpPhone(loop, net, draw=draw)
            else:
                provider = shared = shared or Provider(loop, net, draw=draw)
                phone = Phone(loop, net, draw=draw)
            self._play(phone, provider)

    def _draw(self, number: int) -> Draw:
        draw, chance = copy.copy(self.net.draw), self.chance
        draw.random, host = chance, draw.crowd_provider
        draw.provider_ip = draw.media_ip = draw.caller_ip = draw.domain = host
        draw.provider_port, draw.caller_port, draw.proxy = draw.crowd_port, 5900, False
        draw.phone_ip = draw.crowd_ips[number]
        draw.phone_port = chance.choice([5060, chance.randint(10000, 20000)])
        draw.rtp_port, draw.media_port = 2 * chance.randint(10000, 14000), 31000
        draw.user = f"{chance.choice(['hall', 'cellar', 'attic'])}.{draw.token(5)}"
        draw.peer = f"+49{chance.randint(10**8, 10**9)}"
        draw.forms, draw.provider_forms = Forms.drawn(chance), Forms.drawn(chance)
        draw.ring, draw.talk = 0.1, 0.3
        return draw

    def _play(self, phone: Phone, provider: Provider) -> None:
        phone.register()
        lives = self.chance.choice([incoming_lives, outgoing_lives])
        call = lives(self.loop, phone, provider)
        theirs = provider.calls[call.call_id]
        self.loop.until(lambda: call.over and theirs.over, 5, "the end of a call of the crowd")
        phone.keep_alive(KEEP_ALIVE)
        facts = facts_of(phone, provider, [call])
        for row in facts["calls"]:
            row["name"] = "crowd"
        for key in JOINED:
            self.facts[key] += facts[key]
