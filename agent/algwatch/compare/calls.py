# SPDX-License-Identifier: Apache-2.0
"""Calls: the dialog sets of both sides become calls, and each call announces its moments to
judge."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator
from itertools import islice

from algwatch.base.deadlines import Alarms, Deadlines, Waiting
from algwatch.base.native.layout import BYE
from algwatch.base.sighting import AT, CALL, METHOD, STATUS, Sighting
from algwatch.base.table import Table
from algwatch.compare.ack import went_to_the_end
from algwatch.compare.astray import is_astray, part
from algwatch.compare.call import Call
from algwatch.compare.crossing import Crossing
from algwatch.compare.misdelivered import ack_misdelivered
from algwatch.compare.outcome import REPEATS, ack_ignored, ack_of, is_over
from algwatch.compare.weights import call as weigh
from algwatch.sip.dialog import DialogSet
from algwatch.sip.step import (
    ANSWERED,
    BYE_SENT,
    CHALLENGED,
    CONFIRMED,
    ENDED,
    REFRESHED,
    REPEATED,
    STARTED,
    UNANSWERED,
    Step,
)
from algwatch.sip.timers import ACK_WAIT, SECOND, T2, T4, TIMER_B, TIMER_F, WINDOW
from algwatch.sip.young import Young

# Moments of a call, told to later stages as (call, moment).
PREDICTED = 0  # a 2xx got no ACK, or a session no refresh: the call will drop
JUDGED = 1  # it ended, or its time for an ACK is over: judge it
CLOSED = 2  # nothing more will come: summarise it
RELIEVED = 3  # the missing message of a predicted drop came late
WARNINGS = (PREDICTED, RELIEVED)

Moment = tuple[Call, int]
Answer = tuple[Call, int]  # a call and when (ns) it was answered

_TIMED = (ANSWERED, REFRESHED)  # a session timer may begin anew


class Calls:
    """Steps of dialog sets and crossings in, moments out. limit: calls followed at once. forgets: a
    call was evicted. drop: called with each dialog set of an evicted call. keeps: the announced
    media are kept as long as the call. young, wake: of Dialogs with young INVITEs."""

    def __init__(self, two_sided: bool, limit: int) -> None:
        self.two_sided = two_sided
        # A call stands under each of its keys.
        self.table: Table[int, Call] = Table(limit, weigh, self._gone)
        room = 2 * limit
        self._soon: Deadlines[Call] = Deadlines(2 * WINDOW, room, self._living)
        # The 2xx is first repeated after T1: one second without a repeat is enough.
        self._confirmed: Deadlines[Call] = Deadlines(SECOND, room, self._living)
        self._settle: Deadlines[Call] = Deadlines(SECOND, room, self._living)
        self._linger: Deadlines[Call] = Deadlines(T4, room, self._living)
        # A caller may have to type its password after a challenge.
        self._challenged: Deadlines[Call] = Deadlines(3 * TIMER_B, room, self._living)
        self._unanswered: Deadlines[Call] = Deadlines(TIMER_F, room, self._living)
        self._ack_wait: Deadlines[Answer] = Deadlines(ACK_WAIT + SECOND, room, self._living_answers)
        # An ACK came late. Without a 2xx after it, the callee has it.
        self._relieved: Deadlines[Call] = Deadlines(T2 + SECOND, room, self._living)
        self._refresh: Alarms[Call] = Alarms(room, self._living)
        self._refreshed: Deadlines[Call] = Deadlines(2 * WINDOW, room, self._living)
        self._queues = (self._relieved, self._refresh, self._refreshed, self._soon,
                        self._confirmed, self._settle, self._linger, self._challenged,
                        self._unanswered)  # fmt: skip
        self._evicted: list[Call] = []
        # The latest redirected calls: their callers now call the new target.
        self._redirected: deque[Call] = deque(maxlen=16)
        self.drop: Callable[[DialogSet], None] | None = None
        self.forgets = self.keeps = False
        self.young: Young | None = None
        self.wake: Callable[[int], Step] | None = None

    @property
    def due(self) -> int:
        """ns; advance() does nothing before it."""
        if self._evicted:
            return 0
        return min(self._ack_wait.next, *[queue.next for queue in self._queues])

    def tidy(self) -> None:
        """Drop queued calls no longer in the table."""
        self._ack_wait.tidy()
        for queue in self._queues:
            queue.tidy()

    def sort(self) -> None:
        """Steps of believed messages came late."""
        self._ack_wait.sort()
        for queue in self._queues:
            if isinstance(queue, Deadlines):
                queue.sort()

    def feed(self, steps: list[Step]) -> None:
        """Steps of one side, in order. Moments come from advance(), when both sides are there."""
        get = self.table.get
        confirmed, settle, linger = self._confirmed.add, self._settle.add, self._linger.add
        for s, code, row in steps:
            call = get(s.call)
            if call is None:
                call = self._woken(s.call) if self.young else None
                call = call or self._begun(s.call, s.first or s.request, s.unsolicited, s.partial)
                if call is None:
                    continue
            if call.sides[s.side] is not s:
                if len(call.keys) > 1 and is_astray(call, s):
                    continue
                call.sides[s.side] = s
            at = row[AT]
            if code == STARTED:
                if s.request is not None:
                    s.first = None
                continue
            d = s.current
            if code == CONFIRMED:
                confirmed(at, call)
                if call.predicted:
                    self._relieved.add(at, call)
            elif code == BYE_SENT:
                settle(at, call)
            elif code in _TIMED:
                if d is not None and d.timer is not None:
                    self._watch(call, d.timer.overdue_at, at)
                if call.overdue:
                    self._refreshed.add(at, call)
            elif code == REPEATED:
                # A 2xx without a repeat is not judged for its ACK (see ack_of).
                if d is not None:
                    if d.answers == 2:
                        self._ack_wait.add(d.answered_at, (call, d.answered_at))
                    if not call.predicted and d.answers > REPEATS:
                        self._soon.add(at, call)
            else:  # ENDED, UNANSWERED, CHALLENGED
                if code == ENDED and 300 <= row[STATUS] < 400 and call not in self._redirected:
                    self._redirected.append(call)
                # No message came, so nothing else starts the closing of the call.
                if code == UNANSWERED:
                    call.unjudged = True
                if code == UNANSWERED or d is None or not d.bye_at or d.bye_status >= 300:
                    settle(at, call)
                if code == CHALLENGED:
                    self._challenged.add(at, call)
                else:
                    linger(at, call)
                if len(s.dialogs) > 1:
                    self._unanswered.add(at, call)

    def _begun(self, key: int, first: Sighting | None, unsolicited: bool,
               partial: bool) -> Call | None:  # fmt: skip
        if first is None:
            return None
        call = Call(key, first, self.two_sided)
        call.unsolicited = unsolicited
        for one in self._redirected:
            if call.from_ == one.from_ and 0 <= first.row[AT] - one.last_at <= T4:
                one.followed = True
        strange = unsolicited or partial
        if strange or len(self.table) >= self.table.limit:
            self.table.add(key, call, strange)
        else:
            self.table[key] = call
        return call

    def _woken(self, key: int) -> Call | None:
        """The call with this key, made now if its INVITE is young."""
        if self.young and key in self.young and self.wake is not None:
            self.feed([self.wake(key)])
        return self.table.get(key)

    def all(self) -> list[Call]:
        """The followed calls."""
        return list(dict.fromkeys(self.table.values()))

    def latest(self, count: int) -> Iterator[Call]:
        """The latest calls, at most count."""
        return islice(reversed(self.table.values()), count)

    def lose(self, s: DialogSet) -> None:
        """A dialog set was evicted. Its call goes with it: the other side alone would be judged
        wrongly."""
        call = self.table.get(s.call)
        if call is not None and call.sides[s.side] is s:
            self.table.evict(s.call, call.unsolicited)

    def _gone(self, call: Call) -> None:
        for s in (*call.sides, *call.astray):
            if s is not None and self.drop is not None:
                self.drop(s)
        call.cut_off = True
        if not call.unsolicited:
            self.forgets = True
            self._forget(call)
            self._evicted.append(call)

    def closed(self) -> list[Moment]:
        """Calls evicted since the last look."""
        gone, self._evicted = self._evicted, []
        return [(call, CLOSED) for call in gone]

    def cross(self, crossing: Crossing) -> Call | None:
        """Attach a crossing to its call; returns this call, if any."""
        entered, left = crossing.entered.row, crossing.left.row
        key = entered[CALL]
        if key == left[CALL]:
            call = self.table.get(key) or (self._woken(key) if self.young else None)
        else:
            lan, wan = (entered, left) if crossing.outbound else (left, entered)
            call = self._joined(lan[CALL], wan[CALL], entered[AT])
        if call is None:
            return None
        if not call.paired and crossing.flow_pair is not None:
            call.host = crossing.entered.packed_ends[:16]
        call.cross(crossing)
        if (
            call.unsolicited
            and crossing.flow_pair is not None
            and (call.inbound is not None or _is_known_inside(crossing))
        ):
            call.unsolicited = False
        call.settled = not crossing.rewritten and call.oriented and call.paired and not (
            call.headers or call.names is not None or call.unsolicited
        )  # fmt: skip
        return call

    def _joined(self, lan: int, wan: int, at: int) -> Call | None:
        """The one call of a message whose Call-ID the router changed."""
        one, two = self._woken(lan), self._woken(wan)
        if one is two:
            return one
        if one is None or two is None:
            call, key = (one, wan) if one is not None else (two, lan)
            assert call is not None
            self.table.add(key, call)
            call.keys = (*call.keys, key)
            return call
        if two.started_at < one.started_at:
            one, two = two, one
        if not (one.absorb(two) or part(one, two, lan, wan)):
            return one
        for key in two.keys:
            self.table[key] = one
        # The absorbed call may have been queued.
        self._settle.add(at, one)
        for s in one.seen:
            d = s.current
            if d is not None and d.answers > 1:
                self._ack_wait.add(d.answered_at, (one, d.answered_at))
        return one

    def advance(self, now: int) -> list[Moment]:
        """now: every tap has passed this moment (ns)."""
        moments: list[Moment] = []
        for call in self._soon.due(now):
            if not call.predicted and self._is_live(call):
                call.predicted = True
                moments.append((call, PREDICTED))
        for call in self._refresh.due(now):
            if self._is_live(call) and self._is_overdue(call, now):
                moments.append((call, PREDICTED))
        moments += [(call, RELIEVED) for call in self._came_late(now)]
        # Mostly both sides of a call are due at once.
        for call in dict.fromkeys(self._confirmed.due(now)):
            if self._is_live(call) and not ack_misdelivered(call):
                call.let_go(self.keeps)
        for call, answered_at in self._ack_wait.due(now):
            d = s.current if (s := call.near_callee) is not None else None
            # A callee that fell silent may have had its ACK before: its BYE, or the end, decides.
            waits = d is not None and d.answered_at == answered_at and not d.bye_at
            waits = waits and d is not None and went_to_the_end(d)
            if waits and self._is_live(call) and ack_of(call, now) != "seen":
                moments.append((call, JUDGED))
        for call in dict.fromkeys(self._settle.due(now)):
            if not self._is_live(call):
                continue
            call.unjudged = False
            if not call.is_plain or call.predicted or call.overdue:
                moments.append((call, JUDGED))
            if not is_over(call, now):
                self._unanswered.add(now, call)  # a BYE that may never be answered
        for call in (*self._linger.due(now), *self._unanswered.due(now),
                     *self._challenged.due(now)):  # fmt: skip
            if not self._is_live(call):
                continue
            if not is_over(call, now):
                if call.is_forked:
                    self._unanswered.add(now, call)
                if call.disowned is not None:
                    moments.append((call, JUDGED))
                continue
            unheard = call.is_unheard
            if now - call.last_at <= (T4 if unheard else self._settle.delay):
                self._linger.add(now, call)  # it ended just now, and is not judged yet
                continue
            if unheard or call.unjudged or call.is_forked:
                moments.append((call, JUDGED))
            self._forget(call)
            moments.append((call, CLOSED))
        return moments + self.closed()

    def _watch(self, call: Call, due: int, now: int) -> None:
        """Look at the session when its refresh is overdue (due, ns). A call has one alarm, and a
        second only if the first would come much too late."""
        if not call.alarm_at or due - now < (call.alarm_at - now) // 2:
            call.alarm_at = due
            self._refresh.add_due(due, call)

    def _is_overdue(self, call: Call, now: int) -> bool:
        """True if this is news. A session refreshed meanwhile is watched on."""
        if now >= call.alarm_at:
            call.alarm_at = 0
        if call.overdue:
            return False
        if call.is_overdue(now):
            call.overdue = call.was_overdue = True
            return True
        timers = [s.current.timer for s in call.seen if s.current is not None]
        due = max((t.overdue_at for t in timers if t is not None), default=0)
        if due > now and not call.alarm_at:
            self._watch(call, due, now)
        return False

    def _came_late(self, now: int) -> list[Call]:
        """Calls predicted to drop and now safe."""
        relieved: list[Call] = []
        for call in dict.fromkeys(self._relieved.due(now)):
            d = s.current if (s := call.near_callee) is not None else None
            if not call.predicted or d is None or not self._is_live(call):
                continue
            if ack_of(call, now) == "seen" and not ack_ignored(call, now) and not d.bye_at:
                call.predicted = False
                relieved.append(call)
        for call in dict.fromkeys(self._refreshed.due(now)):
            if call.overdue and self._is_live(call) and not call.is_overdue(now):
                call.overdue = False
                relieved.append(call)
        return relieved

    def finish(self, now: int) -> list[Moment]:
        """The capture is over at now (ns): close each remaining call as it stands. They stay in the
        table, for whatever is judged beside them."""
        moments = self.closed()
        for call in self.all():
            if not call.is_plain or call.is_overdue(now):
                moments.append((call, JUDGED))
            moments.append((call, CLOSED))
        return moments

    def _forget(self, call: Call) -> None:
        for key in call.keys:
            if self.table.get(key) is call:
                del self.table[key]

    def _is_live(self, call: Call) -> bool:
        return self.table.get(call.keys[0]) is call

    def _living(self, waiting: Waiting[Call]) -> list[tuple[int, Call]]:
        current = self.table.get
        return [item for item in waiting if current(item[1].keys[0]) is item[1]]

    def _living_answers(self, waiting: Waiting[Answer]) -> list[tuple[int, Answer]]:
        return [item for item in waiting if self._is_live(item[1][0])]


def _is_known_inside(crossing: Crossing) -> bool:
    """A phone here accepted the BYE of a call without a captured INVITE: the call is its own. It
    would answer 481 to an unknown BYE."""
    row = crossing.entered.row
    return crossing.outbound and row[METHOD] == BYE and 200 <= row[STATUS] < 300
