# SPDX-License-Identifier: Apache-2.0
"""Dialogs: the transactions of one side become dialogs (RFC 3261 sections 12 to 15)."""

from __future__ import annotations

from collections.abc import Callable
from itertools import islice

from algwatch.base.deadlines import NEVER
from algwatch.base.native.layout import (
    ACK,
    BYE,
    CANCEL,
    INVITE,
    PRACK,
    REFER,
    UPDATE,
)
from algwatch.base.packet import Batch
from algwatch.base.sighting import (
    AT,
    CALL,
    FROM_TAG,
    STATUS,
    TO_TAG,
    Row,
    Sighting,
)
from algwatch.base.table import Table
from algwatch.sip.ack import acked
from algwatch.sip.answer import answered, answered_again, granted, refreshed_unseen, refused
from algwatch.sip.bye import bye
from algwatch.sip.dialog import BY_BRANCH, NOT_ODD, DialogSet
from algwatch.sip.in_dialog import in_dialog
from algwatch.sip.reliable import noted
from algwatch.sip.session_timer import session_timer
from algwatch.sip.step import ENDED, REFRESHED, STARTED, UNANSWERED, Step
from algwatch.sip.timers import T4, TIMER_B
from algwatch.sip.transaction import (
    ACKED,
    FINAL,
    FINAL_AGAIN,
    NOT_HEARD,
    ORPHAN,
    PROVISIONAL,
    PROVISIONAL_AGAIN,
    REQUEST,
    REQUEST_AGAIN,
    TIMED_OUT,
    Event,
    Transaction,
)
from algwatch.sip.young import Young

MOST_BRANCHES = 8  # of one INVITE known by their keys
_NO_BRANCHES: dict[int, Transaction] = {}
_FIRST = (REQUEST, ORPHAN)  # the first event of a transaction
_ANSWERS = (FINAL, ORPHAN)
_UNHEARD = (TIMED_OUT, NOT_HEARD)
_LAST = (FINAL, *_UNHEARD)
_OPENS = (REQUEST, FINAL, ORPHAN)  # events of an unknown call


