# SPDX-License-Identifier: Apache-2.0
"""Dead man's switch: a process of its own that waits until apply has released the lock, and then
becomes `algwatch rollback --if-unfinished`. The kernel releases the lock when apply dies in any
way. The process waits for up to an hour and a half on a small router: nothing large is imported
here.
"""

from __future__ import annotations

import fcntl
import os
import signal
import sys
import time

LOCK = "lock"  # in the folder of all changes; its text is the process that holds it
LOOK = 0.2  # seconds between looks
WAITS: tuple[str, ...] = (sys.executable, "-m", "algwatch.act.deadman")


def start(folder: str, seconds: float) -> None:
    """Start it. folder: of all changes. seconds: the limit for apply; after it apply hangs, and is
    killed. OSError."""
    import subprocess

    argv = [*WAITS, os.path.abspath(folder), f"{seconds:.0f}", f"{os.getpid()}"]
    subprocess.Popen(argv, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                     stderr=subprocess.DEVNULL, start_new_session=True, cwd="/",
                     env=_environment())  # fmt: skip


def wait_for(folder: str, seconds: float, whom: int) -> None:
    """Wait until the lock is free. The process `whom` is killed if it still holds the lock after
    this time; another holder (a later verify) is left alone."""
    try:
        number = os.open(os.path.join(folder, LOCK), os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        return
    end = time.monotonic() + seconds
    try:
        while time.monotonic() < end:
            try:
                fcntl.flock(number, fcntl.LOCK_SH | fcntl.LOCK_NB)
                return
            except BlockingIOError:
                time.sleep(LOOK)
        holder = os.read(number, 20).strip()
        if holder == b"%d" % whom:
            os.kill(whom, signal.SIGKILL)
    except ProcessLookupError:
        return
    finally:
        os.close(number)


def _environment() -> dict[str, str]:
    """Environment with the package's path: it may not be installed."""
    package = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
    paths = [package, os.environ.get("PYTHONPATH", "")]
    return dict(os.environ, PYTHONPATH=os.pathsep.join(filter(None, paths)))


if __name__ == "__main__":
    wait_for(sys.argv[1], float(sys.argv[2]), int(sys.argv[3]))
    os.execv(sys.executable, [sys.executable, "-m", "algwatch", "rollback", "--if-unfinished",
                              "--wait", "200", "--changes", sys.argv[1]])  # fmt: skip
