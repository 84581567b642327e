# SPDX-License-Identifier: Apache-2.0
"""Dialog and DialogSet: one side's view of a call (RFC 3261 sections 12 to 15)."""

from __future__ import annotations

from algwatch.base.deadlines import NEVER
from algwatch.base.packet import Batch
from algwatch.base.sighting import AT, CSEQ, FLOW, FROM_TAG, TO_TAG, TXN, Row, Sighting
from algwatch.sip.denied import NOBODY, Denied
from algwatch.sip.reliable import LONG, Reliable
from algwatch.sip.session_timer import SessionTimer
from algwatch.sip.status_codes import CHALLENGES
from algwatch.sip.timers import SECOND, WINDOW
from algwatch.sip.transaction import Transaction

# Faults of an ACK that still acknowledges its 2xx.
BY_BRANCH = "branch"  # it has the branch of its INVITE (sections 8.1.1.7, 13.2.2.4)
BY_TAG = "to-tag"  # its To tag is not the one of the 2xx
MISROUTED = "misrouted"  # over TCP: it does not go where Contact and Record-Route of the 2xx say
NOT_ODD = ""

# The message without the SDP of an offer or answer in it.
ANSWER_OWES = "2xx"
ACK_OWES = "ACK"
NOTHING_OWED = ""

IN_VAIN = 4  # copies of a re-INVITE in 3.5 s: every end answers sooner, if only with 100
AT_ONCE = SECOND // 2  # no person hangs up so soon after a refusal

_NO_BRANCHES: dict[int, Transaction] = {}


