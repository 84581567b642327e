# SPDX-License-Identifier: Apache-2.0
"""Captured: the contents of the capture, and its gaps."""

from __future__ import annotations

from collections import deque

from algwatch.base import address
from algwatch.base.deadlines import NEVER
from algwatch.base.host import HARDWARE, Host
from algwatch.base.native.layout import KIND_CUT, KIND_KEEPALIVE, KIND_STUN, KIND_TLS, REGISTER
from algwatch.base.packet import WAN, Batch
from algwatch.base.sighting import (
    FLOW,
    KIND,
    LENGTH,
    METHOD,
    STATUS,
    Row,
    Sighting,
    both_ways,
    endpoints,
)
from algwatch.base.table import Table
from algwatch.compare.call import Call
from algwatch.compare.crossing import Crossing
from algwatch.compare.missed import Missed
from algwatch.compare.own_flows import OwnFlows
from algwatch.compare.quality import Quality
from algwatch.sip.message import reach
from algwatch.sip.side import Side
from algwatch.sip.timers import T2, WINDOW
from algwatch.sip.transaction import Event, Seen

FLOWS = 256  # flows of which the addresses are read
INSIDE, OUTSIDE, ACROSS = 1, 2, 4
UNREAD = (KIND_TLS, KIND_STUN, KIND_KEEPALIVE)
ENCRYPTED = 4  # connections shown
REACHED = 64  # flows remembered
PORTS = 8  # ports shown
SIP_PORTS = (5060, 5061)  # RFC 3261 section 19.1.2
IPSEC = b"ipsec-3gpp"  # Security-Client, Security-Server (RFC 3329, 3GPP TS 33.203)
# INVITEs compared with the other half of a B2BUA, and the longest of them.
ALONE, ALONE_BYTES = 8, 4096


class Alone:
    """An INVITE seen on one side alone, or one of the router itself (own): sent or received, not
    forwarded, so both copies have one TTL. call: None after its end; started_at: ns, of the
    call."""

    __slots__ = ("call", "invite", "own", "started_at")

    def __init__(self, call: Call, invite: Sighting, own: bool) -> None:
        self.call: Call | None = call
        self.invite = invite
        self.own = own
        self.started_at = call.started_at

    @property
    def is_apart(self) -> bool:
        """No phone behind the router has this call."""
        if self.own or self.call is None:
            return True
        return not (self.call.paired or len(self.call.seen) > 1)


