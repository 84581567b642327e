"""Dialogs begun by INVITE, as one side of the router sees them (RFC 3261 sections 12 to 15)."""

from __future__ import annotations

from collections.abc import Callable

from algwatch.base.native.layout import ACK, BYE, CANCEL, INVITE
from algwatch.base.packet import Batch
from algwatch.base.sighting import (
    AT,
    CALL,
    CSEQ,
    FROM_TAG,
    STATUS,
    TO_TAG,
    Row,
    Sighting,
)
from algwatch.base.table import Table
from algwatch.sip.timers import T4, TIMER_B
from algwatch.sip.transaction import (
    ACKED,
    FINAL,
    FINAL_AGAIN,
    ORPHAN,
    REQUEST,
    REQUEST_AGAIN,
    TIMED_OUT,
    Event,
    Transaction,
)

# What happened to a dialog that somebody above may have to look at: (dialog, code, row).
STARTED = 0
ANSWERED = 1  # first 2xx of the current INVITE
REPEATED = 2  # the 2xx came once more
CONFIRMED = 3  # first ACK to that 2xx
ENDED = 4  # BYE answered, or the INVITE got a non-2xx final response
UNANSWERED = 5  # Timer B
BYE_SENT = 6

Step = tuple["Dialog", int, Row]

FORKS = 8  # legs of one INVITE that are known by their keys
_NO_FORKS: dict[int, Transaction] = {}
_FIRST = (REQUEST, ORPHAN)  # the events with which a transaction begins


class Dialog:
    """One Call-ID on one side.

    call: hash of the Call-ID; side; invite: the latest INVITE transaction; cseq: its number.
    Times in ns, 0 = not seen. invites and answers count transactions and 2xx of any INVITE in
    it; *_retransmissions count what came once more. acked_at, acked_last: the first and the latest
    ACK to the current 2xx. partial: its beginning was not seen.
    request, answer, ack: Sightings of the current INVITE, its first 2xx and the first ACK, kept
    as long as a verdict may need them.

    A proxy forks one INVITE to several phones, here behind one router, and a call through the
    provider back into the house passes twice: legs counts those without a final response, refused
    is the latest refusal among them, other_tag the To tag of a second one that was answered too.
    forks: their transactions by key, where there were several. again: a re-INVITE that has no
    final response, which changes nothing until it has a 2xx.
    """

    __slots__ = (
        "ack",
        "acked_at",
        "acked_last",
        "again",
        "answer",
        "answer_last",
        "answer_tag",
        "answered_at",
        "answers",
        "bye",
        "bye_at",
        "bye_by_caller",
        "call",
        "caller_tag",
        "cancelled_at",
        "ended_at",
        "established",
        "final_retransmissions",
        "first",
        "forks",
        "invite",
        "invite_retransmissions",
        "last_at",
        "legs",
        "other_tag",
        "partial",
        "refused",
        "rejected",
        "request",
        "side",
        "started_at",
        "timed_out",
        "unsolicited",
    )  # fmt: skip

    def __init__(self, call: int, side: int, at: int) -> None:
        self.call = call
        self.side = side
        self.started_at = self.last_at = at
        self.invite: Transaction | None = None
        self.request: Sighting | None = None
        self.first: Sighting | None = None
        self.answer: Sighting | None = None
        self.ack: Sighting | None = None
        self.bye: Sighting | None = None
        self.again: tuple[Transaction, Sighting] | None = None
        self.forks = _NO_FORKS
        self.caller_tag = self.answer_tag = self.other_tag = 0
        self.legs = self.refused = 0
        self.answered_at = self.answer_last = self.acked_at = self.acked_last = 0
        self.bye_at = self.ended_at = self.cancelled_at = 0
        self.answers = self.rejected = 0
        self.invite_retransmissions = self.final_retransmissions = 0
        self.bye_by_caller = self.established = self.timed_out = False
        self.partial = True
        self.unsolicited = False

    @property
    def by_caller(self) -> bool:
        """Whether the current INVITE is the caller's: a re-INVITE may be the callee's."""
        return self.invite is None or self.invite.from_tag == self.caller_tag

    @property
    def gave_up(self) -> bool:
        """Whether who answered the current INVITE ended the dialog."""
        return bool(self.bye_at) and self.bye_by_caller != self.by_caller

    def invite_of(self, key: int) -> Transaction | None:
        """The INVITE with that key (Transaction.key), whether it is still in its table or not."""
        if self.invite is not None and self.invite.key == key:
            return self.invite
        if self.again is not None and self.again[0].key == key:
            return self.again[0]
        return self.forks.get(key)

    def refused_it(self, key: int) -> bool:
        """Whether an ACK with that key is one to a refusal: then its transaction had to go."""
        was = self.invite_of(key)
        return was is not None and was.status >= 300

    def repeated_since(self, at: int) -> bool:
        """Whether the 2xx of the current INVITE came again after at (ns)."""
        return self.answer_last > at


