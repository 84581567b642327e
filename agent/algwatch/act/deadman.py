# SPDX-License-Identifier: Apache-2.0
"""Dead man's switch: a process of its own that waits until apply has let go of the lock, and undoes
a change that is unfinished then. The kernel lets the lock go when apply dies, however it does."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Sequence

PROGRAM: tuple[str, ...] = (sys.executable, "-m", "algwatch")


def start(folder: str, words: Sequence[str] = ()) -> int:
    """Start it; returns its process id. folder: of all changes. words: more arguments. OSError."""
    argv = [*PROGRAM, "rollback", "--if-unfinished", "--when-free",
            "--changes", folder, *words]  # fmt: skip
    child = subprocess.Popen(argv, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                             stderr=subprocess.DEVNULL, start_new_session=True,
                             cwd="/", env=_environment())  # fmt: skip
    return child.pid


def _environment() -> dict[str, str]:
    """The package is found also where it is not installed, from another directory."""
    package = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
    paths = [package, os.environ.get("PYTHONPATH", "")]
    return dict(os.environ, PYTHONPATH=os.pathsep.join(filter(None, paths)))
