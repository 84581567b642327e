# SPDX-License-Identifier: Apache-2.0
"""Files that one daemon alone may use."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest
from algwatch.base.clock import PacketClock
from algwatch.base.packet import LAN, WAN, Tap
from algwatch.pipeline import Pipeline
from algwatch.report.keeper import opened
from algwatch.report.lock import Busy, lock

OTHER = """
import sys
from algwatch.report.lock import lock
lock(sys.argv[1], "spool", create=True)
print("has it", flush=True)
sys.stdin.read()
"""


def test_a_lock_ends_with_its_process_even_a_killed_one(tmp_path: Path) -> None:
    path = str(tmp_path / "lock")
    other = subprocess.Popen([sys.executable, "-c", OTHER, path], stdin=subprocess.PIPE,
                             stdout=subprocess.PIPE, text=True)  # fmt: skip
    assert other.stdout is not None and other.stdout.readline() == "has it\n"
    with pytest.raises(Busy, match="stop that one, or give this one a flash of its own"):
        lock(path, "flash")
    other.kill()
    other.communicate()
    os.close(lock(path, "flash"))


def test_a_link_in_place_of_a_lock_is_not_followed(tmp_path: Path) -> None:
    (tmp_path / "lock").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(OSError, match="symbolic links"):
        lock(str(tmp_path / "lock"), "state", create=True)
    assert not (tmp_path / "elsewhere").exists()


def test_two_agents_do_not_share_a_state(tmp_path: Path) -> None:
    path = tmp_path / "state"
    said: list[str] = []
    taps = [Tap("br-lan", LAN), Tap("wan", WAN)]
    clock = PacketClock(time.monotonic_ns, time.time_ns)
    knowledge = Pipeline(taps, live=True).knowledge
    first = opened(str(path), knowledge, taps, clock, None, said.append)
    assert first is not None and not first.take() and path.exists()
    assert opened(str(path), knowledge, taps, clock, None, said.append) is None
    assert said == [
        f"state {path} is not kept, a restart begins anew: another algwatch uses it: stop that "
        "one, or give this one a state of its own"
    ]


def test_a_state_in_a_folder_that_is_not_there_is_told_by_its_first_write(tmp_path: Path) -> None:
    said: list[str] = []
    taps = [Tap("br-lan", LAN)]
    clock = PacketClock(time.monotonic_ns, time.time_ns)
    knowledge = Pipeline(taps, live=True).knowledge
    keeper = opened(str(tmp_path / "no" / "state"), knowledge, taps, clock, None, said.append)
    assert keeper is not None and not keeper.take()
    assert len(said) == 1 and "No such file" in said[0]
