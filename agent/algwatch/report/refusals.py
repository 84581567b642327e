# SPDX-License-Identifier: Apache-2.0
"""Refusals: what the broker does not take now, so that nothing is sent there again and again.

A topic that the broker's ACL denies rests for an hour, and the others go on: mosquitto closes the
connection of a router that was denied, so one such topic would end each connection. A broker that
has no room (MQTT 5 section 3.4.2.1, Quota exceeded) is left alone for a while, longer each time,
and then gets one report. What was refused so waits in the outbox.
"""

from __future__ import annotations

DENIED = 3600.0  # seconds that a topic rests
PAUSE = 60.0, 1800.0  # seconds after the first and after the last of many times without room
# Reason codes of PUBACK (MQTT 5 section 3.4.2.1).
NOT_AUTHORIZED, NO_ROOM = 135, 151
REASONS = {
    128: "Unspecified error", 131: "Implementation specific error", 144: "Topic Name invalid",
    NOT_AUTHORIZED: "Not authorized", NO_ROOM: "Quota exceeded", 153: "Payload format invalid",
}  # fmt: skip


class Refusals:
    """now: monotonic seconds. is_full: the broker had no room, and has taken nothing since."""

    __slots__ = ("_times", "_topics", "_until")

    def __init__(self) -> None:
        self._topics: dict[str, float] = {}  # until when each rests
        self._times = 0
        self._until = 0.0

    @property
    def is_full(self) -> bool:
        return self._times > 0

    def allows(self, topic: str, now: float) -> bool:
        return now >= self._until and now >= self._topics.get(topic, 0.0)

    def pauses(self, now: float) -> bool:
        return now < self._until

    def denied(self, topic: str, now: float) -> bool:
        """True for the first of those that are on their way."""
        first = now >= self._topics.get(topic, 0.0)
        self._topics[topic] = now + DENIED
        return first

    def full(self, now: float) -> float:
        """Seconds of the pause that begins, 0 where one has begun already."""
        if self.pauses(now):
            return 0.0
        self._times += 1
        pause = min(PAUSE[1], PAUSE[0] * float(2 ** min(self._times - 1, 10)))
        self._until = now + pause
        return pause

    def taken(self, topic: str, now: float) -> None:
        """The broker has acknowledged a report. Of those that were on their way when it had no
        room, some may be."""
        if not self.pauses(now):
            self._times = 0
        self._topics.pop(topic, None)
