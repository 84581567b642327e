# SPDX-License-Identifier: Apache-2.0
"""Requests that must have crossed the router, for captures without a shared message.

Two captures of one router may share nothing: a router that swallows everything, a PBX on the router
itself, calls inside the LAN and scanners outside. They are unrelated only if each holds traffic the
router must have forwarded: on the LAN a request between a host there and one beyond the router; on
the WAN one sent, or accepted, from behind the router. A TTL of 64, 128 or 255 shows that the router
itself sent the packet.

Without a shared message, the addresses may still tell that the two sides are exchanged.
"""

from __future__ import annotations

from collections.abc import Iterable

from algwatch.base import address
from algwatch.base.native.layout import ACK, OPTIONS, REGISTER
from algwatch.compare.copies import Copy
from algwatch.sip.timers import SECOND

Key = tuple[int, int]  # Call-ID, and From tag, CSeq and method
SHARED = 0x64400000 >> 22  # 100.64.0.0/10 (RFC 6598), of the WAN side of routers
SLACK = SECOND  # the captures began and ended within this time of their first and last message


class Asked:
    """A request without its retransmissions. times: ns, of all its messages; ttl: its own;
    accepted, accepted_at: TTL and time of its 2xx, 0 without one; one_network: it goes to a
    neighbour (address.in_one_network)."""

    __slots__ = (
        "accepted",
        "accepted_at",
        "dst",
        "dst_packed",
        "identity",
        "method",
        "one_network",
        "src",
        "times",
        "ttl",
    )

    def __init__(self, copy: Copy, src: str, dst: str) -> None:
        self.times: list[int] = []
        self.identity = copy.identity
        self.method = _method(copy)
        self.src = src
        self.dst = dst
        self.dst_packed = copy.ends[16:32]
        self.ttl = copy.ttl
        self.accepted = self.accepted_at = 0
        ends = copy.ends
        self.one_network = address.in_one_network(ends[:16], ends[16:32], ends[47])


class Traffic:
    """The requests of one side. hosts: all addresses, with the number of messages of each; flows:
    sender and receiver of each message; hops: of senders, the number of routers passed, by the
    TTL."""

    def __init__(self, identities: Iterable[list[Copy]]) -> None:
        self.asked: dict[Key, Asked] = {}
        self.hosts: dict[str, int] = {}
        self.flows: set[tuple[str, str]] = set()
        self.hops: dict[str, int] = {}
        self.messages = 0
        times: dict[Key, list[int]] = {}
        accepted: dict[Key, Copy] = {}
        for copies in identities:
            copy = copies[0]
            src, dst = (address.text(copy.ends[i : i + 16], copy.ends[47]) for i in (0, 16))
            self.hops[src] = min(_hops(copy.ttl), self.hops.get(src, 255))
            self.messages += 1
            self.flows.add((src, dst))
            for host in {src, dst}:
                self.hosts[host] = self.hosts.get(host, 0) + 1
            status, key = copy.kind & 0xFFFF, (copy.call, copy.kind >> 16)
            times.setdefault(key, []).extend(copy.at for copy in copies)
            if not status and _method(copy) != ACK:
                self.asked.setdefault(key, Asked(copy, src, dst))
            elif 200 <= status < 300:
                accepted[key] = copy
        for key, asked in self.asked.items():
            if key in accepted:
                asked.accepted, asked.accepted_at = accepted[key].ttl, accepted[key].at
            asked.times = times[key]
        every = [at for some in times.values() for at in some]
        self.first, self.last = min(every, default=0) - SLACK, max(every, default=0) + SLACK

    def between(self, first: int, last: int) -> list[Asked]:
        """Requests with a message in this time."""
        return [a for a in self.asked.values() if any(first <= at <= last for at in a.times)]

    def near(self) -> set[str]:
        """The address of the router on this, its WAN side: an end of nearly every message. Among
        two: the private one, or the one with at most one router passed, or the one that registers.
        Both if nothing tells."""
        ends = {host for host, count in self.hosts.items() if count >= 0.9 * self.messages}
        if len(ends) < 2:
            return ends
        registers = {a.src for a in self.asked.values() if a.method == REGISTER and a.accepted}
        private = {host for host in ends if address.is_unroutable(host)}
        close = {host for host in ends if self.hops.get(host, 255) <= 1}
        for some in (private, close, registers & ends):
            if len(some) == 1:
                return some
        return ends


