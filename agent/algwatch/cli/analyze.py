# SPDX-License-Identifier: Apache-2.0
"""`algwatch analyze`: captures and logs in, verdicts out."""

from __future__ import annotations

import sys

from algwatch.cli import Usage
from algwatch.cli.beside import Beside, add_options
from algwatch.cli.reading import INTERRUPTED, add_reading, add_sides, ports_of, read, source_of
from algwatch.cli.source import Source

TYPE_CHECKING = False
if TYPE_CHECKING:
    import argparse

    from algwatch.cli import Subparsers

VERBOSE = 64 << 20  # bytes of messages for --verbose
SORTS = ("start", "end", "length", "outcome", "from", "to", "line", "found")


def add(subparsers: Subparsers) -> None:
    parser = subparsers.add_parser(
        "analyze",
        help="diagnose calls in capture files",
        description="Diagnoses the calls in captures and logs. A file that holds both sides of the "
        "router is split by itself; --lan and --wan name the side of a file and may be repeated. "
        "First comes a summary, then an example of each kind of call that hurts.",
        epilog="Exit status: 0 nothing hurts, all that was seen ended well; 1 something hurts; "
        "2 bad usage, unreadable input or output that cannot be written; 3 it cannot be told from "
        "this capture; 130 interrupted: then the report is of what was read until then.",
    )
    parser.add_argument(
        "files", nargs="*", metavar="FILE",
        help="pcap, pcapng, or a log with SIP in it (Asterisk, FreeSWITCH, kamailio, OpenSIPS, "
        "sngrep, Wireshark's text, pasted messages), compressed or not; a folder, or the files of "
        "a capture that was rotated; - is standard input",
    )  # fmt: skip
    add_sides(parser)
    which = parser.add_argument_group("what is told")
    which.add_argument("--all", action="store_true", help="every call, every finding, every reason")
    which.add_argument("--brief", action="store_true", help="the verdict alone")
    which.add_argument(
        "--call", action="append", default=[], metavar="N|ID|PATTERN",
        help="these calls: number in --list, Call-ID, or part of Call-ID, From or To",
    )  # fmt: skip
    which.add_argument(
        "--only", action="append", default=[], metavar="RULE", help="only what this rule has found"
    )
    which.add_argument("-v", "--verbose", action="store_true", help="with the messages themselves")
    which.add_argument("--list", action="store_true", help="a call a line")
    which.add_argument("--sort", choices=SORTS, default="start", help="of --list and --csv")
    form = parser.add_mutually_exclusive_group()
    form.add_argument("--json", action="store_true", help="print one JSON object")
    form.add_argument("--ndjson", action="store_true", help="print JSON objects, one a line")
    form.add_argument("--csv", action="store_true", help="print the calls as CSV")
    parser.add_argument(
        "--follow", action="store_true",
        help="read on while the files grow, telling each call as it ends; the report comes on "
        "Ctrl-C. Name the sides with --lan and --wan: other files are taken for one side",
    )  # fmt: skip
    add_options(parser)
    add_reading(parser)
    parser.add_argument(
        "--color", choices=("auto", "always", "never"), default="auto",
        help="auto, the default: on a terminal, unless NO_COLOR is set or TERM is dumb",
    )  # fmt: skip


def main(args: argparse.Namespace) -> int:
    if not (args.files or args.lan or args.wan):
        raise Usage("analyze needs a capture file: algwatch analyze FILE, or --lan FILE --wan FILE")
    if args.follow:
        return _follow(args)
    rules = frozenset(_rule(rule) for rule in args.only)
    beside = Beside(args)
    source = source_of(args)
    status, interrupted = read(source, lambda: _report(source, args, rules, beside))
    return INTERRUPTED if status is None or interrupted else status


def _follow(args: argparse.Namespace) -> int:
    from algwatch.base.packet import LAN, UNKNOWN, WAN
    from algwatch.cli.live import followed, watched

    named = ((args.lan, LAN), (args.wan, WAN), (args.files, UNKNOWN))
    return watched([followed(path, side) for paths, side in named for path in paths], args)


def _report(source: Source, args: argparse.Namespace, rules: frozenset[str],
            beside: Beside) -> int:  # fmt: skip
    try:
        return _printed(source, args, rules, beside)
    finally:  # also after a reader of standard output has left
        beside.write(source, ports_of(args.ports))


def _printed(source: Source, args: argparse.Namespace, rules: frozenset[str],
             beside: Beside) -> int:  # fmt: skip
    if args.json or args.ndjson:
        from algwatch.report.render.json import write_json, write_ndjson

        write = write_json if args.json else write_ndjson
        return write(beside.reports(source), source.counts, sys.stdout, lambda: source.notes)
    if args.csv or args.list:
        return _calls(source, args, beside)
    return _text(source, args, rules, beside)


def _calls(source: Source, args: argparse.Namespace, beside: Beside) -> int:
    from algwatch.report.render.listing import gathered, write_csv, write_list
    from algwatch.report.render.terminal import Terminal, speaks_unicode
    from algwatch.report.render.text import NARROW, columns

    listing = gathered(beside.reports(source), source.counts)
    if args.csv:
        return write_csv(listing, sys.stdout, args.sort)
    from algwatch.cli.pager import paged

    source.progress.end()
    terminal = Terminal(_colour(args), speaks_unicode(sys.stdout))
    width = max(NARROW, columns(sys.stdout))
    with paged() as out:
        write_list(listing, out, terminal, width, args.sort)
    return listing.verdict.status


def _text(source: Source, args: argparse.Namespace, rules: frozenset[str],
          beside: Beside) -> int:  # fmt: skip
    from algwatch.cli.pager import paged
    from algwatch.report.render.collected import collect
    from algwatch.report.render.ladder import Ladder
    from algwatch.report.render.listing import gathered
    from algwatch.report.render.text import columns, write_page
    from algwatch.report.render.wanted import Wanted

    calls = None
    if args.call or rules:
        source.need_twice("--call and --only")
        calls = gathered(source.reports(), source.counts).chosen(args.call, rules)
        if args.call and not calls:
            raise Usage(f"--call: no call is {' or '.join(args.call)}; --list lists them")
    wanted = Wanted(args.all, args.brief, args.verbose, calls if args.call else None, rules)
    ladder = Ladder(room=VERBOSE if args.verbose else 0, want=calls)
    ladder.compared = source.quality is None or source.quality.compared
    collected = collect(
        beside.reports(source, ladder.watch), source.counts, ladder, lambda: source.notes
    )
    source.progress.end()
    colour, width = _colour(args), columns(sys.stdout)
    with paged() as out:
        write_page(collected, out, colour, width, wanted)
    return collected.verdict.status


def _colour(args: argparse.Namespace) -> bool:
    from algwatch.report.render.terminal import takes_colour

    return args.color == "always" or (args.color == "auto" and takes_colour(sys.stdout))


def _rule(text: str) -> str:
    from algwatch.cli.explain import find

    found: str = find(text).RULE.id
    return found
