# SPDX-License-Identifier: Apache-2.0
"""Registered: a registration on both sides of the router, joined."""

from __future__ import annotations

from collections.abc import Callable

from algwatch.base.deadlines import NEVER, Deadlines, Waiting
from algwatch.base.packet import LAN, UNKNOWN, WAN
from algwatch.base.sighting import AT, CALL
from algwatch.base.table import Table
from algwatch.compare.binding import Binding, binding
from algwatch.compare.crossing import Crossing
from algwatch.compare.exchange import Exchange, Exchanges
from algwatch.compare.joined import Joined, label
from algwatch.compare.summary import RegistrationSummary
from algwatch.sip.message import parties
from algwatch.sip.registration import ENDLESS, RETRIED, Registration, RegistrationStep
from algwatch.sip.timers import SECOND, TIMER_F, WINDOW
from algwatch.sip.transaction import FINAL, NOT_HEARD, ORPHAN, TIMED_OUT

SEEK = 15 * SECOND  # how often phones that have stopped are looked for
INSISTS = 3  # a phone that registers again at once so often takes itself for not registered


class Registered(Joined[Registration]):
    """call_id, aor: text. exchange: the latest REGISTER that failed, None while none did. said: the
    outcome that was told last. binding: what the latest one that was accepted agreed on; oddity:
    of it, as it was told last; lapsed: the phone came after the granted time of the one before
    was over; stopped: ns, it should have come again by then, and others did; 0 = not so.
    lan_ended: ns, the LAN side was captured until then."""

    __slots__ = (
        "aor",
        "binding",
        "call_id",
        "exchange",
        "lan_ended",
        "lapsed",
        "oddity",
        "said",
        "stopped",
    )

    def __init__(self, key: int, two_sided: bool) -> None:
        super().__init__(key, two_sided)
        self.call_id = self.aor = self.said = ""
        self.exchange: Exchange | None = None
        self.binding: Binding | None = None
        self.oddity: tuple[object, ...] = ()
        self.lapsed = False
        self.stopped = 0
        self.lan_ended = NEVER

    @property
    def near(self) -> Registration:
        """As the side saw it that the requests came from."""
        lan, wan, one = self.sides[LAN], self.sides[WAN], self.sides[UNKNOWN]
        if lan is not None and wan is not None and wan.last_at > self.lan_ended:
            return wan
        near = lan or wan or one
        assert near is not None
        return near

    @property
    def unsolicited(self) -> bool:
        return not self.paired and self.near.unsolicited

    def outcome(self, now: int) -> str:
        """accepted, refused, unanswered, challenged or unknown. now: ns."""
        return self.near.outcome(now)

    def summary(self, now: int, line: str) -> RegistrationSummary:
        start = min(r.started_at for r in self.seen)
        end = max(r.last_at for r in self.seen)
        status = self.near.status or self.near.taken(now)
        return RegistrationSummary(
            self.call_id, self.aor, self.outcome(now), status, start / 1e9, end / 1e9, line,
            self.unsolicited,
        )  # fmt: skip


