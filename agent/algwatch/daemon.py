# SPDX-License-Identifier: Apache-2.0
"""`algwatch run`: both taps, one poll loop, the pipeline, and what it says told and published.

Everything happens in one thread but the connection to the broker (report/mqtt.py).
"""

from __future__ import annotations

import codecs
import gc
import os
import select
import signal
import struct
import sys
import time
from collections.abc import Callable, Sequence
from functools import partial
from types import FrameType

from algwatch import __version__
from algwatch.advise.advice import Advice, InForce
from algwatch.base.clock import PacketClock
from algwatch.base.native import privileges
from algwatch.base.native.layout import ROW
from algwatch.base.native.rows import Counts
from algwatch.base.packet import LAN, SIDE_NAMES, WAN, Batch, Tap
from algwatch.base.report import Report
from algwatch.capture.filter import FilterError
from algwatch.capture.order import Order, Timeline
from algwatch.capture.reassembly import LIMIT as REASSEMBLY
from algwatch.capture.reassembly import Reassembler
from algwatch.capture.ring import DISORDER, LAG, LiveTap, TapError
from algwatch.compare.crossing import Crossing
from algwatch.compare.sides_check import SidesCheck
from algwatch.config import Config
from algwatch.diagnose.finding import Finding
from algwatch.files import FileError
from algwatch.pipeline import Pipeline
from algwatch.report.console import Console, gap
from algwatch.report.output import Output
from algwatch.report.rate import Bucket, Rate

TYPE_CHECKING = False
if TYPE_CHECKING:
    from algwatch.report.privacy import Privacy
    from algwatch.report.publisher import Publisher

BUSY, IDLE = 0.25, 0.5  # seconds between looks at idle taps, with and without something pending
TURN = 8  # batches of one tap in a row; pairs need both sides
TIDY = 60.0  # seconds between looks for garbage that holds on to itself
FAREWELL = 2.0  # seconds that the broker gets to acknowledge the last reports
ADVICE = (10, 0.2)  # messages with all advice in force: at once, and a second
LAST_LINES = 0.5  # seconds that whoever reads standard output gets to take the last lines,
LAST_LINE = 0.2  # and after the farewell at least
HELD = 192 * 1024  # bytes of messages that wait for others to be in order of time
MAX_ADVICE = 64  # phones and providers with advice in force

_AT = struct.Struct("=Q")


class CannotStart(Exception):
    """The text is one line that says what to do next."""


class Source:
    """A live tap and what the loop knows about it."""

    __slots__ = ("live", "reassembler", "side", "told")

    def __init__(self, live: LiveTap, side: int, reassembler: Reassembler) -> None:
        self.live = live
        self.reassembler = reassembler
        self.side = side
        self.told = (0, 0, False)  # drops, reopened, away: what was said of it so far


