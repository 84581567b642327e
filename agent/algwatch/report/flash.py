# SPDX-License-Identifier: Apache-2.0
"""The copy of verdict changes on flash, for a router that loses power while it has no broker.

The file is a ring of a fixed size, made once and overwritten in place, so a batch costs its own
pages and no inode. A batch begins on a page of its own and ends with padding: a torn write hurts no
other batch. It holds reports without an acknowledgement of the broker, and the numbers of earlier
reports acknowledged since. A batch is written once LARGE bytes wait, or once the oldest has waited
for LONGEST seconds; a thread of its own writes it, since flash may take seconds.

The file is locked against another process: at the start if it exists, else once it is made. A
process that finds it locked never writes to it.

After a power loss the spool on tmpfs is empty, and left() returns the reports without an
acknowledgement in the ring.
"""

from __future__ import annotations

import os
import stat
import struct
from _thread import start_new_thread
from collections.abc import Callable, Iterable
from time import monotonic, sleep
from zlib import crc32

from algwatch.base.plain import Unfit, pack, raw, row, rows, text, unpack, whole, word
from algwatch.report.lock import Busy, lock

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

PAGE = 4096  # least bytes written by flash and its file systems
PAGES = 64  # of the ring
MOST = 16  # pages of a batch
LARGE = 3 * PAGE  # bytes worth a batch
LONGEST = 3600.0  # seconds; a report waits so long for others to fill a batch
LOOK = 300.0  # seconds between two looks at waiting reports
FAREWELL = 0.5  # seconds for the last batch
KINDS = frozenset(("finding", "advice"))

_MARK = b"\xa5awf"
_HEAD = struct.Struct("<4sQII")  # mark, number of the batch, length of the body, CRC-32
_NUMBERS = 1 << 48
_RECORDS = 4096  # in a batch


class Kept:
    """A report in the ring. number: counts all reports ever copied. boot: of the router."""

    __slots__ = ("boot", "kind", "number", "payload")

    def __init__(self, number: int, boot: str, kind: str, payload: bytes) -> None:
        self.number = number
        self.boot = boot
        self.kind = kind
        self.payload = payload


