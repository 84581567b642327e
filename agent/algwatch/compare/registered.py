# SPDX-License-Identifier: Apache-2.0
"""Registered: a registration on both sides of the router, joined."""

from __future__ import annotations

from collections.abc import Callable
from heapq import nlargest
from operator import itemgetter

from algwatch.base.deadlines import NEVER
from algwatch.base.packet import LAN, UNKNOWN, WAN
from algwatch.base.sighting import AT, CALL, STATUS
from algwatch.compare.binding import Binding, binding, takes_off
from algwatch.compare.captured import Captured
from algwatch.compare.crossing import Crossing
from algwatch.compare.exchange import Exchange, Exchanges
from algwatch.compare.followed import Followed
from algwatch.compare.joined import Joined
from algwatch.compare.summary import RegistrationSummary
from algwatch.sip.message import parties
from algwatch.sip.registration import ENDLESS, RETRIED, Registration, RegistrationStep
from algwatch.sip.timers import SECOND, TIMER_F
from algwatch.sip.transaction import FINAL, NOT_HEARD, ORPHAN, TIMED_OUT, UDP

SEEK = 15 * SECOND  # between two searches for phones that have stopped
TRIES = 2  # over TCP, until nobody has answered for certain
LAPSES = 2  # one alone may be a phone that was switched off
INSISTS = 3  # after so many hasty REGISTERs in a row a phone takes itself for unregistered


