# SPDX-License-Identifier: Apache-2.0
"""Hears: the few topics this router subscribes to, if its configuration asks for any.

QoS 0: a message kept by a broker for an absent router is too old to be obeyed, and nothing needs an
acknowledgement.
"""

from __future__ import annotations

from collections.abc import Callable

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from algwatch.diagnose.finding import Finding
    from algwatch.report.incoming import Incoming
    from algwatch.report.publisher import Publisher

MOST = 24  # topics


class Hears:
    """say: prints one line for a person. facts: the knowledge of the fleet, None if not asked for.
    Base class of every subscriber."""

    facts: Any = None

    def __init__(self, say: Callable[[str], None]) -> None:
        self._say = say
        self._wanted: dict[str, None] = {}
        self._incoming: Incoming | None = None  # of the connection with the topics below
        self._subscribed: set[str] = set()
        self._told: set[str] = set()

    def start(self, publisher: Publisher) -> None:
        """The publisher starts; answers can be sent from now on."""

    def keep(self, finding: Finding) -> None:
        """Every finding, sent or not."""

    def heard(self, topic: str, payload: bytes, retained: bool, correlation: bytes) -> None:
        """A message, with its Correlation Data; in the link's thread."""

    def add(self, topic: str) -> bool:
        """Any thread. False: there are too many."""
        if topic not in self._wanted and len(self._wanted) >= MOST:
            return False
        self._wanted[topic] = None
        return True

    def subscribe(self, client: Any, broker: str) -> None:
        """Subscribe to the topics still missing on this connection. Call it now and then. client:
        of report/paho.py."""
        incoming: Incoming = client.incoming
        if self._incoming is not incoming:
            self._incoming, self._subscribed = incoming, set()
            client.on_message = self._on_message
        for topic in [topic for topic in list(self._wanted) if topic not in self._subscribed]:
            self._subscribed.add(topic)
            incoming.topics |= {topic.encode()}
            _, number = client.subscribe(topic, 0)
            if number is not None:
                incoming.asked[number] = topic
        while incoming.denied:
            topic = incoming.denied.pop()
            if topic not in self._told:
                self._told.add(topic)
                self._say(f"{broker} refuses to let this router read {topic}: check its ACL")

    def _on_message(self, client: Any, userdata: Any, message: Any) -> None:
        """paho's callback. Response Topic is ignored: answers have a topic of their own."""
        properties = getattr(message, "properties", None)
        correlation = getattr(properties, "CorrelationData", b"")
        self.heard(message.topic, bytes(message.payload), bool(message.retain),
                   correlation if isinstance(correlation, bytes) else b"")  # fmt: skip