class Flash:
    """path: of the file. boot: id of this boot of the router. say: takes a line about the agent,
    from any thread. clock: seconds, monotonic."""

    def __init__(self, path: str, boot: str, say: Callable[[str], None],
                 clock: Callable[[], float] = monotonic) -> None:  # fmt: skip
        self._path = path
        self._boot = boot
        self._say = say
        self._clock = clock
        self._trouble = ""
        self._busy = False
        self._file = self._lock = -1
        self._locked_out = False  # for good: the places of batches are not known any more
        self._batch = 0  # the number of the next one
        self._page = 0  # its first page
        self._number = 0  # of the next record
        self._copied: dict[bytes, int] = {}  # numbers by payload, of the reports in the ring
        self._done: set[int] = set()  # acknowledged, and not yet written as such
        self._since: float | None = None  # first look at the oldest waiting report
        self._looked = float("-inf")
        self.batches = self.written = 0  # batches, and bytes of them

    def left(self, here: Iterable[bytes], survived: bool) -> list[Kept]:
        """Reports in the ring without an acknowledgement. here: payloads in the spool. survived:
        the spool outlived the last process, so a report missing from it was acknowledged."""
        batches = self._read()
        done = {number for _, _, acknowledged, _ in batches for number in acknowledged}
        kept = {one.payload: one for _, _, _, some in batches for one in some}
        there = set(here)
        left = []
        for one in kept.values():
            self._copied[one.payload] = one.number
            self._number = max(self._number, one.number + 1)
            if one.payload in there or one.number in done:
                continue
            if survived and one.boot == self._boot:
                self._done.add(one.number)
                continue
            left.append(one)
        advice = [one for one in left if one.kind == "advice"]
        return [one for one in left if one.kind != "advice" or one is advice[-1]]

    @property
    def due(self) -> bool:
        """True if it is time for look()."""
        return self._clock() - self._looked >= LOOK and not self._busy

    def look(self, waiting: list[tuple[str, bytes]], at_end: bool = False) -> None:
        """waiting: kind and payload of all reports without an acknowledgement, the oldest first. A
        copied report missing from it was acknowledged, or has lost its worth. at_end: this is the
        last look, so every waiting report is written."""
        end = monotonic() + FAREWELL
        while at_end and self._busy and monotonic() < end:
            sleep(0.01)
        if self._busy or self._locked_out:
            return
        now = self._looked = self._clock()
        there = {payload for _, payload in waiting}
        for payload, number in list(self._copied.items()):
            if payload not in there:
                self._done.add(number)
                del self._copied[payload]
        new = [one for one in waiting if one[1] not in self._copied]
        if not new:
            self._since = None
            return
        self._since = now if self._since is None else self._since
        if at_end or now - self._since >= LONGEST or sum(len(p) for _, p in new) >= LARGE:
            self._since = None
            self._begin(new)
            while at_end and self._busy and monotonic() < end:
                sleep(0.01)

    def _begin(self, new: list[tuple[str, bytes]]) -> None:
        records: list[list[Any]] = []
        room = MOST * PAGE - _HEAD.size - 64 - 12 * min(len(self._done), _RECORDS)
        for kind, payload in new[:_RECORDS]:
            room -= len(payload) + 64
            if room < 0:
                break  # the next look takes the rest
            records.append([self._number + len(records), kind, payload])
        done = sorted(self._done)[:_RECORDS]
        body = pack([self._boot, done, records])
        head = _HEAD.pack(_MARK, self._batch, len(body), crc32(body, self._batch & 0xFFFFFFFF))
        data = head + body
        data += bytes(-len(data) % PAGE)
        self._busy = True
        start_new_thread(self._write, (data, records, done))

    def _write(self, data: bytes, records: list[list[Any]], done: list[int]) -> None:
        """Runs in a thread of its own; nothing else uses the file meanwhile."""
        try:
            self._open()
            fits = (PAGES - self._page) * PAGE
            for part, page in ((data[:fits], self._page), (data[fits:], 0)):
                if os.pwrite(self._file, part, page * PAGE) < len(part):
                    raise OSError(28, "No space left on device")
            os.fdatasync(self._file)
        except OSError as problem:
            self._fail(problem)
        else:
            self._page = (self._page + len(data) // PAGE) % PAGES
            self._batch += 1
            self._number += len(records)
            self._done.difference_update(done)
            for number, _, payload in records:
                self._copied[payload] = number
            self.batches += 1
            self.written += len(data)
            if self._trouble:
                self._trouble = ""
                self._say(f"flash {self._path} is written again")
        finally:
            self._busy = False

    def _fail(self, problem: OSError) -> None:
        self._locked_out = isinstance(problem, Busy)
        why = problem.strerror or "error"
        if self._file >= 0:
            os.close(self._file)
            self._file = -1
        if not self._trouble:
            self._trouble = why
            self._say(f"flash {self._path} is not written, a power loss loses what waits: {why}")

    def _open(self) -> None:
        """Make the file unless it is right already. OSError."""
        if self._file >= 0:
            return
        flags = os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK
        file = os.open(self._path, flags, 0o600)
        try:
            status = os.fstat(file)
            if not stat.S_ISREG(status.st_mode):
                raise OSError(22, "it is no regular file")
            if status.st_size < PAGE * PAGES:
                # Zeros, and no hole: later writes need no more room.
                for page in range(-(-status.st_size // PAGE), PAGES):
                    if os.pwrite(file, bytes(PAGE), page * PAGE) < PAGE:
                        raise OSError(28, "No space left on device")
                os.fsync(file)
            self._own()
        except OSError:
            os.close(file)
            raise
        self._file = file

    def _own(self) -> None:
        """Lock the file. It exists. OSError."""
        if self._lock < 0:
            self._lock = lock(self._path, "flash")

    def _read(self) -> list[tuple[int, str, list[int], list[Kept]]]:
        """Batches in order: number, boot, acknowledged numbers, reports."""
        try:
            flags = os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK
            with open(os.open(self._path, flags), "rb") as file:
                status = os.fstat(file.fileno())
                if not stat.S_ISREG(status.st_mode) or status.st_uid not in (0, os.geteuid()):
                    raise OSError(1, "it is no file of this user")
                self._own()
                data = file.read(PAGE * PAGES)
        except FileNotFoundError:
            return []
        except OSError as problem:
            self._fail(problem)
            return []
        batches, at = [], 0
        end, data = len(data), data + data[: MOST * PAGE]  # the last one may wrap around
        while at < end and at + _HEAD.size <= len(data):
            found = _batch(data, at)
            if found is None:
                at += PAGE
                continue
            size, batch = found
            batches.append(batch)
            if batch[0] >= self._batch:
                self._batch, self._page = batch[0] + 1, (at + size) // PAGE % PAGES
            at += size
        return sorted(batches, key=lambda batch: batch[0])


def _batch(data: bytes, at: int) -> tuple[int, tuple[int, str, list[int], list[Kept]]] | None:
    """The bytes, padding included, and the content of a batch at this offset; None without one."""
    mark, number, length, check = _HEAD.unpack_from(data, at)
    body = data[at + _HEAD.size : at + _HEAD.size + length]
    if mark != _MARK or len(body) < length or crc32(body, number & 0xFFFFFFFF) != check:
        return None
    try:
        boot, done, records = row(unpack(body), 3)
        text(boot)
        acknowledged = [whole(one, 0, _NUMBERS) for one in rows(done, _RECORDS)]
        kept = []
        for one in rows(records, _RECORDS):
            name, kind, payload = row(one, 3)
            kept.append(Kept(
                whole(name, 0, _NUMBERS), boot, word(kind, KINDS), raw(payload, MOST * PAGE)
            ))  # fmt: skip
    except Unfit:
        return None
    size = _HEAD.size + length
    return size + -size % PAGE, (min(number, _NUMBERS), boot, acknowledged, kept)
