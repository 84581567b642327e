# SPDX-License-Identifier: Apache-2.0
"""Ladder: the messages between hosts, call by call, kept small enough for any capture.

It gets every message once its fate is known, and keeps for each call the steps shown to people:
first copies one by one, retransmissions as one line with a count.
"""

from __future__ import annotations

from collections import deque
from heapq import heappop, heappush

from algwatch.base import address, quote
from algwatch.base.native.layout import (
    ACK,
    BYE,
    CANCEL,
    INFO,
    INVITE,
    METHOD_NAMES,
    NOTIFY,
    PRACK,
    REFER,
    UPDATE,
)
from algwatch.base.sighting import AT, CALL, CSEQ, METHOD, STATUS, TO_TAG, TXN, Sighting, port_of
from algwatch.base.table import Table
from algwatch.compare.crossing import OUTSIDE, Crossing
from algwatch.compare.differences import rewrites
from algwatch.report.render import status
from algwatch.report.render.differ import Pair, differing_lines
from algwatch.sip.message import Message, to_text

CALLS = 200  # calls shown
MARGIN = 256  # more of them until the hurt ones are known: batches run ahead
STEPS = 60  # steps shown of one call
GONE = 4096  # calls remembered as not shown
LONGEST = 8192  # bytes kept of a message
UNANSWERED = 1024  # requests outside calls, waiting for an answer

MAKES_A_CALL = (INVITE, ACK, BYE, CANCEL)
WITHIN_A_CALL = (PRACK, UPDATE, INFO, NOTIFY, REFER)

CROSSED = "crossed"  # both copies were seen
UNKNOWN = "unknown"  # one copy, and the other side was not captured then
LONELY = "lonely"  # one copy, and the other never came (or there is only one side)

# The ACK to a 2xx, as a ladder shows it.
DELIVERED = "delivered"  # it crossed the router to the right place, or the only side has it
STOPPED = "stopped"  # it was seen, but never crossed, or went to another port
MISSING = "missing"  # it was not seen


class Step:
    """One arrow. at, last: ns of its first and last copy; count: its copies; again: a similar
    message came before; label: for people; method, status, cseq: as in its row; outbound: from the
    LAN; fate: a word above; lan, wan: the copies' Ends as (src, sport, dst, dport), None for a
    missing copy; expected: LAN address and port of the NAT mapping, if it went elsewhere; lines:
    pairs of differing lines; copies: the bytes as they entered and left, None if not kept."""

    __slots__ = ("again", "at", "copies", "count", "cseq", "expected", "fate", "label", "lan",
                 "last", "lines", "method", "outbound", "status", "wan")  # fmt: skip

    def __init__(self, crossing: Crossing, fate: str, lines: tuple[Pair, ...], again: bool) -> None:
        copy = crossing.entered
        self.at = self.last = copy.row[AT]
        self.count = 1
        self.again = again
        self.label = _label(copy)
        self.method, self.status, self.cseq = copy.row[METHOD], copy.row[STATUS], copy.row[CSEQ]
        self.outbound = crossing.outbound
        self.fate = fate
        self.lan = _ends(crossing.lan)
        self.wan = _ends(crossing.wan)
        self.expected = _endpoint(crossing.expected, copy) if crossing.expected else ""
        self.lines = lines
        self.copies: tuple[bytes, bytes] | None = None


