# SPDX-License-Identifier: Apache-2.0
"""One change in one copy: its name, and whether the mapping of the packet explains it.

What is expected of each change is a line: header and field, by which rule it is explained ("-" for
none), "linux" where nf_nat_sip writes such a thing, and where the mapping has a word on it, what
that would have made of the value.
"""

from __future__ import annotations

import socket
from types import SimpleNamespace
from typing import Any, cast

import pytest
from algwatch.base.native.layout import ENDS
from algwatch.base.packet import LAN, WAN
from algwatch.base.sighting import Sighting
from algwatch.compare.crossing import Crossing
from algwatch.compare.differences import rewrites

PHONE, ROUTER, PROVIDER = ("192.168.1.10", 5060), ("198.51.100.2", 40123), ("203.0.113.5", 5060)
ELSEWHERE = "198.51.100.99"
SDP = ("v=0|o=- 7 7 IN IP4 192.168.1.10|s=-|c=IN IP4 192.168.1.10|t=0 0|m=audio 16384 RTP/AVP 8|"
       "a=rtcp:16385|m=video 16386 RTP/AVP 99|")  # fmt: skip


def message(start: str = "INVITE sip:300@example.net SIP/2.0", body: str = SDP,
            **headers: str) -> str:  # fmt: skip
    fields = {
        "Via": "SIP/2.0/UDP 192.168.1.10:5060;rport;branch=z9hG4bKx",
        "Max-Forwards": "70",
        "From": "<sip:100@example.net>;tag=p",
        "To": "<sip:300@example.net>",
        "Call-ID": "one@192.168.1.10",
        "CSeq": f"1 {start.split()[0]}",
        "Contact": "<sip:100@192.168.1.10:5060>",
    }
    fields |= {name.replace("_", "-"): value for name, value in headers.items()}
    fields |= {"Content-Type": "application/sdp", "Content-Length": str(len(wire(body)))}
    lines = [start, *(f"{name}: {value}" for name, value in fields.items())]
    return "|".join([*lines, "", body])


def wire(text: str) -> bytes:
    return text.replace("|", "\r\n").encode()


def copy(text: str, side: int, source: tuple[str, int], to: tuple[str, int]) -> Sighting:
    src, dst = (socket.inet_aton(host) for host, _ in (source, to))
    packed = ENDS.pack(src, dst, 0, 0, source[1], to[1], 0, 17, 4)
    return Sighting((), side, wire(text), packed)


def compared(entered: str, left: str, outbound: bool = True, router: tuple[str, int] = ROUTER,
             provider: tuple[str, int] = PROVIDER) -> list[str]:  # fmt: skip
    """The changes; "|" ends a line of the messages."""
    lan, wan = ((PHONE, provider), (router, provider)) if outbound else (
        (provider, PHONE), (provider, router))  # fmt: skip
    ways = [(LAN, *lan), (WAN, *wan)]
    first, then = ways if outbound else reversed(ways)
    made: Any = SimpleNamespace(
        entered=copy(entered, *first), left=copy(left, *then), rewritten=True, changes=None
    )
    return [
        " ".join(filter(None, (
            r.header, r.field, r.explained or "-", "linux" * r.linux, r.expected,
        ))) for r in rewrites(cast(Crossing, made))
    ]  # fmt: skip


def changed(old: str, new: str, **how: Any) -> list[str]:
    entered = how.pop("of", message())
    assert old in entered
    return compared(entered, entered.replace(old, new), **how)


CONTACT = "sip:100@192.168.1.10:5060"
MAPPED = "198.51.100.2:40123"


@pytest.mark.parametrize(("new", "expected"), [
    ("sip:100@198.51.100.2:40123", f"address mapping linux {MAPPED}"),
    ("sip:100@198.51.100.2", f"address - {MAPPED}"),
    (f"sip:100@{ELSEWHERE}:40123", f"address - {MAPPED}"),
    ("sip:100@192.168.1.10", f"port normalised {MAPPED}"),
    ("sip:100@192.168.1.10:5061", f"port - {MAPPED}"),
    ("sips:100@192.168.1.10:5060", "form -"),
])  # fmt: skip
def test_a_contact_is_explained_by_the_mapping_of_its_packet(new: str, expected: str) -> None:
    assert changed(CONTACT, new) == [f"Contact {expected}"]


def test_a_port_that_is_left_out_is_5060() -> None:
    at_5060 = ("198.51.100.2", 5060)
    assert changed(CONTACT, "sip:100@198.51.100.2", router=at_5060) == [
        "Contact address mapping 198.51.100.2:5060"
    ]


