# SPDX-License-Identifier: Apache-2.0
"""Everything that a daemon sends, prints or writes about a capture, read as others may read it: no
name, number, secret or key of the capture is in it.

Each capture goes through a daemon with every output it can have: all topics at a real broker, the
spool, the copy for flash, the state file, the status file, the file of numbers, the log.
"""

from __future__ import annotations

import re
import sys
import time
from collections.abc import Iterator
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Any

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "unit"))

import leaks
from algwatch.advise.advice import Advice
from algwatch.base.clock import PacketClock
from algwatch.base.host import Host
from algwatch.base.native.rows import Counts
from algwatch.base.packet import LAN, WAN, Tap
from algwatch.base.report import Report
from algwatch.cli import source as sources
from algwatch.cli.reading import read
from algwatch.control.kept import Kept
from algwatch.control.order import Refused
from algwatch.daemon import Daemon
from algwatch.diagnose.finding import Finding
from algwatch.pipeline import Pipeline
from algwatch.report import mqtt
from algwatch.report.anonymous import anonymous
from algwatch.report.broker import Broker
from algwatch.report.console import Console
from algwatch.report.encode import Encoder
from algwatch.report.flash import Flash
from algwatch.report.keeper import Keeper
from algwatch.report.outbox import Outbox
from algwatch.report.outlets.opened import state
from algwatch.report.privacy import Privacy
from algwatch.report.providers import Providers
from algwatch.report.publisher import Publisher
from algwatch.report.spool import Spool
from algwatch.report.tally import Tally
from brokers import Gate, Listener, Mosquitto, until
from captures import all_captures
from craft import batch
from people import NAMES, PAIRS, Renamed, credentials, holds, payloads, private
from sample import some

PLAIN = re.compile(rb"[^\s\"<>;,=()']+")
AGENT = Path(__file__).parents[2] / "agent" / "algwatch"
# A word that stands in this program says nothing of a person.
OURS = {word.strip(b".:") for path in (*AGENT.rglob("*.py"), AGENT.parents[1] / "docs/wire.md")
        for word in PLAIN.findall(path.read_bytes())}  # fmt: skip
# Neither is an address, nor a domain without a user: a report may have both.
PLACE = re.compile(rb"sips?:(?:[\w-]+\.)+[\w-]+(?::\d+)?|(?:\d+\.){3}\d+|[\da-fA-F:]*:[\da-fA-F:]*")
CAPTURES = all_captures()
RECORDED = [name for name, words in CAPTURES.items() if words[0] == "--lan"]
PUBLIC = [name for name in CAPTURES if name.startswith("captures/") and name not in RECORDED]
TOPICS = {"state", "health", "finding", "advice", "reply"}


class Told:
    """Everything that leaves one daemon. sent: payloads by topic, as text."""

    def __init__(self, broker: Mosquitto, listener: Listener, folder: Path, cpe: str) -> None:
        self.listener, self.folder, self.cpe = listener, folder, cpe
        self.lines: list[str] = []
        self.gate = Gate(broker.port)
        self.gate.shut()
        self.privacy = Privacy(bytes(range(32)))
        self.kept = Kept(self.privacy)
        providers = Providers()
        self.tally = Tally(providers)
        console = Console(self.lines.append, self.lines.append, False)
        console.anonymous = partial(anonymous, privacy=self.privacy)
        console._rate.passes = lambda *words, **more: True  # type: ignore[method-assign]
        self.outbox = Outbox(1 << 24, 100_000)
        self.publisher = Publisher(
            Broker(f"mqtt://127.0.0.1:{self.gate.port}"),
            Encoder(cpe, "0.1.0", "b" * 16, self.privacy, providers), self.outbox, time.time,
            console.say, {"taps": {"br-lan": "lan"}, "tags": {}}, tally=self.tally, daily=1 << 30,
        )  # fmt: skip
        self.spool = Spool(str(folder / "spool"), 1 << 24)
        self.flash = Flash(str(folder / "flash"), "boot", console.say)
        self.console = console
        self.status = state(str(folder / "status"), str(folder / "numbers"), self.privacy,
                            console.say)  # fmt: skip

    def tell(self, pipeline: Pipeline, reports: list[Report]) -> None:
        clock = PacketClock(time.monotonic_ns, time.time_ns)
        keeper = Keeper(
            str(self.folder / "state"), pipeline.knowledge, clock, lambda: (["boot"], ["helper"]),
            lambda: self.spool.number, self.console.say,
        )  # fmt: skip
        keeper.take()
        daemon = Daemon([], pipeline, clock, self.console, Counts(), self.publisher, 300.0,
                        status=self.status, keeper=keeper)  # fmt: skip
        daemon._rate.passes = lambda *words, **more: True  # type: ignore[method-assign]
        self.publisher.start(self.spool, self.flash)
        daemon.tell_host(Host(at=0, helper=True, loaded=True))
        daemon._tell(reports)
        keeper.write()
        assert self.status is not None
        daemon._write_status(self.status)
        self.flash.look(self.publisher._verdicts(), at_end=True)
        for one in reports:
            if isinstance(one, Finding):
                self.kept.feed(one)
                with suppress(Refused):
                    found = self.kept.pcap(self.privacy.mark(one.key), "")
                    self._reply(state="done", command="evidence", id="a" * 32, **found)
            if isinstance(one, Finding | Advice):  # as a verb of root would print it
                said = [one.summary] if isinstance(one, Finding) else [*one.for_, *one.against]
                self._reply(state="done", command="apply", id="b" * 32, lines=said, reason=said[0])
        self.console.finish()
        # What is on disk while nobody listens; much of it goes once it has arrived.
        self.files = b"\n".join(
            path.read_bytes() for path in self.folder.rglob("*")
            if path.is_file() and path.name != "state"
        )  # fmt: skip
        self.state = (self.folder / "state").read_bytes()
        self.gate.open()
        assert until(lambda: self.publisher.connected)
        self.publisher.health(daemon.health())
        daemon._publish_advice(always=True)
        self.publisher.tick(always=True)
        assert until(lambda: not len(self.outbox))
        assert self.publisher.stop(2.0)
        self.gate.shut()

    def _reply(self, **said: object) -> None:
        self.publisher.reply(said, b"")

    def close(self) -> None:
        self.spool.close()

    @property
    def sent(self) -> dict[str, bytes]:
        found: dict[str, bytes] = {}
        for kind, body, _ in list(self.listener.reports):
            if body["cpe"] == self.cpe:
                found[kind] = found.get(kind, b"") + _texts(body) + b"\n"
        return found

    def all(self) -> dict[str, bytes]:
        """By where it is to be read."""
        assert until(lambda: any(not body["online"] and body["cpe"] == self.cpe
                                 for body in self.listener.of("state")))  # fmt: skip
        log = "\n".join(self.lines).encode()
        return {**self.sent, "the log": log, "a file": self.files}


