# SPDX-License-Identifier: Apache-2.0
"""Runs in the emulated machine: `algwatch run` between two interfaces, a message that crosses them,
and what came of it, one JSON a line on the console.

/words: JSON of the words of `algwatch run`, and the frames for far-br-lan and wan in hexadecimal.
"""

from __future__ import annotations

import json
import os
import re
import signal
import socket
import subprocess
import sys
import time

START = ("import sys; sys.path[:0] = ['/site', '/usr/lib/python3/dist-packages']; "
         "from algwatch.__main__ import main; sys.exit(main())")  # fmt: skip


def tell(name: str, value: object) -> None:
    print(f"GUEST {json.dumps([name, value])}", flush=True)


def heard(agent: subprocess.Popen[str], word: str) -> None:
    """Read the agent's lines up to one with this word."""
    assert agent.stdout is not None
    for line in agent.stdout:
        tell("said", line.rstrip())
        if word in line:
            return
    sys.exit(f"the agent ended before it said {word!r}")


def memory(pid: int) -> dict[str, int]:
    with open(f"/proc/{pid}/smaps_rollup") as file:
        found = {
            name: int(size) for name, size in re.findall(r"(?m)^(\w+): +(\d+) kB", file.read())
        }
    return {"rss": found["Rss"], "private": found["Private_Clean"] + found["Private_Dirty"]}


def main() -> None:
    with open("/words") as file:
        words, frames = json.load(file)
    with open("/proc/sys/net/core/optmem_max") as file:
        tell("optmem_max", int(file.read()))
    tell("machine", [os.uname().machine, os.uname().release, sys.byteorder, sys.maxsize])
    began = time.monotonic()
    agent = subprocess.Popen(
        [sys.executable, "-S", "-c", START, "run", *words],
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
    )  # fmt: skip
    heard(agent, "watching")
    tell("started", round(time.monotonic() - began, 1))
    heard(agent, "connected")
    tell("idle", memory(agent.pid))
    for name, data in frames:
        with socket.socket(socket.AF_PACKET, socket.SOCK_RAW) as sock:
            sock.bind((name, 0))
            sock.send(bytes.fromhex(data))
        time.sleep(0.002)
    heard(agent, "ALG")
    tell("loaded", memory(agent.pid))
    time.sleep(2)
    agent.send_signal(signal.SIGTERM)
    heard(agent, "stopped")
    tell("status", agent.wait(30))


if __name__ == "__main__":
    main()