class Dialogs:
    """One side's dialog sets, by the hash of their Call-ID. limit: sets followed at once, and
    finished ones remembered, so a late echo opens no call anew. young: INVITEs without a set yet;
    None if each gets one at once."""

    def __init__(self, side: int, limit: int) -> None:
        self.side = side
        self.since, self.until = 0, NEVER  # ns; the side was captured from then until then
        self.table: Table[int, DialogSet] = Table(limit)
        self._over: Table[int, None] = Table(limit)
        self.young: Young | None = None

    def feed(self, events: list[Event], batch: Batch, rest: list[Event]) -> list[Step]:
        """Events of one batch to steps, in order; events without a call go to rest."""
        steps: list[Step] = []
        step = steps.append
        get, young = self.table.get, self.young
        for event in events:
            code, t, row, i = event
            method = t.method
            if method > CANCEL or not method:
                rest.append(event)
                if method in (UPDATE, PRACK):
                    in_dialog(get(row[CALL]), event, batch)
                if method == UPDATE:
                    self._update(event, batch, step)
                elif method == REFER and code == FINAL and row[STATUS] < 300:
                    self._transferred(t, row)
                continue
            s = get(row[CALL])
            if s is None:
                if young is not None:
                    if row[CALL] in young:
                        step(self.wake(row[CALL]))
                    elif (
                        t.unsolicited and code == REQUEST and method == INVITE and not row[TO_TAG]
                        and self._put_off(young, t, row, batch.sighting(self.side, row, i))
                    ):  # fmt: skip
                        continue
                    s = get(row[CALL])
                if s is None:
                    s = self._begun(code, t, row, i, batch)
                    if s is None:
                        if code == NOT_HEARD or (code == TIMED_OUT and method == BYE):
                            rest.append(event)  # the other side saw the end of the call
                        continue
                    step((s, STARTED, row))
            if code not in _UNHEARD:
                s.last_at = row[AT]
            if method == INVITE:
                if code == PROVISIONAL:
                    continue  # irrelevant to a dialog
                if s.invite is not None and code in _FIRST:
                    code = self._resumed(code, s, t, row)
                if code == REQUEST:
                    self._invited(s, t, row, i, batch)
                elif code in _ANSWERS:
                    answered(code, s, t, row, i, batch, step)
                elif code == FINAL_AGAIN:
                    answered_again(s, t, row, i, batch, step)
                elif code == REQUEST_AGAIN:
                    s.invite_retransmissions += 1
                    s.late_invites += 200 <= t.status < 300
                    if s.request is None:
                        s.asked(t, batch.sighting(self.side, row, i))
                elif code == ACKED:
                    if 200 <= t.status < 300:
                        acked(s, row, i, batch, step, BY_BRANCH)
                    elif not t.acked_at:
                        t.acked_at = row[AT]
                elif code == TIMED_OUT:
                    self._silent(s, t, row, step)
                elif code == PROVISIONAL_AGAIN and t is s.invite:
                    again = batch.sighting(self.side, row, i)
                    s.reliable = noted(s.reliable, again)
                    if t.again and s.request and again.destination != s.request.source:
                        t.response = t.response or again
            elif method == ACK:
                d = s.current
                sure = code == REQUEST_AGAIN or (d is not None and d.answered_at and not s.branches)
                if sure or not s.refused_it(t.key):
                    if s.is_to_refusal(row):
                        s.misbranched = True
                    else:
                        acked(s, row, i, batch, step, NOT_ODD)
            elif method == BYE:
                bye(code, s, t, row, i, batch, step)
                if code in _LAST:
                    rest.append(event)
            elif code == REQUEST:  # CANCEL: too late after a refusal (RFC 3261 section 9.1)
                if not s.rejected:
                    s.cancelled_at = row[AT]
                    s.cancel = t
                t.request = batch.sighting(self.side, row, i)
            elif code in _LAST:
                rest.append(event)
        return steps

    def _begun(self, code: int, t: Transaction, row: Row, i: int, batch: Batch) -> DialogSet | None:
        """The set of a Call-ID outside the table, None if it need not be there."""
        call, method = row[CALL], t.method
        if code not in _OPENS:
            return None  # the echo of a finished call
        if method == CANCEL and code != REQUEST:
            return None  # its response may come long after the call
        invited = method == INVITE and code == REQUEST
        if call in self._over and not (invited and not row[TO_TAG]):
            return None
        if method == BYE and self.table.evicted:
            return None  # of an evicted call: nothing could be concluded
        s = DialogSet(call, self.side, row[AT])
        s.since, s.until = self.since, self.until
        s.caller_tag = row[FROM_TAG]
        s.unsolicited = t.unsolicited
        strange = t.unsolicited or not invited
        if strange or len(self.table) >= self.table.limit:
            self.table.add(call, s, strange)
        else:
            self.table[call] = s
        s.first = batch.sighting(self.side, row, i)
        if invited:
            s.request = s.first
        return s

    def _put_off(self, young: Young, t: Transaction, row: Row, copy: Sighting) -> bool:
        """False: this INVITE needs its set now."""
        gone = young.put(t, row, copy)
        if gone:
            over = self._over
            for old in list(islice(over, max(0, len(over) + len(gone) - over.limit))):
                del over[old]
            over.update(dict.fromkeys(gone))
        return gone is not None

    def wake(self, call: int) -> Step:
        """The set of a young INVITE, as if it had been made when it came."""
        assert self.young is not None
        t, row, copy = self.young.pop(call)
        batch = Batch(b"", b"", b"", 0, 0, 0)
        batch.sightings[0] = copy
        s = self._begun(REQUEST, t, row, 0, batch)
        assert s is not None
        self._invited(s, t, row, 0, batch)
        return s, STARTED, row

    def advance(self, now: int) -> list[Step]:
        """now: ns; NEVER: all are followed from here on."""
        young, steps = self.young, []
        while young and young.due <= now:
            steps.append(self.wake(next(iter(young))))
        return steps

    def _invited(self, s: DialogSet, t: Transaction, row: Row, i: int, batch: Batch) -> None:
        """The first sighting of an INVITE transaction."""
        if not row[TO_TAG]:
            if s.partial and (s.invite is None or s.answers_nothing(t)):
                # Nothing of a call comes before it.
                s.current, s.dialogs, s.invite, s.response = None, (), None, None
                s.rejected = s.refused = s.challenged = 0
            s.partial = False
        if s.spoken:
            d = s.of(row) if row[TO_TAG] else None
            if not row[TO_TAG] and s.is_branch(t):
                s.asked_late(batch, row, i)
            if d is not None:
                d.refused = None
                d.crossed = d.pending
                d.pending = (t, batch.sighting(self.side, row, i))
                if d.timer is not None and not d.bye_at:
                    d.timer.try_(d.pending[1], t.from_tag == s.caller_tag)
            return
        if s.invite is None:
            if s.request is None:
                s.request = batch.sighting(self.side, row, i)
            s.invite = t
            s.waiting += 1
            s.cancelled_at = 0
            s.cancel = None
            return
        was = s.invite
        gone = s.timed_out or (not was.answered_at and t.at - was.at >= TIMER_B)
        branch = s.is_branch(t) and not gone
        if gone and s.request is not None:
            s.given_up = was, s.request  # its sender turns to the next server (RFC 3263)
        s.waiting = s.waiting + 1 if branch else 1
        if not branch:
            s.branches = _NO_BRANCHES
            s.cancelled_at = 0
            s.cancel = None
            s.timed_out = False
        elif len(s.branches) < MOST_BRANCHES:
            s.branches = s.branches or {s.invite.key: s.invite}
            s.branches[t.key] = t
        if branch and not s.rejected:
            return
        s.request = batch.sighting(self.side, row, i)
        s.invite = t
        s.refused = s.rejected if branch else 0
        s.rejected = 0

    @staticmethod
    def _resumed(code: int, s: DialogSet, t: Transaction, row: Row) -> int:
        """The code, had the table kept the transaction t begins anew. It was evicted if its time
        was not over; another key is another branch."""
        was = s.invite_of(t.key)
        if was is None or was.cseq != t.cseq or (s.partial and s.answers_nothing(t)):
            return code
        over = was.last_at + T4 if was.final_at else was.at + TIMER_B
        if 200 <= was.status < 300:  # a caller that does not hear it sends until Timer B
            over = max(over, was.at + TIMER_B)
        if t.at >= over and (was.final_at or not was.provisional_at):
            return code
        answered = was.final_at
        t.resume(was)
        d = s.current
        if was is s.invite:
            s.invite = t
        if d is not None:
            if was is d.invite:
                d.invite = t
            elif d.pending is not None and was is d.pending[0]:
                d.pending = (t, d.pending[1])
            elif d.crossed is not None and was is d.crossed[0]:
                d.crossed = (t, d.crossed[1])
        if t.key in s.branches:
            s.branches[t.key] = t
        if code == REQUEST:
            return REQUEST_AGAIN
        if row[STATUS] < 200:
            return PROVISIONAL
        return FINAL_AGAIN if answered else FINAL

    def _update(self, event: Event, batch: Batch, step: Callable[[Step], None]) -> None:
        """An UPDATE inside a dialog (RFC 3311): an answered one refreshes the session."""
        code, t, row, i = event
        s = self.table.get(row[CALL])
        d = s.of(row) if s is not None else None
        if s is None or d is None or not d.answered_at:
            return
        if code == FINAL and row[STATUS] >= 300:
            t.acked_at = row[AT]  # Dialog.denied tells of it
        if d.bye_at:
            return  # nothing refreshes it
        if code == REQUEST:
            if d.timer is not None:
                d.timer.try_(batch.sighting(self.side, row, i), t.from_tag == s.caller_tag)
        elif code == FINAL and row[STATUS] >= 300:
            refused(s, d, t.request, row, i, batch, step)
        elif code == ORPHAN and row[STATUS] >= 200:
            refreshed_unseen(s, d, t, row, i, batch, step)
        elif code == FINAL:
            answer = batch.sighting(self.side, row, i)
            d.timer = session_timer(answer, t.from_tag == s.caller_tag)
            d.disowned = None
            if t.request is not None:
                granted(d, t.request, answer)
            if d is s.current:
                step((s, REFRESHED, row))

    def _transferred(self, t: Transaction, row: Row) -> None:
        """A REFER was accepted: its sender goes on with a transfer, which ends the call as well."""
        s = self.table.get(row[CALL])
        d = s.of(row) if s is not None else None
        if d is not None and d.refused is not None and not d.bye_at:
            asked, _ = d.refused
            if asked.row[FROM_TAG] == t.from_tag:
                d.refused = None

    @staticmethod
    def _silent(s: DialogSet, t: Transaction, row: Row, step: Callable[[Step], None]) -> None:
        """Timer B of an INVITE: of the call itself if no branch is left to be answered. If its
        sender accepted a response with another Via, it has its response and waits on."""
        if t.taken(row[AT]) or (t.provisional_at and (s.timed_out or s.branches)):
            return
        if s.given_up is not None and s.given_up[0] is t:
            return
        d = s.current
        if d is not None and d.waits_for(t):
            d.silent = True
            step((s, UNANSWERED, row))
            return
        if s.waiting:
            s.waiting -= 1
        if s.waiting or s.spoken:
            return
        if s.refused:
            s.rejected = s.refused
            step((s, ENDED, row))
        else:
            s.timed_out = True
            step((s, UNANSWERED, row))

    def forget(self, s: DialogSet) -> None:
        if self.table.get(s.call) is s:
            del self.table[s.call]
            if len(self._over) < self._over.limit:
                self._over[s.call] = None
            else:
                self._over.add(s.call, None)