class Registrations:
    """Steps of both sides in, registrations that have to be judged out. limit: how many. bind: is
    told of each binding."""

    def __init__(self, two_sided: bool, limit: int, exchanges: Exchanges, live: bool) -> None:
        self.two_sided = two_sided
        self.bind: Callable[[Registered, Binding], None] = _nothing
        self.lan_ended = NEVER  # ns; the LAN side was captured until then
        self.table: Table[int, Registered] = Table(limit)
        self._exchanges = exchanges
        # In a file the phone may come again a moment later: it is looked for at the end.
        self._seek_at = 0 if live else NEVER
        self._soon: Deadlines[Registered] = Deadlines(2 * WINDOW, 2 * limit, self._living)
        self._later: Deadlines[Registered] = Deadlines(
            TIMER_F + 2 * WINDOW, 2 * limit, self._living
        )

    def feed(self, steps: list[RegistrationStep], now: int) -> None:
        """now: ns, that every tap has passed: the steps may be later."""
        for r, code in steps:
            one = self.table.get(r.call)
            if one is None:
                one = Registered(r.call, self.two_sided)
                one.lan_ended = self.lan_ended
                self.table.add(r.call, one, r.unsolicited)
            one.sides[r.side] = r
            if not one.call_id and r.request is not None:
                one.call_id, _, one.aor = parties(r.request.payload)
            if code in (NOT_HEARD, ORPHAN):  # whether the phone takes it shows when Timer F is over
                self._later.add(max(now, r.last_at), one)
            elif code in (FINAL, TIMED_OUT):
                # Not before both sides had the time to show it; and a challenge that nobody
                # follows up is an outcome only when its time is over.
                later = r.status in RETRIED and max(r.rounds, r.brief) < ENDLESS and code == FINAL
                (self._later if later else self._soon).add(max(now, r.last_at), one)

    def cross(self, crossing: Crossing) -> None:
        """Take the crossing of a REGISTER or of its response, or its only copy."""
        lan, wan = crossing.lan, crossing.wan
        one = self.table.get(crossing.entered.row[CALL])
        if one is None:
            return
        if lan is not None and wan is not None and lan.row[CALL] != wan.row[CALL]:
            self._join(one, self.table.get(crossing.left.row[CALL]))
        kind = label(crossing)
        one.attach(kind, crossing)
        if crossing.flow_pair is not None:
            one.flow_pairs[kind] = crossing.flow_pair

    def _join(self, one: Registered, other: Registered | None) -> None:
        if other is not None and other is not one and one.absorb(other):
            for key in other.keys:
                self.table[key] = one

    @property
    def due(self) -> int:
        """ns; changed() finds nothing before it."""
        due = min(self._soon.next, self._later.next)
        return min(due, self._seek_at) if self.table else due

    def tidy(self) -> None:
        """Let go of registrations that are in the table no more."""
        self._soon.tidy()
        self._later.tidy()

    def changed(self, now: int) -> list[Registered]:
        """Registrations whose outcome has changed for good or bad and is known by now (ns)."""
        found: list[Registered] = []
        for one in (*self._soon.due(now), *self._later.due(now)):
            self._look(one, now, found)
        if now >= self._seek_at:
            self._seek_at = now + SEEK
            found += self._stopped(now)
        return found

    def finish(self, now: int) -> list[Registered]:
        """The capture is over: every outcome that was not told."""
        found: list[Registered] = []
        for one in self.all():
            self._look(one, now, found)
        return found + [one for one in self._stopped(now) if one not in found]

    def _stopped(self, now: int) -> list[Registered]:
        """Phones that have not come again although one and a half times their granted time is
        over, and others were accepted since."""
        latest: dict[str, int] = {}  # by address of record
        for one in self.table.values():
            if one.binding is not None:
                latest[one.aor] = max(latest.get(one.aor, 0), one.binding.at)
        found = []
        for one in self.all():
            agreed = one.binding
            if agreed is None or one.stopped or agreed.until == agreed.at:
                continue
            late = agreed.until + (agreed.until - agreed.at) // 2
            if now < late or max(r.last_at for r in one.seen) > agreed.at:
                continue
            others = max((at for aor, at in latest.items() if aor != one.aor), default=0)
            if latest[one.aor] == agreed.at and others > agreed.until:
                one.stopped = late
                found.append(one)
        return found

    def _look(self, one: Registered, now: int, found: list[Registered]) -> None:
        if one.unsolicited or self.table.get(one.key) is not one:
            return
        outcome = one.outcome(now)
        oddity = self._agreed(one) if outcome == "accepted" else one.oddity
        if outcome not in (one.said, "unknown") or oddity != one.oddity:
            one.said, one.oddity = outcome, oddity
            one.exchange = self._failed(one)
            found.append(one)

    def _agreed(self, one: Registered) -> tuple[object, ...]:
        """Read what the latest REGISTER agreed on; its oddity, with whether the phone registers
        again at once."""
        near, made = one.near, one.binding
        t = near.transaction
        # Both sides tell of one response: it is read once, when both copies were seen.
        if made is None or made.near.granted is not t.response or (
            made.far is None and t.forwarded is not None
        ):  # fmt: skip
            made = binding(near)
        if made is None:
            return one.oddity
        before = one.binding
        if made is not before and (before is None or made.at >= before.at):
            if before is not None and made.at > before.at and before.until > before.at:
                one.lapsed = made.near.asked.row[AT] > before.until
            one.binding = made
            one.stopped = 0
            self.bind(one, made)
        return (*made.oddity, near.hasty >= INSISTS, one.lapsed) if made.oddity else ()

    def _living(self, waiting: Waiting[Registered]) -> list[tuple[int, Registered]]:
        current = self.table.get
        return [item for item in waiting if current(item[1].key) is item[1]]

    def all(self) -> list[Registered]:
        return list(dict.fromkeys(self.table.values()))

    def _failed(self, one: Registered) -> Exchange | None:
        near = one.near
        if near.failed is None or near.failed.request is None:
            return None
        return self._exchanges.made(near.failed, near.side)


def _nothing(one: Registered, made: Binding) -> None:
    """Nobody wants to know."""
