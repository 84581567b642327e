# SPDX-License-Identifier: Apache-2.0
"""Crossing: the fate of one message at this router."""

from __future__ import annotations

from algwatch.base.native.layout import ROW_DIRECTED, ROW_OUTGOING
from algwatch.base.packet import LAN
from algwatch.base.sighting import AT, BITS, TTL, Sighting
from algwatch.compare.flow_pair import FlowPair
from algwatch.compare.rewrite import Rewrite
from algwatch.sip.timers import SECOND, T2

IDENTITY = "identity"  # branch, CSeq, class, From tag, Call-ID
BY_IP_ID = "ip-id"  # IPv4 ID, remote endpoint, TTL one less
BY_ORDER = "order"  # the only two left within a known address mapping
CONTESTED = "contested"  # withdrawn: another packet contradicts one of the copies
ALONE = ""  # the other copy never came
OUTSIDE = "outside"  # the other copy could not come: its side was not captured then


def is_outbound(lan: Sighting, wan: Sighting) -> bool:
    """True if the LAN copy entered the router. In this order: the copy not sent by the kernel
    entered, else the one with the higher TTL, else the one whose other address stayed, else the one
    known to have come in, else the earlier."""
    inside, outside = lan.row, wan.row
    if (inside[BITS] ^ outside[BITS]) & ROW_OUTGOING:
        return not inside[BITS] & ROW_OUTGOING
    if inside[TTL] != outside[TTL] and inside[TTL] and outside[TTL]:  # a text log has no TTL
        return inside[TTL] > outside[TTL]
    same_source = lan.source == wan.source
    same_destination = lan.destination == wan.destination
    if same_source != same_destination:
        return same_destination
    if (inside[BITS] ^ outside[BITS]) & ROW_DIRECTED:  # neither is known to have left
        return bool(inside[BITS] & ROW_DIRECTED)
    return inside[AT] <= outside[AT]


UNTOUCHED: frozenset[str] = frozenset()
_SETS = 64
_sets: dict[frozenset[str], frozenset[str]] = {UNTOUCHED: UNTOUCHED}


def shared(headers: frozenset[str]) -> frozenset[str]:
    """An equal set: a router rewrites the same fields of many messages, and a set takes 200
    bytes."""
    if len(_sets) < _SETS:
        return _sets.setdefault(headers, headers)
    return _sets.get(headers, headers)


# A crossing by identity, as most are: the flow pair, the copy that entered, and the copy that left.
# Both have the same bytes, kept once, or translating the pair's addresses explains the difference.
Usual = tuple[FlowPair, Sighting, Sighting]
_new = object.__new__

# Lifetime of a UDP mapping without a packet: with the kernel's helper (sip_timeout), and without it
# on OpenWrt (sysctl-nf-conntrack.conf, longer than the kernel's).
HELPED = 3600 * SECOND
STREAM = 180 * SECOND  # nf_conntrack_udp_timeout_stream
UNREPLIED = 60 * SECOND  # nf_conntrack_udp_timeout
YOUNG = 2 * SECOND  # a later packet makes the mapping a stream (nf_conntrack_udp_packet)
SHORTEST = 30 * SECOND  # every NAT keeps a mapping for this long


class Timeouts:
    """The timeouts in force. unreplied, stream: ns; told: by the router itself, otherwise those of
    OpenWrt."""

    __slots__ = ("stream", "told", "unreplied")

    def __init__(self) -> None:
        self.unreplied, self.stream, self.told = UNREPLIED, STREAM, False

    def tell(self, unreplied: int, stream: int) -> None:
        """Take the timeouts of the router (s); 0: not known."""
        if unreplied > 0 and stream > 0:
            self.unreplied, self.stream, self.told = unreplied * SECOND, stream * SECOND, True

    @property
    def shortest(self) -> int:
        """ns, the shortest lifetime of a mapping: of this NAT if known, else of any."""
        return min(self.unreplied, self.stream) if self.told else SHORTEST

    @property
    def stock(self) -> int:
        """ns, the shortest lifetime of a mapping with the stock kernel, or this NAT's own if
        shorter."""
        return min(UNREPLIED, self.unreplied, self.stream)


OPENWRT = Timeouts()


