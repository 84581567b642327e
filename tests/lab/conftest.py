# SPDX-License-Identifier: Apache-2.0
"""The lab's runs, played once a session and all at the same time."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from .namespace import NoLab
from .play import NO_LAB, directory_of
from .privilege import lab_prefix
from .run import analyze_here
from .scenarios import SCENARIOS, awaits
from .wire import Packet, read_capture

SEED = int(os.environ["ALGWATCH_LAB_SEED"])  # drawn in tests/conftest.py, or given
# Recordings of a campaign (KEEP=DIR make lab) to look at, instead of runs of their own.
FROM = os.environ.get("ALGWATCH_LAB_FROM", "")
# The short form: healthy calls are quick, so more draws of them; what dies takes its 32 s, all at
# the same time.
NUMBERS = ["1", "2", *(n for n, s in SCENARIOS.items() if s.short and not awaits(n))]


def _runs() -> list[tuple[str, int]]:
    if not FROM:
        return [(number, SEED + n) for n, number in enumerate(NUMBERS)]
    found = [p.parent.name.rpartition("-") for p in Path(FROM).glob("*/result.json")]
    return [(number, int(seed)) for number, _, seed in found]


RUNS = _runs()
RECORDED = Path(__file__).resolve().parents[1] / "golden" / "lab"
TIMEOUT = 240  # seconds for all of them


class Played:
    """One run that has been played. facts: what the endpoints know; lan, wan: the packets.
    recorded: one of tests/golden/lab, which nobody watched live.
    """

    def __init__(self, directory: Path, recorded: bool = False) -> None:
        self.directory = directory
        self.result: dict[str, Any] = (
            {"number": directory.name, "facts": json.loads((directory / "facts.json").read_text())}
            if recorded
            else json.loads((directory / "result.json").read_text())
        )
        self.number: str = self.result["number"]
        self.facts: dict[str, Any] = self.result["facts"]
        self._verdict: dict[str, Any] | None = None

    @property
    def lan(self) -> list[Packet]:
        return self._packets("lan.pcap")

    @property
    def wan(self) -> list[Packet]:
        return self._packets("wan.pcap")

    def _packets(self, name: str) -> list[Packet]:
        """Without those of the crowd, which is no part of the scenario."""
        theirs = self.facts.get("crowd", {}).get("provider")
        packets = read_capture(self.directory / name)
        return [p for p in packets if theirs not in (p.source[0], p.target[0])]

    def analyzed(self) -> dict[str, Any]:
        if self._verdict is None:
            self._verdict = analyze_here(self.directory / "lan.pcap", self.directory / "wan.pcap")
        return self._verdict


class Lab:
    """Every run of the session, by scenario."""

    def __init__(self, directory: Path) -> None:
        self.runs = [Played(directory_of(directory, *run)) for run in RUNS]

    @property
    def judged(self) -> list[Played]:
        """Without the scenarios that wait for a rule."""
        return [r for r in self.runs if not awaits(r.number)]

    def of(self, *numbers: str) -> list[Played]:
        """The runs of these scenarios; for one that the short form does not play its recording."""
        here = {r.number for r in self.runs}
        recorded = [Played(RECORDED / n, recorded=True) for n in numbers if n not in here]
        return [r for r in self.runs if r.number in numbers] + recorded

    def live(self, *numbers: str) -> list[Played]:
        """Those that an agent watched; skips the test when there is none (ALGWATCH_LAB_FROM)."""
        played = [r for r in self.runs if r.number in numbers]
        if not played:
            pytest.skip(f"not played: {' '.join(numbers)}")
        return played


def no_lab(reason: str) -> None:
    if os.environ.get("CI", "").lower() in ("1", "true"):
        pytest.fail(reason)
    pytest.skip(reason)


@pytest.fixture(scope="session")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Lab:
    if FROM:
        return Lab(Path(FROM))
    out = tmp_path_factory.mktemp("lab")
    try:
        prefix = lab_prefix()
    except NoLab as error:
        no_lab(str(error))
    here = Path(__file__).resolve()
    root = here.parents[2]
    paths = [str(here.parents[1]), str(root / "agent"), os.environ.get("PYTHONPATH", "")]
    env = dict(os.environ, PYTHONPATH=os.pathsep.join(filter(None, paths)))
    argv = [*prefix, sys.executable, "-m", "lab.play", "--out", str(out)]
    argv += [f"{number}:{seed}" for number, seed in RUNS]
    done = subprocess.run(
        argv, env=env, cwd=root, capture_output=True, text=True, timeout=TIMEOUT, check=False
    )
    print(done.stdout)
    if done.returncode == NO_LAB:
        no_lab(done.stderr.strip().splitlines()[-1])
    if done.returncode != 0:
        pytest.fail(f"the lab broke:\n{done.stdout}\n{done.stderr}")
    return Lab(out)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if item.path.name in ("test_lab.py", "test_load.py") or item.path.name.startswith(
            "test_wire"
        ):
            item.add_marker(pytest.mark.lab)