class Registered(Joined[Registration]):
    """call_id, aor: text. exchange: the latest failed REGISTER, or None. said: the latest outcome
    reported; doubted: no response, and yet there may have been one. binding: the terms of the
    latest accepted one; oddity: of it, as last reported; lapsed: the phone came after the end of
    the granted time before; lapses: so often in a row, and late by a tenth of it; stopped: ns, the
    phone missed this time to register again, and others did not; 0: not so. lan_ended: ns, the end
    of the LAN capture. anew: after a REGISTER in vain the phone was accepted with another
    Call-ID soon."""

    __slots__ = (
        "anew",
        "aor",
        "binding",
        "call_id",
        "doubted",
        "exchange",
        "lan_ended",
        "lapsed",
        "lapses",
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
        self.lapsed = self.doubted = self.anew = False
        self.stopped = self.lapses = 0
        self.lan_ended = NEVER

    @property
    def near(self) -> Registration:
        """The registration on the side its requests came from."""
        lan, wan, one = self.sides[LAN], self.sides[WAN], self.sides[UNKNOWN]
        if lan is not None and wan is not None and wan.last_at > self.lan_ended:
            return wan
        near = lan or wan or one
        assert near is not None
        return near

    @property
    def unsolicited(self) -> bool:
        """From a stranger, and no phone or PBX here has accepted it."""
        return self.near.unsolicited and not (self.paired and self.near.accepted_at)

    def outcome(self, now: int) -> str:
        """accepted, refused, unanswered, challenged or unknown. A phone whose removal of its
        binding fails has not failed to register: the binding expires by itself. now: ns."""
        near = self.near
        said = near.outcome(now)
        failed = said != "accepted" and near.request is not None and takes_off(near.request)
        return "unknown" if failed else said

    @property
    def may_be_answered(self) -> bool:
        """Over TCP a REGISTER and its response come once, so every capture may have lost it. The
        phone shows that it got none by another REGISTER in vain."""
        asked = self.near.request
        if asked is None or asked.ends.proto == UDP or self.near.missed >= TRIES:
            return False
        return all(r.silent for r in self.seen)

    def summary(self, now: int, line: str, captured: Captured) -> RegistrationSummary:
        """Over TCP nothing is sent again, so silence shows nothing."""
        end = max(r.last_at for r in self.seen)
        status = self.near.status or self.near.transaction.taken(now)
        said, asked = self.outcome(now), self.near.request
        if said == "unanswered" and asked is not None and asked.ends.proto != UDP:
            said = "unknown" if asked.row[AT] <= captured.lost_by(asked) else said
        made = self.exchange
        if said == "unanswered" and made is not None:
            open_ = made.half_captured or made.settled or self.may_be_answered
            said = "unknown" if open_ else said
        if self.anew and said != "accepted":
            said = "unknown"
        return RegistrationSummary(
            self.call_id, self.aor, said, status, self.started_at / 1e9, end / 1e9, line,
            self.unsolicited,
        )  # fmt: skip


class Registrations(Followed[Registered]):
    """Steps of both sides in, registrations to judge out. limit: their number. bind: called with
    each binding. seek_at: ns, the next search for phones that have stopped."""

    def __init__(self, two_sided: bool, limit: int, exchanges: Exchanges, live: bool) -> None:
        super().__init__(limit, TIMER_F)
        self.two_sided = two_sided
        self.bind: Callable[[Registered, Binding], None] = _nothing
        self.lan_ended = NEVER  # ns; the LAN side was captured until then
        self._exchanges = exchanges
        # In a file the phone may register a moment later, so the search runs at the end.
        self.seek_at = 0 if live else NEVER

    def feed(self, steps: list[RegistrationStep], now: int) -> None:
        """now: ns, passed by every tap; the steps may be later."""
        for r, code in steps:
            one = self.table.get(r.call)
            if one is None:
                one = Registered(r.call, self.two_sided)
                one.lan_ended = self.lan_ended
                self.table.add(r.call, one, r.unsolicited)
            one.sides[r.side] = r
            if not one.call_id and r.request is not None:
                one.call_id, _, one.aor = parties(r.request.payload)
            if code in (NOT_HEARD, ORPHAN):  # the end of Timer F shows whether the phone accepts it
                self._later.add(max(now, r.last_at), one)
            elif code in (FINAL, TIMED_OUT):
                # Wait until both sides had time to show it. A challenge without a follow-up is an
                # outcome only after its time.
                later = r.status in RETRIED and max(r.rounds, r.brief) < ENDLESS and code == FINAL
                (self._later if later else self._soon).add(max(now, r.last_at), one)

    def cross(self, crossing: Crossing) -> None:
        """Take the crossing of a REGISTER or of its response, or its only copy."""
        one = self.table.get(crossing.entered.row[CALL])
        if one is not None:
            self._attach(one, crossing)
            lan, wan = one.sides[LAN], one.sides[WAN]
            if lan is not None and wan is not None and not crossing.entered.row[STATUS]:
                # A forged one before it does not make a phone here a stranger.
                lan.unsolicited = not crossing.outbound and (wan.unsolicited or lan.unsolicited)

    @property
    def due(self) -> int:
        """ns; changed() finds nothing before it."""
        due = super().due
        return min(due, self.seek_at) if self.table else due

    def changed(self, now: int) -> list[Registered]:
        """Registrations with a new outcome, good or bad, known by now (ns)."""
        found: list[Registered] = []
        for one in self._due(now):
            self._look(one, now, found)
        if now >= self.seek_at:
            self.seek_at = now + SEEK
            found += self._stopped(now)
        return found

    def finish(self, now: int) -> list[Registered]:
        """The capture is over: every outcome not reported yet."""
        found: list[Registered] = []
        for one in self.all():
            self._look(one, now, found)
        return list(dict.fromkeys((*found, *self._stopped(now))))

    def _stopped(self, now: int) -> list[Registered]:
        """Phones without a new REGISTER after one and a half times their granted time, while others
        were accepted since."""
        latest: dict[str, int] = {}  # by address of record
        for one in self.table.values():
            if one.binding is not None:
                latest[one.aor] = max(latest.get(one.aor, 0), one.binding.at)
        two = nlargest(2, latest.items(), key=itemgetter(1))
        found = []
        for one in self.all():
            agreed = one.binding
            if agreed is None or one.stopped or agreed.until == agreed.at:
                continue
            late = agreed.until + (agreed.until - agreed.at) // 2
            if now < late or max(r.last_at for r in one.seen) > agreed.at:
                continue
            others = next((at for aor, at in two if aor != one.aor), 0)
            if latest[one.aor] == agreed.at and others > agreed.until:
                one.stopped = late
                found.append(one)
        return found

    def _look(self, one: Registered, now: int, found: list[Registered]) -> None:
        if one.unsolicited:
            return
        outcome = one.outcome(now)
        oddity = self._agreed(one) if outcome == "accepted" else one.oddity
        doubted = outcome == "unanswered" and one.may_be_answered
        sure = one.doubted and outcome == "unanswered" and not doubted
        if outcome not in (one.said, "unknown") or oddity != one.oddity or sure:
            one.said, one.oddity, one.doubted = outcome, oddity, doubted
            one.anew = outcome != "accepted" and self._came_anew(one)
            one.exchange = self._failed(one)
            found.append(one)

    def _agreed(self, one: Registered) -> tuple[object, ...]:
        """Read the terms of the latest REGISTER. Returns its oddity, with whether the phone
        registers again at once."""
        near, made = one.near, one.binding
        t = near.transaction
        # Both sides report one response: it is read once, with both copies.
        if made is None or made.near.granted is not t.response or (
            made.far is None and t.forwarded is not None
        ):  # fmt: skip
            made = binding(near)
        if made is None:
            return one.oddity
        before = one.binding
        if made is not before and (before is None or made.at >= before.at):
            if before is not None and made.at > before.at and before.until > before.at:
                late = made.near.asked.row[AT] - before.until
                one.lapsed = late > 0
                one.lapses = one.lapses + 1 if late > (before.until - before.at) // 10 else 0
            one.binding = made
            one.stopped = 0
            self.bind(one, made)
        if one.lapses == LAPSES:
            return (*made.oddity, one.lapses)
        return (*made.oddity, near.hasty >= INSISTS, one.lapsed) if made.oddity else ()

    def _came_anew(self, one: Registered) -> bool:
        """Its phone was accepted for the same address of record with another Call-ID, before Timer
        F of its latest REGISTER was over."""
        asked = one.near.request
        if asked is None:
            return False
        sent = asked.row[AT]
        for other in self.all():
            agreed = other.binding
            if other is one or other.aor != one.aor or agreed is None:
                continue
            if one.paired and not other.paired:
                continue
            same_phone = agreed.near.asked.packed_ends[:16] == asked.packed_ends[:16]
            soon = sent < other.near.accepted_at <= sent + TIMER_F
            if same_phone and soon and agreed.until > agreed.at:
                return True
        return False

    def _failed(self, one: Registered) -> Exchange | None:
        near = one.near
        if near.failed is None or near.failed.request is None:
            return None
        return self._exchanges.made(near.failed, near.side)


def _nothing(one: Registered, made: Binding) -> None:
    """No listener."""
