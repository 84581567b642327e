# SPDX-License-Identifier: Apache-2.0
"""No name, number, secret or body leaves the router: every payload is decoded as it was sent."""

from __future__ import annotations

import re
import time
from pathlib import Path
from typing import Any

import leaks
import pytest
from algwatch.advise.advice import Advice
from algwatch.compare.rewrite import Rewrite
from algwatch.diagnose.alg import told
from algwatch.diagnose.finding import Evidence, Finding
from algwatch.report.anonymous import anonymous, for_log
from algwatch.report.encode import Encoder
from algwatch.report.evidence import MAX_EVIDENCE, evidence
from algwatch.report.privacy import Privacy, split
from algwatch.report.render.log_line import log_line
from algwatch.report.wire import decode
from captures import all_captures
from craft import analyzed
from hypothesis import given
from hypothesis import strategies as st
from people import NAMES, PAIRS, Renamed, holds, payloads, private
from sample import some

KEY = bytes(range(32))
FILES = sorted({one for words in all_captures().values() for one in words if one[:2] != "--"})
PARTS = 32


def payload(message: bytes, text: str = "text", looks: int = 1, privacy: bool = True) -> bytes:
    encoder = Encoder("cpe1", "0.1.0", "b001", Privacy(KEY, privacy))
    seen = [Evidence("wan", 1e9, text, text, message)] * looks
    return encoder.finding(
        Finding("ALG001", "contact-rewritten", "error", "router", "observed", "", "wan", 1e9, text,
                seen, "key"), 0.0
    )  # fmt: skip


def texts(value: Any) -> bytes:
    """Every text and every byte of a decoded payload."""
    if isinstance(value, dict):
        return b"\n".join(texts(one) for pair in value.items() for one in pair)
    if isinstance(value, list):
        return b"\n".join(texts(one) for one in value)
    return value if isinstance(value, bytes) else str(value).encode()


@pytest.mark.parametrize("seed", range(3))
def test_a_secret_in_any_place_of_a_message_does_not_leave_with_its_evidence(seed: int) -> None:
    found = []
    for what, message, secret in leaks.attempts(seed):
        sent = texts(decode(payload(message)))
        part = leaks.leaked(secret, sent)
        if part:
            found.append((what, secret, part, evidence(message, Privacy(KEY))))
    assert not found, found[:10]


def test_the_search_for_leaks_finds_them() -> None:
    """Each attempt holds its secret: without pseudonyms the usual places show it."""
    shown = sum(
        bool(leaks.leaked(secret, payload(message, privacy=False)))
        for _, message, secret in leaks.attempts()
    )
    assert all(leaks.leaked(secret, message) for _, message, secret in leaks.attempts())
    assert shown > 200


PIECES = (
    b"\r\n", b"m: ", b"Via: SIP/2.0/UDP ", b"From:", b"<sip:", b'"', b"@", b">", b";tag=", b"=",
    b"\r\n\r\n", b"c: application/sdp\r\n", b"o=", b"m=audio ", b"a=rtcp:", b"192.168.1.10", b":",
    b"[::1]", b"?", b",", b" ", b"\xff", b"\0", b"\r", b"SIP/2.0 ", b"INVITE ", b"5060",
)  # fmt: skip


@given(st.lists(st.one_of(st.sampled_from(PIECES), st.binary(max_size=9)), max_size=60))
def test_evidence_of_anything_is_bounded_lines_without_control_characters(
    parts: list[bytes],
) -> None:
    for privacy in (Privacy(KEY), Privacy(KEY, enabled=False)):
        sent = evidence(b"".join(parts), privacy)
        assert len(sent) <= MAX_EVIDENCE
        assert not re.search(rb"[\x00-\x08\x0a-\x1f\x7f]", sent.replace(b"\r\n", b""))


@given(st.text())
def test_no_sentence_makes_it_stumble(text: str) -> None:
    privacy = Privacy(KEY)
    privacy.text(text)
    privacy.text(f'"{text}" sip:{text}')
    privacy.value(text)
    privacy.call_id(text)


