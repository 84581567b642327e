"""The order of the stages, and the only file that knows it."""

from __future__ import annotations

from collections.abc import Callable

from algwatch.advise.advice import Advice
from algwatch.advise.recommend import Recommender
from algwatch.base.native import KIND_KEEPALIVE
from algwatch.base.packet import LAN, UNKNOWN, WAN, Batch, Tap
from algwatch.base.sighting import KIND, sighted
from algwatch.compare.call import CLOSED, PREDICTED, Call, Calls
from algwatch.compare.crossing import Crossing, alone
from algwatch.compare.familiar import Familiar
from algwatch.compare.mapping import Mappings
from algwatch.compare.pairing import Pairing
from algwatch.compare.peer import Peer, Peers
from algwatch.compare.summary import CallSummary
from algwatch.diagnose.context import Context
from algwatch.diagnose.engine import Engine
from algwatch.diagnose.finding import Finding
from algwatch.sip.dialog import Dialogs
from algwatch.sip.strangers import Strangers
from algwatch.sip.timers import SECOND
from algwatch.sip.transaction import Seen, Transactions

TYPE_CHECKING = False
if TYPE_CHECKING:
    from algwatch.compare.quality import Quality


class Limits:
    """How much is followed at once. transactions and calls: entries a side; pairs: sightings
    that wait for their other copy; phones: pairs of phone and provider."""

    __slots__ = ("calls", "pairs", "phones", "transactions")

    def __init__(self, transactions: int, calls: int, pairs: int, phones: int) -> None:
        self.transactions = transactions
        self.calls = calls
        self.pairs = pairs
        self.phones = phones


KINDS = 8  # of message that a phone sends and gets most of the time
ROUTER = Limits(transactions=512, calls=256, pairs=256, phones=128)
LAPTOP = Limits(transactions=65536, calls=16384, pairs=4096, phones=1024)


Report = Finding | Advice | CallSummary  # what a pipeline returns


