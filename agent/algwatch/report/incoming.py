# SPDX-License-Identifier: Apache-2.0
"""Packets that a broker may send to a client that publishes and subscribes to little or nothing.

Every legitimate packet answers one of ours, or has a subscribed topic. The fixed header alone shows
most others, before a byte of the body is gathered; the topic shows the rest. Sans-IO. Section
numbers are of MQTT 5.0 (OASIS, 2019); MQTT 3.1.1 agrees on all that is used here.
"""

from __future__ import annotations

from collections.abc import Callable

from algwatch.report.rate import Bucket

READ = 4096  # bytes to read from the socket at a time
# Bytes of a packet with its fixed header (3.1.2.11.4). CONNACK and PUBACK with properties have some
# hundred; a broker must leave out a reason string or user property beyond the limit.
MAX_PACKET = 4096
# Packets without a cause of ours: at once, and a second. PINGRESP comes once a second at most
# (3.2.2.3.14).
UNASKED = (20, 2.0)
# PUBLISH to subscribed topics: more than anybody sends on purpose, and little to drop.
ASKED = (100, 10.0)

CONNACK, PUBLISH, PUBACK, SUBACK, PINGRESP, DISCONNECT = 2, 3, 4, 9, 13, 14
_NAMES = (
    "packet type 0", "CONNECT", "CONNACK", "PUBLISH", "PUBACK", "PUBREC", "PUBREL", "PUBCOMP",
    "SUBSCRIBE", "SUBACK", "UNSUBSCRIBE", "UNSUBACK", "PINGREQ", "PINGRESP", "DISCONNECT", "AUTH",
)  # fmt: skip
# Bytes of a body: the least, and with MQTT 3.1.1 the most (sections 3.2, 3.4, 3.13, 3.14).
_LEAST = {CONNACK: 2, PUBLISH: 2, PUBACK: 2, SUBACK: 3, PINGRESP: 0, DISCONNECT: 0}
_PUBACK = frozenset((0, 16, 128, 131, 135, 144, 145, 151, 153))  # its reasons (3.4.2.1)
_MOST_311 = {CONNACK: 2, PUBACK: 2, SUBACK: 3, PINGRESP: 0}


class Misbehaviour(Exception):
    """The broker sent a packet no broker sends; the text continues a sentence after the broker's
    name."""


class Incoming:
    """Turns bytes from the broker into whole packets that answer ours.

    mqtt5: the version of the connection. is_owed: whether a PUBACK with this id is due. now:
    monotonic seconds. ready: bytes of checked, whole packets. since: the first byte of an
    incomplete packet, None without one. code: of CONNACK, None before it. reasons: of PUBACK by its
    id, unless 0 (3.4.2.1); paho 1.6 does not pass them on. goodbye: DISCONNECT came. topics:
    PUBLISH passes for these, with QoS 0, as subscribed. asked: topic by the id of a SUBSCRIBE
    without answer; denied: refused topics (3.9.3).
    """

    __slots__ = ("_asked", "_is_owed", "_mqtt5", "_now", "_part", "_unasked", "asked", "code",
                 "denied", "goodbye", "ready", "reasons", "since", "topics")  # fmt: skip

    def __init__(
        self, mqtt5: bool, is_owed: Callable[[int], bool], now: Callable[[], float]
    ) -> None:
        self._mqtt5 = mqtt5
        self._is_owed = is_owed
        self._now = now
        self._part = bytearray()
        self._unasked = Bucket(UNASKED, now())
        self._asked = Bucket(ASKED, now())
        self.topics: frozenset[bytes] = frozenset()
        self.asked: dict[int, str] = {}
        self.denied: list[str] = []
        self.ready = bytearray()
        self.since: float | None = None
        self.code: int | None = None
        self.goodbye = False
        self.reasons: dict[int, int] = {}

    def feed(self, data: bytes) -> None:
        """Raises Misbehaviour; the connection is useless then."""
        part = self._part
        part += data
        while part:
            head, body = self._head()
            if not head or len(part) < head + body:
                break
            if self._passes(part[0], memoryview(bytes(part[head : head + body]))):
                if part[0] >> 4 == PUBACK and body > 2 and part[head + 2] not in _PUBACK:
                    # paho ends at a reason it does not know; `reasons` has it.
                    self.ready += b"\x40\2" + part[head : head + 2]
                else:
                    self.ready += part[: head + body]
            del part[: head + body]
            self.since = None
        if part and self.since is None:
            self.since = self._now()

    def take(self, most: int) -> bytes:
        """At most this many of the ready bytes."""
        data = bytes(self.ready[:most])
        del self.ready[:most]
        return data

    def _head(self) -> tuple[int, int]:
        """Lengths of fixed header (0: incomplete) and body, both checked (2.1)."""
        part = self._part
        kind, name = part[0] >> 4, _NAMES[part[0] >> 4]
        if kind == SUBACK and not self.asked:
            raise Misbehaviour(f"sent {name}, which answers nothing of ours")
        if kind not in _LEAST or (kind == DISCONNECT and not self._mqtt5):
            raise Misbehaviour(f"sent {name}, which answers nothing of ours")
        if self.code is None and kind != CONNACK:
            raise Misbehaviour(f"sent {name} before CONNACK")
        if self.code is not None and kind == CONNACK:
            raise Misbehaviour("sent CONNACK twice")
        if part[0] & 15 and kind != PUBLISH:
            raise Misbehaviour(f"sent a malformed {name} (flags {part[0] & 15})")
        size, at = 0, 1
        while at < len(part):
            size |= (part[at] & 127) << 7 * (at - 1)
            at += 1
            if part[at - 1] < 128:
                break
            if at == 5:
                raise Misbehaviour(f"sent {name} with a length that is no length")
        else:
            return 0, 0
        if at + size > MAX_PACKET:
            raise Misbehaviour(f"sent {name}, {at + size} bytes long: more than {MAX_PACKET}")
        most = MAX_PACKET if self._mqtt5 else _MOST_311.get(kind, MAX_PACKET)
        if kind == PINGRESP:
            most = 0
        if not _LEAST[kind] <= size <= most:
            raise Misbehaviour(f"sent a malformed {name} ({size} bytes)")
        return at, size

    def _is_wanted(self, body: memoryview) -> bool:
        return bytes(body[2 : 2 + (body[0] << 8 | body[1])]) in self.topics

    def _passes(self, first: int, body: memoryview) -> bool:
        kind = first >> 4
        if kind == CONNACK:
            self.code = body[1]
        elif kind == PUBACK:
            number = body[0] << 8 | body[1]
            if not self._is_owed(number):
                raise Misbehaviour(f"sent PUBACK for a report that was not sent ({number})")
            if len(body) > 2 and body[2]:
                self.reasons[number] = body[2]
        elif kind == DISCONNECT:
            self.goodbye = True
        elif kind == SUBACK:
            topic = self.asked.pop(body[0] << 8 | body[1], None)
            if topic is None:
                raise Misbehaviour("sent SUBACK for what was not subscribed to")
            if body[-1] >= 128:
                self.denied.append(topic)
        elif kind == PUBLISH and not first & 6 and self._is_wanted(body):
            # The reader of the commands has a limit of its own.
            if not self._asked.take(self._now()):
                raise Misbehaviour("sends commands without an end")
        elif kind in (PUBLISH, PINGRESP):
            if not self._unasked.take(self._now()):
                raise Misbehaviour(
                    f"sends one {_NAMES[kind]} after the other, which we did not ask for"
                )
            # Some brokers subscribe their clients to something: ignore it.
            return kind != PUBLISH
        return True
