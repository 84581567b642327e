# SPDX-License-Identifier: Apache-2.0
"""Common code of the capture-reading verbs: options, Ctrl-C, and restarts."""

from __future__ import annotations

import gc
import re
import signal
import threading
from calendar import timegm
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType
from typing import TypeVar

from algwatch.capture.picked import Picked
from algwatch.capture.read import CaptureError, Stop
from algwatch.capture.series import Overlap
from algwatch.cli import Usage, complain
from algwatch.cli.glance import TwoSided
from algwatch.cli.progress import Progress
from algwatch.cli.source import Source

TYPE_CHECKING = False
if TYPE_CHECKING:
    import argparse

PORTS = (5060, 5080)
INTERRUPTED = 130  # a shell's status for SIGINT
T = TypeVar("T")
_TIME = re.compile(r"(?:(\d{4})-(\d\d)-(\d\d)[ T])?(\d\d):(\d\d)(?::(\d\d(?:\.\d+)?))?$")


def add_sides(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--lan", action="append", default=[], metavar="FILE", help="LAN side")
    parser.add_argument("--wan", action="append", default=[], metavar="FILE", help="WAN side")
    for side in "lan", "wan":
        parser.add_argument(
            f"--{side}-if", action="append", default=[], metavar="NAME",
            help=f"interface of a pcapng file on the {side.upper()} side",
        )  # fmt: skip


def add_reading(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--ports", default=",".join(map(str, PORTS)), metavar="N,N",
        help="ports of SIP, default: %(default)s; whatever begins like SIP is seen on any port",
    )  # fmt: skip
    parser.add_argument(
        "--filter", default="", metavar="EXPRESSION",
        help="only packets that this filter of tcpdump lets through, such as 'host 192.0.2.1'",
    )  # fmt: skip
    parser.add_argument(
        "--since", default="", metavar="TIME",
        help="only packets from this time on (UTC): HH:MM[:SS] of the first day, or with a date, "
        "YYYY-MM-DD HH:MM; what came before is not known then",
    )  # fmt: skip
    parser.add_argument(
        "--keylog", default="", metavar="FILE",
        help="keys of TLS, as SSLKEYLOGFILE has them written: what they decrypt is read too; "
        "needs tshark",
    )  # fmt: skip
    parser.add_argument(
        "--progress", action="store_true",
        help="tell how far it is on standard error, also where that is no terminal",
    )  # fmt: skip


def source_of(args: argparse.Namespace, files: list[str] | None = None) -> Source:
    """The captures on the command line; files: these instead. Usage."""
    picked = None
    try:
        if args.filter or args.since:
            picked = Picked(args.filter, _time(args.since) if args.since else 0.0)
        lan, wan = getattr(args, "lan", []), getattr(args, "wan", [])
        interfaces = getattr(args, "lan_if", []), getattr(args, "wan_if", [])
        source = Source(args.files if files is None else files, lan if files is None else [],
                        wan if files is None else [], ports_of(args.ports), interfaces,
                        keylog=args.keylog)  # fmt: skip
    except CaptureError as error:
        raise Usage(str(error)) from None
    source.picked = picked
    source.progress = Progress.wanted(args.progress)
    return source


def read(source: Source, run: Callable[[], T]) -> tuple[T | None, bool]:
    """(result of run on the source's reports, interrupted). run starts again if the files turn out
    other than assumed, so it must print nothing before it has read all. The result is None after an
    interruption before any report. Usage."""
    # Reports on a message make no cycles, so a collection every 700 objects is in vain.
    gc.set_threshold(50_000)
    try:
        with interruptible(source.stop):
            return _whole(source, run), source.interrupted
    except CaptureError as error:
        if source.interrupted or source.stop.requested:
            complain("interrupted before there was anything to report")
            return None, True
        raise Usage(str(error)) from None
    finally:
        source.progress.end()


def _whole(source: Source, run: Callable[[], T]) -> T:
    try:
        source.check()
        try:
            return run()
        except TwoSided:
            source.survey()
            return run()
    except Overlap:
        source.separate()
        return _whole(source, run)


@contextmanager
def interruptible(stop: Stop) -> Iterator[None]:
    """SIGINT ends the reading; a second SIGINT ends the program."""

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


def ports_of(text: str) -> list[int]:
    ports = []
    for word in text.split(","):
        if not word.strip().isascii() or not word.strip().isdigit() or not 0 < int(word) < 65536:
            raise Usage(f"--ports: {word!r} is not a port (1 to 65535)")
        ports.append(int(word))
    return ports


def _time(text: str) -> float:
    """Seconds since 1970, or since midnight."""
    found = _TIME.match(text.strip())
    if found is None:
        raise Usage(f"--since: {text!r} is not a time: HH:MM, HH:MM:SS or YYYY-MM-DD HH:MM")
    hours, minutes, seconds = int(found[4]), int(found[5]), float(found[6] or 0)
    if hours > 23 or minutes > 59 or seconds >= 61:
        raise Usage(f"--since: {text!r} is not a time of a day")
    of_day = hours * 3600 + minutes * 60 + seconds
    if found[1] is None:
        return max(of_day, 1e-9)
    return timegm((int(found[1]), int(found[2]), int(found[3]), 0, 0, 0)) + of_day
