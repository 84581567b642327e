# SPDX-License-Identifier: Apache-2.0
"""Builds the fuzz targets and runs them: make fuzz SECONDS=600 TARGET=sip RUNS=1000000.

SECONDS is for all targets together; RUNS is for each target and goes before it. BUILD=san finds
more an execution, BUILD=fast runs more of them; by default each target has half in each. All
CPUs are used, with low priority. Inputs that reach something new are kept in out/corpus/, an
input that fails in out/findings/: put it into regressions/<target>/, then repair.

REFERENCE=<commit>: native/ of that commit must say the same of every input (without it, the
portable variant of the scanner must).
TARGET=count prints how often each target ran on the code as it is (ledger.py), TARGET=coverage
the line coverage of native/ (line_coverage.py); TARGET=corpus makes the committed corpus anew
(corpus.py).
"""

from __future__ import annotations

import os
import random
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Callable
from itertools import product
from pathlib import Path
from typing import NamedTuple

import corpus
import ledger
import seeds

HERE = Path(__file__).resolve().parent
OUT = HERE / "out"
DICTIONARY = {"sip": "sip", "sdp": "sdp", "frame": "frame", "packet": "frame", "rtp": "sdp"}
SHORT, LONG = 1500, 65535
LONG_PART = 10  # one in so many executions may be as long as a message can be
SHOWN = ("does not hold", "SUMMARY", "written to", "Base64", "Error:")
EXECUTED = re.compile(r"stat::number_of_executed_units:\s*(\d+)")
BEGUN = re.compile(r"^#(\d+)\s+INITED", re.MULTILINE)
FEW = {SHORT: 100, LONG: 8}  # seeds of a part that has only seconds


class Part(NamedTuple):
    """One fuzzer process: at most `seconds`, at most `runs` when that is not 0."""

    target: str
    build: str
    longest: int
    seconds: int
    runs: int


class Outcome(NamedTuple):
    part: Part
    executed: int
    seconds: float
    finding: str  # "" when nothing was found
    new: int  # of the executions, those of inputs that were made; 0 when it was still reading seeds


def build(which: str, reference: str = "") -> None:
    words = ["make", "-s", f"BUILD={which}", f"REFERENCE={reference}"]
    if reference:
        words.append(f"OUT=out/{which}-{reference}")
    subprocess.run([*words, f"-j{os.cpu_count()}"], cwd=HERE, check=True)


class Place(NamedTuple):
    """suffix: of the builds; kept: where new inputs go; seeds: what is read beside them; brief: the
    time is seconds, and must not go by with reading: few seeds, and nobody's new inputs."""

    suffix: str = ""
    kept: Path = OUT / "corpus"
    seeds: Path = OUT / "seeds"
    brief: bool = False

    def directories(self, part: Part, number: int) -> list[str]:
        name = part.target
        if self.brief:
            name = f"{part.target}-{number}"
            self._choose(part, self.seeds / name)
        (self.kept / name).mkdir(parents=True, exist_ok=True)
        (OUT / "findings").mkdir(exist_ok=True)
        return [str(self.kept / name), str(self.seeds / name)]

    def _choose(self, part: Part, to: Path) -> None:
        """Others each time; a long part has the longest too."""
        given = sorted((self.seeds / part.target).iterdir(), key=lambda path: path.stat().st_size)
        few = FEW[part.longest]
        longest = given[-1:] if part.longest == LONG else []
        shutil.rmtree(to, ignore_errors=True)
        to.mkdir()
        for path in {*longest, *random.sample(given, min(few, len(given)))}:
            shutil.copy(path, to)


HERE_AND_NOW = Place()


def command(part: Part, number: int, place: Place) -> list[str]:
    ends = [f"-max_total_time={part.seconds}", f"-runs={part.runs or -1}"]
    ends.append(f"-seed={int(time.time()) + number}")
    if part.target == "reassembly":
        words = [sys.executable, str(HERE / "reassembly.py"), *ends]
        return [*words, str(OUT / "findings"), *place.directories(part, number)]
    findings = f"{OUT / 'findings' / part.target}-"
    return [
        str(OUT / f"{part.build}{place.suffix}" / f"fuzz_{part.target}"),
        *ends,
        f"-max_len={part.longest}",
        f"-dict={HERE / 'dict' / DICTIONARY[part.target]}.dict",
        f"-artifact_prefix={findings}",
        "-print_final_stats=1",
        "-timeout=10",
        # Which edges are reached, not how often, and no looking for smaller inputs: twice as many.
        *(["-use_counters=0", "-reduce_inputs=0"] if part.build == "fast" else []),
        *place.directories(part, number),
    ]


def parts_of(targets: list[str], builds: list[str], seconds: int, runs: int) -> list[Part]:
    """The processes of a campaign, one after the other on each CPU. Python has no builds, so that
    each CPU has its own process, with its own seed."""
    found = []
    cpus = os.cpu_count() or 1
    for target in targets:
        which = builds if target != "reassembly" else ["python"] * cpus
        weights = {SHORT: 1.0}
        if target in ("sip", "packet"):
            weights = {SHORT: 1 - 1 / LONG_PART, LONG: 1 / LONG_PART}
        for build, longest in product(which, weights):
            weight = weights[longest] / len(which)
            limit = 10**6 if runs else max(1, round(seconds * cpus / len(targets) * weight))
            found.append(Part(target, build, longest, limit, round(runs * weight)))
    return found


