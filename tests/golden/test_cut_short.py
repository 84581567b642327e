# SPDX-License-Identifier: Apache-2.0
"""Less of a capture never gives more advice: one side begins later, or ends earlier."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from algwatch.__main__ import main
from cases import CASES
from craft import packets_of, pcap

HERE = Path(__file__).parent
CUTS = 4  # a capture and kind of cut
EACH = {"txn008-branch-of-the-invite", "alg011-near-miss-ack-from-another-port"}  # at each packet
# What speaks against the advice lies in front of the cut: an earlier call whose ACK came to the
# Contact that the router writes. What is left shows harm, and the advice is a trial.
COUNTER_EVIDENCE_IS_CUT = {"alg011-contact-port-reached-before"}
TWO_FILES = [
    name for name in CASES
    if (HERE / name / "lan.pcap").exists() and (HERE / name / "wan.pcap").exists()
]  # fmt: skip


def disable(
    folder: Path, lan: list[Any], wan: list[Any], capsys: pytest.CaptureFixture[str]
) -> str:
    """State of the advice to turn the ALG off, "" where there is none."""
    paths = [folder / "lan.pcap", folder / "wan.pcap"]
    for path, packets in zip(paths, (lan, wan), strict=True):
        path.write_bytes(pcap(packets))
    main(["analyze", "--json", "--lan", str(paths[0]), "--wan", str(paths[1])])
    said = json.loads(capsys.readouterr().out)["advice"]
    states = [a["state"] for a in said if a["action"] == "disable-sip-alg"]
    return "".join(state for state in states if state != "none")


@pytest.mark.parametrize("name", TWO_FILES)
def test_a_capture_cut_on_one_side_advises_no_more_than_the_whole(
    name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    lan, wan = (packets_of((HERE / name / f"{s}.pcap").read_bytes()) for s in ("lan", "wan"))
    if name in COUNTER_EVIDENCE_IS_CUT or disable(tmp_path, lan, wan, capsys):
        return
    moments = sorted({at for at, _ in lan + wan})
    for moment in moments[1 :: 1 if name in EACH else max(1, len(moments) // CUTS)]:
        cut = moment - 50_000
        for lan_from, wan_from, lan_to, wan_to in ((cut, 0, 0, 0), (0, cut, 0, 0),
                                                   (0, 0, cut, 0), (0, 0, 0, cut)):  # fmt: skip
            one = [p for p in lan if p[0] > lan_from and (not lan_to or p[0] < lan_to)]
            two = [p for p in wan if p[0] > wan_from and (not wan_to or p[0] < wan_to)]
            if one and two:
                assert not disable(tmp_path, one, two, capsys), (lan_from, wan_from, lan_to, wan_to)