class Daemon:
    """sources: one for each tap of the pipeline, in its order. publisher: None without MQTT."""

    def __init__(
        self,
        sources: list[Source],
        pipeline: Pipeline,
        clock: PacketClock,
        console: Console,
        counts: Counts,
        publisher: Publisher | None,
        health_interval: float,
    ) -> None:
        self._sources = sources
        self._pipeline = pipeline
        self._order = Order(len(sources), HELD)
        self._timeline = Timeline(pipeline, len(sources))
        self._clock = clock
        self._console = console
        self._counts = counts
        self._publisher = publisher
        self._health_interval = health_interval
        self._started = time.monotonic()
        self._advice = InForce(MAX_ADVICE)
        self._rate = Rate()  # of findings that are published
        self._advice_bucket = Bucket(ADVICE, time.monotonic())
        self._advice_due = False
        self._stopping = self._asked = False
        self._wake_read, self._wake_write = os.pipe()
        os.set_blocking(self._wake_read, False)
        os.set_blocking(self._wake_write, False)

    def run(self) -> None:
        """Until SIGTERM or SIGINT."""
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
            signal.signal(number, self._on_signal)
        signal.set_wakeup_fd(self._wake_write, warn_on_full_buffer=False)
        # The first one soon: an operator who looks at a new router wants to see it alive.
        health_at = time.monotonic() + min(5.0, self._health_interval)
        tidy_at = time.monotonic() + TIDY
        tidy_by_the_clock()
        while not self._stopping:
            self._wait()
            self.turn()
            self._console.tick()
            self._publish_advice()
            if self._asked:
                self._asked = False
                self._console.say("nothing is read again on SIGHUP: restart to change settings")
            if time.monotonic() >= health_at:
                health_at = time.monotonic() + self._health_interval
                if self._publisher is not None:
                    self._publisher.health(self.health())
            if time.monotonic() >= tidy_at:
                tidy_at = time.monotonic() + TIDY
                gc.collect()
        self.turn()
        self.finish()

    def turn(self) -> None:
        """Read the batches that the taps have ready, a few of each."""
        self._look()
        for tap in range(len(self._sources)):
            self._turn(tap)
        self._tell(self._timeline.advance(self._order.watermark))

    def finish(self) -> None:
        """Nothing more will come: what is pending becomes unknown."""
        for tap in range(len(self._sources)):
            self._hand_on(self._order.end(tap))
        self._tell(self._pipeline.finish())

    def stop(self) -> None:
        """The last reports, the farewell, and the interfaces back to the kernel."""
        signal.signal(signal.SIGINT, signal.SIG_DFL)  # whoever is in a hurry
        missing = False
        self._console.finish()
        if self._publisher is not None:
            self._publish_advice(always=True)
            self._publisher.health(self.health())
            missing = not self._publisher.stop(FAREWELL)
        for source in self._sources:
            source.live.close()
        lost = ", the broker did not get everything" if missing else ""
        self._console.say(f"algwatch stopped{lost}", always=True)

    def _on_signal(self, number: int, frame: FrameType | None) -> None:
        # It may have interrupted whoever writes a line: no line is written here.
        if number == signal.SIGHUP:
            self._asked = True
        else:
            self._stopping = True

    def _wait(self) -> None:
        poller = select.poll()
        poller.register(self._wake_read, select.POLLIN)
        for source in self._sources:
            number = source.live.fileno()
            if number >= 0:
                poller.register(number, select.POLLIN)
        pause = BUSY if self._pipeline.pending or self._order.pending else IDLE
        if any(source.live.waiting for source in self._sources):
            pause = 0.0
        for number, _ in poller.poll(pause * 1000):
            if number == self._wake_read:
                os.read(self._wake_read, 64)

    def _turn(self, tap: int) -> None:
        """Read the batches of one tap, or the time before which it has no rows."""
        source = self._sources[tap]
        for _ in range(TURN):
            before = self._clock.now()
            batch = source.live.read()
            self._note_loss(tap)
            if batch is None:
                # On the packet clock: the wall clock may have stepped.
                self._hand_on(self._order.advance(tap, before - LAG))
                return
            if batch.count:
                self._move(batch)
                batch = source.reassembler.feed(batch)
            if batch.count:
                self._hand_on(self._order.feed(tap, batch))
            for other in self._sources:
                other.live.drain()

    def _hand_on(self, batches: list[Batch]) -> None:
        for batch in batches:
            self._tell(self._timeline.feed(batch))

    def _move(self, batch: Batch) -> None:
        """Put a batch on the packet clock; costs little while the wall clock never stepped."""
        # Once more: the batch may have the first stamps of a clock that was set just now.
        self._look()
        if not self._clock.steps:
            return
        batch.rows = self._clock.rows(batch.rows, batch.count)
        last: int = _AT.unpack_from(batch.rows, (batch.count - 1) * ROW.size)[0]
        batch.watermark = max(0, last - DISORDER)

    def _look(self) -> None:
        step = self._clock.look()
        if step:
            self._console.say(f"the clock was set: {step / 1e9:+.3f} s")

    def _note_loss(self, tap: int) -> None:
        """Tell the pipeline of lost packets before it reports them as missing."""
        source = self._sources[tap]
        live = source.live
        now = (live.drops, live.reopened, live.fileno() < 0)
        if now == source.told:
            return
        (drops, _, was_away), source.told = source.told, now
        # While an interface is gone nothing passes; what came just before or after was not read.
        self._pipeline.lost(tap, live.drops - drops, self._clock.now())
        if now[2] != was_away:
            self._console.say(
                f"{live.name} is back" if was_away else f"{live.name} went away: waiting for it"
            )

    def _tell(self, reports: Sequence[Report]) -> None:
        shift = self._clock.shift / 1e9
        advised = False
        for report in reports:
            if shift:  # to what the wall clock says now
                report.shift(shift)
            self._console.report(report)
            take = getattr(self, f"_on_{report.kind}", None)
            if take is not None:
                take(report)
            advised = advised or report.kind == Advice.kind
        if advised:
            self._advice_due = True
            self._publish_advice()

    def _publish_advice(self, always: bool = False) -> None:
        """All advice in force, if there is news. The last one wins, so one that comes too soon
        after others waits."""
        if not self._advice_due or self._publisher is None:
            return
        if self._advice_bucket.take(time.monotonic()) or always:
            self._advice_due = False
            self._publisher.advice(self._advice.all()[::-1])  # the newest first

    def _on_advice(self, advice: Advice) -> None:
        self._advice.feed(advice)

    def _on_finding(self, finding: Finding) -> None:
        if self._publisher is None:
            return
        if self._rate.passes(finding.rule, finding.line, finding.hurts):
            self._publisher.finding(finding)

    def health(self) -> dict[str, object]:
        """As in docs/wire.md."""
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
            **self._pipeline.counts(),
        }


