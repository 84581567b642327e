# SPDX-License-Identifier: Apache-2.0
"""No capture is told two things that exclude each other: by its state, its calls, its findings,
the ladder and the sentence under it, the text and the JSON.

Each test looks at the captures that there are (captures.py says where more may be), a part a day.
"""

from __future__ import annotations

import base64
import contextlib
import io
import json
import re
from functools import cache
from typing import Any

import pytest
from algwatch.__main__ import main
from captures import all_captures
from sample import some

CAPTURES = all_captures()
EACH = pytest.mark.parametrize("name", some(CAPTURES, 24))
EXIT = {"fine": 0, "hurts": 1, "cannot-tell": 3}
HURTS = ("observed", "certain")

# A refusal that somebody decided, or a number that does not exist.
NO_FAULT = {404, 410, 480, 484, 485, 486, 487, 600, 603, 604, 607}
ALL_CLEAR = ("Nothing hurts", "nothing to do")
NO_ACK = re.compile(
    r"no ACK\b(?! to it)|ACK (?:got lost|is missing|never came)|never acknowledged: no ACK", re.I
)


class Said:
    """The output of `analyze` for a capture, both ways. text: with each run of blanks as one."""

    def __init__(self, arguments: list[str]) -> None:
        status, out = printed("--json", *arguments)
        self.status = status
        self.json: dict[str, Any] = json.loads(out)
        self.state: str = self.json["verdict"]["state"]
        self.text_status, self.text = printed("--all", *arguments)
        self.flat = flat(self.text)

    @property
    def calls(self) -> list[dict[str, Any]]:
        """The latest word on each, without what is unsolicited."""
        latest: dict[str, dict[str, Any]] = {}
        for call in self.json["calls"]:
            if call["call_id"] not in latest or call["outcome"] != "unknown":
                latest[call["call_id"]] = call
        return [call for call in latest.values() if not call.get("unsolicited")]

    @property
    def sections(self) -> list[str]:
        """The text call by call: ladder, sentence, findings."""
        parts = re.split(r"^-- (?=\w)", self.text, flags=re.M)
        return [part for part in parts if part.startswith("Call ")]


def printed(*arguments: str) -> tuple[int, str]:
    out = io.StringIO()  # no terminal: ASCII, no colour
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(io.StringIO()):
        status = main(["analyze", *arguments])
    return status, out.getvalue()


@cache
def said(name: str) -> Said:
    return Said(CAPTURES[name])


def flat(text: str) -> str:
    return " ".join(text.split())


def is_dead(call: dict[str, Any]) -> bool:
    if call["outcome"] == "rejected":
        return call["status"] >= 400 and call["status"] not in NO_FAULT
    return call["outcome"] in ("dropped", "unanswered")


def acknowledged(ladder: str) -> bool:
    """True if the ladder shows an ACK that arrives, after the latest 2xx to an INVITE that came
    for the first time."""
    arrow = re.compile(r"^ +\d+\.\d{3}  .*")
    arrows = [line for line in ladder.splitlines() if arrow.match(line)]
    answers = [i for i, line in enumerate(arrows)
               if re.search(r"- 2\d\d [^(]*?-", line) and "again" not in line]  # fmt: skip
    if not answers:
        return False
    lines = ladder.splitlines()
    for line in arrows[answers[-1] :]:
        if not re.search(r"- ACK[ ,]", line) or re.search(r"X<|>X|\?<|>\?", line):
            continue
        # One to a port where nobody is, and one of a neighbour, have a note under them.
        after = lines[lines.index(line) + 1 : lines.index(line) + 2]
        if not any("the NAT mapping says" in note or "in the LAN" in note for note in after):
            return True
    return False


@EACH
def test_the_exit_status_is_the_state_and_text_and_json_agree(name: str) -> None:
    one = said(name)
    assert one.status == one.text_status == EXIT[one.state]
    heads = {"fine": "Nothing ", "hurts": "Something hurts.", "cannot-tell": "Cannot tell whether"}
    first = one.text.partition("\n-- ")[0]
    assert [state for state, head in heads.items() if re.search(rf"^{head}", first, re.M)] == [
        one.state
    ]
    plain = one.flat.replace("\\\\", "\\")
    for sentence in (*one.json["verdict"]["why"], one.json["verdict"]["next"]):
        if sentence.isascii() and sentence.isprintable():
            assert flat(sentence) in plain


