# SPDX-License-Identifier: Apache-2.0
"""The command line: one file a verb, named like the verb.

Each verb's file has two functions:

    def add(subparsers: Subparsers) -> None:
        parser = subparsers.add_parser("explain", help="print what a rule looks for")
        parser.add_argument("rule")

    def main(args: argparse.Namespace) -> int:    # the exit status: 0 to 3

`__main__` imports only the file of the verb that was typed. Bad usage and unreadable input raise
`Usage("one line that says what to do")` from anywhere: it is printed on standard error and the
exit status is 2. `run`, `handover` and `obey` stand aside: their options are the keys of the
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
    """One line on standard error. Names of files and whatever was typed may be in it."""
    text = visible(text)
    print(f"algwatch: {text[:MOST]}{'...' if len(text) > MOST else ''}", file=sys.stderr)


def drop_output() -> None:
    """Nobody takes it; flushing at exit would raise once more."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


class Usage(Exception):
    """Bad usage or unreadable input; the text is one line for a person. Exit status 2."""
