# SPDX-License-Identifier: Apache-2.0
"""The common time of two captures of one router: did one begin later, or end earlier?

The first message of a side is not the beginning of its capture: a router that swallows everything
leaves the WAN side silent, too. A side began later only if the other side shows traffic before its
first packet, and the router must have forwarded this traffic. Such traffic after its last packet
shows an earlier end.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from algwatch.base.packet import LAN, WAN
from algwatch.base.sighting import Sighting
from algwatch.compare.must_cross import SLACK, Traffic, crossed_in_lan, crossed_on_wan
from algwatch.compare.quality import Quality, named


@dataclass(slots=True)
class Seen:
    """One side. first, last: ns on the LAN clock, its first and last packet; examples: messages by
    identity; shift: from its own clock to the LAN clock, None if they agree."""

    traffic: Traffic
    first: int
    last: int
    examples: dict[int, Sighting]
    shift: Callable[[int], int] | None


def note_spans(quality: Quality, lan: Seen, wan: Seen, over: bool) -> None:
    """over: both captures were read to their ends."""
    forwarded = crossed_in_lan(lan.traffic, wan.traffic), crossed_on_wan(wan.traffic)
    for side, own, other in ((LAN, lan, wan), (WAN, wan, lan)):
        for asked in forwarded[1 - side]:
            first, shown = min(asked.times), asked.accepted_at or max(asked.times)
            if other.shift is not None:
                first, shown = other.shift(first), other.shift(shown)
            if shown < own.first - SLACK:
                quality.began[side] = own.first
            elif over and first > own.last + SLACK:
                quality.ended[side] = own.last
            else:
                continue
            if quality.witnesses[side] is None:
                quality.witnesses[side] = named(other.examples.get(asked.identity), 1 - side)
    if quality.began[LAN]:
        quality.remotes = _remotes(lan.traffic, wan.traffic)


def _remotes(lan: Traffic, wan: Traffic) -> frozenset[bytes]:
    """Hosts beyond the router contacted by a phone's request."""
    near = wan.near()
    asked = {a.dst_packed for a in lan.asked.values() if a.dst in wan.hosts and a.dst not in near}
    return frozenset(asked | {a.dst_packed for a in crossed_on_wan(wan) if a.src in near})
