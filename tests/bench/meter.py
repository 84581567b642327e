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
FEW = 1000  # the same for the emulated CPUs, which take minutes
MODES = ("the same on both sides", "rewritten")
HOST = "x86_64"
# The emulator, and the Python.
CPUS = {
    HOST: ("qemu-x86_64", "this Python"),
    "musl-mips": ("qemu-mips", "built by zig, mips_24kc"),
    "debian-mipsel": ("qemu-mipsel", "Debian's, built by gcc"),
    "debian-armhf": ("qemu-arm", "Debian's"),
    "debian-arm64": ("qemu-aarch64", "Debian's"),
}
TURNS = "int main(void) { for (volatile int i = 0; i < 20000; i++) {} return 0; }"


def captures(folder: Path) -> dict[tuple[str, int], list[str]]:
    """By mode and number of crossings the arguments of `analyze`."""
    made = {}
    for mode in MODES:
        sides = [folder / f"{side}-{mode.split()[0]}.pcap" for side in ("lan", "wan")]
        calls = CROSSINGS // 3  # of 7 messages, and one in ten, which loses its ACK, of 15
        make_calls.write_pair(sides[0], sides[1], mode == "rewritten", calls, calls // 10)
        for crossings in (FEW, 2 * FEW, CROSSINGS, 2 * CROSSINGS):
            cut = [_first(path, crossings) for path in sides]
            made[mode, crossings] = ["--json", "--lan", cut[0], "--wan", cut[1]]
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
        self._folder = folder
        self._plugin = folder / "instructions.so"
        source = HERE / "instructions.c"
        subprocess.run(["cc", "-shared", "-fPIC", "-O2", "-o", self._plugin, source], check=True)
        self._captures = captures(folder)

    def crossing(self, cpu: str, mode: str, crossings: int = CROSSINGS) -> float:
        """Instructions of user space for one crossing: the difference of so many and twice that."""
        short, long = (self.count(cpu, self._captures[mode, n * crossings]) for n in (1, 2))
        return (long - short) / crossings

    def count(self, cpu: str, words: Sequence[str]) -> int:
        """Instructions of one whole `analyze`."""
        command, work = _command(cpu, self._plugin), json.dumps(["x", list(words)])
        said, counted = self._run(command, work.encode())
        assert json.loads(said)[1] in (0, 1, 3), said[-500:]
        return counted

    def _run(self, command: Sequence[str], stdin: bytes = b"") -> tuple[bytes, int]:
        """Standard output, and what the plugin counted."""
        read, write = os.pipe()
        shell = ["bash", "-c", f'exec "$@" 9>&{write}', "-", *command]
        done = subprocess.run(shell, input=stdin, stdout=subprocess.PIPE, pass_fds=(write,),
                              check=True,
                              env={**os.environ, "PYTHONHASHSEED": "0"})  # fmt: skip
        os.close(write)
        with os.fdopen(read) as pipe:
            return done.stdout, int(pipe.read())

    def checked(self, cpu: str) -> tuple[int, int]:
        """Instructions of a small program by the plugin, and as qemu logs them one by one."""
        known = {**build.targets(), **build.targets("debian.toml")}
        target = known["mips_24kc" if cpu == "musl-mips" else cpu]
        source, program = self._folder / "turns.c", self._folder / f"turns-{cpu}"
        source.write_text(TURNS)
        own = target.zig.partition(".")[0].replace("gnu", "musl")  # static
        zig = [sys.executable, "-m", "ziglang", "cc", "-target", own, *target.flags, "-O1"]
        subprocess.run([*zig, "-static", "-o", program, source], check=True)
        qemu, log = _emulator(CPUS[cpu][0]), self._folder / "log"
        _, counted = self._run([qemu, "-plugin", str(self._plugin), str(program)])
        words = ["-singlestep", "-d", "nochain,exec", "-D", str(log)]
        subprocess.run([qemu, *words, str(program)], check=True)
        with log.open() as lines:
            return counted, sum(line.startswith("Trace") for line in lines)


def _command(cpu: str, plugin: Path) -> list[str]:
    """Runs verdicts.py, which reads captures through pipes, on that CPU."""
    script = TESTS / "emulated/verdicts.py"
    emulator = [_emulator(CPUS[cpu][0]), "-plugin", str(plugin)]
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
