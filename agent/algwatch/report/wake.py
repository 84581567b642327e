# SPDX-License-Identifier: Apache-2.0
"""Wake: lets other threads wake the broker's thread, and end it."""

from __future__ import annotations

import os
import select
from time import monotonic

from algwatch.quiet import suppress


class Wake:
    """fd: readable after a call. stop_at: monotonic seconds; the thread gives up then; None: no end
    yet."""

    __slots__ = ("_write", "fd", "stop_at")

    def __init__(self) -> None:
        self.fd, self._write = os.pipe()
        os.set_blocking(self.fd, False)
        os.set_blocking(self._write, False)
        self.stop_at: float | None = None

    def call(self) -> None:
        with suppress(BlockingIOError):  # a full pipe wakes as well
            os.write(self._write, b"w")

    def drain(self) -> None:
        with suppress(BlockingIOError):
            os.read(self.fd, 4096)

    def sleep(self, seconds: float) -> bool:
        """True when it is time to end."""
        poller = select.poll()
        poller.register(self.fd, select.POLLIN)
        end = monotonic() + seconds
        while self.stop_at is None:
            left = end - monotonic()
            if left <= 0:
                return False
            if poller.poll(left * 1000):
                self.drain()
                # A call means a new report: it waits in the outbox without hurry.
        return True
