# SPDX-License-Identifier: Apache-2.0
"""The daemon's console on the router."""

from __future__ import annotations

import json
from functools import partial

import pytest
from algwatch.advise.advice import Advice
from algwatch.base.report import Report
from algwatch.report.anonymous import for_log
from algwatch.report.console import Console, gap
from algwatch.report.privacy import Privacy
from algwatch.report.render.log_line import MAX_LINE, agent_line, log_line
from logfmt import fields
from reports import call, finding, registration

EVIL = (
    '". rule=DLG001 harm=none \\" \n\r\u2028finding rule=ALG011 \x1b[2J\x9b\u202e\u200b\u3164 '
    "To do so: sh"
)


class Clock:
    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


def console(as_json: bool = False, clock: Clock | None = None) -> tuple[Console, list[str]]:
    lines: list[str] = []
    return Console(lines.append, lines.append, as_json, clock=clock or Clock()), lines


def said(*reports: Report, as_json: bool = False) -> list[str]:
    one, lines = console(as_json)
    for report in reports:
        one.report(report)
    return lines


def advice(subject: str = "a phone", state: str = "recommended", reason: str = "why") -> Advice:
    return Advice("disable-sip-alg", state, 0.9, [reason], [reason], ["uci commit x"], subject)


def test_every_kind_of_report_is_a_line_and_an_object_under_its_kind() -> None:
    reports = [call(), finding(), registration("refused", 403), advice()]
    kinds = [line.split(" ")[0] for line in said(*reports)]
    assert kinds == [report.kind for report in reports]
    kinds = [next(iter(json.loads(line))) for line in said(*reports, as_json=True)]
    assert kinds == [report.kind for report in reports]


def test_a_finding_about_the_capture_has_no_place_and_says_what_to_do() -> None:
    one = finding("none", "CAP003", cause="capture", summary="No SIP.", next_step="Make a call.")
    assert fields(log_line(one))["msg"] == "about the capture: No SIP. Make a call."
    other = finding("observed", summary="It broke.", next_step="Look here.", where="phone")
    assert fields(log_line(other))["msg"] == "on the phone, it hurt: It broke. Look here."


def test_sentences_for_a_log_name_nobody_and_are_told_as_often() -> None:
    one, lines = console()
    privacy = Privacy(bytes(32))
    one.anonymous = partial(for_log, privacy=privacy)
    given = finding(summary='The 2xx of "sip:ben@example.net" came 7 times.')
    kept = Advice("keep-sip-alg", "recommended", 0.8, ['of "ben"'], [], ["uci commit"], "192.0.2.1")
    refused = registration("refused", 403)
    for report in (call(), given, refused, refused, kept):
        one.report(report)
    ben, anna = privacy.pseudonym("ben"), privacy.pseudonym("anna")
    said_ = [fields(line)["msg"] for line in lines]
    assert len(said_) == 4
    assert privacy.call_id("c1@phone") in lines[0]
    assert f'The 2xx of "sip:{ben}@example.net" came 7 times.' in said_[1]
    assert f"sip:{anna}@example.net" in said_[2]
    assert "keep-sip-alg" in lines[3]
    for name in ("ben@", "anna", "c1@", "of ben", '"ben"'):
        assert name not in "".join(lines)
    assert given.evidence and "ben" in given.summary  # the report itself is as it was


def test_a_registration_is_told_when_it_fails_or_changes_and_not_for_each_refresh() -> None:
    lines = said(
        *[registration() for _ in range(3)],
        *[registration("refused", 403) for _ in range(3)],
        registration("unanswered"),
        registration("unknown"),
        *[registration() for _ in range(3)],
        registration("refused", 403, unsolicited=True),
    )
    assert [fields(line)["msg"] for line in lines] == [
        'registration of "sip:anna@example.net" refused with 403 (Forbidden)',
        'registration of "sip:anna@example.net" unanswered',
        'registration of "sip:anna@example.net" accepted',
    ]


def test_each_address_of_record_has_its_own_latest_word() -> None:
    lines = said(registration("refused", 403, "sip:a@h"), registration(aor="sip:b@h"),
                 registration("refused", 403, "sip:b@h"), registration(aor="sip:a@h"))  # fmt: skip
    assert len(lines) == 3


def test_a_refused_call_is_told_with_its_status() -> None:
    (line,) = said(call("rejected", 503))
    assert line == (
        "call call=c1@phone outcome=rejected status=503 ack=seen seconds=9.0 "
        'msg="rejected with 503 (Service Unavailable) after 9.0 s"'
    )


