# SPDX-License-Identifier: Apache-2.0
"""The modules in the wheels of each CPU: those for glibc run the agent on that CPU's Python, those
for musl are loaded by musl. Tests of make cross-test alone (conftest.py)."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

import pytest
import told
from foreign import build, debs, need, own
from jobs import jobs
from test_verdicts import on_this_machine

DEBIAN = {"i686": "i386", "aarch64": "arm64", "armv7l": "armhf", "ppc64le": "ppc64el",
          "s390x": "s390x", "riscv64": "riscv64"}  # fmt: skip


@pytest.mark.parametrize("cpu", DEBIAN)
def test_the_module_for_glibc_tells_captures_as_here(cpu: str, tmp_path: Path) -> None:
    foreign = own(f"debian-{DEBIAN[cpu]}", tmp_path)
    made = build.extension(build.targets("wheels.toml")[f"manylinux-{cpu}"])
    shutil.copy(made, foreign.site / "algwatch" / build.EXTENSION)
    work = jobs(False)
    assert told.different(foreign, work, on_this_machine(work)) == []


@pytest.mark.parametrize("cpu", ["x86_64", *DEBIAN])
def test_musl_finds_everything_that_is_not_of_python(cpu: str) -> None:
    target = build.targets("wheels.toml")[f"musllinux-{cpu}"]
    made = build.extension(target)
    arch = DEBIAN.get(cpu, "amd64")
    root = target.folder / "root"
    debs.unpack("trixie", arch, ("musl",), root)
    loader = next(path for path in root.rglob("libc.so"))
    done = subprocess.run(
        [need(target.qemu), loader, "--list", made], capture_output=True, text=True
    )
    missing = re.findall(r"(\w+): symbol not found", done.stderr)
    assert "PyImport_ImportModule" in missing, done.stderr
    assert [name for name in missing if not name.startswith(("Py", "_Py"))] == []
    assert done.stderr.count("\n") == len(missing), done.stderr
