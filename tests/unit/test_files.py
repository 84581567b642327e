# SPDX-License-Identifier: Apache-2.0
"""Small files: whole or not at all, whatever happens between (files.py)."""

from __future__ import annotations

import os
import resource
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from algwatch import files

ROOT = Path(__file__).parents[2]


def test_a_new_file_is_whole_and_its_owners_alone(tmp_path: Path) -> None:
    path = str(tmp_path / "key")
    before = os.umask(0)
    try:
        assert files.create(path, b"abc")
    finally:
        os.umask(before)
    assert files.read_secret(path, 3) == b"abc"
    assert os.stat(path).st_mode & 0o777 == 0o600
    assert os.listdir(tmp_path) == ["key"]


def test_a_file_that_another_process_wrote_first_stays(tmp_path: Path) -> None:
    path = str(tmp_path / "key")
    assert files.create(path, b"first")
    assert not files.create(path, b"second")
    assert files.read(path, 99) == b"first"
    assert os.listdir(tmp_path) == ["key"]


def test_replacing_leaves_the_old_file_when_there_is_no_room(tmp_path: Path) -> None:
    path = str(tmp_path / "state")
    files.replace(path, b"old")
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    handler = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1000, hard))
    try:
        with pytest.raises(OSError, match="too large"):
            files.replace(path, bytes(5000))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
        signal.signal(signal.SIGXFSZ, handler)
    assert files.read(path, 99) == b"old"
    assert os.listdir(tmp_path) == ["state"]
    files.replace(path, b"new")
    assert files.read(path, 99) == b"new"


def test_what_a_killed_process_left_hinders_nobody(tmp_path: Path) -> None:
    path = str(tmp_path / "key")
    (tmp_path / "key.new").write_bytes(b"hal")
    assert files.create(path, b"whole")
    assert files.read(path, 99) == b"whole"
    assert os.listdir(tmp_path) == ["key"]


def test_a_link_in_the_place_of_the_new_file_is_not_followed(tmp_path: Path) -> None:
    victim = tmp_path / "victim"
    victim.write_bytes(b"precious")
    (tmp_path / "key.new").symlink_to(victim)
    assert files.create(str(tmp_path / "key"), b"whole")
    assert victim.read_bytes() == b"precious"


def test_killed_at_any_system_call_the_file_is_old_or_new(tmp_path: Path) -> None:
    path = tmp_path / "state"
    path.write_bytes(b"old" * 1000)
    program = f"""
import sys
sys.path.insert(0, {str(ROOT / "agent")!r})
import os, signal
from algwatch import files
count = 0
def hook(event, args):
    global count
    if event.startswith(("os.", "open")) and (count := count + 1) == int(sys.argv[1]):
        os.kill(os.getpid(), signal.SIGKILL)
sys.addaudithook(hook)
files.replace({str(path)!r}, b"new" * 1000)
"""
    outcomes = set()
    for step in range(1, 30):
        run = subprocess.run([sys.executable, "-c", program, str(step)], timeout=20)
        outcomes.add(path.read_bytes())
        if run.returncode == 0:
            break
        assert run.returncode == -signal.SIGKILL
    assert run.returncode == 0, "no step was left to be killed at"
    assert outcomes <= {b"old" * 1000, b"new" * 1000}
    assert len(outcomes) == 2
    assert os.listdir(tmp_path) == ["state"]


def test_what_is_no_file_or_too_large_is_named(tmp_path: Path) -> None:
    assert files.read(str(tmp_path / "none"), 9) is None
    assert files.read_secret(str(tmp_path / "none"), 9) is None
    fifo = str(tmp_path / "fifo")
    os.mkfifo(fifo)
    for path, why in ((fifo, "no regular file"), ("/dev/zero", "no regular file"),
                      (str(tmp_path), "no regular file")):  # fmt: skip
        with pytest.raises(files.FileError, match=f"^{path}: this is {why}"):
            files.read(path, 9)
    large = tmp_path / "large"
    large.write_bytes(bytes(10))
    with pytest.raises(files.FileError, match="larger than 9 bytes"):
        files.read(str(large), 9)
