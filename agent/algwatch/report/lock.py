# SPDX-License-Identifier: Apache-2.0
"""The lock of a file that one daemon alone may use (flock(2)). The kernel releases it when the
process ends, however it ends."""

from __future__ import annotations

import fcntl
import os


class Busy(OSError):
    """Another process has the lock; strerror tells the user what to do."""


def lock(path: str, option: str, create: bool = False) -> int:
    """A descriptor that holds the lock. option: of the configuration, which names the file. Busy;
    any other OSError: it cannot be opened."""
    flags = os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK
    number = os.open(path, flags | (os.O_CREAT if create else 0), 0o600)
    try:
        fcntl.flock(number, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as problem:
        os.close(number)
        raise Busy(
            problem.errno,
            f"another algwatch uses it: stop that one, or give this one a {option} of its own",
        ) from None
    except OSError:
        os.close(number)
        raise
    return number
