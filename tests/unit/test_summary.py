# SPDX-License-Identifier: Apache-2.0
"""The first screen, calls that are told by kind, and lists of calls."""

from __future__ import annotations

import csv
import io
import os
import pty
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from algwatch.__main__ import main
from algwatch.cli.source import Source
from algwatch.report.render.listing import COLUMNS, SORTS, gathered, write_csv
from algwatch.report.render.summary import folded
from craft import House, Incoming, incoming_call, outgoing_call, pcap, register
from reports import call, finding
from sip_capture import shown

LAB = Path(__file__).resolve().parents[1] / "golden" / "lab"
COUNTS = {"capture": {"sip_messages": 9, "lan": 5, "wan": 4}, "crossings": {"paired": 9}}
SCREEN = 24  # lines


def trouble(folder: Path) -> tuple[Path, Path]:
    """A house with 9 calls, of which 3 die in the same way."""
    house = House()
    register(house, 0)
    for number in range(3):
        outgoing_call(house, 10 + 200 * number, f"out{number}@phone")
        incoming_call(house, 60 + 200 * number, f"in{number}@provider")
        lost = Incoming(house, f"lost{number}@provider")
        lost.invite(100 + 200 * number)
        lost.dropped(102 + 200 * number)
    paths = folder / "lan.pcap", folder / "wan.pcap"
    for path, packets in zip(paths, house.sorted(), strict=True):
        path.write_bytes(pcap(packets))
    return paths


def text(capsys: pytest.CaptureFixture[str], *words: str | Path) -> str:
    main(["analyze", *map(str, words)])
    said = capsys.readouterr()
    assert said.err == ""
    return said.out


