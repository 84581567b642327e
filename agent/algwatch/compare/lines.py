# SPDX-License-Identifier: Apache-2.0
"""Lines: all lines by their two ends, and the messages they learn from."""

from __future__ import annotations

from collections.abc import Iterator

from algwatch.base import address
from algwatch.base.native.layout import ACK, INVITE, OPTIONS, REGISTER, ROW_FRAGMENTED
from algwatch.base.packet import LAN, WAN
from algwatch.base.sighting import (
    AT,
    BITS,
    CSEQ,
    FROM_TAG,
    LENGTH,
    METHOD,
    STATUS,
    TO_TAG,
    Sighting,
    port_of,
)
from algwatch.base.table import Table
from algwatch.compare.call import Call
from algwatch.compare.crossing import Crossing
from algwatch.compare.fact import Fact
from algwatch.compare.fingerprint import LINUX, fingerprint
from algwatch.compare.flow_pair import FlowPair
from algwatch.compare.line import (
    ACCEPTED,
    KEEPALIVE,
    NAT_HANDLED,
    NO_WAY_BACK,
    PRIVATE_CONTACT,
    RECORDS,
    REWRITTEN,
    RPORT_ANSWERED,
    RPORT_ASKED,
    RPORT_MISSING,
    RPORT_SPOILED,
    URI_REPLACED,
    WITHOUT_ROUTE,
    Line,
)
from algwatch.sip.helper_drops import dropped_for
from algwatch.sip.message import Message, parsed, reach, request_host
from algwatch.sip.target import contact_of_proxy

READ = (REGISTER, INVITE)
READ_FIRST, READ_EVERY = 64, 16


