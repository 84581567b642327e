# SPDX-License-Identifier: Apache-2.0
"""Transactions: one table a side.

Only this stage and pairing see every row, so it is the hot loop of the agent: a message of a
healthy call costs one dict lookup and a few assignments.
"""

from __future__ import annotations

import struct
from collections import deque
from collections.abc import Callable
from itertools import chain, count, repeat
from operator import attrgetter

from algwatch.base.deadlines import Deadlines, Waiting
from algwatch.base.native.layout import ACK, CANCEL, ENDS, INVITE, KIND_SIP, ROW, ROW_OUTGOING
from algwatch.base.packet import UNKNOWN, Batch
from algwatch.base.sighting import (
    AT,
    BITS,
    CALL,
    FLOW,
    LENGTH,
    PAIR,
    PAYLOAD,
    STATUS,
    TO_TAG,
    TXN,
    Row,
    Sighting,
)
from algwatch.base.table import Table
from algwatch.sip.again import Again
from algwatch.sip.doubt import Doubt, is_before, way_back
from algwatch.sip.timers import SECOND, T1, T4, TIMER_B, WINDOW
from algwatch.sip.transaction import (
    ACKED,
    DEAF,
    FINAL,
    FINAL_AGAIN,
    LATE,
    NOT_HEARD,
    ORPHAN,
    PROVISIONAL,
    PROVISIONAL_AGAIN,
    REQUEST,
    REQUEST_AGAIN,
    TIMED_OUT,
    WAY,
    Event,
    Seen,
    Transaction,
)

# An IP ID of 0 tells no two packets apart (Linux with DF): then a copy has to come at once.
TWIN = SECOND // 200
# The first answers to an INVITE (100, 180, 183) come sooner. Later come those without a PRACK, at
# T1, 2*T1, 4*T1 ... (RFC 3262 section 3).
NOT_AT_ONCE = 3 * T1
NOT_ALIKE, SAME, OTHER_BYTES = 0, 1, 2  # see Transactions._likeness()
REMEMBERED = 64  # sightings of earlier batches searched for packets captured twice
USUAL = 1500  # bytes of a message; of larger ones only hashes are remembered
# The callee has to answer each minute (RFC 3261 section 13.3.1.1). After this time nobody waits any
# more, and a capture with a packet of years ago is not searched from then on.
RINGS = 3600 * SECOND

_ENDS = struct.Struct(f"{ENDS.size}s")  # the addresses of each row, as they are
_payload = attrgetter("payload")

Meet = Callable[[Row, bytes], bool]  # a row and its addresses
Stray = Callable[[Row], bool]


