# SPDX-License-Identifier: Apache-2.0
"""The publishing half of the daemon as a process of its own, for faults between it and its broker.

usage: reporter.py OPTIONS, a JSON object: url, spool, boot, ca, bytes (of the outbox), quick (waits
are short). Orders come one a line:

    find FIRST COUNT    findings with these numbers; each is told once it is in the spool
    later SECONDS       so much time has passed at once
    stop                farewell

It prints `told N` for each finding, and `said TEXT` for each line of the agent.
"""

from __future__ import annotations

import json
import os
import sys
import time

AHEAD = [0.0]
_real = time.monotonic
time.monotonic = lambda: _real() + AHEAD[0]

from algwatch.advise.advice import Advice  # noqa: E402
from algwatch.diagnose.finding import Evidence, Finding  # noqa: E402
from algwatch.report import broker, connection, mqtt, refusals, session  # noqa: E402
from algwatch.report.broker import Broker  # noqa: E402
from algwatch.report.encode import Encoder  # noqa: E402
from algwatch.report.outbox import Outbox  # noqa: E402
from algwatch.report.privacy import Privacy  # noqa: E402
from algwatch.report.publisher import Publisher  # noqa: E402
from algwatch.report.spool import Spool  # noqa: E402


def told(line: str) -> None:
    os.write(1, f"{line}\n".encode())


def finding(number: int) -> Finding:
    look = Evidence("lan", 1.0, "o", "e", b"ACK sip:x SIP/2.0\r\n\r\n")
    return Finding("TXN001", "invite-unanswered", "error", "network", "observed", str(number),
                   "lan", 1.0, f"number {number}", [look], str(number))  # fmt: skip


def main(options: dict[str, str]) -> None:
    if options.get("quick"):
        mqtt.BACKOFF = 0.05, 0.4
        session.EVERY = 1.0
        connection.UNACKNOWLEDGED = 2.0
        broker.HANDSHAKE = mqtt.PATIENCE = mqtt.FIRST_PATIENCE = 2.0
        refusals.UNHEARD = 0.1, 0.4
    refusals.DENIED = 2.0  # seconds in place of an hour
    outbox = Outbox(int(options.get("bytes", 262144)))
    publisher = Publisher(
        Broker(options["url"], ca=options.get("ca", "")),
        Encoder("cpe1", "0.1.0", options["boot"], Privacy(bytes(32), False)),
        outbox, time.time, lambda line: told(f"said {line}"), {}, keepalive=5,
        daily=1 << 30,
    )  # fmt: skip
    publisher.start(Spool(options["spool"], outbox.max_bytes))
    publisher.advice([Advice("keep-sip-alg", "recommended", 0.5, ["it helps"], [], [])])
    for line in sys.stdin:
        word, *numbers = line.split()
        if word == "find":
            first, count = map(int, numbers)
            for number in range(first, first + count):
                publisher.finding(finding(number))
                told(f"told {number}")
                time.sleep(0.002 if count < 1000 else 0)
        elif word == "later":
            AHEAD[0] += float(numbers[0])
        elif word == "stop":
            publisher.stop(2.0)
            return


if __name__ == "__main__":
    main(json.loads(sys.argv[1]))
