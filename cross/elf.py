# SPDX-License-Identifier: Apache-2.0
"""ELF files of both sizes and byte orders: their facts, and without the parts that no loader reads.

Source: elf(5); System V ABI, chapters 4 and 5.
"""

from __future__ import annotations

import struct
from pathlib import Path
from typing import NamedTuple

DYNAMIC, LOAD = 2, 1  # p_type
NEEDED, SONAME, STRTAB = 1, 14, 5  # d_tag
MACHINES = {
    3: "x86", 8: "mips", 20: "powerpc", 21: "powerpc64", 22: "s390", 40: "arm", 62: "x86_64",
    183: "aarch64", 243: "riscv", 258: "loongarch",
}  # fmt: skip


class ElfError(ValueError):
    """Not a shared object that can be read."""


class Elf(NamedTuple):
    machine: str
    bits: int
    big: bool
    needed: tuple[str, ...]
    align: int  # bytes, the largest of a loaded segment


class _File(NamedTuple):
    data: bytes
    order: str
    wide: bool
    segments: list[tuple[int, int, int, int, int]]  # type, offset, address, bytes, align


def _open(data: bytes) -> _File:
    try:
        if data[:4] != b"\x7fELF":
            raise ElfError("not an ELF file")
        wide, order = data[4] == 2, ">" if data[5] == 2 else "<"
        (at,) = struct.unpack_from(order + ("Q" if wide else "I"), data, 32 if wide else 28)
        each, count = struct.unpack_from(order + "HH", data, 54 if wide else 42)
        segments = []
        for start in range(at, at + each * count, each):
            if wide:
                kind, _, offset, address, _, size, _, align = struct.unpack_from(
                    order + "IIQQQQQQ", data, start
                )
            else:
                kind, offset, address, _, size, _, _, align = struct.unpack_from(
                    order + "8I", data, start
                )
            segments.append((kind, offset, address, size, align))
        return _File(data, order, wide, segments)
    except (struct.error, IndexError) as problem:
        raise ElfError(f"damaged: {problem}") from None


def _dynamic(file: _File) -> list[tuple[int, int]]:
    form = file.order + ("qQ" if file.wide else "iI")
    for kind, offset, _, size, _ in file.segments:
        if kind == DYNAMIC:
            return [*struct.iter_unpack(form, file.data[offset : offset + size])]
    raise ElfError("not a shared object")


def _at(file: _File, address: int) -> int:
    """The place in the file of an address in memory."""
    for kind, offset, start, size, _ in file.segments:
        if kind == LOAD and start <= address < start + size:
            return offset + address - start
    raise ElfError(f"address {address:#x} is in no segment")


def read(path: Path) -> Elf:
    """ElfError."""
    file = _open(path.read_bytes())
    entries = _dynamic(file)
    strings = _at(file, next(value for tag, value in entries if tag == STRTAB))
    needed = []
    for tag, value in entries:
        if tag == NEEDED:
            start = strings + value
            needed.append(file.data[start : file.data.index(b"\0", start)].decode())
    (machine,) = struct.unpack_from(file.order + "H", file.data, 18)
    return Elf(
        MACHINES.get(machine, str(machine)), 64 if file.wide else 32, file.order == ">",
        tuple(needed), max(align for kind, *_, align in file.segments if kind == LOAD),
    )  # fmt: skip


def drop_sections(path: Path) -> None:
    """Cut off the table of sections, and the sections behind the last segment: loaders read neither
    (`sstrip` does the same). On MIPS they are a tenth of the file. ElfError."""
    data = bytearray(path.read_bytes())
    file = _open(bytes(data))
    end = max(offset + size for _, offset, _, size, _ in file.segments)
    if file.wide:
        struct.pack_into(file.order + "Q", data, 40, 0)  # e_shoff
        struct.pack_into(file.order + "HH", data, 60, 0, 0)  # e_shnum, e_shstrndx
    else:
        struct.pack_into(file.order + "I", data, 32, 0)
        struct.pack_into(file.order + "HH", data, 48, 0, 0)
    path.write_bytes(data[:end])