class Captured:
    """two_sided: copies of both sides are compared. now: ns of packet time, passed by every tap;
    started: the first of it. finished: the capture is over. sip: messages a side (LAN, WAN,
    UNKNOWN); first: the first message of each; duplicates, duplicate: packets captured twice, and
    one of them; cut, cut_example: messages not captured whole. paired: messages with both copies.
    partial, undecided: calls with their beginning or end outside the capture, with examples. lost:
    packets a side that were not captured; breaks: times in them that TCP went on behind bytes not
    captured; gone_at: ns, the end of the latest loss or of an interface's absence; lost_at: the
    same, or the latest message that was cut, which excuses no other connection; began, ended: ns,
    both sides were captured between these. forgets: calls were evicted. quality: whether the two
    captures are both sides of one router, if asked. networks: bits of the flows of a one-sided
    capture: INSIDE, OUTSIDE and ACROSS, with no, two and one public address. alone: the latest
    INVITEs seen on one side alone or sent or received by the router itself. own: flows of programs
    on the router itself. contested, contested_example: packets that contradict each other (see
    Pairing), one of them. host: the router's facts about itself (live). unread: packets on SIP
    ports other than SIP, by kind (UNREAD), each with an example; tls: the first TLS handshake of
    connections, by both ends; decrypted: those of them with readable SIP. reached: of a one-sided
    capture, flows (18 bytes, the far host) with an acknowledged 2xx in spite of its private
    Contact: the far end finds the phone. ipsec: a REGISTER with an IPsec agreement. ports: the
    first SIP message on ports other than SIP_PORTS, by port.
    """

    __slots__ = ("_flows", "alone", "began", "breaks", "contested", "contested_example", "cut",
                 "cut_example", "decrypted", "duplicate", "duplicates", "ended", "finished",
                 "first", "forgets", "gone_at", "host", "ipsec", "lost", "lost_at", "missed",
                 "networks", "now", "own", "paired", "partial", "partial_example", "ports",
                 "quality", "reached", "sip", "started", "tls", "two_sided", "undecided",
                 "undecided_example", "unread")  # fmt: skip

    def __init__(self, two_sided: bool, missed: Missed) -> None:
        self.two_sided = two_sided
        self.missed = missed
        self.now = self.started = 0
        self.finished = self.forgets = False
        self.sip = [0, 0, 0]
        self.first: list[Sighting | None] = [None, None, None]
        self.duplicates = self.cut = self.paired = 0
        self.duplicate: Sighting | None = None
        self.contested = 0
        self.own = OwnFlows()
        self.alone: deque[Alone] = deque(maxlen=ALONE)
        self.contested_example: Sighting | None = None
        self.cut_example: Sighting | None = None
        self.lost, self.breaks = [0, 0, 0], [0, 0, 0]
        self.lost_at = self.gone_at = self.networks = 0
        self.began, self.ended = 0, NEVER
        self._flows: set[int] = set()
        self.partial = self.undecided = 0
        self.quality: Quality | None = None
        self.host: Host | None = None
        self.partial_example: Sighting | None = None
        self.undecided_example: Sighting | None = None
        self.unread: dict[int, tuple[int, Sighting]] = {}
        self.tls: dict[bytes, Sighting] = {}
        self.decrypted: set[bytes] = set()
        self.ipsec: Sighting | None = None
        self.ports: dict[int, Sighting] = {}
        self.reached: Table[bytes, None] = Table(REACHED)

    def note(self, side: Side, batch: Batch, events: list[Event], other: list[Seen]) -> None:
        """Count a batch of one side. other: its rows without a SIP message."""
        transactions, which = side.transactions, side.side
        self.sip[which] = transactions.messages
        if self.first[which] is None and events:
            _, _, row, i = events[0]
            self.first[which] = batch.sighting(which, row, i)
        if transactions.duplicate is not None:
            self.duplicate = self.duplicate or batch.sighting(which, *transactions.duplicate)
            self.duplicates += transactions.duplicates
            transactions.duplicate, transactions.duplicates = None, 0
        for row, i in other:
            if row[KIND] == KIND_CUT and not row[LENGTH]:
                self.breaks[which] += 1  # nothing of it was captured
                continue
            if row[KIND] == KIND_CUT:
                self.cut += 1
                if self.cut_example is None or self.cut_example.side > which:
                    self.cut_example = batch.sighting(which, row, i)
            elif row[KIND] in UNREAD:
                self._note_unread(batch, which, row, i)

    def note_reached(self, answer: Sighting | None) -> None:
        """A 2xx of a one-sided capture was acknowledged."""
        if answer is None:
            return
        key = answer.source + answer.destination[:16]
        if key not in self.reached and address.is_unreachable(reach(answer.payload)[2] or ""):
            self.reached.add(key, None)

    def _note_unread(self, batch: Batch, which: int, row: Row, i: int) -> None:
        count, example = self.unread.get(row[KIND], (0, None))
        ends = batch.ends[48 * i : 48 * i + 48]
        key = both_ways(*endpoints(ends))
        fresh = row[KIND] == KIND_TLS and key not in self.tls and len(self.tls) < ENCRYPTED
        if example is None or fresh:
            copy = batch.sighting(which, row, i)
            example = example or copy
            if fresh:
                self.tls[key] = copy
        self.unread[row[KIND]] = (count + 1, example)

    def note_kind(self, crossing: Crossing) -> None:
        """Note the port of the first message of its kind on its flow, or of one that differs."""
        copy = crossing.entered
        if self.tls:
            copies = (copy, crossing.left) if crossing.left is not None else (copy,)
            ends_of = {both_ways(one.source, one.destination) for one in copies}
            self.decrypted |= ends_of & self.tls.keys()
        if self.two_sided and crossing.flow_pair is None and not crossing.outbound:
            return  # scanners knock on every port
        ends, row = copy.ends, copy.row
        if ends.sport not in SIP_PORTS and ends.dport not in SIP_PORTS:
            # Note the provider's port, if this end is known.
            inward = not crossing.outbound if self.two_sided else bool(row[STATUS])
            port = ends.sport if inward else ends.dport
            known = ends.sport in self.ports or ends.dport in self.ports
            # In a one-sided capture, a request to the phone's own port comes from the provider's
            # port.
            if len(self.ports) < PORTS and (self.two_sided or not known):
                self.ports.setdefault(port, copy)
        if row[METHOD] == REGISTER and self.ipsec is None and IPSEC in copy.payload:
            self.ipsec = copy

    def note_network(self, copy: Sighting) -> None:
        """Note the addresses of a flow at its first message of a kind. Only for one-sided
        captures."""
        flow = copy.row[FLOW]
        if flow not in self._flows and len(self._flows) < FLOWS:
            self._flows.add(flow)
            private = sum(address.is_unroutable(host) for host in (copy.ends.src, copy.ends.dst))
            self.networks |= (OUTSIDE, ACROSS, INSIDE)[private]

    @property
    def two_networks(self) -> bool:
        """Each flow is inside or outside the LAN, none is across. A PBX, SBC or proxy on the router
        has calls of its own on either side."""
        return self.networks == INSIDE | OUTSIDE

    @property
    def apart(self) -> bool:
        """No message was found on both of two files: they may be of two routers, so a message on
        one side alone shows nothing of what the router did."""
        return self.quality is not None and not (self.quality.pairs or self.paired)

    def note_alone(self, call: Call, invite: Sighting, own: bool = False) -> None:
        """One side alone shows an INVITE of this call, or it is the router's own (see Alone)."""
        if invite.row[LENGTH] <= ALONE_BYTES and not any(
            one.call is call and one.invite.side == invite.side for one in self.alone
        ):
            self.alone.append(Alone(call, invite, own))

    def let_go(self, call: Call) -> None:
        """The call is over. Its INVITE may still match the other half of a B2BUA."""
        for one in [one for one in self.alone if one.call is call]:
            if not one.is_apart:
                self.alone.remove(one)
            one.call = None

    @property
    def gaps(self) -> bool:
        """One of two captures is known to lack single packets."""
        return self.quality is not None and any(one.missing for one in self.quality.gaps)

    def contest(self, packets: int, example: Sighting) -> None:
        """packets contradict others; example is one of them."""
        self.contested += packets
        self.contested_example = self.contested_example or example

    def lossy(self, call: Call) -> bool:
        """True if a message of the call may have passed without being captured: an unseen message
        is then not missing."""
        # An evicted call goes on at another message on each side.
        if self.forgets and call.partial_anywhere:
            return True
        if (self.began or self.ended != NEVER) and self._is_outside(call):
            return True
        if call.gaps and not self._is_proven(call):
            return True
        if self.own.hidden and self._is_half_seen(call):
            return True
        if self.host is not None and self.host.offload == HARDWARE:
            return True  # packets of an established flow bypass the kernel
        lost_at = max(self.gone_at, self.missed.call(call))
        if not lost_at:
            return False
        # An unseen beginning may have been lost.
        return call.started_at - WINDOW <= lost_at or call.partial

    def lost_by(self, copy: Sighting) -> int:
        """ns; until then an answer to this message may have passed unseen; 0: none has."""
        return max(self.gone_at, self.missed.torn(copy))

    def _is_proven(self, call: Call) -> bool:
        """The router has stopped a message of the call in spite of gaps."""
        if self.quality is None:
            return False
        stopped = [crossing.entered for crossing in call.unpaired.values()]
        return any(self.quality.gaps[1 - copy.side].proves(copy) for copy in stopped)

    def _is_half_seen(self, call: Call) -> bool:
        s = call.sides[WAN]
        if s is not None and s.request is not None and self.own.is_hidden(s.request):
            return True
        return any(pair.line in self.own.hidden for pair in call.flow_pairs.values())

    def _is_outside(self, call: Call) -> bool:
        """True if only one side was captured when the decisive message came: the 2xx to the latest
        INVITE on either side, or the INVITE if no 2xx was seen."""
        first = last = 0
        for s in call.sides:
            at = s.answered_at if s is not None else 0
            if at:
                first = at if not first or at < first else first
                last = at if at > last else last
        if not last:
            first = last = call.started_at
        return first - WINDOW <= self.began or self.is_late(last)

    def is_late(self, at: int) -> bool:
        """True if the capture of both sides ended too soon after this time (ns): the deciding
        messages, or their retransmissions, may be outside."""
        return at + T2 >= self.ended

    def note_end(self, call: Call, outcome: str) -> None:
        """For CAP005: count a call if its beginning or end may be outside the capture."""
        partial = [s for s in call.seen if s.partial and s.first is not None]
        if outcome == "dropped":
            partial = []  # a finding covers this call
        if self.began and not call.partial:
            partial = []  # CAP013 covers the side that began later
        if partial and not self.forgets:
            self.partial += 1
            self.partial_example = self.partial_example or partial[0].first
        open_ = [s for s in call.seen if not s.ended_at and not s.rejected]
        waiting = [(s.current.answer if s.current is not None else None) or s.request
                   for s in open_]  # fmt: skip
        undecided = outcome in ("unknown", "ongoing")
        example = next((w for w in waiting if w is not None), None)
        if undecided and not partial and example is not None:
            self.undecided += 1
            self.undecided_example = self.undecided_example or example
