# SPDX-License-Identifier: Apache-2.0
"""What the broker says counts: that it forgets, has no room, denies a topic, or sends one on."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from itertools import pairwise
from operator import ge
from pathlib import Path

import pytest
from algwatch.advise.advice import Advice
from algwatch.report import mqtt, refusals, session
from algwatch.report.broker import Broker, BrokerError
from algwatch.report.connection import WINDOW
from brokers import Gate, Listener, Mosquitto, authority, free_port, until
from hostile import HostileBroker, connack, once, packet, text
from scripted import Scripted
from test_mqtt import ADVICE, Agent, finding

EXPIRY_0 = b"\x11\0\0\0\0"


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(mqtt, "BACKOFF", (0.05, 0.1))


@pytest.fixture
def ends() -> Iterator[Callable[[Callable[[], object]], None]]:
    steps: list[Callable[[], object]] = []
    yield steps.append
    for step in reversed(steps):
        step()


@pytest.mark.parametrize("answer", [connack(), connack(EXPIRY_0)])
def test_a_broker_that_never_knows_us_gets_nothing_again_and_again(
    quick: None, monkeypatch: pytest.MonkeyPatch, answer: bytes,
    ends: Callable[[Callable[[], object]], None],
) -> None:  # fmt: skip
    monkeypatch.setattr("algwatch.report.backoff.EVICTED", (0.05, 0.1))
    broker = Scripted(answer, most=12)
    ends(broker.server.close)
    agent = Agent(broker.url)
    ends(lambda: agent.publisher.stop(0.1))
    for number in range(10):
        agent.publisher.finding(finding(number))
    assert until(lambda: len(broker.server.connections) >= 2 and not len(agent.outbox))
    time.sleep(2.5)  # it drops each connection after twelve reports
    assert until(lambda: len(broker.server.connections) >= 3)
    assert len(broker.of("finding")) <= 2 * 10 + 12, "each once more, and what was on its way"


def test_a_session_that_may_have_ended_is_no_loss_twice(
    quick: None, monkeypatch: pytest.MonkeyPatch, ends: Callable[[Callable[[], object]], None]
) -> None:
    """However often the ten minutes are over."""
    monkeypatch.setattr(session, "EVERY", 0.0)
    monkeypatch.setattr("algwatch.report.backoff.EVICTED", (0.05, 0.1))
    broker = Scripted(connack(EXPIRY_0), most=7)
    ends(broker.server.close)
    agent = Agent(broker.url)
    ends(lambda: agent.publisher.stop(0.1))
    for number in range(5):
        agent.publisher.finding(finding(number))
    assert until(lambda: len(broker.of("finding")) >= 10)
    for number in range(8):
        agent.publisher.advice([Advice("keep-sip-alg", "suspected", number / 10, [], [], [])])
        time.sleep(0.2)
    assert until(lambda: len(broker.server.connections) >= 3)
    assert len(broker.of("finding")) <= 10 + 5


def test_a_broker_that_is_killed_again_soon_gets_all_of_it_later(
    tmp_path: Path, quick: None, monkeypatch: pytest.MonkeyPatch,
    ends: Callable[[Callable[[], object]], None],
) -> None:  # fmt: skip
    """mosquitto as it comes: nothing is on disk."""
    monkeypatch.setattr(session, "EVERY", 3.0)
    monkeypatch.setattr("algwatch.report.backoff.EVICTED", (0.05, 0.1))
    monkeypatch.setattr("algwatch.report.connection.UNACKNOWLEDGED", 1.0)  # it looks that often
    broker = Mosquitto(tmp_path)
    ends(broker.kill)
    ends(Listener(broker.port).close)
    gate = Gate(broker.port)
    ends(gate.shut)
    agent = Agent(f"mqtt://127.0.0.1:{gate.port}")
    ends(lambda: agent.publisher.stop(0.1))
    for number in range(5):
        agent.publisher.finding(finding(number))
    for _ in range(3):
        assert until(lambda: agent.publisher.connected and not len(agent.outbox))
        gate.shut()
        broker.kill()
        assert until(lambda: not agent.publisher.connected)
        broker.start()
        listener = Listener(broker.port)
        ends(listener.close)
        gate.open()
    assert until(lambda: len(listener.of("finding")) == 5)
    assert agent.outbox.dropped == 0


def test_what_is_sent_again_counts_as_bytes_of_the_day(
    ends: Callable[[Callable[[], object]], None],
) -> None:
    broker = Scripted()
    ends(broker.server.close)
    agent = Agent(broker.url)
    ends(lambda: agent.publisher.stop(0.1))
    for number in range(5):
        agent.publisher.finding(finding(number))
    assert until(lambda: len(broker.of("finding")) == 5 and not len(agent.outbox))
    allowance = agent.publisher._allowance
    allowance.spend(int(allowance.room(0.6)))
    left = allowance.room(0.0)
    broker.server.turn(broker._serve, after=False)
    assert until(lambda: len(broker.of("finding")) == 10, 15)
    assert left - allowance.room(0.0) > 5 * 400
    allowance.spend(int(allowance.room(0.4)))
    agent.publisher._link._session._again = float("-inf")
    broker.server.turn(broker._serve, after=False)
    assert until(lambda: len(broker.of("state")) == 3, 15)
    time.sleep(0.3)
    assert len(broker.of("finding")) == 10, "half of the day's bytes are for what is new"


def paused(broker: Scripted, least: list[float]) -> None:
    """After a window of findings one came after each pause, of so many seconds at least."""
    came = broker.at[WINDOW - 1 : WINDOW + len(least)]
    pauses = [after - before for before, after in pairwise(came)]
    assert all(map(ge, pauses, least)), pauses


def test_a_broker_without_room_loses_nothing_and_is_left_alone(
    monkeypatch: pytest.MonkeyPatch, ends: Callable[[Callable[[], object]], None]
) -> None:
    monkeypatch.setattr(refusals, "PAUSE", (0.6, 1.2))
    monkeypatch.setattr("algwatch.report.connection.PAUSE", (0.6, 1.2))
    monkeypatch.setattr("algwatch.report.connection.UNACKNOWLEDGED", 2.0)
    broker = Scripted(together=WINDOW)
    broker.reasons["finding"] = 0x97
    ends(broker.server.close)
    agent = Agent(broker.url)
    ends(lambda: agent.publisher.stop(0.1))
    assert agent.connected()
    for number in range(30):
        agent.publisher.finding(finding(number))
    assert until(lambda: len(broker.at) >= WINDOW + 2)
    paused(broker, [0.6, 1.2])
    assert [line for line in agent.said if "no room" in line] == [
        f"{broker.url} has no room for reports (Quota exceeded): they wait"
    ]
    broker.reasons.clear()
    assert until(lambda: not len(agent.outbox), 8)
    calls = {body["finding"]["call_id"] for body in broker.of("finding")}  # type: ignore[index]
    assert calls == {str(number) for number in range(30)}
    assert (agent.outbox.dropped, agent.outbox.refused) == (0, 0)
    assert len(broker.server.connections) == 1


def test_findings_wait_for_somebody_who_has_subscribed_to_them(
    tmp_path: Path, ends: Callable[[Callable[[], object]], None]
) -> None:
    """A broker throws away what nobody has subscribed to, and says so."""
    broker = Mosquitto(tmp_path)
    ends(broker.kill)
    agent = Agent(f"mqtt://127.0.0.1:{broker.port}")
    ends(lambda: agent.publisher.stop(0.1))
    for number in range(30):
        agent.publisher.finding(finding(number))
    topic = "algwatch/1/cpe1/finding"
    assert agent.heard(f"nobody has subscribed to {topic} at mqtt://127.0.0.1:{broker.port}: they")
    time.sleep(1.0)
    assert len(agent.outbox) == 30
    listener = Listener(broker.port)
    ends(listener.close)
    agent.publisher.health({"uptime": 1.0})
    assert until(lambda: listener.of("health")), "the others do not wait"
    assert until(lambda: len(listener.of("finding")) == 30 and not len(agent.outbox))
    calls = [body["finding"]["call_id"] for body in listener.of("finding")]
    assert calls == [str(number) for number in range(30)]
    assert len([line for line in agent.said if "nobody" in line]) == 1


def test_a_finding_that_nobody_hears_is_tried_less_and_less_often(
    monkeypatch: pytest.MonkeyPatch, ends: Callable[[Callable[[], object]], None]
) -> None:
    monkeypatch.setattr(refusals, "UNHEARD", (0.2, 0.8))
    monkeypatch.setattr("algwatch.report.connection.UNACKNOWLEDGED", 2.0)  # it looks that often
    broker = Scripted(together=WINDOW)
    broker.reasons["finding"] = 0x10
    ends(broker.server.close)
    agent = Agent(broker.url)
    ends(lambda: agent.publisher.stop(0.1))
    assert agent.connected()
    for number in range(30):
        agent.publisher.finding(finding(number))
    assert until(lambda: len(broker.at) >= WINDOW + 4)
    paused(broker, [0.2, 0.4, 0.8, 0.8])


def test_a_broker_that_may_have_died_gets_each_finding_once_more(
    quick: None, monkeypatch: pytest.MonkeyPatch, ends: Callable[[Callable[[], object]], None]
) -> None:
    """It knows the session, from its disk, and not what came since."""
    monkeypatch.setattr(session, "EVERY", 0.0)
    monkeypatch.setattr("algwatch.report.backoff.EVICTED", (0.05, 0.1))
    broker = Scripted(connack(session_present=1), most=7)
    ends(broker.server.close)
    agent = Agent(broker.url)
    ends(lambda: agent.publisher.stop(0.1))
    for number in range(5):
        agent.publisher.finding(finding(number))
    assert until(lambda: len(broker.of("finding")) >= 10)
    for number in range(8):
        agent.publisher.advice([Advice("keep-sip-alg", "suspected", number / 10, [], [], [])])
        time.sleep(0.2)
    assert until(lambda: len(broker.server.connections) >= 3)
    assert len(broker.of("finding")) <= 10 + 5


DENIES = """allow_anonymous true
acl_file {}"""


@pytest.mark.parametrize("protocol", ["MQTT 5", "MQTT 3.1.1"])
@pytest.mark.parametrize("denied", ["finding", "advice", "state"])
def test_a_topic_that_the_acl_denies_does_not_stop_the_others(
    tmp_path: Path, quick: None, monkeypatch: pytest.MonkeyPatch, denied: str, protocol: str,
    ends: Callable[[Callable[[], object]], None],
) -> None:  # fmt: skip
    rules = tmp_path / "acl"
    kinds = [kind for kind in ("state", "finding", "advice", "health") if kind != denied]
    rules.write_text("topic read #\n" + "".join(f"topic write algwatch/1/cpe1/{kind}\n"
                                                for kind in kinds))  # fmt: skip
    rules.chmod(0o644)
    broker = Mosquitto(tmp_path, DENIES.format(rules))
    ends(broker.kill)
    listener = Listener(broker.port)
    ends(listener.close)
    agent = Agent(f"mqtt://127.0.0.1:{broker.port}")
    ends(lambda: agent.publisher.stop(0.1))
    if protocol != "MQTT 5":
        agent.publisher._link._protocol = mqtt.MQTT311
    for number in range(3):
        agent.publisher.finding(finding(number))
    agent.publisher.advice(ADVICE)
    for kind in kinds:
        if kind != "health":
            assert until(lambda kind=kind: listener.of(kind)), kind  # type: ignore[misc]
    time.sleep(0.7)
    connections = agent.publisher._link.connections
    assert connections <= 4
    agent.publisher.health({"uptime": 1.0})
    assert until(lambda: listener.of("health"))
    time.sleep(0.3)
    assert agent.publisher._link.connections == connections and agent.publisher.connected
    assert not listener.of(denied)
    if protocol == "MQTT 5":
        told = [line for line in agent.said if "check the broker's ACL" in line]
        assert len(told) == 1 and f"algwatch/1/cpe1/{denied}" in told[0]
        if denied == "finding":
            assert len(agent.outbox) == 3, "they wait"


@pytest.mark.parametrize("how", ["CONNACK", "DISCONNECT"])
def test_a_broker_that_names_another_one_is_believed(
    tmp_path: Path, quick: None, how: str, ends: Callable[[Callable[[], object]], None]
) -> None:
    broker = Mosquitto(tmp_path)
    ends(broker.kill)
    listener = Listener(broker.port)
    ends(listener.close)
    named = text(0x1C, b"127.0.0.1:%d other.example:1" % broker.port)
    first = HostileBroker()
    ends(first.close)
    if how == "CONNACK":
        first.turn(lambda one: one.send(connack(named, 0x9C)), after=False)
    else:
        # It reads on, as a reset may come before what was sent.
        first.turn(once(packet(0xE0, b"\x9d" + bytes([len(named)]) + named)))
    agent = Agent(f"mqtt://127.0.0.1:{first.port}")
    ends(lambda: agent.publisher.stop(0.1))
    agent.publisher.finding(finding(1))
    assert until(lambda: listener.of("finding"))
    line = f"mqtt://127.0.0.1:{first.port} sends this router to mqtt://127.0.0.1:{broker.port}"
    assert agent.said.count(line) == 1
    broker.kill()  # then the configured one is asked again
    before = len(first.connections)
    broker.start()
    assert until(lambda: len(first.connections) > before or agent.publisher.connected)


@pytest.mark.parametrize("named", ["itself", "nobody", "user@elsewhere"])
def test_a_broker_that_sends_on_for_ever_is_tried_less_and_less_often(
    monkeypatch: pytest.MonkeyPatch, named: str, ends: Callable[[Callable[[], object]], None]
) -> None:
    monkeypatch.setattr(mqtt, "BACKOFF", (0.05, 30.0))
    server = HostileBroker()
    ends(server.close)
    where = {"itself": f"127.0.0.1:{server.port}", "nobody": f"127.0.0.1:{free_port()}"}
    reference = text(0x1C, where.get(named, named).encode())
    server.turn(lambda one: one.send(connack(reference, 0x9C)), after=False)
    agent = Agent(f"mqtt://127.0.0.1:{server.port}")
    ends(lambda: agent.publisher.stop(0.1))
    time.sleep(2)
    assert len(server.connections) <= 32
    assert until(lambda: len(server.connections) >= 3)
    assert len(agent.said) <= 7, agent.said
    assert agent.heard("sends this router elsewhere" if named != "nobody" else "refused")


def test_tls_waits_for_a_clock_that_is_not_set_yet(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, ends: Callable[[Callable[[], object]], None]
) -> None:
    authority(tmp_path)
    broker = Mosquitto(
        tmp_path, f"allow_anonymous true\ncafile {tmp_path}/ca.pem\n"
        f"certfile {tmp_path}/broker.pem\nkeyfile {tmp_path}/broker.key",
    )  # fmt: skip
    ends(broker.kill)
    clock = [86400.0]
    monkeypatch.setattr(mqtt, "time", lambda: clock[0])
    monkeypatch.setattr(mqtt, "CLOCK_LOOK", 0.05)
    agent = Agent(Broker(f"mqtts://127.0.0.1:{broker.port}", ca=f"{tmp_path}/ca.pem"))
    ends(lambda: agent.publisher.stop(0.1))
    assert agent.heard("the clock says 1970-01-02, which is before this program was")
    time.sleep(0.5)
    assert len(agent.said) == 1 and not agent.publisher.connected
    clock[0] = time.time()
    assert agent.connected()
    assert len(agent.said) == 2


def test_a_clock_that_is_never_set_does_not_hold_reports_up_for_ever(
    monkeypatch: pytest.MonkeyPatch, ends: Callable[[Callable[[], object]], None]
) -> None:
    monkeypatch.setattr(mqtt, "time", lambda: 0.0)
    monkeypatch.setattr(mqtt, "CLOCK_LOOK", 0.05)
    monkeypatch.setattr(mqtt, "CLOCK_PATIENCE", 0.3)
    agent = Agent("mqtts://127.0.0.1:1")
    ends(lambda: agent.publisher.stop(0.1))
    assert agent.heard("Connection refused")


@pytest.mark.parametrize(
    ("reference", "where"),
    [("b.example", "mqtts://b.example:8883"), ("b.example:99 c.example", "mqtts://b.example:99"),
     ("[2001:db8::1]:99", "mqtts://[2001:db8::1]:99"), ("192.0.2.1", "mqtts://192.0.2.1:8883")],
)  # fmt: skip
def test_another_server_is_found_and_keeps_tls_and_login(reference: str, where: str) -> None:
    other = Broker("mqtts://a.example", "user", "word", "ca").elsewhere(reference)
    assert (str(other), other.user, other.password, other.ca) == (where, "user", "word", "ca")


@pytest.mark.parametrize(
    "bad", ["", " ", "u@b", "b/x", "b\x1b[2J", "b\x7f", "b?x", "x" * 300, "b:99999", "\xe9", "::"]
)
def test_what_names_no_server_is_refused(bad: str) -> None:
    with pytest.raises(BrokerError):
        Broker("mqtt://a.example").elsewhere(bad)
