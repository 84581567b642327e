# SPDX-License-Identifier: Apache-2.0
"""The text that people read: verdicts, advice, and what never reaches their terminal."""

from __future__ import annotations

import io
import json
import re
from pathlib import Path
from typing import Any

import pytest
from algwatch import pipeline
from algwatch.advise import actions
from algwatch.cli.source import Source
from algwatch.compare.limits import Limits
from algwatch.report.render.how import HOW
from algwatch.report.render.json import write_json
from algwatch.report.render.terminal import Terminal
from craft import House, Incoming, pcap
from sip_capture import Screen, message, shown, write_capture

LAB = Path(__file__).resolve().parents[1] / "golden" / "lab"
RUNS = sorted(path.parent.name for path in LAB.glob("*/lan.pcap"))
PHONE, PROVIDER = ("192.168.1.10", 5060), ("198.51.100.7", 5060)
STYLE = re.compile(r"\x1b\[[0-9;]*m")


def recorded(name: str) -> dict[str, Any]:
    return {"lan": [LAB / name / "lan.pcap"], "wan": [LAB / name / "wan.pcap"]}


def flat(text: str) -> str:
    return " ".join(text.split())


def test_a_dropped_call_has_a_verdict_that_names_the_cause_and_then_the_lines_to_type() -> None:
    text, status = shown(**recorded("6b-on"))
    assert status == 1
    said = flat(text)
    assert (
        "Verdict: The call was answered and then dropped, because its ACK got lost; the cause "
        "lies with this router (ALG011 mapping-mismatch)." in said
    )
    assert text.index("Verdict:") < text.index("What to do") < text.index("algwatch apply")
    assert "Turn the router's SIP ALG off (recommended" in said
    assert (
        "for: 1 call to 192.168.181.241 with the same provider completed with a private Contact "
        "and nothing rewritten" in said
    )


def test_what_speaks_against_an_advice_that_is_only_suspected_is_told() -> None:
    text, status = shown(**recorded("6c-on"))
    assert status == 1
    said = flat(text)
    assert "Turn the router's SIP ALG off (suspected: try it" in said
    assert "for: the phone asks for rport and the provider answers with it" in said
    assert "against: without the ALG the provider sees a private Contact" in said


@pytest.mark.parametrize("action", sorted(actions.ACTIONS))
def test_every_action_comes_with_how_it_is_done(action: str) -> None:
    if action == actions.DISABLE:
        assert action not in HOW  # it has lines to type
        return
    assert HOW[action].endswith(".")


def test_an_advice_without_lines_to_type_says_how_it_is_done() -> None:
    text, _ = shown(**golden("nat005-refresh-with-the-old-address"))
    assert "how: on the router, when no call is up: conntrack -D -s ADDRESS" in flat(text)


def test_lines_that_clear_the_nat_state_of_a_phone_need_not_be_undone() -> None:
    text, _ = shown(**golden("nat005-refresh-with-the-old-address"))
    assert "conntrack -D -f ipv4 -s 192.168.1.10;" in text and "to undo those" not in text


def test_a_healthy_call_needs_nothing_done() -> None:
    text, status = shown(**recorded("1"))
    assert status == 0
    assert "Verdict: The call completed, and the router changed nothing." in text
    assert "What to do" not in text and "Nothing hurts: nothing to do." in text


def test_what_was_forgotten_for_want_of_room_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pipeline, "LAPTOP", Limits(2, 4096, 4096, 1024))
    text, _ = shown(**recorded("1"))
    files = [str(path) for paths in recorded("1").values() for path in paths]
    out = io.StringIO()
    source = Source([], files[:1], files[1:], [5060])
    write_json(source.reports(), source.counts, out)
    verdict = json.loads(out.getvalue())
    assert list(verdict)[:5] == ["schema", "verdict", "capture", "crossings", "evicted"]
    gone = verdict["evicted"]
    assert list(gone) == ["transactions"] and gone["transactions"] > 0
    told = f"More went on at once than is followed; forgotten early: {gone['transactions']} trans"
    assert told in flat(text)


