# SPDX-License-Identifier: Apache-2.0
"""`make imports`: what the daemon imports, as a graph, and what each part takes of memory.

Prints modules below the one that was the first to import them, with the private memory that came
with them and with all below them, and leaves out what takes less than LEAST. Then what modules that
the daemon does without would take on top of it.
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

AGENT = Path(__file__).resolve().parents[2] / "agent"
LEAST = 100  # kB
STEPS = {
    "run without a broker": "import algwatch.start, algwatch.cli.run",
    "with a broker": "import algwatch.report.broker, algwatch.report.encode, "
                     "algwatch.report.outbox, algwatch.report.publisher, algwatch.report.tally; "
                     "from algwatch.report import paho; paho.load()",
    "with TLS": "import ssl; ssl.create_default_context()",
    "with a status file": "import algwatch.report.status",
}  # fmt: skip
WITHOUT = ("dataclasses", "enum", "logging", "argparse", "json", "typing", "subprocess", "asyncio",
           "urllib.request", "uuid", "pcapy")  # fmt: skip
PROGRAM = """
import sys
def private():
    with open('/proc/self/smaps_rollup', 'rb') as file:
        return sum(int(line.split()[1]) for line in file if line.startswith(b'Private_Dirty'))
class Watched:
    depth, tree = 0, []
    def __init__(self, loader, name): self._loader, self._name = loader, name
    def __getattr__(self, name): return getattr(self._loader, name)
    def create_module(self, spec): return self._loader.create_module(spec)
    def exec_module(self, module):
        row = [Watched.depth, self._name, private()]
        Watched.tree.append(row)
        Watched.depth += 1
        module.__spec__.loader = module.__loader__ = self._loader
        try: self._loader.exec_module(module)
        finally: Watched.depth -= 1
        row[2] = private() - row[2]
class Finder:
    def find_spec(self, name, path=None, target=None):
        for finder in sys.meta_path[1:]:
            spec = finder.find_spec(name, path, target)
            if spec is not None:
                if spec.loader is not None and hasattr(spec.loader, 'exec_module'):
                    spec.loader = Watched(spec.loader, name)
                return spec
sys.path.insert(0, sys.argv[1])
sys.meta_path.insert(0, Finder())
for what in sys.argv[2:]:
    before, Watched.tree, known = private(), [], len(sys.modules)
    exec(what)
    print(f'total {private() - before} {len(sys.modules) - known}')
    for depth, name, size in Watched.tree: print(depth, name, size)
"""


def graph(steps: list[str]) -> list[tuple[int, int, list[tuple[int, str, int]]]]:
    """For each step, run one after the other in one process: kB, number of modules, and rows of
    depth, name and kB."""
    done = subprocess.run([sys.executable, "-c", PROGRAM, AGENT, *steps], check=True, text=True,
                          capture_output=True)  # fmt: skip
    made: list[tuple[int, int, list[tuple[int, str, int]]]] = []
    for line in done.stdout.splitlines():
        words = line.split()
        if words[0] == "total":
            made.append((int(words[1]), int(words[2]), []))
        else:
            made[-1][2].append((int(words[0]), words[1], int(words[2])))
    return made


def main() -> None:
    everything = list(STEPS.values())
    for name, (size, count, rows) in zip(STEPS, graph(everything), strict=True):
        print(f"{name}: {count} modules, {size} kB")
        for depth, module, own in rows:
            if own >= LEAST:
                print(f"  {'  ' * depth}{module}  {own} kB")
    print("\nOn top of all that:")
    for module in WITHOUT:
        size, count, _ = graph([*everything, f"import {module}"])[-1]
        print(f"  {module}: {size} kB, {count} modules")


if __name__ == "__main__":
    main()
