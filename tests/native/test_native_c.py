# SPDX-License-Identifier: Apache-2.0
"""The native code under both compilers, strict flags, ASan and UBSan, on guarded memory."""

from __future__ import annotations

import platform
import re
import shutil
import subprocess
from graphlib import TopologicalSorter
from pathlib import Path

import pytest
from algwatch.base.native.layout import VARIANT
from programs import IN_CI, NATIVE, messages

HERE = Path(__file__).resolve().parent
SCANNER = ("chars", "sip_start", "sip_addr", "sip_via", "sip_scan", "sdp_scan")


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
        if header.name in ("algwatch_native.h", "algwatch_live.h"):
            continue  # declarations only: it is native.h that includes
        alone = tmp_path / f"{header.stem}.c"
        alone.write_text(f'#include "{header.name}"\n')
        command = ["gcc", "-std=c11", "-Werror", f"-I{NATIVE}", "-fsyntax-only", str(alone)]
        subprocess.run(command, check=True)


def test_x86_64_runs_sse2_and_every_other_cpu_the_portable_variant() -> None:
    assert ("sse2" if platform.machine() == "x86_64" else "portable") == VARIANT


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
