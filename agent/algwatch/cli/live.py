# SPDX-License-Identifier: Apache-2.0
"""Captures that are judged while they are made: growing files, and tcpdump on a router."""

from __future__ import annotations

import os
import select
import subprocess
import sys
import time
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime

from algwatch.base.native.rows import Counts
from algwatch.base.packet import Batch, Tap
from algwatch.base.quote import somebody
from algwatch.base.report import Report
from algwatch.capture.fed import FedReader
from algwatch.capture.order import Order, Timeline
from algwatch.capture.pcap import CaptureFile
from algwatch.capture.read import CaptureError, Stop
from algwatch.cli import Usage, complain
from algwatch.compare.summary import CallSummary, RegistrationSummary
from algwatch.diagnose.finding import Finding
from algwatch.pipeline import Pipeline
from algwatch.report.render.collected import Collected
from algwatch.report.render.json import line_json
from algwatch.report.render.ladder import Ladder
from algwatch.report.render.sentences import named_registration
from algwatch.report.render.terminal import Writer

TYPE_CHECKING = False
if TYPE_CHECKING:
    import argparse

CHUNK = 1 << 18  # bytes of one read
PAUSE = 0.25  # s between looks at the clock
LATE = 2_000_000_000  # ns that packets may need through tcpdump, ssh and pipes
HELD = 16 << 20  # bytes that wait to be in order of time
LAST = 3.0  # s that a program gets to end


class Feed:
    """A program that writes a capture to its standard output. side: LAN, WAN or UNKNOWN."""

    def __init__(self, name: str, command: Sequence[str], side: int) -> None:
        self.name = name
        self.side = side
        try:
            # A Ctrl-C is for this program; the others end with their pipes.
            self.process = subprocess.Popen(
                command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, start_new_session=True
            )
        except OSError as error:
            raise Usage(f"{command[0]}: {error.strerror}") from None
        assert self.process.stdout is not None
        self.fd = self.process.stdout.fileno()

    def close(self) -> None:
        assert self.process.stdin is not None and self.process.stdout is not None
        self.process.stdin.close()  # what runs on a router ends with it
        self.process.stdout.close()
        try:
            self.process.wait(LAST / 3)
        except subprocess.TimeoutExpired:
            self.process.terminate()
        try:
            self.process.wait(LAST)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()


def followed(path: str, side: int) -> Feed:
    """A file that grows, from its beginning; also when another one takes its name."""
    if not os.path.exists(path):
        raise Usage(f"{path}: No such file or directory")
    return Feed(path, ["tail", "-q", "-c", "+1", "-F", "--", path], side)