@pytest.mark.parametrize("report", [
    call(call_id=EVIL), finding(call_id=EVIL, summary=f'The 2xx of "{EVIL}" was lost.'),
    registration("refused", 403, EVIL), advice(EVIL, reason=EVIL), advice(EVIL, "none", EVIL),
], ids=["call", "finding", "registration", "advice", "withdrawn"])  # fmt: skip
def test_no_value_looks_like_another_field_or_another_line(report: Report) -> None:
    sane = {
        "call": call(), "finding": finding(), "registration": registration("refused", 403),
        "advice": advice(state=getattr(report, "state", "none")),
    }[report.kind]  # fmt: skip
    line = log_line(report)
    assert line.isprintable() and len(line.splitlines()) == 1
    found, right = fields(line), fields(log_line(sane))
    assert set(right) <= set(found) <= {*right, "call", "line", "aor"}
    for key in ("rule", "harm", "severity", "outcome", "state", "action", "type1"):
        assert found.get(key) == right.get(key)


@pytest.mark.parametrize("size", [3, 500, 995, 3000, 70_000])
@pytest.mark.parametrize("letter", ["a", "\\", '"', "ü", "\U0001f600", "\x1b", "\u202e"])
def test_a_long_line_is_cut_and_still_whole(size: int, letter: str) -> None:
    line = agent_line(letter * size)
    assert len(line.encode()) <= MAX_LINE
    assert fields(line)["msg"]
    line = log_line(finding(call_id=letter * size, summary=letter * size))
    assert len(line.encode()) <= MAX_LINE and fields(line)["rule"] == "ALG011"


def test_what_is_to_be_typed_stands_in_the_log_as_it_is_typed() -> None:
    from algwatch.advise.commands import by_algwatch, disable_on_openwrt

    commands = disable_on_openwrt("192.168.1.10")
    for trial in True, False:
        short = tuple(by_algwatch("192.168.1.10", trial))
        given = Advice("disable-sip-alg", "suspected", 0.5, ["x" * 500], [], commands, "a", "",
                       frozenset(), short)  # fmt: skip
        line = log_line(given)
        assert short and all(command in line for command in short)
        assert len(line.encode()) <= MAX_LINE


def test_a_flood_of_findings_is_a_bounded_number_of_lines_and_the_rest_is_counted() -> None:
    clock = Clock()
    one, lines = console(clock=clock)
    for number in range(100_000):
        clock.now += 44 / 100_000
        one.report(finding(call_id=f"{number}@flood", key=f"{number}"))
        one.tick()
    one.report(finding(rule="DLG001"))
    told = sum(line.startswith("finding") for line in lines)
    assert 30 <= told <= 30 + 0.5 * 44 + 2
    assert "rule=DLG001" in lines[-1], "the first of each kind always passes"
    clock.now += 60
    one.tick()
    assert fields(lines[-1]) == {
        "kind": "ALG011", "count": str(100_000 - told + 1),
        "msg": f"{100_001 - told} more of ALG011 came too fast and were not told",
    }  # fmt: skip
    clock.now += 3600
    one.tick()
    assert lines[-1].startswith("untold"), "said once"


def test_a_line_of_which_nothing_was_told_yet_is_heard_in_a_flood() -> None:
    clock = Clock()
    one, lines = console(clock=clock)
    for number in range(1000):
        flood = finding(key=f"{number}")
        flood.line = "192.168.1.66 and 203.0.113.5"
        one.report(flood)
    dead = finding()
    dead.line = "192.168.1.10 and 203.0.113.5"
    one.report(dead)
    assert "192.168.1.10" in lines[-1]
    one.finish()
    assert "192.168.1.66" in fields(lines[-1])["msg"]


@pytest.mark.parametrize("as_json", [False, True])
def test_the_latest_word_of_an_advice_is_told_later_when_there_was_no_room(as_json: bool) -> None:
    clock = Clock()
    one, lines = console(as_json, clock)
    for number in range(300):
        one.report(advice("one phone", "recommended" if number % 2 else "suspected"))
    one.report(advice("one phone", "none"))
    before = len(lines)
    assert before < 60
    clock.now += 60
    one.tick()
    assert len(lines) == before + 1
    assert "none" in lines[-1]


def test_lines_about_the_agent_are_bounded_too_and_the_last_one_is_not_left_out() -> None:
    one, lines = console()
    for number in range(1000):
        one.say(f"broker {number}")
    one.say("stopped", always=True)
    assert len(lines) < 40 and lines[-1] == "agent msg=stopped"


def test_a_line_of_json_is_bounded_whatever_the_message_was() -> None:
    huge = finding(call_id="c" * 60_000, summary="s" * 60_000)
    huge.evidence[0].payload = b"x" * 60_000
    huge.evidence *= 20
    (line,) = said(huge, as_json=True)
    assert len(line) < 60_000 and json.loads(line)["finding"]["rule"] == "ALG011"
    (line,) = said(call(call_id=EVIL, to=EVIL), as_json=True)
    assert line.isascii() and line.isprintable() and json.loads(line)["call"]["to"] == EVIL


def test_what_stands_for_unwritten_lines_has_the_form_of_the_others() -> None:
    assert fields(gap(False)(3, "No space left on device"))["lines"] == "3"
    assert json.loads(gap(True)(3, ""))["unwritten"]["lines"] == 3
