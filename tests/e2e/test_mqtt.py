# SPDX-License-Identifier: Apache-2.0
"""Reports over a real broker: nothing lost that fits, nothing said twice that counts twice."""

from __future__ import annotations

import os
import shutil
import ssl
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from inspect import getsource
from pathlib import Path

import pytest
from algwatch.advise.advice import Advice
from algwatch.diagnose.finding import Evidence, Finding
from algwatch.report import mqtt
from algwatch.report.broker import Broker
from algwatch.report.encode import Encoder
from algwatch.report.outbox import Outbox
from algwatch.report.privacy import Privacy
from algwatch.report.publisher import Publisher
from brokers import Gate, Listener, Mosquitto, authority, need, until

AGENT = Path(__file__).parents[2] / "agent"
ADVICE = [Advice("keep-sip-alg", "recommended", 0.5, ["it helps"], [], [])]


def finding(number: int) -> Finding:
    look = Evidence("lan", 1.0, "o", "e", b"ACK sip:x SIP/2.0\r\n\r\n")
    return Finding("TXN001", "invite-unanswered", "error", "network", "observed", f"{number}",
                   "lan", 1.0, f"number {number}", [look], str(number))  # fmt: skip


class Agent:
    """The publishing half of the daemon. said: its lines for people."""

    def __init__(self, broker: str | Broker, outbox_bytes: int = 1 << 20, boot: str = "b1") -> None:
        self.said: list[str] = []
        self.outbox = Outbox(outbox_bytes)
        self.publisher = Publisher(
            broker if isinstance(broker, Broker) else Broker(broker),
            Encoder("cpe1", "0.1.0", boot, Privacy(bytes(32), enabled=False)),
            self.outbox,
            time.time,
            self.said.append,
            {"taps": {"br-lan": "lan"}},
        )
        self.publisher.start()

    def connected(self) -> bool:
        return until(lambda: self.publisher.connected)

    def heard(self, word: str, seconds: float = 30.0) -> bool:
        return until(lambda: any(word in line for line in list(self.said)), seconds)


@pytest.fixture
def cleanup() -> Iterator[Callable[[Callable[[], object]], None]]:
    steps: list[Callable[[], object]] = []
    yield steps.append
    for step in reversed(steps):
        step()


@pytest.fixture
def start(cleanup: Callable[[Callable[[], object]], None]) -> Callable[..., Agent]:
    def make(*args: object, **options: object) -> Agent:
        agent = Agent(*args, **options)  # type: ignore[arg-type]
        cleanup(lambda: agent.publisher.stop(0.5))
        return agent

    return make


@pytest.fixture
def broker(tmp_path: Path) -> Iterator[Mosquitto]:
    server = Mosquitto(tmp_path)
    yield server
    server.kill()


@pytest.fixture
def listener(broker: Mosquitto) -> Iterator[Listener]:
    client = Listener(broker.port)
    yield client
    client.close()


def test_birth_is_retained_and_farewell_replaces_it(
    broker: Mosquitto, start: Callable[..., Agent]
) -> None:
    agent = start(f"mqtt://127.0.0.1:{broker.port}")
    assert agent.connected()
    assert until(lambda: state_of(broker).get("online") is True)
    birth = state_of(broker)
    assert (birth["mqtt"], birth["taps"], birth["seq"]) == ("MQTT 5", {"br-lan": "lan"}, 1)
    assert agent.publisher.stop(5) is True
    farewell = state_of(broker)
    assert (farewell["online"], farewell["reason"]) == (False, "stopped")


def state_of(broker: Mosquitto, wanted: str = "state") -> dict[str, object]:
    """The retained state or other topic, as somebody sees it who comes later."""
    late = Listener(broker.port)
    try:
        until(lambda: any(kind == wanted for kind, _, _ in list(late.reports)), 1.0)
        return next((body for kind, body, kept in late.reports if kind == wanted and kept), {})
    finally:
        late.close()


