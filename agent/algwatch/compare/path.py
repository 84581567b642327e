# SPDX-License-Identifier: Apache-2.0
"""Path: two hosts with traffic through this router, and the losses between them."""

from __future__ import annotations

from algwatch.base.sighting import Sighting
from algwatch.compare.line import Line
from algwatch.sip.timers import T1, T2


class Lost:
    """An exchange with lost packets. place: see PLACES. packets: at least so many. sent: copies of
    the message. what: a sentence part. example: a copy of it, or None. since, until: ns, its wait
    for an answer."""

    __slots__ = ("example", "packets", "place", "sent", "since", "until", "what")

    def __init__(self, place: int, packets: int, sent: int, what: str,
                 example: Sighting | None, since: int = 0, until: int = 0) -> None:  # fmt: skip
        self.since = since
        self.until = until
        self.place = place
        self.packets = packets
        self.sent = sent
        self.what = what
        self.example = example

    @property
    def silent(self) -> int:
        """ns, the latest copy without an answer. Copies are T1 apart, then twice the gap before, up
        to T2 (Timer E)."""
        waited = self.until - self.since
        return self.since + max(waited - T2, (waited - T1) // 2, 0)


class Tries:
    """Exchanges of one kind. all: their count; again: those with a retransmission; quick: those
    answered at once. Exchanges with apparent losses: early, before the first answer; late, after
    it; sure, without another explanation."""

    __slots__ = ("again", "all", "early", "late", "quick", "sure")

    def __init__(self) -> None:
        self.all = self.again = self.quick = 0
        self.early: list[Lost] = []
        self.late: list[Lost] = []
        self.sure: list[Lost] = []

    def lost(self) -> tuple[list[Lost], list[Lost]]:
        """Losses after the first answer, and before it. A slow end, or one that ignores an answer,
        looks like packet loss. It answers few exchanges at once, and needs the same number of
        retransmissions each time."""
        mixed = 2 * self.quick >= self.again
        early = self.early if mixed or len({one.sent for one in self.early}) > 2 else []
        return self.sure + self.late if mixed else self.sure, early


class Path:
    """Two hosts with traffic through this router, and the losses between them. near, far: text;
    near is the phone in a two-sided capture. line: theirs, None with one side only. since, until:
    ns, the time of the counted exchanges. repeats: their retransmissions by side (LAN, WAN,
    UNKNOWN)."""

    __slots__ = ("far", "line", "near", "repeats", "since", "tries", "until")

    def __init__(self, near: str, far: str, since: int) -> None:
        self.near = near
        self.far = far
        self.line: Line | None = None
        self.clear(since)

    def clear(self, since: int) -> None:
        self.since = self.until = since
        self.repeats = [0, 0, 0]
        self.tries: dict[str, Tries] = {}

    def of(self, kind: str) -> Tries:
        tries = self.tries.get(kind)
        if tries is None:
            tries = self.tries[kind] = Tries()
        return tries

    @property
    def exchanges(self) -> int:
        return sum(tries.all for tries in self.tries.values())

    def lost(self) -> list[Lost]:
        """An absent end answers nothing for a while, then everything. All exchanges in this time
        are one loss: the exchange with most copies stands for it."""
        lost: list[Lost] = []
        waited: list[Lost] = []
        for tries in self.tries.values():
            late, early = tries.lost()
            lost += late
            waited += early
        silent = back = 0  # ns: the end was still absent, and present again
        for one in sorted(waited, key=lambda one: one.since):
            if one.since >= back or max(silent, one.silent) > min(back, one.until):
                lost.append(one)
                silent, back = one.silent, one.until
                continue
            if one.sent > lost[-1].sent:
                lost[-1] = one
            silent, back = max(silent, one.silent), min(back, one.until)
        return lost

    def sightings(self) -> list[Sighting | None]:
        """Messages kept as examples."""
        return [one.example for tries in self.tries.values()
                for some in (tries.early, tries.late, tries.sure) for one in some]  # fmt: skip
