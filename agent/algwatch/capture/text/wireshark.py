# SPDX-License-Identifier: Apache-2.0
"""Wireshark's "Export Packet Dissections, As Plain Text" with details, and `tshark -V`."""

from __future__ import annotations

import re

from algwatch.capture.text.head import Format, Head, Host, host
from algwatch.capture.text.times import Times

_FRAME = re.compile(r"Frame \d+:")
_ARRIVAL = re.compile(r" +(?:UTC )?Arrival Time: (.*)$")
_EPOCH = re.compile(r" +Epoch (?:Arrival )?Time: (\d+\.\d+)")
_IP = re.compile(r"Internet Protocol Version [46], Src: (\S+?)(?: \(\S+\))?, Dst: (\S+)")
_PORTS = re.compile(
    r"(User Datagram|Transmission Control) Protocol, Src Port: (?:\S+ \()?(\d+)\)?, "
    r"Dst Port: (?:\S+ \()?(\d+)"
)
_SIP = re.compile(r"Session Initiation Protocol(?: \(|$)")
_LINE = re.compile(r" +(?:Request|Status)-Line: (.*)$")
_SDP = re.compile(r" +[A-Z][^()]*\(([a-z])\): ?(.*)$")


class Wireshark(Format):
    name = "Wireshark text export"

    def __init__(self) -> None:
        self._at = 0
        self._hosts = ("", "")
        self._ends: tuple[Host | None, Host | None] = (None, None)
        self._transport = ""
        self._in_body = False

    def begins(self, line: str, times: Times) -> Head | None:
        if _FRAME.match(line):
            self._at = 0
        elif found := _EPOCH.match(line):
            self._at = times.stamp(found[1]) or self._at
        elif (found := _ARRIVAL.match(line)) and not self._at:
            self._at = times.stamp(found[1])
        elif found := _IP.match(line):
            self._hosts = found[1], found[2]
        elif found := _PORTS.match(line):
            self._transport = "UDP" if found[1].startswith("User") else "TCP"
            self._ends = host(self._hosts[0], found[2]), host(self._hosts[1], found[3])
        elif _SIP.match(line) and self._ends[0] is not None:
            self._in_body = False
            return Head(self._at, self._transport, src=self._ends[0], dst=self._ends[1])
        return None

    def ends(self, line: str) -> bool:
        return bool(line) and not line[0].isspace()

    def clean(self, line: str) -> str | None:
        depth = len(line) - len(line.lstrip(" "))
        if found := _LINE.match(line):
            return found[1] if depth == 4 else None
        if depth == 4:
            self._in_body = line.strip() == "Message Body"
            return "" if self._in_body else None
        if self._in_body:
            found = _SDP.match(line)
            return f"{found[1]}={found[2]}" if found and depth == 12 else None
        # Values computed by Wireshark stand in brackets.
        return line[8:] if depth == 8 and line[8] != "[" else None
