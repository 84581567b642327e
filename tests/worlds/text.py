# SPDX-License-Identifier: Apache-2.0
"""A SIP message as its lines, as far as endpoints on paper have to read one."""

from __future__ import annotations

import re

Place = tuple[str, int]

_URI = re.compile(r"sip:(?:[^@>;]*@)?([^:;>\s]+)(?::(\d+))?")
_SENT_BY = re.compile(r"SIP/2\.0/UDP ([^:;\s]+)(?::(\d+))?")


KEPT = ("Expires", "Route", "Supported", "Session-Expires", "Event")


_COMPACT = {"v": "Via", "f": "From", "t": "To", "i": "Call-ID", "m": "Contact", "k": "Supported",
            "l": "Content-Length", "c": "Content-Type", "o": "Event", "x": "Session-Expires",
            "r": "Refer-To"}  # fmt: skip


def plain(raw: bytes) -> bytes:
    """Without folded lines and compact names (RFC 3261 section 7.3)."""
    head, end, body = raw.partition(b"\r\n\r\n")
    lines = re.sub(rb"\r\n[ \t]+", b" ", head).decode().split("\r\n")
    for number, line in enumerate(lines):
        name, colon, value = line.partition(":")
        if colon and name in _COMPACT:
            lines[number] = f"{_COMPACT[name]}:{value}"
    return "\r\n".join(lines).encode() + end + body


class Text:
    """raw: the message. method: of a request, or in CSeq of a response; status: 0 of a request."""

    def __init__(self, raw: bytes) -> None:
        self.raw = raw
        head, _, self.body = raw.partition(b"\r\n\r\n")
        self.start, *self.lines = head.decode().split("\r\n")
        self.status = int(self.start[8:11]) if self.start.startswith("SIP/2.0 ") else 0
        number, self.method = self["CSeq"].split()
        self.cseq = int(number)

    def __getitem__(self, name: str) -> str:
        """The first value of a header field, "" without one."""
        return next((line.split(": ", 1)[1] for line in self.lines
                     if line.startswith(f"{name}: ")), "")  # fmt: skip

    @property
    def call_id(self) -> str:
        return self["Call-ID"]

    @property
    def branch(self) -> str:
        return _parameter(self["Via"], "branch")

    @property
    def sent_by(self) -> Place:
        return _place(_SENT_BY.search(self["Via"]))

    @property
    def asks_rport(self) -> bool:
        return ";rport" in self["Via"]

    @property
    def uri(self) -> Place:
        """Of the Request-URI."""
        return _place(_URI.search(self.start))

    @property
    def contact(self) -> Place:
        return _place(_URI.search(self["Contact"]))

    @property
    def route(self) -> Place:
        """Of the first Record-Route."""
        return _place(_URI.search(self["Record-Route"]))

    @property
    def user(self) -> str:
        """Of the Request-URI."""
        return self.start.partition("sip:")[2].partition("@")[0]

    @property
    def caller(self) -> str:
        """User part of From."""
        return self["From"].partition("@")[0].rpartition("sip:")[2]

    @property
    def kept(self) -> tuple[str, ...]:
        """Header lines that the same request has again when it is sent with a password."""
        return tuple(line for line in self.lines if line.startswith(KEPT))

    @property
    def tags(self) -> tuple[str, str]:
        return _parameter(self["From"], "tag"), _parameter(self["To"], "tag")


def _parameter(value: str, name: str) -> str:
    found = re.search(rf";{name}=([^;>\s]+)", value)
    return found[1] if found else ""


def _place(found: re.Match[str] | None) -> Place:
    return (found[1], int(found[2] or 5060)) if found else ("", 0)
