# SPDX-License-Identifier: Apache-2.0
"""Growth: take the router's memory, from the network or from the broker's side."""

from __future__ import annotations

import contextlib
import select
import socket
import struct
import threading
import time
from collections.abc import Callable
from typing import Any

from ..stage import Attempt, Stage, dying
from ..wire import Address, ipv4, tcp
from .blindness import OWN

LARGE = 60_000  # bytes of a message
HOSTILE = 4.0  # seconds before the broker behaves


def _padded(stage: Stage, host: str, method: str = "INVITE", **how: Any) -> bytes:
    line = f"Subject: {stage.token()}{'x' * 900}"
    return stage.request(method, host, more=[line] * (LARGE // 930), **how)


def _large_of_lan(stage: Stage) -> None:
    def send(number: int) -> None:
        source = (stage.lan_host, 5060 + number % 40)
        stage.lan.udp(source, stage.registrar, _padded(stage, stage.lan_host), ident=number + 1)

    stage.repeat(25, send)


def _large_of_many(stage: Stage) -> None:
    def send(number: int) -> None:
        source = (f"100.65.{number // 250 % 250}.{number % 250}", 5060)
        stage.wan.udp(source, stage.mapped, _padded(stage, source[0]), ttl=60, ident=number + 1)

    stage.repeat(25, send)


def _large_of_dialog(stage: Stage) -> None:
    """60 kB requests in the call's own dialog, from its own provider's address."""
    if not stage.wait_answered():
        return
    final = stage.final

    def send(number: int) -> None:
        made = _padded(
            stage, stage.draw.provider_ip, "INFO", caller=final.get("From"),
            callee=final.get("To"), call_id=final.get("Call-ID"), cseq=number + 2,
        )  # fmt: skip
        stage.wan.udp(stage.registrar, stage.mapped, made, ttl=60, ident=number + 1)

    stage.repeat(25, send)


def _streams(stage: Stage) -> None:
    """TCP streams whose messages never end."""
    head = stage.request("INVITE", stage.lan_host)
    head = head.replace(b"Content-Length: 0", b"Content-Length: 65000")

    def send(number: int) -> None:
        source: Address = (stage.lan_host, 20000 + number % 200)
        step, size = number // 200, 1400
        data = (head if step == 0 else b"").ljust(size, b"x")
        stage.lan.packet(
            ipv4(source[0], stage.draw.provider_ip, 6,
                 tcp(source, stage.registrar, data, seq=1 + step * size))
        )  # fmt: skip

    stage.repeat(1000, send)


def _many_media(stage: Stage) -> None:
    body = b"v=0\r\no=- 1 1 IN IP4 192.0.2.1\r\ns=-\r\nc=IN IP4 192.0.2.1\r\nt=0 0\r\n"
    body += b"m=audio 4000 RTP/AVP 0\r\na=x\r\n" * 1500

    def send(number: int) -> None:
        made = stage.request("INVITE", stage.lan_host, body=body)
        source = (stage.lan_host, 5060 + number % 40)
        stage.lan.udp(source, stage.registrar, made, ident=number + 1)

    stage.repeat(20, send)


# ---- the broker's side ----


def _version(connect: bytes) -> int:
    """Protocol level of an MQTT CONNECT."""
    at = connect.find(b"MQTT")
    return connect[at + 4] if 0 <= at < len(connect) - 4 else 4


def _connack(connect: bytes) -> bytes:
    return b"\x20\x03\x00\x00\x00" if _version(connect) == 5 else b"\x20\x02\x00\x00"


def _length(value: int) -> bytes:
    made = b""
    while True:
        value, digit = divmod(value, 128)
        made += bytes([digit | (0x80 if value else 0)])
        if not value:
            return made


def _publish(size: int, qos: int = 0, properties: bytes = b"\x00") -> bytes:
    topic = b"\x00\x01a" + (b"\x00\x01" if qos else b"")
    return (
        bytes([0x30 | qos << 1]) + _length(len(topic) + len(properties) + size) + topic + properties
    )


Hostile = Callable[[socket.socket, bytes], None]


def _one_large(client: socket.socket, connect: bytes) -> None:
    client.sendall(_connack(connect) + _publish(200_000_000))
    for _ in range(1600):
        client.sendall(bytes(65536))


def _flood(client: socket.socket, connect: bytes) -> None:
    client.sendall(_connack(connect))
    packet = _publish(60_000, 1) + bytes(60_000)
    for _ in range(4000):
        client.sendall(packet)


def _small_flood(client: socket.socket, connect: bytes) -> None:
    client.sendall(_connack(connect))
    for _ in range(4000):
        client.sendall((_publish(10) + bytes(10)) * 100)


def _no_length(client: socket.socket, connect: bytes) -> None:
    client.sendall(_connack(connect) + b"\x30" + b"\xff" * 2_000_000)


def _properties(client: socket.socket, connect: bytes) -> None:
    pair = b"\x26" + struct.pack("!H", 100) + b"n" * 100 + struct.pack("!H", 60000) + b"v" * 60000
    many = pair * 500
    body = b"\x00\x00" + _length(len(many)) + many
    client.sendall(b"\x20" + _length(len(body)) + body)


def _reset(client: socket.socket, connect: bytes) -> None:
    client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))


