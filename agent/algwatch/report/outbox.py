# SPDX-License-Identifier: Apache-2.0
"""The outbox: reports that the broker has not acknowledged yet, in memory, bounded.

paho's own queue has no bound, and forgets nothing when the connection is lost; so paho gets a
handful of messages at a time and the rest waits here. A report leaves on acknowledgement only.
When it is full the oldest report goes, and a counter says so.
"""

from __future__ import annotations

from threading import Lock


class Outgoing:
    """One message to publish. expires: monotonic seconds after which it is worthless, or None;
    expiry: the same as seconds from publishing, for MQTT 5."""

    __slots__ = ("expires", "expiry", "in_flight", "payload", "retain", "topic")

    def __init__(
        self,
        topic: str,
        payload: bytes,
        retain: bool = False,
        expiry: int | None = None,
        expires: float | None = None,
    ) -> None:
        self.topic = topic
        self.payload = payload
        self.retain = retain
        self.expiry = expiry
        self.expires = expires
        self.in_flight = False

    @property
    def size(self) -> int:
        return len(self.topic) + len(self.payload)


class Outbox:
    """max_bytes bounds topics and payloads, max_count the messages. Any thread may call."""

    def __init__(self, max_bytes: int, max_count: int = 1000) -> None:
        self._max_bytes = max_bytes
        self._max_count = max_count
        self._lock = Lock()
        self._waiting: dict[int, Outgoing] = {}  # in the order in which they came
        self._next = 0
        self.size = 0
        self.dropped = 0
        self.expired = 0
        self.refused = 0

    def __len__(self) -> int:
        return len(self._waiting)

    def put(self, message: Outgoing) -> None:
        """Queue a message at the end, at the cost of the oldest."""
        with self._lock:
            self._waiting[self._next] = message
            self._next += 1
            self.size += message.size
            while len(self._waiting) > self._max_count or self.size > self._max_bytes:
                self._delete(self._oldest())
                self.dropped += 1

    def take(self, now: float) -> tuple[int, Outgoing] | None:
        """The first message that is not in flight, now marked so, and its number; or None."""
        with self._lock:
            for number, message in list(self._waiting.items()):
                if message.in_flight:
                    continue
                if message.expires is not None and now >= message.expires:
                    self._delete(number)
                    self.expired += 1
                    continue
                message.in_flight = True
                return number, message
        return None

    def acknowledged(self, number: int, refused: bool = False) -> None:
        """The broker has it (or refused it for good: counted); it is deleted."""
        with self._lock:
            if number in self._waiting:
                self._delete(number)
                self.refused += refused

    def connection_lost(self) -> None:
        """Messages in flight are to be sent again."""
        with self._lock:
            for message in self._waiting.values():
                message.in_flight = False

    def supersede(self, topic: str) -> None:
        """Nothing older may reach this topic: a newer message goes past the outbox."""
        with self._lock:
            for number, message in list(self._waiting.items()):
                if message.topic == topic:
                    self._delete(number)
                    self.expired += 1

    @property
    def is_half_empty(self) -> bool:
        return 2 * self.size <= self._max_bytes and 2 * len(self._waiting) <= self._max_count

    def _oldest(self) -> int:
        # A message in flight has probably arrived: dropping it would count a loss that is none.
        for number, message in self._waiting.items():
            if not message.in_flight:
                return number
        return next(iter(self._waiting))

    def _delete(self, number: int) -> None:
        self.size -= self._waiting.pop(number).size