@pytest.mark.parametrize(("new", "expected"), [
    ("sip:100@198.51.100.2:5060", "expectation linux"),
    ("sip:100@198.51.100.2", "expectation"),
    (f"sip:100@{ELSEWHERE}:5060", "-"),
])  # fmt: skip
def test_only_the_translated_host_is_opened_for_a_registrations_contact(
    new: str, expected: str
) -> None:
    entered = message("REGISTER sip:example.net SIP/2.0", body="")
    assert changed(CONTACT, new, of=entered) == [f"Contact address {expected} {MAPPED}"]
    public = message("REGISTER sip:example.net SIP/2.0", body="", Contact="<sip:100@example.net>")
    first, *_ = changed("<sip:100@example.net>", "*", of=public)
    assert first == "Contact address -"


@pytest.mark.parametrize(("old", "new", "expected"), [
    ("192.168.1.10", "198.51.100.2:40123", f"mapping linux {MAPPED}"),
    ("192.168.1.10", "198.51.100.2", f"mapping {MAPPED}"),
    ("192.168.1.10", "198.51.100.2:9", f"- {MAPPED}"),
    ("192.168.1.10", ELSEWHERE, f"- {MAPPED}"),
    ("192.168.1.10:5062", "198.51.100.2:5062", "mapping 198.51.100.2:5062"),
    ("192.168.1.10:5062", "198.51.100.2", "mapping 198.51.100.2:5062"),
    ("192.168.1.10:5062", "198.51.100.2:40123", "- 198.51.100.2:5062"),
])  # fmt: skip
def test_an_identity_needs_no_port(old: str, new: str, expected: str) -> None:
    entered = message(From=f"<sip:100@{old}>;tag=p")
    assert changed(f"{old}>;", f"{new}>;", of=entered) == [f"From address {expected}"]


@pytest.mark.parametrize(("old", "new", "expected"), [
    ("100@198.51.100.2:40123", "100@192.168.1.10:5060",
     ["address mapping linux 192.168.1.10:5060"]),
    ("100@198.51.100.2:40123", "100@192.168.1.10", ["address mapping 192.168.1.10:5060"]),
    ("100@198.51.100.2:40123", "100@192.168.1.10:5070", ["address - 192.168.1.10:5060"]),
    ("100@198.51.100.2:40123", "100@192.168.1.11:5060", ["address - 192.168.1.10:5060"]),
    ("100@198.51.100.2", "100@192.168.1.10:5060", ["address mapping 192.168.1.10"]),
    ("100@198.51.100.2", "100@192.168.1.10", ["address mapping 192.168.1.10"]),
    ("100@198.51.100.2", "100@192.168.1.10:5070", ["address - 192.168.1.10"]),
    ("100@198.51.100.2", "200@192.168.1.10", ["address mapping 192.168.1.10", "user -"]),
    ("100@198.51.100.2", "200@198.51.100.2", ["user -"]),
    ("100@198.51.100.2", "100@198.51.100.2;x", ["user -"]),
])  # fmt: skip
def test_a_request_uri_is_explained_where_the_packet_itself_goes(
    old: str, new: str, expected: list[str]
) -> None:
    entered = message(f"INVITE sip:{old} SIP/2.0")
    found = changed(f"sip:{old} ", f"sip:{new} ", of=entered, outbound=False)
    assert found == [f"Request-URI {one}" for one in expected]


@pytest.mark.parametrize(("old", "new", "port", "expected"), [
    ("203.0.113.5", "203.0.113.5:31589", 5060, "port - linux 203.0.113.5"),
    ("203.0.113.5:5060", "203.0.113.5:31589", 5060, "port - linux 203.0.113.5:5060"),
    ("203.0.113.5:5062", "203.0.113.5:31589", 5062, "port - linux 203.0.113.5:5062"),
    ("203.0.113.5:5062", "203.0.113.5:31589", 5060, "port -"),
    ("203.0.113.5:5062", "203.0.113.5", 5062, "port -"),
    ("203.0.113.5", "203.0.113.5:5060", 5060, "port normalised linux"),
    ("203.0.113.5", f"{ELSEWHERE}:31589", 5060, "address -"),
    ("203.0.113.6:5060", "203.0.113.6:31589", 5060, "port -"),
])  # fmt: skip
def test_the_helper_writes_its_forced_port_where_the_packet_goes(
    old: str, new: str, port: int, expected: str
) -> None:
    """map_addr() of net/netfilter/nf_nat_sip.c."""
    entered = message(To=f"<sip:300@{old}>")
    found = changed(f"@{old}>", f"@{new}>", of=entered, provider=("203.0.113.5", port))
    assert found == [f"To {expected}"]


VIA = "SIP/2.0/UDP 192.168.1.10:5060;received=198.51.100.2;rport=40123;branch=z9hG4bKx"


