# SPDX-License-Identifier: Apache-2.0
"""Copies: files replaced by a change, saved once beside its journal, and restored byte for byte."""

from __future__ import annotations

import errno
import hashlib
import os
import stat

from algwatch import files

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

MOST = 4 << 20  # bytes of a configuration or a ruleset


def save(folder: str, name: str, data: bytes) -> str:
    """Returns the hash of it, for the journal. OSError: nothing was saved, or another file is there
    already, or it is too large for load()."""
    path = os.path.join(folder, name)
    if len(data) > MOST:
        raise OSError(errno.EFBIG, f"more than {MOST} bytes, and cannot be put back", path)
    if not files.create(path, data) and files.read(path, MOST) != data:
        raise OSError(f"{path} is there already")
    return digest(data)


def load(folder: str, name: str, wanted: str) -> bytes | None:
    """The saved copy; None if it is gone or damaged (another hash than `wanted`)."""
    try:
        data = files.read(os.path.join(folder, name), MOST)
    except files.FileError:
        return None
    return data if data is not None and digest(data) == wanted else None


def digest(data: bytes | None) -> str:
    """Hash for the journal; "" for a missing file."""
    return "" if data is None else hashlib.sha256(data).hexdigest()


def owner(path: str) -> dict[str, Any]:
    """Mode and owner, for the journal. OSError."""
    status = os.stat(path)
    return {"mode": stat.S_IMODE(status.st_mode), "uid": status.st_uid, "gid": status.st_gid}


def install(path: str, data: bytes, whose: dict[str, Any]) -> None:
    """Replace a file, or the target of a link. A power cut leaves the old file or the new one.
    OSError: the old file."""
    owner = whose["uid"], whose["gid"]
    files.replace(os.path.realpath(path), data, whose["mode"], owner)
