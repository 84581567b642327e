# SPDX-License-Identifier: Apache-2.0
"""`algwatch analyze`: capture files in, verdicts out."""

from __future__ import annotations

import gc
import os
import signal
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

from algwatch.capture.read import CaptureError, Stop
from algwatch.capture.series import Overlap
from algwatch.cli import Usage, complain
from algwatch.cli.source import Source, TwoSided

TYPE_CHECKING = False
if TYPE_CHECKING:
    import argparse

    from algwatch.cli import Subparsers

PORTS = (5060, 5080)
INTERRUPTED = 130  # as a shell tells of SIGINT


def add(subparsers: Subparsers) -> None:
    parser = subparsers.add_parser(
        "analyze",
        help="diagnose calls in capture files",
        description="Diagnoses the calls in capture files. A file that holds both sides of the "
        "router is split by itself; --lan and --wan name the side of a file and may be repeated.",
        epilog="Exit status: 0 nothing hurts, all that was seen ended well; 1 something hurts; "
        "2 bad usage, unreadable input or output that cannot be written; 3 it cannot be told from "
        "this capture; 130 interrupted: then the report is of what was read until then.",
    )
    parser.add_argument(
        "files",
        nargs="*",
        metavar="FILE",
        help="pcap, pcapng, or a log with SIP in it; compressed or not; "
        "a folder or several files of a capture that was rotated; - is standard input",
    )
    parser.add_argument("--lan", action="append", default=[], metavar="FILE", help="LAN side")
    parser.add_argument("--wan", action="append", default=[], metavar="FILE", help="WAN side")
    for side in "lan", "wan":
        parser.add_argument(
            f"--{side}-if", action="append", default=[], metavar="NAME",
            help=f"interface of a pcapng file on the {side.upper()} side",
        )  # fmt: skip
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    parser.add_argument(
        "--ports",
        default=",".join(map(str, PORTS)),
        metavar="N,N",
        help="ports of SIP, default: %(default)s; whatever begins like SIP is seen on any port",
    )
    parser.add_argument(
        "--color",
        choices=("auto", "always", "never"),
        default="auto",
        help="auto, the default: on a terminal, unless NO_COLOR is set",
    )


def main(args: argparse.Namespace) -> int:
    if not (args.files or args.lan or args.wan):
        raise Usage("analyze needs a capture file: algwatch analyze FILE, or --lan FILE --wan FILE")
    ports = _ports(args.ports)
    # Reports on a message make no cycles, so looking for some every 700 objects is in vain.
    gc.set_threshold(50_000)
    interfaces = args.lan_if, args.wan_if
    try:
        source = Source(args.files, args.lan, args.wan, ports, interfaces)
    except CaptureError as error:
        raise Usage(str(error)) from None
    try:
        with interruptible(source.stop):
            status = _whole(source, args)
    except CaptureError as error:
        if source.interrupted or source.stop.requested:
            complain("interrupted before there was anything to report")
            return INTERRUPTED
        raise Usage(str(error)) from None
    return INTERRUPTED if source.interrupted else status


@contextmanager
def interruptible(stop: Stop) -> Iterator[None]:
    """SIGINT ends the reading; the second one the program."""

    def on_signal(number: int, frame: FrameType | None) -> None:
        if stop.requested:
            raise KeyboardInterrupt
        stop.requested = True

    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.signal(signal.SIGINT, on_signal)
    wake = signal.set_wakeup_fd(stop.wake, warn_on_full_buffer=False)
    try:
        yield
    finally:
        signal.set_wakeup_fd(wake)
        signal.signal(signal.SIGINT, before)


def _whole(source: Source, args: argparse.Namespace) -> int:
    """Nothing is printed before the end of the files, so it is safe to begin again."""
    try:
        source.check()
        try:
            return _report(source, args)
        except TwoSided:
            source.survey()
            return _report(source, args)
    except Overlap:
        source.separate()
        return _whole(source, args)


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
