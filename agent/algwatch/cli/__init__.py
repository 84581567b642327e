# SPDX-License-Identifier: Apache-2.0
"""The command line: one file a verb, named like the verb.

Each verb's file has two functions:

    def add(subparsers: Subparsers) -> None:
        parser = subparsers.add_parser("explain", help="print what a rule looks for")
        parser.add_argument("rule")

    def main(args: argparse.Namespace) -> int:    # the exit status: 0 to 3

`__main__` imports only the file of the typed verb. Bad usage and unreadable input raise
`Usage("one line with the next step")` from anywhere: the line is printed on standard error and the
exit status is 2. `run`, `handover` and `obey` differ: their options are the keys of the
configuration file, so they read them themselves and the daemon never imports argparse.
"""

from __future__ import annotations

import os
import sys

from algwatch.base.quote import visible

TYPE_CHECKING = False
if TYPE_CHECKING:
    import argparse

    Subparsers = argparse._SubParsersAction[argparse.ArgumentParser]

VERBS = (
    "run", "status", "doctor", "probe", "apply", "verify", "rollback", "handover", "obey",
    "enroll", "command", "invite", "fact", "analyze", "watch", "diff", "top", "anonymize",
    "explain", "rules", "decode", "completion",
)  # fmt: skip


MOST = 1000  # characters of a complaint


def complain(text: str) -> None:
    """One line on standard error. It may contain file names and typed text."""
    text = visible(text)
    print(f"algwatch: {text[:MOST]}{'...' if len(text) > MOST else ''}", file=sys.stderr)


def drop_output() -> None:
    """The reader has gone; a flush at exit would raise once more."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


class Usage(Exception):
    """Bad usage or unreadable input; the text is one line for a person. Exit status 2."""
