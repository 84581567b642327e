# SPDX-License-Identifier: Apache-2.0
"""Files: read small files whole, with a limit; write them atomically. A full disk or a power cut
leaves the old file or the new one."""

from __future__ import annotations

import errno
import os
import stat

from algwatch.quiet import suppress

OTHERS = stat.S_IRWXG | stat.S_IRWXO
PLAIN = os.O_CLOEXEC | os.O_NOCTTY


class FileError(Exception):
    """The file exists and is unfit; the text gives its name and the remedy."""


def read(path: str, most: int) -> bytes | None:
    """The bytes of a regular file, None without a file. FileError: it is larger than `most` bytes,
    no regular file, or cannot be read."""
    number = _opened(path)
    return None if number is None else _read(number, path, most)


def read_secret(path: str, most: int) -> bytes | None:
    """Like read(). FileError, too, if users other than this one and root may read or change it."""
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
    """True if users other than the owner may read the file; False if unknown."""
    try:
        return bool(os.stat(path).st_mode & (stat.S_IRGRP | stat.S_IROTH))
    except OSError:
        return False


def create(path: str, data: bytes) -> bool:
    """Write a new file of mode 0600. False: one exists meanwhile, and is left unchanged. OSError:
    nothing was written."""
    new = _new(path, data)
    try:
        os.link(new, path)  # unlike rename(2), never replaces another process's file
    except FileExistsError:
        return False
    finally:
        os.unlink(new)
    sync_directory(path)
    return True


def replace(
    path: str, data: bytes, mode: int = 0o600, owner: tuple[int, int] | None = None
) -> None:
    """Write a file in place of the old one. owner: user and group, None for those of this process.
    OSError: the old file stays. So does all that is no regular file: a rename would take the place
    of a device such as /dev/null."""
    if os.path.exists(path) and not os.path.isfile(path):
        raise OSError(errno.EINVAL, "this is no regular file", path)
    new = _new(path, data)
    try:
        # Before the rename: a kill never leaves a named file with the wrong owner or mode.
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
    """The name of a whole new file beside `path`. OSError: it does not exist."""
    new = f"{path}.new"
    _remove(new)  # left by a killed process
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
    """Without it a power cut may lose a file's name although its bytes are written (fsync(2))."""
    try:
        number = os.open(os.path.dirname(path) or ".", os.O_RDONLY | os.O_DIRECTORY | PLAIN)
    except OSError:
        return
    with suppress(OSError):  # some file systems cannot; the file itself is whole
        os.fsync(number)
    os.close(number)
