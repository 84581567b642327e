# SPDX-License-Identifier: Apache-2.0
"""What a response repeats of its request, and what a server may add (RFC 3261 section 8.2.6.2)."""

from __future__ import annotations

import pytest
from algwatch.compare.echo import echoes
from craft import answer, request

OWN = frozenset(("192.168.1.10", "198.51.100.2"))
ASKED = request(
    "REGISTER", "sip:example.net", via="192.168.1.10:5060", branch="z9hG4bK1", call_id="a", cseq=1,
    caller="<sip:100@192.168.1.10>;tag=r1", callee="<sip:100@192.168.1.10>",
)  # fmt: skip
GOT = answer(200, ASKED, to_tag="t", received="198.51.100.2", rport=5060)


def headers(change: tuple[bytes, bytes]) -> list[str]:
    return [one.header for one in echoes(ASKED, GOT.replace(*change), OWN)]


@pytest.mark.parametrize("change", [
    (b"", b""),
    (b"192.168.1.10:5060", b"192.168.1.10"),
    (b"SIP/2.0/UDP", b"SIP/2.0/udp"),
    (b"From: <sip:100@192.168.1.10>", b"From: <sip:100@example.net>"),
    (b"From: <", b'From: "Somebody" <'),
])  # fmt: skip
def test_what_a_server_may_do_is_no_change(change: tuple[bytes, bytes]) -> None:
    assert not headers(change)


@pytest.mark.parametrize(("change", "header"), [
    ((b"192.168.1.10:5060", b"192.168.1.10:5062"), "Via"),
    ((b"UDP 192.168.1.10", b"UDP 203.0.113.99"), "Via"),
    ((b"z9hG4bK1", b"z9hG4bK2"), "Via"),
    ((b"From: <sip:100@192.168.1.10>", b"From: <sip:100@203.0.113.99>"), "From"),
    ((b"To: <sip:100@192.168.1.10>", b"To: <sip:100@203.0.113.99>"), "To"),
    ((b"tag=r1", b"tag=r2"), "From tag"),
])  # fmt: skip
def test_a_changed_echo_names_its_header(change: tuple[bytes, bytes], header: str) -> None:
    assert headers(change) == [header]


@pytest.mark.parametrize("change", [
    (b"From: ", b"X-From: "),
    (b"From: <sip:100@192.168.1.10>;tag=r1", b"From: ;"),
    (b"Via: ", b"X-Via: "),
])  # fmt: skip
def test_a_field_that_is_absent_or_unreadable_was_not_translated(
    change: tuple[bytes, bytes],
) -> None:
    assert not headers(change)


def test_a_from_tag_that_was_taken_off_is_a_change() -> None:
    assert headers((b";tag=r1", b"")) == ["From tag"]


def test_bytes_that_are_no_message_are_compared_without_harm() -> None:
    assert not echoes(b"", b"", OWN)
    assert not echoes(b"\0", b"\0\r\n\r\n", OWN)
    assert echoes(ASKED, b"", OWN) is not None