def _mute(client: socket.socket, connect: bytes) -> None:
    time.sleep(HOSTILE)


def _nonsense(client: socket.socket, connect: bytes) -> None:
    client.sendall(_connack(connect) + b"\xf0\x00\x00\xff\x03abc\x40\x00\x62\x00" * 1000)


class Between:
    """Takes the agent's connections: hostile at first, then the way to the real broker."""

    def __init__(self, stage: Stage, hostile: Hostile) -> None:
        self._hostile = hostile
        self._stage = stage
        self._until = time.monotonic() + HOSTILE
        with stage.net.router:
            self._listener = socket.create_server(("127.0.0.1", 0))
        stage.agent.mqtt_port = self._listener.getsockname()[1]
        threading.Thread(target=self._run, daemon=True).start()

    def _run(self) -> None:
        with self._stage.net.router:  # of this thread: where the broker listens
            while not self._stage.gone.is_set():
                client, _ = self._listener.accept()
                serve = self._attack if time.monotonic() < self._until else self._relay
                with contextlib.suppress(OSError):
                    serve(client)
                client.close()

    def _attack(self, client: socket.socket) -> None:
        client.settimeout(HOSTILE)
        self._stage.sent += 1
        self._hostile(client, client.recv(4096))

    def _relay(self, client: socket.socket) -> None:
        with socket.create_connection(("127.0.0.1", self._stage.agent.port)) as broker:
            other = {client: broker, broker: client}
            while True:
                for ready in select.select(list(other), [], [], 1.0)[0]:
                    data = ready.recv(65536)
                    if not data:
                        return
                    other[ready].sendall(data)


def between(hostile: Hostile) -> Callable[[Stage], None]:
    def before(stage: Stage) -> None:
        Between(stage, hostile)

    return before


def _wait(stage: Stage) -> None:
    stage.over.wait()


def _attempts() -> list[Attempt]:
    network = {
        "large-of-lan": (_large_of_lan, "calls of 60 kB a message, of a LAN host"),
        "large-of-many": (_large_of_many, "the same from spoofed addresses"),
        "large-of-dialog": (_large_of_dialog, "60 kB requests in the call's own dialog"),
        "streams": (_streams, "TCP streams whose messages never end"),
        "many-media": (_many_media, "session descriptions of 1,500 media"),
    }
    brokers: dict[str, tuple[Hostile, str]] = {
        "one-large": (_one_large, "one packet of 200 MB"),
        "flood": (_flood, "large packets without end"),
        "small-flood": (_small_flood, "small packets without end"),
        "no-length": (_no_length, "a length that does not end"),
        "properties": (_properties, "30 MB of properties"),
        "reset": (_reset, "a reset after each CONNECT"),
        "mute": (_mute, "no answer at all"),
        "nonsense": (_nonsense, "packets that mean nothing"),
    }
    made = [
        Attempt(name, "growth", dying, aim, attack, may=OWN, quick=name == "large-of-lan")
        for name, (attack, aim) in network.items()
    ]
    made += [
        Attempt(f"broker-{name}", "growth", dying, f"the broker sends {aim}", _wait,
                before=between(hostile), quick=name == "one-large")
        for name, (hostile, aim) in brokers.items()
    ]  # fmt: skip
    return made


ATTEMPTS = _attempts()
