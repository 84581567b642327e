# SPDX-License-Identifier: Apache-2.0
"""`algwatch apply`: turn the SIP ALG off step by step, or back when a phone fails."""

from __future__ import annotations

import time

from algwatch.act import deadman, ruleset, state, steps
from algwatch.act.apply import REFUSED, Apply, Order, Refused
from algwatch.act.before import Routes, no_phone
from algwatch.act.changes import Changes, ChangesError
from algwatch.act.daemons import evidence
from algwatch.act.journal import Journal, JournalError
from algwatch.act.live import phone_of
from algwatch.act.planning import NotHere, lan_device, planned_here, platform
from algwatch.act.router import Failed, Router
from algwatch.act.undo import target_of
from algwatch.act.watch import GRANTED, LATE, Watch
from algwatch.advise.platforms.plan import NFTABLES, Plan
from algwatch.cli import Usage, acting
from algwatch.kernel.flows import Flows

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
    parser.add_argument(
        "--force", action="store_true", help="make the change although it may break a phone"
    )
    parser.add_argument("--wait", type=acting.seconds, default=0.0, metavar="SECONDS",
                        help="for a call that is up to end; default: refuse at once")  # fmt: skip
    parser.add_argument("--watch", type=acting.seconds, default=None, metavar="SECONDS",
                        help="watch at most so long; 0: not at all; default: until each "
                        "phone has registered, 5400 at most")  # fmt: skip
    for side in "lan", "wan":
        parser.add_argument(f"--{side}", action="append", default=[], metavar="IF",
                            help="interface to watch; default: by the routes")  # fmt: skip
    parser.add_argument("--no-probe", action="store_true", help="do not ask the router by a probe")
    parser.add_argument("--dry-run", action="store_true", help="print the change, make none")
    acting.add_common(parser)


def main(args: argparse.Namespace) -> int:
    if args.only:
        args.only = _phone(args.only)
    teller, router = acting.Teller(args.json), Router()
    acting.need_root()
    acting.interruptible()
    try:
        platform(router)
    except NotHere as why:
        from algwatch.advise.platforms.others import OTHERS

        teller.commands(str(why), [f"{one.title}: {'; '.join(one.off)}" for one in OTHERS])
        return REFUSED
    if args.dry_run:
        teller.plan(_planned(args, router, teller)[0], args.only)
        return 0
    changes = Changes(args.changes)
    with acting.locked(changes):
        acting.settle(router, changes, teller)
        made, order = _planned(args, router, teller)
        if args.only and (number := _tried(router, changes, made, args.only)):
            raise Usage(f"change {number} is this trial, and in force: algwatch verify watches it, "
                        "algwatch rollback takes it back; nothing was changed")  # fmt: skip

        def guard(journal: Journal) -> None:
            longest = LATE * GRANTED if args.watch is None else args.watch
            deadman.start(changes.folder, args.wait + longest + DEADLINE)

        said = evidence(router, args.status, time.time(), args.only)
        said.tried = any(one.state == steps.VERIFIED for one in state.read(args.changes))
        try:
            status, journal = Apply(router, changes, teller.say, guard).run(made, order, said)
        except (Refused, ChangesError, JournalError) as why:
            raise Usage(str(why)) from None
    teller.end(journal, status)
    return status


def _phone(text: str) -> str:
    """The address in the kernel's spelling, for comparison with flows. Usage: it is no phone's
    address."""
    import ipaddress  # here, because only a trial needs it

    try:
        found = ipaddress.ip_address(text)  # no leading zeros: nft reads them as octal digits
    except ValueError:
        raise Usage(f"--only {text}: that is no IP address") from None
    if isinstance(found, ipaddress.IPv4Address):
        nobodys = found.is_reserved
    else:
        nobodys = found.ipv4_mapped is not None or "%" in text
    if nobodys or found.is_unspecified or found.is_multicast or found.is_loopback:
        raise Usage(f"--only {text}: that is no address of a phone")
    return str(found)


def _tried(router: Router, changes: Changes, made: Plan, only: str) -> int:
    """Number of the trial with this phone and a loaded rule; 0 without one."""
    trials = [one.number for one in changes.in_force() if acting.only(one) == only]
    try:
        loaded = target_of(router, made).listing() if trials else ""
    except Failed as why:
        raise Usage(f"{why}; nothing was changed") from None
    return next((number for number in trials if ruleset.is_marked(loaded, number)), 0)


def _planned(args: argparse.Namespace, router: Router,
             teller: acting.Teller) -> tuple[Plan, Order]:  # fmt: skip
    """Usage: it cannot be planned here."""
    routes = Routes(router)
    try:
        with Flows() as flows:
            phones = {phone_of(flow) for flow in flows.helped()}
    except OSError as problem:
        raise Usage(f"connection tracking cannot be read by netlink ({problem.strerror}): on "
                    "OpenWrt install kmod-nf-conntrack-netlink") from None  # fmt: skip
    lan = args.lan or sorted({routes.device_of(p) for p in [args.only or "", *phones]} - {""})
    if args.only:
        lan = args.lan or [routes.device_of(args.only)]
        if why := no_phone(args.only, lan[0]):
            raise Usage(f"--only {args.only}: {why}; nothing was changed")
        if not args.lan and lan[0] in (args.wan or routes.wan):
            raise Usage(f"--only {args.only}: that is on the side of the provider ({lan[0]}): type "
                        "the address of the phone; nothing was changed")  # fmt: skip

    def plan() -> Plan:
        if platform(router) == NFTABLES:
            return planned_here(router, "", args.only)
        return planned_here(router, lan[0] if lan else lan_device(router), args.only)

    try:
        if platform(router) != NFTABLES and len(lan) > 1:
            raise Usage(f"phones are on {' and '.join(lan)}: choose one with --lan")
        made = plan()
    except Failed as why:
        raise Usage(f"{why}; nothing was changed") from None

    def ours(phone: str) -> bool:
        if args.only:
            return phone == str(args.only)
        return made.platform == NFTABLES or not lan or routes.device_of(phone) in lan

    wan = args.wan or routes.wan
    if args.watch != 0 and (phones or args.only):
        acting.try_taps(lan, wan)

    def watch(heard: list[str]) -> Watch:
        # Imported here, because it loads the whole agent.
        from algwatch.cli.watching import CannotWatch, Watching

        try:
            eyes = Watching(lan, wan, teller.say)
        except CannotWatch as why:
            raise Failed(f"nothing can be watched: {why}; --watch 0 does without") from None
        longest = LATE * GRANTED if args.watch is None else args.watch
        return Watch(longest, lambda: eyes.until(heard, longest, args.watch is not None,
                                                 not args.only))  # fmt: skip

    def probe() -> list[str]:
        from algwatch.probe.run import probe as ask  # here, because it is optional

        result = ask(lan[0] if lan else "")
        teller.say(f"probe: {result.conclusion}")
        return result.rewrites

    # A trial leaves the helper to the other phones, and the probe counts as one of them.
    asks = None if args.only or args.no_probe else probe
    return made, Order(ours, args.only, args.force, args.wait,
                       None if args.watch == 0 else watch, asks, plan)  # fmt: skip
