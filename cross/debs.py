# SPDX-License-Identifier: Apache-2.0
"""Packages of Debian for any CPU, unpacked into a folder: nothing is installed, and apt's own lists
stay as they are."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

KEYRING = "/usr/share/keyrings/debian-archive-keyring.gpg"


class NoPackages(Exception):
    """The text says what is missing."""


def _run(*command: str, cwd: Path | None = None) -> str:
    done = subprocess.run(command, cwd=cwd, capture_output=True, text=True)
    if done.returncode:
        raise NoPackages(f"{' '.join(command[:2])}: {done.stderr.strip()[-300:]}")
    return done.stdout


def unpack(release: str, arch: str, names: tuple[str, ...], root: Path) -> None:
    """Fill root with packages from the machine's own mirror, unless these are there already.
    arch: Debian's word for the CPU, "" for this machine's. NoPackages."""
    stamp, wanted = root / ".packages", " ".join(names)
    if stamp.exists() and stamp.read_text() == wanted:
        return
    if not shutil.which("apt-get") or not shutil.which("dpkg-deb"):
        raise NoPackages("apt-get and dpkg-deb are missing: this is not Debian")
    sites = _run("apt-get", "indextargets", "--format", "$(SITE) $(ORIGIN) $(LABEL)")
    site = next(
        (line.split() for line in sites.splitlines() if line.split()[1:3] == ["Debian", "Debian"]),
        None,
    )
    if site is None:
        raise NoPackages("apt-get knows no mirror of Debian")
    part = root.with_name(f"{root.name}.{os.getpid()}")
    shutil.rmtree(part, ignore_errors=True)
    try:
        for folder in ("state/lists/partial", "cache/archives/partial", "root"):
            (part / folder).mkdir(parents=True)
        signed = f"[signed-by={KEYRING}] " if os.path.exists(KEYRING) else ""
        (part / "list").write_text(f"deb {signed}{site[0]} {release} main\n")
        options = [
            f"-oDir::Etc::SourceList={part}/list", "-oDir::Etc::SourceParts=/dev/null",
            f"-oDir::State={part}/state", f"-oDir::Cache={part}/cache",
            "-oAcquire::Languages=none", "-oAcquire::Retries=3",
            "-oAPT::Sandbox::User=" if os.getuid() else "-oAPT::Sandbox::User=root",
            *((f"-oAPT::Architecture={arch}", f"-oAPT::Architectures={arch}") if arch else ()),
        ]  # fmt: skip
        _run("apt-get", "-q", *options, "update")
        _run("apt-get", "-q", *options, "download", *names, cwd=part)
        for package in sorted(part.glob("*.deb")):
            _run("dpkg-deb", "-x", str(package), str(part / "root"))
        (part / "root/.packages").write_text(wanted)
        shutil.rmtree(root, ignore_errors=True)
        (part / "root").rename(root)
    finally:
        shutil.rmtree(part, ignore_errors=True)
