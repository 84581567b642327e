# SPDX-License-Identifier: Apache-2.0
"""Announced media, and the RTP that was counted for them."""

from __future__ import annotations


class Stream:
    """RTP between an announced endpoint and one other while the announcement was in force.

    inwards: to the announced endpoint. host, port: the other end. first, last: ns. octets: of RTP
    with its headers. sure: ns; where the time of the last packet is not known exactly (last is the
    latest possible), it came after this.
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
    """One m=audio line of RTP, as one message of a call carried it.

    tap: index. at: ns, of the first message that said so. sender: keyed hash of the tag of who
    announced it. source: address that the message came from. host: "" of a host name; port: 0,
    declined. ways: aw_media_bits of the direction, 0 = sendrecv. held: no RTP shall come to it
    (RFC 3264 section 8.4). ice: its candidates may say otherwise. request: a request carried it.
    more: packets of further streams. learned: nobody announced it, but RTP came from there to what
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
