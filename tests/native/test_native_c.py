# SPDX-License-Identifier: Apache-2.0
"""The native code under both compilers, strict flags, ASan and UBSan, on guarded memory."""

from __future__ import annotations

import os
import platform
import re
import shutil
import struct
import subprocess
import sys
from collections.abc import Iterator
from graphlib import TopologicalSorter
from pathlib import Path

import pytest
from algwatch.base.native.layout import VARIANT

HERE = Path(__file__).resolve().parent
NATIVE = HERE.parents[1] / "native"
SCANNER = ("chars", "sip_start", "sip_addr", "sip_via", "sip_scan", "sdp_scan")
IN_CI = os.environ.get("CI") == "true"


def messages(directory: Path) -> list[str]:
    sys.path.insert(0, str(HERE.parent / "fuzz"))
    from seeds import messages

    return messages(directory)


@pytest.mark.parametrize("compiler", ["gcc", "clang"])
def test_no_input_makes_the_native_code_read_or_write_where_it_may_not(
    compiler: str, tmp_path: Path
) -> None:
    if shutil.which(compiler) is None:
        assert not IN_CI, f"{compiler} is not installed"
        pytest.skip(f"{compiler} is not installed")
    files = messages(tmp_path)
    command = ["make", "-s", f"CC={compiler}", f"FILES={' '.join(files)}"]
    run = subprocess.run(command, cwd=HERE, capture_output=True, text=True)
    assert run.returncode == 0, run.stdout + run.stderr
    assert f"native checks passed, {len(files)} files" in run.stdout


def test_the_native_code_links_nothing_but_memory_helpers(tmp_path: Path) -> None:
    allowed = {"memchr", "memcmp", "memcpy", "memset", "memmove"}
    if shutil.which("nm") is None or shutil.which("gcc") is None:
        assert not IN_CI, "gcc or nm is not installed"
        pytest.skip("gcc or nm is not installed")
    native = HERE.parents[1] / "native"
    objects = []
    for source in sorted(native.glob("*.c")):
        if source.name in ("ring.c", "privileges.c"):  # they talk to the kernel
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


def test_files_include_and_call_one_another_one_way(tmp_path: Path) -> None:
    sources = sorted(NATIVE.glob("*.[ch]"))
    included = {
        path.name: set(re.findall(r'^#include "(.*)"', path.read_text(), re.M)) for path in sources
    }
    TopologicalSorter(included).prepare()  # CycleError names the circle
    if shutil.which("nm") is None or shutil.which("gcc") is None:
        assert not IN_CI, "gcc or nm is not installed"
        pytest.skip("gcc or nm is not installed")
    defined, used = dict[str, str](), dict[str, set[str]]()
    for source in NATIVE.glob("*.c"):
        made = str(tmp_path / f"{source.stem}.o")
        command = ["gcc", "-std=c11", "-D_GNU_SOURCE", "-O1", "-c", "-o", made, str(source)]
        subprocess.run(command, check=True)
        symbols = subprocess.run(["nm", made], check=True, capture_output=True, text=True).stdout
        defined |= dict.fromkeys(re.findall(r"[TR] (aw_\w+)", symbols), source.name)
        used[source.name] = set(re.findall(r"U (aw_\w+)", symbols))
    called = {name: {defined[symbol] for symbol in symbols} for name, symbols in used.items()}
    TopologicalSorter(called).prepare()


def test_every_header_says_what_it_needs(tmp_path: Path) -> None:
    if shutil.which("gcc") is None:
        assert not IN_CI, "gcc is not installed"
        pytest.skip("gcc is not installed")
    for header in NATIVE.glob("*.h"):
        if header.name == "algwatch_native.h":  # declarations only: it is native.h that includes
            continue
        alone = tmp_path / f"{header.stem}.c"
        alone.write_text(f'#include "{header.name}"\n')
        command = ["gcc", "-std=c11", "-Werror", f"-I{NATIVE}", "-fsyntax-only", str(alone)]
        subprocess.run(command, check=True)


