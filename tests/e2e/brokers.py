# SPDX-License-Identifier: Apache-2.0
"""Real brokers for tests: mosquitto on 127.0.0.1, a gate in front of it, a listener behind it."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import threading
import time
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext, suppress
from pathlib import Path
from typing import Any

import paho.mqtt.client as mqtt
import pytest
from algwatch.report.wire import decode

MOSQUITTO = shutil.which("mosquitto", path=f"{os.environ.get('PATH', '')}:/usr/sbin")


def need(program: str | None, name: str) -> str:
    """Skip where a program is missing, but not on the machine that decides."""
    if program is None:
        if os.environ.get("CI") == "true":
            pytest.fail(f"{name} is missing: apt-get install {name}")
        pytest.skip(f"{name} is missing: apt-get install {name}")
    return program


def until(true: Callable[[], object], seconds: float = 30.0) -> bool:
    """Patient: a machine that is busy must not fail a test."""
    end = time.monotonic() + seconds
    while not true():
        if time.monotonic() > end:
            return False
        time.sleep(0.01)
    return True


def free_port() -> int:
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        port: int = sock.getsockname()[1]
        return port


class Mosquitto:
    """extra: more lines for the configuration of the one listener."""

    def __init__(self, folder: Path, extra: str = "allow_anonymous true") -> None:
        self._program = need(MOSQUITTO, "mosquitto")
        self.port = free_port()
        user = "user root\n" if os.geteuid() == 0 else ""
        self._config = folder / "mosquitto.conf"
        self._config.write_text(f"listener {self.port} 127.0.0.1\n{user}{extra}\n")
        self._process: subprocess.Popen[bytes] | None = None
        self.start()

    def start(self) -> None:
        self._process = subprocess.Popen(
            [self._program, "-c", str(self._config)],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        assert until(self._answers), "mosquitto does not listen"

    def _answers(self) -> bool:
        with socket.socket() as sock:
            return sock.connect_ex(("127.0.0.1", self.port)) == 0

    def freeze(self) -> None:
        assert self._process is not None
        self._process.send_signal(signal.SIGSTOP)

    def save(self) -> None:
        """Write what it has to disk."""
        assert self._process is not None
        self._process.send_signal(signal.SIGUSR1)

    def read_again(self) -> None:
        """Its files of users and rules."""
        assert self._process is not None
        self._process.send_signal(signal.SIGHUP)

    def end(self) -> None:
        """As an operator does."""
        assert self._process is not None
        self._process.terminate()
        self._process.wait()
        self._process = None

    def kill(self) -> None:
        """kill -9."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None


class Listener:
    """The view of the fleet's side. reports: (kind, body, retained), in order."""

    def __init__(self, port: int, cpe: str = "cpe1", **login: Any) -> None:
        options: dict[str, Any] = {"protocol": mqtt.MQTTv5}
        if hasattr(mqtt, "CallbackAPIVersion"):
            options["callback_api_version"] = mqtt.CallbackAPIVersion.VERSION2
        self.client = mqtt.Client(**options)
        self.reports: list[tuple[str, dict[str, Any], bool]] = []
        self.properties: list[Any] = []
        self.qos: list[int] = []
        ready = threading.Event()
        self.client.on_message = self._message
        self.client.on_subscribe = lambda *_: ready.set()
        if "user" in login:
            self.client.username_pw_set(login["user"], login["password"])
        if "context" in login:
            self.client.tls_set_context(login["context"])
        self.client.connect("127.0.0.1", port)
        self.client.loop_start()
        self.client.subscribe(f"algwatch/1/{cpe}/#", 1)
        assert ready.wait(10)

    def _message(self, client: Any, userdata: Any, message: Any) -> None:
        if message.topic.endswith("/cmd"):
            return  # no report
        body = decode(message.payload)
        assert message.topic.startswith(f"algwatch/1/{body['cpe']}/")
        self.properties.append(message.properties)
        self.qos.append(message.qos)
        self.reports.append((message.topic.rpartition("/")[2], body, bool(message.retain)))

    def of(self, kind: str) -> list[dict[str, Any]]:
        return [body for name, body, _ in list(self.reports) if name == kind]

    def close(self) -> None:
        self.client.disconnect()
        self.client.loop_stop()


