# SPDX-License-Identifier: Apache-2.0
"""Captured: what the capture holds, and what it cannot hold."""

from __future__ import annotations

from collections import deque

from algwatch.base import address
from algwatch.base.deadlines import NEVER
from algwatch.base.host import HARDWARE, Host
from algwatch.base.native.layout import KIND_CUT, KIND_KEEPALIVE, KIND_STUN, KIND_TLS, REGISTER
from algwatch.base.packet import WAN, Batch
from algwatch.base.sighting import FLOW, KIND, LENGTH, METHOD, STATUS, Row, Sighting
from algwatch.base.table import Table
from algwatch.compare.call import Call
from algwatch.compare.crossing import Crossing
from algwatch.compare.own_flows import OwnFlows
from algwatch.compare.quality import Quality
from algwatch.sip.message import reach
from algwatch.sip.side import Side
from algwatch.sip.timers import T2, WINDOW
from algwatch.sip.transaction import Event, Seen

FLOWS = 256  # whose addresses are looked at
INSIDE, OUTSIDE, ACROSS = 1, 2, 4
UNREAD = (KIND_TLS, KIND_STUN, KIND_KEEPALIVE)
ENCRYPTED = 4  # connections that are shown
REACHED = 64  # flows that are remembered
PORTS = 8  # that are shown
SIP_PORTS = (5060, 5061)  # RFC 3261 section 19.1.2
IPSEC = b"ipsec-3gpp"  # Security-Client, Security-Server (RFC 3329, 3GPP TS 33.203)
# INVITEs that are looked at for the other half of a B2BUA, and the longest of them.
ALONE, ALONE_BYTES = 8, 4096


