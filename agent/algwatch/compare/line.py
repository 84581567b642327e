"""Line: what is known of one phone and one provider behind it, for the counterfactual.

Would this phone's calls work without the ALG? Only what was seen counts (harm taxonomy: evidence
for and against safe disabling).
"""

from __future__ import annotations

from algwatch.base import address
from algwatch.base.native.layout import ACK, BYE, INVITE, OPTIONS, REGISTER
from algwatch.base.sighting import METHOD, STATUS
from algwatch.base.table import Table
from algwatch.compare.crossing import Crossing
from algwatch.compare.flow_pair import FlowPair
from algwatch.sip.message import Message, reach

READ = (REGISTER, INVITE)
IN_DIALOG = (ACK, BYE)
READ_FIRST, READ_EVERY = 64, 16


class Line:
    """phone, remote: host texts. rport_asked: the phone's Via has rport; rport_answered: the
    provider filled it in (RFC 3581). private_contact: the phone's Contact is unroutable as it
    writes it; wan_contact, private_on_wan: its host as the provider last saw it, and whether that
    is unroutable. nat_handled: in-dialog requests that came to the phone although the Contact that
    the provider saw was unroutable. keepalive: the phone or the provider keeps the mapping open.
    expires: seconds granted by the registrar, 0 = not seen. The rest counts calls by outcome,
    and whether anything in them was rewritten. messages: REGISTER and INVITE, with responses.
    """

    __slots__ = ("completed_rewritten", "completed_untouched", "dropped_untouched", "expires",
                 "keepalive", "messages", "nat_handled", "phone",
                 "private_contact", "private_on_wan", "remote", "rport_answered", "rport_asked",
                 "rport_missing", "wan_contact")  # fmt: skip

    def __init__(self, phone: str, remote: str) -> None:
        self.phone = phone
        self.remote = remote
        self.rport_asked = self.rport_answered = self.rport_missing = False
        self.private_contact = self.private_on_wan = self.keepalive = False
        self.wan_contact = ""
        self.nat_handled = self.messages = 0
        self.expires = 0
        self.completed_rewritten = self.completed_untouched = 0
        self.dropped_untouched = 0

    @property
    def works_without(self) -> str:
        """yes, no or unknown: would the calls of this phone work without the ALG?"""
        if self.completed_untouched or self.nat_handled:
            return "yes"
        if self.dropped_untouched:
            return "no"
        if self.rport_asked and self.rport_answered:
            return "yes"
        return "unknown"

    @property
    def shown_without(self) -> bool:
        """The counterfactual was seen and not only inferred from rport (which says where
        responses go, and nothing of where the provider sends ACK and BYE)."""
        return bool(self.completed_untouched or self.nat_handled)

    @property
    def needs_alg(self) -> bool:
        """B2: nothing but the rewriting carries this phone through the NAT."""
        return self.private_contact and self.rport_missing and self.works_without == "unknown"


class Lines:
    def __init__(self, limit: int) -> None:
        self._table: Table[bytes, Line] = Table(limit)

    @property
    def evicted(self) -> int:
        return self._table.evicted

    def of(self, way: FlowPair) -> Line:
        peer = self._table.get(way.peer)
        if peer is None:
            peer = Line(way.phone, way.far)
            self._table.add(way.peer, peer)
        return peer

    def know(self, crossing: Crossing) -> bool:
        """Whether anything has crossed between this phone and this far side."""
        return self.has(crossing.phone, crossing.remote)

    def has(self, phone: bytes, remote: bytes) -> bool:
        """The same of two addresses (16 bytes each)."""
        return phone + remote in self._table

    def keepalive(self, phone: bytes, remote: bytes) -> None:
        """phone sent a keep-alive to remote (16 bytes each)."""
        peer = self._table.get(phone + remote)
        if peer is not None:
            peer.keepalive = True

    def feed(self, crossing: Crossing) -> None:
        """Learn from a crossing with both copies."""
        way = crossing.flow_pair
        if way is None:
            return
        row = crossing.entered.row
        method, status = row[METHOD], row[STATUS]
        if method in READ:
            if not crossing.outbound and (not status or status == 100):
                return
            peer = self._table.get(way.peer) or self.of(way)
            # A phone says the same of itself in every message: most need not be read.
            peer.messages += 1
            if peer.messages > READ_FIRST and peer.messages % READ_EVERY:
                return
            if crossing.outbound:
                self._outbound(peer, crossing, status)
            else:
                self._answered(peer, crossing, method)
        elif not status and not crossing.outbound:
            if method == OPTIONS:
                self.of(way).keepalive = True
            elif method in IN_DIALOG and crossing.expected is None:
                peer = self.of(way)
                # Where the router itself has a private address (CGNAT, a provider's own network)
                # the request may have gone to the Contact that the ALG wrote.
                if peer.private_on_wan and peer.wan_contact != way.wan_host:
                    peer.nat_handled += 1

    @staticmethod
    def _outbound(peer: Line, crossing: Crossing, status: int) -> None:
        has_via, rport, contact = reach(crossing.entered.payload)
        if not status and has_via:
            peer.rport_asked = peer.rport_asked or rport is not None
            peer.rport_missing = peer.rport_missing or rport is None
        if contact is not None and contact != "*":
            peer.private_contact = address.is_unroutable(contact)
        shown = reach(crossing.left.payload)[2] if crossing.rewritten else contact
        if shown is not None and (not status or status < 300):
            peer.wan_contact = shown
            peer.private_on_wan = address.is_unroutable(peer.wan_contact)

    @staticmethod
    def _answered(peer: Line, crossing: Crossing, method: int) -> None:
        _, rport, _ = reach(crossing.entered.payload)
        if rport:
            peer.rport_answered = True
        if method == REGISTER and 200 <= crossing.entered.row[STATUS] < 300:
            answer = Message(crossing.entered.payload)
            text = next((c.expires for c in answer.contacts if c.expires), "") or answer.expires
            if text.isascii() and text.isdigit():
                peer.expires = int(text[:9])