class Dialog:
    """One dialog on one side: a Call-ID, the caller's tag and the callee's (section 12).

    callee_tag: hash, 0 if the 2xx had none. For the latest answered INVITE in it: invite: the
    transaction; request, answer, ack: Sightings of the INVITE, its first 2xx and the first ACK,
    kept as long as a verdict may need them; answers: copies of the 2xx; answer_tag: hash of its
    From tag; odd: the fault of the ACK,
    a word above; odd_copy: an ACK with the branch of its INVITE, beside a right one, as on the next
    hop. stray_ack: an ACK with another CSeq number than its INVITE.
    earlier: an INVITE in it whose 2xx had no ACK when the latest one was answered.
    pending: a re-INVITE and its request without a final response; it changes nothing before a 2xx;
    crossed: one of the other end at the same time (section 14.2: 491); silent: Timer B of the
    pending one has passed. disowned: the 481 to one, or to an UPDATE: the refusing end does not
    know the dialog any more (section 12.2.2). refused: the latest refused re-INVITE or UPDATE, and
    its refusal, or its 2xx without what was asked; cut_short: its sender hung up at once, or the
    pending one was repeated in vain until the BYE. owing: a word above, if the end that needed this
    SDP hung up at once. denied: see sip/denied.py; None after one that was granted. holders: tags
    (hashes) of the ends that have it on hold. moved: by end (callee, caller) the latest target
    refresh (re-INVITE, UPDATE) from a public address that made its remote target a private one;
    None without one, or after a later one with another address.
    Times in ns, 0 = not seen. established_at: the first 2xx to any INVITE in it. acked_at,
    acked_last: the first and the latest ACK to the latest 2xx.
    confirmed: an ACK was seen in it at some time. bye: the first BYE, kept if no ACK was seen or if
    it was refused or not answered, and the latest one after a challenge; bye_response: the refusal;
    bye_status: of its response; bye_unanswered: Timer F of the BYE has passed; bye_unrepeated: and
    it was never repeated, so an answer was likely not captured; bye_of: the latest BYE transaction
    of the first end to send one; both_ended: the other end sent one, too, and
    refused_first: only after it had refused the first, or long after its challenge to it;
    bye_reason: its Reason if nobody hung up (sip/reason.py).
    timer: the session timer in force, None without one; timed_out: this timer caused the BYE.
    """

    __slots__ = ("ack", "acked_at", "acked_last", "answer", "answer_last", "answer_tag",
                 "answered_at", "answers", "both_ended", "bye", "bye_at", "bye_by_caller",
                 "bye_of", "bye_reason", "bye_response", "bye_status", "bye_unanswered",
                 "bye_unrepeated", "callee_tag", "confirmed", "crossed", "cut_short", "denied",
                 "disowned", "earlier", "ended_at", "established_at", "holders", "invite", "moved",
                 "odd", "odd_copy", "owing", "pending", "refused", "refused_first", "request",
                 "silent", "stray_ack", "timed_out", "timer")  # fmt: skip

    def __init__(self, callee_tag: int) -> None:
        self.callee_tag = callee_tag
        self.invite: Transaction | None = None
        self.request: Sighting | None = None
        self.answer: Sighting | None = None
        self.ack: Sighting | None = None
        self.stray_ack: Sighting | None = None
        self.odd_copy: Sighting | None = None
        self.bye: Sighting | None = None
        self.bye_of: Transaction | None = None
        self.earlier: Transaction | None = None
        self.bye_response: Sighting | None = None
        self.disowned: Sighting | None = None
        self.refused: tuple[Sighting, Sighting] | None = None
        self.denied: Denied | None = None
        self.holders = NOBODY
        self.pending: tuple[Transaction, Sighting] | None = None
        self.crossed: tuple[Transaction, Sighting] | None = None
        self.moved: tuple[Sighting | None, Sighting | None] = (None, None)
        self.timer: SessionTimer | None = None
        self.answered_at = self.answer_last = self.acked_at = self.acked_last = 0
        self.bye_at = self.ended_at = self.established_at = 0
        self.answers = self.bye_status = self.answer_tag = 0
        self.odd = NOT_ODD
        self.bye_reason = ""
        self.owing = NOTHING_OWED
        self.confirmed = self.silent = self.timed_out = self.cut_short = False
        self.bye_by_caller = self.bye_unanswered = self.both_ended = self.bye_unrepeated = False
        self.refused_first = False

    @property
    def bye_challenged(self) -> bool:
        """The BYE was challenged, and none with credentials was answered or waited out."""
        return self.bye_response is not None and not (self.bye_status or self.bye_unanswered)

    @property
    def bye_repeated(self) -> bool:
        """The BYE was repeated and has no response yet: nobody knows if it was heard."""
        t = self.bye_of
        return t is not None and t.requests > 1 and not t.final_at and not self.bye_unanswered

    @property
    def bye_given_up(self) -> bool:
        """The BYE was challenged, and none with credentials was sent."""
        bye, response = self.bye, self.bye_response
        if bye is None or response is None:
            return False
        if self.refused_first:
            return self.bye_of is not None and self.bye_of.status in CHALLENGES
        return self.bye_challenged and bool(bye.row[AT] <= response.row[AT])

    def waits_for(self, t: Transaction) -> bool:
        """True if t is a re-INVITE without a final response."""
        pending, crossed = self.pending, self.crossed
        if pending is not None and pending[0] is t:
            return True
        return crossed is not None and crossed[0] is t

    def over(self, t: Transaction) -> tuple[Transaction, Sighting] | None:
        """The re-INVITE t, now with its final response; None if t is no re-INVITE."""
        pending, crossed = self.pending, self.crossed
        if pending is not None and pending[0] is t:
            self.pending, self.crossed = crossed, None
            return pending
        if crossed is not None and crossed[0] is t:
            self.crossed = None
            return crossed
        return None

    @property
    def asks_in_vain(self) -> bool:
        """Its re-INVITE was sent again and again, and got no response."""
        if self.pending is None:
            return False
        t = self.pending[0]
        return t.requests >= IN_VAIN and not t.answered_at

    def hung_up(self, row: Row) -> None:
        """row: its BYE. A refusal without a BYE at once need not be kept."""
        if self.pending is not None:
            self.cut_short = self.asks_in_vain
        if self.refused is None:
            return
        asked, refusal = self.refused
        soon = row[AT] - refusal.row[AT] <= AT_ONCE
        if soon and row[FROM_TAG] == asked.row[FROM_TAG]:
            self.cut_short = True
        else:
            self.refused = None

    @property
    def stays(self) -> bool:
        """It was acknowledged, and no BYE was seen in it."""
        return bool(self.answered_at and self.acked_at) and not self.bye_at

    @property
    def repeats(self) -> int:
        """Repetitions of the 2xx."""
        return max(0, self.answers - 1)

    def repeated_since(self, at: int) -> bool:
        """True if the 2xx of the current INVITE was repeated after at (ns)."""
        return self.answer_last > at


