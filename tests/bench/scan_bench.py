# SPDX-License-Identifier: Apache-2.0
"""Instructions and nanoseconds a message of the scanner: FULL + SDP over the shared corpus.

Run: python tests/bench/scan_bench.py [CC]. Needs valgrind and ../shared/bench/gen_corpus.py.
Instructions are those of a run with one pass less those of a run without, so that loading the
corpus does not count.
"""

from __future__ import annotations

import platform
import re
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
GENERATOR = ROOT.parent / "shared" / "bench" / "gen_corpus.py"
SOURCES = [
    "chars.c", "sip_start.c", "sip_addr.c", "sip_via.c", "sip_scan.c", "sdp_scan.c",
]  # fmt: skip
VARIANTS = {"SSE2": [], "portable": ["-DAW_PORTABLE"]}


def variants() -> list[str]:
    """Those that this CPU can run, the one that it does run first."""
    return ["SSE2", "portable"] if platform.machine() == "x86_64" else ["portable"]


def build(directory: Path, compiler: str, variant: str) -> Path:
    program = directory / f"scan_bench_{variant}"
    command = [
        compiler,
        *VARIANTS[variant],
        "-std=gnu11",
        "-O3",
        f"-I{ROOT / 'native'}",
        "-o",
        str(program),
    ]
    command += [str(Path(__file__).with_name("scan_bench.c"))]
    command += [str(ROOT / "native" / name) for name in SOURCES]
    subprocess.run(command, check=True)
    return program


def corpus(directory: Path) -> Path:
    subprocess.run([sys.executable, str(GENERATOR), str(directory)], check=True, cwd=directory,
                   stdout=subprocess.DEVNULL)  # fmt: skip
    return directory / "corpus_main.bin"


def instructions(directory: Path, program: Path, messages: Path, what: str) -> int:
    out = directory / f"callgrind.{what}"
    run = subprocess.run(
        ["valgrind", "--tool=callgrind", f"--callgrind-out-file={out}", str(program),
         str(messages), what],
        check=True, capture_output=True, text=True,
    )  # fmt: skip
    found = re.search(r"Collected : (\d+)", run.stderr)
    assert found, run.stderr
    return int(found[1])


def main() -> None:
    if not GENERATOR.exists():
        sys.exit(f"{GENERATOR} is not there: no corpus to measure with")
    with tempfile.TemporaryDirectory() as name:
        directory = Path(name)
        messages = corpus(directory)
        compiler = sys.argv[1] if len(sys.argv) > 1 else "cc"
        for variant in variants():
            program = build(directory, compiler, variant)
            run = subprocess.run([program, messages], check=True, capture_output=True, text=True)
            counted = [instructions(directory, program, messages, w) for w in ("once", "none")]
            print(variant)
            print(run.stdout + f"instructions/message {(counted[0] - counted[1]) / 2000:.0f}")


if __name__ == "__main__":
    main()
