"""The same seven messages come out of every link layer, tunnel, cut and shuffle."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from encap.captures import Capture, all_captures
from encap.dialog import CALL_ID

ROOT = Path(__file__).resolve().parents[2]
CAPTURES = all_captures()


def analyze(path: Path) -> dict[str, Any]:
    environment = {**os.environ, "PYTHONPATH": str(ROOT / "agent")}
    run = subprocess.run(
        [sys.executable, "-m", "algwatch", "analyze", "--json", str(path)],
        capture_output=True, text=True, env=environment, timeout=60,
    )  # fmt: skip
    assert run.returncode in (0, 1), run.stderr
    assert run.stderr == ""
    verdict: dict[str, Any] = json.loads(run.stdout)
    return verdict


def save(capture: Capture, directory: Path) -> Path:
    path = directory / "capture.pcap"
    path.write_bytes(capture.pcap())
    return path


@pytest.mark.parametrize("name", CAPTURES)
def test_the_whole_call_is_found_in(name: str, tmp_path: Path) -> None:
    capture = CAPTURES[name]
    verdict = analyze(save(capture, tmp_path))
    numbers = verdict["capture"]
    assert numbers["sip_messages"] == capture.found
    assert numbers["packets"] == len(capture.frames)
    assert numbers["malformed"] == numbers["truncated"] == numbers["duplicates"] == 0
    assert numbers.get("incomplete", 0) == (capture.found == 6)
    assert numbers.get("conflicts", 0) == 0
    calls = verdict["calls"]
    if not capture.found:
        assert calls == []
        return
    (call,) = calls
    assert call["call_id"] == CALL_ID
    assert (call["outcome"], call["ack"]) == ("completed", "seen")
    assert (call["invite_retransmissions"], call["final_retransmissions"]) == (0, 0)


def test_a_websocket_is_recognised_and_counted(tmp_path: Path) -> None:
    numbers = analyze(save(CAPTURES["WebSocket, left alone"], tmp_path))["capture"]
    assert numbers["websockets"] == 1


def test_messages_that_tcp_sent_again_are_counted(tmp_path: Path) -> None:
    numbers = analyze(save(CAPTURES["TCP, whole messages retransmitted"], tmp_path))["capture"]
    assert numbers["repeated"] == 7
