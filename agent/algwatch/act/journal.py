# SPDX-License-Identifier: Apache-2.0
"""Journal: every step of one change, written to flash before it is taken.

One line a step: CRC-32 and length of the rest, then JSON with the word of the step, the time and
its facts. A line cut by a power failure or a full disk does not fit its CRC. It and all later lines
count as not written, and their steps were not taken.
"""

from __future__ import annotations

import errno
import json
import os
import time
import zlib

from algwatch import files
from algwatch.act import steps

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

NAME = "journal"
MOST = 4 << 20  # bytes of a journal, at most
SPARE = 1 << 18  # of these for the last steps: a begun change can always be reported undone
_MODE = 0o600
_LAST = (steps.UNDO, *steps.FINISHED)


class JournalError(Exception):
    """The journal cannot be read or written; the text is one line with the next step."""


class Journal:
    """folder: of the change. steps: all steps read and written, in order, each with its word under
    "step" and seconds since 1970 under "at"."""

    def __init__(self, folder: str) -> None:
        """JournalError: it exists and cannot be read."""
        self.folder = folder
        self.path = os.path.join(folder, NAME)
        try:
            data = files.read(self.path, MOST) or b""
        except files.FileError as problem:
            raise JournalError(f"the journal {problem}") from None
        self.steps, self._whole = _steps(data)

    @property
    def number(self) -> int:
        """Number of the change: the name of its folder."""
        return int(os.path.basename(self.folder))

    def step(self, word: str, **facts: Any) -> None:
        """Returns once the step is on the disk. OSError: the step may not be taken."""
        record = {"step": word, "at": round(time.time(), 3), **facts}
        line = _line(record)
        if self._whole + len(line) > (MOST if word in _LAST else MOST - SPARE):
            # A longer journal could not be read again, and the change not be taken back.
            raise OSError(errno.EFBIG, f"the journal would be larger than {MOST} bytes", self.path)
        number = os.open(self.path, os.O_WRONLY | os.O_CREAT | files.PLAIN, _MODE)
        try:
            os.ftruncate(number, self._whole)  # a cut line goes
            os.lseek(number, self._whole, os.SEEK_SET)
            rest = memoryview(line)
            while rest:
                rest = rest[os.write(number, rest) :]
            os.fsync(number)
        finally:
            os.close(number)
        if not self._whole:
            files.sync_directory(self.path)
        self._whole += len(line)
        self.steps.append(record)

    def drop_copies(self) -> None:
        """Delete every other file of the change. OSError."""
        for name in os.listdir(self.folder):
            if name != NAME:
                os.unlink(os.path.join(self.folder, name))

    def has(self, word: str) -> bool:
        return self.last(word) is not None

    def last(self, word: str) -> dict[str, Any] | None:
        """The latest step with this word."""
        return next((s for s in reversed(self.steps) if s["step"] == word), None)

    def fact(self, word: str, name: str, otherwise: Any = None) -> Any:
        return (self.last(word) or {}).get(name, otherwise)

    @property
    def state(self) -> str:
        """The word of its latest step; "" for an empty journal."""
        return str(self.steps[-1]["step"]) if self.steps else ""

    @property
    def is_finished(self) -> bool:
        """Nothing is under way: the change is in force as planned, or is undone. A change without
        its first step is finished, too."""
        return self.state in ("", *steps.FINISHED)

    @property
    def is_in_force(self) -> bool:
        return self.state in steps.IN_FORCE


def _line(record: dict[str, Any]) -> bytes:
    text = json.dumps(record, separators=(",", ":"), sort_keys=True).encode()
    return b"%08x %d %s\n" % (zlib.crc32(text), len(text), text)


def _steps(data: bytes) -> tuple[list[dict[str, Any]], int]:
    """The whole steps, and their size in bytes."""
    found: list[dict[str, Any]] = []
    at = 0
    while (end := data.find(b"\n", at)) >= 0:
        crc, _, rest = data[at:end].partition(b" ")
        length, _, text = rest.partition(b" ")
        if crc != b"%08x" % zlib.crc32(text) or length != b"%d" % len(text):
            break
        try:
            record = json.loads(text)
        except ValueError:
            break
        if not isinstance(record, dict) or not isinstance(record.get("step"), str):
            break
        found.append(record)
        at = end + 1
    return found, at