@EACH
def test_an_all_clear_stands_beside_nothing_dead(name: str) -> None:
    one = said(name)
    dead = [call["call_id"] for call in one.calls if is_dead(call)]
    harm = [f["rule"] for f in one.json["findings"] if f["harm"] in HURTS]
    failed = {r["aor"]: r["outcome"] for r in one.json["registrations"]
              if not r.get("unsolicited") and r["outcome"] != "unknown"}  # fmt: skip
    failed = {aor: outcome for aor, outcome in failed.items() if outcome != "accepted"}
    assert (one.state == "hurts") == bool(dead or harm or failed)
    if one.state != "fine":
        assert not [words for words in ALL_CLEAR if words in one.flat]
        assert one.json["verdict"]["why"] and one.json["verdict"]["next"]


@EACH
def test_fine_means_that_all_of_it_was_seen_to_end(name: str) -> None:
    one = said(name)
    if one.state != "fine":
        return
    numbers, crossings = one.json["capture"], one.json["crossings"]
    assert numbers["sip_messages"] and not numbers["truncated"]
    assert not crossings["lan_only"] + crossings["wan_only"]
    assert crossings["paired"] or not (numbers["lan"] and numbers["wan"])
    for call in one.calls:
        assert call["outcome"] != "unknown"
        assert call["outcome"] != "ongoing" or call["ack"] == "seen"


@EACH
def test_the_sentence_of_a_call_agrees_with_the_ladder_above_it(name: str) -> None:
    for section in said(name).sections:
        ladder, _, rest = section.partition("\nVerdict: ")
        sentence = flat(re.split(r"\n  [A-Z]{3}\d{3} |\n\n", rest)[0])
        crossed = re.search(r"\+-|-\+", ladder)
        if acknowledged(ladder):
            assert not NO_ACK.search(sentence), sentence
        if "changed nothing" in sentence:
            assert crossed, "no message is shown on both sides"
        if "nothing of it crossed" in sentence:
            assert not crossed
        if "refused with" in sentence:
            assert re.search(r"refused with [3-6]\d\d", sentence)


@EACH
def test_a_finding_about_a_call_agrees_with_the_ladder_above_it(name: str) -> None:
    for section in said(name).sections:
        ladder, _, rest = section.partition("\nVerdict: ")
        if acknowledged(ladder):
            assert not NO_ACK.search(flat(rest)), flat(rest)


@EACH
def test_a_lost_ack_is_not_said_of_a_call_that_the_capture_does_not_hold(name: str) -> None:
    findings = said(name).json["findings"]
    lost = {f["call_id"] for f in findings if f["rule"] == "DLG001" and f["harm"] in HURTS}
    for finding in findings:
        if finding["rule"] != "CAP005":
            continue
        for look in finding["evidence"]:
            message = base64.b64decode(look["bytes"]).decode("utf-8", "replace")
            about = re.search(r"(?im)^(?:call-id|i)[ \t]*:[ \t]*(.*?)[ \t]*\r?$", message)
            assert about is None or about[1] not in lost


@EACH
def test_the_mapping_is_not_said_to_say_what_was_written(name: str) -> None:
    one = said(name)
    for finding in one.json["findings"]:
        says = re.search(r"mapping says ([^\s;,]+?)\.?(?:[\s;,]|$)", finding["summary"])
        if says:
            written = re.findall(r" became ([^\s;,]+)", finding["summary"])
            assert written and set(written) != {says[1]}, finding["summary"]
    for went, says in re.findall(r"sent to (\S+); NAT mapping: (\S+)", one.flat):
        assert went != says


def test_the_reader_of_ladders_tells_those_with_an_ack_from_those_without() -> None:
    with_ack = {
        name: acknowledged(said(f"golden/{name}").sections[0])
        for name in (
            "cap001-near-miss-both-sides/{lan,wan}.pcap",
            "dlg001-delivered-and-ignored/{lan,wan}.pcap",
            "dlg001-never-on-wan/{lan,wan}.pcap",
            "dlg001-stopped-inbound/{lan,wan}.pcap",
            "lab/6b-on/{lan,wan}.pcap",
            "cap001-one-sided/capture.pcap",
        )
    }
    assert list(with_ack.values()) == [True, True, False, False, False, True], with_ack
