# SPDX-License-Identifier: Apache-2.0
"""Steps of the native code (counted.h), the same on every machine: the counter is built into it."""

from __future__ import annotations

import subprocess
from ctypes import (
    CDLL,
    c_char_p,
    c_int,
    c_size_t,
    c_uint64,
    create_string_buffer,
)
from pathlib import Path

HERE = Path(__file__).resolve().parent
NATIVE = HERE.parents[1] / "native"
SOURCES = ("frame", "chars", "sip_start", "sip_addr", "sip_via", "sip_scan", "sdp_scan", "hash",
           "checksum", "rtp", "batch")  # fmt: skip
RESULT = 8192  # bytes: more than any scan result


def build(directory: Path, compiler: str = "gcc", flags: tuple[str, ...] = ()) -> Path:
    """The native code with its counter as a shared object."""
    made = directory / "counted.so"
    base = [compiler, "-std=c11", "-O2", "-fPIC", "-D_GNU_SOURCE", f"-I{NATIVE}", *flags]
    own = directory / "counted.o"
    subprocess.run([*base, "-c", "-o", own, HERE / "counted.c"], check=True)
    counted = ["-fsanitize-coverage=trace-pc", "-include", str(HERE / "counted.h")]
    files = [NATIVE / f"{name}.c" for name in SOURCES]
    # One program, as link time optimisation would see it, is not wanted: each file as it is built.
    objects = []
    for file in files:
        objects.append(directory / f"{file.stem}.o")
        subprocess.run([*base, *counted, "-c", "-o", objects[-1], file], check=True)
    subprocess.run([compiler, "-shared", "-o", made, own, *objects], check=True)
    return made


class NativeSteps:
    """library: what build() made."""

    def __init__(self, library: Path) -> None:
        self._c = CDLL(str(library))
        self._c.counted_steps.restype = c_uint64
        self._out = create_string_buffer(RESULT)

    def message(self, data: bytes, stream: bool = False) -> int:
        """Steps of aw_sip_scan()."""
        self._c.counted_steps()
        self._c.aw_sip_scan(c_char_p(data), c_size_t(len(data)), c_int(stream), self._out)
        return int(self._c.counted_steps())

    def body(self, data: bytes) -> int:
        """Steps of aw_sdp_scan()."""
        self._c.counted_steps()
        self._c.aw_sdp_scan(c_char_p(data), c_size_t(len(data)), self._out)
        return int(self._c.counted_steps())
