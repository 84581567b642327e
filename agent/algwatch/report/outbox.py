# SPDX-License-Identifier: Apache-2.0
"""The outbox: reports without an acknowledgement of the broker, or with a recent one.

paho's own queue has no bound, and keeps everything when the connection is lost. So paho gets a
handful of messages at a time and the rest waits here. An acknowledgement is not durability: a
killed broker may lose acknowledged messages. So important ones are kept for a while, and sent again
to a broker that has forgotten this router (MQTT 5 section 3.2.2.1.1, Session Present).

A full outbox drops acknowledged messages first, then health reports and refusals of forged
commands, then findings, the oldest of each first; a counter has the number of unacknowledged ones.
Findings are in the spool, if there is one, and outlive the process there.
"""

from __future__ import annotations

from collections.abc import Callable
from threading import Lock

TYPE_CHECKING = False
if TYPE_CHECKING:
    from algwatch.report.spool import Record, Spool

GRACE = 3600.0  # seconds; acknowledged reports are kept so long; mosquitto saves every 1800 s
_ORDER = {"health": 0, "finding": 1}  # the first kinds to go for want of room


class Outgoing:
    """One message to publish. expires: monotonic seconds, its end of use, or None; expiry: the same
    as seconds from publishing, for MQTT 5. keep: worth sending again to a broker that has lost it.
    again: it was sent again. arrived: the broker has acknowledged it. correlation: of the request
    answered by it (MQTT 5)."""

    __slots__ = ("again", "arrived", "correlation", "data", "expires", "expiry", "in_flight",
                 "keep", "record", "retain", "size", "topic")  # fmt: skip

    def __init__(
        self,
        topic: str,
        payload: bytes,
        retain: bool = False,
        expiry: int | None = None,
        expires: float | None = None,
        keep: bool = False,
        correlation: bytes = b"",
    ) -> None:
        self.correlation = correlation
        self.topic = topic
        self.data = payload
        self.retain = retain
        self.expiry = expiry
        self.expires = expires
        self.keep = keep
        self.again = self.arrived = False
        self.in_flight = False
        self.record: Record | None = None
        self.size = len(topic) + len(payload)

    @property
    def properties(self) -> dict[str, object]:
        """Properties of MQTT 5, by paho's names."""
        named = {"MessageExpiryInterval": self.expiry, "CorrelationData": self.correlation or None}
        return {name: value for name, value in named.items() if value is not None}

    @property
    def rank(self) -> int:
        """The order of eviction: the lowest first."""
        kind = self.topic.rpartition("/")[2]
        return 0 if kind == "reply" and not self.keep else _ORDER.get(kind, 2)