def test_the_last_will_is_retained_when_the_connection_is_lost(
    broker: Mosquitto, listener: Listener, start: Callable[..., Agent]
) -> None:
    gate = Gate(broker.port)
    agent = start(f"mqtt://127.0.0.1:{gate.port}")
    assert agent.connected()
    gate.shut()
    assert until(lambda: any(not body["online"] for body in listener.of("state")))
    will = state_of(broker)
    assert (will["online"], will["reason"], will["id"]) == (False, "lost", "b1-1-will")


def test_two_hundred_reports_at_once_are_all_acknowledged(
    broker: Mosquitto, listener: Listener, start: Callable[..., Agent]
) -> None:
    agent = start(f"mqtt://127.0.0.1:{broker.port}")
    for number in range(200):
        agent.publisher.finding(finding(number))
    assert until(lambda: not len(agent.outbox))
    assert until(lambda: len(listener.of("finding")) == 200)
    assert [body["finding"]["call_id"] for body in listener.of("finding")] == [
        str(number) for number in range(200)
    ]
    assert set(listener.qos) == {1}
    assert {properties.ContentType for properties in listener.properties} == {"application/msgpack"}


def test_only_health_expires(
    broker: Mosquitto, listener: Listener, start: Callable[..., Agent]
) -> None:
    agent = start(f"mqtt://127.0.0.1:{broker.port}")
    assert agent.connected()
    agent.publisher.finding(finding(1))
    agent.publisher.health({"uptime": 1.0})
    agent.publisher.advice(ADVICE)
    assert until(lambda: len(listener.reports) >= 4)
    expiry = {
        kind: getattr(properties, "MessageExpiryInterval", None)
        for (kind, _, _), properties in zip(listener.reports, listener.properties, strict=True)
    }
    assert expiry.pop("health") in (119, 120)
    assert expiry == {"state": None, "finding": None, "advice": None}
    health = listener.of("health")[0]["health"]
    assert (health["uptime"], health["mqtt"]["connections"]) == (1.0, 1)


def test_nothing_that_fits_is_lost_when_the_broker_is_killed_and_comes_back(
    broker: Mosquitto, listener: Listener, start: Callable[..., Agent]
) -> None:
    gate = Gate(broker.port)
    agent = start(f"mqtt://127.0.0.1:{gate.port}")
    assert agent.connected()
    agent.publisher.advice(ADVICE)
    for number in range(5):
        agent.publisher.finding(finding(number))
    assert until(lambda: len(listener.of("finding")) == 5 and not len(agent.outbox))
    broker.freeze()
    for number in range(5, 30):  # ten of them go out and are never acknowledged
        agent.publisher.finding(finding(number))
    time.sleep(0.3)
    gate.shut()
    broker.kill()
    for number in range(30, 60):
        agent.publisher.finding(finding(number))
    broker.start()
    second = Listener(broker.port)
    gate.open()
    # It has forgotten the first five, too, which it had acknowledged.
    assert until(lambda: len(second.of("finding")) == 60 and not len(agent.outbox), 20)
    assert [body["finding"]["call_id"] for body in second.of("finding")] == [
        str(number) for number in range(60)
    ]
    assert agent.outbox.dropped == 0
    # The broker forgot everything that it had retained: both are said again by themselves.
    assert [body["online"] for body in second.of("state")] == [True]
    assert second.of("advice")[-1]["advice"][0]["action"] == "keep-sip-alg"
    ids = [body["id"] for client in (listener, second) for _, body, _ in client.reports]
    assert len(set(ids)) == len(ids) - 5
    second.close()


def test_a_restart_takes_the_advice_of_the_boot_before_out_of_the_world(
    broker: Mosquitto, start: Callable[..., Agent]
) -> None:
    before = start(f"mqtt://127.0.0.1:{broker.port}", boot="b1")
    assert before.connected()
    before.publisher.advice(ADVICE)
    assert before.publisher.stop(5) is True
    assert state_of(broker, "advice")["boot"] == "b1"
    after = start(f"mqtt://127.0.0.1:{broker.port}", boot="b2")
    assert after.connected()
    assert until(lambda: state_of(broker, "advice")["boot"] == "b2")
    unknown = state_of(broker, "advice")
    assert (unknown["advice"], unknown["none_yet"]) == ([], True)
    after.publisher.advice([])  # given, and withdrawn again
    assert until(lambda: "none_yet" not in state_of(broker, "advice"))
    assert state_of(broker, "advice")["advice"] == []


