# SPDX-License-Identifier: Apache-2.0
"""The scanner in each variant that this CPU can run, beside PJSIP, sofia-sip, libosip2 and libre:
the same work on the same 2,000 messages."""

from __future__ import annotations

import re
import shutil
import statistics
import subprocess
from pathlib import Path

import make_corpus
import scan_bench
from measure import spread, table

HERE = Path(__file__).resolve().parent
OURS = {f"algwatch, {variant}": variant for variant in scan_bench.variants()}
NAME = next(iter(OURS))  # as this CPU runs it
PEERS = {
    "PJSIP": ("pjsip.c", "--static libpjproject", "docs/performance.md says how to build it"),
    "sofia-sip": ("sofia.c", "sofia-sip-ua", "apt-get install libsofia-sip-ua-dev"),
    "libosip2": ("osip.c", "libosip2", "apt-get install libosip2-dev"),
    "libre": ("libre.c", "libre", "apt-get install libre-dev"),
}
"""Program, pkg-config's words, what to do when that does not know it."""
UNBUILT = "does not build with what is installed"
EXPLAINED = {"libre": {"c"}}
"""Totals that differ for a reason that docs/performance.md gives."""


class Result:
    """ns: nanoseconds a message, one a round. instructions: a message, 0 when not counted."""

    def __init__(self) -> None:
        self.ns: list[float] = []
        self.instructions = 0.0
        self.totals = ""


def _build_peer(name: str, directory: Path) -> Path | str:
    """The program, or why there is none."""
    source, package, remedy = PEERS[name]
    program = directory / Path(source).stem
    words = ["pkg-config", "--cflags", "--libs", *package.split()]
    flags = subprocess.run(words, capture_output=True, text=True)
    if flags.returncode != 0:
        return remedy
    command = ["cc", "-std=gnu11", "-O2", "-o", str(program), str(HERE / "peers" / source)]
    built = subprocess.run([*command, *flags.stdout.split()], capture_output=True, text=True)
    return program if built.returncode == 0 else f"{source} {UNBUILT}: {built.stderr}"


def build(directory: Path) -> tuple[dict[str, Path], list[str]]:
    """Programs by name, and which peers are missing."""
    programs = {name: scan_bench.build(directory, "cc", OURS[name]) for name in OURS}
    missing = []
    for name in PEERS:
        built = _build_peer(name, directory)
        if isinstance(built, str):
            missing.append(f"{name} is not measured: {built}")
        else:
            programs[name] = built
    return programs, missing


def totals(program: Path, corpus: Path) -> str:
    """The sums of one pass over the corpus; no time is taken."""
    run = subprocess.run([program, corpus, "once"], capture_output=True, text=True, check=True)
    return run.stdout.splitlines()[-1]


def measure(directory: Path, rounds: int) -> tuple[dict[str, Result], list[str]]:
    """Results by name, and what is missing."""
    corpus = directory / "corpus.bin"
    messages = make_corpus.write(corpus)
    programs, missing = build(directory)
    results = {name: Result() for name in programs}
    for name, program in programs.items():
        results[name].totals = totals(program, corpus)
    for _ in range(rounds):
        for name, program in programs.items():
            run = subprocess.run([program, corpus], capture_output=True, text=True, check=True)
            results[name].ns.append(min(map(float, re.findall(r"ns/message ([\d.]+)", run.stdout))))
    if shutil.which("valgrind") is None:
        missing.append("instructions are not counted: apt-get install valgrind")
        return results, missing
    for name, program in programs.items():
        once, none = (
            scan_bench.instructions(directory, program, corpus, what) for what in ("once", "none")
        )
        results[name].instructions = (once - none) / messages
    return results, missing


def unexplained(sums: dict[str, str]) -> dict[str, str]:
    """Totals by name -> how they differ from ours, where they do and no reason is known."""
    found = {}
    for name, theirs in sums.items():
        pairs = zip(sums[NAME].split()[1:], theirs.split()[1:], strict=True)
        known = EXPLAINED.get(name, set())
        if any(a != b and a.partition("=")[0] not in known for a, b in pairs):
            found[name] = difference(sums[NAME], theirs)
    return found


def difference(ours: str, theirs: str) -> str:
    """Totals that are not equal, in words."""
    pairs = zip(ours.split()[1:], theirs.split()[1:], strict=True)
    return ", ".join(f"{b} instead of {a}" for a, b in pairs if a != b)


def show(results: dict[str, Result]) -> str:
    ours = results[NAME]
    base = statistics.median(ours.ns)
    rows = []
    for name, result in sorted(results.items(), key=lambda item: statistics.median(item[1].ns)):
        ratio = statistics.median(result.ns) / base
        counted = f"{result.instructions:,.0f}" if result.instructions else "?"
        rows.append([name, spread(result.ns, "{:,.0f}"), counted, f"{ratio:.1f}",
                     difference(ours.totals, result.totals) or "equal"])  # fmt: skip
    head = ["scanner, FULL + SDP", "ns a message (min / median / max)", "instructions a message",
            "times ours", "totals"]  # fmt: skip
    return table(head, rows)
