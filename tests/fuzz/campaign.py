"""Builds the fuzz targets and runs them: make fuzz SECONDS=600 TARGET=sip RUNS=1000000.

SECONDS is for all targets together; RUNS is for each target and goes before it. BUILD=san finds
more an execution, BUILD=fast runs more of them; by default each target has half in each. All
CPUs are used, with low priority. Inputs that reach something new are kept in out/corpus/, an
input that fails in out/findings/: put it into regressions/<target>/, then repair.

REFERENCE=<commit>: native/ of that commit must say the same of every input.
TARGET=coverage prints the line coverage of native/ instead (line_coverage.py).
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
import time
from pathlib import Path
from typing import NamedTuple

import seeds

HERE = Path(__file__).resolve().parent
OUT = HERE / "out"
DICTIONARY = {"sip": "sip", "sdp": "sdp", "frame": "frame", "packet": "frame"}
SHORT, LONG = 1500, 65535
LONG_PART = 10  # one in so many executions may be as long as a message can be
SHOWN = ("does not hold", "SUMMARY", "written to", "Base64", "Error:")
EXECUTED = re.compile(r"stat::number_of_executed_units:\s*(\d+)")


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


def build(which: str, reference: str = "") -> None:
    words = ["make", "-s", f"BUILD={which}", f"REFERENCE={reference}"]
    if reference:
        words.append(f"OUT=out/{which}-{reference}")
    subprocess.run([*words, f"-j{os.cpu_count()}"], cwd=HERE, check=True)


def directories(target: str) -> list[str]:
    """Where new inputs go, then what is read beside it."""
    kept = OUT / "corpus" / target
    kept.mkdir(parents=True, exist_ok=True)
    (OUT / "findings").mkdir(exist_ok=True)
    return [str(kept), str(OUT / "seeds" / target)]


def command(part: Part, number: int, suffix: str) -> list[str]:
    ends = [f"-max_total_time={part.seconds}", f"-runs={part.runs or -1}"]
    if part.target == "reassembly":
        words = [sys.executable, str(HERE / "reassembly.py"), *ends, f"-seed={number + 1}"]
        return [*words, str(OUT / "findings"), *directories(part.target)[1:]]
    findings = f"{OUT / 'findings' / part.target}-"
    return [
        str(OUT / f"{part.build}{suffix}" / f"fuzz_{part.target}"),
        *ends,
        f"-max_len={part.longest}",
        f"-dict={HERE / 'dict' / DICTIONARY[part.target]}.dict",
        f"-artifact_prefix={findings}",
        f"-seed={int(time.time()) + number}",
        "-print_final_stats=1",
        "-timeout=10",
        *directories(part.target),
    ]


def parts_of(targets: list[str], builds: list[str], seconds: int, runs: int) -> list[Part]:
    """The processes of a campaign, one after the other on each CPU."""
    split = [
        (target, which, longest)
        for target in targets
        for which in (builds if target != "reassembly" else ["python"])
        for longest in ((SHORT, LONG) if target in ("sip", "packet") else (SHORT,))
    ]
    found = []
    for target, which, longest in split:
        of_target = sum(other[0] == target for other in split)
        share = LONG_PART if of_target > len(builds) else 1
        weight = 1 / share if longest == LONG else 1 - (share > 1) / share
        count = len(builds) if target != "reassembly" else 1
        span = seconds * (os.cpu_count() or 1) / len(targets) / count * weight
        limit = 10**6 if runs else max(1, round(span))
        found.append(Part(target, which, longest, limit, int(runs / count * weight)))
    return found


def run(parts: list[Part], suffix: str = "", cpus: int = 0) -> list[Outcome]:
    """All of them, as many at a time as there are CPUs, the longest first."""
    waiting = sorted(enumerate(parts), key=lambda one: -one[1].seconds - one[1].runs)
    running: list[tuple[Part, subprocess.Popen[str], float, Path]] = []
    outcomes = []
    environment = {**os.environ, "PYTHONPATH": str(HERE.parents[1] / "agent")}
    (OUT / "logs").mkdir(parents=True, exist_ok=True)
    while waiting or running:
        while waiting and len(running) < (cpus or os.cpu_count() or 1):
            number, part = waiting.pop(0)
            log = OUT / "logs" / f"{part.target}-{part.build}-{part.longest}-{number}.log"
            with log.open("w") as file:
                process = subprocess.Popen(
                    ["nice", "-n", "10", *command(part, number, suffix)],
                    stdout=file, stderr=subprocess.STDOUT, text=True, cwd=HERE, env=environment,
                )  # fmt: skip
            running.append((part, process, time.monotonic(), log))
        time.sleep(0.2)
        for one in [one for one in running if one[1].poll() is not None]:
            running.remove(one)
            outcomes.append(outcome(one[0], one[1].returncode, time.monotonic() - one[2], one[3]))
    return outcomes


def outcome(part: Part, code: int, seconds: float, log: Path) -> Outcome:
    text = log.read_text(errors="replace")
    executed = EXECUTED.search(text)
    finding = ""
    if code:
        shown = [line for line in text.splitlines() if any(word in line for word in SHOWN)]
        finding = "\n".join(shown or text.splitlines()[-20:])
    return Outcome(part, int(executed[1]) if executed else 0, seconds, finding)


def table(outcomes: list[Outcome]) -> str:
    lines = ["target      build   longest    executions   a second  finding"]
    for part, executed, seconds, finding in sorted(outcomes):
        lines.append(
            f"{part.target:<11} {part.build:<7} {part.longest:>7} {executed:>13,} "
            f"{executed / max(seconds, 0.001):>10,.0f}  {'YES' if finding else 'none'}"
        )
    for target in seeds.TARGETS:
        total = sum(one.executed for one in outcomes if one.part.target == target)
        if total:
            lines.append(f"{target:<11} all             {total:>13,}")
    return "\n".join(lines)


def main() -> int:
    wanted = os.environ.get("TARGET") or "all"
    if wanted == "coverage":
        import line_coverage

        return line_coverage.main()
    targets = list(seeds.TARGETS) if wanted == "all" else wanted.split(",")
    unknown = set(targets) - set(seeds.TARGETS)
    if unknown:
        sys.exit(f"no target {', '.join(unknown)}; there are: {', '.join(seeds.TARGETS)}")
    runs = int(os.environ.get("RUNS") or 0)
    seconds = int(os.environ.get("SECONDS") or 60)
    reference = os.environ.get("REFERENCE", "")
    builds = (os.environ.get("BUILD") or "san,fast").split(",")
    if set(targets) & set(seeds.NATIVE_TARGETS):
        for which in builds:
            build(which, reference)
    print("seeds:", seeds.write(OUT / "seeds", only_own=False), flush=True)
    parts = parts_of(targets, builds, seconds, runs)
    outcomes = run(parts, f"-{reference}" if reference else "")
    print(table(outcomes))
    for one in outcomes:
        if one.finding:
            print(f"\n{one.part.target} ({one.part.build}):\n{one.finding}")
    return int(any(one.finding for one in outcomes))


if __name__ == "__main__":
    sys.exit(main())
