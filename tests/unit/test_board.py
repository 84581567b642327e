# SPDX-License-Identifier: Apache-2.0
"""What this router is, by its own files."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from algwatch.capture.board import LONGEST, read_board


def write(root: Path, files: dict[str, bytes]) -> str:
    for name, text in files.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_bytes(text)
    return str(root)


def test_openwrt_tells_model_board_and_release(tmp_path: Path) -> None:
    root = write(tmp_path, {
        "tmp/sysinfo/model": b"Acme R1 v2\n", "tmp/sysinfo/board_name": b"acme,r1-v2\n",
        "etc/openwrt_release": b"DISTRIB_ID='OpenWrt'\nDISTRIB_DESCRIPTION='OpenWrt 24.10.4 r1'\n",
        "etc/os-release": b'PRETTY_NAME="another"\n',
    })  # fmt: skip
    assert read_board(root) == {
        "model": "Acme R1 v2", "board": "acme,r1-v2", "firmware": "OpenWrt 24.10.4 r1",
        "kernel": os.uname().release, "machine": os.uname().machine,
    }  # fmt: skip


def test_another_system_tells_what_it_has(tmp_path: Path) -> None:
    root = write(tmp_path, {
        "proc/device-tree/model": b"Acme Board\0", "etc/os-release": b'PRETTY_NAME="Debian 12"\n',
    })  # fmt: skip
    said = read_board(root)
    assert (said["model"], said["firmware"]) == ("Acme Board", "Debian 12")
    assert "board" not in said


@pytest.mark.parametrize("text", [b"", b"\xff\xfe", b"a" * 5000, b"\x1b[2J", b"\n\n"])
def test_files_that_hold_nothing_useful_do_no_harm(tmp_path: Path, text: bytes) -> None:
    said = read_board(write(tmp_path, {"tmp/sysinfo/model": text}))
    assert said.get("model", "x").isprintable() and len(said.get("model", "")) <= LONGEST


def test_a_root_without_files_tells_the_kernel_alone(tmp_path: Path) -> None:
    assert set(read_board(str(tmp_path))) == {"kernel", "machine"}
