# SPDX-License-Identifier: Apache-2.0
"""The wire format: what the fleet's side may rely on."""

from __future__ import annotations

import io
import json
from contextlib import suppress

import msgpack
import pytest
from algwatch.advise.advice import Advice
from algwatch.advise.commands import by_algwatch, disable_on_openwrt
from algwatch.cli import Usage
from algwatch.cli.decode import line, payloads
from algwatch.diagnose.finding import Evidence, Finding
from algwatch.report.encode import Encoder
from algwatch.report.privacy import Privacy
from algwatch.report.wire import MAX_PAYLOAD, SchemaError, decode, topic
from hypothesis import given
from hypothesis import strategies as st

MESSAGE = b"INVITE sip:bob@example.com SIP/2.0\r\nContact: <sip:alice@192.168.1.10>\r\n\r\n"


def encoder(privacy: bool = True) -> Encoder:
    return Encoder("cpe1", "0.1.0", "b001", Privacy(bytes(32), privacy))


def finding(
    looks: int = 1, text: str = "sip:alice@192.168.1.10", payload: bytes = MESSAGE
) -> Finding:
    evidence = [Evidence("wan", 1e9 + i, text, "203.0.113.7", payload) for i in range(looks)]
    return Finding("ALG001", "contact-rewritten", "error", "router", "observed", "77@h", "wan",
                   1e9, f"Contact was changed: {text}", evidence, "ALG001/7", fingerprint="linux",
                   cause="alg", certain=True, line="192.168.1.10 and 203.0.113.7")  # fmt: skip


def advice(number: int = 1, text: str = "why") -> list[Advice]:
    return [
        Advice("disable-sip-alg", "recommended", 0.95, [text] * 9, [text], ["uci commit"], f"p{i}")
        for i in range(number)
    ]


def test_topics_have_the_version_and_one_subtree_a_router() -> None:
    assert topic("001122334455", "finding") == "algwatch/1/001122334455/finding"


def test_a_finding_carries_every_field_of_its_definition() -> None:
    body = decode(encoder(privacy=False).finding(finding(), 1000000001.5))
    assert {key: body[key] for key in ("schema", "id", "boot", "seq", "at", "cpe", "version")} == {
        "schema": 1, "id": "b001-1", "boot": "b001", "seq": 1, "at": 1000000001.5, "cpe": "cpe1",
        "version": "0.1.0"}  # fmt: skip
    said = body["finding"]
    assert (len(said.pop("key")), len(said.pop("series"))) == (16, 16)
    assert said == {
        "rule": "ALG001", "slug": "contact-rewritten", "severity": "error", "where": "router",
        "harm": "observed", "cause": "alg", "certain": True, "symptom": False, "times": 1,
        "line": "192.168.1.10 and 203.0.113.7", "phone": "192.168.1.10",
        "provider": "203.0.113.7", "call_id": "77@h", "side": "wan", "at": 1e9,
        "summary": "Contact was changed: sip:alice@192.168.1.10", "fingerprint": "linux",
        "evidence": [{"side": "wan", "at": 1e9, "observed": "sip:alice@192.168.1.10",
                      "expected": "203.0.113.7", "bytes": MESSAGE}],
    }  # fmt: skip


def test_with_pseudonyms_nobody_is_named_in_any_field() -> None:
    payload = encoder().finding(finding(), 0.0)
    for word in (b"alice", b"bob", b"77@h", b"77"):
        assert word not in payload, word
    assert b"192.168.1.10" in payload


def test_the_line_of_a_finding_passes_the_pseudonyms_as_its_sentence_does() -> None:
    said = finding()
    said.line = "sip:alice@192.168.1.10 and 203.0.113.7"
    told = decode(encoder().finding(said, 0.0))["finding"]["line"]
    assert "alice" not in told and told.endswith("@192.168.1.10 and 203.0.113.7")


def test_a_finding_said_again_has_the_same_key_and_another_id() -> None:
    one = encoder()
    first, second = (decode(one.finding(finding(), 0.0)) for _ in range(2))
    assert first["finding"]["key"] == second["finding"]["key"]
    assert (first["id"], second["id"]) == ("b001-1", "b001-2")


def test_sequence_numbers_have_no_gap_between_kinds() -> None:
    one = encoder()
    bodies = [one.finding(finding(), 0.0), one.advice(advice(), 0.0), one.health({}, 0.0)]
    assert [decode(body)["seq"] for body in bodies] == [1, 2, 3]


