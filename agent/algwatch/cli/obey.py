# SPDX-License-Identifier: Apache-2.0
"""`algwatch obey`: root's part of the commands of the operator."""

from __future__ import annotations

import os
from functools import partial

from algwatch.cli import Usage
from algwatch.cli.handover import uid_of
from algwatch.cli.run import read
from algwatch.config import AUTO, ConfigError

TYPE_CHECKING = False
if TYPE_CHECKING:
    import argparse

    from algwatch.cli import Subparsers

HELP = """\
usage: algwatch obey --config FILE
       algwatch obey --commands KEYFILE --user USER --mqtt URL --lan IF ...

Started as root beside an `algwatch run` that is not: takes the operator's commands from it at a
unix socket (commands_socket), checks each with the key in KEYFILE, which only root may read, and
runs algwatch probe, apply or rollback for it (docs/commands.md).

The options and the file are those of `algwatch run`; commands is needed, user where it is not root.
"""


def start(words: list[str]) -> int:
    """words: the options. Returns 0 after SIGTERM; Usage when it cannot be done."""
    if "--help" in words or "-h" in words:
        print(HELP, end="")
        return 0
    try:
        config = read(words, dict(os.environ))
    except ConfigError as problem:
        raise Usage(str(problem)) from None
    if not config.commands:
        raise Usage("commands = FILE is missing in the settings: see algwatch obey --help")
    from algwatch.control.channel import CannotServe
    from algwatch.control.obey import serve
    from algwatch.control.run import start as run
    from algwatch.report.identity import hardware_address

    lan = config.lan
    if not config.cpe and lan == [AUTO]:
        from algwatch.capture.networks import NoNetworks, found

        try:
            lan, _ = found(lan, config.wan)
        except NoNetworks as why:
            raise Usage(str(why)) from None
    cpe = config.cpe or hardware_address(lan[0])
    if not cpe:
        raise Usage(f"{lan[0]} has no MAC address: name this router with --cpe")
    uid = uid_of(config.user) if config.user else os.geteuid()
    try:
        serve(config.commands, config.commands_socket, uid, cpe,
              partial(run, status=config.status_file))  # fmt: skip
    except CannotServe as problem:
        raise Usage(str(problem)) from None
    return 0


def add(subparsers: Subparsers) -> None:
    # For the list of verbs only: it reads its options itself, like `run`.
    subparsers.add_parser("obey", help="do as root what the operator commands")


def main(args: argparse.Namespace) -> int:
    return start([])
