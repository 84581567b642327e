"""Call: the dialogs of one call on both sides of the router, joined."""

from __future__ import annotations

from algwatch.base.deadlines import Deadlines, Waiting
from algwatch.base.native import INVITE, METHOD_NAMES
from algwatch.base.packet import LAN, UNKNOWN, WAN
from algwatch.base.sighting import AT, CALL, FROM_TAG, METHOD, STATUS, Sighting
from algwatch.base.table import Table
from algwatch.compare.crossing import Crossing
from algwatch.compare.rewrite import rewrites
from algwatch.compare.way import Way
from algwatch.sip.dialog import (
    ANSWERED,
    BYE_SENT,
    CONFIRMED,
    ENDED,
    REPEATED,
    STARTED,
    UNANSWERED,
    Dialog,
    Step,
)
from algwatch.sip.message import Message, parties
from algwatch.sip.timers import ACK_WAIT, SECOND, T2, T4, TIMER_B, TIMER_F, WINDOW

# What the stages above are told: (call, moment).
PREDICTED = 0  # the 2xx keeps coming and no ACK got through: it will drop
JUDGED = 1  # it ended, or its time for an ACK is over: say what happened
CLOSED = 2  # nothing more will come: the summary

Moment = tuple["Call", int]
Answer = tuple["Call", int]  # a call and when (ns) it was answered

# A 2xx that came three times has waited T1 + 2*T1 = 1.5 s for its ACK: longer than a path is long.
REPEATS = 2
REWRITTEN = 8  # rewritten messages that a call keeps as evidence