class Transactions:
    """One side's transactions. limit: transactions followed. meet: called with each first request,
    returns whether it is unsolicited (only if feed() keeps all). side: of the sightings made.
    stray: asked about each response without a request here. True forgets the response at once: no
    transaction, no event, no sighting. doubt: leaves out messages, but for their sightings, until
    believe() is called with them; only if feed() keeps all.

    kept: bytes of the messages of the latest batch, if it kept all.
    messages counts SIP messages without duplicates; strays counts forgotten ones; duplicates counts
    packets captured more than once (CAP007): the same bytes on the same flow in the same direction,
    with the same IP ID and TTL within the window; duplicate: the latest of them. impostors: packets
    alike in all but their bytes, since the last time it was emptied. weighs: compare bytes, flow
    and direction, only if feed() keeps all. over: finished transactions with a final response,
    since it was emptied; None before the first retransmission. counts_from: ns, they end after it.
    """

    def __init__(self, limit: int, meet: Meet | None = None, side: int = UNKNOWN) -> None:
        self.side = side
        self.table: Table[int, Transaction] = Table(limit)
        self.meet = meet
        self.stray: Stray | None = None
        self.doubt: Doubt | None = None
        self.messages = self.strays = self.kept = self.duplicates = 0
        self.duplicate: Seen | None = None
        self.impostors: list[Seen] = []
        self.weighs = False
        self.over: list[Transaction] | None = None
        self.counts_from = 0
        # Latest sightings of earlier batches, oldest first; of large ones, rows and hashes.
        self._recent: deque[Sighting | tuple[Row, int]] = deque(maxlen=REMEMBERED)
        self._young: Deadlines[Transaction] = Deadlines(T4, 2 * limit, self._living)
        self._waiting: Deadlines[Transaction] = Deadlines(TIMER_B, 2 * limit, self._living)

    @property
    def due(self) -> int:
        """ns; advance() does nothing before it."""
        return min(self._young.next, self._waiting.next)

    def feed(self, batch: Batch, keep: bool, other: list[Seen], late: bool = False) -> list[Event]:
        """The events of this batch; rows without SIP are appended to other. keep: all messages
        except duplicates become batch.sightings, in order. late: they are so, and believed."""
        events: list[Event] = []
        table = self.table
        get = table.get
        event = events.append
        begun: list[tuple[int, Transaction]] = []
        begin = begun.append
        limit = table.limit
        new = Sighting.__new__
        meet, stray = self.meet, self.stray
        keeps = keep and not late
        doubt = self.doubt if keeps else None
        held = doubt.calls if doubt is not None else None
        if doubt is not None:
            back, invites, set_of = doubt.back, doubt.invites, doubt.dialogs.get
        duplicates = self.duplicates
        size = 0
        buffer, addresses, made, side = batch.buffer, batch.ends, batch.sightings, self.side
        # bytes() of bytes costs as much as copying them, and a slice of them is a copy already.
        whole = buffer if isinstance(buffer, bytes) else None
        every_ends = chain.from_iterable(_ENDS.iter_unpack(addresses)) if keep else repeat(b"")
        # zip() uses its tuple again, enumerate() would add another.
        for row, ends, i in zip(ROW.iter_unpack(batch.rows), every_ends, count(), strict=False):
            (at, key, call, pair, flow, tag, _, cseq, start, length, status, ip_id, bits, kind,
             method, ttl, _) = row  # fmt: skip
            if kind != KIND_SIP:
                other.append((row, i))
                continue
            if held and call in held and doubt is not None and doubt.has_room(call):
                size += doubt.hold(batch.sighting(side, row, i))
                continue
            key ^= call  # two calls with one branch are no retransmission, nor a duplicate
            t = get(key)
            if status and doubt is not None and t is not None:
                way = t.way_back
                if way[0] != flow or way[1] != bits & WAY:
                    known = back.get(t.flow)
                    if known == (flow, bits & WAY, t.bits & WAY):
                        t.way_back = known
                    elif doubt.asks(row, ends, t):
                        size += doubt.hold(batch.sighting(side, row, i))
                        continue
            # Clients reuse a branch. No ACK comes before its INVITE, no response before a request.
            if t is None or (not status and (method == INVITE if t.method == ACK else
                             method == t.method and (cseq != t.cseq and t.final_at if t.flow
                                                     else is_before(row, ends, t)))):  # fmt: skip
                if status and stray is not None and stray(row):
                    self.strays += 1
                    continue
                if doubt is not None and (not status or method == INVITE):
                    s = set_of(call)
                    t = invites.get(call) if s is None else s.invite
                    if t is not None and (t.flow != flow or (t.bits ^ bits) & WAY):
                        known = back.get(t.flow) if method != CANCEL else None
                        if known != (flow, bits & WAY, t.bits & WAY) and doubt.asks(row, ends, t):
                            size += doubt.hold(batch.sighting(side, row, i))
                            continue
                t = Transaction(key, at, call, tag, cseq, method)
                t.bits = bits
                t.ends = ends or addresses[48 * i : 48 * i + 48]
                if status:
                    if status < 200:
                        t.provisional_at = at
                        t.rang_at = at if status > 100 else 0
                    else:
                        t.status = status
                        t.finals = 1
                        t.final_at = at
                        t.final_flow = flow
                    event((ORPHAN, t, row, i))
                else:
                    t.requests = 1
                    t.flow = flow
                    if meet is not None:
                        t.unsolicited = meet(row, ends)
                    event((REQUEST, t, row, i))
                    if method == INVITE and doubt is not None:
                        invites.setdefault(call, t)
                if status or t.unsolicited or len(table) >= limit:
                    table.add(key, t, t.unsolicited or bool(status))
                else:
                    table[key] = t
                begin((at + T4, t))
            elif (
                pair == t.last_pair
                and ip_id == t.last_ip_id
                and ttl == t.last_ttl
                and at - t.last_at < (WINDOW if ip_id else TWIN)
                and (like := self._likeness(t, row, buffer, made) if self.weighs else SAME)
            ):
                if like == SAME:
                    self.duplicates += 1
                    self.duplicate = (row, i)
                    continue
                # Made to look like the packet before: no sender repeats itself so soon.
                self.impostors.append((row, i))
            elif status or flow == t.flow or method == ACK or not t.flow:
                t.last_at = at
                if not status:
                    if method == ACK and t.method == INVITE:
                        if doubt is not None and flow != t.flow and doubt.asks(row, ends, t):
                            size += doubt.hold(batch.sighting(side, row, i))
                            continue
                        event((ACKED, t, row, i))
                    elif flow == t.flow or not t.flow:
                        if not t.flow:  # a response came first
                            t.flow, t.bits = flow, bits
                            t.ends = ends or addresses[48 * i : 48 * i + 48]
                            if method > ACK:
                                event((REQUEST, t, row, i))
                        t.requests += 1
                        if t.requests > 1:
                            self._again(t, at).request(at, t.answered_at)
                        if method <= ACK:
                            event((REQUEST_AGAIN, t, row, i))
                        elif t.final_at and method > ACK:
                            t.late += 1
                            if t.late == LATE or t.late == DEAF:
                                event((NOT_HEARD, t, row, i))
                    elif method == ACK:
                        # The first one may have been forged, and only a dialog can tell.
                        event((REQUEST_AGAIN, t, row, i))
                elif status < 200:
                    if status > 100:
                        t.rang_at = at
                    if not t.provisional_at:
                        t.provisional_at = at
                        if method == INVITE:
                            event((PROVISIONAL, t, row, i))
                    elif at - t.provisional_at > NOT_AT_ONCE and method == INVITE:
                        event((PROVISIONAL_AGAIN, t, row, i))
                elif not t.final_at:
                    t.final_at = at
                    t.status = status
                    t.final_flow = flow
                    t.finals = 1
                    event((FINAL, t, row, i))
                elif t.status >= 300 > status and method == INVITE:
                    # A proxy forwards it although another was refused (section 16.7).
                    t.status = status
                    t.final_flow = flow
                    t.finals = 1
                    event((FINAL, t, row, i))
                elif flow == t.final_flow or flow == t.way_back[0]:  # its sender has moved
                    t.finals += 1
                    self._again(t, at)
                    if t.method == INVITE:
                        t.status = status
                        event((FINAL_AGAIN, t, row, i))
            t.last_ip_id = ip_id
            t.last_ttl = ttl
            t.last_pair = pair
            if keeps:
                size += length
                if whole is not None:
                    payload = whole[start : start + length]
                else:
                    payload = bytes(buffer[start : start + length])
                # Without its constructor: it costs as much again as all of this.
                made[i] = copy = new(Sighting)
                copy.row = row
                copy.side = side
                copy.payload = payload
                copy.packed_ends = ends
                copy.paired = 0
                copy._ends = None
        self._young.extend(begun)
        if doubt is not None and invites:
            invites.clear()
        if self.weighs and made and not late:
            self._remember(made, size)
        self.kept = size
        self.messages += batch.count - len(other) - (self.duplicates - duplicates)
        return events

    def believe(self, copy: Sighting) -> tuple[Batch, list[Event]]:
        """The events of a message left out in doubt, and their batch. sort() has to follow."""
        row = list(copy.row)
        row[PAYLOAD] = 0
        batch = Batch(copy.payload, ROW.pack(*row), copy.packed_ends, 1, 0, copy.row[AT])
        batch.sightings[0] = copy
        t = self.table.get(copy.row[TXN] ^ copy.row[CALL])
        if t is not None and copy.row[STATUS] and copy.paired > 0:
            t.way_back = way_back(copy.row, t)
        before = self.messages, self.duplicate, self.duplicates
        events = self.feed(batch, True, [], late=True)
        self.messages, self.duplicate, was = before
        self.messages -= self.duplicates - was
        self.impostors.clear()  # pairing has weighed it
        return batch, events

    def sort(self) -> None:
        """Believed messages came late."""
        self._young.sort()

    def _again(self, t: Transaction, at: int) -> Again:
        """A message of it was repeated."""
        if self.over is None:
            self.over, self.counts_from = [], at - T4
        if t.again is None:
            t.again = Again()
        return t.again

    def _likeness(self, t: Transaction, row: Row, buffer: bytes | memoryview,
                  made: dict[int, Sighting]) -> int:  # fmt: skip
        """Compare a packet with the transaction's latest one. SAME: the same bytes on the same flow
        in the same direction, or the latest packet is no longer known. OTHER_BYTES, or NOT_ALIKE:
        flow, direction or To tag differ. made: the sightings of this batch so far, with their bytes
        in buffer."""
        for some in (reversed(made.values()), reversed(self._recent)):
            for one in some:
                was, kept = (one.row, one.payload) if isinstance(one, Sighting) else one
                if was[AT] < t.last_at:
                    break
                if was[AT] == t.last_at and was[PAIR] == t.last_pair and was[CALL] == row[CALL]:
                    if was[FLOW] != row[FLOW] or (was[BITS] ^ row[BITS]) & ROW_OUTGOING:
                        return NOT_ALIKE
                    if row[STATUS] and was[TO_TAG] != row[TO_TAG]:
                        return NOT_ALIKE  # of two phones
                    start = row[PAYLOAD]
                    payload = bytes(buffer[start : start + row[LENGTH]])
                    same = kept == (payload if isinstance(kept, bytes) else hash(payload))
                    return SAME if same else OTHER_BYTES
        return SAME

    def _remember(self, made: dict[int, Sighting], size: int) -> None:
        """Keep the identity of the last sightings of a batch of this size (bytes): most packets
        captured twice are in one batch."""
        last = list(made.values())
        if len(last) > REMEMBERED:
            last = last[-REMEMBERED:]
            size = sum(map(len, map(_payload, last)))
        if size <= len(last) * USUAL:
            self._recent.extend(last)
        else:
            self._recent.extend([(copy.row, hash(copy.payload)) for copy in last])

    def advance(self, now: int) -> list[Event]:
        """Run Timers B and F, and forget finished transactions. now: ns of packet time."""
        events: list[Event] = []
        young, waiting = self._young, self._waiting
        # A ladder of retransmissions has gaps of T2 at most: an answered transaction is over after
        # T4 of silence. An unanswered one is examined again when Timer B or F is due.
        current, over = self.table.get, self.over
        table = self.table
        for t in young.due(now):
            key = t.key
            if current(key) is not t:
                continue  # evicted
            if t.final_at or t.method == ACK:
                idle = t.last_at + T4
                if idle <= now:
                    del table[key]
                    if over is not None and t.finals:
                        over.append(t)
                else:
                    young.add_due(idle, t)
            else:
                waiting.add(t.at, t)
        for t in waiting.due(now):
            if current(t.key) is not t:
                continue
            if t.final_at:
                young.add_due(max(now, t.last_at) + T4, t)
                continue
            if t.requests and (not t.provisional_at or t.rings_unheard):
                events.append((TIMED_OUT, t, _timed_out(t, now), -1))
            if t.provisional_at and t.method == INVITE and now - t.last_at < RINGS:
                waiting.add(now, t)  # no timer while it proceeds (section 17.1.1.2)
            else:
                del self.table[t.key]
        return events

    def tidy(self) -> None:
        """Drop transactions no longer in the table."""
        self._young.tidy()
        self._waiting.tidy()

    def _living(self, waiting: Waiting[Transaction]) -> list[tuple[int, Transaction]]:
        current = self.table.get
        return [item for item in waiting if current(item[1].key) is item[1]]


def _timed_out(t: Transaction, now: int) -> Row:
    """A row that stands for the silence: time, Call-ID, From tag and CSeq of the request."""
    return (now, 0, t.call, 0, 0, t.from_tag, 0, t.cseq, 0, 0, 0, 0, 0, KIND_SIP, t.method, 0, 0)