def golden(name: str) -> dict[str, Any]:
    return {side: [LAB.parent / name / f"{side}.pcap"] for side in ("lan", "wan")}


def test_what_may_still_do_harm_is_not_called_nothing() -> None:
    text, status = shown(**golden("alg011-near-miss-forced-but-answered"))
    assert status == 0
    assert "This may do harm: The ACK from" in flat(text)
    assert "Nothing hurts" not in text and "worth another look" in flat(text)


def test_a_call_that_is_about_to_drop_when_the_capture_ends_gets_no_all_clear() -> None:
    text, status = shown(**golden("dlg001-predicted"))
    assert status == 3
    assert "Cannot tell whether something hurts." in text and "may do harm" in text
    assert "nothing to do" not in text
    assert "Next: Capture from before the call" in flat(text)


def test_a_refused_call_is_told_with_its_status() -> None:
    text, status = shown(**golden("cap005-near-miss-whole-calls"))
    assert status == 0
    refused = "The call was refused with 486 (Busy Here), and the router changed nothing."
    assert refused in flat(text)
    assert "Nothing hurts: nothing to do." in text


def test_a_sentence_about_a_delivered_ack_does_not_call_it_lost() -> None:
    ignored, _ = shown(**golden("dlg001-delivered-and-ignored"))
    seen = "dropped, although its ACK was seen to pass; the trouble lies with the phone"
    assert seen in flat(ignored)
    missing, _ = shown(**golden("dlg001-never-on-wan"))
    none = "dropped, because no ACK came; the trouble lies with the network"
    assert none in flat(missing)


def test_a_router_that_was_not_seen_to_pass_anything_is_not_said_to_change_nothing() -> None:
    text, _ = shown(**golden("txn001-lost-in-the-router"))
    (unanswered,) = re.findall(r"Nobody ever answered the INVITE[^.]*", text)
    assert "changed nothing" not in unanswered
    text, status = shown(**golden("cap008-clocks-differ"))
    assert status == 3
    assert "changed nothing" not in text and "nothing to do" not in text


def test_a_rewritten_call_that_completed_is_called_harmless() -> None:
    text, status = shown(**recorded("2"))
    assert status == 0
    harmless = r"completed, and the router changed \d+ of its \d+ messages, which did no harm"
    assert re.search(harmless, flat(text))


def test_a_warning_about_another_place_is_not_put_on_the_changes_of_the_router(
    tmp_path: Path,
) -> None:
    house = House("linux")
    call = Incoming(house, "odd@provider")
    call.invite(1)
    call.ok(3)
    odd = call._in_dialog("ACK", 1, f"{call.src}:5060", ())
    house.into(3.05, odd.replace(b"z9hG4bKack-", b"z9hG4bKi-"))
    call.bye(60)
    lan, wan = tmp_path / "lan.pcap", tmp_path / "wan.pcap"
    lan.write_bytes(pcap(house.lan))
    wan.write_bytes(pcap(house.wan))
    said = flat(shown(lan=[lan], wan=[wan])[0])
    assert "TXN008 odd-ack, may do harm" in said
    harmless = r"of its \d+ messages, which did no harm; what may do harm stands below\."
    assert re.search(harmless, said)


def test_findings_stand_in_the_order_of_their_harm() -> None:
    text, _ = shown(**recorded("6b-on"))
    of_the_call = text[: text.index("Outside")]
    harms = r"(did harm|will do harm|may do harm|no harm)$"
    words = re.findall(harms, of_the_call, re.MULTILINE)
    order = ["did harm", "will do harm", "may do harm", "no harm"]
    assert len(set(words)) > 2 and words == sorted(words, key=order.index)