class Outbox:
    """max_bytes bounds topics and payloads, max_count the messages (0: one for 256 bytes, 1000 at
    least). Any thread may call."""

    def __init__(self, max_bytes: int, max_count: int = 0) -> None:
        self.max_bytes = max_bytes
        self._max_count = max_count or max(1000, max_bytes // 256)
        self._lock = Lock()
        self._spool: Spool | None = None
        self._waiting: dict[int, Outgoing] = {}  # in order of arrival
        self._kept: dict[int, tuple[Outgoing, float]] = {}  # acknowledged at, monotonic seconds
        self._next = 0
        self.size = 0  # bytes of waiting messages
        self._kept_size = 0
        self.dropped = 0
        self.expired = 0
        self.refused = 0
        self.unspooled = 0  # reports without room in the spool

    def __len__(self) -> int:
        return len(self._waiting)

    def open(self, spool: Spool, now: float) -> int:
        """Take the reports of an earlier start, and keep findings in the spool from now on; the
        number of waiting ones. now: monotonic seconds."""
        with self._lock:
            self._spool = spool
            self.max_bytes = min(self.max_bytes, spool.limit)
            for record in sorted(spool.records.values(), key=lambda record: record.number):
                message = Outgoing(record.topic, b"", record.retain, keep=True)
                message.record, message.again = record, record.again
                message.size = len(record.topic) + record.length
                if record.sent:
                    self._keep(self._next, message, now)
                else:
                    self._wait(self._next, message)
                self._next += 1
            self._make_room()
            return len(self._waiting)

    def put(self, message: Outgoing) -> None:
        """Queue a message at the end; less important ones may be dropped for it."""
        with self._lock:
            if self._spool is not None and message.keep:
                try:
                    record = self._spool.put(message.topic, message.data, message.retain)
                    message.record, message.data = record, b""
                except OSError:
                    self.unspooled += 1
            self._wait(self._next, message)
            self._next += 1
            self._make_room()

    def take(
        self, now: float, allows: Callable[[str, float], bool] = lambda topic, now: True
    ) -> tuple[int, Outgoing, bytes] | None:
        """The first message not in flight, now marked so: its number, message and payload; or None.
        now: monotonic seconds. allows: whether a topic takes messages now."""
        with self._lock:
            denied = ""  # one check a topic: many reports may wait for it
            found, late, unread = None, list[int](), list[int]()
            for number, message in self._waiting.items():
                if message.in_flight or message.topic == denied:
                    continue
                if not allows(message.topic, now):
                    denied = message.topic
                elif message.expires is not None and now >= message.expires:
                    late.append(number)
                elif payload := self._payload(message):
                    message.in_flight = True
                    found = number, message, payload
                    break
                else:  # somebody has removed its file
                    unread.append(number)
            for number in late + unread:
                self._delete(number)
            self.expired += len(late)
            self.dropped += len(unread)
            return found

    def acknowledged(self, number: int, now: float, refused: bool = False) -> None:
        """The broker has the message, or refused it for good (counted). now: monotonic seconds."""
        with self._lock:
            message = self._waiting.get(number)
            if message is None:
                return
            self.refused += refused
            message.arrived = not refused
            if refused or not message.keep:
                self._delete(number)
                return
            del self._waiting[number]
            self.size -= message.size
            message.in_flight = False
            self._keep(number, message, now)
            if message.record is not None and self._spool is not None:
                self._spool.sent(message.record)
            while self._kept:
                oldest = next(iter(self._kept))
                if now - self._kept[oldest][1] < GRACE:
                    break
                self._forget(oldest)

    def put_back(self, number: int) -> None:
        """The broker does not take the message now."""
        with self._lock:
            message = self._waiting.get(number)
            if message is not None:
                message.in_flight = False

    def forgotten(self, room: float = float("inf"), once: bool = False) -> tuple[int, int, bool]:
        """The broker has forgotten this router: queue the recently acknowledged messages again.
        Returns the number of reports, their bytes, and whether these are all. room: bytes; the
        latest reports go first. once: only reports never sent again before."""
        with self._lock:
            again: dict[int, Outgoing] = {}
            size, whole = 0, True
            for number, (message, _) in reversed(self._kept.items()):
                if once and message.again:
                    continue
                if size + message.size > room:
                    whole = False
                    break
                again[number] = message
                size += message.size
                message.again = True
                if message.record is not None and self._spool is not None:
                    self._spool.again(message.record)
            for number in again:
                del self._kept[number]
            self.size += size
            self._kept_size -= size
            self._waiting = dict(sorted({**again, **self._waiting}.items()))
            return len(again), size, whole

    def connection_lost(self) -> None:
        """Messages in flight are to be sent again."""
        with self._lock:
            for message in self._waiting.values():
                message.in_flight = False

    def supersede(self, topic: str) -> None:
        """Drop all older messages of this boot to this topic: a newer message bypasses the
        outbox."""
        with self._lock:
            for number, message in list(self._waiting.items()):
                if message.topic == topic and not message.keep:
                    self._delete(number)
                    self.expired += 1

    def unsent(self, kind: str) -> list[bytes]:
        """Payloads of a kind, worth keeping and not acknowledged by the broker, the oldest
        first."""
        with self._lock:
            some = [m for m in self._waiting.values() if m.keep and m.topic.endswith(f"/{kind}")]
            return [payload for payload in map(self._payload, some) if payload]

    @property
    def is_spooled(self) -> bool:
        """Every message worth keeping waits in the spool, not in memory alone."""
        waiting = [m for m in self._waiting.values() if m.keep]
        return self._spool is not None and all(m.record is not None for m in waiting)

    @property
    def is_half_empty(self) -> bool:
        return 2 * self.size <= self.max_bytes and 2 * len(self._waiting) <= self._max_count

    def _payload(self, message: Outgoing) -> bytes:
        if message.record is None or self._spool is None:
            return message.data
        return self._spool.payload(message.record)

    def _wait(self, number: int, message: Outgoing) -> None:
        self._waiting[number] = message
        self.size += message.size

    def _keep(self, number: int, message: Outgoing, now: float) -> None:
        self._kept[number] = message, now
        self._kept_size += message.size

    def _make_room(self) -> None:
        while (
            len(self._waiting) + len(self._kept) > self._max_count
            or self.size + self._kept_size > self.max_bytes
        ):
            if self._kept:
                self._forget(next(iter(self._kept)))
                continue
            self._delete(self._least())
            self.dropped += 1

    def _least(self) -> int:
        # A message in flight has probably arrived: dropping it would count a false loss.
        free = [n for n, message in self._waiting.items() if not message.in_flight]
        # min() takes the first of several, the oldest.
        return min(free or self._waiting, key=lambda number: self._waiting[number].rank)

    def _forget(self, number: int) -> None:
        message, _ = self._kept.pop(number)
        self._kept_size -= message.size
        self._gone(message)

    def _delete(self, number: int) -> None:
        message = self._waiting.pop(number)
        self.size -= message.size
        self._gone(message)

    def _gone(self, message: Outgoing) -> None:
        if message.record is not None and self._spool is not None:
            self._spool.drop(message.record)
