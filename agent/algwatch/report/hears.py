# SPDX-License-Identifier: Apache-2.0
"""Hears: the few topics that this router subscribes to, where its configuration asks for any.

With QoS 0: what a broker has kept for a router that was away is too old to be obeyed, and there is
nothing to acknowledge.
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
    """say: prints one line for a person. facts: what the fleet knows, None where that is not asked
    for. Whoever wants to hear anything derives from it."""

    facts: Any = None

    def __init__(self, say: Callable[[str], None]) -> None:
        self._say = say
        self._wanted: dict[str, None] = {}
        self._incoming: Incoming | None = None  # of the connection that has the topics below
        self._subscribed: set[str] = set()
        self._told: set[str] = set()

    def start(self, publisher: Publisher) -> None:
        """The publisher starts, and answers can be sent."""

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
        """What this connection has not subscribed to yet. To be called now and then. client: of
        report/paho.py."""
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
        """paho's callback. Response Topic is not looked at: answers have a topic of their own."""
        properties = getattr(message, "properties", None)
        correlation = getattr(properties, "CorrelationData", b"")
        self.heard(message.topic, bytes(message.payload), bool(message.retain),
                   correlation if isinstance(correlation, bytes) else b"")  # fmt: skip