class Entry:
    """inside: LAN address and port (18 bytes). first_at, last_at: ns, the first and the latest
    packet of the phone; answered_at: ns, the latest packet in through it, 0 = none; kept_at: ns,
    the latest keep-alive in either direction, 0 = none. silent_since, silent_until: ns, the longest
    silence of SHORTEST or more before a packet of the phone, since the last look; silent_limit: see
    limit, at this time. survived: ns, the longest silence before a message in through it. born: ns,
    the router made it then; 0: not known. before: the earlier mapping of this LAN address and port
    to another port of the same WAN address: WAN address and port, and those of the far side (36
    bytes), else b"". moved: the router has given the port to another LAN host since.
    stopped: messages in that went no further while it was surely alive, after its use at
    stopped_since (ns). timeouts: of this NAT. proto: of IP; 0: several, or not known."""

    __slots__ = ("answered_at", "before", "born", "first_at", "inside", "kept_at", "last_at",
                 "moved", "proto", "silent_limit", "silent_since", "silent_until", "stopped",
                 "stopped_since", "survived", "timeouts")  # fmt: skip

    def __init__(self, inside: bytes, at: int, timeouts: Timeouts = OPENWRT) -> None:
        self.inside = inside
        self.timeouts = timeouts
        self.first_at = self.last_at = at
        self.before = b""
        self.moved = False
        self.answered_at = self.kept_at = self.born = 0
        self.silent_since = self.silent_until = self.silent_limit = self.survived = 0
        self.stopped = self.stopped_since = self.proto = 0

    def note_stopped(self, at: int) -> int:
        """A message in through it at (ns) went no further. Returns its latest use before (ns)."""
        used = self.used_at
        if at - used < max(SHORTEST, self.survived + T2):  # T2: a request comes again and again
            self.stopped = self.stopped + 1 if self.stopped_since == used else 1
            self.stopped_since = used
        return used

    def is_shut(self, used_at: int) -> bool:
        """True if messages stopped soon after this use: no silence made the router forget it."""
        return self.stopped > 1 and self.stopped_since == used_at

    @property
    def used_at(self) -> int:
        """ns, the latest packet in either direction: each restarts the NAT's timer
        (nf_ct_refresh_acct)."""
        used = self.last_at if self.last_at > self.answered_at else self.answered_at
        return used if used > self.kept_at else self.kept_at

    @property
    def limit(self) -> int:
        """ns, its lifetime without a packet and without a helper."""
        young = self.born and self.used_at - self.born <= YOUNG
        return self.timeouts.unreplied if young else self.timeouts.stream

    def wake(self, at: int) -> None:
        """The phone sent a packet: note the silence before it."""
        if at - self.last_at < SHORTEST:
            return
        since = self.used_at
        if at - since < SHORTEST:
            return
        if at - since >= self.silent_until - self.silent_since:
            self.silent_since, self.silent_until, self.silent_limit = since, at, self.limit
        if at - since > self.timeouts.unreplied and at - since > self.limit:
            self.born = at


class Crossing:
    """lan, wan: the copies; one is None if it never came within the window. entered, left: the same
    in the order of travel; both are the only copy of an unpaired message. outbound: from the LAN to
    the WAN. matched_by: one of the words above. flow_pair: with both copies. rewritten: the
    payloads of both copies differ; translated: only by the addresses of the flow pair. headers: the
    fields rewritten according to the mapping; seen_before: nothing else was rewritten, as in an
    earlier message of this kind. expected: the LAN destination of an inbound message by the NAT
    mapping (18 bytes), if known and not the real one, else None. mapping, used_at: the mapping of
    an unpaired inbound message, and its latest use before (ns); None and 0: no mapping. changes:
    see compare.differences.rewrites.
    """

    __slots__ = ("changes", "entered", "expected", "flow_pair", "headers", "lan", "left",
                 "mapping", "matched_by", "outbound", "rewritten", "seen_before", "translated",
                 "used_at", "wan")  # fmt: skip

    def __init__(
        self,
        lan: Sighting | None,
        wan: Sighting | None,
        entered: Sighting,
        left: Sighting,
        matched_by: str,
        outbound: bool,
        flow_pair: FlowPair | None,
    ) -> None:
        self.lan = lan
        self.wan = wan
        self.entered = entered
        self.left = left
        self.matched_by = matched_by
        self.outbound = outbound
        self.flow_pair = flow_pair
        self.expected: bytes | None = None
        self.changes: list[Rewrite] | None = None
        self.mapping: Entry | None = None
        self.used_at = 0
        self.rewritten = self.translated = self.seen_before = False
        self.headers = UNTOUCHED

    @property
    def both(self) -> bool:
        return self.lan is not None and self.wan is not None

    @property
    def phone(self) -> bytes:
        """The LAN host's address (16 bytes); of an unpaired WAN copy the router's own."""
        copy = self.lan or self.wan
        assert copy is not None
        return copy.packed_ends[:16] if self.outbound else copy.packed_ends[16:32]

    @property
    def remote(self) -> bytes:
        """The address on the far side of the WAN (16 bytes)."""
        copy = self.wan or self.lan
        assert copy is not None
        return copy.packed_ends[16:32] if self.outbound else copy.packed_ends[:16]


def alone(copy: Sighting, sent: bool) -> Crossing:
    """A crossing with one copy only. sent: it left the router, so the router made it."""
    if copy.side == LAN:
        return Crossing(copy, None, copy, copy, ALONE, not sent, None)
    return Crossing(None, copy, copy, copy, ALONE, sent, None)


def whole(usual: Usual) -> Crossing:
    """The same as a Crossing."""
    pair, entered, left = usual
    # The constructor would cost three times the instructions.
    crossing = _new(Crossing)
    crossing.entered = entered
    crossing.left = left
    crossing.outbound = outbound = pair.outbound
    crossing.lan = entered if outbound else left
    crossing.wan = left if outbound else entered
    crossing.matched_by = IDENTITY
    crossing.flow_pair = pair
    crossing.expected = crossing.changes = None
    crossing.rewritten = crossing.translated = entered.payload is not left.payload
    crossing.seen_before = False
    crossing.headers = UNTOUCHED
    return crossing