class Live:
    """The feeds through the pipeline, until they end or `stop` is requested. collected: all that
    was said."""

    def __init__(self, feeds: Sequence[Feed], ports: Sequence[int], stop: Stop) -> None:
        self._feeds = feeds
        self._stop = stop
        self._counts = Counts()
        self.ladder = Ladder()
        self.collected = Collected(self.ladder)
        self._readers = [FedReader(feed.name) for feed in feeds]
        self._files = [
            CaptureFile(feed.name, tap, ports, self._counts, stop, reader=reader)
            for tap, (feed, reader) in enumerate(zip(feeds, self._readers, strict=True))
        ]
        taps = [Tap(feed.name, feed.side) for feed in feeds]
        self._pipeline = Pipeline(taps, watch=self.ladder.watch)
        self._order = Order(len(taps), HELD)
        self._timeline = Timeline(self._pipeline, len(taps))
        self._heard_at = time.monotonic()
        self._newest = 0

    def run(self, teller: Teller) -> None:
        """CaptureError."""
        poller = select.poll()
        poller.register(self._stop.fileno(), select.POLLIN)
        open_ = {feed.fd: tap for tap, feed in enumerate(self._feeds)}
        for fd in open_:
            poller.register(fd, select.POLLIN)
        while open_ and not self._stop.requested:
            for fd, _ in poller.poll(PAUSE * 1000):
                if fd not in open_ or self._stop.requested:
                    continue
                data = os.read(fd, CHUNK)
                if data and self._takes(open_[fd], data, teller):
                    continue
                poller.unregister(fd)
                tap = open_.pop(fd)
                if not data:
                    self._ended(self._feeds[tap])
            self._pass(teller)
        for tap, reader in enumerate(self._readers):
            for packets in reader.end():
                self._hand_on(tap, self._files[tap].batches(packets), teller)
        for tap in range(len(self._feeds)):
            for batch in self._order.end(tap):
                self._tell(self._timeline.feed(batch), teller)
        self._tell(self._pipeline.finish(), teller)
        self.collected.settle(self.counts(), self.notes())

    def _takes(self, tap: int, data: bytes, teller: Teller) -> bool:
        """False if nothing more can be read of it: what was read is reported. CaptureError if that
        is nothing."""
        reader, name = self._readers[tap], self._feeds[tap].name
        for packets in reader.feed(data):
            self._newest = max(self._newest, packets.last)
            self._heard_at = time.monotonic()
            self._hand_on(tap, self._files[tap].batches(packets), teller)
        if not reader.problem:
            return True
        if not self._newest:
            raise CaptureError(f"{name}: {reader.problem}")
        complain(f"{name}: {reader.problem}; it is not followed any further")
        return False

    def _hand_on(self, tap: int, batches: Iterable[Batch], teller: Teller) -> None:
        for batch in batches:
            if batch.count:
                for ready in self._order.feed(tap, batch):
                    self._tell(self._timeline.feed(ready), teller)

    def _pass(self, teller: Teller) -> None:
        """Time goes on, also where nothing comes."""
        if not self._newest:
            return
        gone = int((time.monotonic() - self._heard_at) * 1e9)
        until = self._newest + gone - LATE
        for tap in range(len(self._feeds)):
            for batch in self._order.advance(tap, until):
                self._tell(self._timeline.feed(batch), teller)
        self._tell(self._timeline.advance(self._order.watermark), teller)

    def _ended(self, feed: Feed) -> None:
        status = feed.process.wait()
        if status and not self._stop.requested:
            complain(f"{feed.name}: its program ended with status {status}")

    def _tell(self, reports: Sequence[Report], teller: Teller) -> None:
        for report in reports:
            self.collected.feed(report)
            teller.hear(report)

    def counts(self) -> dict[str, dict[str, int]]:
        numbers = self._pipeline.counts()
        scanned = self._counts.as_dict()
        capture = {"packets": scanned["packets"], **numbers["capture"],
                   **{name: scanned[name] for name in ("malformed", "truncated")}}  # fmt: skip
        return {**numbers, "capture": capture}

    def notes(self) -> list[str]:
        return [f"{file.path}: {one}" for file in self._files for one in file.remarks]


class Teller:
    """A line for each call and registration that is over, and for what hurts."""

    def __init__(self, writer: Writer, json: bool) -> None:
        self._writer = writer
        self._json = json
        self._said: dict[str, str] = {}

    def hear(self, report: Report) -> None:
        if self._json:
            self._writer.line(line_json(report))
        elif isinstance(report, CallSummary) and not report.unsolicited:
            word = f"{report.outcome} {report.status or ''}".rstrip()
            style = "bold red" if report.outcome in ("dropped", "unanswered") else ""
            self._line(report.end, f"{word}: {somebody(report.from_)} to {somebody(report.to)}",
                       style)  # fmt: skip
        elif isinstance(report, RegistrationSummary) and not report.unsolicited:
            said = named_registration(report)
            if self._said.get(report.aor) != said and len(self._said) < 1000:
                self._said[report.aor] = said
                style = "" if report.outcome == "accepted" else "bold red"
                self._line(report.end, said, style)
        elif isinstance(report, Finding) and report.hurts:
            self._line(report.at, f"{report.rule} {report.slug}: {report.summary}", "bold red")
        sys.stdout.flush()

    def _line(self, at: float, text: str, style: str) -> None:
        when = f"{datetime.fromtimestamp(max(at, 0.0), UTC):%H:%M:%S}  "
        self._writer.paragraph(text, when, " " * len(when), style)


def watched(feeds: Sequence[Feed], args: argparse.Namespace) -> int:
    """Lines while it goes on, and the report when it is over."""
    from algwatch.cli.reading import interruptible, ports_of
    from algwatch.report.render.terminal import Terminal, speaks_unicode, takes_colour
    from algwatch.report.render.text import columns, write_page
    from algwatch.report.render.wanted import Wanted

    stop = Stop()
    colour, width = takes_colour(sys.stdout), columns(sys.stdout)
    writer = Writer(Terminal(colour, speaks_unicode(sys.stdout)), sys.stdout, width)
    live = Live(feeds, ports_of(args.ports), stop)
    try:
        with interruptible(stop):
            live.run(Teller(writer, args.ndjson))
    except CaptureError as error:
        raise Usage(str(error)) from None
    finally:
        for feed in feeds:
            feed.close()
    if not args.ndjson:
        writer.line()
        write_page(live.collected, sys.stdout, colour, width, Wanted())
    return live.collected.verdict.status
