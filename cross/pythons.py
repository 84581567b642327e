# SPDX-License-Identifier: Apache-2.0
"""A Python of a given version: its headers and something that compiles to its bytecode.

The one that runs this, or one on PATH, where it has its header files. Otherwise, on Debian, the
packages of the release that has that version are fetched with apt-get into build/, with lists of
their own: nothing is installed.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path
from typing import NamedTuple

from cross import debs

RELEASES = {"3.11": "bookworm", "3.13": "trixie"}  # of Debian
TELLS = (
    "import sys, sysconfig; print('%d.%d' % sys.version_info[:2]); "
    "print(sysconfig.get_path('include')); print(sys.executable)"
)


class NoPython(Exception):
    """The text says what to do."""


class Python(NamedTuple):
    command: tuple[str, ...]
    include: Path


def find(version: str, work: Path) -> Python:
    """version: "3.13". work: a folder that may be filled. NoPython."""
    for command in (sys.executable, f"python{version}"):
        path = shutil.which(command)
        told = tells(path) if path else None
        if told and told[0] == version and (Path(told[1]) / "Python.h").exists():
            assert path is not None
            return Python((path,), Path(told[1]))
    root = work / f"python{version}"
    if not (root / "usr/bin" / f"python{version}").exists():
        _fetch(version, root)
    loader = next(root.glob("usr/lib*/ld-linux*.so.*"), None) or next(root.glob("lib*/ld-linux*"))
    libraries = ":".join(str(path.parent) for path in root.glob("usr/lib/*/libc.so.6"))
    return Python(
        (str(loader), "--library-path", libraries, str(root / f"usr/bin/python{version}")),
        root / f"usr/include/python{version}",
    )


def tells(path: str) -> list[str] | None:
    """Version, folder of the headers and path of a Python; None where there is none."""
    try:
        done = subprocess.run([path, "-I", "-c", TELLS], capture_output=True, text=True)
    except OSError:
        return None
    return done.stdout.splitlines() if done.returncode == 0 else None


def _fetch(version: str, root: Path) -> None:
    """Fill root with the packages of Debian that make a Python of this version."""
    names = (
        f"python{version}-minimal", f"libpython{version}-minimal", f"libpython{version}-stdlib",
        f"libpython{version}-dev", "libc6", "libexpat1", "zlib1g",
    )  # fmt: skip
    try:
        debs.unpack(RELEASES[version], "", names, root)
    except debs.NoPackages as problem:
        hint = f"install python{version} and its header files, for example from {RELEASES[version]}"
        raise NoPython(f"there is no Python {version} here ({problem}): {hint}") from None
