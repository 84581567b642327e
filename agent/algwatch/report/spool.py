# SPDX-License-Identifier: Apache-2.0
"""The spool: reports as records in files, so none is lost at the end of the process.

Files are segments, numbered, and only ever appended to. A record is a mark, a length, a CRC-32 and
a body. A body is a report, or a note that the receiver has one, or has lost it. A record torn by a
kill or a full disk is skipped: reading goes on at the next mark with a fitting length and CRC. When
the files take twice the limit, the valid records of the oldest segment are written again at the
end, and the segment is deleted. The folder is meant to be on tmpfs: nothing is synced.

Others may delete, replace or cut the files meanwhile. So a read checks the record again, and a
write first looks up the segment by its name. If it is missing, a new one begins, in a new folder if
need be.
"""

from __future__ import annotations

import os
import stat
import struct
from zlib import crc32

from algwatch.quiet import suppress
from algwatch.report.lock import lock

MARK = b"\xa5aw1"
LONGEST = 65536  # bytes of a body
MOST = 1 << 48  # numbers of records; a greater one is foreign
SEGMENTS = 8  # of the limit in each
SEGMENT = 4096, 262144  # bytes, at least and at most
_LOCK = "lock"
_SUFFIX = ".spool"

_HEAD = struct.Struct(">4sII")  # mark, length of the body, its CRC-32
_BODY = struct.Struct(">cBQH")  # kind, flags, number, length of the topic
_REPORT, _DONE, _AGAIN = b"R", b"D", b"A"
_RETAIN, _SENT, _REPEATED = 1, 2, 4


class SpoolError(Exception):
    """The folder is unusable; the text names it and says why."""


class Record:
    """A report in the spool. number: counts all reports ever put in. sent: the receiver has
    acknowledged it. again: it was acknowledged, and then queued once more."""

    __slots__ = ("again", "length", "number", "offset", "retain", "segment", "sent", "topic")

    def __init__(self, number: int, topic: str, retain: bool, sent: bool, again: bool,
                 segment: int, offset: int, length: int) -> None:  # fmt: skip
        self.number = number
        self.topic = topic
        self.retain = retain
        self.sent = sent
        self.again = again
        self.segment = segment
        self.offset = offset  # of the payload in the file
        self.length = length


