# SPDX-License-Identifier: Apache-2.0
"""Head: what a log says of a message in front of it."""

from __future__ import annotations

from algwatch.base import address
from algwatch.capture.text.times import Times

Host = tuple[str, int]  # an IP literal without brackets, or a name; and a port


class Head:
    """at: ns, 0 where it is not told. transport: "" where it is not told. peer: the other end of
    a message that came in (incoming) or went out; or src and dst, where both are told."""

    __slots__ = ("at", "dst", "incoming", "peer", "src", "transport")

    def __init__(self, at: int = 0, transport: str = "", peer: Host | None = None,
                 incoming: bool = False, src: Host | None = None,
                 dst: Host | None = None) -> None:  # fmt: skip
        self.at = at
        self.transport = transport.upper()
        self.peer = peer
        self.incoming = incoming
        self.src = src
        self.dst = dst


class Format:
    """One way of writing messages down. name: for people."""

    name = ""

    def begins(self, line: str, times: Times) -> Head | None:
        """What a line tells that stands in front of a message; None of any other line."""
        raise NotImplementedError

    def ends(self, line: str) -> bool:
        """True of a line that stands behind a message."""
        return False

    def clean(self, line: str) -> str | None:
        """A line of a message without what the format adds; None of one that is none of it."""
        return line


def host(text: str, port: str | None) -> Host | None:
    """Host and port as they stand in a log; None where that is no host."""
    text = text.strip("[]")
    number = int(port) if port and len(port) <= 5 else 5060
    if not text or len(text) > 255 or not 0 < number < 65536:
        return None
    return (text if address.is_literal(text) else text.lower()), number
