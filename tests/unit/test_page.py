# SPDX-License-Identifier: Apache-2.0
"""The text without a capture: what is said of reports and traffic made by hand."""

from __future__ import annotations

import pytest
from algwatch.base.report import Report
from algwatch.report.render.collected import REGISTRATIONS
from algwatch.report.render.ladder import Ladder, Outside
from algwatch.report.render.text import outside_line, write_text
from algwatch.report.render.wanted import Wanted
from reports import call, finding, registration
from sip_capture import Screen

COUNTS = {
    "capture": {"packets": 20, "sip_messages": 20, "lan": 10, "wan": 10},
    "crossings": {"paired": 10, "lan_only": 0, "wan_only": 0, "rewritten": 0},
}


def page(*reports: Report, encoding: str = "utf-8") -> tuple[str, int]:
    out = Screen(encoding)
    status = write_text(reports, lambda: COUNTS, Ladder(), out, False, 80, Wanted(all_=True))
    return out.getvalue(), status


def flat(text: str) -> str:
    return " ".join(text.split())


def test_registrations_are_told_beside_the_traffic_those_that_failed_first() -> None:
    text, status = page(registration(aor="sip:good@h"), registration("refused", 403, "sip:bad@h"))
    assert status == 1
    bad = 'The registration of "sip:bad@h" was refused with 403 (Forbidden).'
    good = 'The registration of "sip:good@h" was accepted.'
    assert text.index(bad) < text.index(good) < text.index("In short")


def test_of_a_registration_the_latest_word_is_told() -> None:
    text, status = page(registration("unanswered"), registration())
    assert status == 0
    assert "never answered" not in text and "was accepted" in text


def test_many_registrations_are_counted_and_not_listed() -> None:
    text, _ = page(*[registration(aor=f"sip:{n}@h") for n in range(REGISTRATIONS + 5)])
    assert text.count("The registration of") == REGISTRATIONS
    assert "5 more registrations are not shown." in text


def outside(requests: int, answers: dict[int, int]) -> Outside:
    traffic = Outside()
    traffic.requests, traffic.answers = requests, answers
    return traffic


@pytest.mark.parametrize(
    ("requests", "answers", "line"),
    [
        (4, {200: 2, 401: 2}, "REGISTER 4: 2 accepted (200 x2), 2 challenged (401 x2)."),
        (3, {403: 1, 503: 1}, "REGISTER 3: 2 refused (403 x1, 503 x1), 1 never answered."),
        (6, {}, "REGISTER 6: 6 never answered."),
        (1, {302: 1}, "REGISTER 1: 1 redirected (302 x1)."),
        (0, {}, "REGISTER: answers only."),
    ],
)
def test_traffic_outside_calls_tells_accepted_challenged_refused_and_unanswered_apart(
    requests: int, answers: dict[int, int], line: str
) -> None:
    assert outside_line("REGISTER", outside(requests, answers), False) == line


def test_the_router_is_not_said_to_change_nothing_where_nothing_crossed() -> None:
    traffic = outside(1, {})
    assert "changed nothing" not in outside_line("OPTIONS", traffic, True)
    traffic.paired = 2
    assert "changed nothing" in outside_line("OPTIONS", traffic, True)


@pytest.mark.parametrize("encoding", ["utf-8", "ascii"])
def test_names_in_the_verdict_cannot_command_the_terminal(encoding: str) -> None:
    hostile = "sip:\x1b]0;owned\x07\x1b[2J\u202e\x9b31m\x00\r\n@h"
    text, _ = page(call("rejected", 503, to=hostile), registration("refused", 403, hostile),
                   finding(call_id="x", summary=hostile, next_step=hostile),
                   encoding=encoding)  # fmt: skip
    assert all(c.isprintable() for c in text.replace("\n", ""))
    assert flat(text).count("\\x1b") >= 3


def test_the_state_begins_the_text() -> None:
    text, status = page(call())
    assert status == 0
    assert text.splitlines()[:2] == [
        "Nothing hurts: nothing to do.",
        "• The one call that was seen ended well.",
    ]
