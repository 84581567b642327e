# SPDX-License-Identifier: Apache-2.0
"""The loop of `algwatch run`: batches of both taps go through the pipeline, its reports to the log
and the broker. start.py puts it together.

One thread does everything except output lines (report/output.py) and the connection to the broker
(report/mqtt.py).
"""

from __future__ import annotations

import gc
import os
import select
import signal
import struct
import time
from collections.abc import Callable, Sequence
from types import FrameType

from algwatch.advise.advice import Advice
from algwatch.base.clock import PacketClock
from algwatch.base.host import NO_OFFLOAD, Host
from algwatch.base.native.layout import ROW
from algwatch.base.native.rows import Counts
from algwatch.base.packet import SIDE_NAMES, Batch
from algwatch.base.report import Report
from algwatch.capture.conntrack import PAUSE, Conntrack
from algwatch.capture.host import read_host, resident
from algwatch.capture.order import Order, Timeline
from algwatch.capture.reassembly import Reassembler
from algwatch.capture.ring import DISORDER, LAG, LiveTap
from algwatch.compare.accounted import Accounted
from algwatch.diagnose.finding import Finding
from algwatch.pipeline import Pipeline
from algwatch.report.console import Console
from algwatch.report.jitter import uniform
from algwatch.report.rate import Bucket, Rate

TYPE_CHECKING = False
if TYPE_CHECKING:
    from algwatch.capture.nflog import LogTap
    from algwatch.report.keeper import Keeper
    from algwatch.report.outlets.metrics import Metrics
    from algwatch.report.publisher import Publisher
    from algwatch.report.status import Status

BUSY, IDLE = 0.4, 1.0  # seconds between looks at idle taps, with and without something pending
TURN = 8  # batches of one tap in a row; pairs need both sides
TIDY = 60.0  # seconds between collections of cyclic garbage
FAREWELL = 2.0  # seconds for the broker to acknowledge the last reports
ADVICE = (10, 0.2)  # messages with all advice in force: in a burst, and a second
HELD = 192 * 1024  # bytes of messages held back to put them in order of time

_AT = struct.Struct("=Q")


class Source:
    """A live tap and the loop's state of it."""

    __slots__ = ("live", "reassembler", "side", "told")

    def __init__(self, live: LiveTap | LogTap, side: int, reassembler: Reassembler) -> None:
        self.live = live
        self.reassembler = reassembler
        self.side = side
        self.told = (0, 0, False)  # drops, reopened, away: as last reported


