# SPDX-License-Identifier: Apache-2.0
"""Comparison: the order within the compare stage. Sightings are paired, joined to calls,
registrations and exchanges, and remembered by line."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from operator import attrgetter

from algwatch.base.budget import Budget
from algwatch.base.deadlines import NEVER
from algwatch.base.host import NO_OFFLOAD, Host
from algwatch.base.packet import LAN, UNKNOWN, WAN, Batch
from algwatch.compare import room
from algwatch.compare.accounted import Accounted
from algwatch.compare.call import Call
from algwatch.compare.calls import WARNINGS, Calls
from algwatch.compare.captured import Captured
from algwatch.compare.connects import Connects
from algwatch.compare.contests import tell_calls
from algwatch.compare.counts import counts
from algwatch.compare.crossed import Crossed
from algwatch.compare.crossing import Crossing, Usual, alone
from algwatch.compare.doubts import Doubts
from algwatch.compare.exchange import Exchanges
from algwatch.compare.first_of_kind import FirstOfKind
from algwatch.compare.gaps import tell_outside
from algwatch.compare.knocks import Knocks
from algwatch.compare.known_rewrites import KnownRewrites
from algwatch.compare.limits import KINDS, MAPPINGS, Limits
from algwatch.compare.line import LATCHES, Line
from algwatch.compare.lines import Lines
from algwatch.compare.loss import Losses
from algwatch.compare.mapping import Mappings
from algwatch.compare.media import Counted, Media
from algwatch.compare.missed import Missed
from algwatch.compare.news import News
from algwatch.compare.observe import closed
from algwatch.compare.other_rows import OtherRows
from algwatch.compare.pairing import Pairing
from algwatch.compare.quality import Quality
from algwatch.compare.registered import Registered, Registrations
from algwatch.compare.silence import Silences, note_too_late
from algwatch.compare.stray_byes import StrayByes
from algwatch.compare.strays import Strays
from algwatch.compare.subscribed import Subscriptions
from algwatch.compare.summary import CallSummary, RegistrationSummary
from algwatch.compare.weights import Weights
from algwatch.sip.dialog import DialogSet
from algwatch.sip.side import Side
from algwatch.sip.step import CONFIRMED, Step
from algwatch.sip.transaction import Seen
from algwatch.sip.unsolicited import Unsolicited
from algwatch.sip.young import Young

_payload = attrgetter("payload")


class Comparison:
    """two_sided: there are taps of both sides. live: somebody waits for warnings of calls about to
    drop. watch: called with every message once its fate is known; every: see Pipeline.
    one_sided_news: somebody asks for crossings of one-sided captures. media: the counted RTP, if
    any."""

    def __init__(self, two_sided: bool, limits: Limits, live: bool,
                 watch: Callable[[Crossing], None] | None,
                 memory: int | None = None, every: bool = True) -> None:  # fmt: skip
        self.two_sided, self.live = two_sided, live
        self.media: Counted | None = None
        self.watch = watch
        self.one_sided_news = True
        self.calls = Calls(two_sided, limits.calls)
        unsolicited = Unsolicited(self.calls.table, limits.lines) if two_sided else None
        meet = (unsolicited.ask, unsolicited.meet, None) if unsolicited else (None,) * 3
        more = limits.lines * MAPPINGS
        self._unsolicited = unsolicited
        self.sides = [Side(side, limits.transactions, limits.calls, more, meet[side])
                      for side in range(3)]  # fmt: skip
        if unsolicited is not None:
            self.sides[LAN].qualify.met = unsolicited.watches
        self.mappings = Mappings(more)
        self.pairing = Pairing(self.mappings, limits.pairs, unsolicited) if two_sided else None
        self.sides[LAN].transactions.weighs = self.sides[WAN].transactions.weighs = two_sided
        self.lines = Lines(limits.lines)
        self._knocks = Knocks()
        self.stray_byes = StrayByes()
        missed = Missed(self.mappings) if self.pairing is None else self.pairing.missed
        self.captured = Captured(two_sided, missed)
        most = (memory or limits.memory) if two_sided else 0  # bytes
        self._doubts = Doubts(self.calls, self.sides, most, self._heard)
        if self.pairing is not None:
            self.pairing.own = self.captured.own
        self.beside = self._doubts.beside
        self._exchanges = Exchanges(self.sides, self.lines, two_sided)
        self._losses = Losses(self.calls.table, self.sides, self.lines, self.captured, limits.lines)
        self._registrations = Registrations(two_sided, more, self._exchanges, live)
        self._silences = Silences(self.mappings, self.lines, self.captured, more, live)
        self._registrations.bind = self._silences.bind
        self.registered = self._registrations.all
        self.transaction = self._exchanges.transaction
        self._subscriptions = Subscriptions(two_sided, more)
        self._connects = Connects(two_sided, self.sides, self.lines, self.mappings)
        self._other_rows = OtherRows(
            self._connects, self.mappings, self.lines, self.captured, self._unseen
        )
        self.made_anew = self._subscriptions.made_anew
        self.subscribed = self._subscriptions.of
        self._rewrites = KnownRewrites(limits.lines * KINDS)
        self._crossed = Crossed(
            self.calls, self.lines, self.captured, self._rewrites, self._registrations,
            self._exchanges, self._subscriptions, self._losses, watch, every,
        )  # fmt: skip
        self._first = FirstOfKind(limits.lines * KINDS * 4)
        self.budget = Budget(limits.memory if memory is None else memory)
        self._share_room(unsolicited)
        self._until = [NEVER] * 3  # by side, ns: its capture ended there
        self._stirred, self._wakes = True, 0  # rows came; else ns, nothing is due before it
        turned_away = self.pairing.waiting.turned_away if self.pairing is not None else None
        self._strays = Strays(self.calls.table, self.sides, self.captured, turned_away)
        if live:
            for side in self.sides:
                side.transactions.stray = self._strays.is_stray
        if live and two_sided:
            dialogs = self.sides[WAN].dialogs
            dialogs.young = self.calls.young = Young()
            self.calls.wake = dialogs.wake

    @property
    def pending(self) -> bool:
        """True if something waits for time to pass."""
        if self.calls.table or self.calls.young or self._exchanges.due < NEVER:
            return True
        return self.pairing is not None and self.pairing.due < NEVER

    @property
    def due(self) -> int:
        """ns; advance() does nothing before it."""
        due = min(self.calls.due, self._registrations.due, self._subscriptions.due)
        due = min(due, self._exchanges.due, self._connects.due)
        if self.calls.young:
            due = min(due, self.calls.young.due)
        if self._silences.table:
            due = min(due, self._silences.due)
        for side in self.sides:
            if self.captured.now < self._until[side.side]:
                due = min(due, side.transactions.due)
        return due if self.pairing is None else min(due, self.pairing.due)

    def feed(self, which: int, batch: Batch) -> News:
        """A batch of that side."""
        self._stirred = True
        side = self.sides[which]
        pairing = self.pairing if which != UNKNOWN else None
        other: list[Seen] = []
        events, steps = side.feed(batch, pairing is not None or self.watch is not None, other)
        fresh = list(batch.sightings.values())
        if fresh:
            size = side.transactions.kept or sum(map(len, map(_payload, fresh)))
            self.budget.came(len(fresh), size)
        self.captured.note(side, batch, events, other)
        if impostors := side.transactions.impostors:
            copies = [batch.sighting(which, *seen) for seen in impostors]
            self._wake()
            tell_calls(copies, self.captured, self.calls.table)
            impostors.clear()
        self._heard(side, steps)
        if other:
            self._other_rows.feed(which, other, batch)
        if self._connects.table:
            self._connects.hear(events)
        if pairing is not None:
            news = News(self._cross(pairing.feed(which, fresh)) if fresh else [])
            if self.calls.forgets:
                news.moments = self.calls.closed()
            return news
        if self.pairing is not None:
            return News([])
        if self.watch is not None:
            for copy in fresh:
                self.watch(alone(copy, sent=False))
        news = News(self._first.of(events, batch, which) if self.one_sided_news else [])
        for crossing in news.crossings:
            self.captured.note_kind(crossing)
            if which == UNKNOWN:
                self.captured.note_network(crossing.entered)
        return news

    def advance(self, now: int) -> News | None:
        """Every tap has passed this moment (ns). None: nothing was due, and no rows came."""
        self.captured.now = now
        if not self.captured.started:
            self.captured.started = self.mappings.started = now
            self._strays.asked_since = now
        if self.media is not None and not self.calls.keeps:
            self.calls.keeps = bool(self.media.shown(now))
        if not self._stirred and not self._doubts.held:
            self._wakes = self._wakes or min(
                self.due, self._silences.due, self._registrations.seek_at
            )
            if now < self._wakes:
                return None
        self._stirred, self._wakes = False, 0
        return self._pass_time(now)

    def bound(self, quality: Quality | None) -> None:
        """Note the span and the gaps of each side's capture, if known."""
        self.captured.quality = quality
        self._knocks.outside = quality is not None and quality.silent == LAN
        if self.pairing is None or quality is None:
            return
        self.pairing.gaps = quality.gaps
        for side in (LAN, WAN):
            began, ended = quality.began[side], quality.ended[side] or NEVER
            self.pairing.bound(side, began, ended)
            if began:
                self.captured.missed.lose(side, began)
            if quality.one_way[side]:
                self.captured.missed.lose(side, NEVER)
                self.captured.lost_at = self.captured.gone_at = NEVER
            self.sides[side].dialogs.since = began
            self._until[side] = self.sides[side].dialogs.until = ended
            self._subscriptions.until[side] = ended
        self.captured.began, self.captured.ended = max(quality.began), min(self._until)
        self._registrations.lan_ended = self._until[LAN]
        if self._unsolicited is not None:
            for remote in quality.remotes:
                self._unsolicited.known.add(remote, b"")

    def hears(self, media: Counted | None) -> None:
        """media: see above."""
        self.media = media
        if isinstance(media, Accounted):
            media.followed = self.calls.all

    def host(self, host: Host) -> None:
        """Note the router's present state: its helper, timeouts and offloaded (uncounted) flows."""
        self.captured.host = host
        if isinstance(self.media, Accounted):
            self.media.offloaded = host.offload != NO_OFFLOAD
        self.mappings.timeouts.tell(host.udp_timeout, host.udp_timeout_stream)

    def lost(self, side: int, packets: int, until: int) -> None:
        """See Pipeline.lost; side: LAN, WAN or UNKNOWN."""
        self._unseen(until)
        self.captured.lost[side] += packets
        self.captured.gone_at = max(self.captured.gone_at, until)
        self.captured.missed.lose(side, until)

    def _unseen(self, until: int) -> None:
        """Any message may have passed unseen until then (ns)."""
        self._strays.asked_since = max(self._strays.asked_since, until)
        self.captured.lost_at = max(self.captured.lost_at, until)

    def finish(self) -> tuple[News, News]:
        """The capture is over: first the due, then the pending, as unknown."""
        now = self.captured.now
        self._wake()
        due = self._pass_time(now)
        last = News([])
        if self.pairing is not None:
            last.crossings = self._cross(self.pairing.finish())
            self._doubts.settle(NEVER)
            last.crossings += self._crossed.feed(self._doubts.ready())
            if self.pairing.contest:
                tell_calls(self.pairing.contest, self.captured, self.calls.table)
            if self.watch is not None:
                for copy in self.pairing.waiting.copies():
                    self.watch(alone(copy, sent=False))
        self.captured.finished = True
        last.exchanges = self._exchanges.changed(self.sides, now) + self._exchanges.finish()
        last.paths = self._losses.finish()
        last.connects = self._connects.finish()
        last.moments = self.calls.finish(now)
        last.registered = self._registrations.finish(now)
        last.subscribed = self._subscriptions.finish()
        if not self.two_sided:
            self._knocks.set_apart(last, self._registrations)
        if self.pairing is not None:
            self._silences.finish(now)
            last.lines, self._silences.news = self._silences.news, []
        return due, last

    def heard(self, call: Call) -> Media | None:
        """The RTP of a finished call; None if it shows nothing."""
        if self.media is None or not self.calls.keeps:
            return None
        media = self.media.of(call, self.captured.now)
        if media is not None and call.flow_pair is not None and media.latched:
            self.lines.of(call.flow_pair).observe(LATCHES, None, media.until)
        return media

    def close(self, call: Call) -> tuple[CallSummary, Line | None]:
        """A call is over: its summary, and its line, or the line it came too late for."""
        if self.captured.alone:
            self.captured.let_go(call)
        if self.captured.finished and self._connects.has_ended(call.flow_pair, call.last_at):
            call.cut_off = True
        for s in (*call.sides, *call.astray):
            if s is not None:
                self.sides[s.side].dialogs.forget(s)
        summary, line = closed(call, self.captured, self.lines)
        if summary.outcome == "rejected" and call.inbound and self._unsolicited is not None:
            summary.stranger = call.host not in self._unsolicited.known
        if line is None and call.unpaired:
            line = note_too_late(call, self.captured, self.lines, self.mappings)
        return summary, line

    def registrations(self, some: list[Registered] | None = None) -> list[RegistrationSummary]:
        """Summaries of these registrations, by default of all."""
        now, lines = self.captured.now, self.lines
        chosen = self._registrations.all() if some is None else some
        named = [
            (one, lines.of(one.flow_pair).name if one.flow_pair is not None else "")
            for one in chosen
        ]
        return [one.summary(now, line, self.captured) for one, line in named]

    def _share_room(self, unsolicited: Unsolicited | None) -> None:
        """Give the tables their weights and the budget its keepers."""
        weights = Weights(self.calls.table, self.lines, unsolicited)
        weights.weigh_sides(self.sides)
        if unsolicited is not None:
            unsolicited.known.weigh = weights.remote
        if self.pairing is not None:
            self.pairing.waiting.weight = weights.waiting
        self.lines.table.weigh = weights.line
        self.mappings.table.weigh = self.mappings.states.weigh = weights.mapping
        self.mappings.flow_pairs.weigh = weights.flow_pair
        self._registrations.table.weigh = weights.joined
        self._subscriptions.table.weigh = weights.joined
        self._rewrites.kinds.weigh = weights.rewrite
        self.calls.drop = self._drop
        for side in self.sides:
            side.dialogs.table.gone = self.calls.lose
        waiting = self.pairing.waiting if self.pairing is not None else None
        room.share(self.budget, self.sides, self.calls, self._registrations, self._subscriptions,
                   self.lines, self._losses, waiting)  # fmt: skip

    def _wake(self) -> None:
        """Follow all young INVITEs from here on."""
        self._heard(self.sides[WAN], self.sides[WAN].dialogs.advance(NEVER))

    def _drop(self, s: DialogSet) -> None:
        self.sides[s.side].dialogs.forget(s)

    def counts(self) -> dict[str, dict[str, int]]:
        """See compare/counts.py."""
        return counts(self.captured, self.pairing, self.sides, self.calls, self.lines)

    def _heard(self, side: Side, steps: list[Step]) -> None:
        if steps:
            if not self.two_sided:
                for s, code, _ in steps:
                    if code == CONFIRMED and s.current is not None:
                        self.captured.note_reached(s.current.answer)
            self.calls.feed(steps)
            self.captured.forgets = self.calls.forgets
        if side.registered:
            self._registrations.feed(side.registered, self.captured.now)
            side.registered.clear()
        if side.subscribed:
            self._subscriptions.feed(side.subscribed, self.captured.now)
            side.subscribed.clear()

    def _pass_time(self, now: int) -> News:
        news = News([] if self.pairing is None else self._cross(self.pairing.advance(now)))
        if self.pairing is not None:
            if self.pairing.contest:
                self._wake()
                tell_calls(self.pairing.contest, self.captured, self.calls.table)
            if self.pairing.outside:
                tell_outside(self.pairing.outside, self.pairing.gaps, self.calls.table, self.watch)
            if self._doubts.held:
                self._doubts.settle(now)
                news.crossings += self._crossed.feed(self._doubts.ready())
        for side in self.sides:
            self._heard(side, side.advance(min(now, self._until[side.side])))
        news.exchanges = self._exchanges.changed(self.sides, now)
        self.stray_byes.feed(news.exchanges)
        news.paths = self._losses.feed()
        news.connects = self._connects.advance(now)
        # In a file the call ends a moment later: only a live run is warned.
        news.moments = [m for m in self.calls.advance(now) if self.live or m[1] not in WARNINGS]
        news.registered = self._registrations.changed(now)
        if self.pairing is not None:
            self._silences.advance(now)
            if self._silences.news:
                news.lines, self._silences.news = self._silences.news, []
        news.subscribed = self._subscriptions.changed(now)
        if not self.two_sided:
            self._knocks.set_apart(news, self._registrations)
        return news

    def _cross(self, crossings: Sequence[Crossing | Usual]) -> list[Crossing]:
        """Those for rules, see Crossed.feed."""
        if self._doubts.fresh or self._doubts.held:
            self._doubts.settle(0, crossings)
            crossings = self._doubts.ready(crossings)
        return self._crossed.feed(crossings)