def test_advice_that_was_on_its_way_does_not_come_back_behind_a_newer_one(
    broker: Mosquitto, listener: Listener, start: Callable[..., Agent]
) -> None:
    gate = Gate(broker.port)
    agent = start(f"mqtt://127.0.0.1:{gate.port}")
    assert agent.connected()
    assert until(lambda: len(listener.of("advice")) == 1)
    gate.deaf = True
    agent.publisher.advice(ADVICE)
    assert until(lambda: len(listener.of("advice")) == 2)
    gate.shut()
    assert until(lambda: not agent.publisher.connected)
    agent.publisher.advice([])
    gate.deaf = False
    gate.open()
    assert until(lambda: agent.publisher.connected and not len(agent.outbox))
    assert until(lambda: len(listener.of("advice")) >= 3)
    time.sleep(0.3)
    assert state_of(broker, "advice")["advice"] == []


def test_a_redelivery_has_the_id_of_the_first_delivery(
    broker: Mosquitto, listener: Listener, start: Callable[..., Agent]
) -> None:
    gate = Gate(broker.port)
    agent = start(f"mqtt://127.0.0.1:{gate.port}")
    assert until(lambda: len(listener.of("state")) == 1 and agent.publisher.connected)
    gate.deaf = True  # reports reach the broker, acknowledgements do not come back
    agent.publisher.finding(finding(1))
    assert until(lambda: len(listener.of("finding")) == 1)
    assert len(agent.outbox) == 1
    gate.shut()
    gate.deaf = False
    gate.open()
    assert until(lambda: len(listener.of("finding")) == 2 and not len(agent.outbox))
    first, second = listener.of("finding")
    assert first == second


def test_a_broker_that_is_not_there_yet_gets_everything_later(
    broker: Mosquitto, listener: Listener, start: Callable[..., Agent]
) -> None:
    gate = Gate(broker.port)
    gate.shut()
    agent = start(f"mqtt://127.0.0.1:{gate.port}")
    agent.publisher.finding(finding(1))
    agent.publisher.advice(ADVICE)
    agent.publisher.health({"uptime": 0.0})  # worthless when it is late
    assert agent.heard("Connection refused")
    gate.open()
    assert until(lambda: listener.of("finding"))
    assert listener.of("advice")
    assert not listener.of("health")
    assert [line for line in agent.said if "refused" in line] == [agent.said[0]], "said once"


def test_a_full_outbox_loses_the_oldest_and_says_how_many(
    broker: Mosquitto, listener: Listener, start: Callable[..., Agent]
) -> None:
    gate = Gate(broker.port)
    gate.shut()
    agent = start(f"mqtt://127.0.0.1:{gate.port}", outbox_bytes=4096)
    for number in range(100):
        agent.publisher.finding(finding(number))
    kept = len(agent.outbox)
    assert agent.outbox.size <= 4096
    assert agent.outbox.dropped == 100 - kept
    gate.open()
    assert until(lambda: len(listener.of("finding")) == kept)
    assert [body["finding"]["call_id"] for body in listener.of("finding")] == [
        str(number) for number in range(100 - kept, 100)
    ]
    # The gap in the numbers tells the fleet's side the same.
    numbers = [body["seq"] for body in listener.of("finding")]
    assert numbers == list(range(numbers[0], numbers[0] + kept))
    assert until(lambda: not len(agent.outbox))  # there is room again, which people are told
    agent.publisher.health({})
    assert until(lambda: listener.of("health"))
    assert listener.of("health")[0]["health"]["mqtt"]["dropped"] == 100 - kept
    # So does the first report, and people are told once at the beginning and once at the end.
    assert listener.of("state")[0]["dropped"] == 100 - kept
    assert until(lambda: len([line for line in agent.said if "lost" in line]) == 2)
    lines = [line for line in agent.said if "lost" in line]
    assert lines[0].startswith("no room for more reports")
    assert lines[1].startswith(f"{100 - kept} reports to mqtt://127.0.0.1:{gate.port} were lost")


