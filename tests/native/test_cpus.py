# SPDX-License-Identifier: Apache-2.0
"""The native code on the CPUs of routers, under qemu-user: 32-bit big-endian MIPS in every run,
mipsel, ARM and aarch64 with ALGWATCH_CROSS (make cross-test)."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest
from programs import CHECKS, IN_CI, compiled, messages, records

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[1]
if str(ROOT) not in sys.path:
    sys.path.append(str(ROOT))

from cross import build  # noqa: E402

MIPS = "mips-linux-gnu-gcc"
SHIFTS = (0, 1, 2, 3)  # bytes behind a word's boundary
# Of cross/targets.toml; ARM's char is unsigned, that of MIPS is signed.
WITH_ZIG = ("mips_24kc", "mipsel_24kc", "arm_cortex-a7_neon-vfpv4", "aarch64")


class Cpu:
    """How programs of one CPU are compiled and run."""

    def __init__(self, name: str) -> None:
        self.compiler = [MIPS]
        qemu = "qemu-mips-static"
        if name != "mips":
            target = build.targets()[name]
            self.compiler = [sys.executable, "-m", "ziglang", "cc", "-target", target.zig]
            self.compiler += target.flags
            qemu = target.qemu
        self.qemu = shutil.which(qemu) or ""
        if shutil.which(self.compiler[0]) is None or not self.qemu:
            missing = (
                f"{MIPS} (gcc-mips-linux-gnu, libc6-dev-mips-cross), {qemu} (qemu-user-static)"
            )
            assert not IN_CI, f"not installed: {missing}"
            pytest.skip(f"not installed: {missing}")

    def run(self, program: Path, *words: str, stdin: bytes = b"") -> bytes:
        done = subprocess.run([self.qemu, program, *words], input=stdin, capture_output=True)
        assert done.returncode == 0, (done.stdout + done.stderr)[-2000:]
        return done.stdout


@pytest.fixture(
    scope="module", params=["mips", *(WITH_ZIG if os.environ.get("ALGWATCH_CROSS") else ())]
)
def cpu(request: pytest.FixtureRequest) -> Iterator[Cpu]:
    yield Cpu(request.param)


@pytest.fixture(scope="module")
def tells(cpu: Cpu, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """tell.c for that CPU."""
    yield compiled(cpu.compiler, tmp_path_factory.mktemp("cpu") / "tell", HERE / "tell.c")


@cache
def inputs() -> bytes:
    return b"".join(records())


@pytest.fixture(scope="module")
def said(tmp_path_factory: pytest.TempPathFactory) -> Iterator[bytes]:
    """What this machine says of the inputs."""
    program = compiled(["gcc"], tmp_path_factory.mktemp("here") / "tell", HERE / "tell.c")
    made = subprocess.run([program], input=inputs(), capture_output=True, check=True).stdout
    assert made.count(b"\nrow ") > 300 and made.count(b"sip ") > 1000
    yield made


def test_every_check_holds_on_that_cpu(cpu: Cpu, tmp_path: Path) -> None:
    program = compiled(cpu.compiler, tmp_path / "check", *(HERE / name for name in CHECKS))
    files = messages(tmp_path)
    passed = f"native checks passed, {len(files)} files, portable\n"
    assert cpu.run(program, *files).decode() == passed


@pytest.mark.parametrize("shift", SHIFTS)
def test_that_cpu_says_the_same_wherever_the_bytes_lie(
    cpu: Cpu, tells: Path, said: bytes, shift: int
) -> None:
    assert cpu.run(tells, str(shift), stdin=inputs()).splitlines() == said.splitlines()


def test_the_emulator_ends_a_program_that_reads_a_word_beside_its_boundary(tmp_path: Path) -> None:
    """As a MIPS CPU does: without it the test above would show nothing."""
    source = tmp_path / "beside.c"
    source.write_text(
        "int main(int argc, char **argv) { static char room[8]; (void)argv;"
        " return *(volatile int *)(room + argc); }"
    )
    cpu = Cpu("mips")
    subprocess.run([*cpu.compiler, "-static", "-o", tmp_path / "beside", source], check=True)
    done = subprocess.run([cpu.qemu, tmp_path / "beside"], capture_output=True)
    assert done.returncode == -7  # SIGBUS


def test_a_char_may_be_unsigned(said: bytes, tmp_path: Path) -> None:
    """As on ARM and PowerPC; on x86-64 and MIPS it is signed."""
    program = compiled(["gcc", "-funsigned-char"], tmp_path / "tell", HERE / "tell.c")
    made = subprocess.run([program], input=inputs(), capture_output=True, check=True).stdout
    assert made == said


@pytest.mark.parametrize("target", ["sip", "sdp", "frame", "packet", "rtp"])
def test_what_fuzzing_kept_holds_on_that_cpu(cpu: Cpu, target: str, tmp_path: Path) -> None:
    fuzz = HERE.parent / "fuzz"
    sys.path.insert(0, str(fuzz))
    from seeds import committed

    sources = [fuzz / name for name in (f"{target}.c", "exact.c", "replay.c")]
    program = compiled(cpu.compiler, tmp_path / target, *sources)
    names = []
    for number, data in enumerate(committed(target)):
        names.append(str(tmp_path / str(number)))
        Path(names[-1]).write_bytes(data)
    made = cpu.run(program, "-", stdin="\n".join(names).encode())
    assert made.decode() == f"{len(names)} inputs\n"
