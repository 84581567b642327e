"""The native code under both compilers, strict flags, ASan and UBSan, on guarded memory."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest

HERE = Path(__file__).resolve().parent
TORTURE = HERE.parents[2] / "shared" / "torture" / "rfc4475"
IN_CI = os.environ.get("CI") == "true"


@pytest.mark.parametrize("compiler", ["gcc", "clang"])
def test_no_input_makes_the_native_code_read_or_write_where_it_may_not(compiler: str) -> None:
    if shutil.which(compiler) is None:
        assert not IN_CI, f"{compiler} is not installed"
        pytest.skip(f"{compiler} is not installed")
    files = " ".join(str(path) for path in sorted(TORTURE.glob("*.dat")))
    run = subprocess.run(
        ["make", "-s", f"CC={compiler}", f"FILES={files}"], cwd=HERE, capture_output=True, text=True
    )
    assert run.returncode == 0, run.stdout + run.stderr
    assert "native checks passed" in run.stdout


def test_the_native_code_links_nothing_but_memory_helpers(tmp_path: Path) -> None:
    allowed = {"memchr", "memcmp", "memcpy", "memset", "memmove"}
    if shutil.which("nm") is None or shutil.which("gcc") is None:
        assert not IN_CI, "gcc or nm is not installed"
        pytest.skip("gcc or nm is not installed")
    native = HERE.parents[1] / "native"
    objects = []
    for source in sorted(native.glob("*.c")):
        if source.name == "ring.c":  # talks to the kernel
            continue
        objects.append(tmp_path / f"{source.stem}.o")
        command = ["gcc", "-std=c11", "-O2", "-c", "-o", str(objects[-1]), str(source)]
        subprocess.run(command, check=True)
    symbols = subprocess.run(
        ["nm", *map(str, objects)], check=True, capture_output=True, text=True
    ).stdout.splitlines()
    fields = [line.split() for line in symbols]
    defined = {f[2] for f in fields if len(f) == 3}
    missing = {f[1] for f in fields if len(f) == 2 and f[0] == "U"} - defined
    writable = {f[2] for f in fields if len(f) == 3 and f[1] in "bBdDC"}
    assert missing - {"_GLOBAL_OFFSET_TABLE_", "__stack_chk_fail"} <= allowed
    assert not writable


def test_a_32_bit_big_endian_cpu_sees_the_same(tmp_path: Path) -> None:
    compiler, emulator = shutil.which("mips-linux-gnu-gcc"), shutil.which("qemu-mips")
    if compiler is None or emulator is None:
        pytest.skip("mips-linux-gnu-gcc or qemu-mips is not installed")
    native = HERE.parents[1] / "native"
    program = tmp_path / "check"
    sources = [path for path in native.glob("*.c") if path.name != "ring.c"]
    command = [compiler, "-static", "-std=c11", "-O2", "-D_GNU_SOURCE", f"-I{native}", f"-I{HERE}"]
    subprocess.run(
        [*command, "-o", str(program), *map(str, [*sources, *HERE.glob("*.c")])], check=True
    )
    files = map(str, sorted(TORTURE.glob("*.dat")))
    run = subprocess.run([emulator, str(program), *files], capture_output=True, text=True)
    assert run.returncode == 0, run.stdout + run.stderr
