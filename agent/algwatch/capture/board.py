# SPDX-License-Identifier: Apache-2.0
"""Board: model, firmware and kernel of this router, from its own files."""

from __future__ import annotations

import os
import re

from algwatch import files

MOST = 4096  # bytes read of a file
LONGEST = 80  # characters of a name

# OpenWrt writes the first of each pair (package/base-files, lib/preinit/02_sysinfo); other systems
# have the second.
_MODEL = ("tmp/sysinfo/model", "proc/device-tree/model", "sys/class/dmi/id/product_name")
_SERIAL = ("proc/device-tree/serial-number", "sys/class/dmi/id/product_serial")
# The texts of makers without serial numbers (dmidecode knows more).
_UNFIT = re.compile(r"[^A-Za-z0-9_.-]+")
_NO_SERIAL = re.compile(
    "0*|f*|none|n/a|unknown|default.*|to be filled.*|system.*|not.*|123456789?0?", re.I
)
_BOARD = ("tmp/sysinfo/board_name",)
_FIRMWARE = (
    ("etc/openwrt_release", re.compile(rb"^DISTRIB_DESCRIPTION=['\"]?([^'\"\n]*)", re.M)),
    ("etc/os-release", re.compile(rb"^PRETTY_NAME=['\"]?([^'\"\n]*)", re.M)),
)


def read_board(root: str = "/") -> dict[str, str]:
    """model, board, firmware, kernel and machine (uname(2)); a word is absent if no file has it.
    root: of the files (tests)."""
    kernel = os.uname()
    said = {
        "model": _first(root, _MODEL),
        "board": _first(root, _BOARD),
        "firmware": _firmware(root),
        "kernel": _plain(kernel.release.encode()),
        "machine": _plain(kernel.machine.encode()),
    }
    return {word: text for word, text in said.items() if text}


def serial_number(root: str = "/") -> str:
    """The serial number as an id of the fleet: letters, digits, '-', '_' and '.'; "" without
    one."""
    text = _first(root, _SERIAL)
    if _NO_SERIAL.fullmatch(text) or len(text) < 4:
        return ""
    return _UNFIT.sub("-", text)[:64].strip("-._")


def _first(root: str, paths: tuple[str, ...]) -> str:
    return next((text for path in paths if (text := _plain(_read(root, path)))), "")


def _firmware(root: str) -> str:
    for path, name in _FIRMWARE:
        found = name.search(_read(root, path))
        if found and (text := _plain(found[1])):
            return text
    return ""


def _read(root: str, path: str) -> bytes:
    try:
        return files.read(os.path.join(root, path), MOST) or b""
    except files.FileError:
        return b""


def _plain(text: bytes) -> str:
    """One line of printable ASCII: it goes into reports and onto terminals."""
    words = text.partition(b"\0")[0].decode("ascii", "replace").split()
    return "".join(c for c in " ".join(words) if c.isprintable() and c.isascii())[:LONGEST]
