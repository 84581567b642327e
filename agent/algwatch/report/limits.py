# SPDX-License-Identifier: Apache-2.0
"""Limits: what a broker takes, by its own word (MQTT 5 section 3.2.2.3) or by its refusals.

A report that is too long goes without a part of its evidence, and where nothing is retained,
reports go unretained. Neither is a reason to lose a finding.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

WINDOW = 10  # messages held by paho at a time
LEAST_PACKET = 1024  # bytes; a broker with a lower limit does not even take the birth message
HEAD = 64  # bytes of a packet beside topic and payload, at most
LEARNT = 3600.0  # seconds; a limit that showed in a refusal is forgotten then
NO_RETAIN = 154  # CONNACK: the last will is a retained message


class Limits:
    """Kept over connections. window: unacknowledged reports at a time. retains: the broker takes
    retained messages. unfit: why it takes no report, "" if it does."""

    __slots__ = ("_largest", "_learnt", "_until", "retains", "unfit", "window")

    def __init__(self) -> None:
        self.window = WINDOW
        self.retains = True
        self.unfit = ""
        self._largest = self._learnt = 0  # bytes of a packet; 0: any
        self._until = 0.0

    def welcome(self, properties: Any) -> None:
        """properties: of CONNACK with reason 0; None with MQTT 3.1.1."""
        receive = getattr(properties, "ReceiveMaximum", WINDOW)
        self.window = min(WINDOW, receive)
        self._largest = getattr(properties, "MaximumPacketSize", 0)
        if properties is not None:
            self.retains = bool(getattr(properties, "RetainAvailable", 1))
        self.unfit = ""
        if receive == 0:  # section 3.2.2.3.3: a protocol error
            self.unfit = "takes no reports (Receive Maximum 0)"
        elif 0 < self._largest < LEAST_PACKET:
            self.unfit = f"takes packets of at most {self._largest} bytes: reports are longer"
        elif getattr(properties, "MaximumQoS", 2) == 0:
            self.unfit = "takes only QoS 0: reports are to be acknowledged"

    def room(self, topic: str, now: float) -> int:
        """Bytes of a payload for this topic, 0 for any. now: monotonic seconds."""
        if now >= self._until:
            self._learnt = 0
        limits = [limit for limit in (self._largest, self._learnt) if limit]
        return max(1, min(limits) - HEAD - len(topic.encode())) if limits else 0

    def too_large(self, topic: str, size: int, now: float) -> bool:
        """The broker has refused a payload of so many bytes. True for the first time."""
        first = not self._learnt
        self._learnt = size - 1 + HEAD + len(topic.encode())
        self._until = now + LEARNT
        return first