def run(
    parts: list[Part],
    place: Place = HERE_AND_NOW,
    count: Callable[[Outcome], None] = lambda _: None,
) -> list[Outcome]:
    """All of them, as many at a time as there are CPUs, the longest first. count: called with each
    as soon as it ended."""
    waiting = sorted(enumerate(parts), key=lambda one: -one[1].seconds - one[1].runs)
    running: list[tuple[Part, subprocess.Popen[str], float, Path]] = []
    outcomes = []
    environment = {**os.environ, "PYTHONPATH": str(HERE.parents[1] / "agent")}
    (OUT / "logs").mkdir(parents=True, exist_ok=True)
    while waiting or running:
        while waiting and len(running) < (os.cpu_count() or 1):
            number, part = waiting.pop(0)
            name = f"{part.target}-{part.build}-{part.longest}-{number}-{os.getpid()}.log"
            log = OUT / "logs" / name
            # Who has only seconds must have a CPU in them.
            low = [] if place.brief else ["nice", "-n", "10"]
            with log.open("w") as file:
                process = subprocess.Popen(
                    [*low, *command(part, number, place)],
                    stdout=file, stderr=subprocess.STDOUT, text=True, cwd=HERE, env=environment,
                )  # fmt: skip
            running.append((part, process, time.monotonic(), log))
        time.sleep(0.2)
        for one in [one for one in running if one[1].poll() is not None]:
            running.remove(one)
            outcomes.append(outcome(one[0], one[1].returncode, time.monotonic() - one[2], one[3]))
            count(outcomes[-1])
    return outcomes


def outcome(part: Part, code: int, seconds: float, log: Path) -> Outcome:
    text = log.read_text(errors="replace")
    executed = EXECUTED.search(text)
    finding = ""
    if code:
        shown = [line for line in text.splitlines() if any(word in line for word in SHOWN)]
        finding = "\n".join(shown or text.splitlines()[-20:])
    count = int(executed[1]) if executed else 0
    begun = BEGUN.search(text)
    return Outcome(part, count, seconds, finding, count - int(begun[1]) if begun else 0)


def table(outcomes: list[Outcome]) -> str:
    lines = ["target      build   longest    executions   a second        new  finding"]
    for part, executed, seconds, finding, new in sorted(outcomes):
        lines.append(
            f"{part.target:<11} {part.build:<7} {part.longest:>7} {executed:>13,} "
            f"{executed / max(seconds, 0.001):>10,.0f} {new:>10,}  {'YES' if finding else 'none'}"
        )
    for target in seeds.TARGETS:
        total = sum(one.executed for one in outcomes if one.part.target == target)
        if total:
            lines.append(f"{target:<11} all             {total:>13,}")
    return "\n".join(lines)


def report(outcomes: list[Outcome]) -> int:
    print(table(outcomes))
    for one in outcomes:
        if one.finding:
            print(f"\n{one.part.target} ({one.part.build}):\n{one.finding}")
    return int(any(one.finding for one in outcomes))


def grow_corpus(seconds: int) -> int:
    """New files in corpus/, see there; nothing is written after a finding."""
    place = Place("", OUT / "own-corpus", OUT / "own-seeds")
    for which in ("san", "fast"):
        build(which)
    print("seeds:", seeds.write(place.seeds, only_own=True), flush=True)
    parts = parts_of(list(seeds.TARGETS), ["san"], seconds, 0)
    short = [part._replace(longest=corpus.LONGEST) for part in parts if part.longest == SHORT]
    if report(run(short, place)):
        return 1
    for target in seeds.TARGETS:
        given = [place.kept / target, place.seeds / target]
        if target == "reassembly":
            inputs = corpus.reached(given)
        else:
            inputs = corpus.merged(target, OUT / "merged" / target, given)
        corpus.write(target, inputs)
        print(f"{target}: {len(inputs)} inputs, {corpus.packed(target).stat().st_size} bytes")
    return 0


def main() -> int:
    wanted = os.environ.get("TARGET") or "all"
    seconds = int(os.environ.get("SECONDS") or 60)
    if wanted == "corpus":
        return grow_corpus(seconds)
    if wanted == "count":
        print(ledger.table(seeds.TARGETS))
        return 0
    if wanted == "coverage":
        import line_coverage

        return line_coverage.main()
    targets = list(seeds.TARGETS) if wanted == "all" else wanted.split(",")
    unknown = set(targets) - set(seeds.TARGETS)
    if unknown:
        sys.exit(f"no target {', '.join(unknown)}; there are: {', '.join(seeds.TARGETS)}")
    runs = int(os.environ.get("RUNS") or 0)
    reference = os.environ.get("REFERENCE", "")
    builds = (os.environ.get("BUILD") or "san,fast").split(",")
    codes = {target: ledger.code_of(target) for target in targets}
    if set(targets) & set(seeds.NATIVE_TARGETS):
        for which in builds:
            build(which, reference)
    print("seeds:", seeds.write(OUT / "seeds", only_own=False), flush=True)
    parts = parts_of(targets, builds, seconds, runs)

    def count(one: Outcome) -> None:
        target = one.part.target
        ledger.add(target, codes[target], one.executed, bool(one.finding))

    outcomes = run(parts, Place(f"-{reference}") if reference else HERE_AND_NOW, count)
    status = report(outcomes)
    print(f"\nall campaigns on this code:\n{ledger.table(tuple(targets))}")
    return status


if __name__ == "__main__":
    sys.exit(main())
