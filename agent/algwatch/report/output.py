# SPDX-License-Identifier: Apache-2.0
"""Output: lines to a file descriptor that may be slow, full or unread, without ever waiting for it.

A thread of its own writes them, because nothing else works for every kind of file. O_NONBLOCK would
be set for all processes sharing a terminal or a pipe. Opening /proc/self/fd/1 again loses the place
in a file and fails for sockets. poll() does not tell how much of a line a terminal takes. The
thread starts with the first line and sleeps without work. The program ends without waiting for it:
a hanging write() ends with the process.
"""

from __future__ import annotations

import os
from _thread import allocate_lock, start_new_thread
from collections import deque
from select import POLLOUT, poll
from time import monotonic, sleep

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

LIMIT = 65536  # bytes waiting to be written
CHUNK = 4096  # bytes of one write: whole lines as a rule, and taken at once by a pipe
RETRY, RETRY_MOST = 0.5, 30.0  # seconds between attempts at a full or missing file


class Output:
    """fd: the destination of the lines. gap: makes the line for so many lost ones; why is the
    system's word for the last error, "" for a slow reader. limit: bytes; a longer line is taken
    only if nothing else waits. lost: lines not written so far."""

    def __init__(self, fd: int, gap: Callable[[int, str], str], limit: int = LIMIT) -> None:
        self._fd = fd
        self._gap = gap
        self._limit = limit
        self._lock = allocate_lock()
        self._awake = allocate_lock()  # free while there is work
        self._awake.acquire()
        self._waiting: deque[bytes] = deque()
        self._size = 0  # waiting bytes, including those in the hands of the thread
        self._gone = 0  # lines lost since the last gap was told
        self._why = ""
        self._running = False
        self.lost = 0

    def line(self, text: str) -> None:
        """Any thread, but no signal handler. Returns at once."""
        data = (text + "\n").encode("utf-8", "backslashreplace")
        with self._lock:
            # After a lost line others are lost too, until there is room for many: one gap, not ten.
            if self._gone and self._size <= self._limit // 2:
                self._add(self._gap_line())
            if self._gone or (self._size and self._size + len(data) > self._limit):
                self._gone += 1
                self.lost += 1
                return
            self._add(data)
            if self._awake.locked():
                self._awake.release()
            if not self._running:
                self._start()

    def close(self, patience: float) -> bool:
        """Wait at most so many seconds for the rest; True if all of it was written."""
        with self._lock:
            if self._awake.locked():
                self._awake.release()  # for one more attempt now
        end = monotonic() + patience
        while self._size and monotonic() < end:
            sleep(0.005)
        return not self._size and not self._gone

    def _add(self, data: bytes) -> None:
        self._waiting.append(data)
        self._size += len(data)

    def _gap_line(self) -> bytes:
        text = self._gap(self._gone, self._why) + "\n"
        self._gone, self._why = 0, ""
        return text.encode("utf-8", "backslashreplace")

    def _start(self) -> None:
        try:
            start_new_thread(self._run, ())
        except RuntimeError:
            return  # no memory for a thread now: tried again with the next line
        self._running = True

    def _run(self) -> None:
        while True:
            self._awake.acquire()
            while data := self._take():
                self._write(data)

    def _take(self) -> bytes:
        """The next lines, b"" if none wait."""
        with self._lock:
            if not self._waiting and self._gone:
                self._add(self._gap_line())
            parts: list[bytes] = []
            size = 0
            while self._waiting and (not parts or size + len(self._waiting[0]) <= CHUNK):
                parts.append(self._waiting.popleft())
                size += len(parts[-1])
        return b"".join(parts)

    def _write(self, data: bytes) -> None:
        """Write all of it, without a time limit: half a line is never followed by another one."""
        pause = RETRY
        while data:
            try:
                done = os.write(self._fd, data[:CHUNK])
            except BlockingIOError:
                # Another process with this file open has set O_NONBLOCK.
                self._ready()
                continue
            except OSError as problem:  # ENOSPC, EIO, EPIPE, EFBIG, EDQUOT ...
                self._why = problem.strerror or "error"
                done = 0
            if done:
                data = data[done:]
                pause = RETRY
                with self._lock:
                    self._size -= done
            else:
                self._awake.acquire(timeout=pause)  # until a new line comes, at most
                pause = min(2 * pause, RETRY_MOST)

    def _ready(self) -> None:
        poller = poll()
        poller.register(self._fd, POLLOUT)
        poller.poll(1000)
