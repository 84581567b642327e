# SPDX-License-Identifier: Apache-2.0
"""One way: does one of two captures lack a whole direction of its SIP?

A filter such as `src host` leaves out one direction, and the router seems to have swallowed it. A
router that really lets nothing through looks alike, so there must be a proof that such messages
passed: a response whose request is on the other side only; or a final response on the other side
only that had passed a router (in the LAN), or that the phone did not miss (it repeats a request
over UDP after T1). If both sides lack the same direction, two signs are asked for: a response
without its request, or (in the LAN) a request sent once.
"""

from __future__ import annotations

from collections.abc import Iterable

from algwatch.base.native.layout import ACK, OPTIONS
from algwatch.base.packet import LAN
from algwatch.compare.copies import Copy
from algwatch.compare.must_cross import is_far
from algwatch.sip.timers import SECOND
from algwatch.sip.transaction import UDP

SIGNS = LEAST = 2  # LEAST: messages of this side
Key = tuple[int, int]  # Call-ID; From tag, CSeq and method


class _Messages:
    """Requests and final responses of one side, each as its copies, by Call-ID, From tag, CSeq and
    method; flows: source and destination host."""

    def __init__(self, identities: Iterable[list[Copy]]) -> None:
        self.asked: dict[Key, list[Copy]] = {}
        self.answered: dict[Key, list[Copy]] = {}
        self.flows: set[tuple[bytes, bytes]] = set()
        self.last = self.count = 0
        for copies in identities:
            copy = copies[0]
            self.count += 1
            self.flows.add((copy.ends[:16], copy.ends[16:32]))
            self.last = max(self.last, copies[-1].at)
            if copy.method == ACK:
                continue
            key = copy.call, copy.kind >> 16
            if not copy.status:
                self.asked.setdefault(key, copies)
            elif copy.status >= 200:
                self.answered.setdefault(key, copies)


def one_way(own: Iterable[list[Copy]], other: Iterable[list[Copy]], side: int) -> bool:
    """own: the identities of this side (LAN or WAN), with their copies."""
    near, far = _Messages(own), _Messages(other)
    if near.count < LEAST or any((dst, src) in near.flows for src, dst in near.flows):
        return False
    once = {key for key, asked in near.asked.items() if _is_sent_once(asked, near.last)}
    again = {key for key, asked in near.asked.items() if len(asked) > 1}
    blind = near.answered.keys() - near.asked.keys()  # responses without their request
    if blind & far.asked.keys():
        return True
    silent = far.answered.keys() & far.asked.keys() & near.asked.keys() - near.answered.keys()
    if side != LAN:  # scanners ask once
        return len(blind) >= SIGNS or any(is_far(far.answered[key][0].ttl) for key in silent)
    if silent:
        return not silent & again and bool(silent & once)
    return not again and len(blind) + len(once) >= SIGNS


def _is_sent_once(asked: list[Copy], last: int) -> bool:
    """The sender did not miss the response."""
    copy = asked[0]
    if copy.method == OPTIONS or copy.ends[46] != UDP:  # some phones ask once only
        return False
    return len(asked) == 1 and last - copy.at > SECOND
