# SPDX-License-Identifier: Apache-2.0
"""The router on paper: NAT, its filter, its ALG, and a tap on either side."""

from __future__ import annotations

import heapq
import random
from collections.abc import Callable
from itertools import count

from craft import FORWARD, NS, START, Packet, frame

from worlds.text import Place

WAN, OUTER = "198.51.100.2", "198.51.100.200"
LAG = 0.01  # seconds from the router to the far end
Rewriter = Callable[[bytes], bytes | None]  # None: the message is swallowed
# Where a message gets lost: before and behind the tap of each side, and between both.
PATHS = ("lan in", "lan out", "wan in", "wan out", "inside")


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
        self.lasts = 0.0  # s, where it is not that of the router
        self.used = 0.0  # when a packet went out last
        self.remap: Callable[[], None] = lambda: None  # the ALG learns of another port


class Router:
    """lan, wan: packets of the two taps. hosts: by address, what is told (message, from where, to
    which port) when a packet comes to it. lasts: s that a mapping is kept after its last packet;
    loss: what draws the packets that get lost on the wires, and the part of them. cone: everybody
    may send to a mapping; hairpins: phones may reach each other from outside; moves: what draws the
    port of a mapping that has expired; outer: NAT and ALG of another router in front, by the
    outside of this one. drops: which message gets lost where (ways: of PATHS); shows_switch: the
    LAN tap shows what phones send each other."""

    lasts = 1e9
    hairpins = False
    address = WAN
    cone = False
    moves: random.Random | None = None
    loss: tuple[random.Random, float] | None = None
    drops: Callable[[str, bytes], bool] | None = None
    shows_switch = False

    def __init__(self, clock: Clock) -> None:
        self.clock = clock
        self.lan: list[Packet] = []
        self.wan: list[Packet] = []
        self.hosts: dict[str, list[Callable[[bytes, Place, int], None]]] = {}
        self.outer: dict[Place, Nat] = {}
        self._nats: dict[Place, Nat] = {}  # by phone
        self._open: dict[tuple[Place, Place], tuple[Nat, float]] = {}  # by outside and far end
        self._forwards: dict[Place, Nat] = {}
        self.addresses: set[str] = set()  # of phones, where no NAT is
        self.gone = ""  # a WAN address that is no longer this router's
        self.unseen: list[bytes] = []  # what the far end sent into the void
        self._ident = count(0x1000)

    def add(self, nat: Nat) -> None:
        self._nats[nat.phone] = nat

    def listen(self, host: str, heard: Callable[[bytes, Place, int], None]) -> None:
        self.hosts.setdefault(host, []).append(heard)

    def forward(self, nat: Nat) -> None:
        """A port forward: open to all, for ever."""
        self._forwards[nat.outside] = nat

    def bare(self, nat: Nat) -> None:
        """The phone has an address of its own outside: no NAT."""
        nat.outside = nat.phone
        self.addresses.add(nat.phone[0])

    def renumber(self, address: str, stale: bool) -> None:
        """Another WAN address. stale: flows go on to leave with the old one, in vain."""
        self.address, self.gone = address, self.address
        if not stale:
            for nat in self._nats.values():
                nat.outside = address, nat.outside[1]
                nat.remap()

    def send(self, raw: bytes, source: Place, target: Place) -> None:
        """A phone sends."""
        now, ident, nat = self.clock.now, next(self._ident) & 0xFFFF, self._nats[source]
        if target[0].startswith("192.168."):
            if not self._lost("switch", raw):
                self.switch(raw, source, target)
            return
        if self._lost("lan in", raw):
            return
        self.lan.append((_ns(now), frame(raw, *source, *target, 64, ident)))
        lasts = nat.lasts or self.lasts
        if self.moves is not None and nat.used and now - nat.used > lasts:
            nat.outside = nat.outside[0], self.moves.randrange(20000, 60000)
            nat.remap()
        nat.used = now
        left = nat.outs(raw) if raw.strip() else raw
        if left is None or self._lost("inside", raw):
            return
        if target[0] == self.address:
            self._turn_round(left, nat.outside, target, ident)
            return
        self._open[nat.outside, target] = nat, now
        self.wan.append((_ns(now + FORWARD), frame(left, *nat.outside, *target, 63, ident)))
        source, beyond = nat.outside, self.outer.get(nat.outside)
        if beyond is not None:
            source, left = beyond.outside, beyond.outs(left)
        if left is not None and source[0] != self.gone and not self._lost("wan out", raw):
            self._tell(target, left, source, LAG)

    def switch(self, raw: bytes, source: Place, target: Place) -> None:
        """From host to host of the LAN: the tap of the router does not see it on most."""
        if self.shows_switch:
            ident = next(self._ident) & 0xFFFF
            self.lan.append((_ns(self.clock.now), frame(raw, *source, *target, 64, ident)))
        self._tell(target, raw, source, FORWARD)

    def _turn_round(self, raw: bytes, source: Place, target: Place, ident: int) -> None:
        """To the outside of a mapping of this router (a hairpin): the LAN tap shows it twice."""
        nat = next((nat for nat in self._nats.values() if nat.outside == target), None)
        left = nat.ins(raw) if nat is not None and self.hairpins else None
        if nat is None or left is None:
            return
        at = self.clock.now + FORWARD
        self.lan.append((_ns(at), frame(left, *source, *nat.phone, 63, ident)))
        self._tell(nat.phone, left, source, 2 * FORWARD)

    def _tell(self, target: Place, raw: bytes, source: Place, lag: float) -> None:
        for host in self.hosts.get(target[0], ()):
            self.clock.after(lag, lambda host=host: host(raw, source, target[1]))  # type: ignore[misc]

    def receive(self, raw: bytes, source: Place, target: Place) -> None:
        """The far end sends. The filter lets in what answers a packet that went out."""
        if self.outer:
            beyond = next((n for n in self.outer.values() if n.outside == target), None)
            inside = None if beyond is None else beyond.ins(raw)
            if beyond is None or inside is None:
                self.unseen.append(raw)
                return
            raw, target = inside, (self.address, beyond.forced or beyond.phone[1])
        if target[0] != self.address and target[0] not in self.addresses:
            self.unseen.append(raw)  # to an address that nobody can reach from there
            return
        now, ident = self.clock.now, next(self._ident) & 0xFFFF
        if self._lost("wan in", raw):
            return
        self.wan.append((_ns(now + LAG), frame(raw, *source, *target, 60, ident)))
        nat, used = self._open.get((target, source), (None, 0.0))
        if nat is None and self.cone:
            every = [entry for (place, _), entry in self._open.items() if place == target]
            nat, used = max(every, key=lambda entry: entry[1], default=(None, 0.0))
        if target in self._forwards:
            nat, used = self._forwards[target], now
        if nat is None or now - used > (nat.lasts or self.lasts):
            return
        self._open[target, source] = nat, now
        left = nat.ins(raw)
        if left is None or self._lost("inside", raw):
            return
        to = nat.phone[0], nat.forced or nat.phone[1]
        self.lan.append((_ns(now + LAG + FORWARD), frame(left, *source, *to, 59, ident)))
        if not self._lost("lan out", raw):
            self._tell(to, left, source, LAG + 2 * FORWARD)

    def _lost(self, way: str, raw: bytes) -> bool:
        if self.drops is not None and self.drops(way, raw):
            return True
        if way == "inside":
            return False
        return self.loss is not None and self.loss[0].random() < self.loss[1]


def _ns(at: float) -> int:
    return START * NS + round(at * 1e6) * 1000
