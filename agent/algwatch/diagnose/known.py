# SPDX-License-Identifier: Apache-2.0
"""Known: facts for rules beyond the thing shown to them. Nothing in it can be set."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from algwatch.base.digest import digest
from algwatch.base.sighting import AT, CALL, Sighting
from algwatch.base.typed import Any, TypeVar
from algwatch.compare.asked import request_of
from algwatch.compare.call import Call
from algwatch.compare.captured import Captured
from algwatch.compare.comparison import Comparison
from algwatch.compare.counterfactual import Counterfactual, finds_phone, needs_alg, without_alg
from algwatch.compare.crossing import Crossing, Entry
from algwatch.compare.exchange import Exchange
from algwatch.compare.joined import Joined
from algwatch.compare.line import ACCEPTED, Line
from algwatch.compare.mapping import RightAddress
from algwatch.compare.registered import Registered
from algwatch.compare.replaces import MOST_CALLS, renamed, replaced
from algwatch.compare.silence import gone, too_late
from algwatch.compare.subscribed import Subscribed
from algwatch.sip.transaction import UDP, Transaction

BEFORE = 8  # a bit of the word for what an earlier process has said, until this one finds it, too
S = TypeVar("S")
T = TypeVar("T")


def _flow(answer: Sighting) -> bytes:
    """As in Captured.reached."""
    return answer.source + answer.destination[:16]


class Known:
    """now: ns of packet time. two_sided: copies of both sides are compared. capture: state of the
    capture itself (compare/captured.py)."""

    __slots__ = ("_captured", "_comparison", "_lines", "_mappings", "_read", "_said")

    def __init__(self, comparison: Comparison, said: dict[int, int]) -> None:
        """said: reported findings by the digest of their key."""
        self._comparison = comparison
        self._captured = comparison.captured
        self._lines = comparison.lines
        self._mappings = comparison.mappings
        self._said = said
        # A reading of one thing shared by rules: the thing, the time, and the reading.
        self._read: tuple[object, int, dict[object, Any]] = (None, 0, {})

    @property
    def now(self) -> int:
        return self._captured.now

    @property
    def two_sided(self) -> bool:
        return self._captured.two_sided

    @property
    def capture(self) -> Captured:
        """State of the capture: read it, do not change it."""
        return self._captured

    def lossy(self, call: Call) -> bool:
        """True if a message of the call may have passed without being captured: an unseen message
        is then not missing."""
        return self._captured.lossy(call)

    def unseen(self, exchange: Exchange) -> bool:
        """True if a response may have passed without being captured: over TCP it is not repeated,
        and over UDP the request is, until one comes or Timer F."""
        request = exchange.request
        if request is None:
            return False
        if request.ends.proto == UDP:
            return self._captured.gaps and not exchange.entered.waited_out
        return self._captured.lost_by(request) >= request.row[AT]

    def reached(self, answer: Sighting) -> bool:
        """One side alone: a 2xx on this flow was acknowledged in spite of its private Contact."""
        return _flow(answer) in self._captured.reached

    def answered_on(self, call: Call) -> str:
        """Name of the flow of a call's 2xx, for is_reached(); "" if its bytes are gone."""
        s = call.near_callee
        answer = s.current.answer if s is not None and s.current is not None else None
        return _flow(answer).hex() if answer is not None else ""

    def is_reached(self, flow: str) -> bool:
        """reached(), since, of a flow that answered_on() names."""
        return bytes.fromhex(flow) in self._captured.reached

    def line(self, thing: Joined[Any]) -> Line | None:
        """The line of a call or registration; None if no message of it crossed."""
        pair = thing.flow_pair
        return self._lines.of(pair) if pair is not None else None

    def line_name(self, thing: Joined[Any]) -> str:
        """`Line.name` of the same, "" without a line."""
        line = self.line(thing)
        return line.name if line is not None else ""

    def line_of(self, phone: bytes, remote: bytes) -> Line | None:
        """The line of two addresses (16 bytes each), None if nothing has crossed between them."""
        return self._lines.find(phone, remote)

    def uses_stun(self, phone: bytes) -> bool:
        """True if this LAN host (16 bytes) was seen to send STUN from a SIP port."""
        return phone in self._lines.stun

    def lines_at(self, remote: str) -> list[Line]:
        """The lines of all phones here with this far end (text)."""
        return self._lines.at(remote)

    def mapping_since(self, entry: Entry) -> tuple[bytes, Entry] | None:
        """See Mappings.since."""
        return self._mappings.since(entry)

    def mapping_elsewhere(self, invite: Sighting) -> tuple[Entry, bytes, bytes] | None:
        """See Mappings.elsewhere: for an INVITE at a WAN address and port not its own."""
        return self._mappings.elsewhere(invite.destination, invite.source, invite.row[AT])

    def registered(self) -> list[Registered]:
        """Every followed registration."""
        return self._comparison.registered()

    def made_anew(self, one: Subscribed) -> bool:
        """See Subscriptions.made_anew."""
        return self._comparison.made_anew(one)

    def subscribed(self, copy: Sighting) -> Subscribed | None:
        """The subscription or REFER with the Call-ID of this message."""
        return self._comparison.subscribed(copy)

    def transaction(self, copy: Sighting) -> Transaction | None:
        """The transaction of a message on its side; None after its end."""
        return self._comparison.transaction(copy)

    def too_late(self, undelivered: Crossing) -> tuple[Line | None, int]:
        """The line with the mapping of an undelivered INVITE, and its silence if the mapping had
        expired. See compare.silence.too_late."""
        return too_late(undelivered, self._lines, self._mappings)

    def mapping_gone(self, request: Sighting) -> tuple[Line | None, int]:
        """The same for any request that came to the WAN side. See compare.silence.gone."""
        line, idle = gone(request, self._mappings, self._lines)
        lost = self._captured.lost_at > request.row[AT] - idle  # an unseen packet may have used it
        return line, 0 if lost else idle

    def beside(self, line: Line) -> Iterator[Line]:
        """The other phones here with the same provider."""
        return self._lines.beside(line)

    def finds_phone(self, line: Line) -> bool:
        """True if its far end was seen to find its phone, or another one like it, in spite of a
        private Contact: a missing request of the far end then has another reason."""
        return finds_phone(line, self._lines.beside(line))

    def without_alg(self, line: Line) -> Counterfactual:
        """Would the calls of this line work without the router's ALG?"""
        return without_alg(line, self._lines.beside(line))

    def needs_alg(self, line: Line) -> bool:
        """True if only the ALG carries it through the NAT."""
        return needs_alg(line, self._lines.beside(line))

    def mapping(self, outside: bytes, remote: bytes) -> Entry | None:
        """The NAT mapping of a WAN address and port towards a remote one (18 bytes each)."""
        return self._mappings.of(outside, remote)

    def mapping_towards(self, request: Sighting) -> Entry | None:
        """See Mappings.towards."""
        return self._mappings.towards(request)

    def is_wan_address(self, host: bytes) -> bool:
        """True if packets of phones here leave with this address (16 bytes)."""
        return self._mappings.is_wan_address(host)

    def request_of(self, response: Sighting) -> Sighting | None:
        """See compare/asked.py."""
        return request_of(response, self._comparison.sides)

    def left_here(self, request: Sighting) -> bool:
        """True if this request on the WAN side has the address that phones here leave with, and
        goes to no such address: it came out of this router, whatever the LAN side shows."""
        ends = request.packed_ends
        return self.is_wan_address(ends[:16]) and not self.is_wan_address(ends[16:32])

    def is_elsewhere(self, request: Sighting) -> bool:
        """True if the WAN address and port that this request came to is of no phone seen here, and
        sends to its source: see OwnFlows.elsewhere."""
        if self.mapping(request.destination, request.source) is not None:
            return False
        ends = request.packed_ends
        of_here = self.line_of(ends[16:32], ends[:16]) is not None
        return not of_here and self._captured.own.is_elsewhere(request)

    def neighbour(self, call: int, method: int, response: bool) -> str:
        """The LAN host other than the phone that sent a message of this kind in this call (hash of
        the Call-ID), which did not leave the router; "" without one."""
        return self._comparison.beside.get((call, method, response)) or ""

    def call(self, copy: Sighting) -> Call | None:
        """The call of a message, by its Call-ID."""
        return self._comparison.calls.table.get(copy.row[CALL])

    def right_address(self, request: Sighting) -> RightAddress | None:
        """See Mappings.right_address. A flow served with its own address needs no other: beyond a
        second WAN, another router may translate it."""
        right, ends = self._mappings.right_address(request), request.packed_ends
        if right is not None and not right.translated:
            line = self.line_of(ends[:16], ends[16:32])
            if line is not None and line.count(ACCEPTED):
                return None
        return right

    def other_address(self, request: Sighting) -> RightAddress | None:
        """See Mappings.other_address."""
        return self._mappings.other_address(request)

    def once(self, thing: S, read: Callable[[S, Known], T]) -> T:
        """A reading shared by several rules: made once for the same thing at the same time."""
        of, at, readings = self._read
        now = self._captured.now
        if of is not thing or at != now:
            readings = {}
            self._read = (thing, now, readings)
        if read not in readings:
            readings[read] = read(thing, self)
        reading: T = readings[read]
        return reading

    def renamed(self, names: Sighting, inside: bool) -> Crossing | None:
        """A rewritten message with another name for the dialog in the Replaces of names, on the
        searched side (inside: the LAN). None without proof. Reads many calls: for rare use."""
        wanted = replaced(names.payload)
        if wanted is None:
            return None
        return renamed(wanted, self._comparison.calls.latest(MOST_CALLS), inside)

    def other_name(self, bye: Sighting) -> bytes:
        """See StrayByes.of_other_end."""
        return self._comparison.stray_byes.of_other_end(bye)

    def began_before(self, copy: Sighting) -> bool:
        """True if the call of a message is followed, and its beginning was not captured."""
        call = self._comparison.calls.table.get(copy.row[CALL])
        return call is not None and call.partial

    def was_said(self, rule: str, key: str) -> bool:
        """True if a rule (id) has reported under key in this process: for findings reported only
        once."""
        return not self._said.get(digest(f"{rule}/{key}"), BEFORE) & BEFORE

    def was_told(self, rule: str, key: str) -> bool:
        """True if a rule (id) has reported under key, in this process or in the one before: for a
        word that follows an earlier one."""
        return digest(f"{rule}/{key}") in self._said
