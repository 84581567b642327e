# SPDX-License-Identifier: Apache-2.0
"""Reads an apk v3 without a line of what writes it, from apk-v3(5) alone. Everything is checked on
the way: lengths, padding, order, the sums of files, that each file has its data once."""

from __future__ import annotations

import hashlib
import struct
import zlib
from typing import Any, NamedTuple

INFO = ("name", "version", "hashes", "description", "arch", "license", "origin", "maintainer",
        "url", "repo-commit", "build-time", "installed-size", "file-size", "provider-priority",
        "depends")  # fmt: skip
SCRIPTS = ("trigger", "pre-install", "post-install", "pre-deinstall", "post-deinstall",
           "pre-upgrade", "post-upgrade")  # fmt: skip


class Entry(NamedTuple):
    mode: int
    user: str
    group: str
    time: int
    data: bytes
    target: str


class Apk(NamedTuple):
    info: dict[str, Any]
    folders: list[str]
    files: dict[str, Entry]
    scripts: dict[str, str]


class _Block:
    def __init__(self, data: bytes) -> None:
        self.data = data
        assert data[:4] == bytes(4), "version of the format"

    def word(self, at: int) -> int:
        (value,) = struct.unpack_from("<I", self.data, at)
        return int(value)

    def number(self, value: int) -> int:
        kind, rest = value >> 28, value & 0x0FFFFFFF
        if kind == 1:
            return rest
        assert kind in (2, 3) and rest % 4 == 0
        return int.from_bytes(self.data[rest : rest + (4 if kind == 2 else 8)], "little")

    def blob(self, value: int) -> bytes:
        if value == 0:
            return b""
        kind, at = value >> 28, value & 0x0FFFFFFF
        width = {8: 1, 9: 2, 10: 4}[kind]
        assert at % width == 0
        size = int.from_bytes(self.data[at : at + width], "little")
        found = self.data[at + width : at + width + size]
        assert len(found) == size
        return found

    def text(self, value: int) -> str:
        return self.blob(value).decode()

    def slots(self, value: int) -> list[int]:
        """From slot 1 on; slot 0 is their number and not among them."""
        if value == 0:
            return []
        kind, at = value >> 28, value & 0x0FFFFFFF
        assert kind in (13, 14) and at % 4 == 0
        return [self.word(at + 4 * n) for n in range(1, self.word(at))]

    def named(self, value: int, names: tuple[str, ...]) -> dict[str, int]:
        return dict(zip(names, self.slots(value), strict=False))


def _blocks(data: bytes) -> list[tuple[int, bytes]]:
    assert data[:8] == b"ADB.pckg"
    at, found = 8, []
    while at < len(data):
        (head,) = struct.unpack_from("<I", data, at)
        size = head & 0x3FFFFFFF
        found.append((head >> 30, data[at + 4 : at + size]))
        padding = data[at + size : at + size + -size % 8]
        assert len(data[at : at + size]) == size and not any(padding)
        at += size + -size % 8
    assert at == len(data)
    return found


def read(data: bytes) -> Apk:
    """AssertionError when anything about the file is not as it should be."""
    assert data[:4] == b"ADBd"
    (kind, first), *rest = _blocks(zlib.decompress(data[4:], -15))
    assert kind == 0
    block = _Block(first)
    parts = block.named(block.word(4), ("info", "paths", "scripts"))
    info: dict[str, Any] = {}
    for name, value in block.named(parts["info"], INFO).items():
        if not value:
            continue
        if name == "depends":
            info[name] = [block.text(block.slots(slot)[0]) for slot in block.slots(value)]
        elif name in ("installed-size", "file-size"):
            info[name] = block.number(value)
        else:
            info[name] = block.blob(value) if name == "hashes" else block.text(value)
    assert info["depends"] == sorted(set(info["depends"]))

    contents = {}
    for kind, part in rest:
        assert kind == 2
        place = struct.unpack_from("<II", part)
        assert place not in contents
        contents[place] = part[8:]
    assert list(contents) == sorted(contents)

    folders: list[str] = []
    files: dict[str, Entry] = {}
    for index, slot in enumerate(block.slots(parts["paths"]), 1):
        folder = block.named(slot, ("name", "acl", "files"))
        path = block.text(folder["name"])
        assert not folders or path > folders[-1]
        folders.append(path)
        assert block.number(block.slots(folder["acl"])[0]) == 0o755
        names = []
        for number, inside in enumerate(block.slots(folder.get("files", 0)), 1):
            label, acl, size, when, digest, target = [*block.slots(inside), 0, 0][:6]
            names.append(block.text(label))
            mode, user, group = block.slots(acl)
            content = b"" if target else contents.pop((index, number), b"")
            assert len(content) == block.number(size) or target
            if not target:
                assert hashlib.sha256(content).digest() == block.blob(digest)
            files[f"/{path}/{names[-1]}".replace("//", "/")] = Entry(
                block.number(mode), block.text(user), block.text(group), block.number(when),
                content, block.blob(target)[2:].decode(),
            )  # fmt: skip
        assert names == sorted(names)
    assert not contents
    scripts = {
        name: block.text(value)
        for name, value in block.named(parts.get("scripts", 0), SCRIPTS).items()
        if value
    }
    blank = first.replace(info["hashes"], bytes(20), 1)
    assert hashlib.sha256(blank).digest()[:20] == info["hashes"]
    return Apk(info, folders, files, scripts)
