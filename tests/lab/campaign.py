# SPDX-License-Identifier: Apache-2.0
"""`make lab`: plays every scenario and prints truth, verdict and time, then precision and recall.

SEEDS=20 plays each with 20 draws, ONLY="6b-on 44-on" some of them, AT_ONCE=12 so many at the same
time (they mostly wait), SEED=7 the draws from that seed on, KEEP=DIR keeps the captures there,
RESULTS=FILE gets one line of JSON for each run besides: `make lab-table` makes a table of it.
Each run is judged twice: by what came over MQTT and by `algwatch analyze` on its recording.
Exit status 1 when a verdict is not the truth, 77 when the lab cannot run here.
"""

from __future__ import annotations

import json
import os
import random
import subprocess
import sys
import tempfile
import threading
import traceback
from concurrent.futures import ThreadPoolExecutor
from importlib import import_module
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[1]
if not __package__:  # started as a file: python tests/lab/campaign.py
    sys.path[:0] = [str(HERE.parent), str(ROOT / "agent")]
    __package__ = "lab"
    import_module("lab")

from .access import NotHere  # noqa: E402
from .agent import verdict_of  # noqa: E402
from .namespace import NoLab  # noqa: E402
from .play import NO_LAB, directory_of  # noqa: E402
from .privilege import lab_prefix  # noqa: E402
from .run import Run, analyze  # noqa: E402
from .scenarios import SCENARIOS, awaits  # noqa: E402
from .truth import Score, Truth, judge  # noqa: E402

WIDTH = 100


def said_in_short(truth: Truth) -> str:
    """What has to be there, in one line."""
    words = [m.rule for m in [*truth.must, *truth.live, *truth.filed]]
    words += [f"{action} {'/'.join(states.split())}" for action, states in truth.advice.items()]
    if truth.any_of:
        words.append(" or ".join(truth.any_of))
    states = {"fine": "nothing to do", "cannot-tell": "cannot tell"}
    return ", ".join(words) or " or ".join(states.get(s, s) for s in truth.states)


