# SPDX-License-Identifier: Apache-2.0
"""`algwatch probe`: test this router's handling of SIP, without a phone."""

from __future__ import annotations

import json
import sys

from algwatch.cli import Usage
from algwatch.probe.result import REWRITTEN, UNTOUCHED
from algwatch.probe.run import OTHER_PORTS, probe

TYPE_CHECKING = False
if TYPE_CHECKING:
    import argparse

    from algwatch.cli import Subparsers

STATUS = {UNTOUCHED: 0, REWRITTEN: 1}
CANNOT_TELL = 3
MOST_PORTS = 3
ABOUT = """\
Sends SIP messages of its own through this router, as if a phone in the LAN had sent them, and
compares what leaves by the WAN with what entered. They die at the next hop (TTL 2), go to an
address that nobody has, and come from one that nobody has. It takes about two seconds, asks for
root, touches no call, and leaves nothing behind. docs/probe.md tells how.

Exit status: 0 SIP passes untouched, 1 it is rewritten, 3 cannot tell, 2 bad usage."""


def add(subparsers: Subparsers) -> None:
    import argparse

    parser = subparsers.add_parser(
        "probe",
        help="ask this router what it does to SIP, without a phone",
        description=ABOUT,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--lan", default="", metavar="IF",
                        help="interface of the phones, a bridge; default: found")  # fmt: skip
    parser.add_argument("--wan", default="", metavar="IF",
                        help="interface of the provider; default: the default route")  # fmt: skip
    parser.add_argument("--port", action="append", type=int, default=[], metavar="PORT",
                        help="the provider's port, besides 5060; may be repeated; default: "
                        f"{OTHER_PORTS[0]}")  # fmt: skip
    parser.add_argument("--json", action="store_true", help="one JSON object")


def main(args: argparse.Namespace) -> int:
    ports = tuple(dict.fromkeys(args.port or OTHER_PORTS))
    for port in ports:
        if not 1 <= port <= 65535 or port == 5060:
            raise Usage(f"--port {port}: name a port from 1 to 65535 other than 5060, which is "
                        "always tried")  # fmt: skip
    if len(ports) > MOST_PORTS:
        raise Usage(f"{len(ports)} ports: name at most {MOST_PORTS}")
    result = probe(args.lan, args.wan, ports)
    if result.usage:
        raise Usage(f"probe: {result.reasons[0]}")
    from algwatch.report.render.probed import as_object, text

    if args.json:
        json.dump(as_object(result), sys.stdout, indent=2)
        print()
    else:
        sys.stdout.write(text(result))
    return STATUS.get(result.state, CANNOT_TELL)
