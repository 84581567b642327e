# SPDX-License-Identifier: Apache-2.0
"""Line: what is known of one phone and one provider behind it, as observations.

Only what was seen counts. Each observation has a word, how often it was made, the first sighting
that showed it, and when it was made last; so what speaks for and against an advice carries bytes,
as findings do.
"""

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
from algwatch.compare.fingerprint import LINUX, fingerprint
from algwatch.compare.flow_pair import FlowPair
from algwatch.sip.helper_drops import dropped_for
from algwatch.sip.message import Message, reach
from algwatch.sip.target import contact_of_proxy

READ = (REGISTER, INVITE)
READ_FIRST, READ_EVERY = 64, 16

# The words of observations.
RPORT_ASKED = "rport-asked"  # the phone's Via has rport
RPORT_MISSING = "rport-missing"  # a request of the phone has none
NO_WAY_BACK = "no-way-back"  # and the NAT gives it another port than the one that it sends from
RPORT_ANSWERED = "rport-answered"  # the provider filled it in (RFC 3581)
PRIVATE_CONTACT = "private-contact"  # the phone writes an unroutable Contact
KEEPALIVE = "keep-alive"  # the phone or the provider keeps the mapping open
NAT_HANDLED = "nat-handled"  # a request came to where packets come from, past a private Contact
URI_REPLACED = "uri-replaced"  # and its Request-URI names that place, not the Contact
FOLLOWS_PHONE = "follows-phone"  # the provider sent to what the phone wrote, not to the source
WORKS_UNTOUCHED = "works-untouched"  # an incoming call with a private Contact lived, not rewritten
DROPS_UNTOUCHED = "drops-untouched"  # such a call dropped
WORKS_REWRITTEN = "works-rewritten"  # a call lived with something rewritten
REACHED_REWRITTEN = "reached-rewritten"  # such an incoming call, so its ACK came to that Contact
REWRITTEN = "rewritten"  # the router rewrote a message of this line
REACHED_AT_PROXY = "reached-at-proxy"  # an outgoing call lived whose Contact was a proxy's own
URI_REFUSED = "uri-refused"  # the phone refused a request that names the router's address
LATCHES = "latches"  # RTP came to where packets come from, past another address in the SDP
SPOILED = "spoiled"  # bytes of TCP that left the router came again with other content
OVERLAPS = "overlaps"  # they did so as they came from the phone
WITHOUT_ROUTE = "without-route"  # a call of the phone without Route was answered
ACCEPTED = "accepted"  # the provider accepted a REGISTER or an INVITE of the phone

# Each of these needs a far end that took part.
_ANSWERS = (RPORT_ANSWERED, NAT_HANDLED, WORKS_UNTOUCHED, WORKS_REWRITTEN, DROPS_UNTOUCHED)


_BETWEEN = " and "  # the two ends, in the name of a line


def name_of(phone: str, remote: str) -> str:
    """Name of the line between these hosts (texts)."""
    return phone + _BETWEEN + remote


def ends_of(name: str) -> tuple[str, str]:
    """(phone, remote) of a line's name; empty texts where it is the name of none."""
    phone, between, remote = name.partition(_BETWEEN)
    return (phone, remote) if between else ("", "")


def _is_in_dialog(crossing: Crossing, call: Call | None) -> bool:
    """True if both sides saw the 2xx of the dialog to which an ACK claims to belong, between the
    same hosts, and it has the tags of both ends: one of another host says nothing of the provider.
    The ACK to a refusal goes where the INVITE went, and shows nothing of the Contact."""
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
    """True if a response may be to a request that left in IP fragments."""
    method = crossing.entered.row[METHOD]
    if method not in line.in_fragments:
        return False
    s = call.sides[WAN] if call is not None else None
    if method != INVITE or s is None or s.request is None:
        return True
    request = s.request.row
    return request[CSEQ] == crossing.entered.row[CSEQ] and bool(request[BITS] & ROW_FRAGMENTED)


class Observation:
    """count; first: the Sighting that showed it, None where it was counted only; last_at: ns."""

    __slots__ = ("count", "first", "last_at")

    def __init__(self, first: Sighting | None, at: int) -> None:
        self.count = 1
        self.first = first
        self.last_at = at


