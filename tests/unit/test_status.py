# SPDX-License-Identifier: Apache-2.0
"""The status file: bounded, whole, without people in it, and never an all-clear beside harm."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from algwatch.__main__ import main
from algwatch.advise.advice import Advice
from algwatch.base.report import Report
from algwatch.cli.source import Source
from algwatch.diagnose.finding import Evidence, Finding
from algwatch.report import status
from algwatch.report.privacy import Privacy
from algwatch.report.status import Status
from reports import call, finding, registration

LAB = Path(__file__).resolve().parents[1] / "golden" / "lab"
PRIVACY = Privacy(b"k" * 32)
HEALTH: dict[str, object] = {
    "uptime": 9.5,
    "taps": {"br-lan": {"side": "lan", "away": False, "reopened": 0, "drops": 0},
             "wan": {"side": "wan", "away": True, "reopened": 1, "drops": 7}},
}  # fmt: skip
COUNTS = {
    "capture": {"sip_messages": 8, "lan": 4, "wan": 4, "duplicates": 0},
    "crossings": {"paired": 4, "lan_only": 0, "wan_only": 0, "unsolicited": 0, "rewritten": 0},
}
INVITE = (
    b"INVITE sip:ben@203.0.113.5 SIP/2.0\r\n"
    b"Via: SIP/2.0/UDP 192.168.1.10:5060;branch=z9hG4bK1\r\n"
    b'From: "Anna Secret" <sip:anna@example.net>;tag=1\r\n'
    b"To: <sip:ben@example.net>\r\nCall-ID: c1@192.168.1.10\r\nCSeq: 1 INVITE\r\n"
    b"Contact: <sip:anna@192.168.1.10:5060>\r\n"
    b'Authorization: Digest username="anna", response="0123456789abcdef"\r\n\r\n'
)


class Clock:
    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


class Desk:
    """A Status that writes into a folder."""

    def __init__(self, folder: Path, privacy: Privacy = PRIVACY) -> None:
        self.path = folder / "status.json"
        self.clock = Clock()
        self.said: list[str] = []
        self.status = Status(str(self.path), privacy, self.said.append, self.clock, lambda: 1.7e9)

    def write(self, advice: list[Advice] | None = None, counts: Any = COUNTS) -> dict[str, Any]:
        for one in advice or []:
            self.status.report(one)
        self.status.write(HEALTH, counts)
        return self.read()

    def read(self) -> dict[str, Any]:
        state: dict[str, Any] = json.loads(self.path.read_text())
        return state


@pytest.fixture
def desk(tmp_path: Path) -> Desk:
    return Desk(tmp_path)


def disable(subject: str = "192.168.1.10 and 203.0.113.5") -> Advice:
    return Advice("disable-sip-alg", "recommended", 0.9, ["It did harm."], [], ["uci commit"],
                  subject)  # fmt: skip


def harm(number: int = 0, line: str = "", payload: bytes = INVITE) -> Finding:
    made = finding(call_id=f"c{number}@192.168.1.10", key=f"k{number}")
    made.line = line
    made.evidence = [
        Evidence("lan", 1.0, 'Contact of "anna"', "that", payload),
        Evidence("wan", 1.1, "this", "that", payload.replace(b"192.168.1.10", b"198.51.100.2")),
    ]
    return made


def played(desk: Desk, run: str) -> dict[str, Any]:
    """A recording of the lab, told to the file."""
    source = Source([], [str(LAB / run / "lan.pcap")], [str(LAB / run / "wan.pcap")], [5060, 5080])
    source.check()
    for report in source.reports():
        desk.status.report(report)
    return desk.write(counts=source.counts())


def test_a_call_that_died_of_the_alg_is_told_with_both_copies(desk: Desk) -> None:
    state = played(desk, "6b-on")
    assert state["verdict"]["state"] == "hurts"
    assert {one["outcome"] for one in state["calls"]} >= {"dropped", "completed"}
    found = next(f for f in state["findings"] if f["rule"] == "ALG011")
    assert found["harm"] == "observed" and found["summary"]
    assert {look["side"] for look in found["evidence"]} == {"lan", "wan"}
    copies = {look["side"]: look["message"] for look in found["evidence"][:2]}
    assert all(message[0].startswith("ACK sip:") for message in copies.values())
    assert copies["lan"] != copies["wan"]
    first = state["advice"][0]
    assert (first["action"], first["state"]) == ("disable-sip-alg", "recommended")
    assert first["title"] == "Turn the router's SIP ALG off" and first["commands"]


def test_a_line_without_harm_is_fine(desk: Desk) -> None:
    state = played(desk, "1")
    assert state["verdict"]["state"] == "fine" and not state["advice"]
    assert state["verdict"]["why"] == [
        "In the last day 2 calls ended well and 1 account registered, and nothing hurt."
    ]


def test_nothing_seen_is_no_all_clear(desk: Desk) -> None:
    counts = {"capture": {"sip_messages": 0}, "crossings": {"paired": 0}}
    state = desk.write(counts=counts)
    assert state["verdict"]["state"] == "cannot-tell"
    assert "No SIP message" in state["verdict"]["why"][0] and state["verdict"]["next"]


def test_no_call_is_no_all_clear(desk: Desk) -> None:
    assert desk.write()["verdict"]["state"] == "cannot-tell"


def test_a_dead_call_is_not_pushed_out_by_good_ones(desk: Desk) -> None:
    desk.status.report(call("dropped", call_id="dead@phone"))
    for number in range(500):
        desk.status.report(call(call_id=f"c{number}@phone"))
    state = desk.write()
    assert state["verdict"]["state"] == "hurts"
    assert len(state["calls"]) == status.CALLS + 1


def test_an_account_that_is_refused_is_not_pushed_out_by_others(desk: Desk) -> None:
    desk.status.report(registration("refused", 403, "sip:refused@example.net"))
    for number in range(200):
        desk.status.report(registration(aor=f"sip:{number}@example.net"))
    state = desk.write()
    assert state["verdict"]["state"] == "hurts"
    assert len(state["registrations"]) == status.REGISTRATIONS + 1
    desk.status.report(registration(aor="sip:refused@example.net"))
    assert desk.write()["verdict"]["state"] == "fine"


def test_more_dead_calls_than_are_kept_are_not_given_a_number(desk: Desk) -> None:
    for number in range(30):
        desk.status.report(call("dropped", call_id=f"dead{number}@phone"))
    assert "(16 times or more)" in desk.write()["verdict"]["why"][0]


def test_calls_that_found_no_room_are_counted_all_the_same(desk: Desk) -> None:
    for number in range(500):
        desk.status.report(call(call_id=f"c{number}@phone"))
    assert "500 calls ended well" in desk.write()["verdict"]["why"][0]


def test_a_call_that_is_tried_again_with_credentials_is_one(desk: Desk) -> None:
    desk.status.report(call("rejected", 401))
    desk.status.report(call())
    state = desk.write()
    assert len(state["calls"]) == 1 and state["verdict"]["state"] == "fine"
    assert "1 call ended well" in state["verdict"]["why"][0]


def test_harm_is_forgotten_after_a_day_unless_advice_is_in_force_for_it(desk: Desk) -> None:
    line = "192.168.1.10 and 203.0.113.5"
    desk.status.report(harm(1, line))
    desk.status.report(harm(2, "192.168.1.11 and 203.0.113.5"))
    desk.clock.now += status.DAY + 1
    desk.status.report(call())
    state = desk.write([disable(line)])
    assert [f["line"] for f in state["findings"]] == [line]
    assert state["verdict"]["state"] == "hurts"
    withdrawn = disable(line)
    withdrawn.state = "none"
    state = desk.write([withdrawn])
    assert state["findings"] == [] and state["verdict"]["state"] == "fine"


def test_the_counters_of_the_verdict_are_of_the_last_day(desk: Desk) -> None:
    counts: dict[str, dict[str, int]] = json.loads(json.dumps(COUNTS))
    counts["crossings"]["lan_only"] = 3
    desk.status.report(call())
    assert desk.write(counts=counts)["verdict"]["state"] == "cannot-tell"
    for _ in range(2 * status.PARTS):
        desk.clock.now += status.DAY / status.PARTS
        counts["capture"]["sip_messages"] += 10
        counts["crossings"]["paired"] += 10
        desk.status.report(call(call_id=f"at{desk.clock.now}"))
        state = desk.write(counts=counts)
    assert state["verdict"]["state"] == "fine", state["verdict"]
    assert state["counts"]["crossings"]["lan_only"] == 0


def test_a_finding_that_is_said_again_replaces_itself(desk: Desk) -> None:
    first = harm(1)
    first.harm = "latent"
    desk.status.report(first)
    desk.status.report(harm(1))
    assert [f["harm"] for f in desk.write()["findings"]] == ["observed"]


def test_nobody_is_named_and_no_credential_is_in_it(desk: Desk) -> None:
    desk.status.report(harm())
    desk.status.report(call())
    desk.status.report(registration())
    desk.write([disable()])
    text = desk.path.read_text()
    for name in ("anna", "Anna", "Secret", "ben@", "0123456789abcdef", "c1@phone"):
        assert name not in text
    assert "192.168.1.10:5060" in text  # addresses are what it is about


def test_with_privacy_off_names_are_told_and_credentials_are_not(tmp_path: Path) -> None:
    desk = Desk(tmp_path, Privacy(b"k" * 32, enabled=False))
    desk.status.report(harm())
    desk.write()
    text = desk.path.read_text()
    assert "anna@192.168.1.10" in text and "0123456789abcdef" not in text


@pytest.mark.parametrize("enabled", [True, False])
def test_hostile_bytes_stay_text_and_small(tmp_path: Path, enabled: bool) -> None:
    desk = Desk(tmp_path, Privacy(b"k" * 32, enabled))
    evil = '</script><img src=x onerror=alert(1)>\x1b[2J\u202e\x00"\\' * 400
    for number in range(40):
        one = harm(number, payload=INVITE.replace(b"anna", evil.encode()[:30000]))
        one.summary = one.next_step = one.line = evil
        desk.status.report(one)
        made = call("dropped", call_id=f"{number}{evil}", to=evil)
        made.line = made.failure = evil
        desk.status.report(made)
        desk.status.report(registration("refused", 403, f"{number}{evil}"))
    many = [evil] * 12
    advice = [Advice("keep-sip-alg", "suspected", 0.5, many, many, [], f"{n}{evil}")
              for n in range(20)]  # fmt: skip
    state = desk.write(advice)
    size = desk.path.stat().st_size
    assert size < 200_000
    assert state["verdict"]["state"] == "hurts"
    assert all(text.isprintable() for text in strings(state))


def strings(value: Any) -> Iterator[str]:
    """Every text in a JSON value."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict | list):
        for one in [*value, *value.values()] if isinstance(value, dict) else value:
            yield from strings(one)


