# SPDX-License-Identifier: Apache-2.0
"""Instructions of the agent on any CPU: counted by a plugin of qemu-user (instructions.c), inline,
so the program is not much slower than emulated anyway. x86-64 is counted in the same way.

A crossing costs the difference of two runs, over the first packets of a capture and over twice as
many.
"""

from __future__ import annotations

import json
import os
import shutil
import struct
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

HERE = Path(__file__).resolve().parent
TESTS = HERE.parent
sys.path[:0] = [str(TESTS / "emulated"), str(HERE)]

import make_calls  # noqa: E402
from foreign import START, build, debs, python  # noqa: E402

CROSSINGS = 9000  # of the shorter run; before, calls are in progress for the first time
MODES = ("the same on both sides", "rewritten")
HOST = "x86_64"
CPUS = {
    HOST: "qemu-x86_64",
    "musl-mips": "qemu-mips",
    "debian-mipsel": "qemu-mipsel",
    "debian-armhf": "qemu-arm",
    "debian-arm64": "qemu-aarch64",
}


def captures(folder: Path) -> dict[str, list[list[str]]]:
    """By mode the arguments of `analyze` for the shorter and for the longer run."""
    made = {}
    for mode in MODES:
        sides = [folder / f"{side}-{mode.split()[0]}.pcap" for side in ("lan", "wan")]
        calls = CROSSINGS // 3  # of 7 messages, and one in ten, which loses its ACK, of 15
        make_calls.write_pair(sides[0], sides[1], mode == "rewritten", calls, calls // 10)
        runs = []
        for crossings in (CROSSINGS, 2 * CROSSINGS):
            cut = [_first(path, crossings) for path in sides]
            runs.append(["--json", "--lan", cut[0], "--wan", cut[1]])
        made[mode] = runs
    return made


def _first(path: Path, packets: int) -> str:
    """The path of a capture of only the first packets of one."""
    data, at = path.read_bytes(), 24
    for _ in range(packets):
        at += 16 + int(struct.unpack_from("<I", data, at + 8)[0])
    cut = path.with_name(f"{path.stem}-{packets}.pcap")
    cut.write_bytes(data[:at])
    return str(cut)


class Meter:
    """folder: for the plugin and captures."""

    def __init__(self, folder: Path) -> None:
        self._plugin = folder / "instructions.so"
        source = HERE / "instructions.c"
        subprocess.run(["cc", "-shared", "-fPIC", "-O2", "-o", self._plugin, source], check=True)
        self._captures = captures(folder)

    def crossing(self, cpu: str, mode: str) -> float:
        """Instructions of user space for one crossing."""
        short, long = (self.count(cpu, words) for words in self._captures[mode])
        return (long - short) / CROSSINGS

    def count(self, cpu: str, words: Sequence[str]) -> int:
        """Instructions of one whole `analyze`."""
        read, write = os.pipe()
        shell = ["bash", "-c", f'exec "$@" 9>&{write}', "-", *_command(cpu, self._plugin)]
        done = subprocess.run(shell, input=json.dumps(["x", list(words)]).encode(),
                              stdout=subprocess.PIPE, pass_fds=(write,),
                              env={**os.environ, "PYTHONHASHSEED": "0"})  # fmt: skip
        os.close(write)
        with os.fdopen(read) as pipe:
            counted = pipe.read()
        assert done.returncode == 0 and json.loads(done.stdout)[1] in (0, 1, 3), done.stdout[-500:]
        return int(counted)


def _command(cpu: str, plugin: Path) -> list[str]:
    """Runs verdicts.py, which reads captures through pipes, on that CPU."""
    script = TESTS / "emulated/verdicts.py"
    emulator = [_emulator(CPUS[cpu]), "-plugin", str(plugin)]
    if cpu == HOST:
        paths = [str(TESTS.parent / "agent"), *(p for p in sys.path if p.endswith("-packages"))]
        own = ["-S", "-c", START, ":".join(paths), str(script)]
        return [*emulator, os.path.realpath(sys.executable), *own]
    return [*emulator, *python(cpu).command(script)[1:]]


def _emulator(name: str) -> str:
    """The one of the package qemu-user: that of qemu-user-static takes no plugins."""
    found = shutil.which(name)
    if found is None:
        folder = build.OUT / "qemu-user"
        debs.unpack("bookworm", "", ("qemu-user",), folder)
        found = str(folder / "usr/bin" / name)
    return found
