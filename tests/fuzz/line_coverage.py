# SPDX-License-Identifier: Apache-2.0
"""Line coverage of native/: make fuzz TARGET=coverage.

Runs the checks of tests/native, and the fuzz targets over this project's own seeds and corpus,
in builds that count (SSE2, portable), and prints a line a file. Fails below LEAST percent.
"""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from collections import defaultdict
from pathlib import Path

import seeds

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[1]
CHECKS = ROOT / "tests" / "native"
OUT = HERE / "out" / "coverage"
LEAST = 95.0
FLAGS = ["-std=c11", "-O0", "-g", "-D_GNU_SOURCE", "-Inative", "-Itests/native", "-Itests/fuzz"]
WRAPPED = (
    "socket", "close", "ioctl", "setsockopt", "getsockopt", "getsockname", "bind", "mmap", "munmap",
)  # fmt: skip
CHECK_SOURCES = ("check.c", "guard.c", "check_sip.c", "check_frame.c", "check_ring.c",
                 "check_sums.c", "check_rtp.c")  # fmt: skip

Lines = dict[str, dict[int, int]]  # file, line, times executed


def compiled(source: Path, *flags: str) -> str:
    made = OUT / f"{source.parent.name}-{source.stem}{''.join(f for f in flags if '-DAW' in f)}.o"
    command = ["gcc", *FLAGS, *flags, "-c", "-o", str(made), str(source.relative_to(ROOT))]
    subprocess.run(command, cwd=ROOT, check=True)
    return str(made)


def run(name: str, objects: list[str], arguments: list[str], stdin: str = "") -> None:
    program = OUT / name
    wrap = [f"-Wl,--wrap={call}" for call in WRAPPED] if name == "check" else []
    subprocess.run(["gcc", "--coverage", *wrap, "-o", str(program), *objects], check=True)
    subprocess.run([str(program), *arguments], input=stdin, text=True, check=True)


def counted() -> Lines:
    lines: Lines = defaultdict(lambda: defaultdict(int))
    for notes in sorted(OUT.glob("native-*.gcda")):
        told = subprocess.run(
            ["gcov", "--json-format", "--stdout", str(notes)],
            cwd=ROOT, capture_output=True, text=True, check=True,
        ).stdout  # fmt: skip
        for file in json.loads(told)["files"]:
            path = Path(file["file"])
            if path.parent.name != "native":
                continue
            for line in file["lines"]:
                lines[path.name][line["line_number"]] += line["count"]
    return lines


def measure() -> Lines:
    shutil.rmtree(OUT, ignore_errors=True)
    OUT.mkdir(parents=True)
    # What privileges.c does is seen in a process of its own (tests/e2e).
    sources = [p for p in sorted((ROOT / "native").glob("*.c")) if p.name != "privileges.c"]
    native = [compiled(path, "--coverage") for path in sources]
    portable = [compiled(path, "--coverage", "-DAW_PORTABLE") for path in sources]
    checks = [compiled(CHECKS / name) for name in CHECK_SOURCES]
    run("check", [*native, *checks], seeds.messages(OUT))
    seeds.write(OUT / "seeds", only_own=True)
    driver = [compiled(HERE / "exact.c"), compiled(HERE / "replay.c")]
    for target in seeds.NATIVE_TARGETS:
        inputs = "\n".join(map(str, sorted((OUT / "seeds" / target).iterdir())))
        own = [*driver, compiled(HERE / f"{target}.c")]
        run(target, [*native, *own], ["-"], inputs)
        run(f"{target}-portable", [*portable, *own], ["-"], inputs)
    return counted()


def main() -> int:
    lines = measure()
    executed = total = 0
    print("file          lines  executed         not executed")
    for name in sorted(lines):
        missed = sorted(line for line, count in lines[name].items() if not count)
        here = len(lines[name])
        executed, total = executed + here - len(missed), total + here
        percent = 100 * (here - len(missed)) / here
        print(
            f"{name:<12} {here:>6} {here - len(missed):>9}  {percent:5.1f}%  "
            + ", ".join(map(str, missed))
        )
    percent = 100 * executed / total
    print(f"{'native/':<12} {total:>6} {executed:>9}  {percent:5.1f}%")
    return int(percent < LEAST)


if __name__ == "__main__":
    sys.exit(main())
