# SPDX-License-Identifier: Apache-2.0
"""`algwatch handover`: open privileged sources as root for an unprivileged `algwatch run`."""

from __future__ import annotations

import os

from algwatch.cli import Usage
from algwatch.cli.run import read
from algwatch.config import ConfigError

TYPE_CHECKING = False
if TYPE_CHECKING:
    import argparse

    from algwatch.cli import Subparsers

HELP = """\
usage: algwatch handover --config FILE
       algwatch handover --handover SOCKET --user USER --lan IF --wan IF ...

Started as root beside an `algwatch run` that is not: waits up to 60 s for a process of USER at
the unix socket SOCKET, opens what the settings ask for, hands it over and ends.

  own phones    what programs on this router send and get (NFLOG), unless own_phones = off
  conntrack     the table of connections, which counts the media of calls, unless media = off

The options and the file are those of `algwatch run`; handover and user are needed. The exit
status is 0 when it was handed over, 2 when nobody came or it cannot be served.
"""


def start(words: list[str]) -> int:
    """words: the options. Returns 0; Usage when it cannot be done."""
    if "--help" in words or "-h" in words:
        print(HELP, end="")
        return 0
    try:
        config = read(words, dict(os.environ))
    except ConfigError as problem:
        raise Usage(str(problem)) from None
    if not config.handover or not config.user:
        missing = "handover = SOCKET" if not config.handover else "user = USER"
        raise Usage(f"{missing} is missing in the settings: see algwatch handover --help")
    from algwatch.control.channel import CannotServe
    from algwatch.handover import serve

    try:
        serve(config, uid_of(config.user))
    except CannotServe as problem:
        raise Usage(str(problem)) from None
    return 0


def uid_of(user: str) -> int:
    import pwd

    try:
        return (pwd.getpwuid(int(user)) if user.isdigit() else pwd.getpwnam(user)).pw_uid
    except (KeyError, OverflowError):
        raise Usage(f"user {user}: there is no such user on this router") from None


def add(subparsers: Subparsers) -> None:
    # For the list of verbs only: it reads its options itself, like `run`.
    subparsers.add_parser("handover", help="open as root what a daemon reads that is not root")


def main(args: argparse.Namespace) -> int:
    return start([])
