# SPDX-License-Identifier: Apache-2.0
"""Does a test notice it? One change at a time in what pairs, compares and advises, and every test
that reaches it. `make mutate` prints the share of changes that a test notices, and those that none
does.

It is a pytest plugin that takes over the loop. The tests are collected once. They run once to see
which lines each of them reaches; then a process is forked for each change, which runs the tests
that reach it until one fails.
"""

from __future__ import annotations

import argparse
import ast
import importlib
import os
import pickle
import random
import resource
import sys
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from types import FrameType
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tests"))

from mutation.mutants import Mutant, apply, mutants  # noqa: E402

MODULES = [
    "algwatch.compare.pairing",
    "algwatch.compare.partner",
    "algwatch.compare.doubts",
    "algwatch.sip.doubt",
    "algwatch.compare.differences",
    "algwatch.compare.counterfactual",
    "algwatch.advise.recommend",
    "algwatch.advise.disable",
]
UNIT = [
    "pairing", "pairing_alone", "rewrite", "differences", "recommend", "recommender", "attacks",
    "accounted", "call", "decoys", "loss", "mapping", "predicted", "registrations", "resume",
    "retransmissions", "review", "neighbours", "doubt_room",
]  # fmt: skip
GOLDEN = ["golden", "recall", "state", "forgeries"]
TESTS = [*(f"tests/unit/test_{name}.py" for name in UNIT),
         *(f"tests/golden/test_{name}.py" for name in GOLDEN)]  # fmt: skip
# They ask about the generator and the documents, and take long.
LEFT_OUT = "not test_the_captures_are and not test_the_examples"
MOST = 300  # tests that a change is shown to; nearly every one reaches some lines
SLOW = 100  # seconds of CPU time; a change that makes the tests hang is noticed, too
MEMORY = 1 << 30  # bytes; so is one that makes them take all there is
Line = tuple[str, int]  # file and number


class Campaign:
    """only: modules by their last word, none for all; sample: changes a module, 0 for all."""

    def __init__(self, only: list[str], sample: int, seed: int) -> None:
        names = [m for m in MODULES if not only or m.rpartition(".")[2] in only]
        self.files = {str(importlib.import_module(name).__file__): name for name in names}
        self.sample = sample
        self.rng = random.Random(seed)
        self.failed = False
        self.noticed_by: Counter[str] = Counter()  # a test that has noticed much runs first

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        self.failed |= report.failed

    def pytest_runtestloop(self, session: pytest.Session) -> bool:
        assert not session.testsfailed, "the tests cannot be collected"
        reached = _forked(lambda: self._reached(session.items))
        assert reached, "a test fails without any change"
        table = [f"{'module':35} changes  noticed  share"]
        for file, module in self.files.items():
            source = Path(file).read_text(encoding="utf-8")
            every = mutants(source)
            if self.sample and self.sample < len(every):
                every = sorted(self.rng.sample(every, self.sample), key=lambda one: one.lines[0])
            noticed = sum(self._is_noticed(file, source, one, session, reached) for one in every)
            share = noticed / max(1, len(every))
            table.append(f"{module:35} {len(every):7} {noticed:8}  {share:5.1%}")
        print("\n" + "\n".join(table))
        return True

    def _reached(self, items: list[pytest.Item]) -> dict[str, tuple[float, set[Line]]] | None:
        """By test: how long it takes (seconds), and the lines that it reaches. None: one fails."""
        reached = {}
        for item in items:
            lines: set[Line] = set()

            def inside(frame: FrameType, event: str, _: Any, lines: set[Line] = lines) -> Any:
                if event == "line":
                    lines.add((frame.f_code.co_filename, frame.f_lineno))
                return inside

            def outside(frame: FrameType, *_: Any, inside: Any = inside) -> Any:
                return inside if frame.f_code.co_filename in self.files else None

            began = time.perf_counter()
            sys.settrace(outside)
            _run(item)
            sys.settrace(None)
            reached[item.nodeid] = time.perf_counter() - began, lines
        return None if self.failed else reached

    def _is_noticed(self, file: str, source: str, mutant: Mutant, session: pytest.Session,
                    reached: dict[str, tuple[float, set[Line]]]) -> bool:  # fmt: skip
        changed = {(file, line) for line in mutant.lines}
        tests = [one for one in session.items if changed & reached[one.nodeid][1]]
        own = self.files[file].rpartition(".")[2]
        tests.sort(key=lambda one: (-self.noticed_by[one.nodeid], own not in one.nodeid,
                                    reached[one.nodeid][0]))  # fmt: skip
        del tests[MOST:]
        name = _forked(lambda: self._first_to_fail(file, mutant.tree(source), tests), SLOW)
        self.noticed_by[name] += 1
        if name == "":
            where = f"{Path(file).name}:{mutant.lines[0]}"
            print(f"not noticed by {len(tests)} tests: {where}: {mutant.what}", flush=True)
        return name != ""

    def _first_to_fail(self, file: str, tree: ast.Module, tests: list[pytest.Item]) -> str:
        apply(tree, sys.modules[self.files[file]])
        for item in tests:
            _run(item)
            if self.failed:
                return item.nodeid
        return ""


def _run(item: pytest.Item) -> None:
    item.ihook.pytest_runtest_protocol(item=item, nextitem=None)


def _forked(work: Callable[[], Any], seconds: int = resource.RLIM_INFINITY) -> Any:
    """The result of work, done in a process of its own; None if that died. seconds: of CPU time."""
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            os.close(reading)
            silence = os.open(os.devnull, os.O_RDWR)
            for standard in range(3):
                os.dup2(silence, standard)
            resource.setrlimit(resource.RLIMIT_CPU, (seconds, seconds))
            resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))
            with open(writing, "wb") as pipe:
                pickle.dump(work(), pipe)
        finally:
            os._exit(0)
    os.close(writing)
    with open(reading, "rb") as pipe:
        told = pipe.read()
    os.waitpid(child, 0)
    return pickle.loads(told) if told else None


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--sample", type=int, default=0, help="changes a module, 0 for all")
    parser.add_argument("--seed", type=int, default=7)
    parser.add_argument("only", nargs="*", help="modules, by their last word")
    args = parser.parse_args()
    os.chdir(ROOT)
    return pytest.main(
        ["-qq", "-s", "-p", "no:cacheprovider", "-p", "no:xdist", "-k", LEFT_OUT, *TESTS],
        plugins=[Campaign(args.only, args.sample, args.seed)],
    )


if __name__ == "__main__":
    raise SystemExit(main())
