"""`algwatch analyze`: capture files in, verdicts out."""

from __future__ import annotations

import gc
import os
import sys
from collections.abc import Callable, Iterator, Sequence

from algwatch.base.native.rows import Counts
from algwatch.base.packet import LAN, UNKNOWN, WAN, Batch, Tap
from algwatch.base.report import Report
from algwatch.capture.merged import Merged
from algwatch.capture.order import Timeline
from algwatch.capture.pcap import CaptureError
from algwatch.cli import Usage
from algwatch.cli.alone import EachAlone
from algwatch.compare.crossing import Crossing
from algwatch.compare.quality import Quality
from algwatch.compare.sides import Sides
from algwatch.compare.split import split
from algwatch.compare.survey import Survey
from algwatch.diagnose.finding import Finding
from algwatch.pipeline import Pipeline

TYPE_CHECKING = False
if TYPE_CHECKING:
    import argparse

    from algwatch.cli import Subparsers

PORTS = (5060, 5080)
FIRST_LOOKS, LOOK_EVERY = 32, 8  # batches of an unnamed file in which both sides are looked for
NOT_SIP = ("tls", "stun", "other", "not_ip")  # counts of packets that are told where there are any


def add(subparsers: Subparsers) -> None:
    parser = subparsers.add_parser(
        "analyze",
        help="diagnose calls in capture files",
        description="Diagnoses the calls in capture files. A file that holds both sides of the "
        "router is split by itself; --lan and --wan name the side of a file and may be repeated.",
        epilog="Exit status: 0 nothing hurts, all that was seen ended well; 1 something hurts; "
        "2 bad usage or unreadable input; 3 it cannot be told from this capture.",
    )
    parser.add_argument("files", nargs="*", metavar="FILE", help="pcap or pcapng; - is stdin")
    parser.add_argument("--lan", action="append", default=[], metavar="FILE", help="LAN side")
    parser.add_argument("--wan", action="append", default=[], metavar="FILE", help="WAN side")
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    parser.add_argument(
        "--ports", default=",".join(map(str, PORTS)), metavar="N,N", help="SIP ports (%(default)s)"
    )
    parser.add_argument(
        "--color", choices=("auto", "always", "never"), default="auto", help="default: %(default)s"
    )


def main(args: argparse.Namespace) -> int:
    if not (args.files or args.lan or args.wan):
        raise Usage("analyze needs a capture file: algwatch analyze FILE, or --lan FILE --wan FILE")
    ports = _ports(args.ports)
    # What is said of a message makes no cycles, so looking for some every 700 objects is in vain.
    gc.set_threshold(50_000)
    source = Source(args.files, args.lan, args.wan, ports)
    try:
        source.check()
        try:
            return _report(source, args)
        except TwoSided:
            # Nothing is printed before the end of the files, so it is safe to begin again.
            source.survey()
            return _report(source, args)
    except CaptureError as error:
        raise Usage(str(error)) from None


def _report(source: Source, args: argparse.Namespace) -> int:
    if args.json:
        from algwatch.report.render.json import write_json

        return write_json(source.reports(), source.counts, sys.stdout)
    from algwatch.report.render.ladder import Ladder
    from algwatch.report.render.text import write_text

    plain = "NO_COLOR" in os.environ or not sys.stdout.isatty()
    colour = args.color == "always" or (args.color == "auto" and not plain)
    ladder = Ladder()
    ladder.compared = source.quality is None or not source.quality.unrelated
    return write_text(source.reports(ladder.watch), source.counts, ladder, sys.stdout, colour)


def _ports(text: str) -> list[int]:
    ports = []
    for word in text.split(","):
        if not word.strip().isascii() or not word.strip().isdigit() or not 0 < int(word) < 65536:
            raise Usage(f"--ports: {word!r} is not a port (1 to 65535)")
        ports.append(int(word))
    return ports


class TwoSided(Exception):
    """A file whose side nobody named holds both copies after all."""


