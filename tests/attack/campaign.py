# SPDX-License-Identifier: Apache-2.0
"""`make attack`: every attempt, or those that are named, each beside a real call.

SEED draws the same again; ONLY takes names or groups; AT_ONCE says how many run at a time. The
table that it prints has one row an attempt; exit status 1 when any of them gained something, 77
when the lab cannot run here.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from importlib import import_module
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[1]
if not __package__:  # started as a file
    sys.path[:0] = [str(HERE.parent), str(ROOT / "agent")]
    __package__ = "attack"
    import_module("attack")

from lab.namespace import NoLab  # noqa: E402
from lab.privilege import lab_prefix  # noqa: E402

from .attempts import ATTEMPTS  # noqa: E402
from .stage import Attempt, perform  # noqa: E402
from .verdict import faults_of  # noqa: E402

NO_LAB = 77
MOST_SHOWN = 6  # faults of an attempt
LIMIT = 180  # seconds of one attempt


def one(attempt: Attempt, seed: int, directory: Path) -> dict[str, Any]:
    """In this process: {"name", "seed", "faults", "memory", "cpu", "ended", "lines", "sent"}."""
    outcome = perform(attempt, seed, directory)
    result = {
        "name": attempt.name, "seed": seed, "faults": faults_of(attempt, outcome),
        "memory": outcome.memory, "cpu": round(outcome.cpu, 2), "ended": round(outcome.ended, 2),
        "lines": len(outcome.log), "sent": outcome.sent,
    }  # fmt: skip
    (directory / "log").write_text("\n".join(outcome.log))
    (directory / "reports").write_text("\n".join(map(repr, outcome.reports)))
    return result


def apart(attempt: Attempt, seed: int, out: Path, prefix: list[str]) -> dict[str, Any]:
    """In a process of its own, so that none disturbs the other's timers."""
    directory = out / f"{attempt.name}-{seed}"
    argv = [*prefix, sys.executable, str(HERE / "campaign.py"), "--out", str(directory)]
    argv += ["--one", f"{attempt.name}:{seed}"]
    try:
        done = subprocess.run(argv, capture_output=True, text=True, timeout=LIMIT, check=False)
    except subprocess.TimeoutExpired:
        return {"name": attempt.name, "seed": seed, "faults": [f"no end within {LIMIT} s"]}
    if done.returncode == NO_LAB:
        raise NoLab(done.stderr.strip().splitlines()[-1])
    try:
        result: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
        return result
    except (IndexError, ValueError):
        return {"name": attempt.name, "seed": seed, "faults": [f"broke: {done.stderr[-600:]}"]}


def play(attempts: list[Attempt], seed: int, out: Path, at_once: int) -> list[dict[str, Any]]:
    """Results in the order of the attempts; each is printed when it is there."""
    prefix = lab_prefix()

    def run(number: int) -> dict[str, Any]:
        attempt = attempts[number]
        result = apart(attempt, seed + number, out, prefix)
        state = "gained" if result["faults"] else "nothing"
        if "memory" in result:
            first, most, _ = result["memory"]
            more = (
                f"{result['sent']:>7} sent, {most / 1024:5.1f} MB (+{(most - first) / 1024:.1f}), "
            )
            more += f"{result['cpu']:5.2f} s CPU, {result['lines']:>3} lines"
        else:
            more = ""
        print(f"{state:8}{attempt.group:11}{attempt.name:34}{more}", flush=True)
        for fault in result["faults"][:MOST_SHOWN]:
            print(f"           {fault[:300]}", flush=True)
        if len(result["faults"]) > MOST_SHOWN:
            print(f"           and {len(result['faults']) - MOST_SHOWN} more", flush=True)
        return result

    with ThreadPoolExecutor(at_once) as pool:
        return list(pool.map(run, range(len(attempts))))


def chosen(words: list[str], quick: bool) -> list[Attempt]:
    names = {attempt.name for attempt in ATTEMPTS} | {attempt.group for attempt in ATTEMPTS}
    unknown = [word for word in words if word not in names]
    if unknown:
        raise SystemExit(f"no attempt or group {unknown[0]}; there are {', '.join(sorted(names))}")
    return [
        attempt for attempt in ATTEMPTS
        if (not words or attempt.name in words or attempt.group in words)
        and (attempt.quick or not quick)
    ]  # fmt: skip


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seed", type=int, default=random.randrange(10**6))
    parser.add_argument("--at-once", type=int, default=max(2, os.cpu_count() or 2))
    parser.add_argument("--out", type=Path)
    parser.add_argument("--quick", action="store_true", help="the short form of the tests")
    parser.add_argument("--one", help="NAME:SEED, in this process")
    parser.add_argument("only", nargs="*", metavar="NAME or GROUP")
    args = parser.parse_args()
    paths = [str(HERE.parent), str(ROOT / "agent"), os.environ.get("PYTHONPATH", "")]
    os.environ["PYTHONPATH"] = os.pathsep.join(filter(None, paths))
    try:
        if args.one:
            name, _, seed = args.one.rpartition(":")
            attempt = next(a for a in ATTEMPTS if a.name == name)
            print(json.dumps(one(attempt, int(seed), args.out)))
            return 0
        began = time.monotonic()
        attempts = chosen(args.only, args.quick)
        print(f"{len(attempts)} attempts, seed {args.seed}", flush=True)
        with tempfile.TemporaryDirectory(prefix="algwatch-attack-") as made:
            results = play(attempts, args.seed, args.out or Path(made), args.at_once)
    except NoLab as problem:
        print(f"the lab cannot run here: {problem}", file=sys.stderr)
        return NO_LAB
    gained = [result for result in results if result["faults"]]
    print(
        f"{len(results)} attempts, {len(gained)} of them gained something, "
        f"{time.monotonic() - began:.0f} s"
    )
    for result in gained:
        print(f"again: make attack SEED={result['seed']} ONLY={result['name']}")
    return 1 if gained else 0


if __name__ == "__main__":
    status = main()
    sys.stdout.flush()
    os._exit(status)  # ends the threads, and with them all that they started
