# SPDX-License-Identifier: Apache-2.0
"""The taps of `algwatch apply` and `algwatch verify`: the daemon's loop, with a judge in place of
the console. A process of its own reads the packets, with no capability but CAP_NET_RAW. It returns
a word and a sentence.
"""

from __future__ import annotations

import codecs
import os
import select
import signal
import sys
import time
from collections.abc import Callable
from contextlib import suppress

from algwatch.act.watch import FAILED, OPEN, Binding, Judge
from algwatch.base.clock import PacketClock
from algwatch.base.host import HARDWARE
from algwatch.base.native import privileges
from algwatch.base.native.rows import Counts
from algwatch.base.packet import LAN, WAN, Tap
from algwatch.base.report import Report
from algwatch.capture.filter import FilterError
from algwatch.capture.host import read_host
from algwatch.capture.reassembly import Reassembler
from algwatch.capture.ring import LiveTap, TapError
from algwatch.cli.acting import is_interrupted
from algwatch.config import Config
from algwatch.daemon import Daemon, Source
from algwatch.pipeline import Pipeline
from algwatch.report.console import Console
from algwatch.sip.timers import SECOND

INTERRUPTED = "it was interrupted"
NOBODY = 65534  # user and group
MOST = 2048  # bytes of a word and a sentence
EVERY = 1.0  # seconds between looks at the bindings


TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import NoReturn


class CannotWatch(Exception):
    """The taps cannot be opened; the text is one line."""


class _Ear(Console):
    """Takes the daemon's reports, and ends its loop at a verdict or at the parent's end."""

    def __init__(self, judge: Judge, say: Callable[[str], None], pipeline: Pipeline,
                 clock: PacketClock, parent: int) -> None:  # fmt: skip
        super().__init__(say, say, False)
        self._judge, self._pipeline, self._now = judge, pipeline, clock.now
        self._look_at = 0.0
        self._parent = parent  # not getppid(): it may be dead by now, and this holds its lock
        self.result = OPEN, ""

    def report(self, report: Report) -> None:
        self._judge.feed(report, self._now() / SECOND)

    def tick(self) -> None:
        if time.monotonic() < self._look_at:
            return
        self._look_at = time.monotonic() + EVERY
        for one in self._pipeline.known.registered():
            agreed = one.binding
            if agreed is not None:
                granted = (agreed.until - agreed.at) / SECOND
                plain = None if agreed.far is None else agreed.far is agreed.near
                self._judge.bound(Binding(agreed.near.asked.ends.src, agreed.at / SECOND, granted,
                                          plain))  # fmt: skip
        self.result = self._judge.verdict(self._now() / SECOND)
        if self.result[1] or os.getppid() != self._parent:
            os.kill(os.getpid(), signal.SIGTERM)  # like a signal from outside

    def finish(self) -> None:
        """The daemon stops."""


class Watching:
    """Opens the taps at once, so it misses no later packet. lan, wan: interfaces."""

    def __init__(self, lan: list[str], wan: list[str], say: Callable[[str], None]) -> None:
        """CannotWatch."""
        self._host = read_host(time.time_ns())
        if self._host.offload == HARDWARE:
            raise CannotWatch("hardware flow offload is on: packets pass without being captured, "
                              "and a capture on the WAN makes some routers restart")  # fmt: skip
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

    def until(self, phones: list[str], longest: float, calls: bool,
              whole: bool = False) -> tuple[str, str]:  # fmt: skip
        """Watch until the judge has a verdict, and return it (Judge.verdict()). The parameters are
        the judge's. KeyboardInterrupt."""
        read, write = os.pipe()
        parent = os.getpid()
        child = os.fork()
        if not child:
            judge = Judge(phones, self._began / SECOND, longest, calls, whole)
            self._be_watcher(write, judge, parent)
        os.close(write)
        try:
            poller = select.poll()
            poller.register(read, select.POLLIN)
            with open(read, "rb") as said:
                while not poller.poll(1000 * EVERY):
                    if is_interrupted():
                        raise KeyboardInterrupt
                word, _, why = said.read(MOST).decode("utf-8", "replace").partition("\n")
        finally:
            self.close()
            with suppress(ProcessLookupError):
                os.kill(child, signal.SIGTERM)
            os.waitpid(child, 0)
        return (word, why) if why else (FAILED, "the process that watched has ended")

    def close(self) -> None:
        for source in self._sources:
            source.live.close()

    def _be_watcher(self, write: int, judge: Judge, parent: int) -> NoReturn:
        try:
            for number in signal.SIGINT, signal.SIGTERM, signal.SIGHUP:
                signal.signal(number, signal.SIG_DFL)  # until the loop listens
            _confine()
            word, why = self._watch(judge, parent)
            os.write(write, f"{word}\n{why}".encode("utf-8", "replace")[:MOST])
        except BaseException:
            sys.excepthook(*sys.exc_info())
        finally:
            os._exit(0)

    def _watch(self, judge: Judge, parent: int) -> tuple[str, str]:
        ear = _Ear(judge, self._say, self._pipeline, self._clock, parent)
        daemon = Daemon(self._sources, self._pipeline, self._clock, ear, self._counts, None, 3600.0)
        daemon.listen()
        daemon.tell_host(self._host)
        daemon.run()
        return ear.result if ear.result[1] else (FAILED, INTERRUPTED)


def _confine() -> None:
    """Become the user nobody. In a user namespace without this user, keep the present one, without
    its rights."""
    for name in ("ascii", "idna"):  # loaded when first used
        codecs.lookup(name)
    if privileges.drop(NOBODY, NOBODY) and privileges.drop():
        raise OSError("the watching process cannot give up its privileges")
