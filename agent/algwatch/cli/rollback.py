# SPDX-License-Identifier: Apache-2.0
"""`algwatch rollback`: put configuration, ruleset and live entries back."""

from __future__ import annotations

import os
from contextlib import suppress

from algwatch.act.changes import Changes
from algwatch.act.journal import JournalError
from algwatch.act.lasting import settle
from algwatch.act.router import Router
from algwatch.act.undo import PATIENCE, undo
from algwatch.cli import Usage, acting

TYPE_CHECKING = False
if TYPE_CHECKING:
    import argparse

    from algwatch.cli import Subparsers

AT_BOOT = 5.0  # seconds for live entries in an unattended run


def add(subparsers: Subparsers) -> None:
    parser = subparsers.add_parser(
        "rollback",
        help="take back what apply has changed",
        description="Takes the latest change back that is in force or stopped half way: "
        "configuration and ruleset as they were; live entries of phones are deleted one at a time, "
        "when no call is up.",
        epilog="Exit status: 0 everything is back, or there was nothing to do; 2 bad usage, or "
        "another process is at work; 4 not everything could be put back.",
    )
    parser.add_argument("--if-unfinished", action="store_true",
                        help="only a change that stopped half way (at boot)")  # fmt: skip
    parser.add_argument("--wait", type=acting.seconds, default=None, metavar="SECONDS",
                        help="for calls to end and live entries to be made anew; default: "
                        f"{PATIENCE:.0f}, with --if-unfinished {AT_BOOT:.0f}")  # fmt: skip
    parser.add_argument("--all", action="store_true", help="every change that is in force")
    acting.add_common(parser)


def main(args: argparse.Namespace) -> int:
    acting.need_root()
    changes = Changes(args.changes)
    teller = acting.Teller(args.json)
    _clean_probe(teller)
    if args.if_unfinished and not os.path.isdir(args.changes):
        teller.end(None, 0)
        return 0  # at boot, also on a read-only disk
    with acting.locked(changes, 2.0):
        return _rollback(args, changes, teller)


def _clean_probe(teller: acting.Teller) -> None:
    """A killed probe leaves a port in the LAN's bridge; apply runs a probe, too."""
    from algwatch.probe.refused import Refused
    from algwatch.probe.run import clean_up

    with suppress(OSError, Refused):  # Refused: a probe is running
        for host in clean_up():
            teller.say(f"cleaned up after a probe that was killed ({host})")


def _rollback(args: argparse.Namespace, changes: Changes, teller: acting.Teller) -> int:
    router = Router()
    try:
        patience = AT_BOOT if args.if_unfinished else PATIENCE
        patience = patience if args.wait is None else args.wait
        undone, problems = settle(router, changes, teller.say, patience)
        journal = None
        if not args.if_unfinished and not undone:
            there = changes.in_force()
            for journal in there if args.all else there[:1]:
                problems += undo(router, changes, journal, "asked for", teller.say, patience)
            if not there:
                teller.say("no change is in force: nothing to take back")
    except JournalError as why:
        raise Usage(str(why)) from None
    for line in problems:
        teller.say(line)
    if not args.if_unfinished and not args.all and (rest := changes.in_force()):
        named = " and ".join(f"change {one.number}" for one in rest)
        teller.say(f"{named} {'is' if len(rest) == 1 else 'are'} still in force: algwatch rollback "
                   "takes the latest back, algwatch rollback --all every one")  # fmt: skip
    status = 4 if problems else 0
    teller.end(journal, status)
    return status
