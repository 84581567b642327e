# SPDX-License-Identifier: Apache-2.0
"""`algwatch command`: the operator's end: sign a command, send it, wait for the answers."""

from __future__ import annotations

import os
import sys
import time

from algwatch import files
from algwatch.cli import Usage, brokered
from algwatch.cli.decode import line
from algwatch.control.order import COMMANDS, LEAST_KEY, LEVELS, LONGEST, Order, Refused, check, sign
from algwatch.report.broker import BrokerError
from algwatch.report.wire import SchemaError, decode, topic

TYPE_CHECKING = False
if TYPE_CHECKING:
    import argparse
    from typing import Any

    from algwatch.cli import Subparsers

EPILOG = (
    "Exit status: 0 done (of probe, apply and rollback: with their status 0), 1 done with another "
    "status, or failed, 2 bad usage or no broker, 3 no answer in time, 4 refused. Each answer is a "
    "line of JSON; the pcap of evidence goes into --output."
)
LAST = ("done", "failed", "refused")
DONE, OTHERWISE, SILENT, REFUSED = 0, 1, 3, 4


def add(subparsers: Subparsers) -> None:
    parser = subparsers.add_parser(
        "command", help="send a signed command to a router of your fleet",
        description="Signs a command with the key that the router got when it was enrolled, sends "
        "it and waits for the answers (docs/commands.md).", epilog=EPILOG,
    )  # fmt: skip
    parser.add_argument("cpe", metavar="CPE", help="id of the router")
    parser.add_argument("command", metavar="COMMAND", choices=COMMANDS,
                        help=f"one of {', '.join(COMMANDS)}")  # fmt: skip
    parser.add_argument("--key", required=True, metavar="FILE", help="the router's key")
    parser.add_argument("--only", default="", metavar="ADDRESS", help="apply: a trial, one phone")
    parser.add_argument("--watch", type=int, default=None, metavar="SECONDS",
                        help="apply: watch at most so long")  # fmt: skip
    parser.add_argument("--finding", default="", metavar="KEY", help="evidence: of this finding")
    parser.add_argument("--call", default="", metavar="CALL-ID",
                        help="evidence: of this call, by its pseudonym in reports")  # fmt: skip
    parser.add_argument("--level", default="", help=f"level: one of {', '.join(LEVELS)}")
    parser.add_argument("--good-for", type=float, default=60.0, metavar="SECONDS",
                        help="the router refuses it later; default: %(default).0f")  # fmt: skip
    parser.add_argument("--wait", type=float, default=30.0, metavar="SECONDS",
                        help="for the last answer; default: %(default).0f")  # fmt: skip
    parser.add_argument("--output", default="", metavar="FILE", help="evidence: for the pcap")
    parser.add_argument("--print", action="store_true", dest="only_print",
                        help="the payload on standard output, for mosquitto_pub -s")  # fmt: skip
    brokered.add(parser)


def main(args: argparse.Namespace) -> int:
    key = _key(args.key)
    now = time.time()
    if not 0 < args.good_for <= LONGEST:
        raise Usage(f"--good-for: at most {LONGEST:.0f} s")
    order = Order(args.command, os.urandom(16).hex(), args.cpe, now, now + args.good_for, args.only,
                  args.watch, args.finding, args.call, args.level)  # fmt: skip
    try:
        check(order)
    except Refused as why:
        raise Usage(str(why)) from None
    payload = sign(order, key)
    if args.only_print:
        sys.stdout.buffer.write(payload)
        return DONE
    try:
        broker = brokered.broker(args)
        with brokered.Session(broker, args.mqtt3) as session:
            session.subscribe(topic(args.cpe, "reply"))
            session.publish(topic(args.cpe, "cmd"), payload, correlation=bytes.fromhex(order.id))
            return _answers(args, session, order)
    except (BrokerError, OSError) as problem:
        raise Usage(f"{args.broker}: {problem}") from None


def _key(path: str) -> bytes:
    try:
        key = files.read_secret(path, 4096)
    except files.FileError as problem:
        raise Usage(f"--key {problem}") from None
    if key is None or len(key) < LEAST_KEY:
        raise Usage(f"--key {path}: there is no key of at least {LEAST_KEY} bytes")
    return key


def _answers(args: argparse.Namespace, session: brokered.Session, order: Order) -> int:
    end = time.monotonic() + args.wait
    while (message := session.next(end)) is not None:
        _, payload, correlation = message
        try:
            said: Any = decode(payload).get("reply")
        except SchemaError:
            continue
        # An unverified command gets an answer without an id.
        if not isinstance(said, dict) or (
            said.get("id") != order.id and correlation != bytes.fromhex(order.id)
        ):
            continue
        pcap = said.pop("pcap", None)
        if isinstance(pcap, bytes) and args.output:
            files.replace(args.output, pcap)
            said["pcap"] = args.output
        print(line(said), flush=True)
        if said.get("state") in LAST:
            if said["state"] == "refused":
                return REFUSED
            return DONE if said["state"] == "done" and not said.get("status") else OTHERWISE
    return SILENT