class Daemon:
    """sources: one for each tap of the pipeline, in its order. publisher: None without MQTT.
    conntrack, media: the counter of calls' media and its user; both or none. status: takes reports
    for the status file; None without one. look: reads the router's state at a time, like read_host.
    keeper: keeps the state for the next process; None without one."""

    def __init__(
        self,
        sources: list[Source],
        pipeline: Pipeline,
        clock: PacketClock,
        console: Console,
        counts: Counts,
        publisher: Publisher | None,
        health_interval: float,
        conntrack: Conntrack | None = None,
        media: Accounted | None = None,
        status: Status | Metrics | None = None,
        look: Callable[..., Host] = read_host,
        keeper: Keeper | None = None,
    ) -> None:
        self._host = look
        self._sources = sources
        self._conntrack = conntrack
        self._media = media
        self._facts = publisher.hears.facts if publisher and publisher.hears else None
        self._look_began = 0
        self._offload = NO_OFFLOAD
        self._pipeline = pipeline
        self._order = Order(len(sources), HELD)
        self._timeline = Timeline(pipeline, len(sources))
        self._clock = clock
        self._console = console
        self._counts = counts
        self._publisher = publisher
        self._tally = publisher.tally if publisher is not None else None
        self._status = status
        self._health_interval = health_interval
        self._started = time.monotonic()
        self._keeper = keeper
        self._advice = pipeline.knowledge.in_force
        self._rate = Rate()  # of published findings
        self._advice_bucket = Bucket(ADVICE, time.monotonic())
        self._advice_due = False
        self._stopping = self._asked = self._looked = False
        self._wake_read, self._wake_write = os.pipe()
        self._poller, self._polled = select.poll(), [-1]  # of the taps, and their descriptors
        os.set_blocking(self._wake_read, False)
        os.set_blocking(self._wake_write, False)

    def listen(self) -> None:
        """Handle signals from here on: none ends the process at once."""
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
            signal.signal(number, self._on_signal)
        signal.set_wakeup_fd(self._wake_write, warn_on_full_buffer=False)

    def recall(self) -> None:
        """Take the knowledge of an earlier process, before any other report."""
        if self._keeper is None or not self._keeper.take():
            return
        if self._status is not None:
            for report in (*self._pipeline.knowledge.harm(), *self._advice.all()):
                self._status.report(report)
        self._advice_due = self._pipeline.knowledge.given
        self._publish_advice(always=True)

    def run(self) -> None:
        """Until SIGTERM or SIGINT."""
        # The first one soon: an operator wants to see a new router alive.
        health_at = time.monotonic() + min(5.0, self._health_interval)
        tidy_at = time.monotonic() + TIDY
        tidy_by_the_clock()
        while not self._stopping:
            self._wait()
            self.turn()
            self._count_media()
            if self._facts is not None and (news := self._facts.news()) is not None:
                self._tell(self._pipeline.knowledge.told(news))
            self._console.tick()
            self._publish_advice()
            if self._keeper is not None:
                self._keeper.turn()
            if self._status is not None and self._status.due:
                self._write_status(self._status)
            if self._asked:
                self._asked = False
                self._console.say("nothing is read again on SIGHUP: restart to change settings")
            if time.monotonic() >= health_at:
                health_at = time.monotonic() + uniform(0.9, 1.1) * self._health_interval
                if self._publisher is not None:
                    self._publisher.health(self.health())
            if time.monotonic() >= tidy_at:
                tidy_at = time.monotonic() + TIDY
                gc.collect()
                if self._publisher is not None:
                    self._publisher.tick()
                self.tell_host(self._host(self._clock.now(), before=self._offload))
        self.turn()
        self.finish()

    def turn(self) -> None:
        """Read the ready batches of the taps, a few of each."""
        self._looked = False
        for tap in range(len(self._sources)):
            self._turn(tap)
        if not self._looked:
            self._look()
        self._tell(self._timeline.advance(self._order.watermark))

    def _count_media(self) -> None:
        """Read a part of the connection table, if a call's media need it."""
        table, media, now = self._conntrack, self._media, self._clock.now()
        if table is None or media is None:
            return
        if table.ready and (ports := media.wanted(now)):
            self._look_began = now
            table.begin(ports)
        if table.busy:
            try:
                found = table.step(self._clock.now)
            except OSError as problem:
                self._console.say(f"the media of a call were not counted: {problem}")
                return
            if found is not None:
                media.looked(self._look_began, found)

    def tell_host(self, host: Host) -> None:
        """Tell the pipeline the router's own state."""
        self._offload = host.offload
        if self._status is not None:
            self._status.host = host
        self._tell(self._pipeline.host(host))

    def finish(self) -> None:
        """The capture is over: pending messages become unknown."""
        for tap in range(len(self._sources)):
            self._hand_on(self._order.end(tap))
        self._tell(self._pipeline.finish())

    def stop(self) -> None:
        """The last reports, the farewell, and the interfaces back to the kernel."""
        signal.signal(signal.SIGINT, signal.SIG_DFL)  # a second Ctrl-C ends at once
        missing = False
        self._console.finish()
        if self._keeper is not None:
            self._keeper.close()
        if self._status is not None:
            self._write_status(self._status, running=False)
        if self._publisher is not None:
            self._publish_advice(always=True)
            self._publisher.tick(always=True)
            self._publisher.health(self.health())
            missing = not self._publisher.stop(FAREWELL)
        for source in self._sources:
            source.live.close()
        if self._conntrack is not None:
            self._conntrack.close()
        lost = ""
        if missing and self._publisher is not None:
            kept = self._publisher.spooled
            lost = ", the broker did not get everything" + (" yet" if kept else "")
        self._console.say(f"algwatch stopped{lost}", always=True)

    def _on_signal(self, number: int, frame: FrameType | None) -> None:
        # The signal may have interrupted a write: print no line here.
        if number == signal.SIGHUP:
            self._asked = True
        else:
            self._stopping = True

    def _wait(self) -> None:
        numbers = [source.live.fileno() for source in self._sources]
        if numbers != self._polled:  # an interface went away, or came back
            self._polled = numbers
            self._poller = select.poll()
            for number in (self._wake_read, *numbers):
                if number >= 0:
                    self._poller.register(number, select.POLLIN)
        pause = BUSY if self._pipeline.pending or self._order.pending else IDLE
        if self._conntrack is not None and self._conntrack.busy:
            pause = PAUSE
        if any(source.live.waiting for source in self._sources):
            pause = 0.0
        for number, _ in self._poller.poll(pause * 1000):
            if number == self._wake_read:
                os.read(self._wake_read, 64)

    def _turn(self, tap: int) -> None:
        """Read the batches of one tap, or advance its time without rows."""
        source = self._sources[tap]
        for _ in range(TURN):
            before = self._clock.now()
            batch = source.live.read()
            self._note_loss(tap)
            if batch is not None and batch.count:
                self._move(batch)
                batch = source.reassembler.feed(batch)
                if batch.count:
                    self._hand_on(self._order.feed(tap, batch))
            if batch is None or source.live.emptied:
                # On the packet clock: the wall clock may have stepped.
                self._hand_on(self._order.advance(tap, before - LAG))
                return

    def _hand_on(self, batches: list[Batch]) -> None:
        for batch in batches:
            self._tell(self._timeline.feed(batch))
            for source in self._sources:
                source.live.drain()

    def _move(self, batch: Batch) -> None:
        """Put a batch on the packet clock; cheap until the wall clock steps."""
        self._look()  # after its packets were read
        if not self._clock.steps:
            return
        batch.rows = self._clock.rows(batch.rows, batch.count)
        last: int = _AT.unpack_from(batch.rows, (batch.count - 1) * ROW.size)[0]
        batch.watermark = max(0, last - DISORDER)

    def _look(self) -> None:
        self._looked = True
        step = self._clock.look()
        if step:
            self._console.say(f"the clock was set: {step / 1e9:+.3f} s")
            if self._status is not None:
                self._status.touch()

    def _note_loss(self, tap: int) -> None:
        """Tell the pipeline of lost packets before it reports them as missing."""
        source = self._sources[tap]
        live = source.live
        now = (live.drops, live.reopened, live.fileno() < 0)
        if now == source.told:
            return
        (drops, _, was_away), source.told = source.told, now
        if self._status is not None:
            self._status.touch()
        # An absent interface passes nothing. Packets just before or after were not read.
        self._pipeline.lost(tap, live.drops - drops, self._clock.now())
        if now[2] != was_away:
            self._console.say(
                f"{live.name} is back" if was_away else f"{live.name} went away: waiting for it"
            )

    def _tell(self, reports: Sequence[Report]) -> None:
        shift = self._clock.shift / 1e9
        advised = False
        if self._keeper is not None:
            self._keeper.changed(reports)
        for report in reports:
            if shift:  # to the present wall clock
                report.shift(shift)
            if self._tally is not None:
                self._tally.feed(report)
            if self._status is not None and report.kind != Finding.kind:
                self._status.report(report)
            # First into the spool, then into the log: a logged report is never lost.
            take = getattr(self, f"_on_{report.kind}", None)
            if take is not None:
                take(report)
            if not getattr(report, "told_before", False):
                self._console.report(report)
            advised = advised or report.kind == Advice.kind
        if advised:
            self._advice_due = True
            self._publish_advice()

    def _publish_advice(self, always: bool = False) -> None:
        """All advice in force, if there is news. The last message wins, so a message too soon after
        others waits."""
        if not self._advice_due or self._publisher is None:
            return
        if self._advice_bucket.take(time.monotonic()) or always:
            self._advice_due = False
            self._publisher.advice(self._advice.all()[::-1])  # the newest first

    def _on_advice(self, advice: Advice) -> None:
        self._advice.feed(advice)

    def _on_finding(self, finding: Finding) -> None:
        if self._keeper is not None:
            self._keeper.telling(finding)
        self._report(finding)
        if self._keeper is not None:
            self._keeper.told()

    def _report(self, finding: Finding) -> None:
        publisher, status = self._publisher, self._status
        is_again = finding.told_before or (publisher is not None and publisher.is_again(finding))
        if status is None and (is_again or publisher is None):
            return
        if self._rate.passes(finding.rule, finding.line, finding.hurts, count=not is_again):
            if publisher is not None and not is_again:
                publisher.finding(finding)
            if status is not None:
                status.report(finding)

    def _write_status(self, status: Status | Metrics, running: bool = True) -> None:
        status.write(self._health(), self._pipeline.counts(), running)

    def health(self) -> dict[str, object]:
        """As in docs/wire.md."""
        return {**self._health(), **self._pipeline.counts()}

    def _health(self) -> dict[str, object]:
        taps = {
            source.live.name: {
                "side": SIDE_NAMES[source.side],
                "away": source.told[2],
                "reopened": source.live.reopened,
                **source.live.stats(),
                **source.reassembler.health(),
            }
            for source in self._sources
        }
        return {
            "uptime": round(time.monotonic() - self._started, 1),
            **resident(),
            "clock_steps": self._clock.steps,
            "taps": taps,
            "frames": self._counts.as_dict(),
            "rule_failures": dict(self._pipeline.failures),
            "untold": dict(self._rate.total),
        }


def tidy_by_the_clock() -> None:
    """Collect cycles by gc.collect() only, not by the number of new objects. No message leaves a
    cycle behind (tests/unit/test_cycles.py). During a collection a burst needs room in the ring."""
    gc.collect()
    gc.freeze()  # imported objects stay
    gc.disable()