def _texts(value: Any) -> bytes:
    """Every text and every byte of a decoded payload."""
    if isinstance(value, dict):
        return b"\n".join(_texts(one) for pair in value.items() for one in pair)
    if isinstance(value, list):
        return b"\n".join(_texts(one) for one in value)
    return value if isinstance(value, bytes) else str(value).encode()


@pytest.fixture(scope="module")
def broker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Mosquitto]:
    made = Mosquitto(tmp_path_factory.mktemp("broker"))
    yield made
    made.kill()


@pytest.fixture
def told(broker: Mosquitto, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Told]:
    monkeypatch.setattr(mqtt, "BACKOFF", (0.05, 0.1))
    cpe = tmp_path.name[-40:].replace("[", "-").replace("]", "-")
    listener = Listener(broker.port, cpe)
    made = Told(broker, listener, tmp_path, cpe)
    yield made
    made.close()
    listener.close()


@pytest.mark.parametrize("name", some(PUBLIC, 8) + some(RECORDED, 150))
def test_nothing_private_of_a_capture_is_sent_printed_or_written(
    name: str, told: Told, monkeypatch: pytest.MonkeyPatch
) -> None:
    words = CAPTURES[name]
    lan, wan = (words[1:2], words[3:4]) if words[0] == "--lan" else ([], [])
    pipelines: list[Pipeline] = []

    def made(*given: Any, **more: Any) -> Pipeline:
        more["watch"] = told.tally.cross
        pipelines.append(Pipeline(*given, **more))
        return pipelines[-1]

    monkeypatch.setattr(sources, "Pipeline", made)
    source = sources.Source([] if lan else words, lan, wan, (5060, 5080))
    reports, _ = read(source, lambda: list(source.reports()))
    told.tell(pipelines[-1] if pipelines else Pipeline([Tap("one", LAN)]), reports or [])
    messages = {one for path in (*lan, *wan, *([] if lan else words)) for one in payloads(path)}
    secrets = {one for message in messages for one in private(message)} - OURS
    secrets = {one for one in secrets if not PLACE.fullmatch(one)}
    keys = {one for message in messages for one in credentials(message)} - OURS
    shown = told.all()
    left = [(where, one) for where, said in shown.items() for one in secrets | keys
            if one in said and holds(said, one)]  # fmt: skip
    assert not left, left[:20]
    # This file is root's and the agent's alone, and has sentences as they are.
    assert not [one for one in keys if holds(told.state, one)]


@pytest.mark.parametrize("folder", some(PAIRS, 150), ids=lambda folder: folder.name)
def test_nobody_of_a_house_is_named_in_anything_sent_printed_or_written(
    folder: Path, told: Told
) -> None:
    renamed = Renamed(PAIRS.index(folder) % len(NAMES))
    lan, wan = (renamed.packets(folder / f"{side}.pcap") for side in ("lan", "wan"))
    pipeline = Pipeline([Tap("br-lan", LAN), Tap("wan", WAN)], strict=True, watch=told.tally.cross)
    reports: list[Report] = []
    for at, tap, data in sorted([(at, 0, data) for at, data in lan]
                                + [(at, 1, data) for at, data in wan]):  # fmt: skip
        reports += pipeline.feed(batch([(at, data)], tap))
    told.tell(pipeline, reports + pipeline.finish())
    shown = told.all()
    assert set(shown) >= TOPICS - {"reply", "finding"}
    left = [(where, part) for where, said in shown.items() for secret in renamed.secrets
            if (part := leaks.leaked(secret, said))]  # fmt: skip
    assert not left, left[:20]
    assert not [one for one in renamed.credentials if leaks.leaked(one, told.state)]
