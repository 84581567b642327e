# SPDX-License-Identifier: Apache-2.0
"""The name in the broker's certificate: pinned, wrong, and that of a server that it names."""

from __future__ import annotations

import ssl
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from algwatch.report.broker import Broker, BrokerError
from brokers import Mosquitto, authority, certificate, need, until
from hostile import HostileBroker, connack, text
from test_mqtt import Agent


@pytest.fixture
def ends() -> Iterator[Callable[[Callable[[], object]], None]]:
    steps: list[Callable[[], object]] = []
    yield steps.append
    for step in reversed(steps):
        step()


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """broker: a certificate for broker.example, and no address. other: for localhost."""
    need("openssl", "openssl")
    authority(tmp_path)
    for name, host in (("broker", "broker.example"), ("other", "localhost")):
        (tmp_path / "san").write_text(f"subjectAltName=DNS:{host}")
        certificate(tmp_path, name)
    return tmp_path


def serving(folder: Path, name: str) -> Mosquitto:
    made = folder / f"broker-{name}"
    made.mkdir()
    return Mosquitto(
        made, f"allow_anonymous true\ncafile {folder}/ca.pem\ncertfile {folder}/{name}.pem\n"
        f"keyfile {folder}/{name}.key",
    )  # fmt: skip


def test_a_broker_that_is_named_by_its_address_has_to_have_the_pinned_name(
    folder: Path, ends: Callable[[Callable[[], object]], None]
) -> None:
    broker = serving(folder, "broker")
    ends(broker.kill)
    url, ca = f"mqtts://127.0.0.1:{broker.port}", f"{folder}/ca.pem"
    for name in ("", "other.example"):
        agent = Agent(Broker(url, ca=ca, name=name))
        ends(lambda agent=agent: agent.publisher.stop(0.1))  # type: ignore[misc]
        assert agent.heard("certificate is not trusted"), agent.said
        assert not agent.publisher.connected
    agent = Agent(Broker(url, ca=ca, name="broker.example"))
    ends(lambda: agent.publisher.stop(0.1))
    assert agent.connected(), agent.said


@pytest.mark.parametrize("believed", [True, False])
def test_a_server_that_the_broker_names_has_to_have_its_own_name(
    folder: Path, ends: Callable[[Callable[[], object]], None], believed: bool
) -> None:
    broker = serving(folder, "other" if believed else "broker")
    ends(broker.kill)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(folder / "broker.pem", folder / "broker.key")
    first = HostileBroker(context)
    ends(first.close)
    named = text(0x1C, b"localhost:%d" % broker.port)
    first.turn(lambda one: one.send(connack(named, 0x9C)), after=False)
    url = f"mqtts://127.0.0.1:{first.port}"
    agent = Agent(Broker(url, ca=f"{folder}/ca.pem", name="broker.example"))
    ends(lambda: agent.publisher.stop(0.1))
    assert agent.heard("sends this router to mqtts://localhost"), agent.said
    if believed:
        assert agent.connected(), agent.said
    else:
        assert agent.heard("certificate is not trusted"), agent.said
        assert not agent.publisher.connected and until(lambda: first.connections)


def test_a_name_without_tls_is_a_mistake() -> None:
    with pytest.raises(BrokerError, match="mqtt_name was given"):
        Broker("mqtt://127.0.0.1", name="broker.example")
