# SPDX-License-Identifier: Apache-2.0
"""The sources of a model: capture files, the lines of `run --json`, a status file."""

from __future__ import annotations

import json
import os
import select
from typing import Any

from algwatch.top.model import Model

CHUNK = 65536
LONGEST = 1 << 20  # bytes of a line, and of a status file


class Lines:
    """Lines of JSON from a descriptor that may grow. poll() reads the available ones."""

    def __init__(self, number: int) -> None:
        self._number = number
        self._rest = b""
        self.ended = False

    def poll(self, model: Model) -> None:
        for _ in range(64):
            if not select.select([self._number], [], [], 0)[0]:
                return
            data = os.read(self._number, CHUNK)
            if not data:
                self.ended = True
                return
            *lines, self._rest = (self._rest + data).split(b"\n")
            self._rest = self._rest[-LONGEST:]
            for line in lines:
                row = _object(line)
                if row is not None:
                    model.said(row)


class StatusFile:
    """A file replaced as a whole."""

    def __init__(self, path: str) -> None:
        self._path = path
        self._seen = 0.0
        self.trouble = ""

    def poll(self, model: Model) -> None:
        try:
            at = os.stat(self._path).st_mtime_ns
            if at == self._seen:
                return
            with open(self._path, "rb") as file:
                page = _object(file.read(LONGEST))
        except OSError as problem:
            self.trouble = problem.strerror or "error"
            return
        self._seen = at
        self.trouble = ""
        if page is not None:
            model.status(page)


def _object(text: bytes) -> dict[str, Any] | None:
    try:
        row = json.loads(text)
    except ValueError:
        return None
    return row if isinstance(row, dict) else None
