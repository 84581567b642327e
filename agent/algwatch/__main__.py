# SPDX-License-Identifier: Apache-2.0
"""`algwatch` and `python -m algwatch`."""

from __future__ import annotations

import os
import sys
from importlib import import_module

from algwatch import __version__
from algwatch.base import tracebacks
from algwatch.cli import VERBS, Usage, complain, drop_output

TYPE_CHECKING = False
if TYPE_CHECKING:
    import argparse
    from collections.abc import Sequence
    from typing import NoReturn

NO_VERB = ("type what to do: algwatch analyze FILE for captures, algwatch run --lan IF --wan IF "
           "on a router; algwatch --help lists all verbs")  # fmt: skip
ABOUT = "Finds out whether a router's SIP ALG breaks phone calls, proves it, and says what to do."


def _version() -> str:
    from algwatch.base.native.layout import VARIANT

    return f"algwatch {__version__} ({VARIANT})"


def parser_of(verbs: Sequence[str]) -> argparse.ArgumentParser:
    """The parser of the command line, with these verbs."""
    import argparse

    class Parser(argparse.ArgumentParser):
        def error(self, message: str) -> NoReturn:
            """One line, like every other complaint, with a pointer to the options."""
            raise Usage(f"{message}; {self.prog} --help tells how it is typed")

    parser = Parser(prog="algwatch", description=ABOUT)
    parser.add_argument("-V", "--version", action="version", version=_version())
    subparsers = parser.add_subparsers(dest="verb", metavar="VERB", required=True)
    for name in verbs:
        import_module(f"algwatch.cli.{name}").add(subparsers)
    return parser


def _with_argparse(argv: list[str]) -> int:
    if argv[0] == "help":
        argv = [*argv[1:2], "--help"]
    verb = next((word for word in argv if not word.startswith("-")), None)
    if verb is not None and verb not in VERBS:
        raise Usage(f"there is no verb {verb!r}; {_meant(verb, VERBS)}algwatch --help lists them")
    parser = parser_of((verb,) if verb else VERBS)
    args, rest = parser.parse_known_args(argv)
    if rest:  # argparse points to the help of all verbs
        unknown = " ".join(rest)
        how = f"algwatch {args.verb} --help tells how it is typed"
        raise Usage(f"unrecognized arguments: {unknown}; {_meant(rest[0], _options(parser))}{how}")
    status: int = import_module(f"algwatch.cli.{args.verb}").main(args)
    return status


def _options(parser: argparse.ArgumentParser) -> list[str]:
    """The options of the one verb that the parser has."""
    subparsers = next(a for a in parser._actions if a.dest == "verb")
    assert isinstance(subparsers.choices, dict)
    return [option for one in subparsers.choices.values() for action in one._actions
            for option in action.option_strings]  # fmt: skip


def _meant(word: str, known: Sequence[str]) -> str:
    """What was meant, where that is close."""
    from difflib import get_close_matches

    close = get_close_matches(word.split("=")[0], known, 1, 0.75)
    return f"did you mean {close[0]}? " if close else ""


def _verb(words: list[str]) -> int:
    """Run a verb with printed output and an end."""
    try:
        status = _with_argparse(words)
        try:
            sys.stdout.flush()
        except BrokenPipeError:  # the work is done, and the status tells its result
            drop_output()
        return status
    except OSError as problem:
        if isinstance(problem, BrokenPipeError) or problem.filename is not None:
            raise
        drop_output()
        complain(f"the output cannot be written: {problem.strerror}")
        return 2


def _fill_standard_files() -> None:
    """The caller may have closed them. A file opened later must not take their numbers: this
    program would read its own pipe as standard input, without end."""
    for fd in 0, 1, 2:
        try:
            os.fstat(fd)
        except OSError:
            os.open(os.devnull, os.O_RDWR)  # takes the lowest free number
    if sys.stderr is None:
        sys.stderr = os.fdopen(2, "w")  # print() would take standard output instead


def main(argv: list[str] | None = None) -> int:
    """Run one verb; argv without the program's name. Returns the exit status: 0; from analyze and
    probe also 1 (something hurts, SIP is rewritten) and 3 (cannot tell); 2 for bad usage,
    unreadable input and unwritable output; 130 after SIGINT."""
    tracebacks.install()
    words = sys.argv[1:] if argv is None else argv
    nowhere = sys.stdout is None  # closed by the caller
    _fill_standard_files()
    try:
        if words[:1] in (["run"], ["handover"], ["obey"]):
            own: int = import_module(f"algwatch.cli.{words[0]}").start(words[1:])
            return own
        if not words:
            raise Usage(NO_VERB)
        if nowhere:
            raise Usage("the output cannot be written: standard output is closed")
        return _verb(words)
    except Usage as problem:
        complain(str(problem))
        return 2
    except BrokenPipeError:
        # The reader (head, less) left.
        drop_output()
        return 0
    except KeyboardInterrupt:
        return 130


if __name__ == "__main__":
    sys.exit(main())