def test_the_file_is_small_memory(desk: Desk) -> None:
    """What is kept after a flood is that of the bounds, not of the flood."""
    for number in range(100):
        desk.status.report(harm(number, payload=INVITE + b"x" * 60000))
    kept = sum(len(k.text) for t in (desk.status._hurting, desk.status._findings)
               for k in t.values())  # fmt: skip
    assert kept <= status.ROOM


def test_it_is_written_when_something_changed_and_not_too_often(desk: Desk) -> None:
    due = [desk.status.due]
    desk.write()
    desk.clock.now += status.SOONEST + 1
    due.append(desk.status.due)
    desk.status.report(call())
    due.append(desk.status.due)
    desk.write()
    desk.status.report(call(call_id="c2"))
    due.append(desk.status.due)
    desk.clock.now += status.SOONEST
    due.append(desk.status.due)
    desk.write()
    desk.clock.now += status.EVERY
    due.append(desk.status.due)
    assert due == [True, False, True, False, True, True]


def test_a_file_that_cannot_be_written_is_told_once(tmp_path: Path) -> None:
    said: list[str] = []
    path = tmp_path / "no" / "status.json"
    one = Status(str(path), PRIVACY, said.append)
    for _ in range(3):
        one.write(HEALTH, COUNTS)
    assert said == [f"status_file {path} cannot be written, the rest goes on: "
                    "No such file or directory"]  # fmt: skip
    path.parent.mkdir()
    one.write(HEALTH, COUNTS)
    assert len(said) == 2 and said[1].endswith("is written again") and path.exists()


