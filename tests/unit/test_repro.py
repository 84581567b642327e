# SPDX-License-Identifier: Apache-2.0
"""Captures that were told wrongly once, beside the project (../shared/cases/repro), and the truth
of each. The golden captures hold the same kinds, made anew; these are the very files."""

from __future__ import annotations

import contextlib
import io
import json
from pathlib import Path
from typing import Any

import pytest
from algwatch.__main__ import main

REPRO = Path(__file__).resolve().parents[3] / "shared" / "cases" / "repro"

pytestmark = pytest.mark.skipif(not REPRO.is_dir(), reason="no ../shared/cases beside the project")

# State; outcomes of the calls; findings that are not harmless, as rule and place.
Truth = tuple[str, list[str], set[tuple[str, str]]]
DROPPED = {("DLG001", "unknown"), ("DLG007", "unknown")}  # by the timer of a callee
TRUTH: dict[str, Truth] = {
    "five_biginv": ("fine", ["completed"] * 5, set()),
    "two_bigok_slow_bigbye": ("fine", ["completed"] * 3, set()),
    "tcp_bye_200_in_two_segments.pcap": ("fine", ["completed"], set()),
    "ng_linktype.pcapng": ("fine", ["completed"], set()),
    "ng_snaplen.pcapng": ("fine", ["completed"], set()),
    "ack_same_branch.pcap": ("fine", ["completed"], {("TXN008", "unknown")}),
    "inb2_same_branch": (
        "fine", ["completed"] * 2,
        {("TXN008", "provider"), ("ALG001", "router"), ("ALG002", "router"), ("ALG011", "router")},
    ),
    "responses_never_reach_caller.pcap": ("hurts", ["dropped"], DROPPED),
    "record_route_link_local.pcap": (
        "hurts", ["ongoing"], {("DLG001", "unknown"), ("DLG005", "unknown")},
    ),
    "2xx_once_bye_by_caller_at_32s.pcap": ("hurts", ["dropped"], DROPPED),
    "tcp_alg_slow": (
        "fine", ["completed"], {("ALG001", "router"), ("ALG002", "router"), ("ALG011", "router")},
    ),
}  # fmt: skip
# Words that its findings have to say, and others that they must not.
SAID = {
    "responses_never_reach_caller.pcap": ("the responses do not reach it", "no ACK"),
    "record_route_link_local.pcap": ("its Record-Route sends the ACK to 169.254.151.86", "Contact"),
    "2xx_once_bye_by_caller_at_32s.pcap": ("never acknowledged and not repeated", "again"),
    "ack_same_branch.pcap": ("has the branch of its INVITE", "no ACK"),
    "inb2_same_branch": ("has the branch of its INVITE", "no ACK"),
    "tcp_alg_slow": ("its NAT mapping does not say so", "mapping says"),
}


def told(name: str) -> dict[str, Any]:
    files = [str(REPRO / name)]
    if not Path(name).suffix:
        files = ["--lan", f"{files[0]}.lan.pcap", "--wan", f"{files[0]}.wan.pcap"]
    out = io.StringIO()
    with contextlib.redirect_stdout(out):
        main(["analyze", "--json", *files])
    verdict: dict[str, Any] = json.loads(out.getvalue())
    return verdict


def test_every_file_has_its_truth() -> None:
    assert {p.name.replace(".lan.pcap", "") for p in REPRO.iterdir()
            if not p.name.endswith(".wan.pcap")} == set(TRUTH)  # fmt: skip


@pytest.mark.parametrize("name", TRUTH)
def test_what_was_told_wrongly_is_told_right(name: str) -> None:
    state, outcomes, harm = TRUTH[name]
    verdict = told(name)
    findings = [f for f in verdict["findings"] if f["harm"] != "none"]
    assert verdict["verdict"]["state"] == state
    assert [call["outcome"] for call in verdict["calls"]] == outcomes
    assert {(f["rule"], f["where"]) for f in findings} == harm
    assert verdict["advice"] == []
    words = " ".join(f["summary"] for f in findings)
    must, must_not = SAID.get(name, ("", "\0"))
    assert must in words
    assert must_not not in words
