# SPDX-License-Identifier: Apache-2.0
"""`algwatch apply`: turn the SIP ALG off step by step, or back when a phone fails."""

from __future__ import annotations

import time

from algwatch.act.apply import REFUSED, Apply, Order, Refused
from algwatch.act.before import interfaces, refusals
from algwatch.act.changes import Changes, ChangesError
from algwatch.act.daemons import evidence
from algwatch.act.journal import Journal, JournalError
from algwatch.act.planning import NotHere, planned_here
from algwatch.act.router import Failed, Router
from algwatch.act.watch import GRANTED, LATE, Watch
from algwatch.advise.platforms.plan import Plan
from algwatch.base import address
from algwatch.cli import Usage, acting
from algwatch.cli.watching import CannotWatch, Watching

TYPE_CHECKING = False
if TYPE_CHECKING:
    import argparse

    from algwatch.cli import Subparsers

DEADLINE = 600  # seconds for everything but waiting and watching
EPILOG = (
    "Exit status: 0 the change is in force (applied, or verified); 1 it failed and everything is "
    "as before; 2 nothing was changed, and the reason is told; 3 watched for the time that was "
    "given, and not every phone was heard; 4 it failed, and not everything could be put back; 130 "
    "interrupted before the change."
)


def add(subparsers: Subparsers) -> None:
    parser = subparsers.add_parser(
        "apply",
        help="turn the SIP ALG off, watch, and put it back when it breaks a phone",
        description="Turns the SIP ALG of this router off: saves the configuration, changes it, "
        "takes the helper off live flows, watches registrations and calls. Whatever goes wrong "
        "takes everything back, also after a crash or a reboot (docs/apply.md).",
        epilog=EPILOG,
    )
    parser.add_argument("--only", default="", metavar="ADDRESS", help="a trial with one phone")
    parser.add_argument("--force", action="store_true", help="although it may break a phone")
    parser.add_argument("--wait", type=acting.seconds, default=0.0, metavar="SECONDS",
                        help="let a call end that is up; default: refuse")  # fmt: skip
    parser.add_argument("--watch", type=acting.seconds, default=None, metavar="SECONDS",
                        help="at most; default: until each phone has registered")  # fmt: skip
    for side in "lan", "wan":
        parser.add_argument(f"--{side}", action="append", default=[], metavar="IF",
                            help="interface to watch; default: by the routes")  # fmt: skip
    parser.add_argument("--dry-run", action="store_true", help="print what would be done")
    acting.add_common(parser)


def main(args: argparse.Namespace) -> int:
    if args.only and not address.is_literal(args.only):
        raise Usage(f"--only {args.only}: that is no IP address")
    tell = acting.Teller(args.json)
    router = Router()
    try:
        made = planned_here(router)
    except NotHere as what:
        tell.commands(str(what), what.commands)
        return REFUSED
    except Failed as why:
        raise Usage(f"{why}; nothing was changed") from None
    if args.dry_run:
        tell.plan(made)
        return 0
    acting.need_root()
    for line in refusals(router):
        raise Usage(f"{line}; nothing was changed")
    changes = Changes(args.changes)
    with acting.locked(changes):
        return _apply(args, tell, router, changes, made)


def _apply(args: argparse.Namespace, tell: acting.Teller, router: Router, changes: Changes,
           made: Plan) -> int:  # fmt: skip
    acting.settle(router, changes, tell)
    if not args.only and (there := [one for one in changes.in_force() if not acting.only(one)]):
        raise Usage(f"change {there[0].number} is in force already: algwatch verify watches it, "
                    "algwatch rollback takes it back")  # fmt: skip
    said = evidence(router, args.status, time.time(), args.only)

    def guard(journal: Journal) -> None:
        acting.deadman(changes, args.wait + (args.watch or LATE * GRANTED) + DEADLINE)

    def watch(phones: list[str]) -> Watch:
        lan, wan = interfaces(router, phones)
        try:
            eyes = Watching(args.lan or lan, args.wan or wan, tell.say)
        except CannotWatch as why:
            raise Failed(f"nothing can be watched: {why}; --watch 0 does without") from None
        longest = LATE * GRANTED if args.watch is None else args.watch
        return Watch(longest, lambda: eyes.until(phones, longest, args.watch is not None))

    order = Order(args.only, args.force, args.wait, watch if args.watch != 0 else None)
    try:
        status, journal = Apply(router, changes, tell.say, guard).run(made, order, said)
    except (Refused, ChangesError, JournalError) as why:
        raise Usage(str(why)) from None
    tell.end(journal, status)
    return status
