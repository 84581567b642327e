# SPDX-License-Identifier: Apache-2.0
"""algwatch on a router whose files lie in a directory of their own; killed where asked."""

from __future__ import annotations

import os
import signal
import sys
import time
from typing import Any

from algwatch.__main__ import main
from algwatch.act import deadman
from algwatch.act.journal import Journal
from algwatch.act.router import Router
from algwatch.cli import apply, rollback, verify  # before a fork, once for all
from algwatch.cli.watching import Watching

__all__ = ["apply", "rollback", "run", "verify"]


def die_at(at: str, when: str) -> None:
    """This process dies by SIGKILL at a step of the journal. when: "before" it is written, so that
    the work of the step before is done and nothing tells of this one; "after", so that it is told
    and its work is not done."""
    write = Journal.step

    def step(self: Journal, word: str, **facts: Any) -> None:
        if word == at and when == "before":
            os.kill(os.getpid(), signal.SIGKILL)
        write(self, word, **facts)
        if word == at and when == "after":
            os.kill(os.getpid(), signal.SIGKILL)

    Journal.step = step  # type: ignore[method-assign]


def die_before_program(number: int) -> None:
    """This process dies by SIGKILL before it runs its so many-th program, counted from 1."""
    attempt = Router.attempt
    count = 0

    def counted(self: Router, *argv: str, text: str = "") -> tuple[int, str, str]:
        nonlocal count
        count += 1
        if count == number:
            os.kill(os.getpid(), signal.SIGKILL)
        return attempt(self, *argv, text=text)

    Router.attempt = counted  # type: ignore[method-assign]


def die_at_fork() -> None:
    """This process dies by SIGKILL before the one that watches has taken its first step."""
    fork = os.fork

    def forked() -> int:
        this = os.getpid()
        child = fork()
        # Not in that of capture/filter.py.
        if not child and sys._getframe(1).f_code is Watching.until.__code__:
            os.kill(this, signal.SIGKILL)
            while os.getppid() == this:
                time.sleep(0.01)
        return child

    os.fork = forked


def run(root: str, words: list[str], kill: str = "", guarded: bool = False) -> int:
    """root: of the files. kill: "WORD:before", "WORD:after", "program:N" or "fork:after". guarded:
    with the process that waits for the end of this one."""
    Router.__init__.__defaults__ = (root, None)
    word, _, when = kill.partition(":")
    if word == "program":
        die_before_program(int(when))
    elif word == "fork":
        die_at_fork()
    elif word:
        die_at(word, when)
    os.environ["ROOT"] = root
    waits = [os.path.abspath(__file__)] if guarded else ["-c", ""]
    deadman.WAITS = (sys.executable, *waits)
    return main(words)


if __name__ == "__main__":  # the process that waits
    folder = sys.argv[1]
    deadman.wait_for(folder, float(sys.argv[2]), int(sys.argv[3]))
    sys.exit(run(os.environ["ROOT"], ["rollback", "--if-unfinished", "--changes", folder]))
