# SPDX-License-Identifier: Apache-2.0
"""Run: bytes of a TCP stream without a gap, and the message that begins in them."""

from __future__ import annotations

import re

RUN_COST = 320  # memory of a run beside its bytes
LONGEST = 65535 - 60  # message bytes that fit a packet, and a row

_HEADER_END = re.compile(rb"\r?\n\r?\n")
_CONTENT_LENGTH = re.compile(rb"\n(?:content-length|l)[ \t]*:[ \t]*([0-9]{1,9})[ \t]*\r?\n", re.I)


class Run:
    """Bytes without a gap.

    begin: place of the first byte (Stream.place). reading: a message may begin there; the next one
    begins at `at`. told: begin and end of each told message.
    """

    __slots__ = ("at", "begin", "data", "end", "need", "reading", "searched", "told")

    def __init__(self, begin: int, data: bytes, reading: bool) -> None:
        self.begin = begin
        self.end = begin + len(data)
        self.data = bytearray(data)
        self.reading = reading
        self.at = 0
        self.need = 0  # bytes of the message at `at`; 0: its header section is incomplete
        self.searched = 0  # no end of a header section up to here
        self.told: dict[int, int] = {}

    @property
    def unread(self) -> bool:
        """Are there bytes of an untold message?"""
        return self.reading and self.at < len(self.data)

    def skip(self, count: int) -> None:
        self.at += count
        self.need = self.searched = 0

    def is_whole(self) -> bool:
        """Is the message at `at` whole by its framing? Cheap for senders of single bytes."""
        if self.need == 0:
            end = _HEADER_END.search(self.data, max(self.at, self.searched - 3))
            if end is None:
                self.searched = len(self.data)
                return False
            length = _CONTENT_LENGTH.search(self.data, self.at, end.end())
            self.need = end.end() - self.at + (int(length[1]) if length else 0)
        return len(self.data) - self.at >= self.need or self.need > LONGEST
