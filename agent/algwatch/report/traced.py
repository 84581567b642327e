# SPDX-License-Identifier: Apache-2.0
"""Traced: the packets of each call or registration, for saving the hurt ones.

It knows the Call-ID hashes of each on both sides, and the pairs of hosts of each call and each line
by side. Bounded; the least reported calls go first.
"""

from __future__ import annotations

from typing import TypeVar

from algwatch.base.address import ipv4, text
from algwatch.base.native.layout import INVITE, REGISTER, ROW_SDP
from algwatch.base.packet import SIDE_NAMES
from algwatch.base.report import Report
from algwatch.base.sighting import AT, BITS, CALL, METHOD, Sighting
from algwatch.base.table import Table
from algwatch.compare.crossing import Crossing
from algwatch.compare.line import name_of
from algwatch.compare.summary import CallSummary, RegistrationSummary
from algwatch.diagnose.finding import Evidence, Finding
from algwatch.report.render.grades import DEAD, graded
from algwatch.sip.message import Message, to_text
from algwatch.sip.sdp import Sdp

CALLS = 65536
LINES = 4096
HOSTS = 8  # pairs of hosts, or media hosts, of one call or line
SAID = 4096  # remembered findings
SLACK = 2_000_000_000  # ns of media before and after a call

K = TypeVar("K")
Pair = tuple[int, bytes]  # side, and the addresses of both hosts as in an IP header


class _Trace:
    """first, last: ns. ids: Call-IDs; hashes: of these; media: addresses in its SDP."""

    __slots__ = ("first", "hashes", "ids", "last", "media", "pairs")

    def __init__(self, at: int) -> None:
        self.first = self.last = at
        self.ids: list[str] = []
        self.hashes: list[int] = []
        self.pairs: dict[Pair, None] = {}
        self.media: dict[bytes, None] = {}


class Chosen:
    """hashes: of the Call-IDs of the chosen calls; pairs: by side, of hosts; all their traffic
    belongs to the chosen calls, except other calls; beside: pairs sharing a host with these; media:
    pairs for packets other than SIP, in spans (ns); looks: the messages that prove the findings, by
    µs since 1970."""

    __slots__ = ("beside", "calls", "hashes", "looks", "media", "pairs", "spans")

    def __init__(self) -> None:
        self.calls = 0
        self.hashes: set[int] = set()
        self.pairs: dict[bytes, int] = {}
        self.beside: dict[bytes, int] = {}
        self.media: dict[bytes, int] = {}
        self.spans: list[tuple[int, int]] = []
        self.looks: dict[int, list[bytes]] = {}

    def prove(self, evidence: list[Evidence]) -> None:
        for look in evidence:
            if look.payload:
                self.looks.setdefault(round(look.at * 1e6), []).append(look.payload)

    def add(self, trace: _Trace) -> None:
        self.calls += 1
        self.hashes.update(trace.hashes)
        self.add_pairs(trace.pairs)
        for side, pair in trace.pairs:
            size = len(pair) // 2
            for end in (pair[:size], pair[size:]):
                for host in trace.media:
                    if len(host) == size and host != end:
                        self.media[end + host] = self.media[host + end] = side
        self.spans.append((trace.first, trace.last))

    def add_pairs(self, pairs: dict[Pair, None]) -> None:
        _add(self.pairs, pairs)

    def add_beside(self, pairs: dict[Pair, None], anyway: bool) -> None:
        hosts = {host for pair in self.pairs for host in _halves(pair)}
        if anyway or any(host in hosts for _, pair in pairs for host in _halves(pair)):
            _add(self.beside, pairs)

    def during(self, at: int) -> bool:
        return any(first - SLACK <= at <= last + SLACK for first, last in self.spans)