def test_the_summary_fits_a_screen_and_one_call_of_each_kind_is_drawn(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    trouble(tmp_path)
    said = text(capsys, tmp_path)
    first = said[: said.index("── Call ")]
    assert first.startswith("Something hurts.\n") and first.count("\n") < SCREEN
    row = next(line for line in first.splitlines() if line.startswith("192.168.1.10 and"))
    assert row.split()[3:6] == ["9", "3", "yes"] and "DLG001 x3" in row
    assert said.count("── Call ") == 1 and "── Call 3: " in said
    assert "2 more calls like it: calls 6, 9." in said
    assert "ALG001" not in said and "no harm" not in said


def test_the_numbers_of_calls_are_those_of_the_list(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    trouble(tmp_path)
    rows = text(capsys, tmp_path, "--list").splitlines()[1:]
    assert [row.split()[0] for row in rows] == [str(n) for n in range(1, 10)]
    assert [row.split()[0] for row in rows if "dropped" in row] == ["3", "6", "9"]
    assert "lost1@provider" in text(capsys, tmp_path, "--call", "6")
    for words in (["--call", "lost1@provider"], ["--call", "*ost1*"], ["--call", "LOST1"]):
        said = text(capsys, tmp_path, *words)
        assert said.count("── Call 6: ") == said.count("── Call ") == 1
    assert text(capsys, tmp_path, "--only", "dlg001").count("── Call ") == 3
    assert text(capsys, tmp_path, "--all").count("── Call ") == 9
    raw = text(capsys, tmp_path, "--call", "6", "-v")
    assert "    INVITE sip:100@" in raw and raw.count("    Call-ID: lost1@provider") > 3


def test_brief_is_a_few_lines(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    trouble(tmp_path)
    said = text(capsys, tmp_path, "--brief")
    assert said.startswith("Something hurts.\n• ") and said.count("\n") < 8


@pytest.mark.parametrize("sort", SORTS)
def test_rows_are_sorted_and_csv_is_read_as_it_was_written(sort: str, tmp_path: Path) -> None:
    lan, wan = trouble(tmp_path)
    source = Source([], [str(lan)], [str(wan)], [5060])
    listing = gathered(source.reports(), source.counts)
    out = io.StringIO(newline="")
    assert write_csv(listing, out, sort) == 1
    rows = list(csv.DictReader(io.StringIO(out.getvalue(), newline="")))
    assert len(rows) == 9 and tuple(rows[0]) == COLUMNS
    keys: dict[str, Any] = {
        "length": lambda row: float(row["start"]) - float(row["end"]),
        "found": lambda row: -len(row["hurts"].split()),
        **{name: lambda row, name=name: float(row[name]) for name in ("start", "end")},
    }
    of = keys.get(sort, lambda row: row[sort])
    assert [of(row) for row in rows] == sorted(of(row) for row in rows)
    assert {row["inbound"] for row in rows} == {"true", "false"}


def test_nothing_from_the_wire_is_computed_by_a_spreadsheet() -> None:
    hostile = '=HYPERLINK("http://x")\r\n,\x1b[31m'
    reports = [call(call_id=hostile, to="+49301234"), finding(call_id=hostile)]
    out = io.StringIO(newline="")
    write_csv(gathered(reports, lambda: COUNTS), out, "start")
    (row,) = csv.DictReader(io.StringIO(out.getvalue(), newline=""))
    assert row["call_id"].startswith("'=") and row["to"] == "'+49301234"
    assert "\x1b" not in out.getvalue() and row["hurts"] == "ALG011"


def test_sentences_that_differ_in_names_and_numbers_are_told_once() -> None:
    why = [f'The 2xx of "sip:{n}@h" came {n} times.' for n in range(3)] + ["Something else."]
    assert folded(why) == ['The 2xx of "sip:0@h" came 0 times; and 2 more like it.',
                           "Something else."]  # fmt: skip


def test_a_healthy_capture_draws_no_call() -> None:
    said, status = shown(
        lan=[LAB / "1" / "lan.pcap"], wan=[LAB / "1" / "wan.pcap"], whole=False
    )  # fmt: skip
    assert status == 0 and "── Call" not in said and said.count("\n") < SCREEN


@pytest.mark.parametrize(
    ("more", "coloured", "paged"),
    [
        ({}, True, True), ({"NO_COLOR": "1"}, False, True), ({"TERM": "dumb"}, False, False),
        ({"PAGER": ""}, True, False), ({"PAGER": "no-such-pager"}, True, False),
    ],
)  # fmt: skip
def test_a_terminal_gets_colour_and_a_pager_unless_it_says_no(
    more: dict[str, str], coloured: bool, paged: bool, tmp_path: Path
) -> None:
    pager = tmp_path / "pager"
    pager.write_text("#!/bin/sh\necho PAGED\nexec cat\n")
    pager.chmod(0o755)
    plain = {k: v for k, v in os.environ.items() if k not in ("NO_COLOR", "COLUMNS")}
    environment = {**plain, "TERM": "xterm", "PAGER": str(pager), **more,
                   "PYTHONPATH": os.pathsep.join(sys.path)}  # fmt: skip
    leader, terminal = pty.openpty()
    run = [sys.executable, "-m", "algwatch", "analyze", str(LAB / "1")]
    with subprocess.Popen(run, stdout=terminal, stdin=terminal, env=environment) as process:
        os.close(terminal)
        out = b""
        while True:
            try:
                data = os.read(leader, 65536)
            except OSError:  # the terminal was closed at the other end
                break
            if not data:
                break
            out += data
    os.close(leader)
    assert process.returncode == 0
    assert (b"\x1b[" in out) == coloured and (b"PAGED" in out) == paged
    assert b"Nothing hurts" in out


@pytest.mark.parametrize("form", [[], ["--list"]])
def test_a_narrow_terminal_gets_folded_text_and_a_whole_list(form: list[str]) -> None:
    environment = {**os.environ, "COLUMNS": "40", "PYTHONPATH": os.pathsep.join(sys.path)}
    run = [sys.executable, "-m", "algwatch", "analyze", *form, str(LAB / "1")]
    done = subprocess.run(run, env=environment, capture_output=True, text=True)
    assert done.returncode == 0 and not done.stderr
    assert form or max(map(len, done.stdout.split("── Lines")[0].splitlines())) <= 40