class Pipeline:
    """Batches in, reports out. Sans-IO: packet time drives every timer.

    taps: list of Tap, indexed by Batch.tap. Each method returns a list of reports: Finding,
    Advice (said again whenever it changed) or CallSummary, in order. watch: called with every
    message once it is known what became of it (a ladder for people). strict: rules that fail
    raise (tests). quality: what a survey of both sides said, where there was one; it may come
    just before finish().
    """

    def __init__(
        self,
        taps: list[Tap],
        live: bool = False,
        watch: Callable[[Crossing], None] | None = None,
        strict: bool = False,
        quality: Quality | None = None,
    ) -> None:
        limits = ROUTER if live else LAPTOP
        sides = {tap.side for tap in taps}
        self.taps = taps
        self.watch = watch
        self.live = live
        self._watermarks = [0] * len(taps)
        two_sided = LAN in sides and WAN in sides
        self._sides = [side for side in (LAN, WAN, UNKNOWN) if side in sides]
        self._calls = Calls(two_sided, limits.calls)
        strangers = Strangers(self._calls.table, limits.phones) if two_sided else None
        met = (strangers.ask, strangers.meet, None) if strangers is not None else (None,) * 3
        self._transactions = [Transactions(limits.transactions, met[s], s) for s in range(3)]
        self._dialogs = [Dialogs(side, limits.calls) for side in range(3)]
        self._mappings = Mappings(limits.phones * 4)
        self._pairing = Pairing(self._mappings, limits.pairs, strangers) if two_sided else None
        self._peers = Peers(limits.phones)
        self._familiar = Familiar(limits.phones * KINDS)
        self._context = Context(two_sided, self._peers)
        self.quality = quality
        self._engine = Engine(self._context, strict)
        self._recommender = Recommender(self._peers)
        self._capture_at = 0

    @property
    def pending(self) -> bool:
        """Whether something waits for time to pass: idle taps are worth advancing often."""
        return bool(self._calls.table) or (self._pairing is not None and self._pairing.pending)

    def feed(self, batch: Batch) -> list[Report]:
        """A batch of the tap that it names; its bytes are not needed after the return."""
        side = self.taps[batch.tap].side
        wanted = self._pairing is not None or self.watch is not None
        other: list[Seen] = []
        context = self._context
        transactions = self._transactions[side]
        events = transactions.feed(batch, wanted, other)
        fresh = list(batch.sightings.values())
        reports: list[Report] = []
        context.sip[side] = transactions.messages
        if context.first[side] is None and events:
            _, _, row, i = events[0]
            context.first[side] = sighted(batch, side, row, i)
        if transactions.duplicate is not None:
            context.duplicates = sum(t.duplicates for t in self._transactions)
            context.duplicate = context.duplicate or sighted(batch, side, *transactions.duplicate)
            transactions.duplicate = None
        if events:
            self._calls.feed(self._dialogs[side].feed(events, batch))
            context.forgets = self._calls.table.evicted > 0
        if self._pairing is not None and side != UNKNOWN:
            for row, i in other:
                if row[KIND] == KIND_KEEPALIVE and side == LAN:
                    self._peers.keepalive(
                        batch.ends[48 * i : 48 * i + 16], batch.ends[48 * i + 16 : 48 * i + 32]
                    )
            if fresh:
                reports += self._crossed(self._pairing.feed(side, fresh))
        elif self.watch is not None and fresh:
            for copy in fresh:
                self.watch(alone(copy, sent=False))
        return reports + self.advance(batch.tap, batch.watermark)

    def advance(self, tap: int, now: int) -> list[Report]:
        """Nothing earlier than `now` (ns since 1970) will come from this tap any more."""
        if now > self._watermarks[tap]:
            self._watermarks[tap] = now
        now = min(self._watermarks)
        if now <= self._context.now:
            return []
        self._context.now = now
        if not self._context.started:
            self._context.started = now
        return self._pass_time(now)

    def lost(self, tap: int, packets: int, until: int) -> None:
        """Not everything later than this tap's watermark and earlier than `until` (ns) was
        captured; packets: how many are known to be lost. To be called before the watermark
        moves: what was not seen meanwhile is not missing."""
        side = self.taps[tap].side
        context = self._context
        context.lost[side] += packets
        context.lost_at = max(context.lost_at, until)
        if self._pairing is not None and side != UNKNOWN:
            self._pairing.lost(side, until)

    def finish(self) -> list[Report]:
        """The capture is over: what is pending becomes unknown; the last reports."""
        self._context.quality = self.quality
        reports = self._pass_time(self._context.now)
        self._context.finished = True
        if self._pairing is not None and self.watch is not None:
            for copy in self._pairing.waiting():
                self.watch(alone(copy, sent=False))
        for call, moment in self._calls.finish():
            if moment == CLOSED:
                self._note_end(call)
            reports += self._moment(call, moment)
        reports += self._engine.capture()
        return reports

    def counts(self) -> dict[str, dict[str, int]]:
        """{"capture": {...}, "crossings": {...}} as in `analyze --json`; where a table was full
        also {"evicted": {...}}."""
        sip = self._context.sip
        p = self._pairing
        evicted = self._evicted()
        return {
            "capture": {
                "sip_messages": sum(sip),
                "lan": sip[LAN],
                "wan": sip[WAN],
                "duplicates": self._context.duplicates,
            },
            "crossings": {
                "paired": p.paired if p else 0,
                "lan_only": p.lan_only if p else 0,
                "wan_only": p.wan_only if p else 0,
                "rewritten": p.rewritten if p else 0,
            },
            **({"evicted": evicted} if evicted else {}),
        }

    def _evicted(self) -> dict[str, int]:
        """What had to go for want of room, by kind; only what did."""
        transactions = [t.table for t in self._transactions]
        evicted = {
            "transactions": sum(t.evicted for t in transactions),
            "dialogs": sum(d.table.evicted for d in self._dialogs),
            "calls": self._calls.table.evicted,
            "sightings": self._pairing.dropped if self._pairing is not None else 0,
            "phones": self._peers.evicted,
            "strangers": sum(t.strangers for t in transactions),
        }
        return {what: count for what, count in evicted.items() if count}

    @property
    def failures(self) -> dict[str, int]:
        """Rules that raised, by id: faults of ours."""
        return self._engine.failures

    def _pass_time(self, now: int) -> list[Report]:
        reports: list[Report] = []
        if self._pairing is not None:
            reports += self._crossed(self._pairing.advance(now))
        for side in self._sides:
            events = self._transactions[side].advance(now)
            if events:
                self._calls.feed(self._dialogs[side].feed(events, _NOTHING))
        for call, moment in self._calls.advance(now):
            # In a file the end of the call is a moment away: only who waits wants to be warned.
            if moment != PREDICTED or self.live:
                reports += self._moment(call, moment)
        if self.live and now - self._capture_at > SECOND:
            self._capture_at = now
            reports += self._engine.capture()
        return reports

    def _crossed(self, crossings: list[Crossing]) -> list[Report]:
        reports: list[Report] = []
        learn, join, watch = self._peers.feed, self._calls.cross, self.watch
        for crossing in crossings:
            if crossing.rewritten:
                self._familiar.look(crossing)
            learn(crossing)
            join(crossing)
            if watch is not None:
                watch(crossing)
            if crossing.rewritten and not crossing.familiar:
                reports += self._engine.crossing(crossing)
        return reports

    def _moment(self, call: Call, moment: int) -> list[Report]:
        now = self._context.now
        if moment == CLOSED:
            for d in call.dialogs:
                if d is not None:
                    self._dialogs[d.side].forget(d)
            # Scanners knock all day: a router's log is not for them. Nothing of theirs crossed.
            if call.stranger and self.live:
                return []
            lossy = self._context.lossy(call)
            summary = CallSummary(call, now, lossy)
            peer = self._remember(call, summary, lossy)
            withdrawn = self._recommender.reconsider(peer) if peer is not None else []
            return [summary, *withdrawn]
        findings = self._engine.call(call)
        advice = self._recommender.call(call, findings) if findings else []
        return [*findings, *advice]

    def _remember(self, call: Call, summary: CallSummary, lossy: bool) -> Peer | None:
        """What became of the call speaks for or against turning the ALG off. Returns whose
        call it was, when both copies of anything of it were seen. lossy: what was rewritten in
        it may not have been seen, so it speaks for nothing."""
        if call.changed:
            way = next(iter(call.changed.values())).way
            assert way is not None
        elif call.ways:
            way = next(iter(call.ways.values()))
        else:
            return None
        peer = self._peers.of(way)
        if lossy:
            return peer
        outcome = summary.outcome
        if outcome == "completed":
            if call.changed:
                peer.completed_rewritten += 1
            elif call.inbound and summary.ack == "seen":
                # Of an outgoing call the phone itself sends ACK and BYE: it shows nothing of
                # where the provider would have sent them.
                peer.completed_untouched += 1
        elif outcome == "dropped" and not call.changed:
            peer.dropped_untouched += 1
        return peer

    def _note_end(self, call: Call) -> None:
        """For CAP005: calls whose beginning or end is not in the capture."""
        context = self._context
        partial = [d for d in call.seen if d.partial and d.first is not None]
        if partial and not context.forgets:
            context.partial += 1
            context.partial_example = context.partial_example or partial[0].first
        waiting = [d.answer or d.request for d in call.seen if not d.ended_at and not d.rejected]
        undecided = call.outcome(context.now) in ("unknown", "ongoing")
        if undecided and not partial and any(waiting):
            context.undecided += 1
            context.undecided_example = context.undecided_example or next(w for w in waiting if w)


_NOTHING = Batch(b"", b"", b"", 0, 0, 0)
