# SPDX-License-Identifier: Apache-2.0
"""`algwatch top`, driven by its pilot and once in a real terminal (tmux)."""

from __future__ import annotations

import argparse
import asyncio
import json
import shutil
import subprocess
import sys
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest
from algwatch.cli.top import opened
from algwatch.report.render.headline import DOUBTFUL
from algwatch.top.app import Top
from algwatch.top.model import Model
from browser import need
from textual.widgets import DataTable, Static

ROOT = Path(__file__).resolve().parents[2]
LAB = ROOT / "tests" / "golden" / "lab" / "6b-on"
SIZE = (80, 24)
HOSTILE = "sip:\x1b]0;owned\x07\x1b[2J\u202e[bold]x[/bold]@h"


def of_files(**given: Any) -> Model:
    words: dict[str, Any] = {"files": [], "lan": [], "wan": [], "status": None, "filter": "",
                             "since": "", "progress": False, "keylog": "",
                             "ports": "5060", **given}  # fmt: skip
    return opened(argparse.Namespace(**words))[0]


@pytest.fixture(scope="module")
def lab() -> Model:
    return of_files(lan=[str(LAB / "lan.pcap")], wan=[str(LAB / "wan.pcap")])


def driven(model: Model, steps: Callable[[Any], Awaitable[None]],
           poll: Callable[[], None] | None = None) -> None:  # fmt: skip
    async def drive() -> None:
        async with Top(model, poll).run_test(size=SIZE) as pilot:
            await pilot.pause()
            await steps(pilot)

    asyncio.run(drive())


def table(pilot: Any, name: str) -> list[list[str]]:
    found = pilot.app.query_one(f"#{name}", DataTable)
    return [[str(cell) for cell in found.get_row_at(row)] for row in range(found.row_count)]


def shown(pilot: Any, name: str) -> str:
    return str(pilot.app.screen.query_one(f"#{name}", Static).render())


def test_lines_and_calls_are_listed_the_worst_line_first(lab: Model) -> None:
    async def steps(pilot: Any) -> None:
        assert [row[:2] + row[3:4] for row in table(pilot, "lines")] == [
            ["192.168.181.4", "192.0.2.149", "1"],
            ["192.168.181.241", "192.0.2.149", "0"],
        ]
        calls = table(pilot, "calls")
        assert len(calls) == 2
        (dead,) = (row for row in calls if row[3] == "dropped")
        assert dead[4] == "no/yes" and dead[5].startswith("ALG011")
        (fine,) = (row for row in calls if row[3] == "completed")
        assert fine[4] == "yes/yes" and fine[5] == ""
        assert shown(pilot, "verdict").startswith("Something hurts.")

    driven(lab, steps)


def test_enter_opens_ladder_and_differences_and_escape_goes_back(lab: Model) -> None:
    async def steps(pilot: Any) -> None:
        await pilot.press("f", "enter")
        await pilot.pause()
        text = shown(pilot, "text")
        assert "ALG011" in text and "phone" in text and "✗" in text
        assert "- ACK sip:jonas.ebert14@203.0.113.222:22312 SIP/2.0" in text
        assert "+ ACK sip:jonas.ebert14@192.168.181.4:31589 SIP/2.0" in text
        await pilot.press("escape")
        assert len(pilot.app.screen_stack) == 1

    driven(lab, steps)


def test_search_filter_and_line_choose_what_is_shown(lab: Model) -> None:
    async def steps(pilot: Any) -> None:
        await pilot.press("slash", *"ben.fuchs")
        await pilot.pause()
        assert [row[2] for row in table(pilot, "calls")] == ["ben.fuchs188"]
        await pilot.press("enter", "a", "f")
        await pilot.pause()
        assert [row[3] for row in table(pilot, "calls")] == ["dropped"]
        await pilot.press("a")
        pilot.app.query_one("#lines", DataTable).focus()
        await pilot.press("down", "enter")
        await pilot.pause()
        assert [row[2] for row in table(pilot, "calls")] == ["ben.fuchs188"]

    driven(lab, steps)


def lines_of_run() -> str:
    """What `algwatch run --json` prints of the same calls."""
    from algwatch.cli.source import Source
    from algwatch.report.render.json import line_json

    source = Source([], [str(LAB / "lan.pcap")], [str(LAB / "wan.pcap")], [5060])
    source.check()
    return "".join(line_json(report) + "\n" for report in source.reports())


def test_lines_of_a_live_agent_come_in_while_it_is_open(tmp_path: Path) -> None:
    from algwatch.top.sources import Lines

    path = tmp_path / "lines"
    path.write_text("")
    model = Model()
    with path.open("rb") as file:
        source = Lines(file.fileno())

        async def steps(pilot: Any) -> None:
            assert table(pilot, "calls") == []
            path.write_text(lines_of_run())
            await pilot.pause(1.2)
            assert len(table(pilot, "calls")) == 2
            await pilot.press("f", "enter")
            await pilot.pause()
            text = shown(pilot, "text")
            assert "ALG011" in text and "192.168.181.4:31589" in text

        driven(model, steps, lambda: source.poll(model))


