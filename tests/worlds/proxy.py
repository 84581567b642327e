# SPDX-License-Identifier: Apache-2.0
"""A proxy on paper: it forwards calls from one phone of a house to another (RFC 3261 section
16.11). Both go through the router, and have one Call-ID."""

from __future__ import annotations

import re
from collections.abc import Callable

from craft import answer

from worlds.text import Place, Text

OWN = "z9hG4bK-px-"
NOBODY = "none"
HERE_ONLY = ("who", "moved", NOBODY)  # tags of its own refusals, which the phone acknowledges


class Proxy:
    """here: its own place; send: puts a message on the wire. bound: by From of a REGISTER, the
    Request-URI of requests to that phone, and where they go. by_contact: requests inside a call go
    by their Request-URI."""

    by_contact = False

    def __init__(self, here: Place, bound: dict[str, tuple[Place, Place]],
                 send: Callable[[bytes, Place], None]) -> None:  # fmt: skip
        self.here, self.bound, self.send = here, bound, send
        self._back: dict[str, Place] = {}  # by branch

    def forward(self, text: Text, back: Place) -> None:
        """A request, on its way."""
        if text.method == "ACK" and text.tags[1] in HERE_ONLY:
            return
        found = next((b for name, b in self.bound.items() if f":{text.user}@" in name), None)
        if found is None:
            if text.method != "ACK":
                self.send(answer(404, text.raw, to_tag=NOBODY), back)
            return
        uri, to = found
        if text.tags[1] and self.by_contact:
            uri = to = text.uri
        branch = OWN + text.branch
        self._back[branch] = back
        via = f"Via: SIP/2.0/UDP {self.here[0]}:{self.here[1]};branch={branch}"
        lines = [line for line in text.lines if not line.startswith("Route: ")]
        if text.method == "INVITE" and not text.tags[1]:
            via += f"\r\nRecord-Route: <sip:{self.here[0]}:{self.here[1]};lr>"
        lines = [line.replace("Max-Forwards: 70", "Max-Forwards: 69") for line in lines]
        start = re.sub(r"@[^ ;>]+", f"@{uri[0]}:{uri[1]}", text.start)
        head = "\r\n".join([start, via, *lines])
        self.send(head.encode() + b"\r\n\r\n" + text.body, to)

    def returned(self, text: Text) -> None:
        """A response, on its way back. Without its own Via nobody would know where to."""
        back = self._back.get(text.branch)
        if back is not None:
            own = next(line for line in text.lines if line.startswith("Via: "))
            self.send(text.raw.replace(f"{own}\r\n".encode(), b"", 1), back)
