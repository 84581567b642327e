# SPDX-License-Identifier: Apache-2.0
"""The verdict on each header field of a message, and on all of them together."""

from __future__ import annotations

import struct

from algwatch.base.native import layout
from algwatch.base.native.rows import Counts, Scanner
from algwatch.base.packet import LAN, WAN
from algwatch.base.sighting import KIND, Sighting
from algwatch.compare.crossing import BY_IP_ID, Crossing
from algwatch.compare.differences import rewrites
from algwatch.compare.fingerprint import looks_like
from algwatch.compare.flow_pair import FlowPair
from algwatch.compare.rewrite import Rewrite
from algwatch.probe.messages import Message
from algwatch.probe.watch import RAW, Copy
from algwatch.sip.message import to_text

SAME = "same"
MAPPED = "rewritten to the mapping"
WRONG = "rewritten wrongly"
MISSING = "missing"
ADDED = "added"

UNTOUCHED, REWRITTEN, UNKNOWN = "untouched", "rewritten", "unknown"

# Parts of SDP by the letter of their line, as in compare/differences.py.
_SDP_FIELDS = {"c=": ("address",), "o=": ("origin",), "m=": ("port", "count"), "a=": ("rtcp",)}
_LONG = {"v": "Via", "m": "Contact", "f": "From", "t": "To", "i": "Call-ID", "c": "Content-Type",
         "l": "Content-Length"}  # fmt: skip


class Field:
    """A header field, the start line or a line of SDP. name: "Via", "Request-URI", "SDP c=";
    before, after: its text on the LAN and on the WAN; verdict: a word above; wanted: the right text
    by the mapping, after a wrong rewrite, if known."""

    __slots__ = ("after", "before", "name", "verdict", "wanted")

    def __init__(self, name: str, before: str, after: str, verdict: str, wanted: str = "") -> None:
        self.name = name
        self.before = before
        self.after = after
        self.verdict = verdict
        self.wanted = wanted


class Sent:
    """A sent message. lan, wan: its copies, or None. fields: filled with both copies. crossed: the
    WAN copy is SIP. like, why: the likely kind of ALG (compare/fingerprint.py). source, mapped:
    address and port on the LAN and on the WAN."""

    __slots__ = ("fields", "helper", "lan", "like", "mapped", "message", "source", "wan", "why")

    def __init__(self, message: Message) -> None:
        self.message = message
        self.lan: Copy | None = None
        self.wan: Copy | None = None
        self.fields: list[Field] = []
        self.like = self.why = self.source = self.mapped = ""
        self.helper = ""  # given to its flow by the kernel

    @property
    def lines(self) -> list[tuple[str, str]]:
        """(name, text) of each line sent."""
        return _lines(self.message.payload)

    @property
    def state(self) -> str:
        if not self.fields:
            return UNKNOWN
        return UNTOUCHED if all(f.verdict == SAME for f in self.fields) else REWRITTEN

    def judge(self) -> None:
        """Once no copy comes any more."""
        if self.lan is None or self.wan is None:
            return
        one, two = self.lan.frame, self.wan.frame
        self.source, self.mapped = _end(one.src, one.sport), _end(two.src, two.sport)
        if self.lan.payload == self.wan.payload:
            self.fields = [Field(n, v, v, SAME) for n, v in _lines(self.lan.payload)]
            return
        crossing = _crossing(self.lan, self.wan)
        if crossing is None:
            self.fields = [Field(n, v, "", MISSING) for n, v in _lines(self.lan.payload)]
            self.why = "the WAN copy is no SIP message any more"
            return
        self.fields = _fields(self.lan.payload, self.wan.payload, rewrites(crossing))
        found = looks_like(crossing)
        self.like, self.why = found.name, found.why


def _end(host: bytes, port: int) -> str:
    return ".".join(map(str, host)) + f":{port}"


def _crossing(lan: Copy, wan: Copy) -> Crossing | None:
    one, two = _sighting(lan, LAN), _sighting(wan, WAN)
    if one is None or two is None:
        return None
    pair = FlowPair(one, two, True)
    crossing = Crossing(one, two, one, two, BY_IP_ID, True, pair)
    crossing.rewritten = True
    return crossing


def _sighting(copy: Copy, side: int) -> Sighting | None:
    """None: it is no SIP message, or only a part of one."""
    ports = sorted({copy.frame.sport, copy.frame.dport})
    scanner = Scanner(RAW, side, layout.REPLAY_KEY, ports, Counts(), 64)
    seconds, ns = divmod(copy.at, 1_000_000_000)
    size = len(copy.packet)
    meta = struct.pack("=IIII", seconds, ns // 1000, 0, size)
    for batch in scanner.scan(copy.packet, meta, 0):
        for i, row in enumerate(layout.ROW.iter_unpack(batch.rows)):
            if row[KIND] == layout.KIND_SIP:
                return batch.sighting(side, row, i)
    return None


def _lines(payload: bytes) -> list[tuple[str, str]]:
    """(name, text) of the start line, each header field and each line of the body."""
    head, _, body = payload.partition(b"\r\n\r\n")
    first, *rest = head.split(b"\r\n")
    found = [("Status-Line" if first.startswith(b"SIP/") else "Request-URI", to_text(first))]
    for line in rest:
        name, _, value = line.partition(b":")
        text = to_text(name.strip())
        found.append((_LONG.get(text.lower(), text), to_text(value.strip())))
    for line in body.split(b"\r\n"):
        if line:
            kind = to_text(line[:2])
            found.append((f"SDP {kind}", to_text(line[2:])))
    return found


def _fields(before: bytes, after: bytes, changes: list[Rewrite]) -> list[Field]:
    """Each line of the LAN copy, in its order, then lines only in the WAN copy."""
    left = _lines(after)
    found = []
    for name, text in _lines(before):
        at = next((i for i, (other, _) in enumerate(left) if other == name), -1)
        if at < 0:
            found.append(Field(name, text, "", MISSING))
            continue
        _, got = left.pop(at)
        found.append(_judged(name, text, got, changes))
    found += [Field(name, "", text, ADDED) for name, text in left]
    if all(field.verdict == SAME for field in found):  # order, white space, line ends
        found.append(Field("Form", to_text(before), to_text(after), WRONG))
    return found


def _judged(name: str, before: str, after: str, changes: list[Rewrite]) -> Field:
    if before == after:
        return Field(name, before, after, SAME)
    kind = name[4:] if name.startswith("SDP ") else ""
    mine = [r for r in changes if _is_about(r, name, kind, before)]
    if mine and all(r.explained for r in mine):
        return Field(name, before, after, MAPPED)
    wanted = next((r.expected for r in mine if not r.explained and r.expected), "")
    return Field(name, before, after, WRONG, wanted)


def _is_about(r: Rewrite, name: str, kind: str, before: str) -> bool:
    if not kind:
        return r.header == name
    if r.header == "Body":
        return r.field == "lines" or r.before == kind + before
    return r.header == "SDP" and r.field in _SDP_FIELDS.get(kind, ())
