#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Builds the extensions for the CPUs of targets.toml with zig, whatever this machine is.

usage: cross/build.py [TARGET...]      all of them without a name; prints each file with its sizes

The agent's extension keeps to Python's limited API, so one file a target serves every Python from
3.11. pcapy-ng's does not: it is built for the Python of each OpenWrt release (`pcapy`).
"""

from __future__ import annotations

import contextlib
import io
import lzma
import os
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

if __package__ in (None, ""):
    sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from cross import elf, pythons

ROOT = Path(__file__).resolve().parent.parent
OUT = ROOT / "build/cross"
MOST = 100_000  # bytes of the agent's extension
MOST_XZ = 40_000  # and of it in the firmware's squashfs, about
LIMITED_API = "0x030b0000"  # Python 3.11
EXTENSION = "_native.abi3.so"

COMMON = (
    "-fPIC", "-shared", "-fvisibility=hidden", "-ffunction-sections", "-fdata-sections",
    "-fno-unwind-tables", "-fno-asynchronous-unwind-tables", "-D_GNU_SOURCE", "-DNDEBUG",
    "-Wl,--gc-sections", "-Wl,-s",
)  # fmt: skip
CXX = ("-x", "c++", "-std=c++17", "-fno-exceptions", "-fno-rtti", "-fno-threadsafe-statics")


class BuildError(Exception):
    """The text says what failed, and what to do."""


class Target(NamedTuple):
    name: str
    openwrt: tuple[str, ...]
    zig: str
    flags: tuple[str, ...]
    qemu: str
    page: int  # bytes

    @property
    def folder(self) -> Path:
        return OUT / self.name


def targets(file: str = "targets.toml") -> dict[str, Target]:
    tables = tomllib.loads((ROOT / "cross" / file).read_text())
    return {
        name: Target(name, tuple(t["openwrt"]), t["zig"], tuple(t["flags"]), t["qemu"], t["page"])
        for name, t in tables.items()
    }


def _zig(target: Target, arguments: list[str]) -> None:
    command = [sys.executable, "-m", "ziglang", "cc", "-target", target.zig, "-Os", *target.flags]
    # Paths relative to the project: the file must be the same wherever that stands.
    done = subprocess.run([*command, *arguments], cwd=ROOT, capture_output=True, text=True)
    if "No module named ziglang" in done.stderr:
        raise BuildError("zig is missing; type: make zig")
    if done.returncode:
        raise BuildError(f"{target.name}: {done.stderr.strip()[-2000:]}")


def headers(version: str) -> Path:
    """Python's header files with our pyconfig.h in place of this machine's."""
    made = OUT / f"include-{version}"
    source = pythons.find(version, OUT).include
    made.mkdir(parents=True, exist_ok=True)
    for entry in source.iterdir():
        if entry.name != "pyconfig.h":
            _link(made / entry.name, entry)
    _link(made / "pyconfig.h", ROOT / "cross/pyconfig.h")
    return made


def _link(link: Path, target: Path) -> None:
    # Another build may do the same at the same time.
    with contextlib.suppress(FileExistsError):
        link.symlink_to(target)


@contextlib.contextmanager
def whole(made: Path) -> Iterator[Path]:
    """A name to build at; the file gets its own name when it is complete."""
    made.parent.mkdir(parents=True, exist_ok=True)
    part = made.with_name(f"{made.name}.{os.getpid()}")
    try:
        yield part
        part.replace(made)
    finally:
        part.unlink(missing_ok=True)


def _generated() -> tuple[Path, list[str]]:
    """The C file that cffi writes for native/algwatch_native.h, and the sources beside it."""
    scope: dict[str, object] = {"__file__": str(ROOT / "native/build_cffi.py"), "__name__": "cffi"}
    exec((ROOT / "native/build_cffi.py").read_text(), scope)
    made = OUT / "_native.c"
    OUT.mkdir(parents=True, exist_ok=True)
    with contextlib.redirect_stdout(io.StringIO()):  # it tells where it writes
        scope["ffi"].emit_c_code(str(made))  # type: ignore[attr-defined]
    sources = scope["SOURCES"]
    assert isinstance(sources, list)
    return made, [f"native/{name}" for name in sources]


def extension(target: Target) -> Path:
    """Build the agent's extension. Returns its path; BuildError."""
    generated, sources = _generated()
    made = target.folder / EXTENSION
    with whole(made) as part:
        _zig(target, [
            *COMMON, "-std=c11", "-Werror=override-init", f"-DPy_LIMITED_API={LIMITED_API}",
            f"-I{headers('3.11')}", "-Inative", f"-Wl,-soname,{EXTENSION}", f"-o{part}",
            str(generated.relative_to(ROOT)), *sources,
        ])  # fmt: skip
        if target.openwrt:
            elf.drop_sections(part)
    if elf.read(made).align % target.page:
        raise BuildError(f"{target.name}: the kernel's pages are larger than the file's segments")
    size, packed = sizes(made)
    if target.openwrt and (size > MOST or packed > MOST_XZ):
        most = f"{MOST} and {MOST_XZ} may be"
        raise BuildError(f"{target.name}: {size} bytes, {packed} in xz: {most}")
    return made