@pytest.mark.parametrize("name", RUNS)
def test_text_and_json_agree_on_the_exit_status(name: str) -> None:
    run = recorded(name)
    source = Source([], [*map(str, run["lan"])], [*map(str, run["wan"])], [5060])
    out = Screen("utf-8")
    status = write_json(source.reports(), source.counts, out)
    _, shown_status = shown(**run)
    assert shown_status == status
    verdict = json.loads(out.getvalue())
    text, _ = shown(**run)
    for finding in verdict["findings"]:
        assert finding["rule"] in text
    for call in verdict["calls"]:
        assert call["call_id"] in text


@pytest.mark.parametrize("width", [80, 120])
@pytest.mark.parametrize("name", RUNS)
def test_no_line_is_wider_than_the_terminal_except_the_commands_to_copy(
    name: str, width: int
) -> None:
    text, _ = shown(**recorded(name), colour=True, width=width)
    for line in text.splitlines():
        plain = STYLE.sub("", line)
        assert len(plain) <= width or plain.startswith("    "), plain


def test_the_same_capture_gives_the_same_text_again() -> None:
    assert shown(**recorded("6b-on")) == shown(**recorded("6b-on"))


def test_colour_adds_styles_and_changes_no_word() -> None:
    plain, _ = shown(**recorded("6b-on"))
    coloured, _ = shown(**recorded("6b-on"), colour=True)
    assert "\x1b[31m- " in coloured and "\x1b[32m+ " in coloured
    assert STYLE.sub("", coloured) == plain
    assert "\x1b" not in plain


def test_a_terminal_without_unicode_gets_ascii_alone() -> None:
    text, _ = shown(**recorded("6b-on"), encoding="ascii")
    assert text.isascii()


HOSTILE = "\x1b]0;owned\x07\x1b[2J\u202e\x9b31m\x00\t\r\x7f"


@pytest.mark.parametrize("encoding", ["utf-8", "ascii"])
def test_nothing_from_the_wire_can_command_the_terminal(tmp_path: Path, encoding: str) -> None:
    lan, wan = (
        message("INVITE sip:ben@h SIP/2.0", f"id{HOSTILE}", "1 INVITE", f"X-Side: {side}{HOSTILE}")
        .replace(b"sip:anna", b"sip:an\x1b[31mna")
        .replace(b"sip:ben@example", b"sip:be\xffn\x9b@example")
        for side in ("lan", "wan")
    )
    answer = message(f"SIP/2.0 486 Busy{HOSTILE}", f"id{HOSTILE}", to_tag="t")
    router = ("203.0.113.2", 5060)
    files: dict[str, Any] = {
        "lan": [write_capture(tmp_path / "l", [(0.0, PHONE, PROVIDER, 64, 1, lan),
                                               (1.0, PROVIDER, PHONE, 59, 2, answer)])],
        "wan": [write_capture(tmp_path / "w", [(0.0001, router, PROVIDER, 63, 1, wan),
                                               (0.9999, PROVIDER, router, 60, 2, answer)])],
    }  # fmt: skip
    text, _ = shown(**files, encoding=encoding)
    assert "486 Busy" in text and "X-Side: lan" in text  # it was shown, and not left out
    assert all(c.isprintable() for c in text.replace("\n", ""))
    assert "\\x1b" in text


def test_cutting_a_long_line_keeps_what_changed_in_sight() -> None:
    terminal = Terminal(colour=False, unicode=True)
    text = "Via: " + "a" * 100 + "CHANGED" + "b" * 100
    cut = terminal.cut(text, 40, text.index("CHANGED"))
    assert len(cut) <= 40 and "CHANGED" in cut
    assert terminal.cut("short", 40, 0) == "short"


def test_an_empty_capture_says_that_there_is_nothing(tmp_path: Path) -> None:
    text, status = shown([write_capture(tmp_path / "empty.pcap", [])])
    assert status == 3
    assert "0 SIP messages, 0 calls" in text
    assert "No packet could be read." in text and "tcpdump" in text
