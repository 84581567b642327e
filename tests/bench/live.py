# SPDX-License-Identifier: Apache-2.0
"""Instructions of the running daemon: calls cross two interfaces of a network namespace at a steady
rate, and callgrind counts the agent's user space. A message costs the difference of a run and of
one that is twice as long, with all that the daemon does meanwhile: turns, timers, reports.

usage: live.py [RATE...]      crossings a second, 0 is idle: instructions a second then
"""

from __future__ import annotations

import os
import re
import socket
import sys
import tempfile
import time
from contextlib import ExitStack
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path[:0] = [*(str(HERE.parent / name) for name in ("", "e2e")), str(HERE)]

import make_calls  # noqa: E402
from brokers import Listener, Mosquitto, until  # noqa: E402
from craft import packets_of  # noqa: E402
from forger import ip_summed  # noqa: E402
from make_calls import LAN, WAN  # noqa: E402
from test_daemon import Agent, Router  # noqa: E402

SECONDS = 20.0  # of the shorter run
WARM = 10.0  # of traffic before
RATES = (0, 5, 20)  # callgrind is too slow for more: the ring would lose packets
PHONES = 6  # few: the first call of each is news, and costs many times as much
MACS = {LAN: "021122334455", WAN: "021122334466"}

Step = tuple[float, str, bytes]  # seconds, interface, frame


def steps(folder: Path, count: int) -> list[Step]:
    """The first crossings as frames, and through which interface each is seen by the router."""
    sides = [folder / name for name in ("lan.pcap", "wan.pcap")]
    make_calls.PHONES = PHONES
    make_calls.write_pair(sides[0], sides[1], True, count // 3 + 30, count // 30 + 3)
    made: list[Step] = []
    for side, path in zip((LAN, WAN), sides, strict=True):
        for at, data in packets_of(path.read_bytes())[:count]:
            provider = data[26:29] == bytes((198, 51, 100))
            entered = provider == (side == WAN)  # else the router sends it
            name = "br-lan" if side == LAN else "wan"
            target = MACS[side] if entered else "020000000009"
            frame = bytes.fromhex(target) + data[6:14] + ip_summed(data[14:])
            made.append((at / 1e9, f"far-{name}" if entered else name, frame))
    return sorted(made, key=lambda step: step[0])


def play(router: Router, made: list[Step], rate: float) -> float:
    """Send them at so many crossings a second; returns how late the last one was, in seconds."""
    with router.inside(), ExitStack() as stack:
        sockets = {}
        for name in {name for _, name, _ in made}:
            sock = stack.enter_context(socket.socket(socket.AF_PACKET, socket.SOCK_RAW))
            sock.bind((name, 0))
            sockets[name] = sock
        began, late = time.monotonic(), 0.0
        for number, (_, name, frame) in enumerate(made):
            due = began + number / 2 / rate
            late = time.monotonic() - due
            if late < 0:
                time.sleep(-late)
            sockets[name].send(frame)
    return max(0.0, late)


def counted(folder: Path, rate: float, seconds: float) -> int:
    """Instructions of a whole run with so many seconds of traffic."""
    router = Router()
    with router.inside():
        broker = Mosquitto(folder)
        listener = Listener(broker.port, MACS[LAN])
    out = folder / f"out-{rate}-{seconds}"
    valgrind = ("valgrind", "--tool=callgrind", f"--callgrind-out-file={out}.%p", "-q")
    agent = Agent(router, "--lan", "br-lan", "--wan", "wan", "--ring-bytes", "1048576",
                  "--mqtt", f"mqtt://127.0.0.1:{broker.port}",
                  within=valgrind, PYTHONHASHSEED="0")  # fmt: skip
    try:
        assert agent.heard("connected", 120), agent.said + agent.complained
        if rate:
            made = steps(folder, int(rate * seconds))
            late = play(router, made, rate)
        else:
            time.sleep(seconds)
        time.sleep(2)
        agent.process.terminate()
        agent.process.wait(120)
        assert until(lambda: listener.of("health"))
        health = listener.of("health")[-1]["health"]
        seen = health["crossings"]["paired"]
        lost = sum(tap["drops"] for tap in health["taps"].values())
        if rate:
            sent = len(made) // 2
            print(f"# {seen} of {sent} crossings seen, {lost} packets lost, the last one "
                  f"{late:.2f} s late", file=sys.stderr)  # fmt: skip
        listener.close()
    finally:
        broker.kill()
        router.close()
    text = Path(f"{out}.{agent.process.pid}").read_text()
    found = re.search(r"(?m)^(?:summary|totals): (\d+)", text)
    assert found is not None
    return int(found[1])


def main(words: list[str]) -> None:
    for rate in map(float, words or RATES):
        with tempfile.TemporaryDirectory() as folder:
            first = WARM if rate else 0.0
            runs = [counted(Path(folder), rate, first + SECONDS * n) for n in (1, 2)]
        extra = runs[1] - runs[0]
        each = f"{extra / (SECONDS * rate):,.0f} a crossing" if rate else "idle"
        print(f"{rate:g}/s: {each}, {extra / SECONDS:,.0f} a second", flush=True)


if __name__ == "__main__":
    if os.geteuid():
        sys.exit("live.py: needs root, for network namespaces")
    main(sys.argv[1:])
