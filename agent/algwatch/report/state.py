# SPDX-License-Identifier: Apache-2.0
"""The file of the state that verdicts rest on (advise/knowledge.py), meant to be on tmpfs: what the
next process goes on with.

It begins with a frame that has everything, written in one step in place of the file before it;
frames behind it have what changed since. A frame is a mark, a length, the same inverted, a CRC-32
and a body of plain values. A frame that a kill has cut short is none: nothing of it was told yet.
Any other damage, and every byte that is none of ours, costs the whole file: the missing frame may
have withdrawn what stands in those before it. So does a write that fails: no state is better than
an old one.
"""

from __future__ import annotations

import os
import struct
from contextlib import suppress
from zlib import crc32

from algwatch import files
from algwatch.base.plain import Unfit, pack, row, unpack

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

MARK = b"\xa5aws"
FORMAT = 1
FIELDS = 4  # of a body
MOST = 1 << 19  # bytes of the frame with everything
BEHIND = 1 << 16  # bytes of frames behind it, at least, before everything is written again

_HEAD = struct.Struct("<4sIII")  # mark, length of the body, that inverted, CRC-32 of the body
_ONES = 0xFFFFFFFF


class StateFile:
    """path: of the file. size: bytes of it, as far as it is ours; 0 while there is none."""

    def __init__(self, path: str) -> None:
        self.path = path
        self.size = 0
        self._whole = 0
        self._out = -1

    def read(self) -> list[list[Any]]:
        """The bodies of the frames, none where there is no file. FileError, Unfit."""
        data = files.read_secret(self.path, 3 * (MOST + BEHIND))
        return [] if data is None else _bodies(data)

    def replace(self, body: list[Any]) -> None:
        """Everything, in place of what is there. OSError: there is no file any more."""
        data = _frame(body)
        self.close()
        try:
            if len(data) > MOST:
                raise OSError(27, f"{len(data)} bytes, more than {MOST}")
            files.replace(self.path, data)
            flags = os.O_WRONLY | os.O_APPEND | os.O_CLOEXEC | os.O_NOFOLLOW
            self._out = os.open(self.path, flags)
        except OSError:
            self.forget()
            raise
        self.size = self._whole = len(data)

    def append(self, body: list[Any]) -> bool:
        """What has changed. False: it does not fit behind what is there, and everything has to be
        written."""
        data = _frame(body)
        if self.size + len(data) > 2 * self._whole + BEHIND or not self._is_there():
            return False
        try:
            whole = os.write(self._out, data) == len(data)
        except OSError:
            whole = False
        if not whole:
            return False
        self.size += len(data)
        return True

    def forget(self) -> None:
        """The file says what is so no more."""
        self.close()
        with suppress(OSError):
            os.unlink(self.path)

    def close(self) -> None:
        if self._out >= 0:
            os.close(self._out)
        self._out, self.size = -1, 0

    def _is_there(self) -> bool:
        """Whether the file is still the one that was written, to its end."""
        if self._out < 0:
            return False
        try:
            named, opened = os.lstat(self.path), os.fstat(self._out)
        except OSError:
            return False
        return os.path.samestat(named, opened) and opened.st_size == self.size


def _frame(body: list[Any]) -> bytes:
    data = pack(body)
    return _HEAD.pack(MARK, len(data), len(data) ^ _ONES, crc32(data)) + data


def _bodies(data: bytes) -> list[list[Any]]:
    """Unfit."""
    bodies: list[list[Any]] = []
    at = 0
    while at < len(data):
        head = data[at : at + _HEAD.size]
        if head[:4] != MARK[: len(head)]:
            raise Unfit("damaged")
        if len(head) < _HEAD.size:
            break
        _, length, inverted, check = _HEAD.unpack(head)
        if length ^ inverted != _ONES:
            raise Unfit("damaged")
        at += _HEAD.size
        body = data[at : at + length]
        if len(body) < length:
            break
        if crc32(body) != check:
            raise Unfit("damaged")
        bodies.append(row(unpack(body), FIELDS))
        at += length
    return bodies
