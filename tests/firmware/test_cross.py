# SPDX-License-Identifier: Apache-2.0
"""The extension for one foreign CPU, of the other byte order and half the word: built."""

from __future__ import annotations

import shutil
import struct
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
if str(ROOT) not in sys.path:
    sys.path.append(str(ROOT))

from cross import build, elf  # noqa: E402


@pytest.fixture(scope="module")
def built() -> Path:
    return build.extension(build.targets()["mips_24kc"])


def test_the_extension_is_for_that_cpu_and_asks_for_libc_alone(built: Path) -> None:
    seen = elf.read(built)
    assert (seen.machine, seen.bits, seen.big) == ("mips", 32, True)
    assert seen.needed == ("libc.so",)


def test_it_is_small(built: Path) -> None:
    size, packed = build.sizes(built)
    assert size <= build.MOST and packed <= build.MOST_XZ


@pytest.mark.parametrize("target", build.targets().values(), ids=lambda target: target.name)
def test_every_target_names_an_emulator_and_architectures(target: build.Target) -> None:
    assert target.qemu.startswith("qemu-") and target.openwrt and target.page in (4096, 65536)
    assert target.name in target.openwrt or target.name in ("aarch64", "riscv64", "powerpc")


@pytest.mark.parametrize("cut", [0, 3, 4, 20, 51, 60, 200])
def test_a_damaged_object_is_told(tmp_path: Path, cut: int) -> None:
    native = next((ROOT / "agent/algwatch").glob("_native*.so"))
    path = tmp_path / "cut.so"
    path.write_bytes(native.read_bytes()[:cut])
    with pytest.raises((elf.ElfError, struct.error)):
        elf.read(path)


def test_cutting_off_the_sections_leaves_an_object_that_loads(tmp_path: Path) -> None:
    package = tmp_path / "algwatch"
    shutil.copytree(ROOT / "agent/algwatch", package)
    native = next(package.glob("_native*.so"))
    before = elf.read(native)
    elf.drop_sections(native)
    assert elf.read(native) == before
    done = subprocess.run(
        [sys.executable, "-c", "import algwatch._native as n; print(n.__file__)"],
        cwd=tmp_path, capture_output=True, text=True,
    )  # fmt: skip
    assert done.stdout.strip() == str(native), done.stderr
