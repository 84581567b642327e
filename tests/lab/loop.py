# SPDX-License-Identifier: Apache-2.0
"""Loop: timers and sockets of one lab, in one thread and in real time."""

from __future__ import annotations

import heapq
import itertools
import selectors
import socket
import time
from collections.abc import Callable

Handler = Callable[[bytes, tuple[str, int]], None]


class Timer:
    __slots__ = ("action", "live")

    def __init__(self, action: Callable[[], None]) -> None:
        self.action = action
        self.live = True

    def cancel(self) -> None:
        self.live = False


class Loop:
    """later() and listen() register work; until() and sleep() do it."""

    def __init__(self) -> None:
        self._heap: list[tuple[float, int, Timer]] = []
        self._order = itertools.count()
        self._selector = selectors.DefaultSelector()
        self._sockets: list[socket.socket] = []
        self.closing: list[socket.socket] = []  # closed with the loop, without being listened to

    def later(self, seconds: float, action: Callable[[], None]) -> Timer:
        timer = Timer(action)
        heapq.heappush(self._heap, (time.monotonic() + seconds, next(self._order), timer))
        return timer

    def listen(self, sock: socket.socket, handler: Handler) -> None:
        self._selector.register(sock, selectors.EVENT_READ, handler)
        self._sockets.append(sock)

    def until(self, done: Callable[[], bool], timeout: float, what: str = "") -> None:
        """Works until done() holds. Raises TimeoutError after `timeout` s when `what` is given."""
        end = time.monotonic() + timeout
        while not done():
            now = time.monotonic()
            if now >= end:
                if what:
                    raise TimeoutError(f"{what} did not happen within {timeout:.0f} s")
                return
            while self._heap and self._heap[0][0] <= now:
                timer = heapq.heappop(self._heap)[2]
                if timer.live:
                    timer.action()
            due = self._heap[0][0] if self._heap else end
            if done():
                return
            for key, _ in self._selector.select(max(0.0, min(due, end) - time.monotonic())):
                self._read(key.fileobj, key.data)

    @staticmethod
    def _read(sock: object, handler: Handler) -> None:
        assert isinstance(sock, socket.socket)
        while True:
            try:
                data, source = sock.recvfrom(65535)
            except (BlockingIOError, ConnectionRefusedError):
                return
            # An IPv6 address also has a flow label and a scope, which nobody here uses.
            handler(data, source[:2] if sock.family == socket.AF_INET6 else source)

    def sleep(self, seconds: float) -> None:
        self.until(lambda: False, seconds)

    def close(self) -> None:
        self._selector.close()
        for sock in [*self._sockets, *self.closing]:
            sock.close()
