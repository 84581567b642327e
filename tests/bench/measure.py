# SPDX-License-Identifier: Apache-2.0
"""Running programs and saying what they cost: user and system time, peak memory, spread."""

from __future__ import annotations

import atexit
import os
import platform
import shutil
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


class Cost:
    """One run: seconds in user and system mode, peak memory in MB, exit status."""

    __slots__ = ("rss", "status", "system", "user")

    def __init__(self, user: float, system: float, rss: float, status: int) -> None:
        self.user = user
        self.system = system
        self.rss = rss
        self.status = status

    @property
    def cpu(self) -> float:
        return self.user + self.system


def environment() -> dict[str, str]:
    return {**os.environ, "PYTHONPATH": str(ROOT / "agent"), "TERM": "dumb", "LC_ALL": "C.UTF-8"}


@cache
def _helper() -> str:
    directory = tempfile.mkdtemp(prefix="algwatch-cost-")
    atexit.register(shutil.rmtree, directory, True)
    program = f"{directory}/cost"
    subprocess.run(["cc", "-O2", "-o", program, Path(__file__).with_name("cost.c")], check=True)
    return program


def run(command: Sequence[str]) -> Cost:
    """The kernel's figures of the program alone; its output goes nowhere."""
    helper = _helper()
    inlet, outlet = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            null = os.open(os.devnull, os.O_RDWR)
            for number in (0, 1, 2):
                os.dup2(null, number)
            os.dup2(outlet, 3)
            os.execve(helper, [helper, *command], environment())
        finally:
            os._exit(127)
    os.close(outlet)
    with open(inlet, encoding="ascii") as pipe:
        words = pipe.read().split()
    os.waitpid(child, 0)
    if len(words) != 4:
        raise RuntimeError(f"{command[0]} was not run")
    return Cost(float(words[0]), float(words[1]), int(words[2]) / 1024, int(words[3]))


def interleaved(commands: Mapping[str, Sequence[str]], rounds: int) -> dict[str, list[Cost]]:
    """Each command once a round, so that a noisy neighbour disturbs all of them alike."""
    costs: dict[str, list[Cost]] = {name: [] for name in commands}
    for _ in range(rounds):
        for name, command in commands.items():
            costs[name].append(run(command))
    return costs


def spread(values: Sequence[float], form: str = "{:.2f}") -> str:
    """min / median / max."""
    three = (min(values), statistics.median(values), max(values))
    return " / ".join(form.format(value) for value in three)


def machine() -> str:
    model = "unknown CPU"
    with open("/proc/cpuinfo", encoding="utf-8") as lines:
        for line in lines:
            if line.startswith("model name"):
                model = line.split(":", 1)[1].strip()
                break
    cc = subprocess.run(["cc", "--version"], capture_output=True, text=True).stdout.split("\n")[0]
    python = platform.python_version()
    return (f"{model}, {os.cpu_count()} CPUs, {platform.machine()}, Linux "
            f"{platform.release().split('-')[0]}, Python {python}, {cc}")  # fmt: skip


def table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Markdown, with the columns in line."""
    widths = [max(len(row[column]) for row in (head, *rows)) for column in range(len(head))]

    def line(cells: Sequence[str]) -> str:
        padded = [
            cell.ljust(width) if not column else cell.rjust(width)
            for column, (cell, width) in enumerate(zip(cells, widths, strict=True))
        ]
        return "| " + " | ".join(padded) + " |"

    rule = "|" + "|".join("-" * (w + 1) + ("-" if not c else ":") for c, w in enumerate(widths))
    return "\n".join([line(head), rule + "|", *map(line, rows)])


def python(*words: str) -> list[str]:
    return [sys.executable, *words]
