# SPDX-License-Identifier: Apache-2.0
"""SIP text for the lab's endpoints: written and read apart from the code under test."""

from __future__ import annotations

import re

from .forms import PLAIN, Forms, proper, values

T1, T2 = 0.5, 4.0  # seconds, RFC 3261 table 4
_FOLD = re.compile(r"\r\n[ \t]+")
_URI = re.compile(r"sips?:(?:([^@;>]*)@)?(\[[^\]]*\]|[^:;>]+)(?::(\d+))?")


class Message:
    """A request or response: start line, header fields in order, body."""

    def __init__(self, start: str, fields: list[tuple[str, str]], body: bytes = b"") -> None:
        self.start = start
        self.fields = fields
        self.body = body

    @classmethod
    def parse(cls, data: bytes) -> Message | None:
        """None for what is not SIP (keep-alives)."""
        head, _, body = data.partition(b"\r\n\r\n")
        lines = _FOLD.sub(" ", head.decode("utf-8", "replace")).split("\r\n")
        if "SIP/2.0" not in lines[0]:
            return None
        fields = []
        for line in lines[1:]:
            name, _, text = line.partition(":")
            fields += [(proper(name), v) for v in values(proper(name), text.strip())]
        return cls(lines[0], fields, body)

    def encode(self, forms: Forms = PLAIN) -> bytes:
        fields = [*self.fields, ("Content-Length", str(len(self.body)))]
        return forms.head(self.start, fields) + self.body

    def get(self, name: str) -> str:
        return next((v for n, v in self.fields if n.lower() == name.lower()), "")

    def all(self, name: str) -> list[str]:
        return [v for n, v in self.fields if n.lower() == name.lower()]

    @property
    def status(self) -> int:
        """0 for a request."""
        return int(self.start.split(" ")[1]) if self.start.startswith("SIP/2.0") else 0

    @property
    def method(self) -> str:
        return self.get("CSeq").split(" ")[-1] if self.status else self.start.split(" ")[0]

    @property
    def branch(self) -> str:
        match = re.search(r"branch=([^;,\s]+)", self.get("Via"))
        return match[1] if match else ""


def uri_of(value: str) -> str:
    """The URI of a name-addr or addr-spec."""
    match = re.search(r"<([^>]*)>", value)
    return match[1] if match else value.split(";")[0].strip()


def host_port(uri: str) -> tuple[str, int]:
    """Host and port of a SIP URI, 5060 when it names none (RFC 3261 section 19.1.2)."""
    match = _URI.search(uri)
    if not match:
        raise ValueError(f"no SIP URI in {uri!r}")
    return match[2].strip("[]"), int(match[3] or 5060)


def literal(host: str) -> str:
    """An address as it stands in a URI or Via: IPv6 in brackets."""
    return f"[{host}]" if ":" in host else host


def user_of(uri: str) -> str:
    match = _URI.search(uri)
    return (match[1] or "") if match else ""


def tag_of(value: str) -> str:
    match = re.search(r";\s*tag=([^;\s]+)", value)
    return match[1] if match else ""


def sent_by(via: str) -> tuple[str, int]:
    """Host and port of a Via value, without its received and rport."""
    host, _, port = via.split(";")[0].split()[-1].rpartition(":")
    if not host or host.startswith("[") != host.endswith("]"):
        host, port = f"{host}:{port}" if host else port, ""
    return host.strip("[]"), int(port or 5060)


def sdp(host: str, port: int, session: int, origin: str = "") -> bytes:
    net = "IP6" if ":" in host else "IP4"
    lines = [
        "v=0", f"o=- {session} {session} IN {net} {origin or host}", "s=-", f"c=IN {net} {host}",
        "t=0 0", f"m=audio {port} RTP/AVP 8 0 101", "a=rtpmap:8 PCMA/8000",
        "a=rtpmap:101 telephone-event/8000", "a=sendrecv", "",
    ]  # fmt: skip
    return "\r\n".join(lines).encode()


def media_of(body: bytes) -> tuple[str, int] | None:
    text = body.decode("utf-8", "replace")
    host, port = re.search(r"c=IN IP[46] (\S+)", text), re.search(r"m=audio (\d+)", text)
    return (host[1], int(port[1])) if host and port else None
