# SPDX-License-Identifier: Apache-2.0
"""Bare messages, with or without a time and addresses in front: logs of kamailio and OpenSIPS (xlog
of $mb), logs of phones, and pasted text."""

from __future__ import annotations

import re

from algwatch.capture.text.head import Format, Head, host
from algwatch.capture.text.times import Times

START = re.compile(
    r"(?:[A-Z][A-Z-]{1,19} [a-z]+:\S{1,1000} SIP/2\.0|SIP/2\.0 [1-6]\d\d(?: [^\"<>]{0,80})?)\.?$"
)
_ARROW = re.compile(
    r"(\[[0-9a-fA-F:.]+\]|[0-9.]{7,15}):(\d{1,5})\s*(?:->|=>|-->|==>|to)\s*(?:\w+:)?"
    r"(\[[0-9a-fA-F:.]+\]|[0-9.]{7,15}):(\d{1,5})"
)
_WORD = re.compile(r"\b(UDP|TCP|TLS)\b", re.I)
NEAR = 4  # lines in front of a message with its time and addresses


class Bare(Format):
    """Remembers the last lines outside messages."""

    name = "SIP messages"

    def __init__(self) -> None:
        self._before: list[str] = []

    def pass_over(self, line: str) -> None:
        """A line outside every message."""
        self._before = [*self._before[1 - NEAR :], line]

    def begins(self, line: str, times: Times) -> Head | None:
        stripped = line.strip()
        found = START.search(stripped) if "SIP/2.0" in line else None
        if found is None:
            return None
        front = stripped[: found.start()]
        if front and not (front.endswith((" ", "[", ":", "'", '"')) or front[-1] in "|>"):
            return None
        head = Head(times.stamp(front))
        for text in [front, *self._before[::-1]]:
            head.at = head.at or times.stamp(text)
            if arrow := _ARROW.search(text):
                head.src, head.dst = host(arrow[1], arrow[2]), host(arrow[3], arrow[4])
                word = _WORD.search(text)
                head.transport = word[1].upper() if word else ""
                break
        self._before = []
        return head
