# SPDX-License-Identifier: Apache-2.0
"""The extension for one foreign CPU, of the other byte order and half the word: built, and run."""

from __future__ import annotations

import shutil
import struct
import subprocess
import sys
from pathlib import Path

import pytest
from service import needs

ROOT = Path(__file__).resolve().parents[2]
if str(ROOT) not in sys.path:
    sys.path.append(str(ROOT))

from cross import build, elf  # noqa: E402

PYTHON = ROOT.parent / "shared/cross-root/mips24kc-python311-root.tar.xz"
GOLDEN = ROOT / "tests/golden"
CAPTURE = ROOT / "tests/golden/lab/9-on"
RUN = """
import sys
sys.path[:0] = sys.argv[1:3]
from algwatch.__main__ import main
sys.exit(main(sys.argv[3:]))
"""


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


def verdict(command: list[str]) -> str:
    """The report of a capture as JSON; through pipes, so that libpcap is not asked for."""
    files = [str(CAPTURE / f"{side}.pcap") for side in ("lan", "wan")]
    words = 'exec "${@:3}" analyze --json --lan <(cat "$1") --wan <(cat "$2")'
    done = subprocess.run(
        ["bash", "-c", words, "bash", *files, *command], capture_output=True, text=True, timeout=300
    )
    assert done.returncode in (0, 1, 3), done.stderr[-2000:]
    return done.stdout


@pytest.mark.skipif(not PYTHON.exists(), reason="no foreign Python beside this tree")
def test_it_finds_in_a_foreign_python_what_this_machine_finds(built: Path, tmp_path: Path) -> None:
    subprocess.run(["tar", "-xJf", str(PYTHON), "-C", str(tmp_path)], check=True)
    root = next(tmp_path.iterdir())
    site = tmp_path / "site"
    shutil.copytree(ROOT / "agent", site, ignore=shutil.ignore_patterns("*.so", "*.egg-info"))
    shutil.copy(built, site / "algwatch" / build.EXTENSION)
    (tmp_path / "run.py").write_text(RUN)
    foreign = [
        needs("qemu-mips-static"), "-L", str(root), str(root / "usr/bin/python3.11"), "-S",
        str(tmp_path / "run.py"), str(site), str(root / "usr/lib/python3.11/site-packages"),
    ]  # fmt: skip
    here = verdict([sys.executable, "-m", "algwatch"])
    assert '"findings"' in here
    assert verdict(foreign) == here


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
