# SPDX-License-Identifier: Apache-2.0
"""The status file of a real daemon: there soon, right, whole through a full disk and kill -9."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from brokers import until
from small_disk import fill, small_disk
from test_daemon import AGENT, Agent, Router, _allowed, register, router, run

__all__ = ["_allowed", "router", "run"]  # fixtures


def state(path: Path) -> dict[str, Any]:
    """Raises where the file is not whole."""
    text = path.read_bytes()
    read: dict[str, Any] = json.loads(text) if text else {}
    return read


def shown(path: Path, *words: str) -> tuple[int, str]:
    done = subprocess.run(
        [sys.executable, "-m", "algwatch", "status", "--file", str(path), *words],
        env=dict(os.environ, PYTHONPATH=str(AGENT)), capture_output=True, text=True,
    )  # fmt: skip
    return done.returncode, done.stdout + done.stderr


def test_the_file_tells_what_crossed_until_the_daemon_is_gone(
    router: Router, run: Callable[..., Agent], tmp_path: Path
) -> None:
    path = tmp_path / "status.json"
    agent = run("--status-file", str(path))
    assert until(path.exists, 10), agent.said
    assert shown(path)[1].startswith("Cannot tell ")
    router.crosses(register(1, "192.168.1.10", "192.168.1.10"),
                   register(1, "198.51.100.2:1024", "198.51.100.77:9"))  # fmt: skip
    assert until(lambda: state(path)["findings"], 15), agent.said
    read = state(path)
    found = next(f for f in read["findings"] if f["rule"] == "ALG001")
    contacts = {look["side"]: next(line for line in look["message"] if line.startswith("Contact"))
                for look in found["evidence"]}  # fmt: skip
    assert contacts["lan"] != contacts["wan"]
    assert contacts["wan"].endswith("@198.51.100.77:9>")
    assert read["health"]["taps"]["br-lan"]["side"] == "lan" and read["running"]
    assert not any(word in path.read_text() for word in ("wanda", "secret-", "0123456789abcdef"))
    code, text = shown(path)
    assert code != 2 and "br-lan (lan): watched" in text and "ALG001" in text
    assert agent.stop()[0] == 0
    assert not state(path)["running"] and shown(path)[0] == 3
    assert "The daemon was stopped" in shown(path)[1]


def test_a_killed_daemon_leaves_a_whole_file_and_the_next_one_takes_its_place(
    router: Router, run: Callable[..., Agent], tmp_path: Path
) -> None:
    path = tmp_path / "status.json"
    agent = run("--status-file", str(path))
    assert until(path.exists, 10)
    agent.stop(signal.SIGKILL)
    first = state(path)
    assert first["running"] and shown(path, "--json")[0] == 3  # fresh still, and nothing was seen
    path.with_name("status.json.new").write_bytes(b"{")  # of a kill in the middle
    other = run("--status-file", str(path))
    assert until(lambda: state(path)["started"] > first["started"], 10), other.said
    assert not path.with_name("status.json.new").exists()


def test_a_full_disk_and_a_missing_folder_are_told_once_and_stop_nothing(
    router: Router, run: Callable[..., Agent], tmp_path: Path
) -> None:
    nowhere = run("--status-file", str(tmp_path / "no" / "status.json"))
    with small_disk(tmp_path / "disk") as disk:
        fill(disk)
        path = disk / "status.json"
        agent = run("--status-file", str(path))
        assert agent.heard("No space left on device"), agent.said
        assert nowhere.heard("No such file or directory"), nowhere.said
        router.crosses(register(1, "192.168.1.10", "192.168.1.10"),
                       register(1, "198.51.100.2:1024", "198.51.100.77:9"))  # fmt: skip
        assert agent.heard("ALG001")
        assert not path.exists() and not path.with_name("status.json.new").exists()
        (disk / "ballast").unlink()
        assert agent.heard("is written again"), agent.said
        assert state(path)["findings"]
        assert agent.stop()[0] == 0
    assert nowhere.heard("ALG001")
    assert sum("cannot be written" in line for line in nowhere.said) == 1
    assert nowhere.stop()[0] == 0
