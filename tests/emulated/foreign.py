# SPDX-License-Identifier: Apache-2.0
"""Pythons of other CPUs, run by qemu-user, with the agent and its extension for that CPU.

Debian's for four of them (cross/debian.toml), and where it lies beside this tree a big-endian
MIPS one with musl, the C library of OpenWrt.
"""

from __future__ import annotations

import compileall
import os
import py_compile
import shutil
import subprocess
import sys
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import NamedTuple

import pytest

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[1]
if str(ROOT) not in sys.path:
    sys.path.append(str(ROOT))

from cross import build, debs  # noqa: E402

MUSL = ROOT.parent / "shared/cross-root/mips24kc-python311-root.tar.xz"
IN_CI = os.environ.get("CI") == "true"
# make cross-test: every CPU, every capture, and a whole machine.
ALL = bool(os.environ.get("ALGWATCH_CROSS"))
DEBIAN = ("debian-mipsel", "debian-armhf", "debian-arm64", "debian-s390x")
NEWER = ("debian-riscv64",)  # not in Debian 12
PACKAGES = (
    "python{0}-minimal", "libpython{0}-minimal", "libpython{0}-stdlib", "libc6", "libgcc-s1",
    "libstdc++6", "libexpat1", "zlib1g", "libffi8", "libssl3{1}", "libuuid1", "libbz2-1.0",
    "liblzma5", "python3-msgpack", "python3-paho-mqtt", "python3-cffi-backend", "libpcap0.8{1}",
    "libdbus-1-3", "libsystemd0", "libgcrypt20", "libgpg-error0", "liblz4-1", "libzstd1", "libcap2",
)  # fmt: skip


class Foreign(NamedTuple):
    """root: its files. site: the agent, compiled. paths: for sys.path."""

    name: str
    qemu: str
    root: Path
    site: Path
    version: str

    @property
    def paths(self) -> list[str]:
        packages = (f"usr/lib/python{self.version}/site-packages", "usr/lib/python3/dist-packages")
        return [str(self.site), *(str(self.root / path) for path in packages)]

    def command(self, script: Path, *words: str, qemu: Sequence[str] = ()) -> list[str]:
        """What runs a script with `paths` in front of sys.path; the script's words follow. qemu:
        more words for the emulator."""
        return [
            self.qemu, *qemu, "-E", "PYTHONHASHSEED=0", "-L", str(self.root),
            str(self.root / f"usr/bin/python{self.version}"), *self.words(script, *words),
        ]  # fmt: skip

    def natively(self, script: Path, *words: str) -> list[str]:
        """The same without an emulator, where this machine's kernel runs such programs."""
        folders = sorted({str(path.parent) for path in self.root.rglob("lib*.so.*")})
        loader = next(self.root.glob("lib*/ld-linux*.so.*"))
        python = str(self.root / f"usr/bin/python{self.version}")
        return ["env", f"PYTHONHOME={self.root}/usr", str(loader), "--library-path",
                ":".join(folders), python, *self.words(script, *words)]  # fmt: skip

    def words(self, script: Path, *words: str) -> list[str]:
        return ["-S", "-c", START, ":".join(self.paths), str(script), *words]


# PYTHONPATH would not do: its own site directories are not looked at with -S.
START = (
    "import sys; sys.path[:0] = sys.argv[1].split(':'); del sys.argv[:2]; "
    "sys.path.insert(0, sys.argv[0].rpartition('/')[0]); "
    "exec(compile(open(sys.argv[0]).read(), sys.argv[0], 'exec'))"
)


def need(name: str) -> str:
    """A program that these tests cannot do without."""
    found = shutil.which(name)
    if found is None:
        message = f"{name} is missing: apt-get install qemu-user-static"
        if IN_CI or ALL:
            pytest.fail(message)
        pytest.skip(message)
    return found


@cache
def python(name: str) -> Foreign:
    """name: "musl-mips" or a table of cross/debian.toml. Made once for all tests: whoever changes
    its site takes a copy (`own`)."""
    if name == "musl-mips":
        target, root = build.targets()["mips_24kc"], _musl()
    else:
        target = build.targets("debian.toml")[name]
        root = debian(name)
    site = target.folder / "site"
    shutil.rmtree(site, ignore_errors=True)
    shutil.copytree(
        ROOT / "agent", site, ignore=shutil.ignore_patterns("*.so", "*.egg-info", "__pycache__")
    )
    shutil.copy(build.extension(target), site / "algwatch" / build.EXTENSION)
    compiled(site)
    return Foreign(name, need(target.qemu), root, site, _release(name)[1])


def own(name: str, folder: Path) -> Foreign:
    """The same with a site in that folder, which may be changed."""
    one = python(name)
    return one._replace(site=Path(shutil.copytree(one.site, folder / "site")))


def compiled(folder: Path) -> None:
    """With bytecode, as on a router: it is the same on every CPU. Whatever the times of files."""
    if sys.version_info[:2] == (3, 11):
        never = py_compile.PycInvalidationMode.UNCHECKED_HASH
        compileall.compile_dir(folder, quiet=2, workers=1, invalidation_mode=never)


def _release(name: str) -> tuple[str, str, str]:
    """Of Debian, its Python, and the end of the names of libraries with a long time_t."""
    return ("trixie", "3.13", "t64") if name in NEWER else ("bookworm", "3.11", "")


def debian(name: str) -> Path:
    target = build.targets("debian.toml")[name]
    root = target.folder / "root"
    release, *words = _release(name)
    names = tuple(package.format(*words) for package in PACKAGES)
    debs.unpack(release, name.removeprefix("debian-"), names, root)
    for folder in ("lib", "lib64"):  # Debian 13 has all of it in /usr
        if not (root / folder).exists() and (root / "usr" / folder).exists():
            (root / folder).symlink_to(f"usr/{folder}")
    loader = root / "lib64/ld64.so.2"
    if loader.is_symlink() and str(loader.readlink()).startswith("/"):  # ppc64el: out of root
        inside = f"..{loader.readlink()}"
        loader.unlink()
        loader.symlink_to(inside)
    for folder in (f"python{words[0]}", "python3"):
        if not (root / "usr/lib" / folder / "compiled").exists():
            compiled(root / "usr/lib" / folder)
            (root / "usr/lib" / folder / "compiled").touch()
    return root


def _musl() -> Path:
    root = build.OUT / "musl-mips"
    if not root.exists():
        if not MUSL.exists():
            pytest.skip("no musl Python beside this tree")
        part = root.with_name(f"{root.name}.{os.getpid()}")
        part.mkdir(parents=True)
        subprocess.run(["tar", "-xJf", str(MUSL), "-C", str(part), "--strip-components=1"],
                       check=True)  # fmt: skip
        part.rename(root)
    return root


def run(command: Sequence[str], stdin: str = "", seconds: float = 600) -> str:
    """Its standard output; it has to end well."""
    done = subprocess.run(command, input=stdin, capture_output=True, text=True, timeout=seconds)
    assert done.returncode == 0, done.stderr[-2000:]
    return done.stdout
