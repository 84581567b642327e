# SPDX-License-Identifier: Apache-2.0
"""`algwatch enroll`: join a fleet with a one-time code."""

from __future__ import annotations

import os
import sys
import time

from algwatch import files
from algwatch.capture.board import read_board, serial_number
from algwatch.cli import Usage, brokered
from algwatch.control import invitation
from algwatch.control.enrolled import FOLDER, UCI, CannotEnroll, Place, checked
from algwatch.control.invitation import MOST, Unreadable
from algwatch.report.broker import BrokerError
from algwatch.report.identity import hardware_address

TYPE_CHECKING = False
if TYPE_CHECKING:
    import argparse
    from typing import Any

    from algwatch.cli import Subparsers

PLAIN = "/etc/algwatch/algwatch.conf"
WAIT = 20.0  # seconds for the broker to send the invitation


def add(subparsers: Subparsers) -> None:
    parser = subparsers.add_parser(
        "enroll", help="join a fleet with a one-time code",
        description="Takes an invitation (algwatch invite) from a file, or from a broker where it "
        "waits, opens it with the one-time code, and writes the settings and keys that are in it "
        "(docs/enrolment.md). It asks for root.",
    )  # fmt: skip
    parser.add_argument("code", metavar="CODE", nargs="?", default="",
                        help="default: read from standard input")  # fmt: skip
    parser.add_argument("--file", default="", help="of the invitation; else it is at the broker")
    parser.add_argument("--config", default="", metavar="FILE",
                        help=f"to write to; default: uci where there is {UCI}, else "
                        f"{PLAIN}")  # fmt: skip
    parser.add_argument("--keys", default=FOLDER, metavar="FOLDER",
                        help="for keys and certificates; default: %(default)s")  # fmt: skip
    parser.add_argument("--cpe", default="", help="id of this router; default: that of the "
                        "invitation, else its serial number, else its MAC address")  # fmt: skip
    parser.add_argument("--lan", default="br-lan", metavar="IF", help="whose MAC address is taken")
    parser.add_argument("--tag", action="append", default=[], metavar="NAME=VALUE",
                        help="such as region=north; may be repeated")  # fmt: skip
    parser.add_argument("--user", default="algwatch", metavar="NAME",
                        help="that the daemon runs as; default: %(default)s")  # fmt: skip
    parser.add_argument("--again", action="store_true", help="this router is enrolled already")
    brokered.add(parser)


def main(args: argparse.Namespace) -> int:
    if os.geteuid() != 0:
        raise Usage("only root may enroll this router")
    path = args.config or ("" if os.path.exists(UCI) else PLAIN)
    place = Place(path, os.path.abspath(args.keys), _owner(args.user))
    try:
        if place.current() and not args.again:
            raise Usage("this router is enrolled already, or its broker is configured by hand: "
                        "with --again that is replaced")  # fmt: skip
        code = invitation.secret(args.code or sys.stdin.readline(100))
        if args.file:
            cpe = _join(args, place, code, _read(args.file))
        else:
            cpe = _from_broker(args, place, code)
    except (CannotEnroll, Unreadable) as why:
        raise Usage(str(why)) from None
    print(f"this router is {cpe} in its fleet now; restart the service: service algwatch restart")
    return 0


def _join(args: argparse.Namespace, place: Place, code: bytes, data: bytes) -> str:
    """The id of this router. CannotEnroll, Unreadable."""
    settings, kept = checked(invitation.unseal(code, invitation.INVITE, data), args.tag)
    cpe = args.cpe or settings.get("cpe") or serial_number() or hardware_address(args.lan)
    if not cpe:
        raise CannotEnroll("this router tells no serial number, and "
                           f"{args.lan} has no MAC address: name it with --cpe")  # fmt: skip
    settings, kept = checked({"settings": {**settings, "cpe": cpe}, "files": kept}, [])
    place.enroll(settings, kept)
    return cpe


def _from_broker(args: argparse.Namespace, place: Place, code: bytes) -> str:
    where = invitation.place(code)
    try:
        with brokered.Session(brokered.broker(args), args.mqtt3) as session:
            session.subscribe(where)
            message = session.next(time.monotonic() + WAIT)
            if message is None:
                raise CannotEnroll(f"no invitation for this code waits at {args.broker}: it is "
                                   "mistyped, was used, or is not there yet")  # fmt: skip
            cpe = _join(args, place, code, message[1])
            about = {"cpe": cpe, "serial": serial_number(), "mac": hardware_address(args.lan),
                     **read_board()}  # fmt: skip
            receipt = invitation.seal(code, invitation.RECEIPT, about)
            try:
                session.publish(f"{where}/done", receipt)
            except BrokerError as why:  # it is enrolled; the operator sees its birth
                print(f"the operator was not told: {why}")
            return cpe
    except (BrokerError, OSError) as problem:
        raise CannotEnroll(f"{args.broker}: {problem}; nothing was changed") from None


def _read(path: str) -> bytes:
    try:
        data = files.read(path, MOST)
    except files.FileError as problem:
        raise Usage(str(problem)) from None
    if data is None:
        raise Usage(f"{path}: there is no such file")
    return data


def _owner(user: str) -> tuple[int, int] | None:
    import pwd

    try:
        entry: Any = pwd.getpwnam(user)
    except KeyError:
        return None
    return entry.pw_uid, entry.pw_gid
