# SPDX-License-Identifier: Apache-2.0
"""The sdist, and a wheel for each table of wheels.toml, in dist/.

usage: cross/wheels.py [TARGET...]     all of them without a name; prints each file with its size

The wheel that pip makes of the sdist on this machine is the pattern: the others are the same files
with the extension that zig built for their platform. The same sources make the same bytes.

Source: PEP 427 (wheel), PEP 600 (manylinux), PEP 656 (musllinux).
"""

from __future__ import annotations

import base64
import hashlib
import os
import re
import subprocess
import sys
import tempfile
import tomllib
import zipfile
from pathlib import Path

if __package__ in (None, ""):
    sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from cross import build, elf, pythons

DIST = build.ROOT / "dist"
MADE_HERE = "algwatch/_native.abi3.so"  # in the wheel that pip makes
FIXED = (1980, 1, 1, 0, 0, 0)  # the time of every file in a wheel
SDIST = "import sys; from setuptools import build_meta; print(build_meta.build_sdist(sys.argv[1]))"


def tags() -> dict[str, str]:
    """The platform tag of each target of wheels.toml."""
    tables = tomllib.loads((build.ROOT / "cross/wheels.toml").read_text())
    return {name: table["tag"] for name, table in tables.items()}


def _run(*command: str) -> str:
    # A pip that asks whether there is a newer one is a request to a registry more.
    done = subprocess.run(
        command, cwd=build.ROOT, capture_output=True, text=True,
        env={**os.environ, "PIP_DISABLE_PIP_VERSION_CHECK": "1"},
    )  # fmt: skip
    if done.returncode:
        raise build.BuildError(f"{' '.join(command[1:4])}: {done.stderr.strip()[-2000:]}")
    return done.stdout


def sdist(folder: Path) -> Path:
    """Make the source distribution. BuildError."""
    folder.mkdir(parents=True, exist_ok=True)
    return folder / _run(sys.executable, "-c", SDIST, str(folder)).splitlines()[-1]


def pattern(source: Path, folder: Path) -> Path:
    """The wheel that pip makes of an sdist with this machine's own compiler. BuildError."""
    _run(sys.executable, "-m", "pip", "wheel", "-q", "--no-deps", "-w", str(folder), str(source))
    return next(folder.glob("*.whl"))


def wheel(target: build.Target, tag: str, made_here: Path, folder: Path) -> Path:
    """The pattern with the extension of a target and its tag. BuildError."""
    extension = build.extension(target).read_bytes()
    name, version = made_here.name.split("-")[:2]
    info = f"{name}-{version}.dist-info"
    python = f"cp{build.LIMITED_API[2:4].lstrip('0')}{int(build.LIMITED_API[4:6], 16)}-abi3-{tag}"
    with zipfile.ZipFile(made_here) as read:
        files = {each: read.read(each) for each in sorted(read.namelist())}
    if MADE_HERE not in files:
        raise build.BuildError(f"{made_here.name} has no {MADE_HERE}")
    files[MADE_HERE] = extension
    said = files[f"{info}/WHEEL"].decode()
    files[f"{info}/WHEEL"] = re.sub(r"(?m)^Tag: .*$", f"Tag: {python}", said).encode()
    record = f"{info}/RECORD"
    del files[record]
    lines = [f"{each},sha256={_digest(data)},{len(data)}" for each, data in files.items()]
    files[record] = "\n".join([*lines, f"{record},,", ""]).encode()  # the last one, as PEP 427 asks
    made = folder / f"{name}-{version}-{python}.whl"
    with build.whole(made) as part, zipfile.ZipFile(part, "w", zipfile.ZIP_DEFLATED) as written:
        for each, data in files.items():
            entry = zipfile.ZipInfo(each, FIXED)
            entry.compress_type = zipfile.ZIP_DEFLATED
            entry.external_attr = (0o100755 if each.endswith(".so") else 0o100644) << 16
            written.writestr(entry, data)
    return made


def _digest(data: bytes) -> str:
    return base64.urlsafe_b64encode(hashlib.sha256(data).digest()).rstrip(b"=").decode()


def main(names: list[str]) -> int:
    known = build.targets("wheels.toml")
    unknown = [name for name in names if name not in known]
    if unknown:
        print(f"cross/wheels.py: no target {unknown[0]}; there are {', '.join(known)}",
              file=sys.stderr)  # fmt: skip
        return 2
    try:
        source = sdist(DIST)
        made = [source]
        with tempfile.TemporaryDirectory() as work:
            made_here = pattern(source, Path(work))
            made += [wheel(known[name], tags()[name], made_here, DIST) for name in names or known]
    except (build.BuildError, pythons.NoPython, elf.ElfError) as problem:
        print(f"cross/wheels.py: {problem}", file=sys.stderr)
        return 1
    for path in made:
        print(f"{path.stat().st_size:9}  {path.relative_to(build.ROOT)}")
    return 0


if __name__ == "__main__":
    os.umask(0o022)
    sys.exit(main(sys.argv[1:]))