CALLS = ("socket", "close", "ioctl", "setsockopt", "getsockopt", "getsockname", "bind", "mmap",
         "munmap")  # fmt: skip
CHECKS = ("check.c", "guard.c", "check_sip.c", "check_frame.c", "check_sums.c", "check_ring.c",
          "check_rtp.c")  # fmt: skip
MIPS = "mips-linux-gnu-gcc"


def emulator() -> str:
    """A program that runs those of 32-bit big-endian MIPS; skips or fails where there is none."""
    found = shutil.which("qemu-mips-static") or shutil.which("qemu-mips")
    if shutil.which(MIPS) is None or found is None:
        missing = f"{MIPS} (gcc-mips-linux-gnu, libc6-dev-mips-cross), qemu-mips (qemu-user-static)"
        assert not IN_CI, f"not installed: {missing}"
        pytest.skip(f"not installed: {missing}")
    return found


def compiled(compiler: str, program: Path, *sources: Path) -> Path:
    command = [
        compiler,
        "-static",
        "-std=c11",
        "-O2",
        "-D_GNU_SOURCE",
        f"-I{NATIVE}",
        f"-I{HERE}",
        f"-I{HERE.parent}/fuzz",
    ]
    wrap = [f"-Wl,--wrap={call}" for call in CALLS] if HERE / "check_ring.c" in sources else []
    native = sorted(NATIVE.glob("*.c"))
    subprocess.run(
        [*command, *wrap, "-o", str(program), *map(str, [*native, *sources])], check=True
    )
    return program


def test_every_check_holds_on_a_32_bit_big_endian_cpu(tmp_path: Path) -> None:
    emulated = emulator()
    program = compiled(MIPS, tmp_path / "check", *(HERE / name for name in CHECKS))
    files = messages(tmp_path)
    run = subprocess.run([emulated, str(program), *files], capture_output=True, text=True)
    assert run.returncode == 0, run.stdout + run.stderr
    assert run.stdout == f"native checks passed, {len(files)} files, portable\n"


def test_x86_64_runs_sse2_and_every_other_cpu_the_portable_variant() -> None:
    assert ("sse2" if platform.machine() == "x86_64" else "portable") == VARIANT


def records() -> Iterator[bytes]:
    """The cases of tests/scan, the frames of every encapsulation, and what fuzzing kept, for
    tell.c."""
    sys.path[:0] = [str(HERE.parent), str(HERE.parent / "scan"), str(HERE.parent / "fuzz")]
    from encap.captures import all_captures
    from seeds import LINKS, committed
    from test_scan import cases

    for case in cases():
        kind = "b" if case.kind == "sdp" else "s" if case.stream else "d"
        yield kind.encode() + struct.pack("<I", len(case.payload)) + case.payload
    for capture in all_captures().values():
        for frame in capture.frames:
            yield struct.pack("<BI", LINKS[capture.linktype], len(frame)) + frame
    for letter, target in ((b"d", "sip"), (b"s", "sip"), (b"b", "sdp")):
        for data in committed(target):
            yield letter + struct.pack("<I", len(data)) + data
    for data in committed("frame"):
        chosen = data[0] % (len(LINKS) + 1)  # links.h: the last one is unknown
        if chosen < len(LINKS):
            yield struct.pack("<BI", chosen, len(data) - 1) + data[1:]