class Source:
    """The files as batches for one pipeline: iterate over it. problems: damaged files. quality:
    whether what was named LAN and WAN is both sides of one router, where that was asked.

    Files whose side nobody named are taken for one-sided until a message shows up on two flows;
    then iterating raises TwoSided, `survey` reads them once more to learn which flow is which
    side, and iterating again splits them. Most files are one-sided and are read once.
    """

    def __init__(self, files: Sequence[str], lan: Sequence[str], wan: Sequence[str],
                 ports: Sequence[int]) -> None:  # fmt: skip
        self._ports = ports
        self._files = list(files)
        self._named = [Tap(name, LAN) for name in lan] + [Tap(name, WAN) for name in wan]
        self._sides: Sides | None = None
        self.quality: Quality | None = None
        self._survey: Survey | None = None  # of sides that cannot be read twice
        self._scanned = Counts()
        self._numbers: dict[str, dict[str, int]] = {}
        self._reassembly: dict[str, int] = {}  # only what there was: most captures have none
        self.problems: list[str] = []

    @property
    def taps(self) -> list[Tap]:
        sides = (UNKNOWN,) if self._sides is None else (LAN, WAN, UNKNOWN)
        return self._named + [Tap(name, side) for name in self._files for side in sides]

    def check(self) -> None:
        """Learn whether the named files are both sides of one router, and put right what can be:
        sides that are exchanged, clocks that differ, one capture named twice, a clock that was
        set meanwhile (the LAN side alone is judged then). What cannot be read twice is surveyed
        while it is judged."""
        if {tap.side for tap in self._named} != {LAN, WAN}:
            return
        survey = Survey()
        if not all(tap.name != "-" and os.path.isfile(tap.name) for tap in self._named):
            self._survey = survey
            return
        paths = [(tap.name, i) for i, tap in enumerate(self._named)]
        # In turns and not by time, because clocks may differ by more than the captures last.
        files = [iter(file) for file in Merged(paths, self._ports, Counts()).files]
        while files and survey.settled is None:
            for file in files[:]:
                batch = next(file, None)
                if batch is None:
                    files.remove(file)
                else:
                    survey.feed(self._named[batch.tap].side, batch)
        self.quality = quality = survey.settled or survey.finish()
        if quality.same:
            kept = WAN if quality.wan_kept else LAN
            self._files += [tap.name for tap in self._named if tap.side == kept]
            self._named = []
            return
        if quality.exchanged:
            turned = [Tap(tap.name, 1 - tap.side) for tap in self._named]
            self._named = sorted(turned, key=lambda tap: tap.side)
        if quality.unsteady:
            self._named = [tap for tap in self._named if tap.side == LAN]

    def survey(self) -> None:
        """Learn the sides of every flow of the unnamed files."""
        self._sides = Sides()
        unnamed = [(name, i) for i, name in enumerate(self._files)]
        for batch in Merged(unnamed, self._ports, Counts()):
            self._sides.survey(batch)

    def reports(self, watch: Callable[[Crossing], None] | None = None) -> Iterator[Report]:
        """Everything that the pipeline says about these files, in order."""
        pipeline: Pipeline | EachAlone
        if self.quality is not None and self.quality.unrelated:
            pipeline = EachAlone(self.taps, len(self._named), watch, self.quality)
        else:
            pipeline = Pipeline(self.taps, watch=watch, quality=self.quality)
        if self._survey is None:
            yield from self._told(pipeline)
            yield from pipeline.finish()
        else:
            said = list(self._told(pipeline))
            quality = self._survey.finish(late=True)
            pipeline.judge(quality)
            said += pipeline.finish()
            yield from (r for r in said if not quality.misleading or _is_one_sided(r))
        self._numbers = pipeline.counts()
        for problem in self.problems:
            print(f"algwatch: {problem}; what was readable is reported", file=sys.stderr)
        for rule, failures in pipeline.failures.items():
            print(f"algwatch: rule {rule} failed {failures} times: please report", file=sys.stderr)

    def _told(self, pipeline: Pipeline | EachAlone) -> Iterator[Report]:
        timeline = Timeline(pipeline, len(self.taps))
        for batch in self:
            if batch.count:
                yield from timeline.feed(batch)
            else:
                timeline.end(batch.tap, batch.watermark)
        yield from timeline.finish()

    def counts(self) -> dict[str, dict[str, int]]:
        """The parts "capture", "crossings" and "evicted" (see Pipeline.counts) of the finished
        reports."""
        scanned = self._scanned.as_dict()
        capture = {
            "packets": scanned["packets"],
            **self._numbers["capture"],
            "malformed": scanned["malformed"],
            "truncated": scanned["truncated"],
            **{name: scanned[name] for name in NOT_SIP if scanned[name]},
            **self._reassembly,
        }
        return {**self._numbers, "capture": capture}

    def __iter__(self) -> Iterator[Batch]:
        self._scanned = Counts()
        first = len(self._named)
        width = 1 if self._sides is None else 3
        paths = [(tap.name, i) for i, tap in enumerate(self._named)]
        paths += [(name, first + i * width) for i, name in enumerate(self._files)]
        merged = Merged(paths, self._ports, self._scanned)
        offset = self.quality.offset if self.quality is not None else None
        if offset is not None and offset.matters:
            for file, tap in zip(merged.files, self._named, strict=False):
                file.shift = offset.lan if tap.side == WAN else None
        sides = self._sides
        glance = Sides() if sides is None and "-" not in self._files else None
        looks = 0
        for batch in merged:
            if batch.tap < first:
                if self._survey is not None:
                    self._survey.feed(self._named[batch.tap].side, batch)
                yield batch
            elif sides is not None:
                for one in split(batch, sides, batch.tap):
                    if one.count or not batch.count:
                        yield one
            else:
                if glance is not None:
                    # Both copies of a message are in one batch: after the first ones, some do.
                    looks += 1
                    if looks < FIRST_LOOKS or not looks % LOOK_EVERY:
                        glance.survey(batch)
                        if glance.found:
                            raise TwoSided
                yield batch
        self.problems = merged.problems
        self._reassembly = merged.reassembly()


def _is_one_sided(report: Report) -> bool:
    """Whether it stands although the two sides were compared in vain."""
    if isinstance(report, Finding):
        return report.harm == "none" and report.where == "unknown"
    return report.kind in ("call", "registration")