class Line:
    """phone, remote: host texts. seen: observations by word. private_contact: the Contact that
    the phone wrote last is unroutable; shown: that message as it left the router. expires: seconds
    granted by the registrar, 0 = not seen. linux: the ALG that rewrote it first looks like the
    kernel's helper. silence, silent_since: ns, how long nothing used the mapping of the
    registered phone at worst, and from when on (compare/silence.py); granted: the 2xx to its
    REGISTER; silence_limit: ns, how long its mapping would live without the helper; silence_helped:
    the helper kept it; silence_told: it was told. too_late: the latest INVITE for it that came
    after its mapping was gone, and the silence before it (ns). answered: the far end has taken
    part. passed: reasons to drop a message (sip/helper_drops.py) for which a rewritten INVITE or
    REGISTER was not dropped. messages: REGISTER and INVITE, with responses. in_fragments: methods
    of requests of the phone that left in IP fragments; fragments_answered: the far end has answered
    one; grew: bytes by which the router makes a request longer. offer: the phone's latest INVITE
    that left rewritten, as it entered the router. fresh: where the line notes that something was
    seen of it for the first time.
    """

    __slots__ = ("_fresh", "_rewritten", "answered", "expires", "fragments_answered", "granted",
                 "grew", "in_fragments", "linux", "messages", "offer", "passed", "phone",
                 "private_contact", "remote", "seen", "shown", "silence", "silence_helped",
                 "silence_limit", "silence_told", "silent_since", "too_late")  # fmt: skip

    def __init__(self, phone: str, remote: str, fresh: dict[str, Line] | None = None) -> None:
        self.phone = phone
        self.remote = remote
        self._fresh = fresh
        self.seen: dict[str, Observation] = {}
        self.answered = self.private_contact = self._rewritten = False
        self.shown: Sighting | None = None
        self.granted: Sighting | None = None
        self.too_late: tuple[Sighting, int] | None = None
        self.linux = self.silence_helped = self.silence_told = False
        self.messages = self.expires = self.silence = self.silence_limit = self.silent_since = 0
        self.grew = 0
        self.in_fragments: frozenset[int] = frozenset()
        self.fragments_answered = False
        self.offer: Sighting | None = None
        self.passed: frozenset[str] = frozenset()

    @property
    def name(self) -> str:
        return name_of(self.phone, self.remote)

    def observe(self, word: str, sighting: Sighting | None, at: int = 0) -> None:
        """at: ns, where there is no sighting."""
        at = sighting.row[AT] if sighting is not None else at
        known = self.seen.get(word)
        if known is None:
            self.seen[word] = Observation(sighting, at)
            if word in _ANSWERS:
                self.answered = True
            self.note()
        else:
            known.count += 1
            known.last_at = at

    @property
    def is_own(self) -> bool:
        """True if the phone asked something of the provider, which accepted it: calls that come
        from elsewhere may be those of anyone."""
        asked = self.count(RPORT_ASKED) or self.count(RPORT_MISSING)
        return bool(asked and self.count(ACCEPTED))

    @property
    def finds_phone(self) -> bool:
        """Its far end was seen to find the phone in spite of a private Contact."""
        return bool(self.count(WORKS_UNTOUCHED) or self.count(NAT_HANDLED))

    def sightings(self) -> list[Sighting | None]:
        """Messages that it keeps to show them."""
        late = self.too_late[0] if self.too_late is not None else None
        return [
            self.shown,
            self.granted,
            late,
            self.offer,
            *[one.first for one in self.seen.values()],
        ]

    def shed(self) -> None:
        """Let go of these. That they were seen is still known."""
        self.shown = self.granted = self.too_late = self.offer = None
        for one in self.seen.values():
            one.first = None

    @property
    def helped(self) -> bool:
        """The kernel's helper is on its flow: it rewrote the latest message that it could."""
        return self.linux and self._rewritten

    def note(self) -> None:
        """Something new in kind is known of it."""
        if self._fresh is not None:
            self._fresh[self.name] = self

    def count(self, word: str) -> int:
        known = self.seen.get(word)
        return known.count if known is not None else 0