class Gate:
    """A TCP proxy on a port of its own. shut() refuses connections and cuts the ones it has.

    old: how it receives MQTT 5, as a broker of yesteryear: "" lets it through, "refuse" answers
    as MQTT 3.1.1 section 3.1.2.2 asks, "close" just closes the connection. "taken" is not old:
    it accepts, and then says that another client took the session (MQTT 5 section 3.14.2.1).
    port: 0 for a free one.
    """

    def __init__(self, target: int, old: str = "", port: int = 0) -> None:
        self._target = target
        self._old = old
        self.port = port or free_port()
        self.deaf = False  # nothing comes back from the broker
        # The network namespace of the broker.
        self.inside: Callable[[], AbstractContextManager[None]] = nullcontext
        self.levels: list[int] = []  # protocol levels that were tried
        self._sockets: list[socket.socket] = []
        self._listening: socket.socket | None = None
        self.open()

    def open(self) -> None:
        sock = socket.socket()
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        sock.bind(("127.0.0.1", self.port))
        sock.listen()
        self._listening = sock
        threading.Thread(target=self._accept, args=(sock,), daemon=True).start()

    def shut(self) -> None:
        if self._listening is not None:
            with suppress(OSError):
                self._listening.shutdown(socket.SHUT_RDWR)
            self._listening.close()
            self._listening = None
        for sock in self._sockets:
            with suppress(OSError):
                sock.shutdown(socket.SHUT_RDWR)
            sock.close()
        self._sockets.clear()

    def _accept(self, listening: socket.socket) -> None:
        while True:
            try:
                client, _ = listening.accept()
            except OSError:
                return
            threading.Thread(target=self._serve, args=(client,), daemon=True).start()

    def _serve(self, client: socket.socket) -> None:
        with suppress(OSError):
            first = client.recv(4096)
            name = first.find(b"\x00\x04MQTT")
            level = first[name + 6] if name > 0 else 0
            self.levels.append(level)
            if level == 5 and self._old:
                if self._old == "refuse":
                    client.sendall(b"\x20\x02\x00\x01")
                elif self._old == "taken":
                    client.sendall(b"\x20\x03\x00\x00\x00" + b"\xe0\x07\x8e\x05\x1f\x00\x02hi")
                    client.recv(4096)
                client.close()
                return
            with self.inside():
                server = socket.create_connection(("127.0.0.1", self._target))
            self._sockets += [client, server]
            server.sendall(first)
            threading.Thread(target=self._copy, args=(server, client), daemon=True).start()
            self._copy(client, server, up=True)

    def _copy(self, source: socket.socket, sink: socket.socket, up: bool = False) -> None:
        with suppress(OSError):
            while data := source.recv(65536):
                if up or not self.deaf:
                    sink.sendall(data)
        for sock in (source, sink):
            with suppress(OSError):
                sock.shutdown(socket.SHUT_RDWR)


def authority(folder: Path) -> None:
    """A CA, a certificate for 127.0.0.1, and one for a router."""
    (folder / "san").write_text("subjectAltName=IP:127.0.0.1")
    _openssl(
        folder, "req", "-x509", *_NEW, "-keyout", "ca.key", "-out", "ca.pem", "-subj", "/CN=CA"
    )
    for name in ("broker", "router"):
        certificate(folder, name)


def certificate(folder: Path, name: str, *words: str) -> None:
    """NAME.pem and NAME.key, of the authority of this folder. words: more, as `-days -1`."""
    made = ("-keyout", f"{name}.key", "-out", f"{name}.csr", "-subj", f"/CN={name}")
    _openssl(folder, "req", *_NEW, *made)
    _openssl(folder, "x509", "-req", "-in", f"{name}.csr", "-CA", "ca.pem", "-CAkey", "ca.key",
             "-CAcreateserial", "-out", f"{name}.pem", "-extfile", "san", *words)  # fmt: skip


_NEW = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes")


def _openssl(folder: Path, *words: str) -> None:
    tool = need(shutil.which("openssl"), "openssl")
    subprocess.run([tool, *words], cwd=folder, check=True, capture_output=True)
