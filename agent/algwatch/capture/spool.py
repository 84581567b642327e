# SPDX-License-Identifier: Apache-2.0
"""Spools: the bytes of pipes, kept in temporary files so they can be read twice."""

from __future__ import annotations

import os
import select
import sys
import tempfile
from collections.abc import Sequence

from algwatch.capture import kinds
from algwatch.capture.read import CHUNK, CaptureError, Stop, refuse

LIMIT = 256 << 20  # bytes of all pipes together


def room(limit: int) -> int:
    """Bytes of pipes to keep, a quarter of the free room at most: on a router temporary files are
    in its memory. CaptureError."""
    try:
        free = os.statvfs(tempfile.gettempdir())
    except OSError as error:
        raise CaptureError(f"no room for what comes through a pipe: {error}") from None
    return min(limit, free.f_bavail * free.f_frsize // 4)


class Spool:
    """One pipe ("-": standard input). file: the bytes read so far. open: it has not ended: its rest
    can be read once, from `pipe`. cut: the reading was ended from outside, so the last packet may
    be incomplete."""

    def __init__(self, path: str, empty: bool = False) -> None:
        """empty: there is no pipe; `add` fills it."""
        self.path = path
        self.open = not empty
        self.cut = False
        self.size = 0
        self.pipe = -1
        if path == "-" and sys.stdin is None:
            raise CaptureError("-: standard input is closed")
        try:
            # SIGINT would not end a wait for a writer here.
            flags = os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK
            if self.open:
                self.pipe = 0 if path == "-" else os.open(path, flags)
            if self.pipe > 0:
                os.set_blocking(self.pipe, True)  # poll() precedes each read
            self.file = tempfile.TemporaryFile(buffering=0)  # noqa: SIM115
        except OSError as error:
            raise CaptureError(f"{path}: {error.strerror or error}") from None

    def take(self) -> None:
        """Read once."""
        try:
            data = os.read(self.pipe, CHUNK)
        except OSError as error:
            raise CaptureError(f"{self.path}: {error.strerror or error}") from None
        known = self.size >= 4
        self.add(data)
        self.open = bool(data)
        if not data and self.pipe:
            os.close(self.pipe)
        if not known and self.size >= 4:
            start = self.read(4, 0)
            refuse(self.path, start, kinds.kind_of(start))

    def add(self, data: bytes) -> None:
        """CaptureError."""
        written = 0
        try:
            while written < len(data):
                written += self.file.write(data[written:])
        except OSError as error:
            raise CaptureError(f"{self.path}: {error.strerror or error}") from None
        self.size += len(data)

    def read(self, size: int, at: int) -> bytes:
        return os.pread(self.file.fileno(), size, at)


def spool(paths: Sequence[str], stop: Stop, limit: int) -> dict[str, Spool]:
    """All pipes at once: one program may write to several, or two at the same time. Ends with the
    pipes, at the limit, or at a stop. CaptureError."""
    spools = {path: Spool(path) for path in paths}
    while not stop.requested and sum(one.size for one in spools.values()) < limit:
        poller = select.poll()
        open_ = {one.pipe: one for one in spools.values() if one.open}
        if not open_:
            return spools
        for fd in (*open_, stop.fileno()):
            poller.register(fd, select.POLLIN)
        for fd, _ in poller.poll():
            if fd in open_ and not stop.requested:
                open_[fd].take()
    if stop.requested:
        for one in spools.values():
            one.cut, one.open = one.open, False
    return spools
