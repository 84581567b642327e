# SPDX-License-Identifier: Apache-2.0
"""What each rule costs: over the golden captures, in which every rule but those of live captures
finds something, and over calls behind an ALG that rewrites them all, of which one in ten loses its
ACK and the others end well."""

from __future__ import annotations

import contextlib
import io
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterable
from ctypes import CDLL
from pathlib import Path
from typing import Any, ClassVar

sys.path.insert(0, str(Path(__file__).resolve().parent))
sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "agent"))

import make_calls
from algwatch.base.packet import Tap
from algwatch.cli import source as sources
from algwatch.cli.glance import TwoSided
from algwatch.cli.reading import PORTS
from algwatch.diagnose.engine import Check, Engine
from algwatch.diagnose.rules import RULES
from algwatch.pipeline import Pipeline
from measure import environment, python, spread, table

GOLDEN = Path(__file__).resolve().parents[1] / "golden"
CALLS, LOST = 1_000, 100
CALIBRATION = 1000

# Names of files, those of each side and those of unknown side.
Capture = tuple[list[str], list[str], list[str]]


def goldens(begin: str = "") -> list[Capture]:
    """The captures of all cases, or of those whose names begin so."""
    made: list[Capture] = []
    for folder in sorted(path for path in GOLDEN.glob(f"{begin}*") if path.is_dir()):
        lan, wan, one = (folder / f"{name}.pcap" for name in ("lan", "wan", "capture"))
        if one.exists():
            made.append(([], [], [str(one)]))
        elif lan.exists():
            made.append(([str(lan)], [str(wan)], []))
    return made


def rewritten(directory: Path) -> list[Capture]:
    """Calls whose every message an ALG has rewritten."""
    lan, wan = directory / "rules_lan.pcap", directory / "rules_wan.pcap"
    make_calls.write_pair(lan, wan, True, CALLS, LOST)
    return [([str(lan)], [str(wan)], [])]


class _Timed(Pipeline):
    """A pipeline whose rules are timed."""

    made: ClassVar[list[Engine]] = []
    clock: Callable[[], int] | None = None

    def __init__(self, taps: list[Tap], **more: Any) -> None:
        more["clock"] = _Timed.clock
        super().__init__(taps, **more)
        self.made.append(self._engine)


def _judge(captures: Iterable[Capture]) -> list[Engine]:
    """The engines that judged them."""
    _Timed.made = []
    setattr(sources, "Pipeline", _Timed)  # noqa: B010 - mypy minds the plain assignment
    try:
        for lan, wan, files in captures:
            source = sources.Source(files, lan, wan, PORTS)
            with contextlib.redirect_stderr(io.StringIO()):
                source.check()
                try:
                    for _ in source.reports():
                        pass
                except TwoSided:
                    source.survey()
                    for _ in source.reports():
                        pass
    finally:
        setattr(sources, "Pipeline", Pipeline)  # noqa: B010
    return _Timed.made


class Cost:
    """Of one rule over some captures. ns: of each round, a thing. found: findings that were
    news."""

    __slots__ = ("found", "ns", "shown")

    def __init__(self) -> None:
        self.shown = self.found = 0
        self.ns: list[float] = []


def measure(captures: list[Capture], rounds: int) -> dict[str, Cost]:
    costs = {rule.RULE.id: Cost() for rule in RULES}
    _Timed.clock = time.thread_time_ns
    for _ in range(rounds):
        engines = _judge(captures)
        for name, cost in costs.items():
            meters = [engine.meters[name] for engine in engines if name in engine.meters]
            cost.shown = sum(meter.shown for meter in meters)
            cost.found = sum(meter.found for meter in meters)
            cost.ns.append(sum(meter.ns for meter in meters) / max(1, cost.shown))
    _Timed.clock = None
    return costs