def test_a_full_disk_leaves_the_file_that_was_there(desk: Desk, monkeypatch: Any) -> None:
    before = desk.write()

    def full(*_: object) -> int:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    desk.status.report(call())
    desk.clock.now += 5
    assert desk.write() == before
    assert "No space left on device" in desk.said[0]
    assert not desk.path.with_name("status.json.new").exists()


def test_others_cannot_read_the_file(desk: Desk) -> None:
    desk.write()
    assert desk.path.stat().st_mode & 0o077 == 0


# The verb


def shown(capsys: Any, *words: str) -> tuple[int, str, str]:
    code = main(["status", *words])
    out, err = capsys.readouterr()
    return code, out, err


def live(tmp_path: Path, *reports: Report, running: bool = True) -> Path:
    """As Desk, on the clock that the verb reads."""
    path = tmp_path / "status.json"
    one = Status(str(path), PRIVACY, print)
    for report in reports:
        one.report(report)
    one.write(HEALTH, COUNTS, running)
    return path


def test_the_verb_tells_people_all_of_it(tmp_path: Path, capsys: Any) -> None:
    path = live(tmp_path, harm(), call("dropped"), registration(), disable())
    code, out, err = shown(capsys, "--file", str(path))
    assert (code, err) == (1, "")
    assert out.startswith("Something hurts.")
    for text in ("br-lan (lan): watched", "wan (wan): down, 7 packets lost", "ALG011 a-slug",
                 "dropped after 9.0 s", "Turn the router's SIP ALG off (recommended, 90% sure)",
                 "accepted"):  # fmt: skip
        assert text in " ".join(out.split())


