# SPDX-License-Identifier: Apache-2.0
"""No finding that the agent has told of is lost: agents and brokers are killed at random moments.

`make kills KILLS=200` is the long form.
"""

from __future__ import annotations

import json
import os
import random
import shutil
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from algwatch.advise.advice import Advice
from algwatch.diagnose.finding import Evidence, Finding
from algwatch.report.broker import Broker
from algwatch.report.encode import Encoder
from algwatch.report.flash import LONGEST, Flash
from algwatch.report.outbox import Outbox
from algwatch.report.privacy import Privacy
from algwatch.report.publisher import Publisher
from algwatch.report.spool import Spool
from brokers import Listener, Mosquitto, until
from small_disk import fill, small_disk

AGENT = Path(__file__).parents[2] / "agent"
HERE = Path(__file__).parent
GOES_ON = HERE / "goes_on.py"
PATH = os.pathsep.join(map(str, (AGENT, HERE.parent, HERE.parent / "golden")))
KILLS = int(os.environ.get("ALGWATCH_KILLS", "10"))

# The publishing half of the daemon: a finding is put into the spool, and then told of.
PUBLISHES = f"""
import os, sys, time
sys.path[:0] = [{str(AGENT)!r}, {str(Path(__file__).parent)!r}]
from algwatch.report import mqtt
mqtt.BACKOFF = 0.05, 0.2
from algwatch.diagnose.finding import Evidence, Finding
from algwatch.report.broker import Broker
from algwatch.report.encode import Encoder
from algwatch.report.outbox import Outbox
from algwatch.report.privacy import Privacy
from algwatch.report.publisher import Publisher
from algwatch.report.spool import Spool
url, folder, first, count, boot = sys.argv[1:]
outbox = Outbox(1 << 20, 100000)
publisher = Publisher(Broker(url), Encoder("cpe1", "0.1.0", boot, Privacy(bytes(32), False)),
                      outbox, time.time, lambda line: None, {{}})
publisher.start(Spool(folder, 1 << 20))
for number in range(int(first), int(first) + int(count)):
    look = Evidence("lan", 1.0, "o", "e", b"ACK sip:x SIP/2.0\\r\\n\\r\\n")
    publisher.finding(Finding("TXN001", "invite-unanswered", "error", "network", "observed",
                              str(number), "lan", 1.0, f"number {{number}}", [look], str(number)))
    os.write(1, b"%d\\n" % number)
    time.sleep(0.002)
while len(outbox):
    time.sleep(0.01)
os.write(1, b"done\\n")
time.sleep(60)
"""


class Campaign:
    """Agents one after the other on one spool. told: numbers of the findings they told of."""

    def __init__(self, broker: Mosquitto, folder: Path) -> None:
        self.broker = broker
        self.folder = folder
        self.told: list[int] = []
        self.boots = 0

    def start(self, count: int) -> subprocess.Popen[str]:
        """One that finds something so often, each 2 ms."""
        self.boots += 1
        # The last one may have spooled one that it did not live to tell of.
        first = self.boots * 1_000_000
        words = [f"mqtt://127.0.0.1:{self.broker.port}", str(self.folder), str(first), str(count),
                 f"{self.boots:016x}"]  # fmt: skip
        return subprocess.Popen(
            [sys.executable, "-c", PUBLISHES, *words], stdout=subprocess.PIPE, text=True
        )

    def hear(self, agent: subprocess.Popen[str]) -> str:
        """Its next line."""
        assert agent.stdout is not None
        line = agent.stdout.readline()
        if line != "done\n":
            self.told.append(int(line))
        return line

    def end(self, agent: subprocess.Popen[str]) -> None:
        """kill -9."""
        agent.kill()
        said, _ = agent.communicate()
        self.told += [int(line) for line in said.split("\n")[:-1] if line != "done"]

    def finish(self) -> None:
        """Let the last one send all that is left."""
        agent = self.start(0)
        assert self.hear(agent) == "done\n"
        self.end(agent)


def numbers(listener: Listener) -> Counter[int]:
    """How often each finding came, by its number, each report id once."""
    ids = {body["id"]: int(body["finding"]["call_id"]) for body in listener.of("finding")}
    return Counter(ids.values())


def missing(campaign: Campaign, listener: Listener) -> list[int]:
    came = numbers(listener)
    return [number for number in campaign.told if not came[number]]


