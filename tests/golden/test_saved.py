# SPDX-License-Identifier: Apache-2.0
"""`analyze --pcap`: what is saved of a capture says of its calls what the capture said."""

from __future__ import annotations

import contextlib
import io
import json
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from algwatch.__main__ import main
from algwatch.capture.pcapng import Pcapng
from cases import CASES
from sample import some

HERE = Path(__file__).resolve().parent
HURTING = [name for name, case in CASES.items() if case.state == "hurts"]
LAB = ["--lan", f"{HERE}/lab/6b-on/lan.pcap", "--wan", f"{HERE}/lab/6b-on/wan.pcap"]


def analyze(*arguments: str) -> tuple[int, Any, str]:
    out, err = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        status = main(["analyze", "--json", *arguments])
    return status, json.loads(out.getvalue() or "null"), err.getvalue()


def of_calls(verdict: Any, ids: set[str]) -> Counter[tuple[str, ...]]:
    return Counter(
        (f["rule"], f["where"], f["harm"], f["call_id"], f["summary"], f["line"])
        for f in verdict["findings"]
        if f["call_id"] in ids and f["harm"] != "none"
    )


@pytest.mark.parametrize("name", some(HURTING, 8))
def test_the_saved_packets_give_the_same_findings_for_the_calls_that_hurt(
    name: str, tmp_path: Path
) -> None:
    """In one file, or in one a side where the sides were not captured at the same time."""
    status, verdict, said = analyze(
        *CASES[name].arguments(str(HERE / name)), "--pcap", str(tmp_path / "saved.pcapng")
    )
    hurt = {f["call_id"] for f in verdict["findings"] if f["harm"] in ("observed", "certain")}
    hurt |= {c["call_id"] for c in verdict["calls"] if c["outcome"] in ("dropped", "unanswered")}
    files = [str(tmp_path / f"saved{end}.pcapng") for end in ("", ".lan", ".wan")]
    if Path(files[0]).exists():
        again = analyze(files[0])
    else:
        assert "each has a file" in said
        again = analyze("--lan", files[1], "--wan", files[2])
    assert of_calls(again[1], hurt - {""}) == of_calls(verdict, hurt - {""})
    assert again[0] == status


def test_the_interfaces_are_named_after_the_sides(tmp_path: Path) -> None:
    analyze(*LAB, "--pcap", str(tmp_path / "saved.pcapng"))
    walker = Pcapng()
    walker.feed((tmp_path / "saved.pcapng").read_bytes())
    assert not walker.problem
    assert {one.name for one in walker.interfaces} == {"lan", "wan"}


def test_a_call_is_chosen_by_its_call_id_or_by_a_rule(tmp_path: Path) -> None:
    healthy, blamed = tmp_path / "healthy.pcapng", tmp_path / "blamed.pcapng"
    _, verdict, _ = analyze(*LAB)
    (fine,) = (c["call_id"] for c in verdict["calls"] if c["outcome"] == "completed")
    analyze(*LAB, "--pcap", str(healthy), "--pcap-of", fine)
    assert fine in {c["call_id"] for c in analyze(str(healthy))[1]["calls"]}
    analyze(*LAB, "--pcap", str(blamed), "--pcap-of", "alg011")
    assert "ALG011" in {f["rule"] for f in analyze(str(blamed))[1]["findings"]}


def test_where_nothing_hurts_no_file_is_written_and_that_is_said(tmp_path: Path) -> None:
    name = "alg001-near-miss-domain-contact"
    saved = tmp_path / "saved.pcapng"
    status, _, said = analyze(*CASES[name].arguments(str(HERE / name)), "--pcap", str(saved))
    assert status == 0 and "nothing hurts" in said and not saved.exists()


@pytest.mark.parametrize("option", ["--pcap", "--html"])
def test_what_is_read_is_never_overwritten(option: str, tmp_path: Path) -> None:
    path = tmp_path / "both.pcap"
    path.write_bytes((HERE / "lab/6b-on/wan.pcap").read_bytes())
    status, _, said = analyze(str(path), option, str(path))
    assert status == 2 and "name another file" in said
    assert path.read_bytes() == (HERE / "lab/6b-on/wan.pcap").read_bytes()
