# SPDX-License-Identifier: Apache-2.0
"""The router on paper: NAT, its filter, its ALG, and a tap on either side."""

from __future__ import annotations

import heapq
import random
from collections.abc import Callable
from itertools import count

from craft import FORWARD, NS, START, Packet, frame

from worlds.text import Place

WAN = "198.51.100.2"
LAG = 0.01  # seconds from the router to the far end
Rewriter = Callable[[bytes], bytes | None]  # None: the message is swallowed


class Clock:
    """What happens, in order of time. now: s."""

    def __init__(self) -> None:
        self.now = 0.0
        self._queue: list[tuple[float, int, Callable[[], None]]] = []
        self._number = count()

    def after(self, seconds: float, act: Callable[[], None]) -> None:
        heapq.heappush(self._queue, (self.now + seconds, next(self._number), act))

    def run(self, until: float) -> None:
        while self._queue and self._queue[0][0] <= until:
            self.now, _, act = heapq.heappop(self._queue)
            act()
        self.now = until


class Nat:
    """What the NAT makes of one port of one phone. outs, ins: what the ALG does to payloads on this
    flow; forced: the LAN port to which the ALG sends all that comes back, 0 = where it belongs."""

    def __init__(self, phone: Place, outside: Place) -> None:
        self.phone, self.outside = phone, outside
        self.outs: Rewriter = bytes
        self.ins: Rewriter = bytes
        self.forced = 0


class Router:
    """lan, wan: packets of the two taps. hosts: by address, what is told (message, from where, to
    which port) when a packet comes to it. lasts: s that a mapping is kept after its last packet;
    loss: what draws the packets that get lost on the wires, and the part of them."""

    lasts = 1e9
    loss: tuple[random.Random, float] | None = None

    def __init__(self, clock: Clock) -> None:
        self.clock = clock
        self.lan: list[Packet] = []
        self.wan: list[Packet] = []
        self.hosts: dict[str, Callable[[bytes, Place, int], None]] = {}
        self._nats: dict[Place, Nat] = {}  # by phone
        self._open: dict[tuple[Place, Place], tuple[Nat, float]] = {}  # by outside and far end
        self.unseen: list[bytes] = []  # what the far end sent into the void
        self._ident = count(0x1000)

    def add(self, nat: Nat) -> None:
        self._nats[nat.phone] = nat

    def send(self, raw: bytes, source: Place, target: Place) -> None:
        """A phone sends."""
        now, ident, nat = self.clock.now, next(self._ident) & 0xFFFF, self._nats[source]
        if self._lost():
            return
        self.lan.append((_ns(now), frame(raw, *source, *target, 64, ident)))
        left = nat.outs(raw)
        if left is None:
            return
        self._open[nat.outside, target] = nat, now
        self.wan.append((_ns(now + FORWARD), frame(left, *nat.outside, *target, 63, ident)))
        host = self.hosts.get(target[0])
        if host is not None and not self._lost():
            self.clock.after(LAG, lambda: host(left, nat.outside, target[1]))

    def receive(self, raw: bytes, source: Place, target: Place) -> None:
        """The far end sends. The filter lets in what answers a packet that went out."""
        if target[0] not in {nat.outside[0] for nat in self._nats.values()}:
            self.unseen.append(raw)  # to an address that nobody can reach from there
            return
        now, ident = self.clock.now, next(self._ident) & 0xFFFF
        if self._lost():
            return
        self.wan.append((_ns(now + LAG), frame(raw, *source, *target, 60, ident)))
        nat, used = self._open.get((target, source), (None, 0.0))
        if nat is None or now - used > self.lasts:
            return
        self._open[target, source] = nat, now
        left = nat.ins(raw)
        if left is None:
            return
        to = nat.phone[0], nat.forced or nat.phone[1]
        self.lan.append((_ns(now + LAG + FORWARD), frame(left, *source, *to, 59, ident)))
        phone = self.hosts[to[0]]
        if self._lost():
            return
        self.clock.after(LAG + 2 * FORWARD, lambda: phone(left, source, to[1]))

    def _lost(self) -> bool:
        return self.loss is not None and self.loss[0].random() < self.loss[1]


def _ns(at: float) -> int:
    return START * NS + round(at * 1e6) * 1000
