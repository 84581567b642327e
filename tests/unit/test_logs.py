# SPDX-License-Identifier: Apache-2.0
"""Logs and pasted text: the same calls as in a capture, and what is said of what cannot be read."""

from __future__ import annotations

import io
import json
import subprocess
from pathlib import Path
from typing import Any

import pytest
from algwatch.capture.packets import LONGEST
from algwatch.capture.read import CaptureError
from algwatch.capture.text.frames import LARGEST
from algwatch.capture.text.walker import REMARKS, TextWalker
from algwatch.cli.source import Source
from algwatch.report.render.json import write_json
from craft import House, Incoming, outgoing_call, pcap, register
from logs import FORMS, lines_of, messages

PHONE = "192.168.1.10"
EXACT = sorted({*FORMS} - {"bare"})  # they tell both ends of each message


def home() -> House:
    """A phone that registers, a good call, and one that is dropped."""
    house = House()
    register(house, 0)
    outgoing_call(house, 5, "good@phone")
    lost = Incoming(house, "lost@provider")
    lost.invite(40)
    lost.dropped(42)
    return house


def said(path: Path) -> tuple[dict[str, Any], list[str]]:
    source = Source([str(path)], [], [], [5060])
    out = io.StringIO()
    write_json(source.reports(), source.counts, out, lambda: source.notes)
    return json.loads(out.getvalue()), source.notes


def short(verdict: dict[str, Any]) -> list[Any]:
    calls = [(c["call_id"], c["outcome"], c["ack"], round(c["start"])) for c in verdict["calls"]]
    found = {(f["rule"], f["where"], f["harm"], f["call_id"]) for f in verdict["findings"]}
    return [calls, sorted(found), verdict["verdict"]["state"], verdict["advice"]]


@pytest.mark.parametrize("form", EXACT)
def test_a_log_gives_the_verdict_of_the_capture(form: str, tmp_path: Path) -> None:
    packets, _ = home().sorted()
    capture, log = tmp_path / "lan.pcap", tmp_path / "lan.log"
    capture.write_bytes(pcap(packets))
    log.write_text(FORMS[form](messages(packets), PHONE), newline="")
    expected, _ = said(capture)
    verdict, notes = said(log)
    assert verdict["capture"]["sip_messages"] == expected["capture"]["sip_messages"]
    if form == "chan_sip":  # it tells no year
        assert [c[:3] for c in short(verdict)[0]] == [c[:3] for c in short(expected)[0]]
        assert "it is made up" in notes[0]
    else:
        assert short(verdict)[0] == short(expected)[0]
        assert not notes
    assert short(verdict)[1:] == short(expected)[1:]


def test_messages_with_a_time_and_nothing_else_tell_how_calls_ended(tmp_path: Path) -> None:
    log = tmp_path / "pasted.txt"
    log.write_text(FORMS["bare"](messages(home().sorted()[0]), PHONE))
    verdict, notes = said(log)
    outcomes = {c["call_id"]: c["outcome"] for c in verdict["calls"]}
    assert outcomes == {"good@phone": "completed", "lost@provider": "dropped"}
    assert any("example.net is not told" in note for note in notes)


def test_messages_without_a_time_are_known_by_their_order(tmp_path: Path) -> None:
    house = House()
    outgoing_call(house, 5, "good@phone")
    log = tmp_path / "pasted.txt"
    log.write_text("\n".join(lines_of(payload) for *_, payload in messages(house.sorted()[0])))
    verdict, notes = said(log)
    assert [c["outcome"] for c in verdict["calls"]] == ["completed"]
    assert not [f for f in verdict["findings"] if f["harm"] in ("observed", "certain")]
    assert any("no length of time" in note for note in notes)


