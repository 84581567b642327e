# SPDX-License-Identifier: Apache-2.0
"""Runs the cases of the documents beside this file; README.md there says how they are written."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest
from algwatch.base.native import layout
from algwatch.base.native.layout import ADDR, MEDIA, SDP, SIP, VIA
from algwatch.base.native.scan import scan_message, scan_sdp

HERE = Path(__file__).resolve().parent
TORTURE = HERE.parents[2] / "shared" / "torture" / "rfc4475"
UPDATE = os.environ.get("SCAN_UPDATE") == "1"
CODES = {layout.NOT_SIP: "not_sip", layout.PARTIAL: "partial", layout.TOO_LONG: "too_long"}
CASE = re.compile(
    r"^## (?P<title>.+?)\n(?P<why>.*?)^```(?P<kind>sip|sdp)(?P<stream> stream)?\n(?P<text>.*?)^```"
    r"\n\n```log(?P<shown>[ \w]*)\n(?P<log>.*?)^```$",
    re.M | re.S,
)
ESCAPES = {"r": b"\r", "n": b"\n", "t": b"\t", "0": b"\0", "\\": b"\\"}

VIA_SPANS = ("all", "transport", "host", "branch", "received", "rport", "maddr")
ADDR_SPANS = ("all", "display", "uri", "user", "host", "uri_params", "params", "tag", "expires")
SIP_SPANS = (
    "method_name", "request_uri", "request_user", "request_host", "reason", "call_id",
    "cseq_value", "cseq_method", "max_forwards_value", "expires", "content_type",
    "content_length_value", "user_agent", "server", "session_expires",
    "body",
)  # fmt: skip
LISTS = ("via", "contact", "route", "record_route", "path")


class Case(NamedTuple):
    document: str
    title: str
    kind: str
    stream: bool
    payload: bytes
    shown: tuple[str, ...]
    log: str


def unescape(text: str) -> bytes:
    out = b""
    for line in text.splitlines():
        joined = line.endswith("\\") and not line.endswith("\\\\")
        line = line[:-1] if joined else line
        for part in re.findall(r"\\x[0-9a-fA-F]{2}|\\.|[^\\]+", line):
            if part.startswith("\\x"):
                out += bytes([int(part[2:], 16)])
            else:
                out += ESCAPES[part[1]] if part[0] == "\\" else part.encode()
        out += b"" if joined else b"\r\n"
    return out


def cases() -> Iterator[Case]:
    for path in sorted(HERE.glob("*.md")):
        if path.name == "README.md":
            continue
        text = path.read_text()
        found = 0
        for match in CASE.finditer(text):
            found += 1
            yield Case(
                path.name, match["title"], match["kind"], bool(match["stream"]),
                unescape(match["text"]), tuple(match["shown"].split()), match["log"],
            )  # fmt: skip
        assert found == len(re.findall(r"^## ", text, re.M)), f"{path.name} has a case unread"


class Log:
    """Collects what a scan says of a payload, and writes it down."""

    def __init__(self, payload: bytes, scanned: memoryview) -> None:
        self.payload, self.scanned = payload, scanned
        self.spans: list[tuple[int, int, str]] = []
        self.numbers: list[tuple[str, int]] = []
        self.anomalies: list[str] = []

    def span(self, name: str, index: int) -> None:
        offset, length = self.scanned[index], self.scanned[index + 1]
        if offset or length:
            self.spans.append((offset, length, name))

    def number(self, name: str, value: int) -> None:
        if value:
            self.numbers.append((name, value))

    def address(self, name: str, base: int) -> None:
        for span in ADDR_SPANS:
            self.span(f"{name}.{span}", base + getattr(ADDR, span.upper()))
        self.number(f"{name}.port", self.scanned[base + ADDR.PORT])
        bits = self.scanned[base + ADDR.BITS]
        for bit in ("STAR", "ANGLE", "LR", "SIPS", "TEL", "OTHER"):
            self.number(f"{name}.{bit.lower()}", bits & getattr(ADDR, bit) and 1)

    def via(self, name: str, base: int) -> None:
        for span in VIA_SPANS:
            self.span(f"{name}.{span}", base + getattr(VIA, span.upper()))
        self.number(f"{name}.port", self.scanned[base + VIA.PORT])
        self.number(f"{name}.rport_value", self.scanned[base + VIA.RPORT_VALUE])
        self.number(f"{name}.has_rport", self.scanned[base + VIA.BITS] & VIA.HAS_RPORT)

    def read_sip(self) -> None:
        r = self.scanned
        self.numbers.append(("method", r[SIP.METHOD]))
        self.number("status", r[SIP.STATUS])
        self.number("request_port", r[SIP.REQUEST_PORT])
        self.number("cseq", r[SIP.CSEQ] << 16 | r[SIP.CSEQ + 1])
        self.number("content_length", r[SIP.CONTENT_LENGTH] << 16 | r[SIP.CONTENT_LENGTH + 1])
        self.number("max_forwards", r[SIP.MAX_FORWARDS])
        self.number("header_end", r[SIP.HEADER_END])
        for name in SIP_SPANS:
            self.span(name, getattr(SIP, name.upper()))
        self.address("from", SIP.FROM)
        self.address("to", SIP.TO)
        for name in LISTS:
            first, size = getattr(SIP, name.upper()), VIA.SIZE if name == "via" else ADDR.SIZE
            for i in range(r[getattr(SIP, f"{name}s".upper())]):
                read = self.via if name == "via" else self.address
                read(f"{name}[{i}]", first + i * size)
        bits = r[SIP.ANOMALIES] | r[SIP.ANOMALIES + 1] << 16
        for bit, name in enumerate(layout.ANOMALY_NAMES):
            if bits >> bit & 1:
                self.anomalies.append(f"anomaly {name} at={r[SIP.ANOMALY_AT + bit]}")

    def read_sdp(self) -> None:
        r = self.scanned
        for name in ("origin", "origin_address", "address"):
            self.span(name, getattr(SDP, name.upper()))
        for i in range(r[SDP.MEDIA_COUNT]):
            base = SDP.MEDIA + i * MEDIA.SIZE
            for name in ("line", "kind", "address", "rtcp"):
                self.span(f"media[{i}].{name}", base + getattr(MEDIA, name.upper()))
            for name in ("port", "rtcp_port", "candidates"):
                self.number(f"media[{i}].{name}", r[base + getattr(MEDIA, name.upper())])
            self.number(f"media[{i}].inactive", r[base + MEDIA.BITS] & MEDIA.INACTIVE)
        self.number("ice", r[SDP.ICE])
        for name in ("BAD_LINE", "BAD_PORT", "CLIPPED", "NO_VERSION"):
            if r[SDP.ANOMALIES] & getattr(SDP, name):
                self.anomalies.append(f"anomaly {name.lower()}")

    def lines(self, shown: tuple[str, ...]) -> Iterator[str]:
        def wanted(name: str) -> bool:
            return not shown or name.startswith(shown)

        for offset, length, name in sorted(self.spans, key=lambda s: (s[0], -s[1])):
            if wanted(name):
                text = self.payload[offset : offset + length].decode("latin-1")
                text = text.replace("\\", "\\\\").replace("\r", "\\r").replace("\n", "\\n")
                text = text.replace("\t", "\\t").replace("\0", "\\0")
                text = re.sub(r"[^ -~]", lambda found: f"\\x{ord(found[0]):02x}", text)
                yield f'off={offset} len={length} {name}="{text}"'
        for name, value in self.numbers:
            if wanted(name):
                shown_value = layout.METHOD_NAMES[value] if name == "method" else value
                yield f"{name}={shown_value}"
        for line in self.anomalies:
            if not shown or "missing_" not in line:
                yield line


def log_of(case: Case, payload: bytes) -> str:
    if case.kind == "sip":
        code, scanned = scan_message(payload, case.stream)
    else:
        code, scanned = scan_sdp(payload)
    lines: list[str] = []
    if code > 0:
        log = Log(payload, scanned)
        if case.kind == "sip":
            log.read_sip()
        else:
            log.read_sdp()
        lines += log.lines(case.shown)
    lines.append(f"returns {CODES.get(code, code)}")
    return "".join(line + "\n" for line in lines)


def update(case: Case) -> None:
    path = HERE / case.document

    def written(match: re.Match[str]) -> str:
        if match["title"] != case.title:
            return match[0]
        start, end = match.start("log") - match.start(), match.end("log") - match.start()
        return match[0][:start] + log_of(case, case.payload) + match[0][end:]

    path.write_text(CASE.sub(written, path.read_text()))


ALL = list(cases())


@pytest.mark.parametrize("case", ALL, ids=lambda case: f"{case.document}:{case.title}")
def test_the_scanner_says_what_the_document_says(case: Case) -> None:
    if UPDATE:
        update(case)
        return
    assert log_of(case, case.payload) == case.log


@pytest.mark.parametrize(
    "case", [c for c in ALL if c.stream and "returns partial" not in c.log],
    ids=lambda case: f"{case.document}:{case.title}",
)  # fmt: skip
def test_what_follows_in_a_stream_changes_nothing(case: Case) -> None:
    assert log_of(case, case.payload + b"\r\nVia: x\r\n\r\n\0") == case.log


def test_two_cases_of_a_document_have_two_names() -> None:
    names = [(case.document, case.title) for case in ALL]
    assert len(names) == len(set(names))


def test_the_messages_of_rfc_4475_are_those_of_the_rfc() -> None:
    here = {
        case.title.partition(":")[0]: case.payload
        for case in ALL
        if case.document.startswith("rfc4475")
    }
    assert len(here) == 50
    if not TORTURE.is_dir():
        pytest.skip("no ../shared/torture/rfc4475 beside the project")
    assert here == {path.stem: path.read_bytes() for path in TORTURE.glob("*.dat")}
