# SPDX-License-Identifier: Apache-2.0
"""Reports that leave the router, from the side of those who make calls."""

from __future__ import annotations

import pytest
from algwatch.report.evidence import MAX_EVIDENCE, evidence
from algwatch.report.privacy import Privacy

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
Content-Type: application/sdp\r
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
    shown = evidence(INVITE, Privacy(KEY))
    for word in SECRETS + PEOPLE:
        assert word not in shown, word


def test_what_an_alg_damages_is_still_in_the_evidence() -> None:
    shown = evidence(INVITE, Privacy(KEY))
    for part in (b"@sip.example.com;user=phone SIP/2.0\r\n", b"192.168.1.10:5060;branch=z9hG4bK",
                 b";rport\r\n", b";tag=t-", b"@192.168.1.10\r\n", b"@192.168.1.10:5060>",
                 b"@192.168.1.11>",
                 b"CSeq: 1 INVITE", b"c=IN IP4 192.168.1.10", b"m=audio 4000 RTP/AVP 0",
                 b" 1 1 IN IP4 192.168.1.10"):  # fmt: skip
        assert part in shown, part


def test_secrets_stay_even_when_the_operator_turns_pseudonyms_off() -> None:
    shown = evidence(INVITE, Privacy(KEY, enabled=False))
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
    shown = evidence(message, Privacy(KEY, enabled))
    assert b"secret" not in shown
    assert b"CSeq: 1 OPTIONS" in shown


