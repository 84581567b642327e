# SPDX-License-Identifier: Apache-2.0
"""An agent in a house whose ALG breaks calls, on a clock of its own, that is killed and goes on.

    python goes_on.py URL FOLDER BOOT NS CALLS

tells, a JSON array a line: ["knew", advice in force at the start], ["clock", ns], ["soon", advice]
before anything of it is told, ["now", advice] after it, ["finding", key, harm, sentence], and
["done"] when the broker has all of it. What it finds of a phone is the same in each
life, what it finds of a call is not.
"""

from __future__ import annotations

import json
import os
import random
import sys
import time
from collections.abc import Sequence

from algwatch.advise.advice import Advice, InForce
from algwatch.base.clock import PacketClock
from algwatch.base.native.rows import Counts
from algwatch.base.packet import LAN, WAN, Tap
from algwatch.base.report import Report
from algwatch.daemon import Daemon
from algwatch.diagnose.finding import Finding
from algwatch.pipeline import Pipeline
from algwatch.report import mqtt
from algwatch.report.broker import Broker
from algwatch.report.console import Console
from algwatch.report.encode import Encoder
from algwatch.report.keeper import Keeper
from algwatch.report.outbox import Outbox
from algwatch.report.privacy import Privacy
from algwatch.report.publisher import Publisher
from algwatch.report.spool import Spool
from cases.alg import _forced, answered
from craft import NS, START, House, batch, register, works_beside

PHONES = 6
VISIT = 200 * NS  # a call, and the time that it takes to be over


class Life:
    def __init__(self, url: str, folder: str, boot: str, now: int) -> None:
        self.now = now
        clock = PacketClock(lambda: self.now, lambda: self.now)
        self.pipeline = Pipeline([Tap("lan", LAN), Tap("wan", WAN)], live=True, strict=True)
        self.outbox = Outbox(1 << 22, 100_000)
        self.publisher = Publisher(
            Broker(url), Encoder("cpe1", "0.1.0", boot, Privacy(bytes(32), False)), self.outbox,
            time.time, lambda line: None, {}, daily=1 << 30,
        )  # fmt: skip
        self.spool = Spool(f"{folder}/spool", 1 << 22)
        self.keeper = Keeper(
            f"{folder}/state", self.pipeline.knowledge, clock, lambda: (["boot"], ["helper"]),
            lambda: self.spool.number, lambda line: tell("said", line),
        )  # fmt: skip
        console = Console(lambda line: None, lambda line: None, False)
        console.report = self.told  # type: ignore[method-assign]
        self.daemon = Daemon([], self.pipeline, clock, console, Counts(), self.publisher, 300.0,
                             keeper=self.keeper)  # fmt: skip
        self.daemon._rate.passes = lambda *words, **more: True  # type: ignore[method-assign]

    def begin(self) -> None:
        self.daemon.recall()
        tell("knew", advice(self.pipeline.knowledge.in_force.all()))
        self.publisher.start(self.spool)

    def told(self, report: Report) -> None:
        if isinstance(report, Finding) and report.cause != "capture":
            tell("finding", report.key, report.harm, report.summary)

    def visit(self, chance: random.Random, name: str) -> None:
        """A phone's incoming call; most are broken by the ALG, some find the phone without it."""
        number = chance.randrange(PHONES)
        at = self.now // NS + 1 - START
        house = House("linux", phone=f"192.168.1.{20 + number}", wan_port=5060 + number)
        if chance.random() < 0.2:
            works_beside(house, at, f"works-{name}@provider")
        register(house, at + 20)
        _forced(answered(house, f"{name}@provider", at=at + 21), at + 23)
        lan, wan = house.sorted()
        packets = [(one[0], 0, one) for one in lan] + [(one[0], 1, one) for one in wan]
        end = self.now + VISIT
        for _, tap, one in sorted(packets):
            self.tell(self.pipeline.feed(batch([one], tap)))
        for tap in (0, 1):
            self.tell(self.pipeline.advance(tap, end))
        self.now = end
        self.keeper.turn()
        tell("clock", self.now)

    def tell(self, reports: Sequence[Report]) -> None:
        given = [one for one in reports if isinstance(one, Advice)]
        if given:
            soon = InForce(64)
            for one in (*self.pipeline.knowledge.in_force.all(), *given):
                soon.feed(one)
            tell("soon", advice(soon.all()))
        self.daemon._tell(reports)
        if given:
            tell("now", advice(self.pipeline.knowledge.in_force.all()))


def advice(given: Sequence[Advice]) -> list[list[object]]:
    return sorted([one.subject, one.action, one.state, one.for_, one.against, one.commands]
                  for one in given)  # fmt: skip


def tell(*words: object) -> None:
    os.write(1, json.dumps(words).encode() + b"\n")


def main(url: str, folder: str, boot: str, now: str, calls: str) -> None:
    mqtt.BACKOFF = 0.05, 0.2
    life = Life(url, folder, boot, int(now))
    life.begin()
    chance = random.Random(boot)
    for number in range(int(calls)):
        life.visit(chance, f"{boot}-{number}")
    while len(life.outbox):
        time.sleep(0.01)
    tell("done")
    time.sleep(60)


if __name__ == "__main__":
    main(*sys.argv[1:])
