# SPDX-License-Identifier: Apache-2.0
"""`algwatch verify`: watch a change in force until phones and calls prove it works."""

from __future__ import annotations

import time
from contextlib import suppress

from algwatch.act import deadman, steps
from algwatch.act.apply import DONE, NOT_BACK, NOT_KNOWN, UNDONE
from algwatch.act.before import Routes
from algwatch.act.changes import Changes
from algwatch.act.daemons import calls_since
from algwatch.act.journal import Journal
from algwatch.act.lasting import survives
from algwatch.act.router import Failed, Router
from algwatch.act.target import ended
from algwatch.act.undo import finish, planned, target_of, undo
from algwatch.act.watch import FAILED, GRANTED, LATE, REGISTERED, WORKS
from algwatch.cli import Usage, acting
from algwatch.cli.watching import CannotWatch, Watching

TYPE_CHECKING = False
if TYPE_CHECKING:
    import argparse

    from algwatch.cli import Subparsers

SOON = 600.0  # seconds to make a change lasting


def add(subparsers: Subparsers) -> None:
    parser = subparsers.add_parser(
        "verify",
        help="watch whether phones work after apply",
        description="Watches registrations and calls of the phones that had the SIP ALG, until "
        "each has registered and a call completed. A failure, or a phone that should have "
        "registered and is silent, takes the change back.",
        epilog="Exit status: 0 verified; 1 it failed and everything is as before; 2 nothing to "
        "verify, or it cannot be watched; 3 not known yet; 4 it failed, and not everything could "
        "be put back.",
    )
    parser.add_argument("--watch", type=acting.seconds, default=LATE * GRANTED, metavar="SECONDS",
                        help="watch at most so long; default: %(default).0f")  # fmt: skip
    for side in "lan", "wan":
        parser.add_argument(f"--{side}", action="append", default=[], metavar="IF",
                            help="interface to watch; default: by the routes")  # fmt: skip
    acting.add_common(parser)


def main(args: argparse.Namespace) -> int:
    acting.need_root()
    acting.interruptible()
    changes, teller, router = Changes(args.changes), acting.Teller(args.json), Router()
    with acting.locked(changes):
        acting.settle(router, changes, teller)
        there = changes.in_force()
        if not there:
            raise Usage("no change is in force: algwatch apply makes one")
        journal = there[0]
        _need_loaded(router, journal)
        result, why = _watch(args, router, journal, teller)
        if result in (WORKS, REGISTERED):
            _need_loaded(router, journal)
        status = _conclude(router, changes, journal, teller, result, why)
    teller.end(journal, status)
    return status


def _need_loaded(router: Router, journal: Journal) -> None:
    """Usage if others have ended the change: a verification would prove nothing."""
    try:
        why = ended(target_of(router, planned(journal)), acting.only(journal), journal.number)
    except Failed as problem:
        raise Usage(f"whether the change is in force cannot be told: {problem}") from None
    if why:
        raise Usage(f"change {journal.number} is not in force any more: {why}; algwatch rollback "
                    "takes back the rest of it, then algwatch apply begins anew")  # fmt: skip


def _watch(args: argparse.Namespace, router: Router, journal: Journal,
           teller: acting.Teller) -> tuple[str, str]:  # fmt: skip
    phones = journal.fact(steps.BEGIN, "phones", [])
    since = float(journal.steps[-1]["at"])
    told = calls_since(router, args.status, time.time(), since, phones,
                       not acting.only(journal))  # fmt: skip
    if told[0] == FAILED:
        return told
    routes = Routes(router)
    lan = args.lan or sorted({routes.device_of(phone) for phone in phones} - {""})
    if not phones and not lan:
        raise Usage(f"change {journal.number} is in force, and no phone had the SIP helper when it "
                    "was made, so none is known that could be watched: --lan IF names the "
                    "interface of the phones")  # fmt: skip
    try:
        eyes = Watching(lan, args.wan or routes.wan, teller.say)
    except CannotWatch as why:
        raise Usage(f"nothing can be watched: {why}") from None
    teller.say(f"watching {', '.join(phones) or 'the router'} for at most {args.watch:.0f} s")
    whole = not acting.only(journal)
    result = eyes.until(phones, args.watch, told[0] != WORKS, whole)
    return (WORKS, f"{result[1]}; {told[1]}") if told[0] == WORKS and result[0] else result


def _conclude(router: Router, changes: Changes, journal: Journal, teller: acting.Teller,
              result: str, why: str) -> int:  # fmt: skip
    if result in (WORKS, REGISTERED) and not acting.only(journal) and not survives(journal):
        try:
            deadman.start(changes.folder, SOON)
            for note in target_of(router, planned(journal)).keep(journal):
                teller.say(note)
        except (Failed, OSError) as problem:
            result, why = FAILED, f"it works and cannot be made lasting: {problem}"
    if result == FAILED:
        with suppress(OSError):  # a kill of this process leaves nothing half back
            deadman.start(changes.folder, SOON)
        problems = undo(router, changes, journal, why, teller.say)
        for line in problems:
            teller.say(line)
        return NOT_BACK if problems else UNDONE
    if result == WORKS:
        finish(changes, journal, steps.VERIFIED, why=why)
        teller.say(f"change {journal.number} is verified: {why}")
        return DONE
    if result == REGISTERED and journal.state != steps.APPLIED:
        finish(changes, journal, steps.APPLIED, why=why)
    teller.say(f"not known yet: {why}")
    return NOT_KNOWN
