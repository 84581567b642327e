# SPDX-License-Identifier: Apache-2.0
"""Addresses from the wire: anything may stand there."""

from __future__ import annotations

import ipaddress

import pytest
from algwatch.base import address
from hypothesis import given
from hypothesis import strategies as st


@given(st.binary(min_size=16, max_size=16))
def test_ipv6_text_is_the_one_of_rfc_5952(packed: bytes) -> None:
    expected = ipaddress.IPv6Address(packed)
    mapped = expected.ipv4_mapped or int(expected) >> 32 == 0
    if not mapped:  # RFC 5952 section 5 leaves the dotted form of these open
        assert address.text(packed, 6) == str(expected)
    assert ipaddress.IPv6Address(address.text(packed, 6)) == expected


@given(st.integers(0, 2**32 - 1))
def test_ipv4_text_and_number_are_each_other(value: int) -> None:
    text = address.text(value.to_bytes(4) + b"\0" * 12, 4)
    assert text == str(ipaddress.IPv4Address(value))
    assert address.ipv4(text) == value


@pytest.mark.parametrize("host", ["", "1.2.3", "1.2.3.4.5", "1.2.3.256", "a.b.c.d", "1.2.3.4 ",
                                  "1.2.3.-4", "1.2.3.0004", "\u0661.2.3.4", "::1"])  # fmt: skip
def test_what_is_no_dotted_quad_is_no_ipv4_address(host: str) -> None:
    assert address.ipv4(host) == -1


@pytest.mark.parametrize(("host", "unroutable"), [
    ("10.1.2.3", True), ("172.16.0.1", True), ("172.31.255.255", True), ("172.32.0.1", False),
    ("192.168.1.10", True), ("192.169.0.1", False), ("100.64.0.1", True), ("100.128.0.1", False),
    ("169.254.1.1", True), ("127.0.0.1", True), ("0.0.0.0", True), ("198.51.100.2", False),
    ("203.0.113.5", False), ("fe80::1", True), ("fd00::1", True), ("2001:db8::1", False),
    ("::1", True), ("example.net", False), ("", False), ("10.example.net", False),
    ("192.0.0.4", True), ("192.0.2.77", False), ("::ffff:192.168.1.10", True),
    ("::ffff:203.0.113.5", False), ("FE80::1%25eth0", True), ("0:0:0:0:0:0:0:1", True),
    ("fc::1", False), ("64:ff9b::cb00:7105", False), ("2001:db8:1::10:5060", False),
])  # fmt: skip
def test_only_what_nobody_on_the_internet_can_reach_is_unroutable(
    host: str, unroutable: bool
) -> None:
    assert address.is_unroutable(host) is unroutable


@pytest.mark.parametrize(("host", "unreachable"), [
    ("localhost", True), ("LocalHost.", True), ("pbx.local", True), ("x7.invalid", True),
    ("phone.home.arpa", True), ("192.168.1.10", True), ("fd00::1", True), ("", False),
    ("example.net", False), ("local.example.net", False), ("mylocalhost", False),
    ("203.0.113.5", False), ("a" * 60 + ".local", False),
])  # fmt: skip
def test_a_name_outside_the_public_dns_is_unreachable_too(host: str, unreachable: bool) -> None:
    assert address.is_unreachable(host) is unreachable


@given(st.binary(min_size=16, max_size=16))
def test_every_spelling_of_an_ipv6_address_is_the_same_one(packed: bytes) -> None:
    ip = ipaddress.IPv6Address(packed)
    for spelled in (str(ip), ip.exploded, ip.exploded.upper()):
        assert address.ipv6(spelled) == int(ip)
        assert address.canonical(spelled) == address.text(packed, 6)


@pytest.mark.parametrize("host", ["", "1:2", "1::2::3", ":::", "1:2:3:4:5:6:7:8:9", "g::1",
                                  "::12345", "1:2:3:4:5:6:7::8", "1:2:3:4:5:6:7:", "example.net",
                                  "::1%e h", "::1.2.3", "1.2.3.4"])  # fmt: skip
def test_what_is_no_ipv6_literal_stays_as_it_is(host: str) -> None:
    assert address.ipv6(host) == -1
    assert address.canonical(host) == host


@given(st.text())
def test_no_host_text_raises(host: str) -> None:
    address.is_unroutable(host)
    address.is_unreachable(host)
    address.is_private_name(host)
    address.is_literal(host)
    address.canonical(host)
