# SPDX-License-Identifier: Apache-2.0
"""A file that is replaced again and again. Trouble with it costs one line, and its end another."""

from __future__ import annotations

from collections.abc import Callable

from algwatch import files


class Replaced:
    """path: of the file; option: of the configuration, which names it. mode: of the file. say:
    takes a line about the agent."""

    def __init__(self, path: str, option: str, mode: int, say: Callable[[str], None]) -> None:
        self._path = path
        self._option = option
        self._mode = mode
        self._say = say
        self._trouble = False

    def write(self, text: str) -> None:
        try:
            files.replace(self._path, text.encode(), self._mode)
        except OSError as problem:
            if not self._trouble:
                self._trouble = True
                why = problem.strerror or "error"
                self._say(f"{self._option} {self._path} cannot be written, the rest goes on: {why}")
            return
        if self._trouble:
            self._trouble = False
            self._say(f"{self._option} {self._path} is written again")