class Dialogs:
    """One side's dialogs. limit: how many are followed at once."""

    def __init__(self, side: int, limit: int) -> None:
        self.side = side
        self.table: Table[int, Dialog] = Table(limit)

    def feed(self, events: list[Event], batch: Batch) -> list[Step]:
        """Events of one batch to steps of dialogs, in order."""
        steps: list[Step] = []
        step = steps.append
        get = self.table.get
        for code, t, row, i in events:
            method = t.method
            if method > CANCEL or not method:
                continue
            at = row[AT]
            d = get(row[CALL])
            if d is None:
                if code not in (REQUEST, FINAL, ORPHAN):
                    continue  # the echo of a call that is over
                if method == BYE and self.table.evicted:
                    continue  # of a call that had to go: nothing could be said of it
                d = Dialog(row[CALL], self.side, at)
                d.caller_tag = row[FROM_TAG]
                d.unsolicited = t.unsolicited
                self.table.add(row[CALL], d, t.unsolicited)
                if method == INVITE and code == REQUEST:
                    d.first = d.request = batch.sighting(self.side, row, i)
                else:
                    d.first = batch.sighting(self.side, row, i)
                step((d, STARTED, row))
            if code != TIMED_OUT:
                d.last_at = at
            if method == INVITE:
                if d.invite is not None and code in _FIRST:
                    code = self._resumed(code, d, t, row)
                if code == REQUEST:
                    self._invited(d, t, row, i, batch)
                elif code in (FINAL, ORPHAN):
                    self._answered(code, d, t, row, i, batch, step)
                elif code == FINAL_AGAIN:
                    if t is not d.invite or not d.answered_at:
                        # A call through the provider back into the house has two legs here.
                        if not self._is_leg(d, t) or not d.answered_at:
                            d.final_retransmissions += 1
                    elif row[TO_TAG] == d.answer_tag:
                        self._repeated(d, row, i, batch, step)
                    else:  # another phone took the same call (section 13.2.2.4)
                        d.other_tag = row[TO_TAG]
                        t.finals -= 1
                elif code == REQUEST_AGAIN:
                    d.invite_retransmissions += 1
                elif code == TIMED_OUT:
                    self._silent(d, t, row, step)
            elif d.other_tag and d.other_tag in (row[FROM_TAG], row[TO_TAG]):
                continue
            elif method == ACK:
                if code == REQUEST and (not d.answered_at or d.forks) and d.refused_it(t.key):
                    continue
                d.acked_last = at
                current = d.invite is None or row[CSEQ] == d.invite.cseq
                if code == REQUEST and not d.acked_at and current:
                    d.acked_at = at
                    d.established = True
                    if not d.ended_at:
                        d.ack = batch.sighting(self.side, row, i)
                    step((d, CONFIRMED, row))
            elif method == BYE:
                if code == REQUEST:
                    if not d.bye_at:
                        d.bye_at = at
                        d.bye_by_caller = row[FROM_TAG] == d.caller_tag
                        if not d.acked_at or d.answer_last > d.acked_at:
                            d.bye = batch.sighting(self.side, row, i)
                        step((d, BYE_SENT, row))
                elif code in (FINAL, ORPHAN) and not d.ended_at:
                    d.ended_at = at
                    step((d, ENDED, row))
            elif code == REQUEST:  # CANCEL
                d.cancelled_at = at
        return steps

    def _invited(self, d: Dialog, t: Transaction, row: Row, i: int, batch: Batch) -> None:
        """The first sighting of an INVITE transaction."""
        if not row[TO_TAG]:
            d.partial = False
        if d.invite is None and not d.established:
            if d.request is None:
                d.request = batch.sighting(self.side, row, i)
            d.invite = t
            d.legs += 1
        elif d.answered_at or d.established:
            if row[TO_TAG]:
                d.again = (t, batch.sighting(self.side, row, i))
        else:
            leg = self._is_leg(d, t)
            d.legs = d.legs + 1 if leg else 1
            self._fork(d, t, leg)
            if leg and not d.rejected:
                return
            d.request = batch.sighting(self.side, row, i)
            d.invite = t
            d.refused = d.rejected if leg else 0
            d.rejected = 0

    @staticmethod
    def _fork(d: Dialog, t: Transaction, leg: bool) -> None:
        if not leg:
            d.forks = _NO_FORKS
        elif d.invite is not None and len(d.forks) < FORKS:
            d.forks = d.forks or {d.invite.key: d.invite}
            d.forks[t.key] = t

    @staticmethod
    def _resumed(code: int, d: Dialog, t: Transaction, row: Row) -> int:
        """What code would have been, had the table kept the transaction with which t begins anew.
        It had to go for want of room if its time was not over; another key is another branch."""
        was = d.invite_of(t.key)
        if was is None:
            return code
        over = was.last_at + T4 if was.final_at else was.at + TIMER_B
        if t.at >= over and (was.final_at or not was.provisional_at):
            return code
        answered = was.final_at
        t.resume(was)
        if was is d.invite:
            d.invite = t
        elif d.again is not None and was is d.again[0]:
            d.again = (t, d.again[1])
        if t.key in d.forks:
            d.forks[t.key] = t
        if code == REQUEST:
            return REQUEST_AGAIN
        if row[STATUS] < 200:
            return ACKED  # nothing that a dialog has to know
        return FINAL_AGAIN if answered else FINAL

    @staticmethod
    def _is_leg(d: Dialog, t: Transaction) -> bool:
        """Whether t carries the current INVITE, on whatever way."""
        now = d.invite
        return now is not None and now.cseq == t.cseq and now.from_tag == t.from_tag

    def _answered(self, code: int, d: Dialog, t: Transaction, row: Row, i: int, batch: Batch,
                  step: Callable[[Step], None]) -> None:  # fmt: skip
        """The first final response of an INVITE transaction."""
        status = row[STATUS]
        if code == ORPHAN:
            if d.invite is None:
                d.invite = t
            elif d.answered_at and row[TO_TAG] == d.answer_tag and t.cseq == d.invite.cseq:
                # Two of its retransmissions were lost, and the transaction was given up here.
                t.finals += d.invite.finals
                d.invite = t
                self._repeated(d, row, i, batch, step)
                return
            if t is not d.invite or status < 200:
                return
        elif d.again is not None and t is d.again[0]:
            if status < 300:
                d.request = d.again[1]
                d.invite = t
                d.acked_at = d.acked_last = 0
                d.ack = None
                d.timed_out = False
                self._accepted(d, row, i, batch, step)
            d.again = None  # refused, it leaves the dialog as it was (section 14.1)
            return
        elif d.legs:
            d.legs -= 1
        if status < 300:
            if t is not d.invite and d.answered_at:
                if d.invite is not None and t.cseq == d.invite.cseq and row[TO_TAG] != d.answer_tag:
                    d.other_tag = row[TO_TAG]
                return
            d.invite = t
            self._accepted(d, row, i, batch, step)
        elif not d.answered_at and not d.established:
            d.refused = status
            if not d.legs:
                d.rejected = status
                step((d, ENDED, row))

    def _accepted(self, d: Dialog, row: Row, i: int, batch: Batch,
                  step: Callable[[Step], None]) -> None:  # fmt: skip
        d.answered_at = d.answer_last = row[AT]
        d.answer_tag = row[TO_TAG]
        d.answers += 1
        d.answer = batch.sighting(self.side, row, i)
        step((d, ANSWERED, row))

    def _repeated(self, d: Dialog, row: Row, i: int, batch: Batch,
                  step: Callable[[Step], None]) -> None:  # fmt: skip
        d.final_retransmissions += 1
        d.answer_last = row[AT]
        if d.answer is None:  # let go when it was acknowledged, needed again now
            d.answer = batch.sighting(self.side, row, i)
        step((d, REPEATED, row))

    @staticmethod
    def _silent(d: Dialog, t: Transaction, row: Row, step: Callable[[Step], None]) -> None:
        """Timer B of an INVITE: of the call itself when no leg is left that may be answered."""
        if d.again is not None and t is d.again[0]:
            d.timed_out = True
            step((d, UNANSWERED, row))
            return
        if d.legs:
            d.legs -= 1
        if d.legs or d.answered_at or d.established:
            return
        if d.refused:
            d.rejected = d.refused
            step((d, ENDED, row))
        else:
            d.timed_out = True
            step((d, UNANSWERED, row))

    def forget(self, dialog: Dialog) -> None:
        if self.table.get(dialog.call) is dialog:
            del self.table[dialog.call]