def instructions() -> tuple[dict[str, int], str]:
    """Instructions of each rule, a thing, over its own golden captures; why not, where they cannot
    be counted."""
    if not Path("/usr/include/valgrind/callgrind.h").exists() or not shutil.which("valgrind"):
        return {}, "instructions are not counted: apt-get install valgrind"
    with tempfile.TemporaryDirectory(prefix="algwatch-bench-") as name:
        directory = Path(name)
        library = directory / "counter.so"
        source = Path(__file__).with_name("counter.c")
        subprocess.run(["cc", "-O2", "-shared", "-fPIC", "-o", library, source], check=True)
        done = subprocess.run(
            ["valgrind", "--tool=callgrind", "--collect-atstart=no",
             f"--callgrind-out-file={directory}/out",
             *python(str(Path(__file__).resolve()), str(library))],
            env={**environment(), "PYTHONHASHSEED": "0"}, capture_output=True, text=True,
        )  # fmt: skip
        if done.returncode:
            return {}, f"instructions are not counted: {done.stderr[-500:]}"
        counts = dict(_dumps(directory))
    shown = [int(word) for word in done.stdout.split()]
    empty = counts[0] // CALIBRATION
    return {rule.RULE.id: max(0, counts[number] // shown[number - 1] - empty)
            for number, rule in enumerate(RULES, 1) if shown[number - 1]}, ""  # fmt: skip


def _dumps(directory: Path) -> Iterable[tuple[int, int]]:
    """Number of the rule and instructions, of each dump of callgrind."""
    for file in directory.glob("out.*"):
        text = file.read_text(encoding="utf-8", errors="replace")
        which = text.partition("desc: Trigger: Client Request: ")[2].split("\n", 1)[0]
        if which:
            yield int(which), int(text.partition("\ntotals: ")[2].split("\n", 1)[0])


def _count(library: str) -> None:
    """Under callgrind: judge the captures of each rule, and count in that one alone. Prints how
    many things each was shown."""
    counter = CDLL(library)
    wanted: Any = None
    plain = Engine.__init__

    def counted(check: Check) -> Check:
        def run(thing: Any, known: Any) -> list[Any]:
            counter.toggle()
            try:
                return list(check(thing, known))
            finally:
                counter.toggle()

        return run

    def init(self: Engine, *args: Any, **more: Any) -> None:
        plain(self, *args, **more)
        for some in self._rules.values():
            some[:] = [(counted(c) if c is wanted else c, meter) for c, meter in some]

    def nothing(thing: Any, known: Any) -> Iterable[Any]:
        return ()

    run = counted(nothing)
    for _ in range(CALIBRATION):
        run(None, wanted)
    counter.dump(0)
    Engine.__init__ = init  # type: ignore[method-assign]
    for number, rule in enumerate(RULES, 1):
        wanted = rule.check
        name = rule.RULE.id
        engines = _judge(goldens(f"{name.lower()}-"))
        counter.dump(number)
        print(sum(engine.meters[name].shown for engine in engines if name in engine.meters))


def show(golden: dict[str, Cost], calls: dict[str, Cost], counts: dict[str, int]) -> str:
    """A table of the rules, those first that cost most in calls."""

    def total(one: Cost) -> float:
        return one.shown * statistics.median(one.ns)

    whole = sum(map(total, calls.values()))
    rows = []
    for name in sorted(golden, key=lambda one: (-total(calls[one]), -total(golden[one]))):
        one, two = golden[name], calls[name]
        rows.append([
            name, f"{one.shown:,}", f"{one.found:,}", _spread(one),
            f"{counts[name]:,}" if name in counts else "", f"{two.shown:,}", _spread(two),
            f"{100 * total(two) / whole:.1f}",
        ])  # fmt: skip
    head = ["rule", "shown", "finds", "ns a thing (min / median / max)", "instructions a thing",
            "shown, calls", "ns a thing, calls", "% of all rules, calls"]  # fmt: skip
    return table(head, rows)


def _spread(cost: Cost) -> str:
    return spread(cost.ns, "{:,.0f}") if cost.shown else ""


if __name__ == "__main__":
    _count(sys.argv[1])