def test_agents_that_are_killed_at_random_moments_lose_no_finding_that_they_told_of(
    tmp_path: Path, record_property: Callable[[str, object], None]
) -> None:
    chance = random.Random(os.environ.get("ALGWATCH_LAB_SEED"))
    broker = Mosquitto(tmp_path)
    listener = Listener(broker.port)
    campaign = Campaign(broker, tmp_path / "spool")
    try:
        for _ in range(KILLS):
            agent = campaign.start(100_000)
            if chance.random() < 0.75:  # else while it starts
                campaign.hear(agent)
            time.sleep(chance.uniform(0.0, 0.5))
            campaign.end(agent)
        campaign.finish()
        assert until(lambda: not missing(campaign, listener)), missing(campaign, listener)[:20]
        assert set(numbers(listener).values()) <= {1}
        assert len(campaign.told) > 10 * KILLS
        again = len(listener.of("finding")) - len(numbers(listener))
        record_property(
            "said", f"{KILLS} agents killed: {len(campaign.told)} findings told of, 0 lost, "
            f"{again} came twice"
        )  # fmt: skip
    finally:
        listener.close()
        broker.kill()


class Lives:
    """Agents that go on with what the one before knew. told: findings, by key, harm and sentence.
    heard: what each of them has said, the last one behind the others."""

    def __init__(self, broker: Mosquitto, folder: Path) -> None:
        self.broker = broker
        self.folder = folder
        self.heard: list[list[list[Any]]] = []
        self.clock = 1_800_000_000 * 10**9

    def start(self, calls: int) -> subprocess.Popen[str]:
        url, boot = f"mqtt://127.0.0.1:{self.broker.port}", f"{len(self.heard) + 1:016x}"
        self.clock += 400 * 10**9  # the last one may have begun a call that it did not tell of
        words = [str(GOES_ON), url, str(self.folder), boot, str(self.clock), str(calls)]
        return subprocess.Popen(
            [sys.executable, *words], stdout=subprocess.PIPE, text=True,
            env={**os.environ, "PYTHONPATH": PATH},
        )  # fmt: skip

    def end(self, agent: subprocess.Popen[str], begin: list[str]) -> None:
        """kill -9."""
        agent.kill()
        rest, _ = agent.communicate()
        lines = [*begin, *rest.splitlines(keepends=True)]
        self.heard.append([json.loads(line) for line in lines if line.endswith("\n")])
        self.clock = max([self.clock, *(words[1] for words in self.of("clock")[-1:])])

    def of(self, kind: str) -> list[list[Any]]:
        return [words for life in self.heard for words in life if words[0] == kind]


def test_agents_that_are_killed_go_on_with_what_was_said_and_say_nothing_twice(
    tmp_path: Path, record_property: Callable[[str, object], None]
) -> None:
    chance = random.Random(os.environ.get("ALGWATCH_LAB_SEED"))
    broker = Mosquitto(tmp_path)
    listener = Listener(broker.port)
    lives = Lives(broker, tmp_path)
    try:
        for _ in range(KILLS):
            agent = lives.start(100_000)
            assert agent.stdout is not None
            begin = [agent.stdout.readline()] if chance.random() < 0.9 else []
            time.sleep(chance.uniform(0.0, 0.5))
            lives.end(agent, begin)
        last = lives.start(0)
        assert last.stdout is not None
        begin = []
        while not begin or begin[-1] != '["done"]\n':
            begin.append(last.stdout.readline())
        lives.end(last, begin)

        # Each knows what the one before has told, or was about to.
        known: list[Any] = [[]]
        restored = 0
        for life in lives.heard:
            for what, *words in life:
                if what == "knew":
                    assert words[0] in known, (words[0], known)
                    restored += bool(words[0])
                    known = words
                elif what in ("soon", "now"):
                    known = [*known, words[0]] if what == "soon" else words
                assert what != "said" or words[0].startswith("goes on"), words
        told = Counter((key, harm, text) for _, key, harm, text in lives.of("finding"))
        assert restored and told and set(told.values()) == {1}, told.most_common(3)
        came = {body["id"]: body["finding"] for body in listener.of("finding")}
        sent = Counter((one["key"], one["harm"], one["summary"]) for one in came.values()
                       if one["cause"] != "capture")  # fmt: skip
        assert set(sent.values()) == {1}, sent.most_common(3)
        assert {text for _, _, text in told} <= {text for _, _, text in sent}
        record_property(
            "said", f"{len(lives.heard) - 1} agents killed, {restored} went on with advice: "
            f"{len(told)} findings told of, none twice and none lost"
        )  # fmt: skip
    finally:
        listener.close()
        broker.kill()


