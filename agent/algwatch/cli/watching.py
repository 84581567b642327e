# SPDX-License-Identifier: Apache-2.0
"""The taps of `algwatch apply` and `algwatch verify`: the daemon's loop, with a judge where the
console is."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable

from algwatch.act.watch import FAILED, OPEN, Binding, Judge
from algwatch.base.clock import PacketClock
from algwatch.base.native.rows import Counts
from algwatch.base.packet import LAN, WAN, Tap
from algwatch.base.report import Report
from algwatch.capture.filter import FilterError
from algwatch.capture.reassembly import Reassembler
from algwatch.capture.ring import LiveTap, TapError
from algwatch.config import Config
from algwatch.daemon import Daemon, Source
from algwatch.pipeline import Pipeline
from algwatch.report.console import Console
from algwatch.sip.timers import SECOND

INTERRUPTED = "it was interrupted"
EVERY = 1.0  # seconds between looks at the bindings


class CannotWatch(Exception):
    """The taps cannot be opened; the text is one line."""


class _Ear(Console):
    """Hears what the daemon would print. over: is called when something can be told."""

    def __init__(self, judge: Judge, say: Callable[[str], None], pipeline: Pipeline,
                 clock: PacketClock, over: Callable[[], None]) -> None:  # fmt: skip
        super().__init__(say, say, False)
        self._judge, self._pipeline, self._now, self._over = judge, pipeline, clock.now, over
        self._look_at = 0.0
        self.result = OPEN, ""

    def report(self, report: Report) -> None:
        self._judge.feed(report, self._now() / SECOND)

    def tick(self) -> None:
        if time.monotonic() < self._look_at:
            return
        self._look_at = time.monotonic() + EVERY
        for one in self._pipeline.registered():
            agreed = one.binding
            if agreed is not None:
                granted = (agreed.until - agreed.at) / SECOND
                plain = None if agreed.far is None else agreed.far is agreed.near
                self._judge.bound(Binding(agreed.near.asked.ends.src, agreed.at / SECOND, granted,
                                          plain))  # fmt: skip
        self.result = self._judge.verdict(self._now() / SECOND)
        if self.result[1]:
            self._over()

    def finish(self) -> None:
        """The daemon stops."""


class Watching:
    """Opens the taps at once, so that nothing after that is missed. lan, wan: interfaces."""

    def __init__(self, lan: list[str], wan: list[str], say: Callable[[str], None]) -> None:
        """CannotWatch."""
        config = Config()
        self._say = say
        key, counts = os.urandom(16), Counts()
        sources: list[Source] = []
        wanted = [(name, LAN) for name in lan] + [(name, WAN) for name in wan]
        if not lan or not wan:
            raise CannotWatch("the interfaces of both sides are needed: --lan IF --wan IF")
        try:
            for index, (name, side) in enumerate(wanted):
                tap = LiveTap(name, index, config.ports, key, counts, config.ring_bytes, None)
                pieces = Reassembler(index, config.ports, key, live=True)
                sources.append(Source(tap, side, pieces))
        except (TapError, FilterError) as problem:
            for source in sources:
                source.live.close()
            raise CannotWatch(str(problem)) from None
        self._sources, self._counts = sources, counts
        self._clock = PacketClock(time.monotonic_ns, time.time_ns)
        self._began = self._clock.now()
        taps = [Tap(s.live.name, s.side) for s in sources]
        self._pipeline = Pipeline(taps, live=True, memory=config.memory_bytes)

    def until(self, phones: list[str], longest: float, calls: bool) -> tuple[str, str]:
        """Watch until the judge can tell; as Judge.verdict()."""
        judge = Judge(phones, self._began / SECOND, longest, calls)
        ear = _Ear(judge, self._say, self._pipeline, self._clock, self._stop)
        daemon = Daemon(self._sources, self._pipeline, self._clock, ear, self._counts, None, 3600.0)
        daemon.listen()
        daemon.run()
        for source in self._sources:
            source.live.close()
        return ear.result if ear.result[1] else (FAILED, INTERRUPTED)

    @staticmethod
    def _stop() -> None:
        """Ends the loop as a signal from outside does."""
        os.kill(os.getpid(), signal.SIGTERM)