@pytest.mark.parametrize(("old", "new", "expected"), [
    ("received=198.51.100.2", "received=192.168.1.10", ["received mapping linux 192.168.1.10"]),
    ("received=198.51.100.2", f"received={ELSEWHERE}", ["received - 192.168.1.10"]),
    (";received=198.51.100.2", "", ["received - 192.168.1.10", "form -"]),
    ("rport=40123", "rport=5060", ["rport mapping linux 5060"]),
    ("rport=40123", "rport=9", ["rport - 5060"]),
    (";rport=40123", ";rport", ["rport - 5060", "form -"]),
    (";rport=40123", "", ["rport - 5060", "form -"]),
])  # fmt: skip
def test_what_a_response_says_of_the_source_is_translated_back(
    old: str, new: str, expected: list[str]
) -> None:
    entered = message("SIP/2.0 200 OK", Via=VIA)
    assert changed(old, new, of=entered, outbound=False) == [f"Via {one}" for one in expected]


@pytest.mark.parametrize(("via", "old", "new", "expected"), [
    (";rport", ";rport", ";rport=40123", ["rport -"]),
    (";rport;rport2", ";rport;", ";rport=40123;", ["rport -"]),
    ("", ";branch", ";rport;branch", ["rport -"]),
    ("", ";branch", f";received={ELSEWHERE};branch", ["received -"]),
    (";maddr=192.168.1.10", "maddr=192.168.1.10", "maddr=198.51.100.2", ["maddr mapping linux"]),
    (";maddr=192.168.1.10", "maddr=192.168.1.10", f"maddr={ELSEWHERE}", ["maddr -"]),
    (";maddr=192.168.1.10", ";maddr=192.168.1.10", "", ["maddr -", "form -"]),
    (";maddr=192.0.2.1", ";maddr=192.0.2.1", "", ["maddr -", "form -"]),
])  # fmt: skip
def test_what_the_router_writes_into_the_via_of_a_request(
    via: str, old: str, new: str, expected: list[str]
) -> None:
    entered = message(Via=f"SIP/2.0/UDP 192.168.1.10:5060{via};branch=z9hG4bKx")
    assert changed(old, new, of=entered) == [f"Via {one}" for one in expected]


def test_a_change_accounts_for_one_place_in_its_header_field() -> None:
    contact = message(Contact="<sip:100@192.168.1.10:5060>;x=192.168.1.10:5060")
    assert changed("0@192.168.1.10:5060", f"0@{MAPPED}", of=contact) == [
        f"Contact address mapping linux {MAPPED}"
    ]
    tagged = message(From="<sip:100@example.net>;tag=p;x-tag=p")
    assert changed(";tag=p", ";tag=q", of=tagged) == ["From tag -"]
    assert changed(";tag=p;x-tag=p", ";tag=q;x-tag=q", of=tagged) == [
        "From tag -",
        "From parameters -",
    ]


@pytest.mark.parametrize(("new", "explained"), [
    ("203.0.113.5 192.168.1.10:5060", "mapping"), ("203.0.113.5 192.168.1.11:5060", "-"),
])  # fmt: skip
def test_any_value_with_a_translated_host_is_explained(new: str, explained: str) -> None:
    """Beside one that stays the same."""
    old = "203.0.113.5 198.51.100.2:40123"
    found = changed(old, new, of=message(X_Path=old), outbound=False)
    assert found == [f"X-Path value {explained}"]


def test_header_fields_in_another_order_are_told_from_other_ones() -> None:
    one, two = "Max-Forwards: 70|", "From: <sip:100@example.net>;tag=p|"
    assert changed(one + two, two + one) == ["Header order -"]
    assert changed(one, "") == ["Header names -"]


# ---- SDP ----

TRANSLATED = SDP.replace("192.168.1.10", "198.51.100.2")
ADDRESS, ORIGIN = (
    "SDP address mapping linux 198.51.100.2",
    "SDP origin normalised linux 198.51.100.2",
)


def body(new: str, old: str = SDP) -> list[str]:
    """Changes of a body, whose Content-Length fits."""
    found = compared(message(body=old), message(body=new))
    return [one for one in found if not one.startswith("Content-Length value normalised")]


def test_connection_and_origin_address_are_explained_by_the_mapping() -> None:
    assert body(TRANSLATED) == [ADDRESS, ORIGIN]
    assert body(SDP.replace("c=IN IP4 192.168.1.10", "c=IN IP4 198.51.100.2")) == [ADDRESS]
    wrong = "SDP address - 198.51.100.2"
    assert body(SDP.replace("192.168.1.10", ELSEWHERE)) == [wrong, ORIGIN]
    for host in ("198.51.100.2", ELSEWHERE):
        alone = SDP.replace("o=- 7 7 IN IP4 192.168.1.10", f"o=- 7 7 IN IP4 {host}")
        assert body(alone) == ["SDP origin - 198.51.100.2"]


