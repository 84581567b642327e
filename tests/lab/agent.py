# SPDX-License-Identifier: Apache-2.0
"""Agent: mosquitto, a subscriber and `algwatch run` in the router, as a user starts them."""

from __future__ import annotations

import contextlib
import os
import random
import re
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import msgpack
import paho.mqtt.client as mqtt

from .broker import Broker
from .namespace import Namespace

# The line by which the agent says that its taps are open names both of them.
_OPEN = re.compile(r"\bbr-lan\b.*\bwan\b")
START_TIMEOUT = 60.0  # seconds; a loaded machine starts many interpreters at once


class Agent:
    """reports: list of [seconds since the start, last level of the topic, payload].
    log: what the agent printed, line by line. words: more options of `algwatch run`. port: of the
    broker; mqtt_port: the one that the agent is told, where somebody stands between. reading:
    cleared while nobody reads what the agent prints.
    """

    def __init__(
        self,
        router: Namespace,
        cpe: str,
        privacy_key: Path,
        on_report: Callable[[str, Any], None] | None = None,
        on_line: Callable[[str], None] | None = None,
        words: Sequence[str] = (),
    ) -> None:
        self.router = router
        self.words = list(words)
        self.cpe = cpe
        self.privacy_key = privacy_key  # its own: the machine's is none of the lab's business
        self.reports: list[list[Any]] = []
        self.log: list[str] = []
        self.port = random.randint(20000, 60000)  # the namespace is empty: nothing to collide with
        self._broker = Broker(self.port)
        self.mqtt_port = self.port
        self.reading = threading.Event()
        self.reading.set()
        self._on_report = on_report
        self._on_line = on_line
        self._children: list[subprocess.Popen[str]] = []
        self._client: mqtt.Client | None = None
        self._process: subprocess.Popen[str] | None = None
        self._started = time.monotonic()
        self._subscribed = threading.Event()
        self._open = threading.Event()

    def try_start(self) -> str:
        """As start(), but says in one line why not: the recording is worth having anyway."""
        try:
            self.start()
        except RuntimeError as error:
            return str(error)
        return ""

    def start(self) -> None:
        """Returns when the agent has said that its taps are open. Raises RuntimeError."""
        self._started = time.monotonic()
        self.start_broker()
        self.start_agent()

    def start_broker(self) -> None:
        """The real one, with a subscriber."""
        broker = self.router.start(self._broker.argv)
        self._children.append(broker)
        self._drain(broker, None)
        self._subscribe()

    def start_agent(self) -> None:
        """Once more after the process has ended."""
        self._open.clear()
        env = dict(os.environ, PYTHONUNBUFFERED="1")
        argv = [sys.executable, "-m", "algwatch", "run", "--lan", "br-lan", "--wan", "wan"]
        argv += ["--mqtt", f"mqtt://127.0.0.1:{self.mqtt_port}", "--cpe", self.cpe]
        argv += ["--privacy-key", str(self.privacy_key), *self.words]
        self._process = self.router.start(argv, env)
        self._children.append(self._process)
        self._drain(self._process, self.log)
        end = time.monotonic() + START_TIMEOUT
        while not self._open.wait(0.05):
            if self._process.poll() is not None or time.monotonic() > end:
                raise RuntimeError("the agent did not open its taps: " + " | ".join(self.log))

    def restart(self) -> None:
        """The agent ends, and is started once more."""
        self.process.send_signal(signal.SIGTERM)
        self.process.wait(10)
        self.start_agent()

    @property
    def process(self) -> subprocess.Popen[str]:
        assert self._process is not None
        return self._process

    def _drain(self, child: subprocess.Popen[str], into: list[str] | None) -> None:
        def read() -> None:
            assert child.stdout is not None
            for line in child.stdout:
                self.reading.wait()
                if into is not None:
                    into.append(line.rstrip())
                    if _OPEN.search(line):
                        self._open.set()
                    if self._on_line:
                        self._on_line(line.rstrip())

        threading.Thread(target=read, daemon=True).start()

    def _subscribe(self) -> None:
        if hasattr(mqtt, "CallbackAPIVersion"):  # paho 2
            client = mqtt.Client(mqtt.CallbackAPIVersion.VERSION2, client_id="lab")
        else:
            client = mqtt.Client(client_id="lab")
        client.on_message = self._message
        client.on_subscribe = lambda *_: self._subscribed.set()
        end = time.monotonic() + START_TIMEOUT
        while True:
            try:
                with self.router:
                    client.connect("127.0.0.1", self.port)
                break
            except OSError:
                if time.monotonic() > end:
                    raise
                time.sleep(0.05)
        client.subscribe("algwatch/1/#", qos=1)
        with self.router:  # paho connects a pair of its own over loopback
            client.loop_start()
        self._client = client
        if not self._subscribed.wait(10):
            raise RuntimeError("the broker does not answer")

    def _message(self, client: mqtt.Client, context: Any, message: mqtt.MQTTMessage) -> None:
        root, version, cpe, kind = message.topic.split("/", 3)
        payload = msgpack.unpackb(message.payload)
        if (root, version, cpe) != ("algwatch", "1", self.cpe):
            kind = f"foreign:{message.topic}"
        self.reports.append([round(time.monotonic() - self._started, 3), kind, payload])
        if self._on_report:
            self._on_report(kind, payload)

    def stop(self) -> None:
        """SIGTERM to the agent, which publishes what is pending; then the rest."""
        if self._process is not None and self._process.poll() is None:
            self._process.send_signal(signal.SIGTERM)
            with contextlib.suppress(subprocess.TimeoutExpired):
                self._process.wait(10)
        if self._client is not None:
            time.sleep(0.3)
            self._client.disconnect()
            self._client.loop_stop()
        for child in reversed(self._children):
            if child.poll() is None:
                child.terminate()
                try:
                    child.wait(5)
                except subprocess.TimeoutExpired:
                    child.kill()
                    child.wait()
        self._children.clear()
        self._broker.close()


def verdict_of(reports: list[list[Any]]) -> dict[str, Any]:
    """The last word of the agent over MQTT: one finding a key, the newest advice."""
    findings: dict[Any, dict[str, Any]] = {}
    advice: list[dict[str, Any]] = []
    for _, kind, payload in reports:
        if kind == "finding":
            findings[payload["finding"]["key"]] = payload["finding"]
        elif kind == "advice":
            advice = payload["advice"]
    return {"findings": list(findings.values()), "advice": advice}