def test_the_verb_in_json_is_the_file_and_whether_it_is_fresh(tmp_path: Path, capsys: Any) -> None:
    path = live(tmp_path, call())
    code, out, _ = shown(capsys, "--json", "--file", str(path))
    told = json.loads(out)
    assert (code, told.pop("fresh"), told.pop("trouble")) == (0, True, "")
    assert told == json.loads(path.read_text())


def older(path: Path, change: Callable[[dict[str, Any]], None]) -> None:
    state = json.loads(path.read_text())
    change(state)
    path.write_text(json.dumps(state))


def test_a_stale_file_a_stopped_daemon_and_none_are_told_apart(tmp_path: Path, capsys: Any) -> None:
    path = live(tmp_path, call())
    older(path, lambda state: state.update(clock=time.monotonic() - 400))
    code, out, _ = shown(capsys, "--file", str(path))
    assert code == 3 and "6 minutes ago" in out and "is gone or cannot write" in out
    older(path, lambda state: state.update(clock=time.monotonic() + 400))
    assert "before this router started" in shown(capsys, "--file", str(path))[1]
    live(tmp_path, running=False)
    assert "The daemon was stopped" in shown(capsys, "--file", str(path))[1]
    path.unlink()
    code, out, _ = shown(capsys, "--file", str(path))
    assert code == 3 and out.startswith("No daemon: ")
    code, out, _ = shown(capsys, "--json", "--file", str(path))
    assert code == 3 and json.loads(out)["fresh"] is False


@pytest.mark.parametrize(
    "text",
    ["", "[]", "{}", '{"schema": 2}', "[" * 100_000, "\x00", '{"schema": 1}',
     '{"schema": 1, "running": true, "clock": "x", "every": 60}',
     '{"schema": 1, "running": true, "clock": 1, "every": 1, "verdict": []}',
     '{"schema": 1, "running": true, "clock": 1, "every": 1, "verdict": {"state": []}}',
     '{"schema": 1, "running": true, "clock": NaN, "every": 1, "verdict": {"state": "fine"}}',
     '{"schema": 1, "running": true, "clock": 1, "every": Infinity, "verdict": {"state": "fine"}}',
     '{"schema": 1, "running": true, "clock": 1' + 400 * "0" + ', "every": 1, '
     '"verdict": {"state": "fine"}}'],
)  # fmt: skip
def test_what_is_no_status_file_is_said_in_one_line(tmp_path: Path, capsys: Any, text: str) -> None:
    path = tmp_path / "status.json"
    path.write_text(text)
    for words in ([], ["--json"]):
        code, out, err = shown(capsys, *words, "--file", str(path))
        assert code == 2 and out == "" and err.count("\n") == 1, (words, out, err)


@pytest.mark.parametrize(
    ("name", "value"), [("since", 1e308), ("since", float("inf")), ("version", "\x1b[2J")]
)
def test_a_file_that_others_wrote_does_no_harm_to_the_terminal(
    tmp_path: Path, capsys: Any, name: str, value: object
) -> None:
    path = live(tmp_path, call())
    state = {**json.loads(path.read_text()), name: value}
    path.write_text(json.dumps(state))
    _, out, err = shown(capsys, "--file", str(path))
    assert "\x1b" not in out and err.count("\n") <= 1 and (out or err)
