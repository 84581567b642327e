# SPDX-License-Identifier: Apache-2.0
"""Does a test notice it? One change at a time in what pairs, compares and advises, and the tests
beside it. `make mutate` prints the share of changes that a test notices, and those that none does.
"""

from __future__ import annotations

import argparse
import os
import random
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tests"))

from mutation.mutants import Mutant, mutants  # noqa: E402

GOLDEN = "tests/golden/test_golden.py"
MADE = f"{GOLDEN}::test_the_captures_are_what_the_generator_makes"  # of no module here
# By module, the tests that are about it; the golden captures follow.
TARGETS = {
    "algwatch.compare.pairing": ["test_pairing", "test_forged", "test_contests", "test_sides"],
    "algwatch.compare.differences": ["test_rewrite", "test_differ"],
    "algwatch.compare.counterfactual": ["test_recommend"],
    "algwatch.advise.recommend": ["test_recommend", "test_attacks"],
    "algwatch.advise.disable": ["test_recommend", "test_attacks"],
}
TIMEOUT = 300  # seconds; a change that makes a test hang is noticed, too


def source_of(module: str) -> str:
    return (ROOT / "agent" / (module.replace(".", "/") + ".py")).read_text(encoding="utf-8")


def noticed(module: str, number: int) -> bool:
    """True if a test fails with this mutant."""
    own = [f"tests/unit/{name}.py" for name in TARGETS[module]]
    files = [*(name for name in own if (ROOT / name).exists()), GOLDEN]
    env = dict(os.environ, ALGWATCH_MUTANT=f"{module}:{number}",
               PYTHONPATH=f"{ROOT / 'tests'}:{ROOT / 'agent'}")  # fmt: skip
    argv = [sys.executable, "-m", "pytest", "-q", "-x", "-p", "mutation.plugin",
            "-p", "no:cacheprovider", "-p", "no:xdist",
            "--deselect", MADE, *files]  # fmt: skip
    try:
        done = subprocess.run(argv, env=env, cwd=ROOT, capture_output=True, timeout=TIMEOUT)
    except subprocess.TimeoutExpired:
        return True
    return done.returncode != 0


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--sample", type=int, default=0, help="mutants a module, 0 for all")
    parser.add_argument("--seed", type=int, default=7)
    parser.add_argument("--at-once", type=int, default=os.cpu_count() or 1)
    parser.add_argument("only", nargs="*", help="modules, by their last word")
    args = parser.parse_args()
    rng = random.Random(args.seed)
    print("module                                 mutants  noticed  share")
    left: list[tuple[str, Mutant, str]] = []
    for module in TARGETS:
        if args.only and module.rpartition(".")[2] not in args.only:
            continue
        source = source_of(module)
        every = list(enumerate(mutants(source)))
        if args.sample and args.sample < len(every):
            every = sorted(rng.sample(every, args.sample), key=lambda one: one[0])
        with ThreadPoolExecutor(args.at_once) as pool:
            found = list(pool.map(lambda one, m=module: noticed(m, one[0]), every))
        lines = source.splitlines()
        left += [
            (module, mutant, lines[mutant.line - 1].strip())
            for (_, mutant), seen in zip(every, found, strict=True) if not seen
        ]  # fmt: skip
        share = sum(found) / max(1, len(found))
        print(f"{module:38} {len(found):7} {sum(found):8}  {share:5.1%}", flush=True)
    for module, mutant, text in left:
        print(f"not noticed: {module.rpartition('.')[2]}.py:{mutant.line}: {mutant.what}: {text}")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
