# SPDX-License-Identifier: Apache-2.0
"""Files: small ones that must be whole, read with a limit, written so that a full disk or a cut of
power leaves the old one or the new one, and nothing between."""

from __future__ import annotations

import os
import stat
from contextlib import suppress

OTHERS = stat.S_IRWXG | stat.S_IRWXO
PLAIN = os.O_CLOEXEC | os.O_NOCTTY


class FileError(Exception):
    """The file is there and does not serve; the text names it and says what to do."""


def read(path: str, most: int) -> bytes | None:
    """The bytes of a regular file, None where there is no such file. FileError: it is larger than
    `most` bytes, no regular file, or cannot be read."""
    number = _opened(path)
    return None if number is None else _read(number, path, most)


def read_secret(path: str, most: int) -> bytes | None:
    """As read(); FileError, too, when users other than this one and root may read or change it."""
    number = _opened(path)
    if number is None:
        return None
    status = os.fstat(number)
    trouble = ""
    if status.st_uid not in (0, os.geteuid()):
        trouble = f"it belongs to user {status.st_uid}: chown it, or delete it"
    elif status.st_mode & OTHERS:
        mode = stat.S_IMODE(status.st_mode)
        trouble = f"others may read or change it (mode {mode:o}): chmod 600, or delete it"
    if trouble:
        os.close(number)
        raise FileError(f"{path}: {trouble}")
    return _read(number, path, most)


def readable_by_others(path: str) -> bool:
    """True for a file that users other than its owner may read; False where nothing is known."""
    try:
        return bool(os.stat(path).st_mode & (stat.S_IRGRP | stat.S_IROTH))
    except OSError:
        return False


def create(path: str, data: bytes) -> bool:
    """Write a file of mode 0600 that was not there; False when it is there meanwhile, which stays
    as it is. OSError: nothing was written."""
    new = _new(path, data)
    try:
        os.link(new, path)  # unlike rename(2) it never replaces what another process wrote
    except FileExistsError:
        return False
    finally:
        os.unlink(new)
    sync_directory(path)
    return True


def replace(
    path: str, data: bytes, mode: int = 0o600, owner: tuple[int, int] | None = None
) -> None:
    """Write a file in place of the one that is there. owner: user and group, None for those of this
    process. OSError: that one stays."""
    new = _new(path, data)
    try:
        # Before it has its name: whoever kills this process leaves none that others cannot read.
        if owner is not None:
            os.chown(new, *owner)
        if mode != 0o600:
            os.chmod(new, mode)
        os.rename(new, path)
    except OSError:
        os.unlink(new)
        raise
    sync_directory(path)


def _opened(path: str) -> int | None:
    try:
        # Opening a FIFO would wait for a writer.
        number = os.open(path, os.O_RDONLY | os.O_NONBLOCK | PLAIN)
    except FileNotFoundError:
        return None
    except OSError as problem:
        raise FileError(f"{path}: {problem.strerror}") from None
    if not stat.S_ISREG(os.fstat(number).st_mode):
        os.close(number)
        raise FileError(f"{path}: this is no regular file")
    return number


def _read(number: int, path: str, most: int) -> bytes:
    try:
        with open(number, "rb") as file:
            data = file.read(most + 1)
    except OSError as problem:
        raise FileError(f"{path}: {problem.strerror}") from None
    if len(data) > most:
        raise FileError(f"{path}: larger than {most} bytes")
    return data


def _new(path: str, data: bytes) -> str:
    """The name of a whole file beside `path`; OSError, and then it is not there."""
    new = f"{path}.new"
    _remove(new)  # of a process that was killed
    number = os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | PLAIN, 0o600)
    try:
        with open(number, "wb", buffering=0) as file:
            rest = memoryview(data)
            while rest:
                rest = rest[file.write(rest) :]
            os.fsync(number)
    except OSError:
        _remove(new)
        raise
    return new


def _remove(path: str) -> None:
    with suppress(FileNotFoundError):
        os.unlink(path)


def sync_directory(path: str) -> None:
    """Without it a cut of power may lose the name of a file that has its bytes (fsync(2))."""
    try:
        number = os.open(os.path.dirname(path) or ".", os.O_RDONLY | os.O_DIRECTORY | PLAIN)
    except OSError:
        return
    with suppress(OSError):  # not every file system can; the file itself is whole
        os.fsync(number)
    os.close(number)
