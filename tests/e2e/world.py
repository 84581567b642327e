# SPDX-License-Identifier: Apache-2.0
"""A broker, an ingester and an agent in a network of their own, for the faults between them."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
import time
from contextlib import suppress
from pathlib import Path
from typing import Any

import paho.mqtt.client as mqtt
from algwatch.report.wire import decode
from brokers import Mosquitto, until
from lab.namespace import Namespace
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties

ROOT = Path(__file__).parents[2]
PAHOS = {"1.6.1": ROOT / "build/paho-1.6.1", "2": None}  # None: the one that is installed
EACH = 40  # findings before, during and after a fault


class Ingester:
    """The fleet's side: a durable session with a name of its own, which comes back by itself."""

    def __init__(self, port: int, name: str = "ingest-1") -> None:
        options: dict[str, Any] = {"client_id": name, "protocol": mqtt.MQTTv5}
        if hasattr(mqtt, "CallbackAPIVersion"):
            options["callback_api_version"] = mqtt.CallbackAPIVersion.VERSION2
        self._client = mqtt.Client(**options)
        self._client.reconnect_delay_set(1, 1)
        self._client.on_connect = lambda client, *_: client.subscribe("algwatch/1/#", 1)
        self._client.on_message = self._message
        ready = threading.Event()
        self._client.on_subscribe = lambda *_: ready.set()
        kept = Properties(PacketTypes.CONNECT)
        kept.SessionExpiryInterval = 86400
        self.ids: set[str] = set()
        self.came: dict[int, float] = {}  # number of a finding: when, monotonic seconds
        self.again = 0  # findings that came again
        self.advice: list[dict[str, Any]] = []

        def connects() -> bool:
            with suppress(ConnectionRefusedError):  # of mosquitto's listeners one is the last
                self._client.connect("127.0.0.1", port, clean_start=False, properties=kept)
                return True
            return False

        assert until(connects)
        self._client.loop_start()
        assert ready.wait(10)

    def _message(self, client: Any, userdata: Any, message: Any) -> None:
        body = decode(message.payload)
        if "advice" in body:
            self.advice.append(body)
        if "finding" not in body:
            return
        self.again += body["id"] in self.ids
        self.ids.add(body["id"])
        self.came.setdefault(int(body["finding"]["call_id"]), time.monotonic())

    def close(self) -> None:
        self._client.disconnect()
        self._client.loop_stop()


class World:
    """A broker, an ingester and an agent. told: numbers of the findings that the agent told of.
    said: its lines. mended: when the fault was over, monotonic seconds."""

    def __init__(self, folder: Path, paho: str, quick: bool, network: Namespace) -> None:
        self.folder = folder
        self.network = network
        self.quick = quick
        self.port = 0
        self.told: list[int] = []
        self.said: list[str] = []
        self.mended = time.monotonic()
        self.patience = 40.0 if quick else 300.0
        self._paho = PAHOS[paho]
        self._next = 0
        self.broker: Mosquitto | None = None
        self.ingester: Ingester | None = None
        self._agents: list[subprocess.Popen[str]] = []

    def serve(
        self, extra: str = "", ingest: int = 0, users: str = "allow_anonymous true"
    ) -> Mosquitto:
        """Start mosquitto and the ingester. ingest: port of a listener for the latter, 0: the
        one that there is. users: who may connect."""
        self.broker = Mosquitto(self.folder, f"{users}\n{extra}")
        self.port = self.broker.port
        self.ingester = Ingester(ingest or self.port)
        return self.broker

    def agent(self, url: str = "", **options: object) -> None:
        """Start one, on the spool of the one before."""
        path = [str(self._paho)] if self._paho else []
        given = {
            "url": url or f"mqtt://127.0.0.1:{self.port}", "spool": str(self.folder / "spool"),
            "boot": f"{len(self._agents) + 1:016x}", "quick": self.quick, **options,
        }  # fmt: skip
        agent = subprocess.Popen(
            [sys.executable, str(Path(__file__).with_name("reporter.py")), json.dumps(given)],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
            env=dict(os.environ, PYTHONPATH=os.pathsep.join([*path, str(ROOT / "agent")])),
        )  # fmt: skip
        self._agents.append(agent)
        threading.Thread(target=self._read, args=(agent,), daemon=True).start()

    def _read(self, agent: subprocess.Popen[str]) -> None:
        assert agent.stdout is not None
        for line in agent.stdout:
            word, _, rest = line.rstrip("\n").partition(" ")
            if word == "told":
                self.told.append(int(rest))
            else:
                self.said.append(rest)

    def order(self, line: str) -> None:
        pipe = self._agents[-1].stdin
        assert pipe is not None
        pipe.write(line + "\n")
        pipe.flush()

    def find(self, count: int = EACH) -> None:
        """The agent finds something so often, and has told of it."""
        self.order(f"find {self._next} {count}")
        self._next += count
        assert until(lambda: len(self.told) == self._next, 60), (len(self.told), self.said)

    def heard(self, word: str, seconds: float = 20.0) -> None:
        assert until(lambda: any(word in line for line in list(self.said)), seconds), self.said

    def end_agent(self) -> None:
        """kill -9."""
        self._agents[-1].kill()
        self._agents[-1].wait()

    @property
    def missing(self) -> list[int]:
        came = self.ingester.came if self.ingester is not None else {}
        return [number for number in list(self.told) if number not in came]

    def arrived(self) -> None:
        """All so far."""
        assert until(lambda: not self.missing, self.patience), (self.missing, self.said)

    @property
    def advised(self) -> bool:
        """The advice of the latest agent has arrived."""
        assert self.ingester is not None
        return any(body["boot"] == f"{len(self._agents):016x}" and body["advice"]
                   for body in list(self.ingester.advice))  # fmt: skip

    def mend(self) -> None:
        self.mended = time.monotonic()

    def close(self) -> None:
        for agent in self._agents:
            agent.kill()
            agent.communicate()
        if self.ingester is not None:
            self.ingester.close()
        if self.broker is not None:
            self.broker.kill()
