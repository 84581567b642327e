# SPDX-License-Identifier: Apache-2.0
"""A router without a battery starts in 1970, and NTP sets its clock while the daemon runs."""

from __future__ import annotations

import os
import shutil
import socket
import struct
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

from algwatch.control.order import Order, sign
from brokers import Listener, Mosquitto, authority, need, until
from test_daemon import AGENT, Agent, Router, _allowed, register, router

__all__ = ["_allowed", "router"]  # fixtures

HERE = Path(__file__).parent
CPE, KEY, PORT, DAY = "cpe1", bytes(range(32)), 1884, 86400
LATER = 410_000_000  # seconds: after January 2038


class Clock:
    """The wall clock of the programs started with `environment`."""

    def __init__(self, folder: Path) -> None:
        self._file = folder / "clock"
        self.add(0)
        library = folder / "clock.so"
        compiler = need(shutil.which("cc"), "gcc")
        subprocess.run([compiler, "-shared", "-fPIC", "-O1", "-o", library,
                        HERE / "wall_clock.c"], check=True)  # fmt: skip
        self.environment = {"LD_PRELOAD": str(library), "WALL_CLOCK": str(self._file)}

    def add(self, seconds: int) -> None:
        """Set it so far ahead of this machine's."""
        self._file.touch()
        with self._file.open("r+b") as file:
            file.write(struct.pack("=q", seconds))


def listens() -> bool:
    with socket.socket() as sock:
        return sock.connect_ex(("127.0.0.1", PORT)) == 0


def rewritten(router: Router, number: int) -> None:
    router.crosses(register(number, "192.168.1.10", "192.168.1.10"),
                   register(number, "198.51.100.2:1024", "198.51.100.77:9"))  # fmt: skip


def order(listener: Listener, at: float) -> Callable[[], str]:
    """Send a ping; the result tells what became of it."""
    made = Order("ping", os.urandom(16).hex(), CPE, at, at + 60)
    listener.client.publish(f"algwatch/1/{CPE}/cmd", sign(made, KEY), 1)

    def state() -> str:
        said = [body["reply"] for body in listener.of("reply")]
        return next((one["state"] for one in said if one.get("id") == made.id), "")

    return state


def test_a_clock_that_is_set_while_the_daemon_runs_loses_and_repeats_nothing(
    router: Router, tmp_path: Path
) -> None:
    clock = Clock(tmp_path)
    clock.add(DAY - int(time.time()))
    authority(tmp_path)
    with router.inside():
        broker = Mosquitto(
            tmp_path, f"allow_anonymous true\ncafile {tmp_path}/ca.pem\n"
            f"certfile {tmp_path}/broker.pem\nkeyfile {tmp_path}/broker.key\n"
            f"listener {PORT} 127.0.0.1",
        )  # fmt: skip
        assert until(listens)
        listener = Listener(PORT, CPE)
    key = tmp_path / "command.key"
    key.write_bytes(KEY)
    key.chmod(0o600)
    (tmp_path / "root").mkdir()
    words = ["--lan", "br-lan", "--wan", "wan", "--cpe", CPE, "--mqtt",
             f"mqtts://127.0.0.1:{broker.port}", "--mqtt-ca", f"{tmp_path}/ca.pem", "--spool",
             str(tmp_path / "spool"), "--state", str(tmp_path / "state"), "--commands", str(key),
             "--commands-socket", str(tmp_path / "root/socket")]  # fmt: skip
    program = (sys.executable, str(HERE / "clock_daemon.py"))
    with router.inside():
        root = subprocess.Popen(
            [*program, "obey", *words],
            env={**os.environ, "PYTHONPATH": str(AGENT), **clock.environment},
        )
    agent = Agent(router, *words, python=program, **clock.environment)
    try:
        assert agent.heard("the clock says 1970-01-02"), agent.said + agent.complained
        rewritten(router, 1)
        assert agent.heard("ALG001"), agent.said
        assert not listener.of("state")
        clock.add(0)
        assert agent.heard("connected"), agent.said
        assert until(lambda: listener.of("finding")), agent.said
        now = time.time()
        done, old, ahead = (order(listener, at) for at in (now, now - 1000, now + 1000))
        assert until(lambda: done() == "done" and old() == ahead() == "refused"), listener.of(
            "reply"
        )
        for number in range(2, 5):
            rewritten(router, number)
        time.sleep(1.0)  # more than LAG: they are counted then
        assert agent.stop()[0] == 0, agent.complained
        assert until(lambda: listener.of("state")[-1].get("reason") == "stopped")
        health = listener.of("health")[-1]["health"]
        assert health["crossings"]["paired"] == 4, health
        assert health["clock_steps"] == 1 and 0 < health["uptime"] < 200
        assert abs(listener.of("health")[-1]["at"] - now) < 100
        told = [(one["finding"]["rule"], one["finding"]["key"]) for one in listener.of("finding")]
        assert len(told) == len(set(told)), told
        # The next start, and a clock after January 2038 while the connection stands.
        again = Agent(router, *words, python=program, **clock.environment)
        assert again.heard("goes on from"), again.said + again.complained
        assert again.heard("connected")
        clock.add(LATER)
        rewritten(router, 5)
        assert again.heard("the clock was set") and not again.heard("ALG001", 2.0), again.said
        done = order(listener, now + LATER)
        assert until(lambda: done() == "done"), listener.of("reply")
        assert again.stop()[0] == 0
        assert until(lambda: listener.of("state")[-1].get("reason") == "stopped")
        assert listener.of("health")[-1]["at"] > 2**31
        seqs = [(body["boot"], body["seq"]) for _, body, _ in listener.reports]
        for boot in {boot for boot, _ in seqs}:
            numbers = sorted({seq for of, seq in seqs if of == boot})
            assert numbers == list(range(1, len(numbers) + 1)), numbers
    finally:
        for process in (root, agent.process):
            process.kill()
            process.wait()
        listener.close()
        broker.kill()