class Alone:
    """An INVITE that one side alone shows, or (own) that the router itself sent or got, not
    forwarded: both copies have one TTL. call: None once it is over; started_at: ns, of it."""

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
    """two_sided: copies of both sides are compared. now: ns of packet time that every tap has
    passed; started: the first of it. finished: the capture is over. sip: messages a side (LAN, WAN,
    UNKNOWN); first: the first message of each; duplicates, duplicate: packets captured twice, and
    one of them; cut, cut_example: messages that were not captured whole. paired: messages of which
    both copies were seen. partial, undecided: calls whose beginning or end the capture does not
    hold, with examples. lost: packets a side that were not captured; gaps: times among
    them that TCP went on behind bytes that were not captured; lost_at: ns, until when the
    latest of them came, or an interface was gone; began, ended: ns, both sides were captured
    from then on, and until then. forgets: calls were evicted. quality: whether the two captures
    are both sides of one router, where that was asked. networks: bits of the flows of
    a capture with one side: INSIDE, OUTSIDE and ACROSS, those between addresses of which none, each
    or one is public. alone: the latest INVITEs that one side alone shows, or that are the router's
    own. own: flows of programs on the router itself. contested,
    contested_example: packets that contradict each other (see Pairing), one of them. host: what the
    router says of itself, where it was asked (live). unread: packets on SIP ports that are no SIP,
    by kind (UNREAD), each with an example; tls: the first TLS handshake of connections, by both
    ends. reached: with one side alone, flows (18 bytes, the far host) whose 2xx with a private
    Contact was acknowledged, so that the far end finds the phone all the same. ipsec: a REGISTER
    that agrees on IPsec. ports: the first message of SIP on other ports than SIP_PORTS, by port.
    """

    __slots__ = ("_flows", "alone", "began", "contested", "contested_example", "cut", "cut_example",
                 "duplicate", "duplicates", "ended", "finished", "first",
                 "forgets", "gaps", "host", "ipsec", "lost", "lost_at", "networks", "now", "own",
                 "paired", "partial", "partial_example", "ports", "quality", "reached", "sip",
                 "started", "tls", "two_sided", "undecided", "undecided_example",
                 "unread")  # fmt: skip

    def __init__(self, two_sided: bool) -> None:
        self.two_sided = two_sided
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
        self.lost, self.gaps = [0, 0, 0], [0, 0, 0]
        self.lost_at = self.networks = 0
        self.began, self.ended = 0, NEVER
        self._flows: set[int] = set()
        self.partial = self.undecided = 0
        self.quality: Quality | None = None
        self.host: Host | None = None
        self.partial_example: Sighting | None = None
        self.undecided_example: Sighting | None = None
        self.unread: dict[int, tuple[int, Sighting]] = {}
        self.tls: dict[bytes, Sighting] = {}
        self.ipsec: Sighting | None = None
        self.ports: dict[int, Sighting] = {}
        self.reached: Table[bytes, None] = Table(REACHED)

    def note(self, side: Side, batch: Batch, events: list[Event], other: list[Seen]) -> None:
        """Count a batch of one side. other: its rows that are no SIP message."""
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
                self.gaps[which] += 1  # nothing of it was captured
                continue
            if row[KIND] == KIND_CUT:
                self.cut += 1
                if self.cut_example is None or self.cut_example.side > which:
                    self.cut_example = batch.sighting(which, row, i)
            elif row[KIND] in UNREAD:
                self._note_unread(batch, which, row, i)

    def note_reached(self, answer: Sighting | None) -> None:
        """A 2xx of a capture with one side was acknowledged."""
        if answer is None:
            return
        key = answer.source + answer.destination[:16]
        if key not in self.reached and address.is_unroutable(reach(answer.payload)[2] or ""):
            self.reached.add(key, None)

    def _note_unread(self, batch: Batch, which: int, row: Row, i: int) -> None:
        count, example = self.unread.get(row[KIND], (0, None))
        ends = batch.ends[48 * i : 48 * i + 48]
        one, two = ends[:16] + ends[40:42], ends[16:32] + ends[42:44]
        key = min(one, two) + max(one, two)
        fresh = row[KIND] == KIND_TLS and key not in self.tls and len(self.tls) < ENCRYPTED
        if example is None or fresh:
            copy = batch.sighting(which, row, i)
            example = example or copy
            if fresh:
                self.tls[key] = copy
        self.unread[row[KIND]] = (count + 1, example)

    def note_kind(self, crossing: Crossing) -> None:
        """The first message of its kind on its flow, or one that differs: which port it is on."""
        copy = crossing.entered
        if self.two_sided and crossing.flow_pair is None and not crossing.outbound:
            return  # scanners knock on every port
        ends, row = copy.ends, copy.row
        if ends.sport not in SIP_PORTS and ends.dport not in SIP_PORTS:
            # That of the provider, where it is known which end that is.
            inward = not crossing.outbound if self.two_sided else bool(row[STATUS])
            port = ends.sport if inward else ends.dport
            known = ends.sport in self.ports or ends.dport in self.ports
            # With one side, a request to the phone's own port comes from that of the provider.
            if len(self.ports) < PORTS and (self.two_sided or not known):
                self.ports.setdefault(port, copy)
        if row[METHOD] == REGISTER and self.ipsec is None and IPSEC in copy.payload:
            self.ipsec = copy

    def note_network(self, copy: Sighting) -> None:
        """The first message of its kind on its flow, with one side only: which addresses the flow
        is between."""
        flow = copy.row[FLOW]
        if flow not in self._flows and len(self._flows) < FLOWS:
            self._flows.add(flow)
            private = sum(address.is_unroutable(host) for host in (copy.ends.src, copy.ends.dst))
            self.networks |= (OUTSIDE, ACROSS, INSIDE)[private]

    @property
    def two_networks(self) -> bool:
        """The flows are inside the LAN or outside of it, and none is across: a PBX, SBC or proxy
        on the router has calls of its own on either side."""
        return self.networks == INSIDE | OUTSIDE

    def note_alone(self, call: Call, invite: Sighting, own: bool = False) -> None:
        """One side alone shows an INVITE of this call; or it is the router's own, see Alone."""
        if invite.row[LENGTH] <= ALONE_BYTES and not any(
            one.call is call and one.invite.side == invite.side for one in self.alone
        ):
            self.alone.append(Alone(call, invite, own))

    def let_go(self, call: Call) -> None:
        """The call is over: its INVITE alone may be that of the other half of a B2BUA."""
        for one in [one for one in self.alone if one.call is call]:
            if not one.is_apart:
                self.alone.remove(one)
            one.call = None

    def contest(self, packets: int, example: Sighting) -> None:
        """So many packets contradict others; one of them."""
        self.contested += packets
        self.contested_example = self.contested_example or example

    def lossy(self, call: Call) -> bool:
        """True if a message of it may have come and not be known: then one that was not seen is
        not missing."""
        # A call that goes on after it was evicted: each side goes on at another message.
        if self.forgets and call.partial_anywhere:
            return True
        if (self.began or self.ended != NEVER) and self._is_outside(call):
            return True
        if self.own.hidden and self._is_half_seen(call):
            return True
        if self.host is not None and self.host.offload == HARDWARE:
            return True  # packets of a flow that goes on pass without the kernel
        if not self.lost_at:
            return False
        # If the beginning of the call was not seen, it may have been lost.
        return call.started_at - WINDOW <= self.lost_at or call.partial

    def _is_half_seen(self, call: Call) -> bool:
        s = call.sides[WAN]
        if s is not None and s.request is not None and self.own.is_hidden(s.request):
            return True
        return any(pair.line in self.own.hidden for pair in call.flow_pairs.values())

    def _is_outside(self, call: Call) -> bool:
        """True if what decides the call came while one side alone was captured: the 2xx to its
        latest INVITE, on either side, or the INVITE where none was seen."""
        answered = [s.current.answered_at for s in call.seen if s.current is not None]
        at = [one for one in answered if one] or [call.started_at]
        return min(at) - WINDOW <= self.began or self.is_late(max(at))

    def is_late(self, at: int) -> bool:
        """True if too little came after that time (ns) while both sides were captured: the
        messages that matter, or their retransmissions, may be outside."""
        return at + T2 >= self.ended

    def note_end(self, call: Call, outcome: str) -> None:
        """For CAP005: a call whose beginning or end may not be in the capture. outcome: of it."""
        partial = [s for s in call.seen if s.partial and s.first is not None]
        if outcome == "dropped":
            partial = []  # a finding tells what became of it
        if self.began and not call.partial:
            partial = []  # CAP013 tells of the side that began later
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