class Traced:
    """watch: give it to the pipeline; fed with every report."""

    def __init__(self) -> None:
        self._calls: Table[int, _Trace] = Table(CALLS)
        self._by_id: Table[str, _Trace] = Table(CALLS)
        self._lines: Table[str, dict[Pair, None]] = Table(LINES)
        self._findings: Table[str, Finding] = Table(SAID)
        self._dead: Table[str, bool] = Table(SAID)

    def watch(self, crossing: Crossing) -> None:
        entered, left = crossing.entered, crossing.left
        pairs = [_pair(copy) for copy in (crossing.lan, crossing.wan) if copy is not None]
        line = name_of(*_hosts(crossing))
        known = self._lines.get(line)
        if known is None:
            known = {}
            self._lines.add(line, known)
        _remember(known, pairs)
        trace = self._calls.get(entered.row[CALL]) or self._calls.get(left.row[CALL])
        if trace is None:
            if entered.row[METHOD] not in (INVITE, REGISTER):
                return
            trace = _Trace(entered.row[AT])
        self._name(trace, entered)
        self._name(trace, left)
        _remember(trace.pairs, pairs)
        trace.first = min(trace.first, entered.row[AT])
        trace.last = max(trace.last, entered.row[AT])
        if entered.row[BITS] & ROW_SDP:
            for copy in (entered, left):
                _remember(trace.media, _media(copy))

    def feed(self, report: Report) -> None:
        if isinstance(report, Finding):
            self._findings.add(report.key, report)
        elif isinstance(report, CallSummary):
            if graded(report) == DEAD and not report.unsolicited:
                self._dead.add(report.call_id, True)
        elif isinstance(report, RegistrationSummary) and _failed(report):
            self._dead.add(report.call_id, True)

    def chosen(self, word: str, everybody: bool = False) -> Chosen:
        """word: a part of a Call-ID, or the id of a rule; "" for all hurt calls and lines.
        everybody: all hosts are beside these, because any may show what the capture lacks."""
        chosen = Chosen()
        traces: dict[int, _Trace] = {}
        ids = [] if word else list(self._dead)
        for one in self._findings.values():
            if one.rule.lower() == word.lower() if word else one.hurts:
                chosen.prove(one.evidence)
                if one.call_id in self._by_id:
                    ids.append(one.call_id)
                if one.line in self._lines:
                    chosen.add_pairs(self._lines[one.line])
                elif one.call_id not in self._by_id:
                    chosen.add_pairs(dict.fromkeys(_ends_of(one.evidence)))
        if word:
            ids += [call_id for call_id in self._by_id if word in call_id]
        for call_id in ids:
            trace = self._by_id.get(call_id)
            if trace is not None:
                traces[id(trace)] = trace
        for trace in traces.values():
            chosen.add(trace)
        for pairs in self._lines.values() if chosen.pairs else ():
            chosen.add_beside(pairs, everybody)
        return chosen

    def _name(self, trace: _Trace, copy: Sighting) -> None:
        key = copy.row[CALL]
        if key in trace.hashes:
            return
        call_id = to_text(Message(copy.payload).call_id)
        trace.hashes.append(key)
        trace.ids.append(call_id)
        self._calls.add(key, trace)
        self._by_id.add(call_id, trace)


def _failed(one: RegistrationSummary) -> bool:
    return one.outcome not in ("accepted", "unknown") and not one.unsolicited


def _halves(pair: bytes) -> tuple[bytes, bytes]:
    return pair[: len(pair) // 2], pair[len(pair) // 2 :]


def _add(known: dict[bytes, int], pairs: dict[Pair, None]) -> None:
    """A pair present on both sides (no NAT) proves no side: -1."""
    for side, pair in pairs:
        first, second = _halves(pair)
        for way in (pair, second + first):
            known[way] = side if known.get(way, side) == side else -1


def _remember(known: dict[K, None], found: list[K]) -> None:
    for one in found:
        if len(known) < HOSTS:
            known[one] = None


def _pair(copy: Sighting) -> Pair:
    return copy.side, _hosts_of(copy.packed_ends)


def _hosts_of(packed: bytes) -> bytes:
    size = 4 if packed[47] == 4 else 16
    return packed[:size] + packed[16 : 16 + size]


def _ends_of(proof: list[Evidence]) -> list[Pair]:
    """One side alone has no line."""
    return [(SIDE_NAMES.index(one.side), _hosts_of(one.ends)) for one in proof if one.ends]


def _hosts(crossing: Crossing) -> tuple[str, str]:
    copy = crossing.lan or crossing.wan
    assert copy is not None
    version = copy.packed_ends[47]
    return text(crossing.phone, version), text(crossing.remote, version)


def _media(copy: Sighting) -> list[bytes]:
    """IPv4 only: media over IPv6 goes between the hosts of the call, or is left out."""
    found = [ipv4(host) for host in Sdp(Message(copy.payload).body).connections]
    return [host.to_bytes(4) for host in found if host >= 0]
