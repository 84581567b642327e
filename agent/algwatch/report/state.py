# SPDX-License-Identifier: Apache-2.0
"""The file of the basis of verdicts (advise/knowledge.py), for the next process; meant to be on
tmpfs.

It begins with a frame of everything, which replaces the file before it in one step; later frames
have the changes since. A frame is a mark, a length, the same inverted, a CRC-32 and a body of plain
values. A last frame cut short by a kill is ignored: nothing of it was told yet. Any other damage,
and every foreign byte, costs the whole file: the missing frame may have withdrawn an earlier one.
The same holds for a failed write: no state is better than an old one.
"""

from __future__ import annotations

import os
import struct
from zlib import crc32

from algwatch import files
from algwatch.base.plain import Unfit, pack, row, unpack
from algwatch.quiet import suppress

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

MARK = b"\xa5aws"
FORMAT = 1
FIELDS = 4  # of a body
MOST = 1 << 19  # bytes of the frame with everything
BEHIND = 1 << 16  # bytes of later frames, at least, before everything is written again

_HEAD = struct.Struct("<4sIII")  # mark, length of the body, inverted length, CRC-32 of the body
_ONES = 0xFFFFFFFF


class StateFile:
    """path: of the file. size: its bytes, as written by us; 0 without a file."""

    def __init__(self, path: str) -> None:
        self.path = path
        self.size = 0
        self._whole = 0
        self._out = -1

    def read(self) -> list[list[Any]]:
        """The bodies of the frames, none without a file. FileError, Unfit."""
        data = files.read_secret(self.path, 3 * (MOST + BEHIND))
        return [] if data is None else _bodies(data)

    def replace(self, body: list[Any]) -> None:
        """Write everything, in place of the old file. OSError: there is no file any more."""
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
        """Write the changes. False: they do not fit, or the write failed, and everything has to be
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
        """Delete the file: it is out of date. What is no file, such as a device, stays."""
        self.close()
        with suppress(OSError):
            if os.path.isfile(self.path):
                os.unlink(self.path)

    def close(self) -> None:
        if self._out >= 0:
            os.close(self._out)
        self._out, self.size = -1, 0

    def _is_there(self) -> bool:
        """The file is still the written one, to its end."""
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
    """The bodies of the frames. Unfit."""
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