class Spool:
    """folder: created if missing, for this user alone. limit: bytes of reports. number: of the next
    report. Not thread-safe. SpoolError."""

    def __init__(self, folder: str, limit: int) -> None:
        self.damaged = 0  # bytes skipped while reading the files
        self.records: dict[int, Record] = {}
        self._folder = folder
        self.limit = limit
        self._segment_bytes = min(max(limit // SEGMENTS, SEGMENT[0]), SEGMENT[1])
        self._sizes: dict[int, int] = {}  # bytes of each segment, the oldest first
        self.number = 0
        self._out = -1
        try:
            self._lock = self._own()
        except OSError as problem:
            raise SpoolError(f"{folder}: {problem.strerror}") from None
        try:
            self._restore()
        except OSError as problem:
            self.close()
            raise SpoolError(f"{folder}: {problem.strerror}") from None

    def close(self) -> None:
        """The files stay for the next start."""
        for number in (self._out, self._lock):
            if number >= 0:
                os.close(number)
        self._out = self._lock = -1

    def put(self, topic: str, payload: bytes, retain: bool) -> Record:
        """Append a report. OSError: it is not in the spool, and nothing else is lost."""
        record = Record(self.number, topic, retain, False, False, 0, 0, len(payload))
        self._append(record, payload)
        self.records[record.number] = record
        self.number += 1
        self._compact()
        return record

    def payload(self, record: Record) -> bytes:
        """b"" if the file does not hold it any more."""
        flags = os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK
        try:
            file = os.open(self._path(record.segment), flags)
        except OSError:
            return b""
        body = _BODY.size + len(record.topic.encode()) + record.length
        try:
            data = os.pread(
                file, _HEAD.size + body, record.offset + record.length - body - _HEAD.size
            )
        except (OSError, ValueError):
            data = b""
        finally:
            os.close(file)
        whole = _body(data, 0)
        if whole is None or len(whole) != body or _BODY.unpack_from(whole)[2] != record.number:
            return b""
        return whole[body - record.length :]

    def sent(self, record: Record) -> None:
        """The receiver has it; it is kept until drop(). Without room for this note a restart sends
        it again, which is harmless."""
        record.sent = True
        self._say(_DONE, _SENT, record.number)

    def again(self, record: Record) -> None:
        """The receiver has lost it, and is to get it again, even after a restart."""
        record.sent, record.again = False, True
        self._say(_AGAIN, 0, record.number)

    def drop(self, record: Record) -> None:
        """The record is no longer valid."""
        if self.records.pop(record.number, None) is not None:
            self._say(_DONE, 0, record.number)
            self._compact()

    def _own(self) -> int:
        os.makedirs(self._folder, 0o700, exist_ok=True)
        status = os.lstat(self._folder)
        if not stat.S_ISDIR(status.st_mode):
            raise SpoolError(f"{self._folder}: is no directory")
        if status.st_uid != os.geteuid() or status.st_mode & 0o022:
            raise SpoolError(f"{self._folder}: belongs to another user, or others may write there")
        return lock(os.path.join(self._folder, _LOCK), "spool", create=True)

    def _path(self, segment: int) -> str:
        return os.path.join(self._folder, f"{segment:08x}{_SUFFIX}")

    def _restore(self) -> None:
        found = []
        for name in os.listdir(self._folder):
            stem, dot, _ = name.partition(".")
            if dot + name[len(stem) + 1 :] == _SUFFIX and len(stem) == 8:
                try:
                    found.append(int(stem, 16))
                except ValueError:
                    continue
        for segment in sorted(found):
            flags = os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK
            with open(os.open(self._path(segment), flags), "rb") as file:
                # No segment is longer, under any limit; the rest of a foreign file is not read.
                data = file.read(SEGMENT[1] + LONGEST + _HEAD.size)
            self._sizes[segment] = len(data)
            self._read(segment, data)
        # The end of the latest segment may be torn: a new one begins.
        if self._sizes:
            self._begin(max(self._sizes) + 1)
        self._compact()

    def _read(self, segment: int, data: bytes) -> None:
        at = 0
        while (mark := data.find(MARK, at)) >= 0:
            self.damaged += mark - at
            body = _body(data, mark)
            if body is None:
                at = mark + 1
                self.damaged += 1
                continue
            at = mark + _HEAD.size + len(body)
            self._take(segment, at, body)
        self.damaged += len(data) - at

    def _take(self, segment: int, end: int, body: bytes) -> None:
        """end: offset behind the body."""
        kind, flags, number, topic = _BODY.unpack_from(body)
        self.number = max(self.number, number + 1)
        if kind == _REPORT:
            payload = len(body) - _BODY.size - topic
            name = body[_BODY.size : _BODY.size + topic].decode("utf-8", "replace")
            self.records[number] = Record(
                number, name, bool(flags & _RETAIN), bool(flags & _SENT),
                bool(flags & _REPEATED), segment, end - payload, payload,
            )  # fmt: skip
        elif number not in self.records:
            return
        elif kind == _AGAIN:
            self.records[number].sent, self.records[number].again = False, True
        elif flags & _SENT:
            self.records[number].sent = True
        else:
            del self.records[number]

    def _begin(self, segment: int) -> None:
        if self._out >= 0:
            os.close(self._out)
            self._out = -1
        flags = os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC | os.O_NOFOLLOW
        self._out = os.open(self._path(segment), flags, 0o600)
        self._sizes[segment] = 0

    def _is_there(self) -> bool:
        """The current segment still has its name."""
        try:
            named = os.lstat(self._path(next(reversed(self._sizes))))
        except OSError:
            return False
        return os.path.samestat(named, os.fstat(self._out))

    def _is_ours(self) -> bool:
        """The folder is still the locked one."""
        try:
            named = os.lstat(os.path.join(self._folder, _LOCK))
        except OSError:
            return False
        return os.path.samestat(named, os.fstat(self._lock))

    def _return(self) -> None:
        """Replace a missing segment, and a missing folder."""
        if not self._is_ours():
            try:
                lock = self._own()
            except SpoolError as problem:
                raise OSError(1, str(problem)) from None
            os.close(self._lock)
            self._lock = lock
        self._begin(max(self._sizes) + 1)

    def _append(self, record: Record, payload: bytes) -> None:
        """Write a report, and note its place. OSError: both are as before."""
        topic = record.topic.encode()
        flags = _RETAIN * record.retain | _SENT * record.sent | _REPEATED * record.again
        end = self._write(_BODY.pack(_REPORT, flags, record.number, len(topic)) + topic + payload)
        record.segment, record.offset = next(reversed(self._sizes)), end - len(payload)

    def _say(self, kind: bytes, flags: int, number: int) -> None:
        with suppress(OSError):  # without it a restart sends the report again
            self._write(_BODY.pack(kind, flags, number, 0))

    def _write(self, body: bytes) -> int:
        """Append a record, whole or not at all; the offset behind it."""
        if self._out >= 0 and not self._is_there():
            self._return()
        if self._out < 0 or self._sizes[next(reversed(self._sizes))] >= self._segment_bytes:
            self._begin(max(self._sizes, default=0) + 1)
        segment = next(reversed(self._sizes))
        # Not the size as written: somebody may have cut the file.
        before = os.fstat(self._out).st_size
        data = _HEAD.pack(MARK, len(body), crc32(body)) + body
        try:
            written = os.write(self._out, data)
        except OSError:
            written = 0
            os.ftruncate(self._out, before)
            raise
        if written < len(data):
            os.ftruncate(self._out, before)
            raise OSError(28, "No space left on device")
        self._sizes[segment] = before + written
        return before + written

    def _compact(self) -> None:
        """Delete the oldest segments while the files take more than twice the limit."""
        for oldest in list(self._sizes)[:-1]:
            if sum(self._sizes.values()) <= 2 * self.limit:
                return
            try:
                self._move(oldest)
                os.unlink(self._path(oldest))
            except FileNotFoundError:
                pass
            except OSError:
                return  # no room to write it again: later
            del self._sizes[oldest]

    def _move(self, segment: int) -> None:
        for record in [r for r in self.records.values() if r.segment == segment]:
            self._append(record, self.payload(record))


def _body(data: bytes, mark: int) -> bytes | None:
    """The body of the record at this mark, None without a valid one."""
    if mark + _HEAD.size > len(data):
        return None
    _, length, check = _HEAD.unpack_from(data, mark)
    body = data[mark + _HEAD.size : mark + _HEAD.size + length]
    if not _BODY.size <= length <= LONGEST or len(body) < length or crc32(body) != check:
        return None
    kind, _, number, topic = _BODY.unpack_from(body)
    fits = number < MOST and _BODY.size + topic <= length
    return body if fits and kind in (_REPORT, _DONE, _AGAIN) else None
