# SPDX-License-Identifier: Apache-2.0
"""The ladder: what is kept of a capture, and how it is shown."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from algwatch.report.render.differ import SHOWN, changed_part, differing_lines
from algwatch.report.render.ladder import STEPS, Ladder
from sip_capture import Datagram, message, shown, write_capture

LAB = Path(__file__).resolve().parents[1] / "golden" / "lab"
PHONE, ROUTER, PROVIDER = ("192.168.1.10", 5060), ("203.0.113.2", 5060), ("198.51.100.7", 5060)


def out(at: float, ip_id: int, payload: bytes, left: bytes | None = None) -> list[Datagram]:
    """Both copies of a message from the phone to the provider: LAN, WAN."""
    return [
        (at, PHONE, PROVIDER, 64, ip_id, payload),
        (at + 0.0001, ROUTER, PROVIDER, 63, ip_id, payload if left is None else left),
    ]


def two_sided(tmp_path: Path, pairs: list[list[Datagram]], more_lan: list[Datagram] = [],  # noqa: B006
              more_wan: list[Datagram] = []) -> dict[str, Any]:  # noqa: B006 # fmt: skip
    lan = sorted([p[0] for p in pairs] + more_lan)
    wan = sorted([p[1] for p in pairs] + more_wan)
    return {
        "lan": [write_capture(tmp_path / "lan.pcap", lan)],
        "wan": [write_capture(tmp_path / "wan.pcap", wan)],
    }


def lines_with(text: str, word: str) -> list[str]:
    return [line for line in text.splitlines() if word in line]


def recorded(name: str) -> dict[str, Any]:
    return {"lan": [LAB / name / "lan.pcap"], "wan": [LAB / name / "wan.pcap"]}


def test_an_arrow_that_crossed_goes_from_the_phone_through_the_router_to_the_provider(
    tmp_path: Path,
) -> None:
    invite = out(0, 1, message("INVITE sip:ben@example.net SIP/2.0"))
    text, _ = shown(**two_sided(tmp_path, [invite]), encoding="ascii")
    heads = text[text.index("-- Call 1") :].splitlines()[3:5]
    assert heads[0].split() == ["phone", "router", "provider"]
    assert heads[1].split() == ["192.168.1.10:5060", "203.0.113.2:5060", "198.51.100.7:5060"]
    (arrow,) = lines_with(text, "INVITE ")
    assert arrow.strip().startswith("0.000  |--") and arrow.endswith("->|")
    assert arrow.count("+") == 1


def test_a_message_that_never_left_the_router_ends_there_in_a_cross(tmp_path: Path) -> None:
    invite = out(0, 1, message("INVITE sip:ben@example.net SIP/2.0"))
    ack = (0.5, PHONE, PROVIDER, 64, 2, message("ACK sip:ben@example.net SIP/2.0", cseq="1 ACK"))
    later = out(9, 3, message("BYE sip:ben@example.net SIP/2.0", cseq="2 BYE", branch="z9hG4bKb"))
    text, _ = shown(**two_sided(tmp_path, [invite, later], [ack]), encoding="ascii")
    (arrow,) = lines_with(text, " ACK ")
    (whole,) = lines_with(text, " BYE ")
    assert arrow.index("X") == whole.index("+")
    assert arrow[arrow.index("X") - 1] == ">"


def test_a_message_that_never_reached_the_lan_ends_at_the_router_from_the_right(
    tmp_path: Path,
) -> None:
    invite = out(0, 1, message("INVITE sip:ben@example.net SIP/2.0"))
    stray = (0.5, PROVIDER, ROUTER, 60, 2, message("BYE sip:anna@h SIP/2.0", cseq="2 BYE"))
    later = out(9, 3, message("CANCEL sip:ben@example.net SIP/2.0", cseq="1 CANCEL"))
    text, _ = shown(**two_sided(tmp_path, [invite, later], [], [stray]), encoding="ascii")
    (arrow,) = lines_with(text, " BYE ")
    assert "X<-" in arrow and arrow.endswith("-|")


def test_what_was_still_on_its_way_when_the_capture_ended_is_not_called_lost(
    tmp_path: Path,
) -> None:
    invite = out(0, 1, message("INVITE sip:ben@example.net SIP/2.0"))
    ack = (0.1, PHONE, PROVIDER, 64, 2, message("ACK sip:ben@example.net SIP/2.0", cseq="1 ACK"))
    text, _ = shown(**two_sided(tmp_path, [invite], [ack]), encoding="ascii")
    (arrow,) = lines_with(text, " ACK ")
    assert ">?" in arrow and "X" not in arrow


def test_retransmissions_are_one_line_with_their_number_and_the_time_of_the_last() -> None:
    text, _ = shown(**recorded("4"))
    (first, again) = lines_with(text, " 200 OK ")[:2]
    assert "again" not in first
    assert "200 OK again" in again and "x10 until 31.8 s" in again


def test_lines_that_differ_stand_under_each_other_and_equal_ones_are_left_out(
    tmp_path: Path,
) -> None:
    inside = message("INVITE sip:ben@example.net SIP/2.0")
    outside = inside.replace(b"192.168.1.10:5060", b"203.0.113.2:5060")
    text, _ = shown(**two_sided(tmp_path, [out(0, 1, inside, outside)]))
    assert [line.strip() for line in lines_with(text, "branch=")] == [
        "- Via: SIP/2.0/UDP 192.168.1.10:5060;branch=z9hG4bKa;rport",
        "+ Via: SIP/2.0/UDP 203.0.113.2:5060;branch=z9hG4bKa;rport",
    ]
    assert not lines_with(text, "From:")


def test_an_ack_that_the_router_sent_to_another_port_ends_in_a_cross_and_names_both() -> None:
    text, status = shown(**recorded("6b-on"), encoding="ascii")
    (arrow, _) = lines_with(text, "-- ACK ")[:2]
    assert "X<-" in arrow
    assert "sent to 192.168.181.4:31589; NAT mapping: 192.168.181.4:22312" in text
    assert status == 1


def test_a_host_that_is_not_at_the_head_of_a_column_is_named_under_its_arrow() -> None:
    text, _ = shown(**recorded("14-on"))
    assert lines_with(text, "from 203.0.113.84:5060")


def test_a_one_sided_capture_shows_caller_and_callee(tmp_path: Path) -> None:
    lan = [(0.0, PHONE, PROVIDER, 64, 1, message("INVITE sip:ben@example.net SIP/2.0"))]
    text, _ = shown(lan=[write_capture(tmp_path / "one.pcap", lan)], encoding="ascii")
    assert text[text.index("-- Call 1") :].splitlines()[3].split() == ["caller", "callee"]
    (arrow,) = lines_with(text, " INVITE ")
    assert "X" not in arrow and "?" not in arrow and "+" not in arrow


def test_two_programs_on_one_machine_are_told_apart_by_their_ports(tmp_path: Path) -> None:
    here, there = ("127.0.0.1", 40000), ("127.0.0.1", 5060)
    packets = [
        (0.0, here, there, 64, 1, message("INVITE sip:ben@example.net SIP/2.0")),
        (0.1, there, here, 64, 1, message("SIP/2.0 180 Ringing")),
    ]
    text, _ = shown([write_capture(tmp_path / "lo.pcap", packets)], encoding="ascii")
    (ringing,) = lines_with(text, "180 Ringing")
    assert ringing.split()[1].startswith("|<-") and ringing.endswith("-|")


def test_a_call_keeps_a_bounded_number_of_steps_and_counts_the_others(tmp_path: Path) -> None:
    packets = [
        (n / 10, PHONE, PROVIDER, 64, n + 1,
         message("INVITE sip:ben@example.net SIP/2.0", cseq=f"{n} INVITE", branch=f"z9hG4bK{n}"))
        for n in range(STEPS + 7)
    ]  # fmt: skip
    text, _ = shown([write_capture(tmp_path / "many.pcap", packets)])
    assert len(lines_with(text, " INVITE ")) == STEPS
    assert "7 more messages, not shown" in text


def test_when_there_is_no_room_healthy_calls_go_and_those_that_hurt_stay(tmp_path: Path) -> None:
    packets: list[Datagram] = []
    for n in range(12):
        call_id = f"call-{n}@phone"
        invite = message("INVITE sip:ben@example.net SIP/2.0", call_id, branch=f"z9hG4bK{n}")
        packets.append((n * 100.0, PHONE, PROVIDER, 64, n + 1, invite))
        if n == 1:  # nobody answers this one: TXN001 needs to see it come again
            packets += [(n * 100.0 + s, PHONE, PROVIDER, 64, 99, invite) for s in (0.5, 1.5, 31.5)]
            continue
        busy = message("SIP/2.0 486 Busy Here", call_id, branch=f"z9hG4bK{n}", to_tag="t")
        packets.append((n * 100.0 + 1, PROVIDER, PHONE, 64, n + 1, busy))
    ladder = Ladder(limit=4)
    text, status = shown([write_capture(tmp_path / "calls.pcap", packets)], ladder=ladder)
    assert len(ladder.calls) == 4 and ladder.dropped == 8
    assert 'Call-ID "call-1@phone"' in text
    assert "8 more calls not shown" in text
    assert "12 calls (11 rejected, 1 unanswered)" in " ".join(text.split())
    assert status == 1


def test_registrations_are_one_line_that_says_what_was_rewritten() -> None:
    text, _ = shown(**recorded("6b-on"))
    assert "REGISTER 2: 2 accepted (200 x2); the router rewrote Via, Contact." in text


@pytest.mark.parametrize(
    ("entered", "left", "pairs"),
    [
        (b"a\r\nb\r\n", b"a\r\nb\r\n", ()),
        (b"a\r\nb\r\nc", b"a\r\nX\r\nc", (("b", "X"),)),
        (b"a\r\nb\r\nc", b"a\r\nc", (("b", ""),)),
        (b"a\r\nc", b"a\r\nb\r\nc", (("", "b"),)),
        (b"\xff", b"\xfe", (("\\xff", "\\xfe"),)),
    ],
)
def test_lines_are_matched_also_when_some_are_gone_or_new(
    entered: bytes, left: bytes, pairs: tuple[tuple[str, str], ...]
) -> None:
    assert differing_lines(entered, left) == pairs


def test_a_message_that_differs_everywhere_is_not_kept_whole() -> None:
    assert len(differing_lines(b"a\n" * 1000, b"b\n" * 1000)) == SHOWN
    assert len(differing_lines(b"a\n" * 1000, b"b\n" * 999)) <= SHOWN


def test_the_changed_part_is_whole_addresses() -> None:
    before, after = "Contact: <sip:a@192.168.1.10:5060>", "Contact: <sip:a@192.168.2.10:5060>"
    start, end, after_end = changed_part(before, after)
    assert before[start:end] == "192.168.1.10:5060"
    assert after[start:after_end] == "192.168.2.10:5060"
