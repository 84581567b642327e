# SPDX-License-Identifier: Apache-2.0
"""Reports that wait: the latest word of a retained topic wins, and loss is told."""

from __future__ import annotations

import time

import pytest
from algwatch.diagnose.finding import Finding
from algwatch.report import mqtt
from algwatch.report import publisher as publishing
from algwatch.report.broker import Broker
from algwatch.report.encode import Encoder
from algwatch.report.outbox import Outbox
from algwatch.report.privacy import Privacy
from algwatch.report.publisher import Publisher
from algwatch.report.wire import decode

pytestmark = pytest.mark.usefixtures("offline")


@pytest.fixture
def offline(monkeypatch: pytest.MonkeyPatch) -> None:
    """Links that never connect."""
    monkeypatch.setattr(mqtt.Link, "start", lambda link: None)
    monkeypatch.setattr(mqtt.Link, "stop", lambda link, patience: False)


def waiting(outbox: Outbox) -> list[bytes]:
    got = []
    while taken := outbox.take(0.0):
        got.append(taken[2])
    return got


def publisher(outbox: Outbox, said: list[str]) -> Publisher:
    encoder = Encoder("cpe1", "0.1.0", "b1", Privacy(bytes(32), enabled=False))
    return Publisher(Broker("mqtt://127.0.0.1:1"), encoder, outbox, lambda: 0.0, said.append, {})


def test_old_advice_that_was_not_acknowledged_does_not_come_behind_the_newer_one() -> None:
    outbox = Outbox(1000)
    one = publisher(outbox, [])
    one._link.connected = True
    one.advice([])  # goes out, and the connection is lost
    assert outbox.take(0.0)
    outbox.connection_lost()
    hello = [decode(message.data) for message in one._hello("MQTT 5", False)]
    assert hello[-1]["advice"] == []
    assert waiting(outbox) == []
    assert (outbox.expired, outbox.dropped) == (1, 0)


def test_loss_is_told_once_when_it_begins_and_once_with_its_number_when_it_is_over() -> None:
    outbox, said = Outbox(10**6, 10), list[str]()
    one = publisher(outbox, said)
    for _ in range(30):
        one._put("finding", b"x")
    assert said == ["no room for more reports to mqtt://127.0.0.1:1: the oldest are lost"]
    for _ in range(4):  # some room, soon gone again
        number, *_ = outbox.take(0.0) or (0,)
        outbox.acknowledged(number, 0.0)
        one._put("finding", b"x")
        one._put("finding", b"x")
    assert len(said) == 1
    while taken := outbox.take(0.0):
        outbox.acknowledged(taken[0], 0.0)
    one._put("finding", b"x")
    assert said[1:] == [
        "24 reports to mqtt://127.0.0.1:1 were lost for want of room (outbox_bytes)"
    ]
    for _ in range(12):
        one._put("finding", b"x")
    one.stop(0.0)
    assert said[2].startswith("no room")
    # The farewell costs one more.
    assert said[3].startswith("4 reports")


def test_every_report_counts_those_before_it_that_were_lost() -> None:
    outbox = Outbox(10**6, 10)
    one = publisher(outbox, [])
    assert "dropped" not in decode(one._state(True, 1, ""))
    for _ in range(13):
        one._put("finding", b"x")
    assert decode(one._state(True, 1, ""))["dropped"] == 3
    assert decode(one._hello("MQTT 5", False)[-1].data)["dropped"] == 3


class Broker5:
    """A publisher whose broker acknowledges advice at once, at a time that is told."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.now = 10_000.0
        monkeypatch.setattr(publishing, "monotonic", lambda: self.now)
        self.outbox = Outbox(100_000)
        self.publisher = publisher(self.outbox, [])

    def connects(self, known: bool) -> int:
        """How many messages with advice it gets."""
        link = self.publisher._link
        link.connected = False
        self.outbox.connection_lost()
        first = self.publisher._hello("MQTT 5", known)
        link.connected = True
        for message in first:
            message.arrived = True
        return len(first) - 1 + self.acknowledged()

    def acknowledged(self) -> int:
        count = 0
        while taken := self.outbox.take(self.now):
            self.outbox.acknowledged(taken[0], self.now)
            count += 1
        return count

    def passes(self, seconds: int) -> int:
        """How many come meanwhile."""
        count = 0
        for _ in range(seconds // 60):
            self.now += 60
            self.publisher.tick()
            count += self.acknowledged()
        return count


def test_a_broker_that_knows_us_and_has_our_advice_is_not_sent_it_again(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    broker = Broker5(monkeypatch)
    assert broker.connects(False) == 1
    broker.publisher.advice([])
    assert broker.acknowledged() == 1
    assert broker.passes(3660) == 0
    assert [broker.connects(True) for _ in range(5)] == [0] * 5
    assert broker.passes(86400) == 0
    broker.publisher.advice([])
    assert broker.connects(True) == 1, "this one was not acknowledged"


def test_a_connection_that_breaks_all_day_costs_few_messages_with_advice(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for known, most in ((True, 8), (False, 146)):
        broker = Broker5(monkeypatch)
        sent = broker.connects(False)
        for _ in range(86400 // 120):
            sent += broker.passes(120) + broker.connects(known)
        assert sent <= most
        assert sent >= most - 2, "what a broker may have lost within an hour is sent again"


def test_a_broker_that_forgets_twice_in_a_row_gets_our_advice_twice(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    broker = Broker5(monkeypatch)
    broker.connects(False)
    broker.passes(7200)
    assert broker.connects(False) == 1, "at once"
    assert broker.passes(60) + broker.connects(False) == 0
    assert broker.passes(660) == 1, "as soon as ten minutes are over"
    assert broker.passes(86400) == 0


def test_refusals_of_commands_of_nobody_known_cost_no_finding_its_place_or_its_bytes() -> None:
    outbox = Outbox(65536)
    publisher = Publisher(
        Broker("mqtt://127.0.0.1:1"), Encoder("cpe1", "0.1.0", "b" * 16, Privacy(bytes(32))),
        outbox, time.time, lambda line: None, {}, daily=200_000,
    )  # fmt: skip

    def tell(number: int) -> None:
        publisher.finding(Finding("TXN001", "invite-unanswered", "error", "network", "observed",
                                  str(number), "lan", 1.0, "text", [], str(number)))  # fmt: skip

    for number in range(20):
        tell(number)
    for _ in range(2000):
        publisher.reply({"state": "refused", "reason": "it is not signed"}, b"")
    tell(20)
    assert len(outbox.unsent("finding")) == 21
    publisher.reply({"id": "a" * 32, "state": "done"}, b"")
    assert len(outbox.unsent("reply")) == 1, "an answer to a signed command is worth keeping"