class Unrelated:
    """asked: requests of the LAN and of the WAN side that must have crossed; lan, wan: their
    identities; together: the captures overlap in time."""

    __slots__ = ("asked", "lan", "together", "wan")

    def __init__(self, lan: list[Asked], wan: list[Asked], together: bool) -> None:
        self.asked = (len(lan), len(wan))
        self.lan = [a.identity for a in lan]
        self.wan = [a.identity for a in wan]
        self.together = together


def unrelated(lan: Traffic, wan: Traffic) -> Unrelated | None:
    """Judge two sides without a shared message: None if they need not share one. If the captures
    overlap, only messages from their common time count."""
    first, last = max(lan.first, wan.first), min(lan.last, wan.last)
    together = first <= last
    if not together:
        first, last = 0, 1 << 64
    near = wan.near()
    inside = [a for a in lan.between(first, last) if _is_forwarded(a, near, wan.hosts)]
    outside = [a for a in wan.between(first, last) if _is_from_behind(a, near)]
    done_inside = sum(1 for a in inside if a.accepted)
    done_outside = sum(1 for a in outside if a.accepted)
    if inside and outside and (done_inside or done_outside > 1):
        return Unrelated(inside, outside, together)
    return None


def exchanged(lan: Traffic, wan: Traffic) -> bool:
    """True if two sides without a shared message are named the wrong way round, by addresses alone:
    the side named LAN has public ends only, and each flow on the one named WAN has a private end
    next to the capture. IPv4 only: a LAN of IPv6 has public ends. A private end that passed a
    router, or is one of CGNAT, may as well be on a WAN."""
    if any(address.ipv4(host) < 0 or address.is_unroutable(host) for host in lan.hosts):
        return False
    private = {host for host in wan.hosts if _is_private(host)}
    return (
        bool(lan.flows and wan.flows)
        and all(src in private or dst in private for src, dst in wan.flows)
        and all(not wan.hops.get(host, 0) for host in private)
    )


def crossed_in_lan(lan: Traffic, wan: Traffic) -> list[Asked]:
    """LAN requests certainly forwarded by the router: sent, or accepted, by a host beyond it."""
    near = wan.near()
    return [
        a for a in lan.asked.values()
        if _is_forwarded(a, near, wan.hosts) and (
            is_far(a.accepted)
            or (is_far(a.ttl) and not _goes_out(a, wan.hosts))
        )
    ]  # fmt: skip


def crossed_on_wan(wan: Traffic) -> list[Asked]:
    """WAN requests certainly forwarded by the router."""
    near = wan.near()
    return [a for a in wan.asked.values() if _is_from_behind(a, near)]


def _goes_out(asked: Asked, beyond: dict[str, int]) -> bool:
    inside = address.is_unroutable(asked.src), address.is_unroutable(asked.dst)
    return inside[0] and (not inside[1] or asked.dst in beyond)


def is_far(ttl: int) -> bool:
    """True if a message was seen, and had passed a router."""
    return _hops(ttl) > 0


def _is_from_behind(asked: Asked, near: set[str]) -> bool:
    """True if a request on the WAN came from behind the router, or was accepted there."""
    if len(near) != 1:
        return False
    if asked.src in near:
        return _hops(asked.ttl) > 0
    return asked.method != OPTIONS and asked.accepted > 0 and _hops(asked.accepted) > 0


def _is_forwarded(asked: Asked, near: set[str], beyond: dict[str, int]) -> bool:
    """True if a request on the LAN is between a host there and one beyond the router."""
    src, dst = asked.src, asked.dst
    if src in near or dst in near or address.is_multicast(asked.dst_packed, 6 if ":" in dst else 4):
        return False
    inside = address.is_unroutable(src), address.is_unroutable(dst)
    if all(inside):
        return src in beyond or dst in beyond
    return any(inside) or not asked.one_network


def _is_private(host: str) -> bool:
    value = address.ipv4(host)
    return value >= 0 and address.is_unroutable(host) and value >> 22 != SHARED


def _method(copy: Copy) -> int:
    return copy.kind >> 16 & 0xFF


def _hops(ttl: int) -> int:
    """The number of routers a packet has passed: TTLs begin at 64, 128 or 255. 0 if the TTL is not
    known."""
    if not ttl:
        return 0
    return 64 - ttl if ttl <= 64 else 128 - ttl if ttl <= 128 else 255 - ttl
