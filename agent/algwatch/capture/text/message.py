# SPDX-License-Identifier: Apache-2.0
"""A message line by line from a log, put together to its original bytes.

A log has other line ends than the wire, and does not show a line end after the body: Content-Length
decides. If no reading of the lines has this length, the log has lost something. Then the length is
set to the actual one, so the sender is not blamed for the loss.
"""

from __future__ import annotations

import re

from algwatch.capture.text.bare import START
from algwatch.capture.text.frames import LARGEST
from algwatch.capture.text.head import Format, Head

_HEADER = re.compile(r"[!#-'*+.0-9A-Z^_`a-z|~-]{1,100}\s*:")
_LENGTH = re.compile(r"(?P<name>(?:Content-Length|l)\s*:\s*)(?P<value>\d{1,7})\s*$", re.I)
_TYPE = re.compile(r"(?:Content-Type|c)\s*:\s*(\S+)", re.I)
_IDS = re.compile(r"(?:Call-ID|i)\s*:\s*\S", re.I)
_SDP = re.compile(r"[A-Za-z]=")
PATIENCE = 4  # lines between a head and the start line

BEFORE, HEADERS, BODY, OVER = range(4)


class Lines:
    """A message being read. number: of its first line, from 1."""

    def __init__(self, head: Head, format_: Format, number: int) -> None:
        self.head = head
        self.number = number
        self._format = format_
        self._state = BEFORE
        self._waited = 0
        self._indent = 0
        self._dotted = False
        self._headers: list[str] = []
        self._body: list[str] = []
        self._size = 0
        self._length = -1  # by Content-Length
        self._type = ""

    @property
    def waits(self) -> bool:
        """True before the start line."""
        return self._state == BEFORE

    def take(self, line: str) -> bool:
        """A further line; False if it is outside this message, which is over then."""
        if self._state == OVER:
            return False
        if self._state != BEFORE and self._format.ends(line):
            self._state = OVER
            return True
        cleaned = self._format.clean(line)
        if cleaned is None:
            return True
        if self._state == BEFORE:
            return self._start(cleaned)
        cleaned = self._plain(cleaned)
        self._size += len(cleaned) + 2
        if self._size > LARGEST:
            self._state = OVER
            return True
        return self._header(cleaned) if self._state == HEADERS else self._content(cleaned)

    def _plain(self, line: str) -> str:
        if self._indent and line[: self._indent].isspace():
            line = line[self._indent :]
        if self._dotted:  # ngrep shows the CR of each line as a dot
            line = line.removesuffix(".")
        return line

    def _start(self, line: str) -> bool:
        found = START.search(line.strip())
        if found is None:
            self._waited += 1
            if self._waited > PATIENCE:
                self._state = OVER
            return self._state != OVER
        start = found[0]
        self._indent = len(line) - len(line.lstrip()) if line.lstrip() == start else 0
        # "SIP/2.0." at the end of a request line; any dot at the end of a status line.
        self._dotted = start.endswith("SIP/2.0.") or (
            start.startswith("SIP/2.0 ") and start.endswith(".")
        )
        self._headers.append(start.removesuffix(".") if self._dotted else start)
        self._state = HEADERS
        return True

    def _header(self, line: str) -> bool:
        if not line.strip():
            self._state = BODY if self._length > 0 or (self._type and self._length) else OVER
            return True
        if line[0] in " \t" or _HEADER.match(line):
            if found := _LENGTH.match(line):
                self._length = int(found["value"])
            elif found := _TYPE.match(line):
                self._type = found[1].lower()
            self._headers.append(line)
            return True
        self._state = OVER
        return False

    def _content(self, line: str) -> bool:
        sdp = self._type.startswith("application/sdp")
        if (sdp and not _SDP.match(line)) or (not line and self._length < 0):
            self._state = OVER
            return not line.strip()
        self._body.append(line)
        if self._length >= 0 and sum(len(_bytes(one)) + 2 for one in self._body) >= self._length:
            self._state = OVER
        return True

    def payload(self) -> tuple[bytes, str]:
        """The bytes of the message, and their fault; b"" without a message."""
        if not self._headers:
            return b"", "no SIP message follows"
        if len(self._headers) < 3 or not any(_IDS.match(one) for one in self._headers):
            return b"", "a start line without the header fields of a message"
        if self._size > LARGEST:
            return b"", f"a message of more than {LARGEST} bytes"
        body, wrong = self._whole_body()
        head = "\r\n".join(self._headers) + "\r\n\r\n"
        return _bytes(head) + body, wrong

    def _whole_body(self) -> tuple[bytes, str]:
        lines = [_bytes(one) for one in self._body]
        if not lines and self._length <= 0:
            return b"", ""
        usual = b"".join(one + b"\r\n" for one in lines)
        for body in (usual, usual[:-2], b"".join(one + b"\n" for one in lines), b"\n".join(lines),
                     usual + b"\r\n"):  # fmt: skip
            if len(body) == self._length:
                return body, ""
        if self._length < 0:
            return usual, ""
        for number, header in enumerate(self._headers):
            if found := _LENGTH.match(header):
                self._headers[number] = f"{found['name']}{len(usual)}"
        return usual, (
            f"its body has {len(usual)} bytes here, and {self._length} by its Content-Length: "
            "the text is not what was sent, so the length is not judged"
        )


def _bytes(text: str) -> bytes:
    return text.encode("utf-8", "surrogateescape")
