# SPDX-License-Identifier: Apache-2.0
"""The broker's configuration in docs/broker: a router has its own subtree, and no other."""

from __future__ import annotations

import shutil
import ssl
import subprocess
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import paho.mqtt.client as mqtt
import pytest
from brokers import MOSQUITTO, authority, certificate, free_port, need, until

BROKER = Path(__file__).parents[2] / "docs" / "broker"


class Client:
    """A client with the certificate of `name`. got: payloads by topic."""

    def __init__(self, folder: Path, port: int, name: str) -> None:
        options: dict[str, Any] = {"protocol": mqtt.MQTTv5}
        if hasattr(mqtt, "CallbackAPIVersion"):
            options["callback_api_version"] = mqtt.CallbackAPIVersion.VERSION2
        self.client = mqtt.Client(client_id=f"test-{name}", **options)
        context = ssl.create_default_context(cafile=str(folder / "ca.pem"))
        context.load_cert_chain(folder / f"{name}.pem", folder / f"{name}.key")
        self.client.tls_set_context(context)
        self.got: list[tuple[str, bytes]] = []
        self.answers: dict[int, int] = {}
        self._ready = threading.Event()
        self.client.on_message = lambda c, u, message: self.got.append(
            (message.topic, bytes(message.payload))
        )
        self.client.on_subscribe = lambda *_: self._ready.set()
        self.client.on_publish = self._published
        self.client.connect("127.0.0.1", port)
        self.client.loop_start()
        assert until(self.client.is_connected)

    def _published(self, client: Any, userdata: Any, mid: int, code: Any = 0, *_: Any) -> None:
        self.answers[mid] = int(getattr(code, "value", code))

    def subscribe(self, topic: str) -> None:
        self._ready.clear()
        self.client.subscribe(topic, 1)
        assert self._ready.wait(5)

    def publish(self, topic: str, payload: bytes = b"x", retain: bool = False) -> int:
        """The broker's reason code: 0 and 16 are its yes."""
        mid = self.client.publish(topic, payload, 1, retain).mid
        assert until(lambda: mid in self.answers)
        return self.answers[mid]

    def close(self) -> None:
        self.client.disconnect()
        self.client.loop_stop()


