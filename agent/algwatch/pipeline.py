"""The order of the stages, and the only file that knows it."""

from __future__ import annotations

from collections.abc import Callable

from algwatch.advise.recommend import Recommender
from algwatch.base.native.layout import ACK, KIND_CUT, KIND_KEEPALIVE
from algwatch.base.packet import LAN, UNKNOWN, WAN, Batch, Tap
from algwatch.base.report import Report
from algwatch.base.sighting import AT, KIND, METHOD
from algwatch.base.table import Table
from algwatch.compare.calls import CLOSED, PREDICTED, Calls, Moment
from algwatch.compare.captured import Captured
from algwatch.compare.counts import counts
from algwatch.compare.crossing import Crossing, alone
from algwatch.compare.exchange import Exchanges
from algwatch.compare.first_of_kind import FirstOfKind
from algwatch.compare.known_rewrites import KnownRewrites
from algwatch.compare.line import Lines
from algwatch.compare.mapping import Mappings
from algwatch.compare.observe import closed
from algwatch.compare.pairing import Pairing
from algwatch.compare.quality import Quality
from algwatch.compare.registered import Registered, Registrations
from algwatch.diagnose.engine import SAID, Engine
from algwatch.diagnose.known import Known
from algwatch.diagnose.subject import (
    CALL,
    CAPTURE,
    CROSSING,
    LINE,
    REGISTRATION,
    TRANSACTION,
    Event,
)
from algwatch.sip.dialogs import Step
from algwatch.sip.side import Side
from algwatch.sip.timers import SECOND
from algwatch.sip.unsolicited import Unsolicited


class Limits:
    """How much is followed at once. transactions and calls: entries a side; pairs: sightings
    that wait for their other copy; lines: pairs of phone and provider."""

    __slots__ = ("calls", "lines", "pairs", "transactions")

    def __init__(self, transactions: int, calls: int, pairs: int, lines: int) -> None:
        self.transactions = transactions
        self.calls = calls
        self.pairs = pairs
        self.lines = lines


KINDS = 8  # of message that a phone sends and gets most of the time
ROUTER = Limits(transactions=512, calls=256, pairs=256, lines=128)
LAPTOP = Limits(transactions=65536, calls=16384, pairs=4096, lines=1024)