def seeds(directory: Path) -> list[Path]:
    """Plain messages, whatever else is there to read: most of the code is for these."""
    via = "Via: SIP/2.0/UDP 192.0.2.1:5060;branch=z9hG4bK-524287-1---f92714705c7e028b;rport\r\n"
    rest = (
        'From: "A \\" B" <sip:+49301@pbx.example.com;user=phone>;tag=9a8b7c\r\n'
        "To: sip:bob@[2001:db8::1]:5070\r\nCall-ID: 0123456789abcdef@192.0.2.1\r\n"
        "CSeq: 314159 INVITE\r\nContact: <tel:+49302;isub=1>, <sip:a@b:5061;lr>;expires=60\r\n"
        "Record-Route: <sip:p1.example.com;lr=on>,<sip:p2.example.com:5062;lr>\r\n"
        "Supported: timer\r\nMax-Forwards: 70\r\nContent-Type: application/sdp\r\n"
    )
    body = (
        "v=0\r\no=- 1 2 IN IP4 192.0.2.1\r\ns=-\r\nc=IN IP4 192.0.2.1\r\nt=0 0\r\n"
        "m=audio 49170 RTP/AVP 0 101\r\na=rtcp:49171 IN IP4 192.0.2.1\r\na=ice-ufrag:x\r\n"
    )
    both = via + rest + f"Content-Length: {len(body)}\r\n\r\n{body}"
    compact = both.replace("Via:", "v:").replace("From:", "f:").replace("Contact:", "m:")
    messages = [
        "INVITE sip:bob@example.com:5060;transport=udp SIP/2.0\r\n" + both,
        "SIP/2.0 200 OK\r\n" + via + compact,
    ]
    files = [directory / f"seed{i}" for i in range(len(messages))]
    for file, message in zip(files, messages, strict=True):
        file.write_bytes(message.encode())
    return files


@pytest.mark.parametrize("compiler", ["gcc", "clang"])
def test_both_variants_say_the_same(compiler: str, tmp_path: Path) -> None:
    if shutil.which(compiler) is None:
        assert not IN_CI, f"{compiler} is not installed"
        pytest.skip(f"{compiler} is not installed")
    native, variants = HERE.parents[1] / "native", HERE / "variants"
    flags = [compiler, "-std=c11", "-O2", "-D_GNU_SOURCE", f"-I{native}"]
    objects = []
    for name in SCANNER:
        other = ["-DAW_PORTABLE", "-include", str(variants / "names.h")]
        objects.append(tmp_path / f"portable_{name}.o")
        command = [*flags, *other, "-c", "-o", str(objects[-1]), str(native / f"{name}.c")]
        subprocess.run(command, check=True)
    own = [str(native / f"{name}.c") for name in SCANNER]
    program = tmp_path / "compare"
    command = [*flags, "-o", str(program), str(variants / "compare.c"), *own, *map(str, objects)]
    subprocess.run(command, check=True)
    files = [*map(str, seeds(tmp_path)), *messages(tmp_path)]
    compared = subprocess.run([str(program), "8000", *files], capture_output=True)
    assert compared.returncode == 0, compared.stdout.decode(errors="replace")
    assert int(compared.stdout.split()[0]) > 8000 * len(files)


def test_a_32_bit_big_endian_cpu_says_the_same(tmp_path: Path) -> None:
    emulated = emulator()
    stdin = b"".join(records())
    here = compiled("gcc", tmp_path / "here", HERE / "tell.c")
    there = compiled(MIPS, tmp_path / "there", HERE / "tell.c")
    said = subprocess.run([str(here)], input=stdin, capture_output=True, check=True).stdout
    same = subprocess.run([emulated, str(there)], input=stdin, capture_output=True, check=True)
    assert said.count(b"\nrow ") > 300 and said.count(b"sip ") > 1000
    assert same.stdout.splitlines() == said.splitlines()


@pytest.mark.parametrize("target", ["sip", "sdp", "frame", "packet", "rtp"])
def test_what_fuzzing_kept_holds_on_a_32_bit_big_endian_cpu(target: str, tmp_path: Path) -> None:
    emulated = emulator()
    fuzz = HERE.parent / "fuzz"
    sys.path.insert(0, str(fuzz))
    from seeds import committed

    sources = [fuzz / name for name in (f"{target}.c", "exact.c", "replay.c")]
    program = compiled(MIPS, tmp_path / target, *sources)
    names = []
    for number, data in enumerate(committed(target)):
        names.append(str(tmp_path / str(number)))
        Path(names[-1]).write_bytes(data)
    run = subprocess.run(
        [emulated, str(program), "-"], input="\n".join(names), capture_output=True, text=True
    )
    assert run.returncode == 0, run.stdout + run.stderr
    assert run.stdout == f"{len(names)} inputs\n"