class Fleet:
    """The broker as docs/broker has it, with the paths of this test. Clients by name."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self.port = free_port()
        authority(folder)
        for name in ("cpe1", "cpe2", "ingest", "operator"):
            certificate(folder, name)
        shutil.copy(BROKER / "acl", folder / "acl")
        text = (BROKER / "mosquitto.conf").read_text()
        for before, after in (("user mosquitto", "user root"),
                              ("listener 8883", f"listener {self.port} 127.0.0.1"),
                              ("/etc/mosquitto/algwatch", str(folder)),
                              ("/var/lib/mosquitto", str(folder))):  # fmt: skip
            assert before in text
            text = text.replace(before, after)
        (folder / "mosquitto.conf").write_text(text)
        self._clients: list[Client] = []
        self._process: subprocess.Popen[bytes] | None = None
        self.start()

    def start(self) -> None:
        program = need(MOSQUITTO, "mosquitto")
        words = [program, "-c", str(self._folder / "mosquitto.conf")]
        self._process = subprocess.Popen(words, stderr=subprocess.DEVNULL)

    def disk(self) -> bytes:
        """What it has saved."""
        path = self._folder / "mosquitto.db"
        return path.read_bytes() if path.exists() else b""

    def kill(self) -> None:
        assert self._process is not None
        self._process.kill()
        self._process.wait()

    def client(self, name: str) -> Client:
        made: list[Client] = []

        def connects() -> bool:
            try:
                made.append(Client(self._folder, self.port, name))
            except ConnectionRefusedError:
                return False
            return True

        assert until(connects)
        self._clients += made
        return made[0]

    def close(self) -> None:
        for client in self._clients:
            client.close()
        self.kill()


@pytest.fixture
def fleet(tmp_path: Path) -> Iterator[Fleet]:
    made = Fleet(tmp_path)
    yield made
    made.close()


def test_a_router_writes_its_own_reports_and_nothing_else(fleet: Fleet) -> None:
    router, ingest = fleet.client("cpe1"), fleet.client("ingest")
    ingest.subscribe("algwatch/1/#")
    for kind in ("state", "finding", "advice", "health", "reply"):
        assert router.publish(f"algwatch/1/cpe1/{kind}") < 128, kind
    for topic in (
        "algwatch/1/cpe2/finding",
        "algwatch/1/cpe2/cmd",
        "algwatch/1/cpe1/cmd",
        "algwatch/1/cpe1/finding/x",
        "algwatch/1/provider/example.net",
        "elsewhere",
    ):
        # mosquitto 2.0.11 closes the connection of one that was refused.
        other = fleet.client("cpe1")
        assert other.publish(topic) == 135, topic
    assert until(lambda: len(ingest.got) == 5)
    assert {topic.rpartition("/")[0] for topic, _ in ingest.got} == {"algwatch/1/cpe1"}


def test_a_router_reads_its_own_commands_and_nothing_else(fleet: Fleet) -> None:
    spy, other, operator = (fleet.client(name) for name in ("cpe1", "cpe2", "operator"))
    for topic in ("#", "algwatch/1/#", "algwatch/1/cpe2/#", "algwatch/1/+/cmd"):
        spy.subscribe(topic)
    assert other.publish("algwatch/1/cpe2/state", retain=True) < 128
    assert operator.publish("algwatch/1/cpe2/cmd", b"for another") < 128
    assert operator.publish("algwatch/1/cpe1/cmd", b"for this one") < 128
    assert until(lambda: spy.got)
    assert {payload for _, payload in spy.got} == {b"for this one"}


def test_what_the_fleet_knows_is_the_operators_to_say_and_for_every_router(fleet: Fleet) -> None:
    router, operator = fleet.client("cpe1"), fleet.client("operator")
    topic = "algwatch/1/provider/example.net"
    router.subscribe(topic)
    assert operator.publish(topic, b"a fact", retain=True) < 128
    assert until(lambda: router.got == [(topic, b"a fact")])


def test_a_router_that_guesses_at_the_ingesters_group_takes_nothing_away(fleet: Fleet) -> None:
    router, spy, ingest = (fleet.client(name) for name in ("cpe1", "cpe2", "ingest"))
    ingest.subscribe("$share/4f0c2d9b17e84a55b1f0c3d2a6e98f10/algwatch/1/+/+")
    for group in ("ingest", "algwatch", "fleet"):
        spy.subscribe(f"$share/{group}/algwatch/1/+/+")
    for number in range(100):
        router.publish("algwatch/1/cpe1/finding", b"%d" % number)
    assert until(lambda: len(ingest.got) == 100)
    assert spy.got == []


def test_what_is_acknowledged_outlives_a_kill_of_the_broker(fleet: Fleet) -> None:
    router, ingest = fleet.client("cpe1"), fleet.client("ingest")
    for number in range(20):
        router.publish("algwatch/1/cpe1/state", b"the word %d" % number, retain=True)
    ingest.close()
    assert until(lambda: b"the word 19" in fleet.disk()), "autosave_interval is 1"
    fleet.kill()
    fleet.start()
    late = fleet.client("operator")
    late.subscribe("algwatch/1/+/state")
    assert until(lambda: late.got == [("algwatch/1/cpe1/state", b"the word 19")])


def test_nobody_without_a_certificate_of_this_authority_comes_in(fleet: Fleet) -> None:
    fleet.client("cpe1")  # it is up
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    client = (
        mqtt.Client(callback_api_version=mqtt.CallbackAPIVersion.VERSION2, protocol=mqtt.MQTTv5)
        if hasattr(mqtt, "CallbackAPIVersion")
        else mqtt.Client(protocol=mqtt.MQTTv5)
    )
    client.tls_set_context(context)
    codes: list[object] = []
    client.on_connect = lambda c, u, f, code, *_: codes.append(code)
    try:
        client.connect("127.0.0.1", fleet.port)
        client.loop_start()
        assert not until(lambda: codes, 1.0)
    except (ssl.SSLError, OSError):
        pass
    finally:
        client.loop_stop()
