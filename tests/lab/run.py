# SPDX-License-Identifier: Apache-2.0
"""One run: a scenario with a draw, its recording, and what the agent said meanwhile."""

from __future__ import annotations

import contextlib
import io
import json
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from .agent import Agent
from .crowd import Crowd, invite
from .draw import Draw
from .habits import widen
from .loop import Loop
from .network import Network
from .recorder import Logged, Recorder
from .scenarios import SCENARIOS

# After the last packet the agent still has to see the pairing window go by.
SETTLE = 1.0  # seconds
# Interpreters that all start at once would starve the timers of the calls that are running.
STARTING = threading.Semaphore(2)
Say = Callable[[str], None]


def silent(text: str) -> None:
    """Says nothing."""


class Run:
    """number: key of SCENARIOS. directory: gets lan.pcap, wan.pcap, result.json.

    with_agent: starts a broker and `algwatch run` in the router. on_report, on_line, on_frame:
    see Agent and Recorder; called from their threads. wide: with what habits.py draws.
    """

    def __init__(
        self,
        number: str,
        seed: int,
        directory: Path,
        with_agent: bool = True,
        wide: bool = True,
    ) -> None:
        self.scenario = SCENARIOS[number]
        self.draw = Draw(seed)
        if wide:
            widen(self.draw)
        if self.scenario.tune:
            self.scenario.tune(self.draw)
        if self.scenario.crowd:
            invite(self.draw, "ALG014" in self.scenario.truth.harmless)
        self.directory = directory
        self.with_agent = with_agent
        self.on_report: Callable[[str, Any], None] | None = None
        self.on_line: Callable[[str], None] | None = None
        self.on_frame: Callable[[str, float, bytes], None] | None = None

    @property
    def lan(self) -> Path:
        return self.directory / "lan.pcap"

    @property
    def wan(self) -> Path:
        return self.directory / "wan.pcap"

    def play(self, say: Say = silent) -> dict[str, Any]:
        """Returns {"number", "seed", "facts", "mqtt", "log", "fault", "seconds"}, also in
        result.json. fault: why the agent did not start, "" when it did.

        mqtt: list of [seconds since the start, last level of the topic, payload]. Raises NoLab.
        """
        started = time.monotonic()
        self.directory.mkdir(parents=True, exist_ok=True)
        options = {k: v(self.draw) if callable(v) else v for k, v in self.scenario.network.items()}
        with Network(self.draw, **options) as net:
            net.check_helper()
            net.helper(self.scenario.helper)
            agent = None
            if self.with_agent:
                key = self.directory / "privacy.key"
                agent = net.agent = Agent(
                    net.router, self.draw.cpe, key, self.on_report, self.on_line,
                    self.scenario.words,
                )  # fmt: skip
            files = {"br-lan": self.lan, net.access.port: self.wan}
            logged = (
                Logged(net.router, self.scenario.group, files.pop("br-lan"))
                if self.scenario.group
                else None
            )
            recorder = Recorder(net.router, files, self.on_frame)
            loop = Loop()
            net.household(loop)
            fault = ""
            try:
                if agent:
                    with STARTING:
                        fault = agent.try_start()
                crowd = Crowd(loop, net).facts
                facts = self.scenario.play(loop, net, say) | {"crowd": crowd}
                loop.sleep(SETTLE)
            finally:
                loop.close()
                recorder.stop()
                if logged:
                    logged.stop()
                if agent:
                    agent.stop()
        result = {
            "number": self.scenario.number,
            "seed": self.draw.seed,
            "facts": facts,
            "mqtt": agent.reports if agent else [],
            "log": agent.log if agent else [],
            "fault": fault,
            "seconds": round(time.monotonic() - started, 1),
        }
        (self.directory / "result.json").write_text(json.dumps(result, indent=1, default=_plain))
        return result


def analyze(lan: Path, wan: Path) -> dict[str, Any]:
    """The verdict of `algwatch analyze` on a pair of captures, with its "exit" status."""
    argv = [sys.executable, "-m", "algwatch", "analyze", "--json"]
    done = subprocess.run(
        [*argv, "--lan", str(lan), "--wan", str(wan)], capture_output=True, text=True, check=False
    )
    if done.returncode not in (0, 1, 3):
        raise RuntimeError(f"algwatch analyze: status {done.returncode}: {done.stderr.strip()}")
    verdict: dict[str, Any] = json.loads(done.stdout)
    return verdict | {"exit": done.returncode}


def analyze_here(lan: Path, wan: Path) -> dict[str, Any]:
    """The same without a process of its own, for one thread only."""
    from algwatch.__main__ import main

    out = io.StringIO()
    with contextlib.redirect_stdout(out):
        status = main(["analyze", "--json", "--lan", str(lan), "--wan", str(wan)])
    verdict: dict[str, Any] = json.loads(out.getvalue())
    return verdict | {"exit": status}


def _plain(value: Any) -> Any:
    return value.hex() if isinstance(value, bytes) else str(value)
