# SPDX-License-Identifier: Apache-2.0
"""Runs in the emulated machine as /guest.py (tests/bench/shares.py): `algwatch run` under traffic
of several rates, and the CPU time of all its threads, one JSON a line on the console.

/words: JSON of the words of `algwatch run`, and of phases: their number, seconds of traffic before,
seconds measured. /frames-NUMBER: the traffic of a phase, which may be none.
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
import socket
import struct
import subprocess
import sys
import time
from pathlib import Path

START = ("import sys; sys.path[:0] = ['/site', '/usr/lib/python3/dist-packages']; "
         "from algwatch.__main__ import main; sys.exit(main())")  # fmt: skip
HEAD = struct.Struct("<dBH")  # seconds, interface, bytes
NAMES = ("br-lan", "far-br-lan", "wan", "far-wan")
SAID = Path("/tmp/said")


def tell(name: str, value: object) -> None:
    print(f"GUEST {json.dumps([name, value])}", flush=True)


def spent(pid: int) -> dict[str, int]:
    """ns on the CPU of all threads (Documentation/scheduler/sched-stats.rst), of them ticks in
    user and in kernel mode, and how often it went to sleep."""
    total = {"ns": 0, "user": 0, "system": 0, "sleeps": 0}
    for task in Path(f"/proc/{pid}/task").iterdir():
        with contextlib.suppress(FileNotFoundError):
            total["ns"] += int((task / "schedstat").read_text().split()[0])
            fields = (task / "stat").read_text().rpartition(")")[2].split()
            total["user"] += int(fields[11])
            total["system"] += int(fields[12])
            line = (task / "status").read_text().partition("\nvoluntary_ctxt_switches:")[2]
            total["sleeps"] += int(line.split()[0])
    return total


def play(number: int, ends: list[socket.socket], pid: int, before: float, seconds: float) -> None:
    traffic = Path(f"/frames-{number}").read_bytes()
    at, sent, late, first = 0, 0, 0.0, None
    began = time.monotonic()
    while at < len(traffic):
        due, end, size = HEAD.unpack_from(traffic, at)
        at += HEAD.size
        if due >= before and first is None:
            first, sent, late, measured = spent(pid), 0, 0.0, time.monotonic()
        wait = began + due - time.monotonic()
        if wait > 0:
            time.sleep(wait)
        late = max(late, -wait)
        ends[end].send(traffic[at : at + size])
        at += size
        sent += 1
    if first is None:
        time.sleep(before)
        first, measured = spent(pid), time.monotonic()
    time.sleep(max(0.0, began + before + seconds - time.monotonic()))
    last = spent(pid)
    took = time.monotonic() - measured
    tell("phase", {"seconds": took, "sent": sent, "late": late,
                   **{key: last[key] - first[key] for key in last}})  # fmt: skip


def main() -> None:
    words, phases = json.loads(Path("/words").read_text())
    with SAID.open("w") as out:
        agent = subprocess.Popen([sys.executable, "-S", "-c", START, "run", *words], stdout=out,
                                 stderr=out)  # fmt: skip
    while "connected" not in SAID.read_text():
        if agent.poll() is not None:
            sys.exit(SAID.read_text())
        time.sleep(0.5)
    # What comes to a router comes whatever its programs do.
    os.setpriority(os.PRIO_PROCESS, 0, -10)
    ends = []
    for name in NAMES:
        ends.append(socket.socket(socket.AF_PACKET, socket.SOCK_RAW))
        ends[-1].bind((name, 0))
    for number, before, seconds in phases:
        play(number, ends, agent.pid, before, seconds)
    agent.send_signal(signal.SIGTERM)
    tell("status", agent.wait(120))
    tell("said", SAID.read_text().splitlines()[-20:])


if __name__ == "__main__":
    main()