# By status, of which the class counts, and method: what kind of message it is within its call.
_CLASSES = [[f"{c}xx {name}" if c else name for name in METHOD_NAMES] for c in range(10)]
_LABELS = [_CLASSES[status // 100] for status in range(1000)]
_KEPT = frozenset(("INVITE", "2xx INVITE", "ACK", "BYE"))

_OVER = (ENDED, UNANSWERED)
_NO_CROSSINGS: dict[str, Crossing] = {}
_NO_WAYS: dict[str, Way] = {}


class Call:
    """key: hash of the Call-ID; call_id, from_, to: text. dialogs: by side (LAN, WAN, UNKNOWN).
    inbound: the callee is in the LAN; None while nobody knows. answered_inside: the latest INVITE
    that was answered went into the LAN: a re-INVITE of the callee goes the other way.

    By label: ways, on which the latest crossed; lonely: messages whose other copy never came;
    changed: rewritten ones, the first and those that the mapping does not explain; forced:
    inbound ones that went to another LAN port than the mapping says. headers: what was rewritten
    as the mapping says, in any message; unexplained: something was that it does not. stranger:
    see sip/strangers.py; nobody is told when one is forgotten. paired: a message of it crossed.
    """

    __slots__ = ("call_id", "changed", "dialogs", "forced", "from_", "headers",
                 "inbound", "key", "lonely", "paired", "predicted", "stranger", "to",
                 "two_sided", "unexplained", "ways")  # fmt: skip

    def __init__(self, key: int, first: Sighting, two_sided: bool) -> None:
        self.key = key
        self.two_sided = two_sided
        self.call_id, self.from_, self.to = parties(first.payload)
        self.dialogs: list[Dialog | None] = [None, None, None]
        self.inbound: bool | None = None
        if two_sided:
            self.ways: dict[str, Way] = {}
            self.lonely: dict[str, Crossing] = {}
            self.changed: dict[str, Crossing] = {}
            self.forced: dict[str, Crossing] = {}
        else:  # nothing ever crosses: one empty dict serves all calls
            self.ways = _NO_WAYS
            self.lonely = self.forced = self.changed = _NO_CROSSINGS
        self.headers: frozenset[str] = frozenset()
        self.unexplained = False
        self.predicted = self.paired = False
        self.stranger = False

    @property
    def seen(self) -> list[Dialog]:
        return [d for d in self.dialogs if d is not None]

    @property
    def started_at(self) -> int:
        """When the first of it was seen (ns)."""
        return min(d.started_at for d in self.seen)

    @property
    def answered_inside(self) -> bool | None:
        if self.inbound is None:
            return None
        latest = None
        for d in self.dialogs:
            if d is not None and (latest is None or d.answered_at > latest.answered_at):
                latest = d
        return self.inbound if latest is None or latest.by_caller else not self.inbound

    @property
    def callee_side(self) -> int:
        """The side of who answered the latest INVITE; where nobody knows, the only side that saw
        the call."""
        inside = self.answered_inside
        if inside is not None:
            return LAN if inside else WAN
        for side in (UNKNOWN, LAN, WAN):
            if self.dialogs[side] is not None:
                return side
        return UNKNOWN

    @property
    def is_plain(self) -> bool:
        """Answered, acknowledged at once and never touched: no rule has anything to say."""
        if self.headers or self.changed or self.forced or self.lonely:
            return False
        for d in self.dialogs:
            if d is not None and (not d.acked_at or d.answer_last > d.acked_at or d.timed_out):
                return False
        return True

    @property
    def near_callee(self) -> Dialog | None:
        """The dialog as the side of the callee saw it, or as anybody did."""
        near = self.dialogs[self.callee_side]
        if near is not None and near.answered_at:
            return near
        for d in self.dialogs:
            if d is not None and d.answered_at:
                return d
        return near

    def answer_misdelivered(self) -> bool:
        """The 2xx to a call of the phone reached the LAN, but not the port that the phone asked
        for (rport, RFC 3581)."""
        answer = self.forced.get("2xx INVITE")
        if answer is None or answer.lan is None:
            return False
        vias = Message(answer.lan.payload).vias
        return bool(vias) and vias[0].rport is not None

    def ack_misdelivered(self) -> bool:
        """The ACK reached the LAN, but not the port where its callee is. A phone that answered
        an INVITE which went to that port listens there, wherever it sends from."""
        ack, invite = self.forced.get("ACK"), self.forced.get("INVITE")
        if ack is None or invite is None:
            return ack is not None
        assert ack.lan is not None and invite.lan is not None
        return ack.lan.destination != invite.lan.destination

    def ack(self, now: int) -> str:
        """seen, missing or unknown, of the latest INVITE that was answered. now: ns."""
        d = self.near_callee
        if d is None or not d.answered_at:
            return "unknown"
        if self.is_plain:
            return "seen"
        on_side = d is self.dialogs[self.callee_side]
        if d.acked_at and on_side and not (self.ack_misdelivered() and self.keeps_coming(d)):
            return "seen"
        if self.survived(d, now):
            return "seen" if d.acked_at else "unknown"
        repeats = d.invite.finals - 1 if d.invite is not None else 0
        waited = now - d.answered_at >= ACK_WAIT or d.gave_up
        if repeats >= REPEATS or (repeats and waited):
            return "missing"
        return "unknown"

    @staticmethod
    def keeps_coming(d: Dialog) -> bool:
        """The 2xx came again although an ACK was seen: more than one that crossed it."""
        return d.repeated_since(d.acked_at + WINDOW)

    @staticmethod
    def survived(d: Dialog, now: int) -> bool:
        """The callee stopped repeating its 2xx and did not give up: some ACK got through, whether
        it was captured or not (RFC 3261 section 13.3.1.4: it repeats every T2 until 64*T1)."""
        if (d.bye_at or now) - d.answer_last <= T2 + SECOND:
            return False  # it may still be at it
        if Call.waited_out(d):
            return False
        lasted = d.bye_at - d.answered_at - ACK_WAIT if d.bye_at else 0
        return d.acked_last >= d.answer_last or lasted > 2 * SECOND

    @staticmethod
    def waited_out(d: Dialog) -> bool:
        """The callee waited for its ACK to the end: so none came, whatever was captured."""
        lasted = d.bye_at - d.answered_at - ACK_WAIT
        if d.gave_up and abs(lasted) <= 2 * SECOND:
            return True  # its BYE is the one of 64*T1
        return Call.went_to_the_end(d)

    @staticmethod
    def went_to_the_end(d: Dialog) -> bool:
        """The 2xx was repeated until there was no time left for another one."""
        return d.answer_last - d.answered_at >= ACK_WAIT - T2 - SECOND

    @staticmethod
    def dropped(d: Dialog, now: int) -> bool:
        """Whether a callee that waits for its ACK ended the call: by its BYE, or by having waited
        to the end. One that fell silent before, or whose caller hung up, did not."""
        return d.gave_up or (Call.went_to_the_end(d) and now - d.answered_at >= ACK_WAIT)

    def ack_ignored(self, now: int) -> bool:
        """The 2xx goes on for longer after an ACK than one that is on its way can explain: to
        the callee that ACK is lost."""
        d = self.near_callee
        if d is None or not d.acked_at or d.answer_last - d.acked_at <= 3 * SECOND // 2:
            return False
        return not self.survived(d, now)

    def outcome(self, now: int, ack: str = "") -> str:
        """completed, dropped, cancelled, rejected, unanswered, ongoing or unknown. now: ns;
        ack: what ack(now) says, for who has asked it already."""
        seen = self.seen
        spoken = ended = False
        for d in seen:
            if d.answered_at or d.established:
                spoken = True
            if d.bye_at:
                ended = True
        if not spoken:
            return self._unanswered(seen)
        if ended and self.is_plain:
            return "completed"
        if (ack or self.ack(now)) == "missing" or self.ack_ignored(now):
            near = self.near_callee
            if near is not None and self.dropped(near, now):
                return "dropped"
            waits = any(d.answered_at and now - d.answered_at < ACK_WAIT for d in seen)
            return "completed" if ended else "ongoing" if waits else "unknown"
        if ended:
            return "completed"
        return "unknown" if all(d.partial for d in seen) else "ongoing"

    @staticmethod
    def _unanswered(seen: list[Dialog]) -> str:
        """The outcome of a call that has no 2xx and no ACK to one. The strongest word of any side
        counts."""
        said = "unknown"
        for d in seen:
            if d.cancelled_at or d.rejected == 487:
                return "cancelled"
            if d.rejected:
                said = "rejected"
            elif d.timed_out and said != "rejected":
                said = "unanswered"
            elif said == "unknown" and d.invite is not None and d.invite.provisional_at:
                said = "ongoing"
        return said

    def let_go(self) -> None:
        """Drop the bytes of a call whose 2xx came once and was acknowledged: its INVITE may ring
        on for hours, and no verdict needs them."""
        seen = self.seen
        for d in seen:
            if not d.acked_at or d.invite is None or d.invite.finals != 1:
                return
        for d in seen:
            d.request = d.answer = d.ack = d.first = None
        while len(self.ways) > 1:
            self.ways.popitem()


class Calls:
    """Steps of dialogs and crossings in, moments out. limit: calls followed at once."""

    def __init__(self, two_sided: bool, limit: int) -> None:
        self.two_sided = two_sided
        self.table: Table[int, Call] = Table(limit)
        room = 2 * limit
        self._soon: Deadlines[Call] = Deadlines(2 * WINDOW, room, self._living)
        # The first 2xx that comes again comes T1 after the first, so a second is enough to know
        # that it does not.
        self._confirmed: Deadlines[Call] = Deadlines(SECOND, room, self._living)
        self._settle: Deadlines[Call] = Deadlines(SECOND, room, self._living)
        self._linger: Deadlines[Call] = Deadlines(T4, room, self._living)
        # A caller that was asked for its password may have to type it.
        self._challenged: Deadlines[Call] = Deadlines(TIMER_B, room, self._living)
        self._ack_wait: Deadlines[Answer] = Deadlines(ACK_WAIT + SECOND, room, self._living_answers)
        self._evicted: list[Call] = []

    def feed(self, steps: list[Step]) -> None:
        """Steps of one side, in order. Moments come from advance, when both sides are there."""
        get = self.table.get
        for d, code, row in steps:
            call = get(d.call)
            if call is None:
                first = d.first or d.request or d.answer
                if first is None:
                    continue
                call = Call(d.call, first, self.two_sided)
                gone = self.table.add(d.call, call, d.stranger)
                call.stranger = d.stranger
                if gone is not None and not gone.stranger:
                    self._evicted.append(gone)
            if call.dialogs[d.side] is not d:
                call.dialogs[d.side] = d
            if code == ANSWERED:
                continue
            at = row[AT]
            if code == CONFIRMED:
                self._confirmed.add(at, call)
            elif code == STARTED:
                if d.request is not None:
                    d.first = None
            elif code == BYE_SENT:
                self._settle.add(at, call)
            elif code == REPEATED and d.invite is not None:
                # A 2xx that never came again is not judged for its ACK (see ack).
                if d.invite.finals == 2:
                    self._ack_wait.add(d.answered_at, (call, d.answered_at))
                if d.invite.finals > REPEATS and not call.predicted:
                    self._soon.add(at, call)
            elif code in _OVER:
                if code == UNANSWERED or not d.bye_at:
                    self._settle.add(at, call)
                queue = self._challenged if d.rejected in (401, 407) else self._linger
                queue.add(at, call)

    def cross(self, crossing: Crossing) -> Call | None:
        """Attach a crossing to its call, if it has one; returns that call."""
        row = crossing.entered.row
        call = self.table.get(row[CALL])
        if call is None:
            return None
        status = row[STATUS]
        kind = _LABELS[status if status < 1000 else status % 1000][row[METHOD]]
        way = crossing.way
        if way is None:  # it is alone
            call.lonely.setdefault(kind, crossing)
            return call
        call.paired = True
        if call.inbound is None:
            self._orient(call, crossing)
            if call.stranger:
                call.stranger = False
                self.table.befriend(call.key)
        if kind in _KEPT:
            call.ways[kind] = way
        if crossing.rewritten:
            self._changed(call, kind, crossing)
        if crossing.expected is not None:
            call.forced.setdefault(kind, crossing)
        return call

    @staticmethod
    def _changed(call: Call, kind: str, crossing: Crossing) -> None:
        if not crossing.headers <= call.headers:
            call.headers |= crossing.headers
        wrong = not crossing.familiar and any(not r.explained for r in rewrites(crossing))
        call.unexplained = call.unexplained or wrong
        room = len(call.changed) < REWRITTEN and kind not in call.changed
        if room and (wrong or not call.changed):
            call.changed[kind] = crossing

    @staticmethod
    def _orient(call: Call, crossing: Crossing) -> None:
        row = crossing.entered.row
        if row[METHOD] == INVITE:
            call.inbound = crossing.outbound if row[STATUS] else not crossing.outbound
            # Where the capture began later, the first INVITE may be one of the callee.
            for copy in (crossing.lan, crossing.wan):
                d = call.dialogs[copy.side] if copy is not None else None
                if copy is not None and d is not None:
                    d.caller_tag = copy.row[FROM_TAG]

    def advance(self, now: int) -> list[Moment]:
        """now: every tap has passed this moment (ns)."""
        moments: list[Moment] = []
        for call in self._soon.due(now):
            if not call.predicted and self._is_live(call):
                call.predicted = True
                moments.append((call, PREDICTED))
        # Both sides of a call are mostly due at once.
        for call in dict.fromkeys(self._confirmed.due(now)):
            if self._is_live(call) and not call.ack_misdelivered():
                call.let_go()
        for call, answered_at in self._ack_wait.due(now):
            d = call.near_callee
            waits = d is not None and d.answered_at == answered_at and not d.bye_at
            if waits and self._is_live(call) and call.ack(now) != "seen":
                moments.append((call, JUDGED))
        for call in dict.fromkeys(self._settle.due(now)):
            if not self._is_live(call):
                continue
            if not call.is_plain:
                moments.append((call, JUDGED))
            if not self._is_over(call, now):
                self._challenged.add(now, call)  # a BYE that may never be answered
        for call in (*self._linger.due(now), *self._challenged.due(now)):
            if self._is_live(call) and self._is_over(call, now):
                del self.table[call.key]
                moments.append((call, CLOSED))
        if self._evicted:
            moments += [(call, CLOSED) for call in self._evicted]
            self._evicted = []
        return moments

    def finish(self) -> list[Moment]:
        """The capture is over; what is still there is closed as it stands."""
        calls = self._evicted + list(self.table.values())
        self._evicted = []
        self.table.clear()
        moments: list[Moment] = []
        for call in calls:
            if not call.is_plain:
                moments.append((call, JUDGED))
            moments.append((call, CLOSED))
        return moments

    def _is_live(self, call: Call) -> bool:
        return self.table.get(call.key) is call

    def _living(self, waiting: Waiting[Call]) -> list[tuple[int, Call]]:
        current = self.table.get
        return [item for item in waiting if current(item[1].key) is item[1]]

    def _living_answers(self, waiting: Waiting[Answer]) -> list[tuple[int, Answer]]:
        return [item for item in waiting if self._is_live(item[1][0])]

    @staticmethod
    def _is_over(call: Call, now: int) -> bool:
        for d in call.dialogs:
            if d is not None and (
                d.ended_at
                or d.rejected
                or (d.timed_out and not d.established)
                or (d.bye_at and now - d.bye_at >= TIMER_F)
            ):
                return True
        return False
