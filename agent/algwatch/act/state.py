# SPDX-License-Identifier: Apache-2.0
"""Changes of this router in force: a small file written by apply and read by reports.

One line a change: number, word (applied, verified, rolled-back), seconds since 1970, address of the
phone concerned or "all". It imports nothing new to the daemon.
"""

from __future__ import annotations

import os

from algwatch import files

NAME = "state"
MOST = 65536  # bytes
ALL = "all"
WORDS = ("applied", "verified", "rolled-back")  # as in advise/advice.py


class Change:
    """state: a word of WORDS. at: seconds since 1970. phone: its address, or ALL."""

    __slots__ = ("at", "number", "phone", "state")

    def __init__(self, number: int, state: str, at: int, phone: str) -> None:
        self.number, self.state, self.at, self.phone = number, state, at, phone

    @property
    def line(self) -> str:
        return f"{self.number} {self.state} {self.at} {self.phone}\n"


def read(folder: str) -> list[Change]:
    """The oldest first; malformed lines are left out. folder: of all changes."""
    try:
        data = files.read(os.path.join(folder, NAME), MOST) or b""
    except files.FileError:
        return []
    found = []
    for line in data.decode("ascii", "replace").splitlines():
        words = line.split()
        if len(words) == 4 and words[0].isdigit() and words[1] in WORDS and words[2].isdigit():
            found.append(Change(int(words[0]), words[1], int(words[2]), words[3]))
    return found


def write(folder: str, changes: list[Change]) -> None:
    """OSError: the file is unchanged. It names phones by address: only root reads it."""
    text = "".join(change.line for change in changes)
    files.replace(os.path.join(folder, NAME), text.encode("ascii"))
