# SPDX-License-Identifier: Apache-2.0
"""A package before it is written: its fields and files, in memory, every file owned by root."""

from __future__ import annotations

import stat
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import PurePosixPath


@dataclass(frozen=True)
class File:
    """A regular file, or a symbolic link (mode 0o120777, data: its target)."""

    data: bytes
    mode: int = 0o644

    @property
    def is_link(self) -> bool:
        return stat.S_ISLNK(self.mode)


@dataclass
class Package:
    """version: as OpenWrt writes it ("0.1.0-r1"). arch: "all" for one without machine code.
    users: USERID of the Makefile ("name=1:group=1"). conffiles: paths, folders end in a slash.
    files: by absolute path. scripts: OpenWrt's "postinst-pkg" and the like. at: seconds, the time
    of every file."""

    name: str
    version: str
    arch: str
    title: str
    description: str
    license: str
    maintainer: str
    section: str
    depends: list[str]
    users: str = ""
    url: str = ""
    conffiles: list[str] = field(default_factory=list)
    files: dict[str, File] = field(default_factory=dict)
    scripts: dict[str, str] = field(default_factory=dict)
    at: int = 0

    def add(self, path: str, data: bytes | str, mode: int = 0o644) -> None:
        """path: absolute, each once."""
        assert path.startswith("/") and path not in self.files, path
        self.files[path] = File(data.encode() if isinstance(data, str) else data, mode)

    def folders(self) -> list[str]:
        """Every folder above a file, sorted, without the root."""
        found = {str(above) for path in self.files for above in PurePosixPath(path).parents}
        return sorted(found - {"/"})

    def sorted(self) -> Iterator[tuple[str, File]]:
        yield from sorted(self.files.items())

    def installed_size(self) -> int:
        """Bytes of all files."""
        return sum(len(file.data) for file in self.files.values())

    def keep(self) -> None:
        """Name the conffiles that are no file of the package to sysupgrade, as the SDK does."""
        kept = [path for path in self.conffiles if path not in self.files]
        if kept:
            self.add(f"/lib/upgrade/keep.d/{self.name}", "".join(f"{path}\n" for path in kept))
