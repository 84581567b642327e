# SPDX-License-Identifier: Apache-2.0
"""Reports that leave the router, from the side of those who make calls."""

from __future__ import annotations

import time

import pytest
from algwatch.report.privacy import MAX_EVIDENCE, Privacy

KEY = b"a key of thirty-two random bytes"
INVITE = b"""INVITE sip:+4930123:pw@sip.example.com;user=phone SIP/2.0\r
Via: SIP/2.0/UDP 192.168.1.10:5060;branch=z9hG4bKabc;rport\r
f: "Smith, Alice" <sip:alice@example.com>;tag=1\r
To: Bob Brown <tel:+4930999;phone-context=x>\r
i: 12345-alice@192.168.1.10\r
CSeq: 1 INVITE\r
Proxy-Authorization: Digest username="alice", nonce="n", response="deadbeef"\r
Authorization\t: Digest username="alice",\r
 response="cafebabe"\r
WWW-Authenticate: Digest realm="r", nonce="secretnonce"\r
P-Asserted-Identity: <sip:carol@example.com>\r
Subject: about dave\r
Contact: "Eve, E" <sip:eve@192.168.1.10:5060>;+sip.instance="<urn:uuid:1-2-3>",\r
\t<sip:frank:pw@192.168.1.11>\r
Content-Length: 5\r
\r
v=0\r
o=grace 1 1 IN IP4 192.168.1.10\r
s=henry\r
e=ivan@example.com\r
c=IN IP4 192.168.1.10\r
a=crypto:1 AES_CM_128 inline:topsecret\r
a=ice-pwd:alsosecret\r
m=audio 4000 RTP/AVP 0\r
"""
SECRETS = (b"deadbeef", b"cafebabe", b"secretnonce", b"topsecret", b"alsosecret", b"pw")
PEOPLE = (b"4930123", b"alice", b"Alice", b"Bob", b"4930999", b"12345", b"carol", b"dave", b"eve",
          b"Eve", b"1-2-3", b"frank", b"grace", b"henry", b"ivan")  # fmt: skip


def test_neither_people_nor_secrets_are_in_the_evidence() -> None:
    shown = Privacy(KEY).evidence(INVITE)
    for word in SECRETS + PEOPLE:
        assert word not in shown, word


def test_what_an_alg_damages_is_still_in_the_evidence() -> None:
    shown = Privacy(KEY).evidence(INVITE)
    for part in (b"@sip.example.com;user=phone SIP/2.0\r\n", b"192.168.1.10:5060;branch=z9hG4bKabc",
                 b";tag=1", b"@192.168.1.10\r\n", b"@192.168.1.10:5060>", b"@192.168.1.11>",
                 b"CSeq: 1 INVITE", b"c=IN IP4 192.168.1.10", b"m=audio 4000 RTP/AVP 0",
                 b" 1 1 IN IP4 192.168.1.10"):  # fmt: skip
        assert part in shown, part


def test_secrets_stay_even_when_the_operator_turns_pseudonyms_off() -> None:
    shown = Privacy(KEY, enabled=False).evidence(INVITE)
    assert b"sip:alice@example.com" in shown
    for word in (b"deadbeef", b"cafebabe", b"secretnonce", b"topsecret", b"alsosecret"):
        assert word not in shown, word


@pytest.mark.parametrize(
    "line",
    [
        b'Authorization: Digest response="secret"',
        b'AUTHORIZATION : Digest response="secret"',
        b'Proxy-Authorization:\r\n Digest response="secret"',
        b"X-Mine: secret",
        b"Via: a\rAuthorization: secret",
        b"Via: a\nAuthorization: secret",
        b"no colon secret",
    ],
)
@pytest.mark.parametrize("enabled", [True, False])
def test_no_disguise_gets_a_header_field_out_that_is_not_on_the_list(
    line: bytes, enabled: bool
) -> None:
    message = b"OPTIONS sip:a@b SIP/2.0\r\n" + line + b"\r\nCSeq: 1 OPTIONS\r\n\r\n"
    shown = Privacy(KEY, enabled).evidence(message)
    assert b"secret" not in shown
    assert b"CSeq: 1 OPTIONS" in shown


