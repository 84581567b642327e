# SPDX-License-Identifier: Apache-2.0
"""Subscribed: one subscription, or one REFER, as both sides saw it, joined."""

from __future__ import annotations

from algwatch.base.deadlines import NEVER
from algwatch.base.packet import LAN, UNKNOWN, WAN
from algwatch.base.sighting import CALL, STATUS, Sighting
from algwatch.compare.crossing import Crossing
from algwatch.compare.followed import Followed
from algwatch.compare.joined import Joined
from algwatch.sip.status_codes import UNKNOWN_TO_SUBSCRIBER
from algwatch.sip.subscription import ACCEPTED, Subscription, SubscriptionStep
from algwatch.sip.timers import TIMER_F
from algwatch.sip.transaction import REQUEST

TIMER_N = TIMER_F  # a subscriber's wait for the first NOTIFY (RFC 6665 section 4.1.2.4)


class Subscribed(Joined[Subscription]):
    """outbound: its request went from the LAN to the WAN; None if not known. notified: the latest
    crossing NOTIFY without a 2xx. until: by side (ns), see Quality.ended."""

    __slots__ = ("notified", "outbound", "until")

    def __init__(self, key: int, two_sided: bool, until: list[int]) -> None:
        super().__init__(key, two_sided)
        self.outbound: bool | None = None
        self.notified: Crossing | None = None
        self.until = until

    @property
    def near(self) -> Subscription:
        """The subscription on the side its request came from."""
        order = (UNKNOWN, WAN, LAN) if self.outbound is False else (UNKNOWN, LAN, WAN)
        return next(s for s in map(self.sides.__getitem__, order) if s is not None)

    @property
    def call_id(self) -> str:
        """As its sender wrote it, whichever side was read first."""
        return self.near.call_id

    @property
    def to(self) -> str:
        return self.near.to

    @property
    def unsolicited(self) -> bool:
        return not self.paired and self.near.unsolicited

    @property
    def is_over(self) -> bool:
        return any(s.over_at for s in self.seen)

    def is_deaf(self, now: int) -> bool:
        """It was accepted, and its subscriber got no NOTIFY within its wait. now: ns."""
        s = self.near
        if not s.accepted_at or s.notified_at or self.is_over:
            return False
        return min(now, self.until[s.side]) - s.accepted_at >= TIMER_N

    @property
    def refused(self) -> Subscription | None:
        """The side of a NOTIFY refused with 481 or 482 while the subscription lived."""
        for s in self.seen:
            if s.failed is not None and s.failed.status in UNKNOWN_TO_SUBSCRIBER:
                return s
        return None

    @property
    def disordered(self) -> Subscription | None:
        """The notifier's side, with a refused NOTIFY whose CSeq number is not above the one of a
        NOTIFY before it (RFC 3261 section 12.2.2)."""
        s = self.sides[WAN if self.outbound else LAN] or self.near
        failed = s.failed if s is not None else None
        if s is None or failed is None or failed.status != 500 or failed.cseq >= s.number:
            return None
        return s

    @property
    def result(self) -> int:
        """The final status of a REFER; 0 if no NOTIFY told one."""
        return max((s.result for s in self.seen), default=0)

    def copy(self, side: int) -> Sighting | None:
        """Its request as that side saw it."""
        s = self.sides[side]
        return s.request if s is not None else None

    def absorb(self, other: Joined[Subscription]) -> bool:
        if not super().absorb(other):
            return False
        if isinstance(other, Subscribed):
            self.notified = self.notified or other.notified
            if self.outbound is None:
                self.outbound = other.outbound
        return True


class Subscriptions(Followed[Subscribed]):
    """Steps of both sides in, subscriptions to judge out. limit: their number."""

    def __init__(self, two_sided: bool, limit: int) -> None:
        super().__init__(limit, TIMER_N)
        self.two_sided = two_sided
        self.until = [NEVER] * 3  # by side, ns: its capture ended there

    def feed(self, steps: list[SubscriptionStep], now: int) -> None:
        """now: ns, everything before it was seen."""
        for s, code in steps:
            one = self.table.get(s.call)
            if one is None:
                one = Subscribed(s.call, self.two_sided, self.until)
                self.table.add(s.call, one, s.unsolicited)
            one.sides[s.side] = s
            # The other side may show the same later.
            if code == ACCEPTED:
                self._later.add(max(now, s.last_at), one)
            elif code != REQUEST or s.result:
                self._soon.add(max(now, s.last_at), one)
                if s.lapsed is not None:
                    self._later.add(max(now, s.last_at), one)

    def cross(self, crossing: Crossing) -> None:
        """Take the crossing of a SUBSCRIBE, REFER or NOTIFY or of a response to one, or its only
        copy."""
        one = self.table.get(crossing.entered.row[CALL])
        if one is None and crossing.flow_pair is not None:
            one = self.table.get(crossing.left.row[CALL])
        if one is None:
            return
        kind = self._attach(one, crossing)
        if crossing.flow_pair is None:
            return
        if crossing.entered.row[STATUS]:
            if kind == "2xx NOTIFY":
                one.notified = None
            return
        if kind == "NOTIFY":
            one.notified = crossing
        elif one.outbound is None:
            one.outbound = crossing.outbound

    def changed(self, now: int) -> list[Subscribed]:
        """Subscriptions to judge by now (ns)."""
        return [one for one in self._due(now) if not one.unsolicited]

    def of(self, copy: Sighting) -> Subscribed | None:
        """The one with the Call-ID of this message."""
        return self.table.get(copy.row[CALL])

    def made_anew(self, one: Subscribed) -> bool:
        """Its subscriber has subscribed to the same once more since, and that one lives: as a phone
        does after its restart. Reads all of them: for rare use."""
        old = one.near
        for other in self.table.values():
            new = other.sides[old.side]  # the NAT gives the phone another address
            if new is None:
                continue
            same = new.to == old.to and new.asked[0] == old.asked[0]
            lives = new.accepted_at and not other.is_over and not other.refused
            if same and lives and new.started_at > old.started_at:
                return True
        return False

    def finish(self) -> list[Subscribed]:
        """The capture is over: all."""
        return [one for one in self.all() if not one.unsolicited]
