# SPDX-License-Identifier: Apache-2.0
"""The order of the stages, known to this file only."""

from __future__ import annotations

from collections.abc import Callable

from algwatch.advise.knowledge import Knowledge
from algwatch.advise.recommend import Recommender, payloads
from algwatch.base.host import Host
from algwatch.base.packet import LAN, WAN, Batch, Tap
from algwatch.base.report import Report
from algwatch.capture.probes import without_probes
from algwatch.compare.calls import CLOSED, Moment
from algwatch.compare.comparison import Comparison
from algwatch.compare.crossing import Crossing
from algwatch.compare.held import apart
from algwatch.compare.limits import LAPTOP, ROUTER
from algwatch.compare.media import Counted
from algwatch.compare.news import News
from algwatch.compare.quality import Quality
from algwatch.diagnose import subject
from algwatch.diagnose.engine import Engine, nothing_said
from algwatch.diagnose.known import Known
from algwatch.sip.timers import SECOND


class Pipeline:
    """Batches in, reports out, in order. Sans-IO: packet time drives every timer.

    taps: indexed by Batch.tap. watch: called with every message once its outcome is known; every:
    False: not with those of a call that went as others before. strict: failing rules raise (tests).
    clock: ns, to time rules. quality: an earlier survey. memory: bytes of kept messages, 1 MB live,
    256 MB for files. media: RTP. known, knowledge: for rules; later.
    """

    def __init__(self, taps: list[Tap], live: bool = False,
                 watch: Callable[[Crossing], None] | None = None, strict: bool = False,
                 clock: Callable[[], int] | None = None, quality: Quality | None = None,
                 memory: int | None = None, media: Counted | None = None, every: bool = True
                 ) -> None:  # fmt: skip
        self.taps, self.live = taps, live
        self._watermarks, self._capture_at = [0] * len(taps), 0
        two, limits = {LAN, WAN} <= {t.side for t in taps}, ROUTER if live else LAPTOP
        self._comparison = Comparison(two, limits, live, watch, memory, every)
        self._comparison.hears(media)
        self._captured = self._comparison.captured
        self._comparison.bound(quality)
        said = nothing_said()
        self.known = Known(self._comparison, said)
        self._engine = Engine(self.known, said, strict, clock)
        self._comparison.one_sided_news = self._engine.listens(subject.CROSSING)
        self._recommender = Recommender(self._comparison.lines, self._comparison.two_sided)
        self.knowledge = Knowledge(self._comparison.lines, self._engine, self._recommender)
        for kept in (self._recommender.harm, self._engine.held):
            self._comparison.budget.share(kept, payloads, apart)

    @property
    def pending(self) -> bool:
        """True if anything waits for time to pass: idle taps are worth advancing often."""
        return self._comparison.pending

    @property
    def due(self) -> int:
        """ns; advance() finds nothing to do before it."""
        return self._comparison.due

    def feed(self, batch: Batch) -> list[Report]:
        """Take a batch of tap batch.tap; its bytes are not needed after the return."""
        news = self._comparison.feed(self.taps[batch.tap].side, without_probes(batch))
        return self._judged(news) + self.advance(batch.tap, batch.watermark)

    def advance(self, tap: int, now: int) -> list[Report]:
        """No packet earlier than `now` (ns since 1970) will come from this tap."""
        marks = self._watermarks
        marks[tap] = max(marks[tap], now)
        now = min(marks)
        if now <= self._captured.now:
            return []
        news = self._comparison.advance(now)
        reports: list[Report] = self._judged(news) if news else [*self._recommender.refresh()]
        if self.live and now - self._capture_at > SECOND:
            self._capture_at = now
            reports += self._told([(subject.CAPTURE, None)])
        return reports

    def lost(self, tap: int, packets: int, until: int) -> None:
        """The capture lost packets between this tap's watermark and `until` (ns), so no message of
        that time is reported missing. packets: known number of losses. Call it before the watermark
        moves."""
        self._comparison.lost(self.taps[tap].side, packets, until)

    def host(self, host: Host) -> list[Report]:
        """Take the router's own report of its present state."""
        self._comparison.host(host)
        return self._told([(subject.HOST, host)])

    def finish(self) -> list[Report]:
        """The capture is over: pending messages become unknown; the last reports."""
        reports = [one for news in self._comparison.finish() for one in self._judged(news)]
        if not self.live:
            reports += self._comparison.registrations()
        return reports + self._told([(subject.CAPTURE, None)])

    def counts(self) -> dict[str, dict[str, int]]:
        """capture and crossings of `analyze --json`, and evicted: the entries of full tables."""
        return self._comparison.counts()

    def judge(self, quality: Quality) -> None:
        """Take the survey of the taps, finished only now."""
        self._captured.quality = quality

    @property
    def failures(self) -> dict[str, int]:
        """Exceptions of rules, by id: faults of ours."""
        return self._engine.failures

    def _judged(self, news: News) -> list[Report]:
        events: list[subject.Event] = [(subject.CROSSING, crossing) for crossing in news.crossings]
        events += [(subject.TRANSACTION, exchange) for exchange in news.exchanges]
        events += [(subject.PATH, path) for path in news.paths]
        events += [(subject.CONNECT, one) for one in news.connects]
        reports = self._told(events) if events else []
        for moment in news.moments:
            reports += self._moment(moment)
        events = [(subject.LINE, line) for line in news.lines]
        events += [(subject.SUBSCRIPTION, one) for one in news.subscribed]
        events += [(subject.REGISTRATION, one) for one in news.registered]
        reports += self._told(events) if events else []
        if self.live and news.registered:
            reports += self._comparison.registrations(news.registered)
        return reports + self._recommender.refresh()

    def _moment(self, moment: Moment) -> list[Report]:
        call, what = moment
        if what != CLOSED:
            told = self._told([(subject.CALL, call)])
            return told + self._told([(subject.SUBSCRIPTION, call)]) if call.replaces else told
        media = self._comparison.heard(call)
        told = self._told([(subject.MEDIA, media)]) if media is not None else []
        summary, line = self._comparison.close(call)
        # Scanners send requests all day: keep them out of a router's log.
        if call.unsolicited and self.live:
            return []
        of_line = self._told([(subject.LINE, line)]) if line is not None else []
        again = self._recommender.reconsider(line) if line is not None else []
        return [*told, summary, *of_line, *again]

    def _told(self, events: list[subject.Event]) -> list[Report]:
        findings = self._engine.feed(events)
        return [*findings, *self._recommender.feed(findings)] if findings else []
