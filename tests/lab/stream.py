# SPDX-License-Identifier: Apache-2.0
"""SIP over TCP: a connection that the endpoints use like a UDP socket."""

from __future__ import annotations

import contextlib
import re
import socket
import time
from collections.abc import Callable
from typing import Any

from .endpoint import Address
from .loop import Loop
from .network import Network
from .phone import Phone
from .provider import Provider

_LENGTH = re.compile(rb"\r\n(?:content-length|l)\s*:\s*(\d+)", re.IGNORECASE)
Cut = Callable[[bytes], list[bytes]]
PAUSE = 0.03  # seconds between two pieces, so that each leaves in a segment of its own
AFTER = 0.001  # seconds between the last piece and the next message


def whole(data: bytes) -> list[bytes]:
    return [data]


class Stream:
    """peer: where the other end is. cut: how each message is cut into segments."""

    def __init__(
        self,
        loop: Loop,
        sock: socket.socket,
        peer: Address,
        hear: Callable[[bytes, Address], None],
        cut: Cut = whole,
    ) -> None:
        self.loop = loop
        self.sock = sock
        self.peer = peer
        self.cut = cut
        self._hear = hear
        self._rest = b""
        self._busy_until = 0.0
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        loop.listen(sock, lambda data, source: self._read(data))

    def sendto(self, data: bytes, to: Address) -> None:
        """The connection decides where it goes. The pieces of two messages do not mix."""
        now = time.monotonic()
        first = max(now, self._busy_until)
        for number, piece in enumerate(self.cut(data)):
            due = first + number * PAUSE
            self.loop.later(due - now, lambda p=piece: self._send(p))  # type: ignore[misc]
            self._busy_until = due + AFTER

    def _send(self, piece: bytes) -> None:
        with contextlib.suppress(OSError):
            self.sock.send(piece)

    def _read(self, data: bytes) -> None:
        self._rest += data
        while b"\r\n\r\n" in self._rest:
            head, _, rest = self._rest.partition(b"\r\n\r\n")
            if not head:  # a keep-alive
                self._rest = rest
                continue
            match = _LENGTH.search(head)
            length = int(match[1]) if match else 0
            if len(rest) < length:
                return
            self._rest = rest[length:]
            self._hear(head + b"\r\n\r\n" + rest[:length], self.peer)


class TcpPhone(Phone):
    """Connects from a port of its own choice, and names another one in Via and Contact."""

    def __init__(self, loop: Loop, net: Network, cut: Cut = whole, **habits: Any) -> None:
        super().__init__(loop, net, **habits)
        self.transport, self.bare = "TCP", False
        with net.phone:
            sock = socket.create_connection(self.registrar, 5, (self.draw.phone_ip, 0))
        sock.setblocking(False)
        self.udp = self.sock
        self.stream = Stream(
            loop, sock, self.registrar, lambda data, source: self._read(self.sock, data, source),
            cut,
        )  # fmt: skip
        self.sock = self.stream  # type: ignore[assignment]

    def contact(self) -> str:
        return super().contact().replace(">", ";transport=tcp>")


class TcpProvider(Provider):
    """Answers and asks over the connection that the phone has opened."""

    def __init__(self, loop: Loop, net: Network, cut: Cut = whole, **habits: Any) -> None:
        super().__init__(loop, net, **habits)
        self.transport = "TCP"
        self.streams: dict[Address, Stream] = {}
        with net.provider:
            self._server = socket.create_server((self.draw.provider_ip, self.draw.provider_port))
        self._server.setblocking(False)
        loop.closing.append(self._server)

        def accept() -> None:
            with contextlib.suppress(BlockingIOError):
                sock, source = self._server.accept()
                sock.setblocking(False)
                self.streams[source] = Stream(
                    loop, sock, source, lambda data, peer: self._read(self.sock, data, peer), cut
                )
                self.accepted(self.streams[source])
            loop.later(0.02, accept)

        accept()

    def accepted(self, stream: Stream) -> None:
        """A phone has connected."""

    def transmit(self, data: bytes, to: Address, sock: socket.socket | None = None) -> None:
        stream = self.streams.get(to)
        if stream:
            stream.sendto(data, to)
        else:
            super().transmit(data, to, sock)
