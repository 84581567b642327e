# SPDX-License-Identifier: Apache-2.0
"""Mappings.renews(), the short way of most messages, leaves what doubts() and learn() would."""

from __future__ import annotations

import random
import struct
from socket import AF_INET, inet_pton

import pytest
from algwatch.base.sighting import Sighting
from algwatch.compare.flow_pair import FlowPair
from algwatch.compare.mapping import Mappings
from algwatch.sip.timers import SECOND

FAR = ("198.51.100.9", 5060)


def sighting(side: int, source: tuple[str, int], target: tuple[str, int]) -> Sighting:
    hosts = b"".join(inet_pton(AF_INET, host).ljust(16, b"\0") for host, _ in (source, target))
    ports = struct.pack("=HH", source[1], target[1])
    return Sighting((0,) * 17, side, b"", hosts + bytes(8) + ports + bytes([0, 0, 17, 4]))


def pair(phone: tuple[str, int], mapped: tuple[str, int], outbound: bool) -> FlowPair:
    ends = [(phone, FAR), (mapped, FAR)] if outbound else [(FAR, phone), (FAR, mapped)]
    lan, wan = (sighting(side, *both) for side, both in enumerate(ends))
    return FlowPair(lan, wan, outbound)


def state(mappings: Mappings, pairs: list[FlowPair]) -> list[object]:
    entries = [
        (key, *(getattr(entry, name) for name in entry.__slots__ if name != "timeouts"))
        for table in (mappings.table, mappings.states)
        for key, entry in table.items()
    ]
    flags = [(one.agreed, one.moved) for one in pairs]
    return [entries, flags, mappings.survived, dict(mappings.newest)]


@pytest.mark.parametrize("seed", range(20))
def test_it_leaves_the_same_as_doubting_and_learning(seed: int) -> None:
    some, renewed = random.Random(seed), 0
    phones = [("192.168.1.10", 5060), ("192.168.1.10", 5062), ("192.168.1.11", 5060)]
    mapped = [("203.0.113.7", 20000), ("203.0.113.7", 20001), ("192.168.1.10", 5060)]
    plain, short = Mappings(64), Mappings(64)
    kinds = [(p, m, out) for p in phones for m in mapped for out in (True, False)]
    one, other = ([pair(*kind) for kind in kinds] for _ in range(2))
    at = 10**18
    for _ in range(400):
        at += some.choice([SECOND // 50, SECOND, 5 * SECOND, 40 * SECOND, 400 * SECOND])
        i, rewritten = some.choice([0, 1, some.randrange(len(kinds))]), some.random() < 0.5
        wan_at = at + some.randrange(SECOND // 100)
        left_at = wan_at if one[i].outbound else at
        doubtful = plain.doubts(one[i], left_at)
        expected = None if doubtful else plain.learn(one[i], at, wan_at, rewritten)
        if short.renews(other[i], at, left_at, rewritten):
            renewed += 1
            assert not doubtful and expected is None
        elif not short.doubts(other[i], left_at):
            assert short.learn(other[i], at, wan_at, rewritten) == expected
        assert state(plain, one) == state(short, other)
    assert renewed > 20
