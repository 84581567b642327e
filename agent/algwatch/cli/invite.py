# SPDX-License-Identifier: Apache-2.0
"""`algwatch invite`: the operator's end of an enrolment: an invitation and its one-time code."""

from __future__ import annotations

import os
import time

from algwatch import files
from algwatch.cli import Usage, brokered
from algwatch.cli.decode import line
from algwatch.config import Config, ConfigError, from_file
from algwatch.control import invitation
from algwatch.control.enrolled import CannotEnroll, checked
from algwatch.control.invitation import FILES, MOST, SETTINGS, Unreadable
from algwatch.report.broker import BrokerError

TYPE_CHECKING = False
if TYPE_CHECKING:
    import argparse

    from algwatch.cli import Subparsers

KEY = 32  # bytes of a new key for commands


def add(subparsers: Subparsers) -> None:
    parser = subparsers.add_parser(
        "invite", help="make an invitation for a new router of your fleet",
        description="Seals settings, certificates and keys for one router with a one-time code, "
        "which it prints. The invitation goes into a file, or waits (retained) at a broker until "
        "the router has taken it (docs/enrolment.md).",
    )  # fmt: skip
    parser.add_argument("settings", metavar="SETTINGS",
                        help=f"file of `key = value` lines: {', '.join(SETTINGS)}; and "
                        f"{', '.join(FILES)}, which name files that go along")  # fmt: skip
    parser.add_argument("--new-key", default="", metavar="FILE",
                        help="make the key for commands, and keep it here")  # fmt: skip
    parser.add_argument("--output", default="", metavar="FILE", help="instead of the broker")
    parser.add_argument("--wait", type=float, default=600.0, metavar="SECONDS",
                        help="for the router to come; default: %(default).0f")  # fmt: skip
    brokered.add(parser)


def main(args: argparse.Namespace) -> int:
    content = _content(args.settings)
    if args.new_key:
        content["files"]["commands"] = _new_key(args.new_key)
    code = invitation.new_code()
    secret = invitation.secret(code)
    sealed = invitation.seal(secret, invitation.INVITE, content)
    if len(sealed) > MOST:
        raise Usage(f"{len(sealed)} bytes: an invitation has {MOST} at most; leave the chain of "
                    "authorities out")  # fmt: skip
    if args.output:
        files.replace(args.output, sealed)
        print(code)
        return 0
    try:
        with brokered.Session(brokered.broker(args), args.mqtt3) as session:
            return _wait(args, session, secret, code, sealed)
    except (BrokerError, OSError) as problem:
        raise Usage(f"{args.broker}: {problem}") from None


def _wait(args: argparse.Namespace, session: brokered.Session, secret: bytes, code: str,
          sealed: bytes) -> int:  # fmt: skip
    where = invitation.place(secret)
    session.subscribe(f"{where}/done")
    session.publish(where, sealed, retain=True)
    try:
        print(code, flush=True)
        end = time.monotonic() + args.wait
        while (message := session.next(end)) is not None:
            try:
                print(line(invitation.unseal(secret, invitation.RECEIPT, message[1])))
                return 0
            except Unreadable:
                continue  # from a sender without the code
    finally:
        session.publish(where, b"", retain=True)
    return 3


def _content(path: str) -> dict[str, dict[str, object]]:
    """Usage."""
    config = Config()
    try:
        from_file(config, path)
    except ConfigError as why:
        raise Usage(str(why)) from None
    settings: dict[str, object] = {}
    kept: dict[str, object] = {}
    for key, value in config.given():
        if key in FILES:
            try:
                data = files.read(value, 8192)
            except files.FileError as problem:
                raise Usage(f"{key} {problem}") from None
            if not data:
                raise Usage(f"{key} {value}: there is no such file, or it is empty")
            kept[key] = data
        elif key in SETTINGS:
            settings[key] = value
        else:
            raise Usage(f"{path}: {key} is no setting that an operator gives a router")
    try:
        checked({"settings": dict(settings), "files": dict(kept)}, [])
    except CannotEnroll as why:
        raise Usage(f"{path}: {why}") from None
    return {"settings": settings, "files": kept}


def _new_key(path: str) -> bytes:
    key = os.urandom(KEY)
    try:
        if not files.create(path, key):
            raise Usage(f"--new-key {path}: it is there already, and another router may have it")
    except OSError as problem:
        raise Usage(f"--new-key {path}: {problem.strerror}") from None
    return key
