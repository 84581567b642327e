# SPDX-License-Identifier: Apache-2.0
"""The daemon's console on the router."""

from __future__ import annotations

import io
import json
from functools import partial

from algwatch.advise.advice import Advice
from algwatch.base.report import Report
from algwatch.report.anonymous import anonymous
from algwatch.report.console import Console
from algwatch.report.privacy import Privacy
from reports import call, finding, registration


def said(*reports: Report, as_json: bool = False) -> list[str]:
    out = io.StringIO()
    console = Console(out, as_json)
    for report in reports:
        console.report(report)
    return out.getvalue().splitlines()


def test_every_kind_of_report_is_a_line_and_an_object_under_its_kind() -> None:
    reports = [call(), finding(), registration("refused", 403),
               Advice("keep-sip-alg", "recommended", 0.8, ["why"], [], [])]  # fmt: skip
    assert len(said(*reports)) == 4
    kinds = [next(iter(json.loads(line))) for line in said(*reports, as_json=True)]
    assert kinds == [report.kind for report in reports]


def test_sentences_for_a_log_name_nobody_and_are_told_as_often() -> None:
    out = io.StringIO()
    console = Console(out, False)
    privacy = Privacy(bytes(32))
    console.anonymous = partial(anonymous, privacy=privacy)
    given = finding(summary='The 2xx of "sip:ben@example.net" came 7 times.')
    advice = Advice(
        "keep-sip-alg", "recommended", 0.8, ['of "ben"'], [], ["uci commit"], "192.0.2.1"
    )
    for report in (
        call(),
        given,
        registration("refused", 403),
        registration("refused", 403),
        advice,
    ):
        console.report(report)
    ben, anna = privacy.pseudonym("ben"), privacy.pseudonym("anna")
    phone = privacy.call_id("c1@phone")
    lines = out.getvalue().splitlines()
    assert len(lines) == 4
    assert f"call {phone} completed" in lines[0]
    assert f'The 2xx of "sip:{ben}@example.net" came 7 times. (call {phone})' in lines[1]
    assert f"sip:{anna}@example.net refused" in lines[2]
    assert "uci commit" in lines[3]
    for name in ("ben@", "anna", "c1", "of ben", '"ben"'):
        assert name not in out.getvalue()
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
    assert lines == [
        "registration of sip:anna@example.net refused with 403 (Forbidden)",
        "registration of sip:anna@example.net unanswered",
        "registration of sip:anna@example.net accepted",
    ]


def test_each_address_of_record_has_its_own_latest_word() -> None:
    lines = said(registration("refused", 403, "sip:a@h"), registration(aor="sip:b@h"),
                 registration("refused", 403, "sip:b@h"), registration(aor="sip:a@h"))  # fmt: skip
    assert len(lines) == 3


def test_a_refused_call_is_told_with_its_status() -> None:
    (line,) = said(call("rejected", 503))
    assert line == "call c1@phone rejected with 503 (Service Unavailable) after 9.0 s"
