# SPDX-License-Identifier: Apache-2.0
"""Copy: the part of a message kept by a survey of two captures, and the matching of copies."""

from __future__ import annotations

from typing import NamedTuple

from algwatch.compare.clock_offset import Match
from algwatch.sip.timers import T2, TIMER_B, WINDOW

TWICE = WINDOW // 2  # no retransmission comes sooner: such a copy was captured twice
REPEATED = TIMER_B + T2  # no retransmission comes later: such a message is sent without end


class Copy(NamedTuple):
    """pair, call: hashes as in the row. kind: From tag (hash), CSeq, method and status: 32, 32,
    8 and 16 bits. digest: hash of the bytes. ends: the 48 bytes of addresses."""

    at: int
    pair: int
    call: int
    kind: int
    ip_id: int
    ttl: int
    bits: int
    digest: int
    ends: bytes

    @property
    def identity(self) -> int:
        return self.pair ^ self.call

    @property
    def parts(self) -> tuple[tuple[int, ...], tuple[int, ...]]:
        """The identity parts left after a change of Call-ID or branch."""
        return (self.pair,), (self.call, self.kind)

    @property
    def header(self) -> tuple[int, int, bytes]:
        """As in sides_check.py."""
        return self.ttl, self.bits, self.ends

    @property
    def method(self) -> int:
        return self.kind >> 16 & 0xFF

    @property
    def status(self) -> int:
        return self.kind & 0xFFFF


def keeps_an_end(one: Copy, two: Copy) -> bool:
    """True if source or destination is the same: NAT changes one of them."""
    a, b = one.ends, two.ends
    source = a[:16] == b[:16] and a[40:42] == b[40:42]
    return source or (a[16:32] == b[16:32] and a[42:44] == b[42:44])


def is_same(lan: list[Copy], wan: list[Copy]) -> bool:
    """True if a packet of one message is in both captures unchanged."""
    return not {_packet(copy) for copy in lan}.isdisjoint(_packet(copy) for copy in wan)


def _packet(copy: Copy) -> tuple[int, int, int, bytes]:
    return copy.ip_id, copy.ttl, copy.digest, copy.ends[:32] + copy.ends[40:44]


def match_copies(lan: list[Copy], wan: list[Copy]) -> tuple[Match, Copy, Copy]:
    """Clock offsets by the copies of one message, and two copies of one datagram (or its best guess
    after losses)."""
    inside, outside = once(lan), once(wan)
    by_id = {copy.ip_id: copy for copy in outside if copy.ip_id}
    both = [(copy, by_id[copy.ip_id]) for copy in inside if copy.ip_id in by_id]
    if both and len(by_id) == len(outside) and len({c.ip_id for c in inside}) == len(inside):
        one, two = both[0]
        proof = abs(one.ttl - two.ttl) == 1 and keeps_an_end(one, two)
        return Match([_candidate(*pair) for pair in both], len(both), True, proof), one, two
    if max(inside[-1].at - inside[0].at, outside[-1].at - outside[0].at) > REPEATED:
        return Match([], 1, False, False), inside[0], outside[0]
    if len(inside) == len(outside):
        ordered = [_candidate(*pair) for pair in zip(inside, outside, strict=True)]
        return Match(ordered, len(ordered), len(ordered) == 1, False), inside[0], outside[0]
    every = [_candidate(one, two) for one in inside for two in outside]
    return Match(every, min(len(inside), len(outside)), False, False), inside[0], outside[0]


def once(copies: list[Copy]) -> list[Copy]:
    """In order of time, without copies captured twice."""
    kept: list[Copy] = []
    for copy in sorted(copies):
        if not kept or copy.at - kept[-1].at >= TWICE:
            kept.append(copy)
    return kept


def _candidate(lan: Copy, wan: Copy) -> tuple[int, int, bool | None]:
    out = None if lan.ttl == wan.ttl or not (lan.ttl and wan.ttl) else lan.ttl > wan.ttl
    return wan.at, lan.at - wan.at, out