class Lines:
    """limit: lines remembered. stun: addresses (16 bytes) that sent STUN on a SIP port of the LAN,
    at most `limit`. fresh: lines with a first observation since the latest look at the advice, by
    name. unkept: the same since they were last written down (advise/knowledge.py); None if nobody
    writes."""

    def __init__(self, limit: int) -> None:
        self.table: Table[bytes, Line] = Table(limit)
        self._by_remote: dict[str, list[Line]] = {}  # empty: to be rebuilt
        self.fresh: dict[str, Line] = {}
        self.unkept: dict[str, Line] | None = None
        self.stun: Table[bytes, None] = Table(limit)
        self._told: dict[str, Fact] = {}

    @property
    def evicted(self) -> int:
        return self.table.evicted

    def answering(self) -> set[bytes]:
        """Addresses (16 bytes) of far ends that have replied on a line."""
        return {key[16:] for key, line in self.table.items() if line.answered}

    def all(self) -> list[Line]:
        return list(self.table.values())

    def of(self, pair: FlowPair) -> Line:
        line = self.table.get(pair.line)
        if line is None:
            line = Line(pair.phone, pair.far, self.fresh)
            line.told = self._told.get(pair.far)
            self.table.add(pair.line, line)
            self._by_remote.clear()
        return line

    def find(self, phone: bytes, remote: bytes) -> Line | None:
        """The line of two addresses (16 bytes each)."""
        return self.table.get(phone + remote)

    def has(self, phone: bytes, remote: bytes) -> bool:
        """True if anything has crossed between these two addresses (16 bytes each)."""
        return phone + remote in self.table

    def speaks(self, phone: bytes) -> bool:
        """True if anything of this phone (16 bytes) has crossed."""
        return any(key[:16] == phone for key in self.table)

    def beside(self, line: Line) -> Iterator[Line]:
        """The lines of other phones here with the same provider."""
        return (one for one in self.at(line.remote) if one is not line)

    def at(self, remote: str) -> list[Line]:
        """The lines of all phones here with this far end (text)."""
        if not self._by_remote:
            for one in self.table.values():
                self._by_remote.setdefault(one.remote, []).append(one)
        return self._by_remote.get(remote, [])

    def tell(self, told: dict[str, Fact]) -> None:
        """What the fleet knows, by far end (text), in place of what it said before."""
        self._told = told
        for line in self.table.values():
            if line.told is not told.get(line.remote):
                line.told = told.get(line.remote)
                line.note()

    def keepalive(self, phone: bytes, remote: bytes, at: int) -> None:
        """phone sent a keep-alive to remote (16 bytes each)."""
        line = self.table.get(phone + remote)
        if line is not None:
            line.observe(KEEPALIVE, None, at)

    def feed(self, crossing: Crossing, call: Call | None) -> None:
        """Learn from a crossing with both copies and a method in READ, or from a request of the
        WAN. call: the call of this crossing."""
        pair = crossing.flow_pair
        if pair is None:
            return
        row = crossing.entered.row
        method, status = row[METHOD], row[STATUS]
        if method in READ:
            if not crossing.outbound and (not status or status == 100):
                return
            line = self.table.get(pair.line) or self.of(pair)
            if crossing.outbound:
                if not status and crossing.left.row[BITS] & ROW_FRAGMENTED:
                    line.in_fragments |= {method}
            elif line.in_fragments and not line.fragments_answered:
                line.fragments_answered = _asked_in_fragments(line, crossing, call)
            # A phone repeats the same facts in every message: most need not be read.
            line.messages += 1
            skip = line.messages > READ_FIRST and line.messages % READ_EVERY
            if skip and (not crossing.outbound or crossing.rewritten is line._rewritten):
                return
            if crossing.rewritten and not line.count(RPORT_SPOILED) and _spoils(crossing):
                line.observe(RPORT_SPOILED, crossing.left)
            if crossing.outbound:
                self._outbound(line, crossing, status)
            else:
                self._answered(line, crossing, method, call)
        elif method == OPTIONS:
            self.of(pair).observe(KEEPALIVE, crossing.entered)
        elif method == ACK and crossing.expected is None and _is_in_dialog(crossing, call):
            assert call is not None
            self.found(pair, call, crossing.entered)

    def skips(self, pair: FlowPair, status: int, left: Sighting, rewritten: bool) -> bool:
        """True if feed() would learn nothing from this INVITE or response to one; it counts as read
        then. left: the copy that left."""
        outbound = pair.outbound
        if not outbound and (not status or status == 100):
            return True
        line = self.table.get(pair.line)
        if line is None or (line.in_fragments and not outbound):
            return False
        if outbound and (line._rewritten is not rewritten or left.row[BITS] & ROW_FRAGMENTED):
            return False
        messages = line.messages + 1
        if messages <= READ_FIRST or not messages % READ_EVERY:
            return False
        line.messages = messages
        return True

    def found(self, pair: FlowPair, call: Call, request: Sighting) -> None:
        """A request of the far end in this call came to the source of the phone's packets, past its
        private Contact, and the phone knows the dialog. If the router itself has a private address
        (CGNAT, a provider's own network), the request may have gone to a Contact written by the
        ALG."""
        contact = call.wan_contact
        if contact and contact != pair.wan_host and address.is_unreachable(contact):
            line = self.of(pair)
            line.observe(NAT_HANDLED, request)
            if request_host(request.payload) == pair.wan_host:
                line.observe(URI_REPLACED, None, request.row[AT])

    @staticmethod
    def _outbound(line: Line, crossing: Crossing, status: int) -> None:
        has_via, rport, contact = reach(crossing.entered.payload)
        line._rewritten = crossing.rewritten
        if crossing.rewritten:
            if not line.count(REWRITTEN):
                line.linux = fingerprint(crossing) == LINUX
            line.observe(REWRITTEN, crossing.left)
            if not status:
                # A rewrite of a REGISTER also happens in an INVITE, together with its SDP.
                grew = crossing.left.row[LENGTH] - crossing.entered.row[LENGTH]
                line.grew = max(line.grew, grew)
            if not status and crossing.entered.row[METHOD] == INVITE:
                line.offer = crossing.entered
            if not status and crossing.entered.row[METHOD] in READ:
                kind, _ = dropped_for(Message(crossing.entered.payload))
                if kind:
                    line.passed |= {kind}
        if not status and has_via:
            line.observe(RPORT_MISSING if rport is None else RPORT_ASKED, crossing.entered)
            pair = crossing.flow_pair
            moved = pair is not None and port_of(pair.inside) != port_of(pair.outside)
            if rport is None and moved:
                line.observe(NO_WAY_BACK, crossing.entered)
        if status >= 200 and crossing.entered.payload.find(b"ecord-") >= 0:
            _recorded(line, crossing)
        if contact is not None and contact != "*":
            line.private_contact = address.is_unreachable(contact)
            if line.private_contact:
                line.observe(PRIVATE_CONTACT, crossing.entered)
        shown = reach(crossing.left.payload)[2] if crossing.rewritten else contact
        if shown is not None and (not status or status < 300):
            line.shown = crossing.left

    @staticmethod
    def _answered(line: Line, crossing: Crossing, method: int, call: Call | None) -> None:
        _, rport, _ = reach(crossing.entered.payload)
        if rport:
            line.observe(RPORT_ANSWERED, crossing.entered)
        if not 200 <= crossing.entered.row[STATUS] < 300:
            return
        line.observe(ACCEPTED, crossing.entered)
        if method == REGISTER:
            answer = Message(crossing.entered.payload)
            text = next((c.expires for c in answer.contacts if c.expires), "") or answer.expires
            if text.isascii() and text.isdigit():
                if not line.expires:
                    line.note()
                line.expires = int(text[:9])
                line.answered = True
            return
        if call is not None and not line.count(WITHOUT_ROUTE):
            s = call.sides[LAN]
            asked = s.current.request if s is not None and s.current is not None else None
            if asked is not None and not Message(asked.payload).routes:
                line.observe(WITHOUT_ROUTE, None, crossing.entered.row[AT])
        if call is not None and crossing.entered.payload.find(b"ecord-") >= 0:
            ends = crossing.entered.ends
            answer = Message(crossing.entered.payload)
            call.at_proxy = bool(contact_of_proxy(answer, ends.src, ends.sport))
            _recorded(line, crossing)


