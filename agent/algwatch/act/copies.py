# SPDX-License-Identifier: Apache-2.0
"""Copies: what a change replaces, saved once beside its journal, and put back byte for byte."""

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
    """Returns the hash of it, for the journal. OSError: nothing was saved, or something else lies
    there already, or it is more than load() reads."""
    path = os.path.join(folder, name)
    if len(data) > MOST:
        raise OSError(errno.EFBIG, f"more than {MOST} bytes, and cannot be put back", path)
    if not files.create(path, data) and files.read(path, MOST) != data:
        raise OSError(f"{path} is there already")
    return digest(data)


def load(folder: str, name: str, wanted: str) -> bytes | None:
    """What was saved; None where it is gone or damaged (another hash than `wanted`)."""
    try:
        data = files.read(os.path.join(folder, name), MOST)
    except files.FileError:
        return None
    return data if data is not None and digest(data) == wanted else None


def digest(data: bytes | None) -> str:
    """ "" of a file that is not there."""
    return "" if data is None else hashlib.sha256(data).hexdigest()


def owner(path: str) -> dict[str, Any]:
    """Mode and owner, for the journal. OSError."""
    status = os.stat(path)
    return {"mode": stat.S_IMODE(status.st_mode), "uid": status.st_uid, "gid": status.st_gid}


def install(path: str, data: bytes, whose: dict[str, Any]) -> None:
    """Replace a file, or that to which a link leads; a cut of power leaves the old one or the new
    one. OSError: the old one."""
    owner = whose["uid"], whose["gid"]
    files.replace(os.path.realpath(path), data, whose["mode"], owner)