class Campaign:
    """runs: (number, seed). out: where the recordings go. results: a file for them, or ""."""

    def __init__(self, runs: list[tuple[str, int]], out: Path, results: str = "") -> None:
        self.runs = runs
        self.out = out
        self.results = results
        self.score = Score()  # of the scenarios that can be judged
        self.awaiting = Score()
        self.wrong: dict[str, int] = {}  # faults by scenario
        self.broken: list[str] = []
        self.missing: list[str] = []
        self.not_here: dict[str, str] = {}  # why a scenario cannot be played on this machine
        self._lock = threading.Lock()

    def play(self, at_once: int) -> None:
        print(f"{'scenario':<18}{'seed':<8}{'seconds':>7}  truth, and where the verdict differs")
        # The slow ones first: they wait while the quick ones work.
        runs = sorted(self.runs, key=lambda r: not SCENARIOS[r[0]].slow)
        with ThreadPoolExecutor(at_once) as pool:
            list(pool.map(lambda run: self._one(*run), runs))

    def _one(self, number: str, seed: int) -> None:
        if self.missing:
            return
        try:
            run = Run(number, seed, directory_of(self.out, number, seed))
            result = run.play()
            verdict = analyze(run.lan, run.wan)
        except NotHere as error:
            self.not_here[number] = str(error)
            return
        except NoLab as error:
            self.missing.append(str(error))
            return
        except Exception as error:  # one broken run must not hide the others
            with self._lock:
                self.broken.append(f"{number}:{seed}: {error!r}")
                traceback.print_exc()
                self._record(number, seed, 0.0, Score(), [f"broken: {error!r}"])
            return
        self._judge(number, seed, result, verdict)

    def _judge(
        self, number: str, seed: int, result: dict[str, Any], verdict: dict[str, Any]
    ) -> None:
        truth = SCENARIOS[number].truth
        faults = [result["fault"]] if result["fault"] else []
        waits = awaits(number)
        score = Score()
        for way, said in (("mqtt", verdict_of(result["mqtt"])), ("file", verdict)):
            one = judge(truth, result["facts"], said)
            faults += [f"{way}: {fault}" for fault in one.faults]
            score.add(one)
        with self._lock:
            self.wrong[number] = self.wrong.get(number, 0) + len(faults)
            (self.awaiting if waits else self.score).add(score)
            line = f"{number:<18}{seed:<8}{result['seconds']:>7.1f}  {said_in_short(truth)}"
            print(line + (f" (awaits {waits})" if waits else ""))
            for fault in faults:
                print(f"{'':<35}{fault[:400]}")
            sys.stdout.flush()
            self._record(number, seed, result["seconds"], score, faults)
            if result["fault"] and not waits:
                self.score.faults.append(result["fault"])

    def _record(
        self, number: str, seed: int, seconds: float, score: Score, faults: list[str]
    ) -> None:
        if not self.results:
            return
        row = {"number": number, "seed": seed, "seconds": seconds, "faults": faults}
        row |= {"true": score.true, "false": score.false, "missed": score.missed}
        row |= {"false_disable": score.false_disable, "rules": score.rules}
        with open(self.results, "a") as file:
            file.write(json.dumps(row) + "\n")

    def print_numbers(self) -> None:
        print(f"\n{'rule':<10}{'true':>6}{'false':>7}{'missed':>8}{'precision':>11}{'recall':>8}")
        for rule, (true, false, missed) in sorted(self.score.rules.items()):
            precision = true / (true + false) if true + false else 1.0
            recall = true / (true + missed) if true + missed else 1.0
            print(f"{rule:<10}{true:>6}{false:>7}{missed:>8}{precision:>11.3f}{recall:>8.3f}")
        score = self.score
        played = [number for number, _ in self.runs if number not in self.not_here]
        print(
            f"\n{len(played)} runs of {len(set(played))} scenarios, two verdicts "
            f"each: precision {score.precision:.3f}, recall {score.recall:.3f} ({score.true} true, "
            f"{score.false} false, {score.missed} missed); false 'disable': "
            f"{score.false_disable + self.awaiting.false_disable}"
        )
        for number in dict.fromkeys(n for n, _ in self.runs if awaits(n)):
            wrong = self.wrong.get(number, 1)
            print(f"not counted: {number}: {awaits(number)}" + ("" if wrong else "; right now"))
        for number, why in self.not_here.items():
            print(f"not played here: {number}: {why}")
        for line in self.broken:
            print(f"broken: {line}")

    @property
    def right(self) -> bool:
        return not (self.score.faults or self.broken or self.awaiting.false_disable)


def main() -> int:
    try:
        prefix = lab_prefix()
    except NoLab as error:
        print(error, file=sys.stderr)
        return NO_LAB
    if prefix:
        env = dict(os.environ, PYTHONPATH=os.pathsep.join([str(HERE.parent), str(ROOT / "agent")]))
        return subprocess.run([*prefix, sys.executable, "-m", "lab.campaign"], env=env).returncode
    os.environ["PYTHONPATH"] = os.pathsep.join([str(HERE.parent), str(ROOT / "agent")])
    only = os.environ.get("ONLY", "").split() or list(SCENARIOS)
    first = int(os.environ.get("SEED") or random.randrange(10**6))
    seeds = int(os.environ.get("SEEDS") or 1)
    runs = [
        (number, first + n + 1000 * index)
        for index, number in enumerate(only)
        for n in range(seeds)
    ]
    print(f"seed {first} (SEED={first} draws the same again)")
    with tempfile.TemporaryDirectory() as name:
        campaign = Campaign(
            runs, Path(os.environ.get("KEEP") or name), os.environ.get("RESULTS", "")
        )
        campaign.play(int(os.environ.get("AT_ONCE") or 12))
    if campaign.missing:
        print(campaign.missing[0], file=sys.stderr)
        return NO_LAB
    campaign.print_numbers()
    return 0 if campaign.right else 1


if __name__ == "__main__":
    sys.stdout.reconfigure(line_buffering=True)  # type: ignore[union-attr]
    status = main()
    sys.stdout.flush()
    os._exit(status)  # a thread that hangs must not keep the process alive
