# SPDX-License-Identifier: Apache-2.0
"""TCP flows, a bounded number remembered for a bounded time: how far each was read, and the
connections with WebSocket."""

from __future__ import annotations

import re
import struct
from collections import OrderedDict

from algwatch.base.typed import Any

FLOW_COST = 320  # bytes of memory for a flow
MOST_FLOWS = 64  # and as many WebSockets: a third of the room of a tap
FLOW_SECONDS = 120  # TCP_RTO_MAX of Linux: no segment is sent again later
WEBSOCKET_SECONDS = 600  # of silence: then the ports may belong to another connection

SECOND = 1_000_000_000
CLIENT, SERVER = 1, 2  # the sender on a flow of a WebSocket

_PORTS = struct.Struct("!HH")
# RFC 6455 section 4.1 and 4.2.2. The answer is enough for a capture begun after the request.
_UPGRADE = re.compile(
    rb"(?:GET |HTTP/1\.1 101 )[^\n]*\n(?:[^\n]*\n)*?upgrade[ \t]*:[^\n]*websocket", re.I
)


Mark = tuple[int, int]  # of a message: the sequence number of its first byte, and a hash of all
NONE: Mark = (-1, 0)


class Flows:
    """A number for each flow, by key, and its latest message. seconds: of silence; a flow is
    forgotten after it."""

    def __init__(self, seconds: int) -> None:
        self._silence = seconds * SECOND
        self._seen: OrderedDict[bytes, tuple[int, int, Mark]] = OrderedDict()

    def __len__(self) -> int:
        return len(self._seen)

    @property
    def cost(self) -> int:
        """Bytes."""
        return FLOW_COST * len(self._seen)

    def remember(self, key: bytes, at: int, number: int, latest: Mark = NONE) -> None:
        """at: ns. With too many flows the longest silent one goes."""
        seen = self._seen
        if key in seen:
            seen.move_to_end(key)
        elif len(seen) >= MOST_FLOWS:
            seen.popitem(last=False)
        seen[key] = at, number, latest

    def recall(self, key: bytes, at: int) -> int | None:
        """The number of a flow; None without one, or after the silence: the ports may belong to
        another connection then."""
        seen = self._seen.get(key)
        if seen is None:
            return None
        if at - seen[0] > self._silence:
            del self._seen[key]
            return None
        return seen[1]

    def latest(self, key: bytes) -> Mark:
        seen = self._seen.get(key)
        return NONE if seen is None else seen[2]

    def forget(self, key: bytes) -> None:
        self._seen.pop(key, None)


class WebSockets(Flows):
    """Connections with WebSocket (RFC 7118), both directions. ends: an unpacked layout.ENDS."""

    def __init__(self) -> None:
        super().__init__(WEBSOCKET_SECONDS)

    def open(self, data: bytes, ends: tuple[Any, ...], at: int) -> None:
        """data: an upgrade, or its answer."""
        ways = (CLIENT, SERVER) if data[:1] in b"Gg" else (SERVER, CLIENT)
        for flow, way in zip(_both_ways(ends), ways, strict=True):
            self.remember(flow, at, way)

    def sender(self, ends: tuple[Any, ...], at: int) -> int:
        """CLIENT or SERVER, the sender on this flow of a WebSocket; 0 for any other flow."""
        key = _both_ways(ends)[0]
        way = self.recall(key, at)
        if way is None:
            return 0
        self.remember(key, at, way)
        return way

    def close(self, ends: tuple[Any, ...]) -> None:
        for flow in _both_ways(ends):
            self.forget(flow)


def is_upgrade(data: bytes) -> bool:
    """True for a request to switch to WebSocket and for its answer."""
    return _UPGRADE.match(data) is not None


def _both_ways(ends: tuple[Any, ...]) -> tuple[bytes, bytes]:
    """The keys of both directions of a TCP connection, the one of `ends` first."""
    src, dst, _, _, sport, dport = ends[:6]
    return src + dst + _PORTS.pack(sport, dport), dst + src + _PORTS.pack(dport, sport)
