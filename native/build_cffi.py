# SPDX-License-Identifier: Apache-2.0
"""Builds algwatch._native (cffi API mode, limited API: one abi3 object serves Python >= 3.11)."""

import os
from pathlib import Path

from cffi import FFI

# Relative to the project root: setuptools refuses absolute source paths.
SOURCES = [
    "frame.c",
    "chars.c",
    "sip_start.c",
    "sip_addr.c",
    "sip_via.c",
    "sip_scan.c",
    "sdp_scan.c",
    "variant.c",
    "hash.c",
    "checksum.c",
    "rtp.c",
    "batch.c",
    "ring.c",
    "privileges.c",
]
# Firmware is built with -Os: flash is what a router has least of.
OPTIMIZE = os.environ.get("ALGWATCH_OPTIMIZE", "-O3")
HERE = Path(__file__).resolve().parent

ffi = FFI()
for name in ("algwatch_native.h", "algwatch_live.h"):
    ffi.cdef((HERE / name).read_text())
ffi.set_source(
    "algwatch._native",
    '#include <stddef.h>\n#include <stdint.h>\n#include "algwatch_native.h"\n'
    '#include "algwatch_live.h"\n',
    sources=[f"native/{name}" for name in SOURCES],
    include_dirs=["native"],
    # Two header fields in one slot of field.h: one of them would never be read.
    extra_compile_args=["-std=c11", OPTIMIZE, "-D_GNU_SOURCE", "-Werror=override-init"],
    py_limited_api=True,
)

if __name__ == "__main__":
    ffi.compile(verbose=True)