HOSTILE = (
    b'"', b'\\"', b'"\\"\\""', b",", b"a,", b"<", b"<>", b";", b"@", b"sip:", b"tel:+", b"\r\n ",
    b"m: a\r\n", b"\xff\x00", b"[", b":", b"?", b"\r", b"\n", b"a.", b'"<', b"sip:a@b.c ", b"\\",
)  # fmt: skip


@pytest.mark.parametrize("unit", HOSTILE)
def test_a_report_costs_no_more_than_in_proportion_to_its_messages(unit: bytes) -> None:
    def cost(size: int) -> float:
        text = (unit * size)[:size]
        message = b"INVITE sip:x@y SIP/2.0\r\nContact: " + text + b"\r\n\r\n" + text
        best = 9.0
        for _ in range(3):
            started = time.process_time()
            payload(message, '"' + text.decode("latin-1").replace('"', "'") + '"', 6)
            best = min(best, time.process_time() - started)
        return best

    # Six messages and fourteen sentences: 16 s of them were one finding once.
    assert cost(60_000) < 4 * max(cost(6_000), 0.005)


@pytest.mark.parametrize("by", [",", ";"])
def test_no_separator_in_quotes_or_angle_brackets_parts_a_list(by: str) -> None:
    listed = {
        f'"a{by}b" <c{by}d>{by}e': [f'"a{by}b" <c{by}d>', "e"],
        f'"a\\"{by}b"{by}': [f'"a\\"{by}b"', ""],
        f'"a{by}b': [f'"a{by}b'],
        f'"a{by}b\\': [f'"a{by}b\\'],
        f"<a{by}b": [f"<a{by}b"],
        f"a>{by}b": ["a>", "b"],
        "": [""],
    }
    for text, parts in listed.items():
        assert list(split(text, by)) == parts


# ---- all captures ----


@pytest.mark.parametrize("part", range(PARTS))  # a test each takes longer than what it looks at
def test_nothing_private_in_any_capture_is_sent_as_evidence(part: int) -> None:
    privacy = Privacy(KEY)
    for path in FILES[part::PARTS]:
        for message in set(payloads(path)):
            sent = evidence(message, privacy)
            left = [one for one in private(message) if holds(sent, one)]
            assert not left, (path, left, message, sent)


# ---- what is said of calls ----


@pytest.mark.parametrize("folder", some(PAIRS, 4), ids=lambda folder: folder.name)
def test_nobody_is_named_in_what_is_sent_or_logged_of_any_call(folder: Path) -> None:
    privacy = Privacy(KEY)
    first = PAIRS.index(folder)
    for seed in range(first, first + len(NAMES), 4):  # each shape in a quarter of the folders
        renamed = Renamed(seed)
        lan, wan = (renamed.packets(folder / f"{side}.pcap") for side in ("lan", "wan"))
        encoder = Encoder("cpe1", "0.1.0", "b001", privacy)
        for one in analyzed(lan, wan)[1]:
            said = log_line(for_log(one, privacy)).encode()
            assert said == log_line(anonymous(one, privacy)).encode()
            if isinstance(one, Finding):
                said += texts(decode(encoder.finding(one, 0.0)))
            if isinstance(one, Advice):
                said += texts(decode(encoder.advice([one], 0.0)))
            left = [part for secret in renamed.secrets if (part := leaks.leaked(secret, said))]
            assert not left, (left, NAMES[seed], said)


@pytest.mark.parametrize("field", ["user", "display", "address", "parameters", "branch", "value"])
@pytest.mark.parametrize("text", ["4930123456", "10123", "anna", "anna.smith"])
def test_what_was_rewritten_is_told_without_people(field: str, text: str) -> None:
    said = told([Rewrite("Contact", field, text, "192.0.2.1")])
    shown = Privacy(KEY).text(said)
    assert text not in shown
    assert field != "address" or "became 192.0.2.1" in shown


def test_a_port_that_was_rewritten_is_told() -> None:
    said = told([Rewrite("SDP", "port", "4000", "5000")])
    assert Privacy(KEY).text(said) == said == "SDP port 4000 became 5000"
