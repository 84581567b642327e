# SPDX-License-Identifier: Apache-2.0
"""A pager in front of a terminal: PAGER, or less; none if TERM is dumb or PAGER is empty."""

from __future__ import annotations

import os
import shlex
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import IO


@contextmanager
def paged() -> Iterator[IO[str]]:
    """Standard output, through the pager on a terminal."""
    command = shlex.split(os.environ.get("PAGER", "less"))
    plain = not sys.stdout.isatty() or os.environ.get("TERM", "dumb") == "dumb"
    if plain or not command or command == ["cat"] or not shutil.which(command[0]):
        yield sys.stdout
        return
    # F: less than a screen needs no pager. R: colours. X: it stays on the screen.
    environment = {"LESS": "FRX", **os.environ}
    pager = subprocess.Popen(command, stdin=subprocess.PIPE, env=environment, text=True,
                             encoding=sys.stdout.encoding, errors=sys.stdout.errors)  # fmt: skip
    assert pager.stdin is not None
    try:
        yield pager.stdin
    except BrokenPipeError:
        pass  # its reader has seen enough
    finally:
        with suppress(BrokenPipeError):
            pager.stdin.close()
        while True:
            try:
                pager.wait()
                break
            except KeyboardInterrupt:  # the pager has to deal with it
                continue
