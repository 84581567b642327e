# SPDX-License-Identifier: Apache-2.0
"""Capture files made from text, for tests that look at what people are shown."""

from __future__ import annotations

import io
import socket
import struct
from collections.abc import Sequence
from pathlib import Path

from algwatch.cli.source import Source
from algwatch.report.render.ladder import Ladder
from algwatch.report.render.text import write_text
from algwatch.report.render.wanted import Wanted

# at (s), (source host, port), (destination host, port), TTL, IP ID, payload
Datagram = tuple[float, tuple[str, int], tuple[str, int], int, int, bytes]
RAW_IP = 101  # link type: the packet begins with its IP header


def write_capture(path: Path, datagrams: Sequence[Datagram]) -> Path:
    """A pcap file; times count from the first day of 2026."""
    out = struct.pack("<IHHiIII", 0xA1B2C3D4, 2, 4, 0, 0, 65535, RAW_IP)
    for at, source, target, ttl, ip_id, payload in datagrams:
        udp = struct.pack("!HHHH", source[1], target[1], 8 + len(payload), 0) + payload
        ip = struct.pack("!BBHHHBBH4s4s", 0x45, 0, 20 + len(udp), ip_id, 0, ttl, 17, 0,
                         socket.inet_aton(source[0]), socket.inet_aton(target[0]))  # fmt: skip
        frame = ip + udp
        seconds = 1767225600 + int(at)
        out += struct.pack("<IIII", seconds, round(at % 1 * 1e6), len(frame), len(frame)) + frame
    path.write_bytes(out)
    return path


def message(start: str, call_id: str = "c1@phone", cseq: str = "1 INVITE", *extra: str,
            branch: str = "z9hG4bKa", to_tag: str = "") -> bytes:  # fmt: skip
    lines = [
        start,
        f"Via: SIP/2.0/UDP 192.168.1.10:5060;branch={branch};rport",
        "From: <sip:anna@example.net>;tag=f1",
        "To: <sip:ben@example.net>" + (f";tag={to_tag}" if to_tag else ""),
        f"Call-ID: {call_id}",
        f"CSeq: {cseq}",
        *extra,
        "Content-Length: 0",
    ]
    return "\r\n".join([*lines, "", ""]).encode("utf-8", "surrogateescape")


class Screen(io.StringIO):
    """A text file of some encoding, that is no terminal."""

    def __init__(self, encoding: str) -> None:
        super().__init__()
        self._encoding = encoding

    @property
    def encoding(self) -> str:  # type: ignore[override]
        return self._encoding


def shown(files: Sequence[Path] = (), lan: Sequence[Path] = (), wan: Sequence[Path] = (),
          encoding: str = "utf-8", colour: bool = False, width: int = 80,
          ladder: Ladder | None = None, whole: bool = True) -> tuple[str, int]:  # fmt: skip
    """The output of `algwatch analyze --all` for these files (whole=False: without --all), and its
    exit status."""
    source = Source([*map(str, files)], [*map(str, lan)], [*map(str, wan)], [5060])
    ladder = ladder or Ladder()
    out = Screen(encoding)
    status = write_text(source.reports(ladder.watch), source.counts, ladder, out, colour, width,
                        Wanted(all_=whole))  # fmt: skip
    return out.getvalue(), status
