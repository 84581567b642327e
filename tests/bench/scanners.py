"""The scanner beside libosip2, sofia-sip and libre: the same work on the same 2,000 messages."""

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
NAME = "algwatch"
PEERS = {
    "sofia-sip": ("sofia.c", "libsofia-sip-ua-dev", "sofia-sip-ua"),
    "libosip2": ("osip.c", "libosip2-dev", "libosip2"),
    "libre": ("libre.c", "libre-dev", "libre"),
}


class Result:
    """ns: nanoseconds a message, one a round. instructions: a message, 0 when not counted."""

    def __init__(self) -> None:
        self.ns: list[float] = []
        self.instructions = 0.0
        self.totals = ""


def _build_peer(source: str, package: str, directory: Path) -> Path | None:
    program = directory / Path(source).stem
    flags = subprocess.run(["pkg-config", "--cflags", "--libs", package], capture_output=True,
                           text=True)  # fmt: skip
    words = flags.stdout.split() if flags.returncode == 0 else ["-I/usr/include/re", "-lre"]
    if package == "libre":
        words.append("-I/usr/include/re")
    command = ["cc", "-std=gnu11", "-O2", "-o", str(program), str(HERE / "peers" / source), *words]
    built = subprocess.run(command, capture_output=True, text=True)
    return program if built.returncode == 0 else None


def measure(directory: Path, rounds: int) -> tuple[dict[str, Result], list[str]]:
    """Results by name, and what is missing."""
    corpus = directory / "corpus.bin"
    messages = make_corpus.write(corpus)
    programs: dict[str, Path] = {NAME: scan_bench.build(directory)}
    missing = []
    for name, (source, package, config) in PEERS.items():
        program = _build_peer(source, config, directory)
        if program is None:
            missing.append(f"{name} is not measured: apt-get install {package}")
        else:
            programs[name] = program
    results = {name: Result() for name in programs}
    for _ in range(rounds):
        for name, program in programs.items():
            run = subprocess.run([program, corpus], capture_output=True, text=True, check=True)
            results[name].ns.append(min(map(float, re.findall(r"ns/message ([\d.]+)", run.stdout))))
            results[name].totals = run.stdout.splitlines()[-1]
    if shutil.which("valgrind") is None:
        missing.append("instructions are not counted: apt-get install valgrind")
        return results, missing
    for name, program in programs.items():
        once, none = (
            scan_bench.instructions(directory, program, corpus, what) for what in ("once", "none")
        )
        results[name].instructions = (once - none) / messages
    return results, missing


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
