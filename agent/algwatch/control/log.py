# SPDX-License-Identifier: Apache-2.0
"""Log: orders to this router, their outcome, and the ids already taken.

One line an event: CRC-32, then words. The file is on flash beside the key, readable by root only,
so no order is obeyed twice over a restart or a reboot. Only a holder of the key can make it grow,
and not fast (report/rate.py). Orders refused untaken go to another file. At its limit the file
drops its older half. The latest expiry of the dropped orders stays: any order with an earlier
expiry is refused, whatever the clock says meanwhile. So is any order that had expired before a
taken one was made: somebody held it back, and the clock was set back since. A damaged line may be
that of a taken order, so every order that may have been taken until the last write is refused.
"""

from __future__ import annotations

import os
from time import time
from zlib import crc32

from algwatch import files
from algwatch.control.order import AHEAD, LONGEST
from algwatch.quiet import suppress

MOST = 32768  # bytes of the file
TAKEN, ENDED, FLOOR = "taken", "ended", "floor"
_LINE = 400  # bytes of a line
REMEMBERED = 256  # orders remembered by id


class Log:
    """path: of the file; created if missing. taken: expiry by id of taken orders. open: command by
    id of orders without an end. FileError."""

    def __init__(self, path: str) -> None:
        self.path = path
        self.taken: dict[str, float] = {}
        self.open: dict[str, str] = {}
        self.floor = 0.0  # seconds since 1970
        data = files.read_secret(path, 4 * MOST) or b""
        self._lines: list[bytes] = []
        for line in data.split(b"\n"):
            checked, _, words = line.partition(b" ")
            if checked == b"%08x" % crc32(words):
                self._lines.append(line)
                self._learn(words.decode("utf-8", "replace").split(" "))
        # A torn line would spoil the next one.
        self._torn = bool(data) and data != b"".join(line + b"\n" for line in self._lines)
        if self._torn:
            # Not later than now: a file of a wrong clock must not refuse all orders for years.
            written = min(os.stat(path).st_mtime, time())
            self.floor = max(self.floor, written + AHEAD + LONGEST)

    def is_taken(self, id: str, expires: float) -> bool:
        """True: the order was taken before, or may have been, or is older than one that was."""
        latest = max([self.floor, *self.taken.values()])
        return id in self.taken or expires <= max(self.floor, latest - LONGEST)

    def take(self, id: str, expires: float, command: str, at: float) -> None:
        """Returns once the order is on disk. OSError: it must not be obeyed."""
        self._write(f"{TAKEN} {id} {expires:.3f} {command} {at:.3f}")

    def end(self, id: str, at: float, state: str, why: str) -> None:
        """state: a word; why: a clause."""
        with suppress(OSError):  # the next start reports an unknown outcome
            self._write(f"{ENDED} {id} {at:.3f} {state} {' '.join(why.split())}")

    def _learn(self, words: list[str]) -> None:
        with suppress(ValueError, IndexError):
            if words[0] == TAKEN:
                self.taken[words[1]] = float(words[2])
                self.open[words[1]] = words[3]
                self._forget()
            elif words[0] == ENDED:
                self.open.pop(words[1], None)
            elif words[0] == FLOOR:
                self.floor = max(self.floor, float(words[1]))

    def _forget(self) -> None:
        while len(self.taken) > REMEMBERED:
            oldest = next(iter(self.taken))
            self.open.pop(oldest, None)
            self.floor = max(self.floor, self.taken.pop(oldest))

    def _write(self, text: str) -> None:
        words = text.encode("utf-8", "replace")[:_LINE]
        line = b"%08x %s" % (crc32(words), words)
        lines = [*self._lines, line]
        if self._torn or sum(map(len, lines)) + len(lines) > MOST:
            kept = lines[len(lines) // 2 :] if not self._torn else lines
            gone = lines[: len(lines) - len(kept)]
            floor = max([self.floor, *map(_expiry, gone)])
            said = b"%s %.3f" % (FLOOR.encode(), floor)
            kept = [b"%08x %s" % (crc32(said), said), *kept]
            files.replace(self.path, b"".join(one + b"\n" for one in kept))
            self.floor, self._torn, self._lines = floor, False, kept
        else:
            number = os.open(self.path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | files.PLAIN, 0o600)
            try:
                if os.write(number, line + b"\n") != len(line) + 1:
                    self._torn = True
                    raise OSError(28, os.strerror(28))
                os.fsync(number)
            finally:
                os.close(number)
            if not self._lines:
                files.sync_directory(self.path)
            self._lines = lines
        self._learn(words.decode("utf-8", "replace").split(" "))


def _expiry(line: bytes) -> float:
    words = line.split(b" ")
    with suppress(ValueError, IndexError):
        if words[1] == TAKEN.encode():
            return float(words[3])
        if words[1] == FLOOR.encode():
            return float(words[2])
    return 0.0