class DialogSet:
    """Everything of one Call-ID on one side: the INVITE, its branches, and its dialogs. Several
    dialogs if the INVITE was forked (section 13.2.2.4).

    call: hash of the Call-ID; caller_tag: hash. current: the first answered dialog, or of several
    the first acknowledged; dialogs: all of them.
    invite: the latest INVITE transaction outside a dialog, and request its Sighting. branches: the
    transactions of this INVITE by key, if there are several (a proxy forked it here, or it passes
    twice); waiting: those without a final response. refused: the latest refusal among them;
    rejected: the one that ended the attempt; challenged: count of challenges. response: a refusal
    of it. unheard: an INVITE with a repeated refusal, as to a caller that does not hear it, and
    this refusal; unheard_at: its latest copy. late_invites: INVITEs repeated after their 2xx.
    cancel: the CANCEL of the latest attempt. given_up: an INVITE without any response, and another
    one came after it.
    partial: its beginning was not seen. first: its first message, until the INVITE is there.
    reliable: a provisional response repeated for want of a PRACK (sip/reliable.py); prack: the
    latest PRACK; pracked_at: its latest copy; pracked: its number. misbranched: an ACK to the
    refusal has another branch than the INVITE (section 17.1.1.3). since, until: the side was
    captured between these (0, NEVER: all the time). Times in ns, 0 = not seen.
    """

    __slots__ = ("branches", "call", "caller_tag", "cancel", "cancelled_at", "challenged",
                 "current", "dialogs", "final_retransmissions", "first", "given_up", "invite",
                 "invite_retransmissions", "last_at", "late_invites", "misbranched",
                 "partial", "prack", "pracked", "pracked_at", "refused", "rejected", "reliable",
                 "request", "response", "side", "since", "started_at", "timed_out", "unheard",
                 "unheard_at", "unsolicited", "until", "waiting")  # fmt: skip

    def __init__(self, call: int, side: int, at: int) -> None:
        self.call = call
        self.side = side
        self.started_at = self.last_at = at
        self.since, self.until = 0, NEVER
        self.caller_tag = 0
        self.current: Dialog | None = None
        self.dialogs: tuple[Dialog, ...] = ()
        self.invite: Transaction | None = None
        self.request: Sighting | None = None
        self.first: Sighting | None = None
        self.response: Sighting | None = None
        self.branches = _NO_BRANCHES
        self.unheard: tuple[Transaction, Sighting] | None = None
        self.given_up: tuple[Transaction, Sighting] | None = None
        self.cancel: Transaction | None = None
        self.prack: Transaction | None = None
        self.reliable: Reliable | None = None
        self.unheard_at = self.pracked_at = 0
        self.pracked = b""
        self.waiting = self.refused = self.rejected = self.challenged = self.late_invites = 0
        self.cancelled_at = 0
        self.invite_retransmissions = self.final_retransmissions = 0
        self.timed_out = self.unsolicited = self.misbranched = False
        self.partial = True

    @property
    def unpracked(self) -> Reliable | None:
        """A reliable provisional response repeated for long, without a PRACK seen. An unanswered
        PRACK is a failed request.
        """
        one = self.reliable
        return one if one is not None and one.waits and not self.has_prack(one) else None

    @property
    def pracked_in_vain(self) -> Reliable | None:
        """A reliable provisional response repeated for long after its PRACK, or although each of
        its PRACKs is refused. A repeated PRACK without a response is a failed request."""
        one, prack = self.reliable, self.prack
        if one is None or not one.waits or not self.has_prack(one):
            return None
        if prack is not None and prack.requests > 1 and not prack.finals:
            return None
        if prack is not None and prack.status >= 300:
            return one
        return one if one.last_at - max(one.at, self.pracked_at) > LONG else None

    def has_prack(self, one: Reliable) -> bool:
        """A PRACK was seen since, or one with its number: it may come before the response is
        repeated."""
        return self.pracked_at >= one.at or self.pracked == one.rseq

    @property
    def answered_at(self) -> int:
        """ns, the answer to the latest INVITE of the current dialog."""
        return self.current.answered_at if self.current is not None else 0

    @property
    def acked_at(self) -> int:
        return self.current.acked_at if self.current is not None else 0

    @property
    def spoken(self) -> bool:
        """A 2xx was seen, or an ACK to one."""
        d = self.current
        return d is not None and bool(d.answered_at or d.confirmed)

    @property
    def ended_at(self) -> int:
        """ns, the answer to the BYE of the current dialog."""
        return self.current.ended_at if self.current is not None else 0

    @property
    def bye_at(self) -> int:
        return self.current.bye_at if self.current is not None else 0

    @property
    def silent(self) -> bool:
        """An INVITE in it got no response at all until Timer B."""
        return self.timed_out or (self.current is not None and self.current.silent)

    def unanswered(self) -> tuple[Transaction, Sighting] | None:
        """The INVITE waiting for its response, or once in vain: the pending re-INVITE, else the one
        outside a dialog."""
        d = self.current
        if d is not None and d.pending is not None:
            return d.pending
        if self.invite is not None and self.request is not None:
            return self.invite, self.request
        return None

    def by_caller(self, d: Dialog) -> bool:
        """True if the latest answered INVITE of d is the caller's: a re-INVITE may be the
        callee's."""
        return d.invite is None or d.invite.from_tag == self.caller_tag

    def gave_up(self, d: Dialog) -> bool:
        """True if the answerer of the latest INVITE ended the dialog."""
        return bool(d.bye_at) and d.bye_by_caller != self.by_caller(d)

    def crossed(self, copy: Sighting, t: Transaction | None, sent: bool) -> None:
        """This INVITE, of transaction t, crossed the router, so another one before it may be
        anybody's. sent: the phone sent it, and a PBX in the LAN may have had it before."""
        first = self.request
        if first is None or first.paired > 0:
            return
        was, row, other = first.row, copy.row, first.packed_ends[16:32]
        if was[TXN] == row[TXN]:
            if was[FLOW] == row[FLOW]:
                if abs(row[AT] - was[AT]) < WINDOW:  # nobody sends it again so soon
                    self.request = copy
                return
        elif was[CSEQ] != row[CSEQ] or (
            sent and other not in (copy.packed_ends[:16], copy.packed_ends[16:32])
        ):
            return
        self.request = copy
        if t is not None:
            t.belongs_to(copy)
            t.cseq = row[CSEQ]
            if t is not self.invite:
                self.invite, self.branches = t, _NO_BRANCHES
                self.waiting = min(self.waiting, 1)

    def add(self, d: Dialog) -> Dialog:
        """Add a dialog; it becomes the current one if there is none."""
        if self.current is None:
            self.current = d
        self.dialogs = (*self.dialogs, d)
        return d

    def of(self, row: Row) -> Dialog | None:
        """The dialog of a message with these tags; None without a match."""
        one, two = row[FROM_TAG], row[TO_TAG]
        for d in self.dialogs:
            if d.callee_tag == two or d.callee_tag == one or not d.callee_tag:
                return d
        return None

    def invite_of(self, key: int) -> Transaction | None:
        """The INVITE with this key (Transaction.key), still in its table or not."""
        if self.invite is not None and self.invite.key == key:
            return self.invite
        d = self.current
        if d is not None:
            if d.invite is not None and d.invite.key == key:
                return d.invite
            for open_ in (d.pending, d.crossed):
                if open_ is not None and open_[0].key == key:
                    return open_[0]
        return self.branches.get(key)

    def answers_nothing(self, t: Transaction) -> bool:
        """True if only responses were seen that this INVITE, which has their key, makes anew (see
        doubt.is_before())."""
        was = self.invite
        return was is not None and was is not t and was.key == t.key and not was.requests

    def is_branch(self, t: Transaction) -> bool:
        """True if t carries the current INVITE, on any path."""
        now = self.invite
        return now is not None and now.cseq == t.cseq and now.from_tag == t.from_tag

    def asked_late(self, batch: Batch, row: Row, i: int) -> None:
        """The INVITE came after its 2xx, with another Via: the capture began between them, and the
        caller does not take the 2xx."""
        d = self.current
        if d is not None and d.request is None and not d.acked_at:
            self.late_invites += 1
            d.request = batch.sighting(self.side, row, i)

    def asked(self, t: Transaction, copy: Sighting) -> None:
        """The INVITE of t came once more, and its first copy was not captured."""
        if self.invite is None:
            self.invite = t
        if t is self.invite:
            self.request = copy
        for d in self.dialogs:
            if d.invite is t and d.request is None:
                d.request = copy

    def is_to_refusal(self, row: Row) -> bool:
        """True for an ACK with the CSeq number and To tag of the refusal that ended the attempt."""
        if not self.rejected or self.spoken or self.response is None or self.invite is None:
            return False
        same = row[CSEQ] == self.invite.cseq and row[TO_TAG] == self.response.row[TO_TAG]
        return same and row[FROM_TAG] == self.invite.from_tag

    def refused_it(self, key: int) -> bool:
        """True if an ACK with this key is one to a refusal: its transaction was evicted, or the
        refusal came with another Via."""
        was = self.invite_of(key)
        return was is not None and (was.status >= 300 or bool(self.rejected))