class Pipeline:
    """Batches in, reports out. Sans-IO: packet time drives every timer.

    taps: list of Tap, indexed by Batch.tap. Each method returns a list of reports, in order. watch:
    called with every message once it is known what became of it (a ladder for people). strict:
    rules that fail raise (tests). clock: ns, to time the rules. quality: what is known of the taps
    before (compare/quality.py).
    """

    def __init__(self, taps: list[Tap], live: bool = False,
                 watch: Callable[[Crossing], None] | None = None, strict: bool = False,
                 clock: Callable[[], int] | None = None,
        quality: Quality | None = None,
    ) -> None:  # fmt: skip
        limits = ROUTER if live else LAPTOP
        present = {tap.side for tap in taps}
        two_sided = LAN in present and WAN in present
        self.taps = taps
        self.watch = watch
        self.live = live
        self._watermarks = [0] * len(taps)
        self._capture_at = 0
        self._calls = Calls(two_sided, limits.calls)
        unsolicited = Unsolicited(self._calls.table, limits.lines) if two_sided else None
        meet = (unsolicited.ask, unsolicited.meet, None) if unsolicited else (None,) * 3
        self._sides = [Side(side, limits.transactions, limits.calls, limits.lines * 4, meet[side])
                       for side in range(3)]  # fmt: skip
        self._mappings = Mappings(limits.lines * 4)
        self._pairing = Pairing(self._mappings, limits.pairs, unsolicited) if two_sided else None
        self._lines = Lines(limits.lines)
        self._exchanges = Exchanges(self._sides, self._lines, two_sided)
        self._registrations = Registrations(two_sided, limits.lines * 4, self._exchanges)
        self._rewrites = KnownRewrites(limits.lines * KINDS)
        self._first = FirstOfKind(limits.lines * KINDS * 4)
        self._captured = Captured(two_sided)
        self._captured.quality = quality
        said: Table[str, int] = Table(SAID)
        known = Known(self._captured, self._lines, self._mappings, said)
        self._engine = Engine(known, said, strict, clock)
        self._recommender = Recommender(self._lines)

    @property
    def pending(self) -> bool:
        """Whether something waits for time to pass: idle taps are worth advancing often."""
        return bool(self._calls.table) or (self._pairing is not None and self._pairing.pending)

    @property
    def due(self) -> int:
        """ns; advance() finds nothing to do before it."""
        due = min(self._calls.due, self._registrations.due)
        for side in self._sides:
            due = min(due, side.transactions.due)
        return due if self._pairing is None else min(due, self._pairing.due)

    def feed(self, batch: Batch) -> list[Report]:
        """A batch of the tap that it names; its bytes are not needed after the return."""
        side = self._sides[self.taps[batch.tap].side]
        pairing = self._pairing if side.side != UNKNOWN else None
        other: list[tuple[tuple[int, ...], int]] = []
        events, steps = side.feed(batch, pairing is not None or self.watch is not None, other)
        fresh = list(batch.sightings.values())
        self._captured.note(side, batch, events, other)
        self._heard(side, steps)
        reports: list[Report] = []
        for row, i in other:
            if row[KIND] == KIND_CUT:  # as good as not captured
                self.lost(batch.tap, 0, row[AT])
            elif row[KIND] == KIND_KEEPALIVE and side.side == LAN:
                ends = batch.ends[48 * i : 48 * i + 32]
                self._lines.keepalive(ends[:16], ends[16:], row[AT])
        if pairing is not None:
            if fresh:
                reports += self._crossed(pairing.feed(side.side, fresh))
        elif self._pairing is None:
            if self.watch is not None:
                for copy in fresh:
                    self.watch(alone(copy, sent=False))
            if events and self._engine.listens(CROSSING):
                news = self._first.of(events, batch, side.side)
                reports += self._told([(CROSSING, crossing) for crossing in news])
        return reports + self.advance(batch.tap, batch.watermark)

    def advance(self, tap: int, now: int) -> list[Report]:
        """Nothing earlier than `now` (ns since 1970) will come from this tap any more."""
        captured, marks = self._captured, self._watermarks
        if now > marks[tap]:
            marks[tap] = now
        now = min(marks)
        if now <= captured.now:
            return []
        captured.now = now
        captured.started = captured.started or now
        return self._pass_time(now)

    def lost(self, tap: int, packets: int, until: int) -> None:
        """Not everything later than this tap's watermark and earlier than `until` (ns) was
        captured; packets: how many are known to be lost. To be called before the watermark
        moves: a message that was not seen meanwhile is not missing."""
        side = self.taps[tap].side
        self._captured.lost[side] += packets
        self._captured.lost_at = max(self._captured.lost_at, until)
        if self._pairing is not None and side != UNKNOWN:
            self._pairing.lost(side, until)

    def finish(self) -> list[Report]:
        """The capture is over: what is pending becomes unknown; the last reports."""
        now = self._captured.now
        reports = self._pass_time(now)
        if self._pairing is not None:
            reports += self._crossed(self._pairing.finish())
            if self.watch is not None:
                for copy in self._pairing.waiting():
                    self.watch(alone(copy, sent=False))
        self._captured.finished = True
        for moment in self._calls.finish():
            reports += self._moment(moment)
        reports += self._registered(self._registrations.finish(now))
        if not self.live:
            reports += [one.summary(now, self._line_name(one)) for one in self._registrations.all()]
        return reports + self._told([(CAPTURE, None)])

    def counts(self) -> dict[str, dict[str, int]]:
        """{"capture": {...}, "crossings": {...}} as in `analyze --json`; where a table was full
        also {"evicted": {...}}."""
        return counts(self._captured, self._pairing, self._sides, self._calls, self._lines)

    def judge(self, quality: Quality) -> None:
        """What a survey says of the taps that was over only now."""
        self._captured.quality = quality

    @property
    def failures(self) -> dict[str, int]:
        """Rules that raised, by id: faults of ours."""
        return self._engine.failures

    def _heard(self, side: Side, steps: list[Step]) -> None:
        if steps:
            self._calls.feed(steps)
            self._captured.forgets = self._calls.table.evicted > 0
        if side.registered:
            self._registrations.feed(side.registered, self._captured.now)
            side.registered.clear()

    def _pass_time(self, now: int) -> list[Report]:
        reports: list[Report] = []
        if self._pairing is not None:
            reports += self._crossed(self._pairing.advance(now))
        failed: list[Event] = []
        for side in self._sides:
            self._heard(side, side.advance(now))
            for t in side.failed:
                exchange = self._exchanges.made(t, side.side)
                if exchange is not None:
                    failed.append((TRANSACTION, exchange))
            side.failed.clear()
        reports += self._told(failed)
        for moment in self._calls.advance(now):
            # In a file the end of the call is a moment away: only who waits wants to be warned.
            if moment[1] != PREDICTED or self.live:
                reports += self._moment(moment)
        reports += self._registered(self._registrations.changed(now))
        if self.live and now - self._capture_at > SECOND:
            self._capture_at = now
            reports += self._told([(CAPTURE, None)])
        return reports

    def _crossed(self, crossings: list[Crossing]) -> list[Report]:
        news: list[Event] = []
        for crossing in crossings:
            if crossing.rewritten:
                self._rewrites.look(crossing)
            call = self._calls.cross(crossing)
            if call is None:
                self._registrations.cross(crossing)
            self._lines.feed(crossing, call)
            if crossing.entered.row[METHOD] > ACK:
                self._exchanges.cross(crossing)
            if self.watch is not None:
                self.watch(crossing)
            if self._rewrites.is_news(crossing):
                news.append((CROSSING, crossing))
        return self._told(news)

    def _moment(self, moment: Moment) -> list[Report]:
        call, what = moment
        if what != CLOSED:
            return self._told([(CALL, call)])
        for side, s in zip(self._sides, call.sides, strict=True):
            if s is not None:
                side.dialogs.forget(s)
        summary, line = closed(call, self._captured, self._lines)
        # Scanners knock all day: a router's log is not for them.
        if call.unsolicited and self.live:
            return []
        if line is None:
            return [summary]
        return [summary, *self._told([(LINE, line)]), *self._recommender.reconsider(line)]

    def _registered(self, changed: list[Registered]) -> list[Report]:
        reports = self._told([(REGISTRATION, one) for one in changed])
        if self.live:
            now = self._captured.now
            reports += [one.summary(now, self._line_name(one)) for one in changed]
        return reports

    def _line_name(self, one: Registered) -> str:
        return self._lines.of(one.flow_pair).name if one.flow_pair is not None else ""

    def _told(self, events: list[Event]) -> list[Report]:
        findings = self._engine.feed(events)
        return [*findings, *self._recommender.feed(findings)] if findings else []