class CallLadder:
    """The steps of one call. key: hash of its Call-ID; number: of the call, counted; more: messages
    not kept as a step; hurts: a finding of harm names the call, so it stays longest; messages,
    paired (seen on both sides), rewritten: counts; started: ns."""

    __slots__ = ("_repeats", "_seen", "call_id", "hurts", "key", "messages", "more",
                 "number", "over", "paired", "rewritten", "started", "steps")  # fmt: skip

    def __init__(self, first: Sighting, key: int, number: int) -> None:
        self.key = key
        self.number = number
        self.call_id = to_text(Message(first.payload).call_id)
        self.started: int = first.row[AT]
        self.steps: list[Step] = []
        self.messages = self.paired = self.rewritten = self.more = 0
        self.hurts = self.over = False
        self._seen: set[tuple[object, ...]] = set()
        self._repeats: dict[tuple[object, ...], Step] = {}

    def add(self, crossing: Crossing, fate: str) -> Step | None:
        """The new step; None for a repeat of an earlier one, or past the limit."""
        copy = crossing.entered
        row = copy.row
        self.messages += 1
        self.paired += fate == CROSSED
        self.started = min(self.started, row[AT])
        lines: tuple[Pair, ...] = ()
        if crossing.rewritten:
            self.rewritten += 1
            lines = differing_lines(crossing.entered.payload, crossing.left.payload)
        alike = (row[METHOD], row[STATUS], row[CSEQ], copy.packed_ends[:32])
        exactly = (*alike, fate, lines, crossing.expected)
        again = alike in self._seen
        repeat = self._repeats.get(exactly) if again else None
        if repeat is not None:
            repeat.count += 1
            repeat.last = max(repeat.last, row[AT])
            return None
        if len(self.steps) >= STEPS:
            self.more += 1
            return None
        step = Step(crossing, fate, lines, again)
        self.steps.append(step)
        self._seen.add(alike)
        if again:
            self._repeats[exactly] = step
        return step

    @property
    def ack(self) -> str:
        """The ACK to the latest 2xx of an INVITE: DELIVERED, STOPPED or MISSING; "" without such a
        2xx, or if not all messages are shown."""
        answers = [s for s in self.steps if s.method == INVITE and 200 <= s.status < 300]
        if not answers:
            return ""
        latest = max(answers, key=lambda step: step.at)
        acks = [s for s in self.steps if s.method == ACK and s.cseq == latest.cseq]
        alone = not self.paired  # one side, or none of its messages crossed
        if any((s.fate == CROSSED or alone) and not s.expected for s in acks):
            return DELIVERED
        if acks:
            return STOPPED
        # An ACK with another CSeq number is drawn like the due one.
        drawn = any(s.method == ACK and s.at > latest.at for s in self.steps)
        return "" if self.more or drawn else MISSING

    def ordered(self) -> list[Step]:
        """By time: an unpaired copy comes late, after its window."""
        return sorted(self.steps, key=lambda step: step.at)


class Outside:
    """Requests of one method outside calls. requests: without retransmissions; answers: final
    responses by status; headers: the rewritten ones; lonely: copies without the other side's;
    paired: messages seen on both sides."""

    __slots__ = ("answers", "headers", "lonely", "paired", "requests", "rewritten", "waiting")

    def __init__(self) -> None:
        self.requests = self.lonely = self.paired = self.rewritten = 0
        self.answers: dict[int, int] = {}
        self.headers: dict[str, None] = {}
        self.waiting: Table[int, int] = Table(UNANSWERED)

    def add(self, crossing: Crossing, fate: str) -> None:
        copy = crossing.lan or crossing.wan
        assert copy is not None
        row = copy.row
        status = row[STATUS]
        self.lonely += fate == LONELY
        self.paired += fate == CROSSED
        # A request waits under the transaction of its LAN copy: an ALG may change sent-by.
        if not status:
            if row[TXN] not in self.waiting:
                self.requests += 1
                self.waiting.add(row[TXN], 0)
        elif status >= 200 and self.waiting.get(row[TXN]) == 0:
            self.answers[status] = self.answers.get(status, 0) + 1
            self.waiting[row[TXN]] = status
        if crossing.rewritten:
            self.rewritten += 1
            for rewrite in rewrites(crossing):
                if rewrite.explained != "normalised" and len(self.headers) < 16:
                    self.headers[rewrite.header] = None


