# SPDX-License-Identifier: Apache-2.0
"""Tracked: a UDP flow as counted by the router's connection tracking."""

from __future__ import annotations

Endpoint = tuple[str, int]
Counter = tuple[int, int]
"""Packets, and bytes with their IP headers."""


class Tracked:
    """One entry of the table at a time (ns, packet time).

    original: (source, destination) of the first sender's packets, as they come to the router;
    reply: of the other end's packets, as they come to it. Network address translation is the
    difference of the two. sent, answered: counters of these packets, None if the kernel does not
    count. offloaded: some pass uncounted.
    """

    __slots__ = ("answered", "at", "offloaded", "original", "reply", "sent")

    def __init__(self, at: int, original: tuple[Endpoint, Endpoint],
                 reply: tuple[Endpoint, Endpoint], sent: Counter | None, answered: Counter | None,
                 offloaded: bool = False) -> None:  # fmt: skip
        self.at = at
        self.original = original
        self.reply = reply
        self.sent = sent
        self.answered = answered
        self.offloaded = offloaded
