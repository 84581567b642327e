# SPDX-License-Identifier: Apache-2.0
"""Missing: single packets that one of two captures lacks.

What leaves a router has come to it. So a copy on the side it went to, and none on the side it came
from, shows a gap in that capture, and how large such gaps are. With gaps, a message that came and
is not seen to leave may have left; only one that was repeated too often for all of its copies to
fall into gaps was stopped by the router.

A host on a side can send what looks as if it had come out of the router there. So only calls that
crossed count, each with as many missing messages as crossed, and no share of missing packets hides
all copies of a stopped INVITE.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import log

from algwatch.base.native.layout import ROW_TCP
from algwatch.base.packet import LAN, WAN
from algwatch.compare.copies import Copy, once
from algwatch.compare.gaps import Gaps
from algwatch.compare.must_cross import is_far
from algwatch.sip.timers import WINDOW

CHANCE = 0.001  # of one message with all copies in gaps
MOST = 0.37  # of the packets are missing: with more, the 7 copies of an INVITE could be
Copies = dict[int, list[Copy]]
Span = tuple[int, int]  # ns, its first and last message
Shared = Sequence[tuple[list[Copy], list[Copy]]]


def missing(lan: Copies, wan: Copies, shared: Shared, most: int,
            spans: Sequence[Sequence[Span]]) -> tuple[Gaps, Gaps]:  # fmt: skip
    """The gaps of the LAN and the WAN capture. shared: the copies of messages on both, LAN and WAN.
    most: copies of a message that are kept. spans: by side, the times of which its capture was
    read."""
    both = lan, wan
    found = Gaps(), Gaps()
    crossed: dict[int, int] = {}  # by call, the messages on both sides
    lans: dict[bytes, int] = {}  # by flow, the side it came from
    wans: dict[bytes, int] = {}
    renamed: set[int] = set()  # by the router
    for pair in shared:
        one, other = pair[LAN][0], pair[WAN][0]
        if one.pair != other.pair or one.call != other.call:
            renamed |= {one.identity, other.identity}
        for call in {one.call, other.call}:
            crossed[call] = crossed.get(call, 0) + 1
        if one.ttl == other.ttl or not (one.ttl and other.ttl):
            continue
        came = LAN if one.ttl > other.ttl else WAN
        lans[_flow(one)] = wans[_flow(other)] = came
        entered, left = len(pair[came]), len(pair[1 - came])
        if entered == left == 1:
            found[came].passed += 1  # nearly all
        elif max(entered, left) < most and not one.bits & ROW_TCP:
            shown = _during(pair[1 - came], spans[came])
            found[came].note(len(shown) - len(once(pair[came])), len(shown), pair[1 - came][0])
    lone = (lan.keys() ^ wan.keys()) - renamed
    # In the order of the capture: that of a set of hashes is another one on 32-bit CPUs.
    alone = tuple({key: side[key] for key in side if key in lone} for side in both)
    for side in (LAN, WAN):
        others: dict[int, list[int]] = {}
        for copies in alone[1 - side].values():
            others.setdefault(_kind(copies[0]), []).append(copies[0].at)
        for copies in alone[side].values():
            copy = copies[0]
            came = (lans, wans)[side].get(_flow(copy), side)
            if came == side or copy.bits & ROW_TCP or not is_far(copy.ttl):
                continue
            # The router may have changed more than one of its names.
            changed = any(abs(at - copy.at) <= WINDOW for at in others.get(_kind(copy), ()))
            shown = _during(copies, spans[came])
            if shown and not changed and crossed.get(copy.call, 0) > 0:
                crossed[copy.call] -= 1
                found[came].note(len(shown), len(shown), copy)
                found[came].out.add(copy.identity)
    _prove(found, alone)
    return found


def _prove(found: tuple[Gaps, Gaps], alone: tuple[Copies, ...]) -> None:
    """Note what was stopped in spite of the gaps. alone: by side, the messages on it alone. The
    rate of the other side serves to prove what a side without gaps lacks."""
    shares = [gaps.missing / max(1, gaps.passed) for gaps in found]
    for side, gaps in enumerate(reversed(found)):
        if any(shares):
            least = log(CHANCE) / log(min(MOST, shares[1 - side] or shares[side]))
            gaps.stopped = frozenset(
                key for key, copies in alone[side].items() if len(once(copies)) > least
            )


def _flow(copy: Copy) -> bytes:
    """Hosts and ports: other phones, outside of the LAN capture, have other ports on the WAN."""
    return copy.ends[:32] + copy.ends[40:44]


def _kind(copy: Copy) -> int:
    """Method and status."""
    return copy.kind & 0xFFFFFF


def _during(copies: list[Copy], spans: Sequence[Span]) -> list[Copy]:
    return [copy for copy in once(copies)
            if any(first + WINDOW <= copy.at <= last for first, last in spans)]  # fmt: skip