def test_the_status_file_of_an_agent_is_read_anew_when_it_changes(tmp_path: Path) -> None:
    path = tmp_path / "status.json"
    call = {"call_id": "c1@phone", "from": HOSTILE, "to": "sip:ben@h", "start": 1767225600.0,
            "outcome": "dropped", "ack": "missing",
            "line": "192.168.1.10 and 203.0.113.5"}  # fmt: skip
    page = {"verdict": {"state": "hurts", "why": ["It died."], "next": ""}, "calls": [call],
            "findings": [{"rule": "ALG011", "slug": "x", "harm": "observed", "where": "router",
                          "call_id": "c1@phone", "summary": HOSTILE, "evidence": [
                {"side": "lan", "message": ["ACK sip:a@192.168.1.10 SIP/2.0"]},
                {"side": "wan", "message": ["ACK sip:a@198.51.100.2 SIP/2.0"]}]}]}  # fmt: skip
    path.write_text("{}")
    given = argparse.Namespace(files=[], lan=[], wan=[], status=str(path))
    model, poll = opened(given)

    async def steps(pilot: Any) -> None:
        assert shown(pilot, "verdict").startswith("Watching.")
        path.write_text(json.dumps(page))
        await pilot.pause(1.2)
        (row,) = table(pilot, "calls")
        assert row[3:] == ["dropped", "missing", "ALG011 x"]
        assert "\x1b" not in row[1] and "\u202e" not in row[1]
        await pilot.press("enter")
        await pilot.pause()
        text = shown(pilot, "text")
        assert "- ACK sip:a@192.168.1.10 SIP/2.0" in text and "[bold]x[/bold]" in text
        assert "\x1b" not in text and "\u202e" not in text

    driven(model, steps, poll)


def test_rubbish_instead_of_lines_and_files_hurts_nobody(tmp_path: Path) -> None:
    model = Model()
    for line in ("", "[]", "{", '{"call":3}', '{"call":{"start":"x"}}', '{"finding":{}}',
                 '{"finding":{"harm":"?","evidence":[3,{"bytes":"%%"}]}}'):  # fmt: skip
        try:
            row = json.loads(line)
        except ValueError:
            continue
        if isinstance(row, dict):
            model.said(row)
    model.status({"calls": None, "verdict": None, "findings": [{"evidence": [{"message": [1]}]}]})

    async def steps(pilot: Any) -> None:
        assert table(pilot, "calls") == []

    driven(model, steps)


def test_in_a_terminal_of_80_by_24_it_shows_opens_and_quits(tmp_path: Path) -> None:
    need(shutil.which("tmux") is not None, "tmux (apt-get install tmux)")
    tmux = ["tmux", "-S", str(tmp_path / "tmux"), "-f", "/dev/null"]
    command = (f"{sys.executable} -m algwatch top --lan {LAB}/lan.pcap --wan {LAB}/wan.pcap; "
               f"echo $? > {tmp_path}/status")  # fmt: skip
    env = {"PYTHONPATH": str(ROOT / "agent"), "PATH": "/usr/bin:/bin", "LANG": "C.UTF-8",
           "HOME": str(tmp_path)}  # fmt: skip
    subprocess.run(
        [*tmux, "new-session", "-d", "-x", "80", "-y", "24", command], check=True, env=env
    )
    try:
        assert "dropped" in screen(tmux, "dropped")
        subprocess.run([*tmux, "send-keys", "f"], check=True)
        screen(tmux, "only what hurts")
        subprocess.run([*tmux, "send-keys", "Enter"], check=True)
        opened_call = screen(tmux, "DLG001")
        assert all(len(line) <= 80 for line in opened_call.splitlines())
        subprocess.run([*tmux, "send-keys", "q"], check=True)
        screen(tmux, "1 of 2 calls")
        subprocess.run([*tmux, "send-keys", "q"], check=True)
        end = time.monotonic() + 10
        while not (tmp_path / "status").exists() and time.monotonic() < end:
            time.sleep(0.1)
        assert (tmp_path / "status").read_text() == "0\n"
    finally:
        subprocess.run([*tmux, "kill-server"], capture_output=True)


def screen(tmux: list[str], wanted: str) -> str:
    end = time.monotonic() + 30
    text = ""
    while time.monotonic() < end:
        text = subprocess.run([*tmux, "capture-pane", "-p"], capture_output=True, text=True).stdout
        if wanted in text:
            return text
        time.sleep(0.2)
    raise AssertionError(f"{wanted!r} is not on the screen:\n{text}")


def test_without_textual_it_says_what_to_install(tmp_path: Path) -> None:
    (tmp_path / "textual.py").write_text("raise ImportError\n")
    done = subprocess.run(
        [sys.executable, "-m", "algwatch", "top", str(LAB / "lan.pcap")],
        capture_output=True, text=True, env={"PYTHONPATH": f"{tmp_path}:{ROOT}/agent"},
    )  # fmt: skip
    assert done.returncode == 2 and "pip install 'algwatch[tui]'" in done.stderr


def test_a_doubtful_verdict_has_the_words_of_the_text() -> None:
    model = Model()
    model.status({"verdict": {"state": "fine", "doubtful": True, "why": ["This may do harm."]}})

    async def steps(pilot: Any) -> None:
        assert shown(pilot, "verdict").startswith(f"{DOUBTFUL}.")

    driven(model, steps)