def _spoils(crossing: Crossing) -> bool:
    """A phone has its public address from received and rport of a response (RFC 3581), if it asks
    for them."""
    before, after = (parsed(one.payload).top_via for one in (crossing.entered, crossing.left))
    if before is None or after is None or before.rport is None:
        return False
    return (before.received, before.rport) != (after.received, after.rport)


def _recorded(line: Line, answer: Crossing) -> None:
    """A 2xx to INVITE with a Record-Route: note it if a proxy beyond this router is in there."""
    pair = answer.flow_pair
    assert pair is not None
    routes = Message(answer.entered.payload).record_routes
    if any(r.host != pair.wan_host and not address.is_unroutable(r.host) for r in routes):
        line.observe(RECORDS, answer.entered)


def _is_in_dialog(crossing: Crossing, call: Call | None) -> bool:
    """True if an ACK is in a dialog of the call: both sides saw its 2xx, and hosts and both tags
    match. A request of another host shows nothing about the provider. The ACK to a refusal follows
    the INVITE and shows nothing about the Contact."""
    pair = crossing.flow_pair
    if call is None or pair is None or call.flow_pair is None:
        return False
    if call.flow_pair.line != pair.line:
        return False
    for copy, s in ((crossing.lan, call.sides[LAN]), (crossing.wan, call.sides[WAN])):
        d = s.current if s is not None else None
        if copy is None or s is None or d is None or not d.answered_at:
            return False
        tags = copy.row[FROM_TAG], copy.row[TO_TAG]
        if tags != (s.caller_tag, d.callee_tag) and tags != (d.callee_tag, s.caller_tag):
            return False
    return True


def _asked_in_fragments(line: Line, crossing: Crossing, call: Call | None) -> bool:
    """True if a response may be to a request sent in IP fragments."""
    method = crossing.entered.row[METHOD]
    if method not in line.in_fragments:
        return False
    s = call.sides[WAN] if call is not None else None
    if method != INVITE or s is None or s.request is None:
        return True
    request = s.request.row
    return request[CSEQ] == crossing.entered.row[CSEQ] and bool(request[BITS] & ROW_FRAGMENTED)