@pytest.mark.parametrize("old", ["refuse", "close"])
def test_a_broker_without_mqtt_5_is_served_with_3_1_1(
    broker: Mosquitto, listener: Listener, start: Callable[..., Agent], old: str
) -> None:
    gate = Gate(broker.port, old)
    agent = start(f"mqtt://127.0.0.1:{gate.port}")
    assert agent.connected()
    agent.publisher.finding(finding(1))
    assert until(lambda: listener.of("finding"))
    assert gate.levels == [5, 4]
    assert listener.of("state")[-1]["mqtt"] == "MQTT 3.1.1"
    assert agent.said[-1].endswith("with MQTT 3.1.1")
    assert agent.publisher.stop(5) is True
    assert until(lambda: listener.of("state")[-1].get("reason") == "stopped")


def test_a_wrong_password_is_called_that_and_not_shown(
    tmp_path: Path, start: Callable[..., Agent]
) -> None:
    passwords = tmp_path / "passwords"
    tool = need(shutil.which("mosquitto_passwd"), "mosquitto")
    subprocess.run([tool, "-b", "-c", str(passwords), "cpe1", "right"], check=True)
    os.chmod(passwords, 0o644)
    broker = Mosquitto(tmp_path, f"allow_anonymous false\npassword_file {passwords}")
    try:
        wrong = start(Broker(f"mqtt://127.0.0.1:{broker.port}", "cpe1", "w-r-o-n-g"))
        assert wrong.heard("refused user name or password")
        assert not any("w-r-o-n-g" in line for line in wrong.said)
        right = start(f"mqtt://cpe1:right@127.0.0.1:{broker.port}")
        assert right.connected()
        assert not any("right" in line for line in right.said)
    finally:
        broker.kill()


def test_two_agents_with_one_id_are_told_so(start: Callable[..., Agent]) -> None:
    gate = Gate(1, "taken")
    agent = start(f"mqtt://127.0.0.1:{gate.port}")
    assert agent.heard("another client uses the id algwatch-cpe1: give each router a cpe id of")


@pytest.mark.parametrize("old", ["", "refuse"])
def test_two_agents_with_one_id_do_not_throw_each_other_out_in_a_loop(
    broker: Mosquitto,
    listener: Listener,
    start: Callable[..., Agent],
    monkeypatch: pytest.MonkeyPatch,
    old: str,
) -> None:
    """MQTT 3.1.1 has no word for it, and mosquitto 2.0.11 does not say it with MQTT 5 either."""
    monkeypatch.setattr(mqtt, "BACKOFF", (0.1, 0.4))
    gate = Gate(broker.port, old)
    agents = [start(f"mqtt://127.0.0.1:{gate.port}", boot=boot) for boot in ("b1", "b2")]
    line = "another client uses the id algwatch-cpe1"
    assert until(lambda: any(line in text for one in agents for text in one.said))
    time.sleep(1)
    before = len(listener.of("state"))
    time.sleep(3)
    assert len(listener.of("state")) - before <= 1, "one waits for a minute"
    assert sum(one.publisher.connected for one in agents) == 1


def test_a_dead_broker_does_not_hold_up_the_end(start: Callable[..., Agent]) -> None:
    agent = start("mqtt://127.0.0.1:1")
    agent.publisher.finding(finding(1))
    assert agent.heard("refused")
    began = time.monotonic()
    assert agent.publisher.stop(2.0) is False
    assert time.monotonic() - began < 1.0


def test_a_broker_that_hangs_does_not_hold_up_the_end_for_long(
    broker: Mosquitto, start: Callable[..., Agent]
) -> None:
    agent = start(f"mqtt://127.0.0.1:{broker.port}")
    assert agent.connected()
    broker.freeze()
    agent.publisher.finding(finding(1))
    began = time.monotonic()
    assert agent.publisher.stop(1.0) is False
    assert time.monotonic() - began < 1.5


@pytest.fixture
def tls(tmp_path: Path) -> Iterator[tuple[Mosquitto, Path]]:
    authority(tmp_path)
    server = Mosquitto(
        tmp_path,
        f"allow_anonymous true\ncafile {tmp_path}/ca.pem\ncertfile {tmp_path}/broker.pem\n"
        f"keyfile {tmp_path}/broker.key\nrequire_certificate true",
    )
    yield server, tmp_path
    server.kill()


