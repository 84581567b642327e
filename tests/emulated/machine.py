# SPDX-License-Identifier: Apache-2.0
"""A whole emulated machine: a MIPS Malta board with Debian's kernel, and the agent in its RAM."""

from __future__ import annotations

import contextlib
import os
import shutil
import stat
import subprocess
from collections.abc import Iterator, Sequence
from pathlib import Path

from foreign import HERE, build, debian, debs, need, own

from firmware.pack.build import pcapy_source

PACKAGES = (
    "?name(^linux-image-6.1.0-[0-9]+-4kc-malta$)", "busybox-static", "iproute2", "libelf1",
    "libbpf1", "libmnl0", "libbsd0", "libmd0", "libdb5.3", "libxtables12",
    "libselinux1", "libpcre2-8-0", "libtirpc3",
)  # fmt: skip
MODULES = ("mii", "pcnet32", "veth")  # each after what it needs
LEFT_OUT = ("share", "include", "games", "test", "lib2to3", "idlelib", "boot", "modules", "initrd",
            "config-3.11-mipsel-linux-gnu", "pkgconfig", "ensurepip", "pydoc_data", "gconv",
            "asyncio", "unittest", "xml", "distutils", "multiprocessing", "sqlite3",
            "tkinter")  # fmt: skip


def _entry(name: str, mode: int, data: bytes = b"", device: tuple[int, int] = (0, 0)) -> bytes:
    """One member of a cpio archive (Linux, Documentation/driver-api/early-userspace)."""
    fields = (0, mode, 0, 0, 1, 0, len(data), 0, 0, *device, len(name) + 1, 0)
    head = b"070701" + b"".join(b"%08X" % field for field in fields)
    path = name.encode() + b"\0"
    return head + path + b"\0" * (-len(head + path) % 4) + data + b"\0" * (-len(data) % 4)


def cpio(files: Iterator[tuple[str, Path | bytes]]) -> bytes:
    """files: where each lies, and a folder, file or link, or its bytes. The archive has an end,
    and the kernel goes on behind it with the next one."""
    parts = [_entry("dev", stat.S_IFDIR | 0o755),
             _entry("dev/console", stat.S_IFCHR | 0o600, device=(5, 1))]  # fmt: skip
    for name, what in files:
        if isinstance(what, bytes):
            parts.append(_entry(name, stat.S_IFREG | 0o755, what))
        elif what.is_symlink():
            parts.append(_entry(name, stat.S_IFLNK | 0o777, os.readlink(what).encode()))
        elif what.is_dir():
            parts.append(_entry(name, stat.S_IFDIR | 0o755))
        else:
            parts.append(_entry(name, stat.S_IFREG | what.stat().st_mode & 0o777,
                                what.read_bytes()))  # fmt: skip
    made = b"".join([*parts, _entry("TRAILER!!!", 0)])
    return made + b"\0" * (-len(made) % 512)


def tree(root: Path, at: str = "") -> Iterator[tuple[str, Path | bytes]]:
    """All of a folder but what a machine without people needs; folders first."""
    for path in sorted(root.iterdir()):
        if path.name in LEFT_OUT or path.suffix == ".a":
            continue
        yield at + path.name, path
        if path.is_dir() and not path.is_symlink():
            yield from tree(path, f"{at}{path.name}/")


def _parts(folder: Path) -> tuple[Path, Path]:
    """The kernel, and the archive with Python and the tools, which are kept."""
    system = folder / "system"
    debs.unpack("bookworm", "mipsel", PACKAGES, system)
    kernel = max((system / "boot").glob("vmlinuz-*"))
    base = folder / "base.cpio"
    root = debian("debian-mipsel")
    made_of = [path.stat().st_mtime for path in (root / ".packages", system / ".packages")]
    if not base.exists() or base.stat().st_mtime < max(made_of):
        modules = system / "lib/modules" / kernel.name.removeprefix("vmlinuz-")
        loaded = [(f"{name}.ko", next(modules.rglob(f"{name}.ko"))) for name in MODULES]
        part = base.with_suffix(f".{os.getpid()}")
        part.write_bytes(cpio(iter([*tree(root), *tree(system), *loaded])))
        part.rename(base)
    return kernel, base


def initrd(
    folder: Path, words: bytes, guest: str = "guest.py", more: Sequence[Path] = ()
) -> tuple[Path, Path]:
    """The kernel and what it starts with: init.sh, the agent and the program that runs it. words:
    of that program. more: files for it, by their own names."""
    kept = build.OUT / "machine"
    kept.mkdir(parents=True, exist_ok=True)
    kernel, base = _parts(kept)
    foreign = own("debian-mipsel", folder)
    target = build.targets("debian.toml")["debian-mipsel"]
    binding = build.pcapy(target, "3.11", pcapy_source(), "libpcap.so.0.8")
    shutil.copy(binding, foreign.site / "pcapy.so")
    ours: list[tuple[str, Path | bytes]] = [
        ("init", HERE / "init.sh"), ("guest.py", HERE / guest), ("words", words),
        ("site", foreign.site), *tree(foreign.site, "site/"),
        *((path.name, path) for path in more),
    ]  # fmt: skip
    made = folder / "initrd"
    made.write_bytes(base.read_bytes() + cpio(iter(ours)))
    return kernel, made


def boot(kernel: Path, ram: Path, seconds: float, more: Sequence[str] = ()) -> list[str]:
    """Lines of the machine's console until it switched itself off, or so long. more: words for
    the emulator."""
    qemu = [
        need("qemu-system-mipsel"), "-M", "malta", "-cpu", "24Kc", "-m", "256",
        "-kernel", str(kernel), "-initrd", str(ram), "-append", "console=ttyS0 quiet panic=-1",
        "-nographic", "-vga", "none", "-no-reboot", "-monitor", "none",
        "-netdev", "user,id=host", "-device", "pcnet,netdev=host,romfile=", *more,
    ]  # fmt: skip
    console = ram.with_name("console")
    with console.open("wb") as out, contextlib.suppress(subprocess.TimeoutExpired):
        subprocess.run(qemu, stdin=subprocess.DEVNULL, stdout=out, stderr=out, timeout=seconds)
    return console.read_text(errors="replace").replace("\r", "").split("\n")
