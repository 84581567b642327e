# SPDX-License-Identifier: Apache-2.0
"""Refusals: topics and reports refused by the broker now, so they are not sent again and again.

A topic denied by the broker's ACL rests for an hour, and the others go on: mosquitto closes the
connection after a denial, so one such topic would end each connection. A broker without room (MQTT
5 section 3.4.2.1, Quota exceeded) is left alone for a while, longer each time, and then gets one
report. A broker throws away findings without a subscriber, and says so with MQTT 5 (section
3.4.2.1, No matching subscribers): after a restart of the broker its readers may return later than a
router. Such reports wait in the outbox. After each pause one report goes, and the others once it
was taken.
"""

from __future__ import annotations

DENIED = 3600.0  # seconds of rest for a topic
PAUSE = 60.0, 1800.0  # seconds after the first and after the last of many times without room
UNHEARD = 2.0, 1800.0  # the same without a subscriber
PROBED = 60.0  # seconds for the one report
# Reason codes of PUBACK (MQTT 5 section 3.4.2.1).
NOBODY, NOT_AUTHORIZED, NO_ROOM = 16, 135, 151
TOO_LARGE = 149  # no reason of PUBACK, but mosquitto's for more than its message_size_limit
REASONS = {
    128: "Unspecified error", 131: "Implementation specific error", 144: "Topic Name invalid",
    NOT_AUTHORIZED: "Not authorized", NO_ROOM: "Quota exceeded", 153: "Payload format invalid",
}  # fmt: skip


class Refusals:
    """now: monotonic seconds. is_full: the broker had no room, and has taken nothing since."""

    __slots__ = ("_probed", "_rests", "_times", "_unheard", "_until")

    def __init__(self) -> None:
        self._rests: dict[str, float] = {}  # topics, and the end of their rest
        self._probed: set[str] = set()  # resting topics with the one report on its way
        self._times = self._unheard = 0
        self._until = 0.0

    @property
    def is_full(self) -> bool:
        return self._times > 0

    def allows(self, topic: str, now: float) -> bool:
        """True if one report may go to this topic; the caller sends it."""
        if now < self._until or now < self._rests.get(topic, 0.0):
            return False
        if topic in self._rests:
            self._probed.add(topic)
            self._rests[topic] = now + PROBED
        return True

    def pauses(self, now: float) -> bool:
        return now < self._until

    def denied(self, topic: str, now: float) -> bool:
        """True for the first refusal of the reports on their way."""
        return self._rest(topic, now + DENIED)

    def unheard(self, topic: str, now: float) -> bool:
        """The topic has no subscriber. True for the first time since a report was taken."""
        pause = min(UNHEARD[1], UNHEARD[0] * float(2 ** min(self._unheard, 10)))
        if self._rest(topic, now + pause):
            self._unheard += 1
            return self._unheard == 1
        return False

    def full(self, now: float) -> float:
        """Seconds of the new pause, 0 during an old one."""
        if self.pauses(now):
            return 0.0
        self._times += 1
        pause = min(PAUSE[1], PAUSE[0] * float(2 ** min(self._times - 1, 10)))
        self._until = now + pause
        return pause

    def taken(self, topic: str, now: float) -> None:
        """The broker has acknowledged a report. During a pause this may be a report sent before
        it."""
        if not self.pauses(now):
            self._times = 0
        if self._rests.pop(topic, None) is not None:
            self._probed.discard(topic)
            self._unheard = 0

    def _rest(self, topic: str, until: float) -> bool:
        """False if the topic rests already, and the refused report was sent before."""
        if topic in self._rests and topic not in self._probed:
            return False
        self._probed.discard(topic)
        self._rests[topic] = until
        return True