def test_a_broker_that_loses_what_it_acknowledged_gets_it_again(tmp_path: Path) -> None:
    """mosquitto by its default keeps nothing on disk: it forgets all when it is killed."""
    broker = Mosquitto(tmp_path)
    before = Listener(broker.port)
    campaign = Campaign(broker, tmp_path / "spool")
    agent = campaign.start(300)
    try:
        assert [campaign.hear(agent) for _ in range(301)][-1] == "done\n"
        before.close()
        broker.kill()
        broker.start()
        listener = Listener(broker.port)
        assert until(lambda: len(numbers(listener)) == 300), len(numbers(listener))
        listener.close()
    finally:
        campaign.end(agent)
        broker.kill()


def test_findings_that_find_no_room_in_the_spool_are_sent_from_memory(tmp_path: Path) -> None:
    if os.geteuid() != 0:
        assert os.environ.get("CI") != "true"
        pytest.skip("needs root: mounts a small file system")
    with small_disk(tmp_path / "disk") as disk:
        (disk / "spool").mkdir(mode=0o700)
        fill(disk)
        broker = Mosquitto(tmp_path)
        listener = Listener(broker.port)
        campaign = Campaign(broker, disk / "spool")
        agent = campaign.start(50)
        try:
            assert until(lambda: len(numbers(listener)) == 50), len(numbers(listener))
        finally:
            campaign.end(agent)
            listener.close()
            broker.kill()


def test_after_a_power_loss_what_was_copied_to_flash_arrives_and_its_numbers_show_the_rest(
    tmp_path: Path,
) -> None:
    now = [0.0]

    def said(line: str) -> None:
        assert "is not written" not in line

    def agent(boot: str, url: str) -> tuple[Publisher, Flash]:
        encoder = Encoder("cpe1", "0.1.0", boot * 16, Privacy(bytes(32), False))
        publisher = Publisher(Broker(url), encoder, Outbox(1 << 20), time.time, said, {})
        flash = Flash(str(tmp_path / "verdicts"), f"boot {boot}", said, lambda: now[0])
        publisher.start(Spool(str(tmp_path / "spool"), 1 << 20), flash)
        return publisher, flash

    def tell(publisher: Publisher, number: int, harm: str) -> None:
        look = Evidence("lan", 1.0, "o", "e", b"ACK sip:x SIP/2.0\r\n\r\n")
        name = str(number)
        publisher.finding(Finding("TXN001", "invite-unanswered", "error", "network", harm, name,
                                  "lan", 1.0, "text", [look], name))  # fmt: skip

    broker = Mosquitto(tmp_path)
    broker.kill()
    url = f"mqtt://127.0.0.1:{broker.port}"
    first, flash = agent("a", url)
    # The link's own thread takes a number for the birth message: let it be none among those below.
    assert until(lambda: first._birth is not None)
    for number in range(6):
        tell(first, number, "none" if number == 2 else "observed")
    first.advice([Advice("keep-sip-alg", "suspected", 0.5, [], [], [])])
    for _ in range(2):
        first.tick()
        now[0] += LONGEST
    assert until(lambda: flash.batches == 1)
    for number in range(6, 9):
        tell(first, number, "observed")
    # The power fails: nothing is left of it but what is on flash.
    first._link.stop(0.0)
    for number in {flash._file, flash._lock} - {-1}:
        os.close(number)
    shutil.rmtree(tmp_path / "spool")
    broker.start()
    listener = Listener(broker.port)
    second, flash = agent("b", url)
    try:
        tell(second, 9, "observed")
        assert until(lambda: len(numbers(listener)) == 6), numbers(listener)
        came = [one for one in listener.of("finding") if one["boot"] == "a" * 16]
        assert [one["finding"]["call_id"] for one in came] == ["0", "1", "3", "4", "5"]
        seqs = [one["seq"] for one in came]
        assert len(seqs) == 5 and max(seqs) - min(seqs) == 5, "one of them is missing, and it shows"
        # Of the advice: the word of the boot that is over, which is not retained.
        assert until(lambda: any(one["id"].endswith("-copy") for one in listener.of("advice")))
        late = Listener(broker.port)
        assert until(lambda: late.of("advice"))
        assert late.of("advice")[-1]["boot"] == "b" * 16 and late.of("advice")[-1]["none_yet"]
        late.close()
        # Acknowledged: the next power loss sends it again only as long as flash does not know.
        for number in range(10, 20):
            tell(second, number, "observed")
        assert until(lambda: len(numbers(listener)) == 16)
        for _ in range(2):
            second.tick()
            now[0] += LONGEST
        assert flash.batches == 0, "nothing waits"
    finally:
        second.stop(0.1)
        listener.close()
        broker.kill()