@pytest.mark.parametrize(("port", "expected"), [
    ("20002", "SDP port expectation linux"), ("1024", "SDP port expectation linux"),
    ("1023", "SDP port -"),
])  # fmt: skip
def test_a_media_port_is_opened_with_its_address(port: str, expected: str) -> None:
    assert body(TRANSLATED.replace("16384", port)) == [ADDRESS, expected, ORIGIN]
    elsewhere = SDP.replace("192.168.1.10", ELSEWHERE).replace("16384", port)
    assert body(elsewhere)[1] == body(SDP.replace("16384", port))[0] == "SDP port -"


def test_a_media_port_is_not_opened_by_a_change_elsewhere() -> None:
    entered = message()
    left = entered.replace(CONTACT, f"sip:100@{MAPPED}").replace("16384", "20002")
    assert compared(entered, left)[1:] == ["SDP port -"]


@pytest.mark.parametrize(("old", "new", "expected"), [
    ("audio 16384 RTP/AVP 8", "audio 20002 RTP/AVP 0", ["SDP port -", "Body line -"]),
    ("a=rtcp:16385", "a=rtcp:20003", ["SDP rtcp -"]),
    ("t=0 0", "t=0 1", ["Body line -"]),
    ("m=video 16386 RTP/AVP 99|", "", ["SDP count -", "Body lines -"]),
])  # fmt: skip
def test_every_line_is_accounted_for(old: str, new: str, expected: list[str]) -> None:
    assert body(SDP.replace(old, new)) == expected


@pytest.mark.parametrize("other", ["", "hello|"])
def test_a_body_that_is_no_sdp_any_more_or_becomes_some_is_other_lines(other: str) -> None:
    assert body(other) == body(SDP, other) == ["Body lines -"]


def test_a_new_media_port_accounts_for_its_own_line_alone() -> None:
    more = SDP + "a=x 16388 y|"
    left = more.replace("16384", "20002").replace("16388", "20002")
    assert body(left, more) == ["SDP port -", "Body line -"]


PART = "--x|Content-Type: application/sdp||"
TWO_PARTS = (
    PART + SDP + PART + SDP.replace("o=- 7 7 IN IP4 192.168.1.10", "o=- 7 7 IN IP4 10.0.0.9")
)


@pytest.mark.parametrize(("old", "new", "expected"), [
    ("", "", []),
    ("o=- 7 7 IN IP4 10.0.0.9", "o=- 7 7 IN IP4 198.51.100.2", ["Body line normalised linux"]),
    ("o=- 7 7 IN IP4 10.0.0.9", "o=- 7 8 IN IP4 198.51.100.2", ["Body line -"]),
    ("o=- 7 7 IN IP4 10.0.0.9", f"o=- 7 7 IN IP4 {ELSEWHERE}", ["Body line -"]),
    ("t=0 0", "t=0 1 198.51.100.2", ["Body line -"] * 2),
])  # fmt: skip
def test_the_origin_of_another_part_follows_its_connection_address(
    old: str, new: str, expected: list[str]
) -> None:
    left = TWO_PARTS.replace("192.168.1.10", "198.51.100.2").replace(old, new)
    assert body(left, TWO_PARTS) == [ADDRESS, ADDRESS, ORIGIN, *expected]


# ---- Content-Length ----


@pytest.mark.parametrize(("text", "written", "expected"), [
    (SDP, "9", "- 134"), (SDP, "x", "- 134"), (SDP, "²", "- 134"), (SDP, "0134", "normalised 134"),
    ("hello|", "9", "- 7"), ("hello|", "07", "normalised 7"), ("hello|", "", "- 7"),
])  # fmt: skip
def test_a_content_length_is_explained_where_it_fits(
    text: str, written: str, expected: str
) -> None:
    entered = message(body=text)
    left = entered.replace(f"Content-Length: {len(wire(text))}|", f"Content-Length: {written}|")
    assert compared(entered, left) == [f"Content-Length value {expected}"]


def test_the_helper_counts_from_the_session_description_alone() -> None:
    parts = f"--b|Content-Type: application/sdp||{SDP}"
    size, counted = len(wire(parts)), len(wire(SDP))
    (several,) = changed(f"Length: {size}|", f"Length: {counted}|", of=message(body=parts))
    assert several == f"Content-Length value - linux {counted}"
    assert compared(message(body=SDP), message(body=SDP + "|"))[-1].endswith("normalised linux 136")
    assert compared(message(body="a|"), message(body="ab|"))[-1].endswith("normalised 4")
    (right,) = changed("Content-Length: 4|", "Content-Length: 04|", of=message(body="ab|"))
    assert right == "Content-Length value normalised 4"
