# SPDX-License-Identifier: Apache-2.0
"""`algwatch diff`: a capture from before a change, and one from after it."""

from __future__ import annotations

import os
import sys

from algwatch.cli import Usage
from algwatch.cli.reading import INTERRUPTED, add_reading, read, source_of

TYPE_CHECKING = False
if TYPE_CHECKING:
    import argparse

    from algwatch.cli import Subparsers
    from algwatch.report.render.compared import Period


def add(subparsers: Subparsers) -> None:
    parser = subparsers.add_parser(
        "diff",
        help="compare captures from before and after a change",
        description="Tells what got better and what got worse between two captures of the same "
        "line, say with the SIP ALG on and off. Calls are compared by kind, and as shares.",
        epilog="Exit status: 0 better or the same; 1 something got worse; 2 bad usage or input "
        "that cannot be read; 3 it cannot be told; 130 interrupted.",
    )
    what = "a file with both sides, LAN,WAN for a file of each, or a folder"
    parser.add_argument("before", metavar="BEFORE", help=what)
    parser.add_argument("after", metavar="AFTER", help=what)
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    add_reading(parser)


def main(args: argparse.Namespace) -> int:
    from algwatch.report.render.compared import Compared, write_compared, write_json
    from algwatch.report.render.terminal import Terminal, Writer, speaks_unicode, takes_colour
    from algwatch.report.render.text import columns

    periods = []
    for name in args.before, args.after:
        one = _period(args, name)
        if one is None:
            return INTERRUPTED
        periods.append(one)
    compared = Compared(*periods)
    if args.json:
        write_json(compared, sys.stdout)
        return compared.status
    terminal = Terminal(takes_colour(sys.stdout), speaks_unicode(sys.stdout))
    write_compared(compared, Writer(terminal, sys.stdout, columns(sys.stdout)))
    return compared.status


def _period(args: argparse.Namespace, name: str) -> Period | None:
    from algwatch.report.render.compared import period

    sides = name.split(",") if "," in name and not os.path.lexists(name) else []
    if sides and len(sides) != 2:
        raise Usage(f"{name}: a file, a folder, or LAN,WAN")
    args.lan, args.wan = sides[:1], sides[1:]
    args.files = [] if sides else [name]
    source = source_of(args)
    found, interrupted = read(source, lambda: period(source.reports(), source.counts))
    return None if interrupted else found