def pcapy(target: Target, version: str, source: Path, libpcap: str = "libpcap.so.1") -> Path:
    """Build pcapy-ng (source: its unpacked sdist) for a version of Python. libpcap: what the
    library is called there. BuildError."""
    made = target.folder / f"python{version}" / "pcapy.so"
    sources = sorted(source.glob("*.cc"))
    include = OUT / "include-pcap"
    include.mkdir(exist_ok=True)
    for name in ("pcap.h", "pcap"):
        here = Path("/usr/include") / name
        if not here.exists():
            raise BuildError("libpcap's header files are missing: apt-get install libpcap-dev")
        _link(include / name, here)
    with whole(made) as part:
        _zig(target, [
            *COMMON, *CXX, "-Wno-everything", f"-I{headers(version)}", f"-I{include}",
            f"-I{source}", "-Wl,-soname,pcapy.so", f"-o{part}",
            *(str(path.relative_to(ROOT)) for path in sources),
            "-x", "none", "-Wl,--no-as-needed", str(_stub(target, libpcap).relative_to(ROOT)),
        ])  # fmt: skip
        elf.drop_sections(part)
    needed = elf.read(made).needed
    libc = "libc.so" if "musl" in target.zig else "libc.so.6"
    if set(needed) != {libpcap, libc}:
        raise BuildError(f"{made} asks for {', '.join(needed)} instead of {libpcap} and {libc}")
    return made


def _stub(target: Target, name: str) -> Path:
    """An empty libpcap, so that the object names the library that the router has."""
    made = target.folder / "libpcap.so"
    code = target.folder / "stub.c"
    target.folder.mkdir(parents=True, exist_ok=True)
    code.write_text("int pcap_lib_stub;\n")
    _zig(target, ["-shared", "-fPIC", "-nostdlib", f"-Wl,-soname,{name}", f"-o{made}",
                  str(code.relative_to(ROOT))])  # fmt: skip
    return made


def sizes(path: Path) -> tuple[int, int]:
    """Bytes of a file, and of it compressed."""
    data = path.read_bytes()
    return len(data), len(lzma.compress(data, preset=9 | lzma.PRESET_EXTREME))


def main(names: list[str]) -> int:
    known = targets()
    unknown = [name for name in names if name not in known]
    if unknown:
        print(f"cross/build.py: no target {unknown[0]}; there are {', '.join(known)}",
              file=sys.stderr)  # fmt: skip
        return 2
    for name in names or known:
        target = known[name]
        try:
            made = extension(target)
        except (BuildError, pythons.NoPython, elf.ElfError) as problem:
            print(f"cross/build.py: {problem}", file=sys.stderr)
            return 1
        seen = elf.read(made)
        size, packed = sizes(made)
        kind = f"{seen.machine} {seen.bits} bits, {'big' if seen.big else 'little'}-endian"
        print(f"{name:26} {size:7} bytes, xz {packed:6}  {kind}", flush=True)
    return 0


if __name__ == "__main__":
    os.umask(0o022)
    sys.exit(main(sys.argv[1:]))
