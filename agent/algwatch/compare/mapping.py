# SPDX-License-Identifier: Apache-2.0
"""The NAT mapping of this router, read from the IP and UDP headers of crossings."""

from __future__ import annotations

from algwatch.base import address
from algwatch.base.sighting import AT, FLOW, Sighting, endpoints
from algwatch.base.table import Table
from algwatch.compare.crossing import SHORTEST, Entry, Timeouts
from algwatch.compare.flow_pair import FlowPair
from algwatch.sip.timers import SECOND


class RightAddress:
    """The right WAN source address for a flow. host: this address, text. phone: a LAN host that
    uses it and is answered, text; inside: the address of this LAN host, 16 bytes. translated: the
    flow left with an older WAN address; False: with the private address of its own phone."""

    __slots__ = ("host", "inside", "phone", "translated")

    def __init__(self, outside: bytes, inside: bytes, version: int, translated: bool) -> None:
        """outside, inside: packed WAN and LAN address, more bytes may follow."""
        self.host = address.text(outside, version)
        self.phone = address.text(inside, version)
        self.inside = inside[:16]
        self.translated = translated


class Mappings:
    """(WAN address and port, remote address and port) to LAN address and port.

    Only outbound crossings teach: there the router's own NAT chose the WAN side. The real
    destination of an inbound message is compared with it, never learned. Times are good to a
    second.

    survived: ns, the longest silence of a mapping before an inbound message untouched by the ALG;
    started: ns, the capture began. timeouts: of this NAT. limit: mappings; half as many flow pairs,
    and a quarter of LAN addresses and ports with a newest mapping (newest: WAN and remote address
    and port). flow_pairs: by the hashes of both flows, read directly by inlined code (see
    flow_pair()). states: of flows without translation (IPv6), the firewall's state for their
    answers, by the same key.
    """

    def __init__(self, limit: int) -> None:
        self.table: Table[bytes, Entry] = Table(limit)
        self.survived = self.started = 0
        self.timeouts = Timeouts()
        self.flow_pairs: Table[int, FlowPair] = Table(limit // 2)
        self.newest: Table[bytes, bytes] = Table(limit // 4)
        self.states: Table[bytes, Entry] = Table(limit // 4)

    def flow_pair(self, lan: Sighting, wan: Sighting, outbound: bool) -> FlowPair:
        """The flow pair of these two copies of one message. Its mapping holds for a second. Then
        its addresses are checked again, and `agreed` is negative."""
        flows = lan.row[FLOW] << 32 | wan.row[FLOW]
        pair = self.flow_pairs.get(flows)
        if pair is not None and pair.outbound is outbound:
            if 0 <= lan.row[AT] - pair.agreed < SECOND:
                return pair
            if pair.is_of(lan, wan):
                pair.agreed = -SECOND
                return pair
        pair = FlowPair(lan, wan, outbound)
        self.flow_pairs.add(flows, pair)
        return pair

    def learn(self, pair: FlowPair, at: int, wan_at: int, rewritten: bool) -> bytes | None:
        """Learn from an outbound crossing with both copies. at, wan_at: ns, of its copies. Returns
        the mapped LAN address and port of an inbound one that went to another port of the same
        LAN host."""
        known = self.table.get(pair.outside)
        if known is not None and not pair.outbound:
            used = known.last_at if known.last_at > known.answered_at else known.answered_at
            idle = at - (used if used > known.kept_at else known.kept_at)  # used_at, inlined
            if idle > known.survived:
                known.survived = idle
                if not rewritten:
                    self.survived = max(self.survived, idle)
            known.answered_at = at
            pair.moved = known.moved
            expected = known.inside
            other = expected != pair.inside and expected[:16] == pair.inside[:16]
            if other and wan_at - known.last_at < self.timeouts.stock:
                return expected
        elif pair.outbound and pair.translated:
            if known is None:
                self._begin(pair, at)
            else:
                if known.inside == pair.inside:
                    known.wake(at)
                elif known.inside[:16] != pair.inside[:16]:
                    known.moved = True
                if known.proto != pair.proto:
                    known.proto = 0
                known.inside = pair.inside
                known.last_at = at
        elif not pair.translated:
            self._passed(pair, at)
        pair.agreed = at
        return None

    def renews(self, pair: FlowPair, at: int, left_at: int, rewritten: bool) -> bool:
        """True if the known mapping is this pair's and was used just now, as for most messages.
        Then doubts() is False, and learn() is done. at, left_at: ns, of the LAN copy and of the
        copy that left."""
        known = self.table.get(pair.outside)
        if known is None or known.inside != pair.inside:
            return False
        used, kept = known.last_at, known.kept_at
        answered = known.answered_at
        latest = used if used > answered else answered
        latest = latest if latest > kept else kept
        if left_at - latest >= SHORTEST or not (pair.one_far_end and pair.translated):
            return False
        if pair.outbound:
            if at - used >= SHORTEST:
                known.wake(at)
            known.last_at = at
        else:
            idle = at - latest
            if idle > known.survived:
                known.survived = idle
                if not rewritten:
                    self.survived = max(self.survived, idle)
            known.answered_at = at
            pair.moved = known.moved
        pair.agreed = at
        return True

    def _passed(self, pair: FlowPair, at: int) -> None:
        """A message crossed without translation."""
        state = self.states.get(pair.outside)
        if state is None and pair.outbound:
            self.states.add(pair.outside, Entry(pair.inside, at, self.timeouts))
        elif state is not None and pair.outbound:
            state.wake(at)
            state.last_at = at
        elif state is not None:
            state.survived = max(state.survived, at - state.used_at)
            state.answered_at = at

    def _begin(self, pair: FlowPair, at: int) -> None:
        entry = Entry(pair.inside, at, self.timeouts)
        entry.proto = pair.proto
        before = self.newest.get(pair.inside, b"")
        if before[:16] == pair.outside[:16] and before[16:18] != pair.outside[16:18]:
            entry.before = before
        if self.started and at - self.started > self.timeouts.stream:
            entry.born = at  # the NAT would have forgotten an older one
        self.table.add(pair.outside, entry)
        self.newest.add(pair.inside, pair.outside)

    def since(self, entry: Entry) -> tuple[bytes, Entry] | None:
        """The newest mapping of the same LAN address and port, if it is another one, behind its WAN
        and remote address and port (36 bytes)."""
        key = self.newest.get(entry.inside, b"")
        newest = self.table.get(key)
        return (key, newest) if newest is not None and newest is not entry else None

    def elsewhere(self, outside: bytes, remote: bytes,
                  before: int) -> tuple[Entry, bytes, bytes] | None:  # fmt: skip
        """Find a mapping of this WAN address and port (18 bytes) towards a host other than remote
        (18 bytes), whose phone reached remote from another port before then (ns). Returns the
        mapping, its far end, and the WAN address and port towards remote. Reads every mapping: for
        rare use."""
        towards = {
            e.inside: key[:18] for key, e in self.table.items()
            if key[18:] == remote and e.first_at < before
        }  # fmt: skip
        for key, entry in self.table.items():
            if key[:18] != outside or key[18:34] == remote[:16]:
                continue
            mapped = towards.get(entry.inside, outside)
            if mapped != outside and mapped[:16] == outside[:16]:
                return entry, key[18:], mapped
        return None

    def keepalive(self, ends: bytes, at: int) -> None:
        """A keep-alive of a mapping on the WAN. ends: its 48 bytes of addresses."""
        one, two = endpoints(ends)
        known = self.table.get(one + two) or self.states.get(one + two)
        if known is not None:
            known.wake(at)
            known.kept_at = at
            return
        known = self.table.get(two + one) or self.states.get(two + one)
        # A late keep-alive keeps nothing open.
        if known is not None and at - known.used_at < self.timeouts.stock:
            known.kept_at = at

    def of(self, outside: bytes, remote: bytes) -> Entry | None:
        """The mapping of a WAN address and port towards a remote one (18 bytes each)."""
        return self.table.get(outside + remote)

    def towards(self, request: Sighting) -> Entry | None:
        """The mapping that a message from the WAN asks for: that of another transport is none."""
        entry = self.table.get(request.destination + request.source)
        if entry is not None and entry.proto and entry.proto != request.ends.proto:
            return None
        return entry

    def is_wan_address(self, host: bytes) -> bool:
        """True if a mapping has this WAN address (16 bytes)."""
        return any(key[:16] == host for key in self.table)

    def contradicts(self, lan: Sighting, wan: Sighting, outbound: bool) -> bool:
        """True if the NAT is known to map this WAN address and port to another LAN host."""
        inside = lan.source if outbound else lan.destination
        ends = (wan.source, wan.destination) if outbound else (wan.destination, wan.source)
        known = self.table.get(ends[0] + ends[1])
        return known is not None and known.inside[:16] != inside[:16]

    def doubts(self, pair: FlowPair, at: int) -> bool:
        """True if the two copies have different far ends, or if the NAT, shortly before at (ns),
        used another WAN address and port for this phone, or had another LAN host there."""
        if not pair.one_far_end:
            return True
        known = self.table.get(pair.outside)
        if known is not None and at - known.used_at < self.timeouts.shortest:
            return known.inside[:16] != pair.inside[:16] or (
                pair.outbound and known.inside != pair.inside
            )
        if not pair.outbound:
            return False
        newest = self.newest.get(pair.inside, b"")
        if newest[18:] != pair.outside[18:]:
            newest = pair.inside + pair.outside[18:]  # an address that is not translated
        before = self.table.get(newest) or self.states.get(newest)
        return (
            newest != pair.outside and before is not None
            and at - before.used_at < self.timeouts.shortest
        )  # fmt: skip

    def is_known(self, lan: bytes, wan: bytes, remote: bytes) -> bool:
        """True if wan maps to lan (18 bytes) towards remote."""
        known = self.table.get(wan + remote)
        return known is not None and known.inside == lan

    def right_address(self, sent: Sighting) -> RightAddress | None:
        """The right WAN source address of this WAN copy; None if nothing shows its own to be
        wrong."""
        return self._newer_address(sent) or self._translation(sent)

    def other_address(self, sent: Sighting) -> RightAddress | None:
        """The WAN address of another LAN host answered by the same far end. None if the source
        address of this WAN copy was answered since this was first seen: it may be the router's
        address from before."""
        old, far = sent.packed_ends[:16], sent.packed_ends[16:32]
        mine = self.table.get(sent.source + sent.destination)
        if mine is None:
            return None
        answered = max(e.answered_at for key, e in self.table.items() if key[:16] == old)
        for key, e in self.table.items():
            if key[18:34] != far or key[:16] == old or e.inside[:16] == mine.inside[:16]:
                continue
            if e.answered_at and answered < e.first_at:
                return RightAddress(key, e.inside, sent.ends.version, translated=True)
        return None

    def _left_before(self, old: bytes, remote: bytes, inside: bytes) -> bool:
        """True if this LAN address and port left with the address old (16 bytes) to remote."""
        return any(key[:16] == old and key[18:] == remote and e.inside == inside
                   for key, e in self.table.items())  # fmt: skip

    def _translation(self, sent: Sighting) -> RightAddress | None:
        """The WAN address of another LAN host answered by the same far end. The copy went to a
        public address with the private one of its phone, and no mapping has this as its WAN
        address."""
        ends, packed = sent.ends, sent.packed_ends
        if not address.is_unroutable(ends.src) or address.is_unroutable(ends.dst):
            return None
        if self.is_wan_address(packed[:16]):
            return None
        for key, e in self.table.items():
            if key[18:34] == packed[16:32] and e.answered_at:
                return RightAddress(key, e.inside, ends.version, translated=False)
        return None

    def _newer_address(self, sent: Sighting) -> RightAddress | None:
        """The WAN address that replaced the source address of this WAN copy.

        A LAN host that used the old address uses another one now. It first did so after the last
        packet to the old one. The host this copy was sent to has answered there since, so the new
        address works (a line dialled anew). Another far end shows the same if a flow to it, of one
        port of the host, moved from the old address to the new one.
        """
        far = sent.packed_ends[16:32]
        old, flow = sent.packed_ends[:16], self.table.get(sent.source + sent.destination)
        at = max(sent.row[AT], flow.last_at if flow is not None else 0)  # or a later packet of it
        mine = [e for key, e in self.table.items() if key[:16] == old]
        answered = max((e.answered_at for e in mine), default=0)
        hosts = {e.inside[:16]: e.first_at for e in reversed(mine)}
        for key, e in self.table.items():
            if key[:16] == old or not e.answered_at or not answered < e.first_at <= at:
                continue
            if key[18:34] != far and not self._left_before(old, key[18:], e.inside):
                continue
            before = hosts.get(e.inside[:16])
            if before is not None and before < e.first_at:
                return RightAddress(key, e.inside, sent.ends.version, translated=True)
        return None