def test_a_will_and_its_birth_are_told_apart_although_they_share_a_number() -> None:
    one = encoder()
    seq = one.next()
    birth, will = decode(one.state(True, 1.0, seq)), decode(one.state(False, 1.0, seq, "lost"))
    assert birth["seq"] == will["seq"]
    assert birth["id"] != will["id"]
    assert (birth["online"], will["online"], will["reason"]) == (True, False, "lost")


def test_advice_carries_every_field_of_its_definition() -> None:
    row = decode(encoder().advice(advice(text="because"), 0.0))["advice"][0]
    assert row == {"action": "disable-sip-alg", "state": "recommended", "confidence": 0.95,
                   "for": ["because"] * 8, "against": ["because"], "commands": ["uci commit"],
                   "subject": "p0"}  # fmt: skip


def test_commands_arrive_as_they_are_to_be_typed() -> None:
    given = advice()[0]
    given.commands = disable_on_openwrt("192.168.1.10")
    given.short = tuple(by_algwatch("192.168.1.10", True))
    row = decode(encoder().advice([given], 0.0))["advice"][0]
    assert row["commands"] == ["algwatch apply --only 192.168.1.10"]


def test_payloads_are_bounded_whatever_a_rule_says() -> None:
    long, wide = "x" * 100_000, "\U0001f600" * 100_000
    for text in (long, wide, long + "@", "\ud800" * 1000):
        assert len(encoder().finding(finding(50, text, b"Via: v\r\n" * 8000), 0.0)) <= MAX_PAYLOAD
        assert len(encoder().advice(advice(100, text), 0.0)) <= MAX_PAYLOAD


def test_what_was_left_out_for_its_size_is_said() -> None:
    message = b"ACK x SIP/2.0" + b"\r\nl: 1" * 400
    body = decode(encoder().finding(finding(6, "\U0001f600" * 500, message), 0.0))
    assert body["finding"]["cut"] is True
    assert 1 <= len(body["finding"]["evidence"]) < 6


def test_fields_of_a_newer_version_are_left_alone() -> None:
    body = decode(msgpack.packb({"schema": 1, "seq": 3, "of tomorrow": {"a": [1]}}))
    assert body["seq"] == 3


@pytest.mark.parametrize(
    "payload",
    [b"", b"\xc1", msgpack.packb([1]), msgpack.packb({"schema": 2}), msgpack.packb({}),
     msgpack.packb({"schema": True}), b"\xdd\xff\xff\xff\xff", b"\x91" * 5000,
     msgpack.packb({"schema": 1}) + b"x", bytes(MAX_PAYLOAD + 1), b"\x81\x91\x01\x01",
     msgpack.packb({"schema": 1})[:-1]],
)  # fmt: skip
def test_what_is_not_a_report_is_refused_in_words(payload: bytes) -> None:
    with pytest.raises(SchemaError, match=r"\w"):
        decode(payload)


@given(st.binary(max_size=200))
def test_no_bytes_make_the_decoders_stumble(payload: bytes) -> None:
    with suppress(SchemaError):
        decode(payload)
    try:
        for value in payloads(io.BytesIO(payload), "x"):
            json.loads(line(value))
    except Usage as problem:
        assert "\n" not in str(problem)


def test_the_decoder_prints_bytes_as_base64_and_numbers_that_json_lacks_as_text() -> None:
    said = {"bytes": b"\x00\xff", 7: float("nan"), "ext": msgpack.ExtType(5, b"a"), "l": [(1,)]}
    assert json.loads(line(said)) == {
        "bytes": "AP8=", "7": "nan", "ext": {"ext": 5, "data": "YQ=="}, "l": [[1]]}  # fmt: skip


def test_the_decoder_takes_payloads_one_behind_the_other() -> None:
    stream = io.BytesIO(msgpack.packb({"a": 1}) + msgpack.packb({"b": 2}))
    assert list(payloads(stream, "x")) == [{"a": 1}, {"b": 2}]


@pytest.mark.parametrize(
    ("data", "why"),
    [
        (msgpack.packb({"a": "long text"})[:-2], "begins at byte 0"),
        (msgpack.packb({}) + b"\xc1", "damaged at byte 1"),
        (b"any text", "not a report"),
        (msgpack.packb({}) + msgpack.packb([1]), "damaged at byte 1: not a report"),
        (b"", "empty"),
        (b"\xdd\xff\xff\xff\xff", "exceeds"),
        (b"\xc6\xff\xff\xff\xff", "begins at byte 0"),
    ],
)
def test_a_damaged_stream_is_refused_with_the_place(data: bytes, why: str) -> None:
    with pytest.raises(Usage, match=why):
        list(payloads(io.BytesIO(data), "file"))