class Shown:
    """The messages that lines keep, as a keeper of a Budget: they go, the lines stay."""

    def __init__(self, table: Table[bytes, Line]) -> None:
        self.weigh = table.weigh
        self.items = table.items
        self.get = table.get

    def tidy(self) -> None:
        """Nothing else points to what a line has shed."""

    def evict(self, key: bytes, strange: bool = False) -> None:
        line = self.get(key)
        if line is not None:
            line.shed()


class Lines:
    """limit: lines that are remembered. stun: addresses (16 bytes) that sent STUN on a SIP port of
    the LAN, as many at most. fresh: those of which something was seen for the first
    time, by name, until the advice was looked at again."""

    def __init__(self, limit: int) -> None:
        self.table: Table[bytes, Line] = Table(limit)
        self._by_remote: dict[str, list[Line]] = {}  # empty when it has to be made
        self.fresh: dict[str, Line] = {}
        self.stun: Table[bytes, None] = Table(limit)

    @property
    def evicted(self) -> int:
        return self.table.evicted

    def answering(self) -> set[bytes]:
        """Addresses (16 bytes) of the far ends that have taken part in a line."""
        return {key[16:] for key, line in self.table.items() if line.answered}

    def all(self) -> list[Line]:
        return list(self.table.values())

    def of(self, pair: FlowPair) -> Line:
        line = self.table.get(pair.line)
        if line is None:
            line = Line(pair.phone, pair.far, self.fresh)
            self.table.add(pair.line, line)
            self._by_remote.clear()
        return line

    def find(self, phone: bytes, remote: bytes) -> Line | None:
        """The line of two addresses (16 bytes each)."""
        return self.table.get(phone + remote)

    def has(self, phone: bytes, remote: bytes) -> bool:
        """True if anything has crossed between these two addresses (16 bytes each)."""
        return phone + remote in self.table

    def beside(self, line: Line) -> Iterator[Line]:
        """The other phones here with the same provider."""
        return (one for one in self.at(line.remote) if one is not line)

    def at(self, remote: str) -> list[Line]:
        """The lines of all phones here with that far end (text)."""
        if not self._by_remote:
            for one in self.table.values():
                self._by_remote.setdefault(one.remote, []).append(one)
        return self._by_remote.get(remote, [])

    def keepalive(self, phone: bytes, remote: bytes, at: int) -> None:
        """phone sent a keep-alive to remote (16 bytes each)."""
        line = self.table.get(phone + remote)
        if line is not None:
            line.observe(KEEPALIVE, None, at)

    def feed(self, crossing: Crossing, call: Call | None) -> None:
        """Learn from a crossing with both copies that READ names, or of a request from the WAN;
        call: that it belongs to."""
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
            # A phone says the same of itself in every message: most need not be read.
            line.messages += 1
            skip = line.messages > READ_FIRST and line.messages % READ_EVERY
            if skip and (not crossing.outbound or crossing.rewritten is line._rewritten):
                return
            if crossing.outbound:
                self._outbound(line, crossing, status)
            else:
                self._answered(line, crossing, method, call)
        elif method == OPTIONS:
            self.of(pair).observe(KEEPALIVE, crossing.entered)
        elif method == ACK and crossing.expected is None and _is_in_dialog(crossing, call):
            assert call is not None
            self.found(pair, call, crossing.entered)

    def found(self, pair: FlowPair, call: Call, request: Sighting) -> None:
        """A request of the far end in this call came to where packets come from, to a phone that
        knows the dialog: past the phone's Contact, where that is private. Where the router itself
        has a private address (CGNAT, a provider's own network) the request may have gone to the
        Contact that the ALG wrote."""
        contact = call.wan_contact
        if contact and contact != pair.wan_host and address.is_unroutable(contact):
            line = self.of(pair)
            line.observe(NAT_HANDLED, request)
            if Message(request.payload).request_host == pair.wan_host:
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
                # What is rewritten in a REGISTER is in an INVITE as well, and SDP besides.
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
        if contact is not None and contact != "*":
            line.private_contact = address.is_unroutable(contact)
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