@pytest.mark.parametrize(
    ("text", "hidden", "kept"),
    [
        ("Contact <sip:alice@192.168.1.10:5060> became <sip:alice@203.0.113.7:1024>", "alice",
         "@203.0.113.7:1024>"),
        ("the ACK went to sips:o'brien@example.com", "brien", "@example.com"),
        ("Request-URI sip:1001;x=1@host;lr", "1001", "@host;lr"),
        ("sip:a@b@host", "a@b", "@host"),
        ("sip:alice:password@host", "password", "@host"),
        ("tel:+49301234567;ext=1 was called", "4930", ";ext=1 was called"),
        ("(alice@example.com)", "alice", "(u-"),
        ("to +49301234567.", "4930", "to u-"),
        ("sip:5551234 without a host", "5551234", "without a host"),
    ],
)  # fmt: skip
def test_sentences_name_nobody(text: str, hidden: str, kept: str) -> None:
    shown = Privacy(KEY).text(text)
    assert hidden not in shown
    assert kept in shown


@pytest.mark.parametrize(
    "text",
    [
        "Via sent-by 192.168.1.10:5060 became 203.0.113.7:1024",
        "sip:192.168.1.10:5060;transport=udp",
        "sip:sip.example.com is 200 OK after 32000 ms",
        "INVITE 1 was sent 7 times within 32 s; CSeq 314159",
    ],
)
def test_sentences_without_people_are_left_alone(text: str) -> None:
    assert Privacy(KEY).text(text) == text


def test_who_is_named_in_the_evidence_is_found_in_the_sentence_too() -> None:
    privacy = Privacy(KEY)
    privacy.learn(INVITE)
    shown = privacy.text("alice called Bob Brown, not alicent, from 192.168.1.10; alice's phone")
    assert shown.count(privacy.pseudonym("alice")) == 2
    assert "Bob" not in shown
    assert "alicent" in shown
    assert "192.168.1.10" in shown


def test_one_name_has_one_pseudonym_everywhere_so_that_reports_can_be_joined() -> None:
    privacy = Privacy(KEY)
    alice = privacy.pseudonym("alice").encode()
    assert alice in privacy.evidence(INVITE)
    assert alice.decode() in privacy.text("sip:alice@example.com")


def test_another_router_gives_the_same_name_another_pseudonym() -> None:
    assert Privacy(KEY).pseudonym("alice") != Privacy(
        b"another key of 32 random bytes.."
    ).pseudonym("alice")


def test_the_host_of_a_call_id_stays_and_its_local_part_does_not() -> None:
    privacy = Privacy(KEY)
    shown = privacy.call_id("12345-alice@192.168.1.10")
    assert shown.endswith("@192.168.1.10")
    assert "12345" not in shown
    assert privacy.call_id("no-host-at-all").startswith("c-")
    assert shown in privacy.text("in 12345-alice@192.168.1.10 it broke", "12345-alice@192.168.1.10")
    assert shown.encode() in privacy.evidence(INVITE)


def test_a_pseudonym_is_not_made_of_a_pseudonym() -> None:
    privacy = Privacy(KEY)
    once = privacy.text("call 12345@host by sip:alice@host", "12345@host")
    assert privacy.text(once) == once


def test_a_reason_phrase_may_say_anything_and_is_left_out() -> None:
    shown = Privacy(KEY).evidence(b"SIP/2.0 404 alice is not here\r\nCSeq: 1 INVITE\r\n\r\n")
    assert shown.startswith(b"SIP/2.0 404\r\n")


def test_evidence_is_bounded_and_a_line_is_shown_whole_or_not_at_all() -> None:
    name = b"alice" * 300
    message = b"INVITE sip:x@y SIP/2.0\r\nFrom: <sip:" + name + b"@z>\r\n" + b"Via: v\r\n" * 9000
    shown = Privacy(KEY).evidence(message)
    assert len(shown) <= MAX_EVIDENCE
    assert b"alice" not in shown
    assert b"From: (too long)" in shown


@pytest.mark.parametrize(
    "evil",
    [b"sip:" * 16000, b"a@" * 30000, b"f: " + b" " * 60000, b"f:" + b'"' * 60000,
     b"m: " + b"a," * 30000, b"f: " + b"a " * 30000, b"\xff\x00" * 30000, b"tel:+" * 13000],
)  # fmt: skip
def test_hostile_messages_take_no_more_than_linear_time(evil: bytes) -> None:
    privacy = Privacy(KEY)
    started = time.process_time()
    privacy.learn(evil)
    privacy.evidence(b"INVITE a\r\n" + evil)
    privacy.text(evil.decode("latin-1"))
    assert time.process_time() - started < 0.5  # 65 kB; quadratic would be minutes


def test_a_short_key_is_refused() -> None:
    with pytest.raises(ValueError, match="16 bytes"):
        Privacy(b"short")
