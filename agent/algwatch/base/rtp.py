# SPDX-License-Identifier: Apache-2.0
"""Announced media, and their counted RTP."""

from __future__ import annotations


class Stream:
    """RTP between an announced endpoint and one other while the announcement was in force.

    inwards: to the announced endpoint. host, port: the other end. first, last: ns. octets: of RTP
    with its headers. sure: ns; the last packet came after this. If its exact time is not known,
    last is the latest possible.
    """

    __slots__ = ("first", "host", "inwards", "last", "octets", "packets", "port", "sure")

    def __init__(self, host: str, port: int, inwards: bool, packets: int, octets: int, first: int,
                 last: int, sure: int | None = None) -> None:  # fmt: skip
        self.host = host
        self.port = port
        self.inwards = inwards
        self.packets = packets
        self.octets = octets
        self.first = first
        self.last = last
        self.sure = last if sure is None else sure


class Announced:
    """One m=audio line of RTP in one message of a call.

    tap: index. at: ns, of the first message with it. sender: keyed hash of the announcer's tag.
    source: address the message came from. host: "" for a host name; port: 0, declined. ways:
    aw_media_bits of the direction, 0 = sendrecv. held: no RTP shall come to it (RFC 3264 section
    8.4). ice: its candidates may differ. request: it is in a request. more: packets of streams
    without a place. learned: nobody announced it, but RTP came from there to an endpoint that
    `sender` announced.
    """

    __slots__ = ("at", "host", "ice", "index", "learned", "more", "port", "request", "sender",
                 "source", "streams", "tap", "ways")  # fmt: skip

    def __init__(self, tap: int, at: int, sender: int, source: str, host: str, port: int, ways: int,
                 ice: bool, request: bool, index: int, streams: list[Stream],
                 more: int = 0, learned: bool = False) -> None:  # fmt: skip
        self.learned = learned
        self.tap = tap
        self.at = at
        self.sender = sender
        self.source = source
        self.host = host
        self.port = port
        self.ways = ways
        self.ice = ice
        self.request = request
        self.index = index
        self.streams = streams
        self.more = more

    def between(self, streams: list[Stream]) -> Announced:
        """The same with these of its streams."""
        return Announced(self.tap, self.at, self.sender, self.source, self.host, self.port,
                         self.ways, self.ice, self.request, self.index, streams, self.more,
                         self.learned)  # fmt: skip

    @property
    def held(self) -> bool:
        return bool(self.ways) or self.host in ("0.0.0.0", "::")
