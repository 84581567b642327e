# SPDX-License-Identifier: Apache-2.0
"""Programs of the native code for any CPU, and inputs for them."""

from __future__ import annotations

import atexit
import os
import shutil
import struct
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from functools import cache
from pathlib import Path

HERE = Path(__file__).resolve().parent
NATIVE = HERE.parents[1] / "native"
IN_CI = os.environ.get("CI") == "true"
FLAGS = ("-std=c11", "-O2", "-D_GNU_SOURCE", f"-I{NATIVE}", f"-I{HERE}", f"-I{HERE.parent}/fuzz")
CALLS = ("socket", "close", "ioctl", "setsockopt", "getsockopt", "getsockname", "bind", "mmap",
         "munmap")  # fmt: skip
CHECKS = ("check.c", "guard.c", "check_sip.c", "check_frame.c", "check_sums.c", "check_ring.c",
          "check_rtp.c")  # fmt: skip


def messages(directory: Path) -> list[str]:
    sys.path.insert(0, str(HERE.parent / "fuzz"))
    from seeds import messages

    return messages(directory)


@cache
def _native(compiler: tuple[str, ...]) -> Path:
    """The native code as a library, which is the same for every program of one compiler."""
    folder = Path(tempfile.mkdtemp(prefix="algwatch-native-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    sources = sorted(NATIVE.glob("*.c"))
    subprocess.run([*compiler, *FLAGS, "-c", *map(str, sources)], cwd=folder, check=True)
    return folder


def compiled(compiler: Sequence[str], program: Path, *sources: Path) -> Path:
    """A static program of the native code and these sources."""
    wrap = [f"-Wl,--wrap={call}" for call in CALLS] if HERE / "check_ring.c" in sources else []
    parts = [*sources, *sorted(_native(tuple(compiler)).glob("*.o"))]
    words = [*compiler, *FLAGS, "-static", *wrap, "-o", program, *parts]
    subprocess.run(list(map(str, words)), check=True)
    return program


def records() -> Iterator[bytes]:
    """The cases of tests/scan, the frames of every encapsulation, and what fuzzing kept, for
    tell.c."""
    sys.path[:0] = [str(HERE.parent), str(HERE.parent / "scan"), str(HERE.parent / "fuzz")]
    from encap.captures import all_captures
    from seeds import LINKS, committed
    from test_scan import cases

    for case in cases():
        kind = "b" if case.kind == "sdp" else "s" if case.stream else "d"
        yield kind.encode() + struct.pack("<I", len(case.payload)) + case.payload
    for capture in all_captures().values():
        for frame in capture.frames:
            yield struct.pack("<BI", LINKS[capture.linktype], len(frame)) + frame
    for letter, target in ((b"d", "sip"), (b"s", "sip"), (b"b", "sdp")):
        for data in committed(target):
            yield letter + struct.pack("<I", len(data)) + data
    for data in committed("frame"):
        chosen = data[0] % (len(LINKS) + 1)  # links.h: the last one is unknown
        if chosen < len(LINKS):
            yield struct.pack("<BI", chosen, len(data) - 1) + data[1:]
