# SPDX-License-Identifier: Apache-2.0
"""Logs of what programs on the router itself say: taken apart, and read from files."""

from __future__ import annotations

import json
import struct
from pathlib import Path
from typing import Any

import pytest
from algwatch.__main__ import main
from algwatch.capture.nflog import packets_in
from algwatch.capture.pcap import write
from craft import NS, START, answer, frame, request
from test_frame import tlv

WAN, PROVIDER = "198.51.100.2", "203.0.113.5"


def logged(packet: bytes, hook: int) -> bytes:
    """A packet as LINKTYPE_NFLOG has it, from that hook. packet: an Ethernet frame."""
    header = tlv(1, struct.pack("!HBx", 0x0800, hook), "<")
    return b"\x02\x00\x13\xc4" + header + tlv(9, packet[14:], "<")


def captured(tmp_path: Path, linktype: int) -> dict[str, Any]:
    """What analyze says of a program at the WAN address, whose packets are the same on both sides.
    linktype: of the LAN side's file."""
    asked = request(
        "REGISTER", "sip:example.net", via=f"{WAN}:5060", branch="z9hG4bKreg", cseq=1,
        call_id=f"reg@{WAN}", caller="<sip:100@example.net>;tag=r1",
        contact=f"<sip:100@{WAN}:5060>", more=["Expires: 120"],
    )  # fmt: skip
    said = answer(200, asked, contact=f"<sip:100@{WAN}:5060>;expires=120")
    sides: dict[str, list[tuple[int, bytes]]] = {"lan": [], "wan": []}
    for number, (payload, src, dst, hook, late) in enumerate([
        (asked, WAN, PROVIDER, 3, 80_000), (said, PROVIDER, WAN, 1, 90_000),
    ]):  # fmt: skip
        at, ttl = (START + number) * NS, 64 if src == WAN else 57
        packet = frame(payload, src, 5060, dst, 5060, ttl, 7)
        sides["wan"].append((at, packet))
        sides["lan"].append((at + late, logged(packet, hook) if linktype == 239 else packet))
    write(str(tmp_path / "lan"), linktype, sides["lan"])
    write(str(tmp_path / "wan"), 1, sides["wan"])
    return json.loads(analyzed(tmp_path))


def analyzed(folder: Path) -> str:
    import contextlib
    import io

    out = io.StringIO()
    with contextlib.redirect_stdout(out):
        main(["analyze", "--json", "--lan", str(folder / "lan"), "--wan", str(folder / "wan")])
    return out.getvalue()


def test_equal_packets_of_a_log_are_two_copies_and_of_two_interfaces_one(tmp_path: Path) -> None:
    verdict = captured(tmp_path, 239)
    assert verdict["crossings"]["paired"] == 2
    assert "CAP010" not in {f["rule"] for f in verdict["findings"]}
    assert verdict["verdict"]["state"] == "fine"
    assert [r["line"] for r in verdict["registrations"]] == [f"{WAN} and {PROVIDER}"]
    assert "CAP010" in {f["rule"] for f in captured(tmp_path, 1)["findings"]}


def message(kind: int, body: bytes, size: int = -1) -> bytes:
    padded = body + bytes(-len(body) % 4)
    return struct.pack("=IHHII", 16 + len(body) if size < 0 else size, kind, 0, 0, 0) + padded


def test_a_datagram_holds_several_packets_and_other_messages() -> None:
    data = message(4 << 8, b"abcde") + message(3, b"done") + message(4 << 8, b"xy")
    assert [data[at : at + size] for at, size in packets_in(data)] == [b"abcde", b"xy"]


@pytest.mark.parametrize("size", [0, 15, 99, 1 << 20, 0xFFFFFFFF])
def test_lengths_that_lie_end_a_datagram(size: int) -> None:
    first = message(4 << 8, b"abcd")
    found = list(packets_in(first + message(4 << 8, b"", size) + first))
    assert found == [(16, 4)]
    assert list(packets_in(first[:15])) == []
