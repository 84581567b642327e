# SPDX-License-Identifier: Apache-2.0
"""Series: the files of one rotated capture (tcpdump -C, -G and -W, dumpcap -b, logrotate), read one
after the other as one file."""

from __future__ import annotations

import os
import re
from array import array
from collections.abc import Iterator, Sequence
from glob import glob, has_magic

from algwatch.capture import kinds
from algwatch.capture.packets import Interface, Packets
from algwatch.capture.read import CaptureError, Reader, Stop, WalkingReader, open_reader, start_of

MOST_FILES = 10_000  # of a folder
OVERLAP = 1_000_000_000  # ns; the next file may begin this much before the end of the last
_PACKED = re.compile(r"(?:\.(?:gz|xz|zst|zstd|lz4|bz2))+$")
_TEXTS = (".txt", ".log", ".sip", ".trace")


class Overlap(Exception):
    """The files overlap in time: they are separate captures."""


class SeriesReader:
    """Several readers in sequence, as one. again: all of them can be read again."""

    def __init__(self, paths: Sequence[str], stop: Stop, most: int) -> None:
        self.interfaces: list[Interface] = []
        self.remarks: list[str] = []
        self.problem = ""
        self._paths = [path for _, path in ordered(paths, stop)]
        self._stop = stop
        self._most = most
        self._at = 0
        self._done = 0
        self._reader: Reader | None = None
        self._open()

    def _open(self) -> None:
        path = self._paths[self._at]
        self._reader, _ = open_reader(path, self._stop, self._most)
        self._base = len(self.interfaces)
        self._known = 0
        self._note_interfaces()

    def _note_interfaces(self) -> None:
        assert self._reader is not None
        self.interfaces += self._reader.interfaces[self._known :]
        self._known = len(self._reader.interfaces)

    def __iter__(self) -> Iterator[Packets]:
        problems: list[str] = []
        newest = 0
        while self._reader is not None:
            for packets in self._reader:
                self._note_interfaces()
                newest = max(newest, packets.last)
                yield self._moved(packets)
            path = self._paths[self._at]
            if self._reader.problem:
                problems.append(f"{os.path.basename(path)}: {self._reader.problem}")
            self.remarks += [f"{os.path.basename(path)}: {one}" for one in self._reader.remarks]
            self._done += self._reader.done
            self.close()
            self._at += 1
            if self._at < len(self._paths) and not self._stop.requested:
                path = self._paths[self._at]
                if newest - first_time(path, self._stop) > OVERLAP:
                    raise Overlap
                self._open()
        self.problem = "; ".join(problems[:3]) + (" ..." if len(problems) > 3 else "")

    @property
    def done(self) -> int:
        """Bytes read."""
        return self._done + (self._reader.done if self._reader is not None else 0)

    def _moved(self, packets: Packets) -> Packets:
        """With the numbers of its interfaces among those of all files."""
        if self._base:
            if packets.meta:
                packets.records[0] = array("I", packets.meta).tolist()
                packets.meta = b""
            packets.records = {self._base + i: some for i, some in packets.records.items()}
        return packets

    def close(self) -> None:
        if self._reader is not None:
            self._reader.close()
            self._reader = None


def first_time(path: str, stop: Stop) -> int:
    """The time of the first packet, ns; 0 without one."""
    reader = WalkingReader(path, stop, 1)
    try:
        return next((packets.last for packets in reader), 0)
    finally:
        reader.close()


def ordered(paths: Sequence[str], stop: Stop) -> list[tuple[int, str]]:
    """The files by the time of their first packets. CaptureError."""
    return sorted((first_time(path, stop), path) for path in paths)


def expanded(name: str) -> list[str]:
    """The captures in a folder, or the names of a pattern; else the name itself."""
    if name != "-" and os.path.isdir(name):
        found = [os.path.join(name, one) for one in sorted(os.listdir(name))[:MOST_FILES]]
        found = [one for one in found if _is_capture(one)]
        if not found:
            raise CaptureError(f"{name}: no capture is in this folder")
        return found
    if has_magic(name) and not os.path.lexists(name):
        found = sorted(glob(name))[:MOST_FILES]
        if not found:
            raise CaptureError(f"{name}: no file has such a name")
        return [one for one in found if not os.path.isdir(one)]
    return [name]


def _is_capture(path: str) -> bool:
    if os.path.basename(path).startswith(".") or not os.path.isfile(path):
        return False
    kind = kinds.kind_of(start_of(path) or b"")
    return (kind != kinds.TEXT and bool(kind)) or (
        kind == kinds.TEXT and path.lower().endswith(_TEXTS)
    )  # fmt: skip


def grouped(names: Sequence[str]) -> list[list[str]]:
    """Files in one folder with names that differ by digits only belong to one series."""
    groups: dict[str, list[str]] = {}
    for name in dict.fromkeys(names):
        folder, base = os.path.split(_PACKED.sub("", name))
        base = re.sub(r"\d+", "#", base)
        # tcpdump -C appends a number to all but the first.
        key = name if name == "-" or start_of(name) is None else os.path.join(folder, base)
        groups.setdefault(key, []).append(name)
    for key in [one for one in groups if f"{one}#" in groups]:
        groups[key] += groups.pop(f"{key}#")
    return list(groups.values())


def named(paths: Sequence[str]) -> str:
    """A name for a series."""
    return paths[0] if len(paths) == 1 else f"{paths[0]} and {len(paths) - 1} more"
