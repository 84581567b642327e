# SPDX-License-Identifier: Apache-2.0
"""A busy router that writes another Call-ID into every other call: each call is told once."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest
from test_golden import analyze

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "bench"))

import make_calls

CALLS = 6_411
FEW = 1_500


def write_pair(folder: Path, calls: int) -> None:
    """Both sides of so many calls; every tenth loses its ACK, every other has another Call-ID on
    the WAN side, in all of its messages."""
    lan = make_calls.Side(folder / "lan.pcap", make_calls.LAN, False)
    wan = make_calls.Side(folder / "wan.pcap", make_calls.WAN, False)
    changed: dict[make_calls.Call, bool] = {}
    traffic = make_calls.traffic(calls, calls // 10)
    for count, (at, by_phone, call, text) in enumerate(traffic, 1):
        lan.put(at, by_phone, call, text, count)
        if changed.setdefault(call, len(changed) % 2 == 1):
            text = text.replace("Call-ID: ", "Call-ID: nat-")
        wan.put(at, by_phone, call, text, count)
    lan.close()
    wan.close()


def counted(folder: Path, calls: int) -> tuple[int, int, int]:
    """Calls, distinct Call-IDs, and lost ACKs that are told of `calls` calls."""
    write_pair(folder, calls)
    status, text, errors = analyze(
        "--lan", str(folder / "lan.pcap"), "--wan", str(folder / "wan.pcap")
    )
    said = json.loads(text)
    assert (status, errors, said["verdict"]["state"]) == (1, "", "hurts")
    lost = {f["call_id"] for f in said["findings"] if f["rule"] == "DLG001"}
    return len(said["calls"]), len({c["call_id"] for c in said["calls"]}), len(lost)


@pytest.mark.parametrize("calls", [CALLS, FEW])
def test_a_changed_call_id_makes_no_call_more_and_hides_no_lost_ack(
    calls: int, tmp_path: Path
) -> None:
    assert counted(tmp_path, calls) == (calls, calls, calls // 10)