def test_mutual_tls_carries_a_burst(
    tls: tuple[Mosquitto, Path], start: Callable[..., Agent]
) -> None:
    server, folder = tls
    context = ssl.create_default_context(cafile=str(folder / "ca.pem"))
    context.verify_flags &= ~ssl.VERIFY_X509_STRICT  # of 3.13; this CA is as plain as most
    context.load_cert_chain(folder / "router.pem", folder / "router.key")
    listener = Listener(server.port, context=context)
    agent = start(
        Broker(
            f"mqtts://127.0.0.1:{server.port}",
            ca=f"{folder}/ca.pem",
            cert=f"{folder}/router.pem",
            key=f"{folder}/router.key",
        )
    )
    for number in range(200):
        agent.publisher.finding(finding(number))
    assert until(lambda: not len(agent.outbox))
    assert until(lambda: len(listener.of("finding")) == 200)
    assert agent.publisher.stop(5) is True
    listener.close()


def test_a_broker_that_no_known_authority_vouches_for_is_not_talked_to(
    tls: tuple[Mosquitto, Path], start: Callable[..., Agent]
) -> None:
    agent = start(f"mqtts://127.0.0.1:{tls[0].port}")
    assert agent.heard("certificate is not trusted")
    assert not agent.publisher.connected


def test_a_broker_with_a_name_that_is_not_in_its_certificate_is_not_talked_to(
    tls: tuple[Mosquitto, Path], start: Callable[..., Agent]
) -> None:
    server, folder = tls
    agent = start(Broker(f"mqtts://localhost:{server.port}", ca=f"{folder}/ca.pem"))
    assert agent.heard("certificate is not trusted")


def test_a_router_without_a_certificate_is_told_what_the_broker_wants(
    tls: tuple[Mosquitto, Path], start: Callable[..., Agent]
) -> None:
    server, folder = tls
    agent = start(Broker(f"mqtts://127.0.0.1:{server.port}", ca=f"{folder}/ca.pem"))
    assert agent.heard("certificate", 15)
    assert not agent.publisher.connected


# The other half of this file needs ssl itself, so the script gets only what it runs.
WITHOUT_SSL = """
import sys, time
sys.modules["ssl"] = sys.modules["_ssl"] = None
sys.path.insert(0, {agent!r})
from algwatch.diagnose.finding import Evidence, Finding
from algwatch.report.broker import Broker
from algwatch.report.outbox import Outbox
from algwatch.report.privacy import Privacy
from algwatch.report.publisher import Publisher
from algwatch.report.encode import Encoder
{finding}
{Agent}
agent = Agent("mqtt://127.0.0.1:{port}")
for number in range(200):
    agent.publisher.finding(finding(number))
end = time.monotonic() + 10
while len(agent.outbox) and time.monotonic() < end:
    time.sleep(0.01)
print("left", len(agent.outbox))
try:
    Agent("mqtts://127.0.0.1")
except ValueError as problem:
    print(problem)
"""


def test_a_python_without_ssl_publishes_a_burst_and_says_what_tls_needs(
    broker: Mosquitto, listener: Listener
) -> None:
    script = WITHOUT_SSL.format(
        agent=str(AGENT), finding=getsource(finding), Agent=getsource(Agent), port=broker.port
    )
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, timeout=60, check=False
    )
    assert done.stdout.splitlines() == [
        "left 0",
        "this Python has no ssl module, which mqtts:// needs: install python3-openssl",
    ], done.stderr
    assert until(lambda: len(listener.of("finding")) == 200)


def test_paho_does_not_bring_the_web_along() -> None:
    script = (
        f"import sys; sys.path.insert(0, {str(AGENT)!r})\n"
        "from algwatch.report import paho; paho.load()\n"
        "print([m for m in ('urllib.request', 'http', 'email', 'asyncio') if m in sys.modules])\n"
        "from urllib.request import urlopen; print(urlopen.__module__)"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
    assert done.stdout.splitlines() == ["[]", "urllib.request"], done.stderr
