# SPDX-License-Identifier: Apache-2.0
"""Run: one verb of algwatch, run by root for an order, and its output.

The verb has a process and a session of its own. So apply goes on without this process, and takes
its change back by itself if needed (docs/apply.md).
"""

from __future__ import annotations

import os
import signal
import sys
import time

from algwatch.control.order import APPLY, PROBE, Order
from algwatch.quiet import suppress

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

MOST = 262144  # bytes of output kept
LINES, LINE = 16, 300  # in an answer: the last lines, and characters of each
LONGEST = {PROBE: 60.0, APPLY: 90000.0}  # seconds
OTHERWISE = 900.0
# Exit statuses of an interrupted apply: it is undone, or it had not begun.
INTERRUPTED = (1, 130, -signal.SIGTERM)
_PATH = "/usr/sbin:/usr/bin:/sbin:/bin"


def words(order: Order, status: str = "") -> list[str]:
    """The words of a typed command line. status: file of the daemon, "" for the usual one."""
    typed = [order.command, "--json"]
    if order.command == APPLY:
        typed += [f"--only={order.only}"] if order.only else []
        typed += [f"--watch={order.watch}"] if order.watch is not None else []
        typed += [f"--status={status}"] if status else []
    return typed


def start(order: Order, status: str = "") -> Run:
    """OSError."""
    isolated = ["-I"] if sys.flags.isolated else []
    environment = {"PATH": os.environ.get("PATH", _PATH)}
    if not isolated and "PYTHONPATH" in os.environ:
        environment["PYTHONPATH"] = os.environ["PYTHONPATH"]
    read, write = os.pipe2(os.O_CLOEXEC)
    try:
        actions = [
            (os.POSIX_SPAWN_OPEN, 0, os.devnull, os.O_RDONLY, 0),
            (os.POSIX_SPAWN_DUP2, write, 1), (os.POSIX_SPAWN_DUP2, write, 2),
        ]  # fmt: skip
        argv = [sys.executable, *isolated, "-m", "algwatch", *words(order, status)]
        pid = os.posix_spawn(argv[0], argv, environment, file_actions=actions, setsid=True,
                             setsigdef=[signal.SIGINT, signal.SIGTERM, signal.SIGHUP])  # fmt: skip
    except OSError:
        os.close(read)
        raise
    finally:
        os.close(write)
    return Run(order.command, pid, read)


class Run:
    """command: the verb. pid: of its process. out: descriptor of its output. status: its exit
    status after its end, negative for a signal."""

    def __init__(self, command: str, pid: int, out: int) -> None:
        self.pid, self.out = pid, out
        self.status: int | None = None
        self._output = bytearray()
        self._end = time.monotonic() + LONGEST.get(command, OTHERWISE)
        os.set_blocking(out, False)

    def look(self) -> bool:
        """Read its output; True once it has ended."""
        self._read()
        pid, status = os.waitpid(self.pid, os.WNOHANG)
        if pid:
            self.status = os.waitstatus_to_exitcode(status)
            self._read()
            if self.out >= 0:  # another process still has the other end
                os.close(self.out)
                self.out = -1
            return True
        if time.monotonic() > self._end:
            os.kill(self.pid, signal.SIGKILL)  # its watcher takes its change back
        return False

    def interrupt(self) -> None:
        """As Ctrl-C."""
        with suppress(ProcessLookupError):
            os.kill(self.pid, signal.SIGTERM)

    def told(self) -> dict[str, Any]:
        """For the answer: status, lines, and the JSON object's words on the change or probe."""
        said: dict[str, Any] = {"status": self.status}
        text = bytes(self._output).decode("utf-8", "replace")
        before, brace, rest = text.partition("{")
        import json  # here, because orders are rare

        try:
            made = json.loads(brace + rest) if brace else {}
        except (ValueError, RecursionError):
            before, made = text, {}
        if not isinstance(made, dict):
            made = {}
        lines = before.splitlines()
        if isinstance(made.get("lines"), list):
            lines += [str(line) for line in made["lines"]]
        for name, word in (("change", "change"), ("state", "result"), ("conclusion", "conclusion")):
            if isinstance(made.get(name), str | int):
                said[word] = made[name]
        return said | {"lines": [line[:LINE] for line in lines[-LINES:] if line.strip()]}

    def _read(self) -> None:
        with suppress(BlockingIOError):
            while self.out >= 0:
                data = os.read(self.out, 65536)
                self._output += data[: max(0, MOST - len(self._output))]
                if not data:
                    os.close(self.out)
                    self.out = -1
