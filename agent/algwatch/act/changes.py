# SPDX-License-Identifier: Apache-2.0
"""Changes: a folder for each change, with its journal and the copies of the files it replaced.

The folders are numbered and survive a reboot. A copy is made once and never replaced. Among undone
changes the latest few are kept; one in force stays.
"""

from __future__ import annotations

import fcntl
import os
import re
import shutil
import stat
import time

from algwatch import files
from algwatch.act import steps
from algwatch.act.deadman import LOCK
from algwatch.act.journal import Journal
from algwatch.quiet import suppress

FOLDER = "etc/algwatch/changes"
KEPT = 4  # undone changes
_FOLDER_MODE = 0o700
_NUMBER = re.compile(r"[1-9][0-9]{0,8}")  # isdigit() takes "²", too


class ChangesError(Exception):
    """The folder is unusable; the text is one line with the next step."""


class Changes:
    """folder: of all changes; it may not exist yet."""

    def __init__(self, folder: str) -> None:
        self.folder = folder
        self._lock = -1

    def all(self) -> list[Journal]:
        """The oldest first. JournalError."""
        try:
            names = os.listdir(self.folder)
        except OSError:
            return []
        numbers = sorted(int(name) for name in names if _NUMBER.fullmatch(name))
        return [Journal(os.path.join(self.folder, f"{number}")) for number in numbers]

    def unfinished(self) -> list[Journal]:
        """The newest first: it is undone first."""
        return [one for one in reversed(self.all()) if not one.is_finished]

    def in_force(self) -> list[Journal]:
        """The newest first."""
        return [one for one in reversed(self.all()) if one.is_in_force]

    def create(self) -> Journal:
        """A new one with an empty journal. ChangesError: no room, or no permission."""
        self._tidy()
        everything = self.all()
        number = everything[-1].number + 1 if everything else 1
        folder = os.path.join(self.folder, f"{number}")
        try:
            os.makedirs(folder, _FOLDER_MODE)
        except OSError as problem:
            raise ChangesError(
                f"{folder}: {problem.strerror}: nothing was changed, because the way back is kept "
                "there"
            ) from None
        files.sync_directory(folder)
        return Journal(folder)

    def lock(self, seconds: float = 0.0) -> bool:
        """False: another process changes something, also after the wait. A killed process releases
        the lock. ChangesError."""
        try:
            os.makedirs(self.folder, _FOLDER_MODE, exist_ok=True)
            self._check()
            path = os.path.join(self.folder, LOCK)
            self._lock = os.open(path, os.O_RDWR | os.O_CREAT | files.PLAIN, 0o600)
        except OSError as problem:
            raise ChangesError(f"{self.folder}: {problem.strerror}: nothing was changed") from None
        end = time.monotonic() + seconds
        while True:
            try:
                fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except OSError:
                if time.monotonic() >= end:
                    os.close(self._lock)
                    self._lock = -1
                    return False
                time.sleep(0.05)
        with suppress(OSError):  # a full disk must not stand in the way of a rollback
            # For deadman.py; as long as the text before, so it needs no more room.
            os.pwrite(self._lock, b"%-10d\n" % os.getpid(), 0)
        return True

    def _check(self) -> None:
        """Root loads a journal as rules and settings, so nobody else may write one.
        ChangesError."""
        status = os.stat(self.folder)
        mode = stat.S_IMODE(status.st_mode)
        why = ""
        if status.st_uid not in (0, os.geteuid()):
            why = f"it belongs to user {status.st_uid}"
        elif mode & (stat.S_IWGRP | stat.S_IWOTH):
            why = f"others may write there (mode {mode:o})"
        if why:
            raise ChangesError(f"{self.folder}: {why}, so that its journals may be anybody's: "
                               "nothing was changed; look at it, then chown and chmod 700 it, or "
                               "name another folder")  # fmt: skip

    def unlock(self) -> None:
        if self._lock >= 0:
            os.close(self._lock)
            self._lock = -1

    def _tidy(self) -> None:
        """Delete old changes already undone, or never begun."""
        over = [one for one in self.all() if one.state in ("", steps.ROLLED_BACK)]
        for one in over[:-KEPT]:
            with suppress(OSError):
                shutil.rmtree(one.folder)
