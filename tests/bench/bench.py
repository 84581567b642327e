# SPDX-License-Identifier: Apache-2.0
"""`make bench`: the whole table in one run, side by side with what else is installed, and a plot.

Options: --rounds N (5), --times N (10: how many times longer the long file is), --plot FILE,
--only scanners|files|rules|ring|wrappings. Exit status 1: totals of scanners differ,
and no reason is known.
"""

from __future__ import annotations

import argparse
import os
import statistics
import sys
import tempfile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent))
sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "agent"))

import files
import measure
import plot
import rules
import scanners

PARTS = ("scanners", "files", "rules", "ring", "wrappings")


def _heading(text: str) -> None:
    print(f"\n## {text}\n", flush=True)


def _scanners(directory: Path, rounds: int) -> tuple[list[plot.Chart], dict[str, str]]:
    """Charts, and whose totals are not what they should be."""
    _heading("Scanners")
    results, missing = scanners.measure(directory, rounds)
    print(scanners.show(results), *(f"\n{line}" for line in missing), flush=True)
    names = sorted(results, key=lambda name: statistics.median(results[name].ns))
    charts: list[plot.Chart] = [
        ("Scanner: ns a message, FULL + SDP",
         [(name, statistics.median(results[name].ns)) for name in names],
         [("target with SIMD", 400)], "{:,.0f}"),
    ]  # fmt: skip
    if results[scanners.NAME].instructions:
        charts.append((
            "Scanner: instructions a message",
            [(name, results[name].instructions) for name in names],
            [("target portable", 5000), ("target with SIMD", 4000)], "{:,.0f}",
        ))  # fmt: skip
    return charts, scanners.unexplained({name: one.totals for name, one in results.items()})


def _files(directory: Path, rounds: int, times: int) -> list[plot.Chart]:
    _heading("Capture file to diagnosed calls")
    made = files.Files(directory, times)
    costs, missing = files.measure(made, rounds)
    print(files.show(costs, made), *(f"\n{line}" for line in missing), flush=True)
    print(f"\n{files.show_parts(costs, made, files.long_run(made), times)}", flush=True)
    shown = ["algwatch", *(name for name in files.PEERS if name in costs)]
    shown.sort(key=lambda name: statistics.median(cost.cpu for cost in costs[name]))
    return [
        ("Capture file of 100,003 messages: CPU seconds",
         [(n, statistics.median(c.cpu for c in costs[n])) for n in shown],
         [("target", 0.5)], "{:.2f}"),
        ("Capture file of 100,003 messages: peak memory, MB",
         [(n, max(c.rss for c in costs[n])) for n in shown],
         [("target", 30)], "{:.0f}"),
    ]  # fmt: skip


def _rules(directory: Path, rounds: int) -> None:
    _heading("What each rule costs")
    golden = rules.measure(rules.goldens(), rounds)
    calls = rules.measure(rules.rewritten(directory), rounds)
    counts, missing = rules.instructions()
    print(rules.show(golden, calls, counts), missing and f"\n{missing}", flush=True)


def _ring(directory: Path, rounds: int) -> list[plot.Chart]:
    _heading("Live capture")
    if os.geteuid() != 0:
        print("not measured: it needs root, for a network namespace (sudo make bench)")
        return []
    import ring_bench

    return ring_bench.report(directory, rounds)


def _wrappings() -> None:
    _heading("Seven messages in every wrapping")
    from encap import peers

    print(f"{peers.table()}\n\n{peers.versions()}", flush=True)


def main() -> int:
    parser = argparse.ArgumentParser(prog="make bench")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--times", type=int, default=10)
    parser.add_argument("--plot", default="build/bench.svg")
    parser.add_argument("--only", choices=PARTS, action="append")
    args = parser.parse_args()
    wanted = args.only or PARTS
    charts: list[plot.Chart] = []
    wrong: dict[str, str] = {}
    print(f"{measure.machine()}; {args.rounds} rounds", flush=True)
    with tempfile.TemporaryDirectory(prefix="algwatch-bench-") as name:
        directory = Path(name)
        if "scanners" in wanted:
            made, wrong = _scanners(directory, args.rounds)
            charts += made
        if "files" in wanted:
            charts += _files(directory, args.rounds, args.times)
        if "rules" in wanted:
            _rules(directory, args.rounds)
        if "ring" in wanted:
            charts += _ring(directory, args.rounds)
        if "wrappings" in wanted:
            _wrappings()
    if charts:
        out = Path(args.plot)
        out.parent.mkdir(parents=True, exist_ok=True)
        out.write_text(plot.svg(charts), encoding="utf-8")
        print(f"\nplot: {out}")
    for name, how in wrong.items():
        print(f"{name} did not read the same as {scanners.NAME}: {how}", file=sys.stderr)
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
