#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Writes the packages for OpenWrt into dist/openwrt/: an ipk of each for 24.10, an apk for 25.12.

usage: firmware/pack/build.py [--out FOLDER] [TARGET...]     targets as in cross/targets.toml

Prints each package with its size and what it takes on flash. The same commit gives the same bytes.
"""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
from pathlib import Path

if __package__ in (None, ""):
    sys.path.insert(0, str(Path(__file__).resolve().parent.parent.parent))

from cross import build as cross
from cross import elf, pythons
from firmware.pack import apk, contents, ipk
from firmware.pack.recipe import Recipe, RecipeError
from firmware.pack.tree import Package

ROOT = contents.ROOT
DEFAULT = (
    "mips_24kc", "mipsel_24kc", "arm_cortex-a7", "arm_cortex-a7_neon-vfpv4", "aarch64", "x86_64",
)  # fmt: skip
# OpenWrt's release: its Python, and how it packs.
RELEASES = {"24.10": ("3.11", ipk), "25.12": ("3.13", apk)}
LUCI = contents.FEED / "luci-app-algwatch"


def commit_time() -> int:
    """Seconds: SOURCE_DATE_EPOCH, the last commit's time, or that of the newest file."""
    given = os.environ.get("SOURCE_DATE_EPOCH")
    if given:
        return int(given)
    done = subprocess.run(["git", "log", "-1", "--format=%ct"], cwd=ROOT, capture_output=True)
    if done.returncode == 0 and done.stdout.strip():
        return int(done.stdout)
    return int(max(path.stat().st_mtime for path in (ROOT / "agent").rglob("*.py")))


def pcapy_source() -> Path:
    """The unpacked sdist of pcapy-ng, fetched from PyPI and checked against the Makefile's sum."""
    recipe = Recipe(contents.FEED / "python3-pcapy-ng/Makefile")
    name = f"{recipe.sets['PYPI_SOURCE_NAME']}-{recipe.sets['PKG_VERSION']}"
    folder = cross.OUT / name
    if folder.exists():
        return folder
    archive = cross.OUT / f"{name}.tar.gz"
    cross.OUT.mkdir(parents=True, exist_ok=True)
    if not archive.exists():
        wanted = f"{recipe.sets['PYPI_NAME']}=={recipe.sets['PKG_VERSION']}"
        done = subprocess.run(
            [sys.executable, "-m", "pip", "download", "-q", "--no-deps", "--no-binary",
             recipe.sets["PYPI_NAME"], "-d", str(cross.OUT), wanted],
            capture_output=True, text=True,
        )  # fmt: skip
        if done.returncode or not archive.exists():
            raise contents.PackError(f"pip cannot fetch {wanted}: {done.stderr.strip()[-300:]}")
    if hashlib.sha256(archive.read_bytes()).hexdigest() != recipe.sets["PKG_HASH"]:
        archive.unlink()
        raise contents.PackError(f"{archive.name} is not the file that its Makefile names: removed")
    part = cross.OUT / f"{name}.part"
    part.mkdir(exist_ok=True)
    subprocess.run(["tar", "-xzf", str(archive), "-C", str(part)], check=True)
    (part / name).rename(folder)
    return folder


def packages(target: cross.Target, release: str, at: int) -> dict[str, list[Package]]:
    """The packages of one CPU for one release, by architecture of OpenWrt."""
    version, _ = RELEASES[release]
    python = pythons.find(version, cross.OUT)
    extension = target.folder / cross.EXTENSION
    binding = cross.pcapy(target, version, pcapy_source())
    compiled = ROOT / "build/bytecode" / version
    return {
        arch: [
            contents.agent(arch, version, python, extension, compiled, at),
            contents.pcapy(arch, version, binding, at),
            *([contents.luci(LUCI, at)] if LUCI.exists() else []),
        ]
        for arch in target.openwrt
    }


def main(words: list[str]) -> int:
    out = ROOT / "dist/openwrt"
    if words[:1] == ["--out"]:
        out, words = Path(words[1]).resolve(), words[2:]
    known = cross.targets()
    unknown = [name for name in words if name not in known]
    if unknown:
        listed = ", ".join(known)
        print(f"make package: no target {unknown[0]}; there are {listed}", file=sys.stderr)
        return 2
    at = commit_time()
    try:
        for name in words or DEFAULT:
            cross.extension(known[name])
            for release, (_, form) in RELEASES.items():
                for arch, made in packages(known[name], release, at).items():
                    folder = out / release / arch
                    folder.mkdir(parents=True, exist_ok=True)
                    for package in made:
                        data = form.write(package)
                        (folder / form.file_name(package)).write_bytes(data)
                        path = f"{release}/{arch}/{form.file_name(package)}"
                        print(f"{path:72} {len(data):8} bytes, "
                              f"{package.installed_size():8} installed", flush=True)  # fmt: skip
    except (cross.BuildError, pythons.NoPython, elf.ElfError, contents.PackError,
            RecipeError) as problem:  # fmt: skip
        print(f"make package: {problem}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    os.umask(0o022)
    sys.exit(main(sys.argv[1:]))
