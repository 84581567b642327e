# SPDX-License-Identifier: Apache-2.0
"""Plays many runs at the same time: `python -m lab.play --out DIR 6b-on:17 1:18`.

Each run leaves lan.pcap, wan.pcap and result.json in DIR/<number>-<seed>. Exit status 77 and
one line on standard error when the lab cannot run here.
"""

from __future__ import annotations

import argparse
import os
import sys
import threading
import traceback
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from .namespace import NoLab
from .run import Run

NO_LAB = 77  # as automake's "skipped"
QUICK_AT_ONCE = 5  # the slow ones only wait, and are played all at once


def directory_of(out: Path, number: str, seed: int) -> Path:
    return out / f"{number}-{seed}"


def play_all(runs: list[tuple[str, int]], out: Path, with_agent: bool = True) -> list[str]:
    """Returns what went wrong, one line a run. Raises NoLab."""
    faults: list[str] = []
    missing: list[str] = []

    def play(number: str, seed: int) -> None:
        name = f"{number}:{seed}"
        try:
            result = Run(number, seed, directory_of(out, number, seed), with_agent).play()
            print(f"{name} took {result['seconds']} s", result["fault"], flush=True)
        except NoLab as error:
            missing.append(str(error))
        except Exception as error:  # one broken run must not hide the others
            faults.append(f"{name}: {error!r}")
            traceback.print_exc()

    slow = [r for r in runs if Run(*r, out).scenario.slow]
    quick = [r for r in runs if r not in slow]
    threads = [threading.Thread(target=play, args=r, daemon=True) for r in slow]
    for thread in threads:
        thread.start()
    with ThreadPoolExecutor(QUICK_AT_ONCE) as pool:
        list(pool.map(lambda r: play(*r), quick))
    for thread in threads:
        thread.join()
    if missing:
        raise NoLab(missing[0])
    return faults


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--no-agent", action="store_true", help="record only")
    parser.add_argument("runs", nargs="+", metavar="NUMBER:SEED")
    args = parser.parse_args()
    runs = [(r.rpartition(":")[0], int(r.rpartition(":")[2])) for r in args.runs]
    try:
        faults = play_all(runs, args.out, not args.no_agent)
    except NoLab as error:
        print(error, file=sys.stderr)
        return NO_LAB
    for fault in faults:
        print(fault, file=sys.stderr)
    return 1 if faults else 0


if __name__ == "__main__":
    status = 130
    try:
        status = main()
    except KeyboardInterrupt:
        print("stopped", file=sys.stderr)
    sys.stdout.flush()
    os._exit(status)  # a thread that hangs must not keep the process, and all it holds, alive
