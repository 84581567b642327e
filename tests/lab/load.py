# SPDX-License-Identifier: Apache-2.0
"""`make lab-calls`: very many calls through the router, half of them past its helper (number 41).

CALLS=10000 is how many, RATE=40 how many begin in a second at most, SEED=7 the draw; on a slow
machine a call waits until there is room for it (AT_ONCE), so that its timers keep time. The agent
watches as a user starts it, and its numbers have to be those of the endpoints and of the recording:
calls, messages of each side, pairs, rewritten ones. Exit status 1 when one differs, 77 without a
lab.
"""

from __future__ import annotations

import json
import os
import random
import subprocess
import sys
import tempfile
import time
from collections import Counter
from importlib import import_module
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[1]
if not __package__:  # started as a file: python tests/lab/load.py
    sys.path[:0] = [str(HERE.parent), str(ROOT / "agent")]
    __package__ = "lab"
    import_module("lab")

from .agent import Agent  # noqa: E402
from .draw import Draw  # noqa: E402
from .endpoint import Call  # noqa: E402
from .loop import Loop  # noqa: E402
from .namespace import NoLab  # noqa: E402
from .network import Network  # noqa: E402
from .phone import Phone  # noqa: E402
from .play import NO_LAB  # noqa: E402
from .privilege import lab_prefix  # noqa: E402
from .provider import Provider  # noqa: E402
from .recorder import Recorder  # noqa: E402
from .run import analyze  # noqa: E402
from .wire import read_capture  # noqa: E402

TALK = 0.05  # seconds
AT_ONCE = 12  # calls of one line
PATIENCE = 40.0  # seconds for the last calls to end


class Busy(Phone):
    """Without media, and without a memory of what it has heard."""

    def established(self, call: Call) -> None:
        self.received.clear()


class Exchange(Provider):
    def established(self, call: Call) -> None:
        self.received.clear()


class Line:
    """A phone with its provider: incoming and outgoing calls in turn."""

    def __init__(self, loop: Loop, net: Network, draw: Draw) -> None:
        self.loop = loop
        self.phone, self.provider = Busy(loop, net, draw=draw), Exchange(loop, net, draw=draw)
        self.provider.ring = self.phone.ring = 0.0
        self.phone.register(15)
        self.calls: list[Call] = []
        self._live: list[Call] = []

    def has_room(self) -> bool:
        """Fewer than so many calls of this line are still going on."""
        self._live = [c for c in self._live if not c.over]
        return len(self._live) < AT_ONCE

    def call(self) -> None:
        inwards = len(self.calls) % 2
        call = self.provider.call(self.phone.draw.user) if inwards else self.phone.call("100")
        self.calls.append(call)
        self._live.append(call)
        caller = self.provider if inwards else self.phone

        def end() -> None:
            if call.answered:
                caller.hang_up(call)
            else:
                self.loop.later(TALK, end)

        self.loop.later(0.1 + TALK, end)

    @property
    def completed(self) -> int:
        """Calls that both ends know as acknowledged and over."""
        mine, theirs = self.phone.calls, self.provider.calls
        return sum(
            1 for c in self.calls
            if (a := mine.get(c.call_id)) and (b := theirs.get(c.call_id))
            and a.outcome == b.outcome == "completed" and (a.acked or b.acked)
        )  # fmt: skip