class Ladder:
    """watch: give it to the pipeline. calls: the kept ones, by the hash of their Call-ID; dropped:
    the number of others; outside: by method name; newest: ns of the latest message; compared: False
    for two unrelated sides. room: bytes of messages kept beside their steps, LONGEST of each copy.
    want: Call-IDs of the calls to keep; None: any."""

    def __init__(self, limit: int = CALLS, room: int = 0,
                 want: frozenset[str] | None = None) -> None:  # fmt: skip
        self.limit = limit
        self.room = room
        self._want = want
        self.calls: dict[int, CallLadder] = {}
        self.outside: dict[str, Outside] = {}
        self.dropped = 0
        self.newest = 0
        self.compared = True
        self._sides = 0  # bits: LAN, WAN
        self._by_id: dict[str, CallLadder] = {}
        self._number = 0  # of the latest call
        # Candidates for eviction: ended calls, the latest first, and all calls in the order of
        # their begin.
        self._over: list[tuple[int, CallLadder]] = []
        self._begun: deque[CallLadder] = deque()
        self._gone: Table[int, bool] = Table(GONE)
        self._also: Table[int, int] = Table(GONE)  # the other Call-ID of a call, by its hash

    def watch(self, crossing: Crossing) -> None:
        copy = crossing.entered
        row = copy.row
        method = row[METHOD]
        self.newest = max(self.newest, row[AT])
        fate = CROSSED if crossing.both else LONELY
        if crossing.matched_by == OUTSIDE:
            fate = UNKNOWN
        self._sides |= 3 if fate == CROSSED else (1, 2, 0)[copy.side]
        key = self._key(row[CALL], crossing.left.row[CALL] if crossing.both else row[CALL])
        call = self.calls.get(key)
        if call is None and method in MAKES_A_CALL:
            call = self._begin(key, copy)
            if call is None:
                return
        if call is not None and (method in MAKES_A_CALL or method in WITHIN_A_CALL):
            step = call.add(crossing, fate)
            if step is not None and self.room > 0:
                step.copies = (crossing.entered.payload[:LONGEST], crossing.left.payload[:LONGEST])
                self.room -= len(step.copies[0]) + len(step.copies[1])
        elif key not in self._gone:
            name = METHOD_NAMES[method] or "unknown"
            self.outside.setdefault(name, Outside()).add(crossing, fate)

    @property
    def two_sided(self) -> bool:
        """Both sides of the router were seen."""
        return self._sides == 3 and self.compared

    def hurts(self, call_id: str) -> None:
        """A finding of harm names this call: others go first."""
        call = self._by_id.get(call_id)
        if call is not None:
            call.hurts = True

    def over(self, call_id: str) -> None:
        """The call has ended."""
        call = self._by_id.get(call_id)
        if call is not None and not call.over:
            call.over = True
            heappush(self._over, (-call.number, call))

    def of(self, call_id: str) -> CallLadder | None:
        return self._by_id.get(call_id)

    def settle(self) -> None:
        """No more reports: keep limit calls."""
        while len(self.calls) > self.limit:
            if not self._make_room():
                self._drop(next(reversed(self.calls)))

    def _key(self, entered: int, left: int) -> int:
        """The key of a call, from the hashes of its Call-IDs on both sides."""
        key = self._also.get(entered, entered)
        if entered == left:
            return key
        other = self._also.get(left, left)
        if key not in self.calls and other in self.calls:
            key = other
        for one in (entered, left):
            if one != key:
                self._also.add(one, key)
        return key

    def _begin(self, key: int, first: Sighting) -> CallLadder | None:
        if key in self._gone:
            return None
        if self._want is not None and to_text(Message(first.payload).call_id) not in self._want:
            self._gone.add(key, True)
            return None
        if len(self.calls) >= self.limit + MARGIN and not self._make_room():
            self._gone.add(key, True)
            self.dropped += 1
            return None
        self._number += 1
        call = CallLadder(first, key, self._number)
        if len(self._begun) > 2 * (self.limit + MARGIN):  # most of them are gone
            self._begun = deque(one for one in self.calls.values() if not one.hurts)
        self._begun.append(call)
        self.calls[key] = call
        self._by_id[call.call_id] = call
        return call

    def _make_room(self) -> bool:
        """Drop the latest healthy call that has ended, else the oldest call that hurts nobody."""
        while self._over:
            if self._let_go(heappop(self._over)[1]):
                return True
        while self._begun:
            if self._let_go(self._begun.popleft()):
                return True
        return False

    def _let_go(self, call: CallLadder) -> bool:
        """False for a hurt call, which stays, or a call already dropped."""
        if call.hurts or self.calls.get(call.key) is not call:
            return False
        self._drop(call.key)
        return True

    def _drop(self, key: int) -> None:
        call = self.calls.pop(key)
        self.room += sum(len(s.copies[0]) + len(s.copies[1]) for s in call.steps if s.copies)
        if self._by_id.get(call.call_id) is call:
            del self._by_id[call.call_id]
        self._gone.add(key, True)
        self.dropped += 1


def _label(copy: Sighting) -> str:
    """INVITE, re-INVITE, 200 OK, 200 OK (BYE); not yet cleaned for a terminal."""
    row = copy.row
    method = METHOD_NAMES[row[METHOD]]
    if method in ("", "OTHER"):
        method = quote.method(Message(copy.payload).method)
    if row[STATUS]:
        # Registered words: the reason phrase on the wire is free text.
        label = status.labelled(row[STATUS])[:24]
        return label if row[METHOD] == INVITE else f"{label} ({method})"
    return "re-INVITE" if row[METHOD] == INVITE and row[TO_TAG] else method


def _ends(copy: Sighting | None) -> tuple[str, int, str, int] | None:
    if copy is None:
        return None
    ends = copy.ends
    return ends.src, ends.sport, ends.dst, ends.dport


def _endpoint(packed: bytes, copy: Sighting) -> str:
    return f"{address.text(packed[:16], copy.ends.version)}:{port_of(packed)}"
