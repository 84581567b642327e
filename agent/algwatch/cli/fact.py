# SPDX-License-Identifier: Apache-2.0
"""`algwatch fact`: the operator's end of the facts: sign a fact about a provider."""

from __future__ import annotations

import subprocess
import sys
import tempfile
import time

import msgpack

from algwatch.base import address
from algwatch.cli import Usage, brokered
from algwatch.control.ed25519 import SIZE
from algwatch.control.facts import LABEL, LONGEST, PROVIDER, SERVERS
from algwatch.report.broker import BrokerError
from algwatch.report.privacy import provider_part
from algwatch.report.wire import SCHEMA

TYPE_CHECKING = False
if TYPE_CHECKING:
    import argparse
    from typing import Any

    from algwatch.cli import Subparsers

DAY = 86400.0


def add(subparsers: Subparsers) -> None:
    parser = subparsers.add_parser(
        "fact", help="tell your fleet that a provider handles private Contacts",
        description="Signs the fact that a provider finds phones which write a private Contact, "
        "without an ALG, and publishes it (retained) to all routers (docs/commands.md). The key is "
        "an Ed25519 key of openssl (openssl genpkey -algorithm ed25519 -out KEY); routers get its "
        "public half (openssl pkey -in KEY -pubout).",
    )  # fmt: skip
    parser.add_argument("provider", metavar="DOMAIN", help="as phones register with it")
    parser.add_argument("--key", required=True, metavar="PEM", help="private key of the fleet")
    parser.add_argument("--server", action="append", default=[], metavar="ADDRESS",
                        help="of the provider; may be repeated")  # fmt: skip
    parser.add_argument("--calls", type=int, default=0, help="that completed without an ALG")
    parser.add_argument("--routers", type=int, default=0, help="on which they did")
    parser.add_argument("--days", type=float, default=30.0, help="that it is good for; default: 30")
    parser.add_argument("--serial", type=int, default=int(time.time()),
                        help="greater than that of the last one; default: the time")  # fmt: skip
    parser.add_argument("--withdraw", action="store_true", help="it is not so any more")
    parser.add_argument("--print", action="store_true", dest="only_print",
                        help="the payload on standard output")  # fmt: skip
    brokered.add(parser)


def main(args: argparse.Namespace) -> int:
    if provider_part(args.provider) != args.provider:
        raise Usage(f"{args.provider}: name the domain alone, such as example.net")
    if not args.withdraw:
        if not args.server or len(args.server) > SERVERS:
            raise Usage(f"name the provider's servers, at most {SERVERS}, with --server ADDRESS")
        if wrong := [one for one in args.server if not address.is_literal(one)]:
            raise Usage(f"--server {wrong[0]}: that is no IP address")
        if args.calls < 1 or args.routers < 1:
            raise Usage("--calls and --routers tell what proves it")
    if not 0 < args.days * DAY <= LONGEST:
        raise Usage(f"--days: at most {LONGEST / DAY:.0f}")
    now = time.time()
    body = msgpack.packb({
        "provider": args.provider, "serial": args.serial, "at": now,
        "expires": now + args.days * DAY, "handles": not args.withdraw, "servers": args.server,
        "calls": args.calls, "routers": args.routers,
    })  # fmt: skip
    made: dict[str, Any] = {"schema": SCHEMA, "body": body, "signature": _signed(body, args.key)}
    payload = msgpack.packb(made)
    if args.only_print:
        sys.stdout.buffer.write(payload)
        return 0
    try:
        with brokered.Session(brokered.broker(args), args.mqtt3) as session:
            session.publish(PROVIDER + args.provider, payload, retain=True)
    except (BrokerError, OSError) as problem:
        raise Usage(f"{args.broker}: {problem}") from None
    return 0


def _signed(body: bytes, key: str) -> bytes:
    """Signed by openssl. It reads Ed25519's input from a file only. Usage."""
    with tempfile.NamedTemporaryFile() as file:
        file.write(LABEL + body)
        file.flush()
        words = ["openssl", "pkeyutl", "-sign", "-inkey", key, "-rawin", "-in", file.name]
        try:
            done = subprocess.run(words, capture_output=True, timeout=30)
        except (OSError, subprocess.SubprocessError) as problem:
            raise Usage(f"openssl: {problem}") from None
    if done.returncode or len(done.stdout) != SIZE:
        why = done.stderr.decode("utf-8", "replace").strip().splitlines()
        raise Usage(f"--key {key}: {why[0] if why else 'this is no Ed25519 key'}")
    return done.stdout
