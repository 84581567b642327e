# SPDX-License-Identifier: Apache-2.0
"""The same seven messages come out of every link layer, tunnel, cut and shuffle."""

from __future__ import annotations

import contextlib
import io
import json
from pathlib import Path
from typing import Any

import pytest
from algwatch.__main__ import main
from algwatch.base.native import layout
from algwatch.base.native.rows import Counts
from algwatch.capture.pcap import CaptureFile

from encap.captures import Capture, all_captures
from encap.dialog import CALL_ID, messages

CAPTURES = all_captures()


def analyze(path: Path) -> dict[str, Any]:
    """In this process: a start takes longer than all the rest."""
    said, errors = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(said), contextlib.redirect_stderr(errors):
        status = main(["analyze", "--json", str(path)])
    assert status in (0, 3), errors.getvalue()
    assert errors.getvalue() == ""
    verdict: dict[str, Any] = json.loads(said.getvalue())
    assert verdict["verdict"]["state"] == ("cannot-tell" if status else "fine")
    return verdict


def save(capture: Capture, directory: Path) -> Path:
    path = directory / "capture.pcap"
    path.write_bytes(capture.pcap())
    return path


def found(path: Path) -> tuple[str, list[bytes]]:
    """The transport, and the messages that come out of capture and reassembly, in any order."""
    whole, transports = [], set()
    for batch in CaptureFile(str(path), 0, (5060,), Counts()):
        for row in layout.ROW.iter_unpack(batch.rows):
            if row[13] == layout.KIND_SIP:
                whole.append(bytes(batch.buffer[row[8] : row[8] + row[9]]).lstrip(b"\r\n"))
                transports.add("TCP" if row[12] & layout.ROW_TCP else "UDP")
    return "".join(transports), sorted(whole)


@pytest.mark.parametrize("name", CAPTURES)
def test_the_messages_are_those_that_were_sent_byte_for_byte(name: str, tmp_path: Path) -> None:
    capture = CAPTURES[name]
    transport, whole = found(save(capture, tmp_path))
    sent = [text for _, text in messages(transport)] if capture.found else []
    if capture.found == 6:
        del sent[2]  # one of its fragments is missing
    assert whole == sorted(sent)


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
    state = verdict["verdict"]["state"]
    if not capture.found:
        assert (calls, state) == ([], "cannot-tell")
        return
    assert state == "fine"
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
