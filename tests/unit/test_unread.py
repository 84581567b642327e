# SPDX-License-Identifier: Apache-2.0
"""A capture without SIP: the packets are named, and the next step fits them."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest
from algwatch import files
from algwatch.__main__ import main
from craft import NS, frame, pcap, tcp_frame

PHONE, PROVIDER = "192.168.1.2", "192.0.2.9"
INVITE = (b"INVITE sip:bob@192.0.2.9 SIP/2.0\r\nVia: SIP/2.0/TCP 192.168.1.2;branch=z9hG4bKx\r\n"
          b"From: <sip:a@192.0.2.9>;tag=1\r\nTo: <sip:bob@192.0.2.9>\r\nCall-ID: x\r\n"
          b"CSeq: 1 INVITE\r\nContact: <sip:a@192.168.1.2>\r\n"
          b"Content-Length: 0\r\n\r\n")  # fmt: skip
TLS = b"\x16\x03\x01\x00\x20\x01" + bytes(31)


def udp(payload: bytes, port: int, sport: int = 40000) -> bytes:
    return frame(payload, PHONE, sport, PROVIDER, port)


def tcp(payload: bytes, port: int, seq: int = 1) -> bytes:
    return tcp_frame(payload, PHONE, 40000, PROVIDER, port, seq)


def ip(proto: int) -> bytes:
    made = bytearray(udp(bytes(60), 9))
    made[23] = proto
    return bytes(made)


PARTS = [tcp(INVITE[at : at + 60], 5099, 1 + at) for at in range(0, len(INVITE), 60)]
CASES: dict[str, tuple[list[bytes], str, str]] = {
    "a port that is not named": (PARTS, "SIP on TCP port 5099 (", "--ports 5060,5080,5099"),
    "HEP": ([udp(b"HEP3" + bytes(20) + INVITE, 9060)],
            "UDP port 9060 (HEP) with SIP text inside (1)", "not inside of another"),
    "mirrored": ([udp(bytes(5) + udp(INVITE, 5060), 37008)] * 3,
                 "UDP port 37008 (TZSP) with SIP text inside (3)", "not inside of another"),
    "TLS elsewhere": ([tcp(TLS, 443)], "TLS on TCP port 443 (encrypted) (1)", "is not encrypted"),
    "IPsec": ([ip(50)], "ESP (encrypted) (1)", "is not encrypted"),
    "WireGuard": ([udp(b"\4\0\0\0" + bytes(60), 7777)] * 2,
                  "UDP port 7777 (WireGuard, encrypted) (2)", "is not encrypted"),
    "media": ([udp(b"\x80\x08" + bytes(170), 16000)] * 4 + [udp(b"\1\2" * 8, 53)],
              "RTP (4) and UDP port 53 (DNS) (1)", "the port that the phone uses"),
    "many ports": ([udp(b"\1" * 20, port, port) for port in range(7000, 7010)], "others (5)",
                   "the port that the phone uses"),
    "not IP": ([bytes(60)], "not IP (1)", "the port that the phone uses"),
}  # fmt: skip


@pytest.mark.parametrize("name", CASES)
def test_packets_without_sip_are_named_and_the_next_step_fits(
    name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    frames, why, step = CASES[name]
    said = analyzed(tmp_path, frames, capsys)
    assert why in said["verdict"]["why"][-1]
    assert step in said["verdict"]["next"]
    assert sum(said["unread"].values()) == len(frames)
    assert step in (tmp_path / "a.html").read_text(encoding="utf-8")


def test_the_advised_ports_make_the_sip_readable(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    said = analyzed(tmp_path, PARTS, capsys, "--ports", "5060,5080,5099")
    assert said["capture"]["sip_messages"] == 1 and "unread" not in said


def test_names_are_bounded_whatever_the_packets(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    frames = [udp(b"\1" * 20, port, port) for port in range(10_000, 11_000)]
    frames += [bytes(frames[0][:size]) for size in range(1, 40)]
    assert len(analyzed(tmp_path, frames, capsys)["unread"]) <= 65


@pytest.mark.parametrize("option", ["--html", "--pcap"])
def test_a_device_is_never_replaced_by_a_file(
    option: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path, device = tmp_path / "a.pcap", tmp_path / "pipe"
    path.write_bytes(pcap([(NS, PARTS[0])]))
    os.mkfifo(device)
    assert main(["analyze", option, str(device), str(path)]) == 2
    assert "is no regular file" in capsys.readouterr().err and device.is_fifo()
    with pytest.raises(OSError, match="no regular file"):
        files.replace(str(device), b"x")
    assert device.is_fifo()


def analyzed(folder: Path, frames: list[bytes], capsys: pytest.CaptureFixture[str],
             *options: str) -> dict[str, Any]:  # fmt: skip
    path = folder / "a.pcap"
    path.write_bytes(pcap([(n * NS, one) for n, one in enumerate(frames, 1)]))
    page = str(folder / "a.html")
    assert main(["analyze", "--json", "--html", page, *options, str(path)]) == 3 or options
    said: dict[str, Any] = json.loads(capsys.readouterr().out)
    return said