def test_lines_that_tell_of_lost_messages_are_explained(tmp_path: Path) -> None:
    log = tmp_path / "messages"
    log.write_text(
        "[Mar  1 10:00:00] WARNING[9] chan_sip.c: Retransmission timeout reached on transmission "
        "a@b for seqno 102 (Critical Response) -- See the wiki\n"
        "Packet timed out after 32000ms with no response\n"
        "[Mar  1 10:00:00] WARNING[9] chan_sip.c: Hanging up call a@b - no reply to our critical "
        "packet (see the wiki).\n"
        "[Mar  1 10:00:01] WARNING[9] chan_sip.c: Cancelling retransmit of OPTIONs (call id c@d)\n"
    )
    verdict, notes = said(log)
    assert verdict["verdict"]["state"] == "cannot-tell"
    assert [note.split(": ")[1] for note in notes] == ["line 1", "line 3", "line 4"]
    assert '"a@b" was never acknowledged' in notes[0] and "64*T1 = 32 s" in notes[0]
    assert "DLG001" in notes[1] and "TXN004" in notes[2]
    assert verdict["notes"] == notes


def test_a_body_that_the_log_has_changed_is_not_blamed_on_its_sender(tmp_path: Path) -> None:
    house = House()
    outgoing_call(house, 5, "good@phone")
    text = FORMS["sngrep"](messages(house.sorted()[0]), PHONE)
    assert text.count("a=sendrecv\r\n") or text.count("t=0 0\r\n")
    log = tmp_path / "cut.txt"
    log.write_text(text.replace("t=0 0\r\n", ""), newline="")
    verdict, notes = said(log)
    assert not [f for f in verdict["findings"] if f["rule"] in ("MSG002", "ALG007")]
    assert any("by its Content-Length" in note for note in notes)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("nothing of the sort\n", "no SIP message is in its 1 lines"),
        ("INVITE sip:a@b SIP/2.0\nhello\n", "line 1: a start line without the header fields"),
        ("<--- Received SIP request (9 bytes) from UDP:1.2.3.4:5060 --->\n", "no SIP message"),
    ],
)
def test_text_without_a_message_is_refused_with_line_and_reason(
    text: str, words: str, tmp_path: Path
) -> None:
    path = tmp_path / "notes.txt"
    path.write_text(text)
    with pytest.raises(CaptureError, match=words):
        said(path)


def walked(*pieces: bytes) -> TextWalker:
    walker = TextWalker()
    for piece in pieces:
        assert not walker.feed(piece).count
    walker.end()
    return walker


def test_hostile_text_is_bounded() -> None:
    head = b"INVITE sip:a@b SIP/2.0\nCall-ID: x\nCSeq: 1 INVITE\nVia: SIP/2.0/UDP 1.2.3.4\n"
    long = head + b"X: " + b"y" * 300_000 + b"\n" + b"Y: z\n" * 40_000 + b"\n"
    walker = walked(
        *[head.replace(b"\n", b"\n\n")] * 200, long, b"\xff\x01\x80" * 1000, b"Via:" * 9
    )
    assert len(walker.remarks) <= REMARKS + 4
    total = 0
    while (packets := walker.feed(b"")).count:
        total += packets.count
        assert all(n <= min(LONGEST, LARGEST + 60) for n in packets.records[0][3::4])
    assert total <= 1


def test_the_pieces_in_which_a_text_comes_do_not_matter() -> None:
    text = FORMS["freeswitch"](messages(home().sorted()[0]), PHONE).encode()
    whole = walked(text).feed(b"")
    for size in (1, 7, 1000):
        parts = [text[i : i + size] for i in range(0, len(text), size)]
        some = walked(*parts).feed(b"")
        assert (some.buffer, some.records) == (whole.buffer, whole.records)


def test_wiresharks_own_export_reads_like_its_capture(tmp_path: Path) -> None:
    packets, _ = home().sorted()
    capture, log = tmp_path / "lan.pcap", tmp_path / "lan.txt"
    capture.write_bytes(pcap(packets))
    done = subprocess.run(
        ["tshark", "-n", "-V", "-r", capture], capture_output=True, check=True, text=True
    )
    log.write_text(done.stdout)
    expected, _ = said(capture)
    verdict, _ = said(log)
    assert short(verdict) == short(expected)
