# SPDX-License-Identifier: Apache-2.0
"""`algwatch top`: browse lines and calls in a terminal."""

from __future__ import annotations

import os
import stat
import sys

from algwatch.cli import Usage
from algwatch.cli.reading import add_reading, add_sides, read, source_of

TYPE_CHECKING = False
if TYPE_CHECKING:
    import argparse
    from collections.abc import Callable

    from algwatch.cli import Subparsers
    from algwatch.top.model import Model


def add(subparsers: Subparsers) -> None:
    parser = subparsers.add_parser(
        "top",
        help="browse lines and calls in a terminal",
        description="Browses the lines and calls of capture files, or of a live agent. Enter opens "
        "a call: its ladder and both copies of its messages. / searches, f shows only what hurts. "
        "Needs Textual: pip install 'algwatch[tui]'.",
        epilog="Live: ssh root@router algwatch run --json | algwatch top -, or --status FILE.",
    )
    parser.add_argument(
        "files", nargs="*", metavar="FILE",
        help="captures; - reads the lines of algwatch run --json",
    )  # fmt: skip
    add_sides(parser)
    add_reading(parser)
    parser.add_argument("--status", metavar="FILE", help="the status file of a live agent")


def main(args: argparse.Namespace) -> int:
    captures = [*args.files, *args.lan, *args.wan]
    if bool(captures) == bool(args.status):
        raise Usage("top needs capture files, - for algwatch run --json, or --status FILE")
    model, poll = opened(args)
    try:
        from algwatch.top.app import Top
    except ImportError:
        raise Usage("top needs Textual: pip install 'algwatch[tui]'") from None
    Top(model, poll).run()
    return 0


def opened(args: argparse.Namespace) -> tuple[Model, Callable[[], None] | None]:
    """The model, and a function for its updates, None for files."""
    from algwatch.top.model import Model
    from algwatch.top.sources import Lines, StatusFile

    model = Model()
    if args.status:
        status = StatusFile(args.status)
        status.poll(model)
        if status.trouble:
            raise Usage(f"{args.status}: {status.trouble}")
        return model, lambda: status.poll(model)
    if args.files == ["-"]:
        # Keys come from the terminal, so the pipe moves to another descriptor.
        lines = Lines(os.dup(0))
        if not stat.S_ISREG(os.fstat(0).st_mode) and not os.isatty(0):
            terminal = os.open("/dev/tty", os.O_RDWR)
            os.dup2(terminal, 0)
            sys.stdin = open(0, closefd=False)  # noqa: SIM115
        return model, lambda: lines.poll(model)
    _read(args, model)
    return model, None


def _read(args: argparse.Namespace, model: Model) -> None:
    from algwatch.report.render.ladder import Ladder
    from algwatch.report.render.verdict import Verdict
    from algwatch.top.model import CALLS, ROOM

    source = source_of(args)

    def once() -> Verdict:
        model.__init__()  # type: ignore[misc]
        model.ladder = ladder = Ladder(CALLS, ROOM)
        ladder.compared = source.quality is None or source.quality.compared
        verdict = Verdict()
        for report in source.reports(ladder.watch):
            verdict.feed(report)
            model.report(report)
        return verdict

    verdict, _ = read(source, once)
    if verdict is None:
        raise Usage("interrupted before there was anything to show")
    verdict.settle(source.counts())
    model.state, model.why, model.next = verdict.state, verdict.why, verdict.next
    model.doubtful = verdict.doubtful
    model.settle()