def kept_bytes(memory: int, taps: int) -> int:
    """Bytes for the tables, of all that messages may take: rows that wait to be in order, and
    messages that come in pieces, have bounds of their own."""
    return max(memory // 4, memory - HELD - taps * REASSEMBLY)


def tidy_by_the_clock() -> None:
    """Stop looking for cycles each time that so many objects were made: nothing that a message
    leaves behind is one (tests/unit/test_cycles.py), and a look costs as much as the messages
    that come meanwhile in a burst need of the ring. From now on gc.collect() does it."""
    gc.collect()
    gc.freeze()  # what was imported stays
    gc.disable()


def resident() -> dict[str, int]:
    """{"rss": memory in RAM, kB} (proc(5), statm); {} in a jail without procfs."""
    try:
        with open("/proc/self/statm", encoding="ascii") as file:
            pages = int(file.read().split()[1])
    except OSError:
        return {}
    return {"rss": pages * os.sysconf("SC_PAGESIZE") // 1024}


def _open_taps(config: Config, counts: Counts) -> list[Source]:
    # Random, so that nobody outside can build SIP messages whose hashes collide.
    key = os.urandom(16)
    sources: list[Source] = []
    wanted = [(name, LAN) for name in config.lan] + [(name, WAN) for name in config.wan]
    try:
        for index, (name, side) in enumerate(wanted):
            live = LiveTap(name, index, config.ports, key, counts, config.ring_bytes)
            sources.append(Source(live, side, Reassembler(index, config.ports, key, live=True)))
    except (TapError, FilterError) as problem:
        for source in sources:
            source.live.close()
        raise CannotStart(str(problem)) from None
    return sources


def _privacy(config: Config, key: bytes) -> Privacy:
    from algwatch.report.privacy import Privacy

    return Privacy(key, config.privacy)


def _publisher(
    config: Config, cpe: str, privacy: Privacy, console: Console, about: dict[str, object]
) -> Publisher:
    # Here, because paho is the largest thing in this process and not everybody wants a broker.
    from algwatch.report.broker import Broker, BrokerError
    from algwatch.report.outbox import Outbox
    from algwatch.report.publisher import Publisher
    from algwatch.report.wire import Encoder

    boot = f"{int(time.time()) & 0xFFFFFFFF:08x}{os.urandom(4).hex()}"
    try:
        return Publisher(
            Broker(
                config.mqtt,
                config.mqtt_user,
                config.mqtt_password,
                config.mqtt_ca,
                config.mqtt_cert,
                config.mqtt_key,
            ),
            Encoder(cpe, __version__, boot, privacy),
            Outbox(config.outbox_bytes),
            time.time,
            console.say,
            about,
            0 if sys.stdin is not None and sys.stdin.isatty() else config.boot_delay,
            config.mqtt_keepalive,
            2 * config.health_interval,
        )
    except BrokerError as problem:
        raise CannotStart(str(problem)) from None


def _confine(user: str) -> None:
    """Give up what is not needed once rings and files are open; CannotStart."""
    uid = gid = privileges.SAME_USER
    if user:
        import pwd

        try:
            entry = pwd.getpwuid(int(user)) if user.isdigit() else pwd.getpwnam(user)
        except KeyError:
            raise CannotStart(f"user {user}: there is no such user on this router") from None
        uid, gid = entry.pw_uid, entry.pw_gid
        # Loaded when first used, from where that user may not be allowed to read.
        for name in ("ascii", "idna"):
            codecs.lookup(name)
    error = privileges.drop(uid, gid)
    if error:
        become = f"become user {user}" if user else "give up privileges"
        raise CannotStart(f"cannot {become}: {os.strerror(error)}")


def _sides_check(config: Config, console: Console) -> Callable[[Crossing], None]:
    """Tells people, once, that the interfaces are named the wrong way round."""
    check = SidesCheck(", ".join(config.lan), ", ".join(config.wan))

    def watch(crossing: Crossing) -> None:
        line = check.feed(crossing)
        if line is not None:
            console.say(line)

    return watch


def run(config: Config, out: int, err: int) -> int:
    """The daemon from start to end. out, err: file descriptors; nothing is written to them but
    here. Returns 0; CannotStart."""
    outputs = [Output(out, gap(config.json)), Output(err, gap(False))]
    console = Console(outputs[0].line, outputs[1].line, config.json)
    counts = Counts()
    sources = _open_taps(config, counts)
    names = ", ".join(f"{s.live.name} ({SIDE_NAMES[s.side]})" for s in sources[:-1])
    names += f" and {sources[-1].live.name} ({SIDE_NAMES[sources[-1].side]})"
    publisher = None
    key = os.urandom(32)  # of the pseudonyms in the log, where no report shares it
    where = "reporting here only"
    if config.mqtt:
        from algwatch.report.identity import hardware_address, privacy_key

        cpe = config.cpe or hardware_address(config.lan[0])
        if not cpe:
            raise CannotStart(f"{config.lan[0]} has no MAC address: name this router with --cpe")
        taps: dict[str, object] = {s.live.name: SIDE_NAMES[s.side] for s in sources}
        try:
            key, passing = privacy_key(config.privacy_key)
        except FileError as problem:
            raise CannotStart(f"privacy_key {problem}") from None
        publisher = _publisher(config, cpe, _privacy(config, key), console, {"taps": taps})
        where = f"reporting to {publisher.broker} as {cpe}"
        if config.privacy and passing:
            where += f" (pseudonyms last until the end: {passing})"
    if config.privacy and not config.json:
        from algwatch.report.anonymous import anonymous

        console.anonymous = partial(anonymous, privacy=_privacy(config, key))
    _confine(config.user)  # before any thread, of the lines or of the publisher: it would keep all
    console.say(f"algwatch {__version__}: watching {names}, {where}")
    for source in sources:
        if source.live.unseen:
            console.say(source.live.unseen)
    clock = PacketClock(time.monotonic_ns, time.time_ns)
    watched = [Tap(s.live.name, s.side) for s in sources]
    memory = kept_bytes(config.memory_bytes, len(sources))
    pipeline = Pipeline(watched, live=True, watch=_sides_check(config, console), memory=memory)
    daemon = Daemon(sources, pipeline, clock, console, counts, publisher, config.health_interval)
    for note in config.notes():
        console.say(note)
    if publisher is not None:
        publisher.start()
    daemon.run()
    end = time.monotonic() + LAST_LINES
    daemon.stop()
    # The farewell has given the other lines their time.
    end = max(end, time.monotonic() + LAST_LINE)
    for output in outputs:
        output.close(end - time.monotonic())
    return 0
