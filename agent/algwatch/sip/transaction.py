# SPDX-License-Identifier: Apache-2.0
"""Transaction: a request and its responses, as a passive observer sees them (RFC 3261 17)."""

from __future__ import annotations

from algwatch.base.native.layout import ROW_DIRECTED, ROW_OUTGOING
from algwatch.base.sighting import AT, BITS, FLOW, STATUS, Row, Sighting
from algwatch.sip.again import Again
from algwatch.sip.timers import SECOND, T1, T2, TIMER_B

# Events: (code, transaction, row, index of the row in its batch). Only events for dialogs;
# retransmissions of other requests are counted on the transaction.
REQUEST = 0  # first sighting of a request
PROVISIONAL = 1  # first provisional response to an INVITE
FINAL = 2  # first final response
FINAL_AGAIN = 3  # a final response to INVITE, repeated
ACKED = 4  # ACK with the INVITE's branch: to a non-2xx (section 17.1.1.3), or a wrong one to a 2xx
ORPHAN = 5  # a response without a seen request
TIMED_OUT = 6  # no response at all until Timer B or F
REQUEST_AGAIN = 7  # an INVITE or ACK, repeated
# A request of another kind came LATE or DEAF times after its response.
NOT_HEARD = 8
PROVISIONAL_AGAIN = 9  # a provisional response to INVITE long after the first

UDP = 17  # Ends.proto

# One retransmission may cross the response on the way.
LATE = 2
DEAF = 6  # so many prove that its sender never hears it, over any path

# A flow, its direction, and the direction of the request that came the other way (BITS & WAY).
Way = tuple[int, int, int]
WAY = ROW_DIRECTED | ROW_OUTGOING
NO_WAY: Way = (0, 0, 0)

Event = tuple[int, "Transaction", Row, int]
Seen = tuple[Row, int]  # a row and its index in the batch


class Transaction:
    """key: in the table. method, cseq, call (hash), from_tag (hash): of the request. requests: its
    copies seen. finals: copies of the final response. flow, final_flow: hashes of their flows; the
    same message on another flow is a copy (a hop further, a replay) and no retransmission. Times in
    ns; 0 = not yet. last_*: of its latest message; `pair` tells its status and method as well.
    unsolicited: see sip/unsolicited.py.

    late: copies of a request (no INVITE) after its final response. response: this
    response, for a request other than INVITE; without finals, a response meant for the request with
    another Via, so its sender discards it (section 18.1.2); or the first repeated provisional
    response to an INVITE that went elsewhere than the INVITE came from. rang_at: of an INVITE, its
    latest provisional response above 100. acked_at: of a refused INVITE, its first ACK; of
    another request, its refusal, if it was sent anew (sip/anew.py) or its dialog keeps it. again:
    its retransmissions, None without any.
    ends: addresses of its first request, of a response without one. bits: of its first message.
    owner: of a forwarded request, the address it came to the router from (16 bytes), else empty.
    way_back: of believed responses (see compare/doubts.py).

    For methods other than INVITE and ACK also: request, response: the first sighting of each;
    forwarded: the transaction of the same request on the other side of this router; copy: it is
    such a forwarded one; unpaired: its request never reached the other side."""

    __slots__ = ("acked_at", "again", "at", "bits", "call", "copy", "cseq", "ends", "final_at",
                 "final_flow", "finals", "flow", "forwarded", "from_tag", "key", "last_at",
                 "last_ip_id", "last_pair", "last_ttl", "late", "method", "owner",
                 "provisional_at", "rang_at", "request", "requests", "response", "status",
                 "unpaired", "unsolicited", "way_back")  # fmt: skip
    ends: bytes
    bits: int
    last_ip_id: int
    last_pair: int
    last_ttl: int

    def __init__(self, key: int, at: int, call: int, from_tag: int, cseq: int,
                 method: int) -> None:  # fmt: skip
        self.key = key
        self.at = self.last_at = at
        self.call = call
        self.from_tag = from_tag
        self.cseq = cseq
        self.method = method
        self.unsolicited = self.copy = self.unpaired = False
        self.owner = b""
        self.request: Sighting | None = None
        self.response: Sighting | None = None
        self.forwarded: Transaction | None = None
        self.again: Again | None = None
        self.requests = self.finals = self.late = self.status = self.rang_at = 0
        self.flow = self.final_flow = self.provisional_at = self.final_at = self.acked_at = 0
        self.way_back = NO_WAY

    def is_meant(self, other: Transaction) -> bool:
        """True if other, begun with a response, answers this request, which has no response yet."""
        if other.requests or other is self or self.finals or self.provisional_at:
            return False
        return other.cseq == self.cseq and other.from_tag == self.from_tag

    def resume(self, was: Transaction) -> None:
        """was is this transaction before its eviction: go on from there."""
        self.at = was.at
        self.requests += was.requests
        self.finals += was.finals
        self.status = self.status or was.status
        if was.flow:
            self.flow, self.ends, self.bits = was.flow, was.ends, was.bits
        self.final_flow = was.final_flow or self.final_flow
        self.provisional_at = was.provisional_at or self.provisional_at
        self.rang_at = was.rang_at or self.rang_at
        self.final_at = was.final_at or self.final_at
        self.acked_at = was.acked_at or self.acked_at
        self.again = was.again or self.again

    def belongs_to(self, request: Sighting) -> None:
        """It was taken for another one's: its flow is that of this request."""
        self.flow, self.bits, self.ends = request.row[FLOW], request.row[BITS], request.packed_ends

    @property
    def answered_at(self) -> int:
        """ns, its first response; 0 = not yet."""
        first, final = self.provisional_at, self.final_at
        return min(first, final) if first and final else first or final

    @property
    def unrepeated(self) -> bool:
        """A request other than INVITE went over UDP and came once. Without a response it is
        repeated after T1 (Timer E, section 17.1.2.2), so a response came, or its sender is gone."""
        return self.requests == 1 and self.request is not None and self.request.ends.proto == UDP

    def taken(self, now: int) -> int:
        """Status of a response with another Via than the request, if the request was not repeated
        after it although due: not all phones are strict (RFC 3261 section 18.1.2). 0 without one.
        now: ns."""
        if self.finals or self.response is None:
            return 0
        at = self.response.row[AT]
        stopped = self.again is not None and self.again.all_stopped
        repeated = self.last_at > at + T1 and not stopped
        return self.response.row[STATUS] if not repeated and now - at > T2 + T1 else 0

    @property
    def insisted(self) -> bool:
        """The request was repeated until Timer F in spite of its final response: its sender never
        accepted it."""
        return self.late >= LATE and self.last_at - self.at > TIMER_B - SECOND

    @property
    def rings_unheard(self) -> bool:
        """An INVITE was repeated until Timer B in spite of its provisional responses, which stop
        that (section 17.1.1.2), and they went elsewhere than it came from: nobody hears them."""
        again = self.again
        if again is None or self.finals or self.response is None or again.late <= LATE:
            return False
        return again.last_at - self.at > TIMER_B - SECOND

    @property
    def waited_out(self) -> bool:
        """The request was repeated until Timer B: no response came, captured or not."""
        return not self.finals and self.last_at - self.at > TIMER_B - SECOND