def play(calls: int, rate: float, seed: int, out: Path) -> dict[str, Any]:
    """Returns the numbers of the endpoints, of the recording and of the agent. Raises NoLab."""
    draw = Draw(seed)
    with Network(draw) as net:
        net.check_helper()
        net.helper(True)
        agent = Agent(net.router, draw.cpe, out / "privacy.key", words=("--health-interval", "5"))
        agent.try_start()
        files = {"br-lan": out / "lan.pcap", "wan": out / "wan.pcap"}
        recorder = Recorder(net.router, files)
        loop = Loop()
        began = time.monotonic()
        try:
            lines = [Line(loop, net, draw), Line(loop, net, draw.of_other_phone())]
            begun = 0
            while begun < calls:
                due = min(calls, int((time.monotonic() - began) * rate) + 1)
                while begun < due and lines[begun % 2].has_room():
                    lines[begun % 2].call()
                    begun += 1
                loop.sleep(0.5 / rate)
            loop.until(lambda: sum(x.completed for x in lines) == calls, PATIENCE)
            loop.sleep(2.0)
            completed = [x.completed for x in lines]
        finally:
            loop.close()
            recorder.stop()
            agent.stop()
    seconds = time.monotonic() - began
    filed = analyze(files["br-lan"], files["wan"])[
        "calls"
    ]  # the console leaves out what is too much
    health = [p["health"] for _, kind, p in agent.reports if kind == "health"][-1]
    findings = [p["finding"] for _, kind, p in agent.reports if kind == "finding"]
    advice = [p["advice"] for _, kind, p in agent.reports if kind == "advice"][-1]
    said = {
        "calls": len(filed),
        "completed": sum((c["outcome"], c["ack"]) == ("completed", "seen") for c in filed),
        "lan": health["capture"]["lan"],
        "wan": health["capture"]["wan"],
        "paired": health["crossings"]["paired"],
        "rewritten": health["crossings"]["rewritten"],
        "harmful": sum(f["harm"] in ("observed", "certain") for f in findings),
        "advice": len(advice),
        "drops": sum(tap["drops"] for tap in health["taps"].values()),
    }
    return {
        "seconds": round(seconds, 1), "ends": completed, "said": said,
        "truly": _recorded(files["br-lan"], files["wan"], calls), "rss": health["rss"],
    }  # fmt: skip


def _recorded(lan: Path, wan: Path, calls: int) -> dict[str, int]:
    """The same numbers, from the recording and without the agent."""
    sides = [Counter(p.raw for p in read_capture(path) if p.sip) for path in (lan, wan)]
    counts = [sum(side.values()) for side in sides]
    return {
        "calls": calls, "completed": calls, "lan": counts[0], "wan": counts[1],
        "paired": min(counts), "rewritten": sum((sides[0] - sides[1]).values()),
        "harmful": 0, "advice": 0, "drops": 0,
    }  # fmt: skip


def faults_of(numbers: dict[str, Any], calls: int) -> list[str]:
    """Every number that is not exact, as a sentence."""
    faults = [
        f"{name}: {numbers['said'][name]}, truly {truly}"
        for name, truly in numbers["truly"].items()
        if numbers["said"][name] != truly
    ]
    if sum(numbers["ends"]) != calls:
        faults.append(f"the endpoints completed {numbers['ends']} of {calls} calls")
    return faults


def main() -> int:
    try:
        prefix = lab_prefix()
        if prefix:
            paths = os.pathsep.join([str(HERE.parent), str(ROOT / "agent")])
            argv = [*prefix, sys.executable, "-m", "lab.load"]
            return subprocess.run(argv, env=dict(os.environ, PYTHONPATH=paths)).returncode
        os.environ["PYTHONPATH"] = os.pathsep.join([str(HERE.parent), str(ROOT / "agent")])
        calls = int(os.environ.get("CALLS") or 10000)
        rate = float(os.environ.get("RATE") or 40)
        seed = int(os.environ.get("SEED") or random.randrange(10**6))
        with tempfile.TemporaryDirectory() as name:
            numbers = play(calls, rate, seed, Path(name))
    except NoLab as error:
        print(error, file=sys.stderr)
        return NO_LAB
    print(f"seed {seed}")
    print(json.dumps(numbers))
    for fault in faults_of(numbers, calls):
        print(fault)
    return 1 if faults_of(numbers, calls) else 0


if __name__ == "__main__":
    status = main()
    sys.stdout.flush()
    os._exit(status)  # a thread that hangs must not keep the process alive
