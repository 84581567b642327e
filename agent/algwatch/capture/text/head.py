# SPDX-License-Identifier: Apache-2.0
"""Head: facts about a message, from the log lines in front of it."""

from __future__ import annotations

from algwatch.base import address
from algwatch.capture.text.times import Times

Host = tuple[str, int]  # an IP literal without brackets, or a name; and a port


class Head:
    """at: ns, 0 if not given. transport: "" if not given. peer: the other end of an incoming or
    outgoing message; or src and dst, if both are given."""

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
    """One format of logged messages. name: for people."""

    name = ""

    def begins(self, line: str, times: Times) -> Head | None:
        """The facts of a line in front of a message; None for any other line."""
        raise NotImplementedError

    def ends(self, line: str) -> bool:
        """True for a line behind a message."""
        return False

    def clean(self, line: str) -> str | None:
        """A line of a message without additions of the format; None for a line outside the
        message."""
        return line


def host(text: str, port: str | None) -> Host | None:
    """Host and port as written in a log; None without a host."""
    text = text.strip("[]")
    number = int(port) if port and len(port) <= 5 else 5060
    if not text or len(text) > 255 or not 0 < number < 65536:
        return None
    return (text if address.is_literal(text) else text.lower()), number
