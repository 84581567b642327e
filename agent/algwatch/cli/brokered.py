# SPDX-License-Identifier: Apache-2.0
"""A broker on the command line, for the tools of an operator: options, and a short connection."""

from __future__ import annotations

import os
import queue
import time
from types import TracebackType

from algwatch.report import paho
from algwatch.report.broker import Broker, BrokerError
from algwatch.report.wire import CONTENT_TYPE

TYPE_CHECKING = False
if TYPE_CHECKING:
    import argparse
    from typing import Any

PATIENCE = 15.0  # seconds for each step


def add(parser: argparse.ArgumentParser) -> None:
    """The broker's options."""
    parser.add_argument("--broker", default="mqtt://127.0.0.1", metavar="URL",
                        help="mqtt://HOST[:1883] or mqtts://HOST[:8883]; default: "
                        "%(default)s")  # fmt: skip
    parser.add_argument("--broker-user", default="", metavar="NAME",
                        help="the password is read from ALGWATCH_MQTT_PASSWORD")  # fmt: skip
    for name, what in (("ca", "authorities"), ("cert", "certificate"), ("cert-key", "its key")):
        parser.add_argument(f"--{name}", default="", metavar="PEM", help=f"file of the {what}")
    parser.add_argument("--name", default="", help="that the broker's certificate must have")
    parser.add_argument("--mqtt3", action="store_true", help="MQTT 3.1.1")


def broker(args: argparse.Namespace) -> Broker:
    """BrokerError."""
    password = os.environ.get("ALGWATCH_MQTT_PASSWORD", "")
    return Broker(args.broker, args.broker_user, password, args.ca, args.cert, args.cert_key,
                  args.name)  # fmt: skip


class Session:
    """A connection; BrokerError, OSError. mqtt3: MQTT 3.1.1 instead of 5."""

    def __init__(self, broker: Broker, mqtt3: bool = False) -> None:
        self._broker, self._mqtt3 = broker, mqtt3
        self._got: queue.Queue[tuple[str, bytes, bytes]] = queue.Queue(1000)
        self._mqtt, self._properties, self._packets = paho.load()
        self._client: Any = None
        self._code: int | None = None
        self._done: set[int] = set()

    def __enter__(self) -> Session:
        mqtt = self._mqtt
        options: dict[str, Any] = {"protocol": mqtt.MQTTv311 if self._mqtt3 else mqtt.MQTTv5}
        if hasattr(mqtt, "CallbackAPIVersion"):
            options["callback_api_version"] = mqtt.CallbackAPIVersion.VERSION2
        client = self._client = mqtt.Client(**options)
        client.on_connect = self._connected
        client.on_message = self._message
        client.on_subscribe = lambda c, u, mid, *_: self._done.add(mid)
        client.on_publish = lambda c, u, mid, *_: self._done.add(mid)
        if self._broker.user:
            client.username_pw_set(self._broker.user, self._broker.password or None)
        context = self._broker.context()
        if context is not None:
            client.tls_set_context(context)
        client.connect(self._broker.host, self._broker.port)
        client.loop_start()
        self._until(lambda: self._code is not None, "no answer to CONNECT")
        if self._code:
            raise BrokerError(f"refused the connection (reason {self._code})")
        return self

    def __exit__(self, kind: type[BaseException] | None, problem: BaseException | None,
                 trace: TracebackType | None) -> None:  # fmt: skip
        self._client.disconnect()
        self._client.loop_stop()

    def subscribe(self, topic: str) -> None:
        _, mid = self._client.subscribe(topic, 1)
        self._until(lambda: mid in self._done, f"no answer to SUBSCRIBE {topic}")

    def publish(self, topic: str, payload: bytes, retain: bool = False,
                correlation: bytes = b"") -> None:  # fmt: skip
        properties = None
        if not self._mqtt3:
            properties = self._properties(self._packets.PUBLISH)
            properties.ContentType = CONTENT_TYPE
            if correlation:
                properties.CorrelationData = correlation
        info = self._client.publish(topic, payload, 1, retain, properties=properties)
        self._until(lambda: info.mid in self._done, f"no answer to PUBLISH {topic}")

    def next(self, end: float) -> tuple[str, bytes, bytes] | None:
        """The next message (topic, payload, Correlation Data); None at `end`, monotonic seconds."""
        try:
            return self._got.get(timeout=max(0.01, end - time.monotonic()))
        except queue.Empty:
            return None

    def _until(self, true: Any, otherwise: str) -> None:
        end = time.monotonic() + PATIENCE
        while not true():
            if time.monotonic() > end:
                raise BrokerError(otherwise)
            time.sleep(0.01)

    def _connected(self, client: Any, userdata: Any, flags: Any, code: Any, *_: Any) -> None:
        self._code = int(getattr(code, "value", code))

    def _message(self, client: Any, userdata: Any, message: Any) -> None:
        correlation = getattr(getattr(message, "properties", None), "CorrelationData", b"")
        try:
            self._got.put_nowait((message.topic, bytes(message.payload), correlation or b""))
        except queue.Full:
            return
