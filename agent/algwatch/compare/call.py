# SPDX-License-Identifier: Apache-2.0
"""Call: what both sides of the router saw of one call, joined."""

from __future__ import annotations

from algwatch.base.deadlines import NEVER
from algwatch.base.native.layout import BYE, INVITE, METHOD_NAMES
from algwatch.base.packet import LAN, UNKNOWN, WAN
from algwatch.base.sighting import CALL, FROM_TAG, METHOD, STATUS, Sighting
from algwatch.compare.crossing import Crossing
from algwatch.compare.joined import Joined, label
from algwatch.compare.refreshed import is_refreshed_beside
from algwatch.sip.dialog import Dialog, DialogSet
from algwatch.sip.message import first_contact, parties, reach
from algwatch.sip.timers import T4, TIMER_F, WINDOW

NOWHERE = ("", 0)
ANNOUNCED = 16  # messages of one call, kept to show its media
# A longer dialog did not end because another phone had answered, too.
TALKED = T4


class Call(Joined[DialogSet]):
    """call_id, from_, to: text, as written by the first side to see the call. call_id is the
    caller's if the router changed it.

    inbound: the callee is in the LAN; None: not known. oriented: a pair proved it. host: source
    address (16 bytes) of the first message, as it came to the router. unsolicited: see
    sip/unsolicited.py; the call is forgotten without a report. predicted: its drop was announced
    for want of an ACK; overdue: for want of a session refresh; was_overdue: it was once. unjudged:
    a request of it got no answer, and the call was not judged since. alarm_at: ns, the next look at
    its session; 0: never. at_proxy: the Contact of its 2xx is a proxy's own (sip/target.py).
    moved: the router has given the WAN port of this incoming call to another LAN host since the
    port was first used.
    followed: its caller was redirected and called the new target. outward: one side alone shows
    that its caller is a phone. cut_off: it was evicted, or its TCP connection ended before its end.
    contested: labels of messages with packets that contradict each other (see Pairing).
    astray: dialog sets of messages seen on one side under the other side's Call-ID. The router
    changes the Call-ID, but not in every message.
    announced: the latest released messages, kept to show the media they announced.
    gaps: one side's capture lacks messages of it.
    settled: it crossed as it came, so nothing is learned from more messages with the same bytes on
    both sides.
    """

    __slots__ = (
        "_phone_contact",
        "_wan_contact",
        "alarm_at",
        "announced",
        "astray",
        "at_proxy",
        "call_id",
        "contested",
        "cut_off",
        "followed",
        "from_",
        "gaps",
        "host",
        "inbound",
        "moved",
        "oriented",
        "outward",
        "overdue",
        "predicted",
        "settled",
        "to",
        "unjudged",
        "unsolicited",
        "was_overdue",
    )

    def __init__(self, key: int, first: Sighting, two_sided: bool) -> None:
        super().__init__(key, two_sided)
        self.call_id, self.from_, self.to = parties(first.payload)
        self.host = first.packed_ends[:16]
        self.inbound: bool | None = None
        self.oriented = False
        self.alarm_at = 0
        self.predicted = self.overdue = self.unjudged = self.at_proxy = False
        self.unsolicited = self.moved = self.followed = self.was_overdue = self.settled = False
        self.gaps = self.outward = self.cut_off = False
        self._wan_contact = ""
        self._phone_contact = NOWHERE
        self.contested: frozenset[str] = frozenset()
        self.astray: tuple[DialogSet, ...] = ()
        self.announced: tuple[Sighting, ...] = ()

    def cross(self, crossing: Crossing) -> None:
        """Attach what became of a message."""
        pair = crossing.flow_pair
        if (
            not self.paired or pair is None
            or crossing.expected is not None or self.names is not None
            or (not (crossing.seen_before and self.knows(crossing.headers, crossing.outbound))
                if crossing.rewritten else self.headers)
        ):  # fmt: skip
            self.attach(label(crossing), crossing)
        if not self.oriented:
            self._orient(crossing)
        if pair is None:
            return
        row = crossing.entered.row
        method = row[METHOD]
        if INVITE <= method <= BYE:  # or ACK
            status = row[STATUS]
            if not status:
                self.flow_pairs[METHOD_NAMES[method]] = pair
            elif method == INVITE and 200 <= status < 300:
                self.flow_pairs["2xx INVITE"] = pair

    def _orient(self, crossing: Crossing) -> None:
        row = crossing.entered.row
        if row[METHOD] != INVITE:
            return
        if crossing.flow_pair is None:
            # The copy on the side it came from may have been lost. A pair decides.
            if self.inbound is None:
                self.inbound = crossing.outbound if row[STATUS] else not crossing.outbound
            return
        self.inbound = crossing.outbound if row[STATUS] else not crossing.outbound
        self.oriented = True
        self.moved = crossing.flow_pair.moved
        if crossing.entered.row[CALL] != crossing.left.row[CALL]:  # as its caller wrote it
            sent = crossing.left if row[STATUS] else crossing.entered
            self.call_id = parties(sent.payload)[0]
        # If the capture began late, the first INVITE may be the callee's.
        for copy in (crossing.lan, crossing.wan):
            s = self.sides[copy.side] if copy is not None else None
            if copy is not None and s is not None:
                s.caller_tag = copy.row[FROM_TAG]

    @property
    def last_at(self) -> int:
        """ns, the latest message of the call."""
        latest = 0
        for s in self.sides:
            if s is not None and s.last_at > latest:
                latest = s.last_at
        return latest

    @property
    def spoken(self) -> bool:
        """A side saw a 2xx, or an ACK to one."""
        for s in self.sides:  # noqa: SIM110 - any() costs twice as much
            if s is not None and s.spoken:
                return True
        return False

    @property
    def partial_anywhere(self) -> bool:
        """A side did not see its beginning."""
        lan, wan, one = self.sides
        return bool((lan and lan.partial) or (wan and wan.partial) or (one and one.partial))

    @property
    def partial(self) -> bool:
        """No side saw its beginning."""
        return all(s.partial for s in self.seen)

    @property
    def answered_inside(self) -> bool | None:
        """True if the latest answered INVITE went into the LAN; None: not known. A re-INVITE of the
        callee goes the other way."""
        if self.inbound is None:
            return None
        latest = newest = None
        for s in self.sides:
            if s is None:
                continue
            d = s.current
            if d is not None and (newest is None or d.answered_at > newest.answered_at):
                latest, newest = s, d
        if latest is None or newest is None or latest.by_caller(newest):
            return self.inbound
        return not self.inbound

    @property
    def callee_side(self) -> int:
        """The side of the end which answered the latest INVITE. If not known, the only side with
        this call."""
        inside = self.answered_inside
        if inside is not None:
            return LAN if inside else WAN
        for side in (UNKNOWN, LAN, WAN):
            if self.sides[side] is not None:
                return side
        return UNKNOWN

    @property
    def is_plain(self) -> bool:
        """Answered, acknowledged at once and not changed: no rule finds anything."""
        if self.headers or self.changed or self.misdelivered or self.unpaired or self.contested:
            return False
        if self.moved:
            return False
        for s in self.sides:
            if s is None:
                continue
            d = s.current
            if d is None or not d.acked_at or d.answer_last > d.acked_at or s.timed_out:
                return False
            if len(s.dialogs) > 1:
                return False  # forked: another phone may have answered, too
            if (
                d.silent
                or d.odd
                or d.timed_out
                or s.late_invites
                or (d.bye_status >= 300 or d.bye_unanswered)
            ):
                return False
            if (
                s.unheard is not None
                or s.given_up is not None
                or (d.bye_response is not None and d.bye_challenged)
                or d.odd_copy is not None
                or d.disowned is not None
                or d.cut_short
                or d.earlier is not None
                or d.owing
                or d.denied is not None
                or s.cancel is not None
            ):
                return False
            if s.reliable is not None and (s.unpracked or s.pracked_in_vain):
                return False
        return True

    @property
    def replaces(self) -> bool:
        """Its INVITE was to replace another dialog (RFC 3891) and was refused with 481."""
        return any(s is not None and s.rejected == 481 and s.request is not None
                   and b"eplaces" in s.request.payload for s in self.sides)  # fmt: skip

    @property
    def timed_out(self) -> bool:
        """The call ended because its session was not refreshed (RFC 4028)."""
        for s in self.sides:
            if s is not None and s.current is not None and s.current.timed_out:
                return not is_refreshed_beside(s.current, self.seen, self.inbound, self.gaps)
        return False

    def is_overdue(self, now: int) -> bool:
        """Its session was not refreshed in time on any side with a timer, and each of these was
        captured for long enough. now: ns."""
        timed = False
        for s in self.seen:
            d = s.current
            if d is None or d.bye_at or d.ended_at:
                return False
            if d.timer is not None:
                timed = True
                if min(now, s.until) < d.timer.overdue_at:
                    return False
        return timed

    @property
    def ended_well(self) -> bool:
        """Plain, and its BYE was answered on each side: most calls. Then its ACK was seen and
        its outcome is "completed"."""
        if not self.is_plain:
            return False
        for s in self.sides:
            d = s.current if s is not None else None
            if d is not None and not (d.answered_at and d.bye_at and d.ended_at):
                return False
        return True

    @property
    def is_forked(self) -> bool:
        """Several phones answered, and one of these dialogs may outlive the others."""
        for s in self.sides:  # noqa: SIM110
            if s is not None and len(s.dialogs) > 1:
                return True
        return False

    def left_open(self, now: int) -> list[Dialog]:
        """Dialogs of other phones, answered and acknowledged but without a BYE, long after the
        dialog of the caller ended (RFC 3261 section 13.2.2.4), as seen on the caller's side. Empty
        if the caller's dialog ended within T4: it was the surplus one itself. now: ns."""
        s = self.near_caller
        if s is None or s.current is None or len(s.dialogs) < 2:
            return []
        over, began = s.current.ended_at, s.current.answered_at
        if not over or not began or over - began <= TALKED or min(now, s.until) - over < TIMER_F:
            return []
        return [d for d in s.dialogs if d is not s.current and d.stays and d.answered_at < over]

    @property
    def disowned(self) -> Sighting | None:
        """The 481 of an end that has lost the dialog; None after a BYE."""
        found = None
        for s in self.sides:
            d = s.current if s is not None else None
            if d is not None and d.bye_at:
                return None
            found = found or (d.disowned if d is not None else None)
        return found

    @property
    def is_unheard(self) -> bool:
        """A refusal was repeated, or a BYE was challenged and not sent again. The call is judged
        after its last message."""
        for s in self.sides:
            if s is not None:
                d = s.current
                if s.unheard is not None or (
                    d is not None and d.bye_response is not None and d.bye_given_up
                ):
                    return True
        return False

    @property
    def near_callee(self) -> DialogSet | None:
        """The dialog set of the callee's side, or of any side with an answer."""
        near = self.sides[self.callee_side]
        if near is not None and (near.since or near.until != NEVER):
            near = self._captured_longer(near)
        if near is not None and near.current is not None and near.current.answered_at:
            return near
        for s in self.sides:
            if s is not None and s.answered_at:
                return s
        return near

    def _captured_longer(self, near: DialogSet) -> DialogSet:
        """near, or the other side if only the other was captured when the call was answered or
        ended."""
        for s in self.seen:
            if s is not near and s.answered_at:
                early = near.since and s.answered_at < near.since
                if early or s.last_at > near.until + WINDOW:
                    return s
        return near

    def dialog(self, side: int) -> Dialog | None:
        """The current dialog as that side (LAN, WAN, UNKNOWN) saw it."""
        s = self.sides[side]
        return s.current if s is not None else None

    @property
    def near_caller(self) -> DialogSet | None:
        """The dialog set of the caller's side; None if unknown or if it saw nothing."""
        if self.inbound is None:
            return self.seen[0] if len(self.seen) == 1 else None
        return self.sides[WAN if self.inbound else LAN]

    @property
    def wan_contact(self) -> str:
        """Host of the Contact shown to the provider by the phone of this call; "" if not known."""
        s = self.sides[WAN]
        if not self._wan_contact and s is not None and self.inbound is not None:
            d = s.current
            shown = (d.answer if d is not None else None) if self.inbound else s.request
            if shown is not None:
                self._wan_contact = reach(shown.payload)[2] or ""
        return self._wan_contact

    @property
    def phone_contact(self) -> tuple[str, int]:
        """Host and port of the Contact written by the phone of this call; NOWHERE if not known."""
        s = self.sides[LAN]
        if self._phone_contact is NOWHERE and s is not None and self.inbound is not None:
            d = s.current
            wrote = (d.answer if d is not None else None) if self.inbound else s.request
            contact = first_contact(wrote.payload) if wrote is not None else None
            if contact is not None:
                self._phone_contact = contact
        return self._phone_contact

    def let_go(self, keep: bool = False) -> None:
        """Release the bytes of a call after one 2xx and its ACK. Its INVITE may ring on for hours,
        and no verdict needs the bytes. keep: as `announced`, if RTP is counted."""
        if self.moved:
            return  # the bytes name its callee
        for s in self.sides:
            if s is None:
                continue
            d = s.current
            if d is None or not d.acked_at or d.answers != 1 or d.odd or s.late_invites:
                return
            if d.owing or s.cancel is not None:
                return
            if d.invite is not None and d.invite.again is not None:
                return
        self._wan_contact = self.wan_contact  # read while its bytes are here
        if self.misdelivered or self.headers or self.changed:
            self._phone_contact = self.phone_contact
        for s in self.sides:
            if s is not None and s.current is not None:
                d = s.current
                if keep:
                    some = (d.request, d.answer, d.ack, s.request)
                    made = [copy for copy in some if copy is not None]
                    # Each re-INVITE repeats the session in force.
                    self.announced = (*self.announced, *made)[-ANNOUNCED:]
                s.request = s.first = d.request = d.answer = d.ack = None
        first = next(iter(self.flow_pairs), "")
        for method in self.flow_pairs.keys() - {first, "ACK"}:
            del self.flow_pairs[method]  # that of the ACK tells where the route set leads