@pytest.mark.parametrize(
    ("text", "hidden", "kept"),
    [
        ("Contact <sip:alice@192.168.1.10:5060> became <sip:alice@203.0.113.7:1024>", "alice",
         "@203.0.113.7:1024>"),
        ("the ACK went to sips:o'brien@example.com", "brien", "@example.com"),
        ("Request-URI sip:1001;x=1@example.com;lr", "1001", "@example.com;lr"),
        ("sip:a@b@host", "a@b", "sip:u-"),
        ("sip:alice:password@example.com", "password", "@example.com"),
        ("tel:+49301234567;ext=1 was called", "4930", " was called"),
        ('The INVITE to "alice" was', "alice", ' was'),
        ('Contact user "101" became "102"', "101", ' became "x-'),
        ('said "so" and "sip:alice@example.com', "alice", 'and "sip:u-'),
        ('Contact: "Smith, Jon <sip:alice@192.168.1.10:5060>;x=y"', "Smith", "@192.168.1.10:5060>"),
        ('Route should be "sip:192.0.2.1;lr, sip:bob@192.0.2.2;lr"', "bob", "@192.0.2.2;lr"),
        ('"192.168.1.10:5060" and "[2001:db8::1]"', "x-", '0:5060" and "[2001:db8::1]"'),
        ("its o= line has the host name pbx.alice.example.com", "alice", "pbx.h-"),
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


def test_one_name_has_one_pseudonym_everywhere_so_that_reports_can_be_joined() -> None:
    privacy = Privacy(KEY)
    alice = privacy.pseudonym("alice").encode()
    assert alice in evidence(INVITE, privacy)
    assert alice.decode() in privacy.text("sip:alice@example.com")
    umlaut = privacy.pseudonym("Jürg", "d").encode()
    for display in ("Jürg", '"Jürg"'):
        assert umlaut in evidence(f"OPTIONS x SIP/2.0\r\nTo: {display} <x>".encode(), privacy)


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
    assert shown.encode() in evidence(INVITE, privacy)


@pytest.mark.parametrize("blank", [" ", "  ", "\t", "\n", "\u00a0", "\u2003"])
def test_a_name_is_found_behind_any_blank(blank: str) -> None:
    privacy = Privacy(KEY)
    text = f"the{blank}call{blank}of{blank}alice@10.0.0.1{blank}ended."
    assert privacy.text(text) == text.replace("alice", privacy.pseudonym("alice"))


def test_a_line_of_evidence_ends_with_lf_or_crlf_and_a_lone_cr_ends_none() -> None:
    message = b"OPTIONS x SIP/2.0\nCSeq: 1 OPTIONS\r\nMax-Forwards: 7\r8\r\n\nCall-ID: a@1.2.3.4"
    shown = evidence(message, Privacy(KEY)).split(b"\r\n")
    assert shown[1] == b"CSeq: 1 OPTIONS"
    assert shown[2].startswith(b"Max-Forwards: x-")
    assert b"Call-ID" not in b"".join(shown)  # behind the blank line


def test_a_reason_phrase_may_say_anything_and_is_left_out() -> None:
    shown = evidence(b"SIP/2.0 404 alice is not here\r\nCSeq: 1 INVITE\r\n\r\n", Privacy(KEY))
    assert shown.startswith(b"SIP/2.0 404\r\n")


def test_evidence_is_bounded_and_a_value_is_shown_whole_or_not_at_all() -> None:
    message = b"INVITE sip:x@y SIP/2.0\r\n" + b"m: " + b"<sip:alice@192.168.1.10>, " * 90
    shown = evidence(message + b"\r\nCSeq: 1 INVITE\r\n" + b"Via: v\r\n" * 900, Privacy(KEY))
    assert len(shown) <= MAX_EVIDENCE
    assert b"@192.168.1.10>, ...\r\nCSeq: 1 INVITE\r\n" in shown
    for line in shown.split(b"\r\n")[3:]:
        assert not line or (line.startswith(b"Via: x-") and line.endswith(b"-1"))


@pytest.mark.parametrize(
    ("host", "shown"),
    [
        ("192.168.1.10", "192.168.1.10"), ("[2001:db8::7]", "[2001:db8::7]"),
        ("192.168.1.10:5060", "192.168.1.10:5060"),
        ("sip.example.com:5061", "sip.example.com:5061"),
        ("ims.mnc001.mcc262.3gppnetwork.org", "ims.mnc001.mcc262.3gppnetwork.org"),
        ("alice.dyndns.org", "h-{alice}.dyndns.org"), ("alice", "h-{alice}"),
        ("alice.lan", "h-{alice}.lan"), ("fritz.box", "fritz.box"), ("101", "h-{101}"),
        ("4930123456.example.com", "h-{4930123456}.example.com"), ("a b", "x-{a b}-3"),
        ("[fe80::1. curl]", "x-{[fe80::1. curl]}-15"),
    ],
)  # fmt: skip
def test_of_a_host_what_names_a_provider_stays(host: str, shown: str) -> None:
    privacy = Privacy(KEY)
    before, brace, rest = shown.partition("{")
    if brace:
        name, _, after = rest.partition("}")
        shown = before + privacy.pseudonym(name)[2:] + after
    assert privacy.hostport(host) == shown


@pytest.mark.parametrize(
    ("field", "shown"),
    [
        ("Yealink SIP-T46G 66.84.0.10", "Yealink SIP-T46G 66.84.0.10"),
        ("snom710/8.7.5.35", "snom710/8.7.5.35"),
        ("Asterisk PBX 18.10.0", "Asterisk PBX 18.10.0"),
        ("FPBX-16.0.40(18.10)", "x-{FPBX-16.0.40(18.10)}-19"),
        ("Asterisk-18.10.0", "Asterisk-18.10.0"),
        ("Linphone/4.1 (Alice's)", "Linphone/4.1 x-{(Alice's)}-9"),
        ("Alice 1.0", "x-{Alice 1.0}-9"),
        ("Yealink 4930123456", "Yealink x-{4930123456}-10"),
    ],
)
def test_of_a_user_agent_known_makers_models_and_versions_are_shown(field: str, shown: str) -> None:
    privacy = Privacy(KEY)
    before, brace, rest = shown.partition("{")
    if brace:
        name, _, after = rest.partition("}")
        shown = before + privacy.pseudonym(name)[2:] + after
    message = f"OPTIONS sip:example.com SIP/2.0\r\nUser-Agent: {field}\r\n\r\n".encode()
    assert f"User-Agent: {shown}\r\n".encode() in evidence(message, privacy)


def test_where_two_copies_differ_their_evidence_differs_there_and_nowhere_else() -> None:
    privacy = Privacy(KEY)
    lines = evidence(INVITE, privacy).split(b"\r\n")
    for old, new, at in (
        (b"sip:eve@192.168.1.10:5060", b"sip:eve@203.0.113.7:1024", 6),
        (b"sip:eve@", b"sip:eva@", 6), (b"tag=1", b"tag=2", 2), (b"bKabc", b"bKabd", 1),
        (b"sip:frank:pw", b"sip:franc:pw", 6), (b"1-2-3", b"1-2-4", 6),
        (b"i: 12345", b"i: 12346", 4),
        (b"o=grace 1 1 IN IP4 192.168.1.10", b"o=grace 1 1 IN IP4 203.0.113.7", 11),
    ):  # fmt: skip
        assert INVITE.count(old) == 1
        other = evidence(INVITE.replace(old, new), privacy).split(b"\r\n")
        assert [i for i, (a, b) in enumerate(zip(lines, other, strict=True)) if a != b] == [at]


def test_a_short_key_is_refused() -> None:
    with pytest.raises(ValueError, match="16 bytes"):
        Privacy(b"short")
