# SPDX-License-Identifier: Apache-2.0
"""One connection to the broker, from CONNECT to its end.

A single thread drives paho through its external-loop interface: connecting blocks (name lookup, TLS
handshake), and packets do not wait for it. Every connection gets a fresh client. Unacknowledged
reports come from the outbox again, none from paho's queue.

The broker, and everybody on the path of plain MQTT, may be hostile: report/incoming.py bounds its
packets before paho reads them, and every wait has an end.
"""

from __future__ import annotations

import select
from collections.abc import Callable
from time import monotonic

from algwatch.base.quote import quoted
from algwatch.quiet import suppress
from algwatch.report import paho
from algwatch.report.broker import Broker
from algwatch.report.encode import fitted
from algwatch.report.incoming import MAX_PACKET, Incoming, Misbehaviour
from algwatch.report.limits import WINDOW
from algwatch.report.outbox import Outgoing
from algwatch.report.reasons import LONGEST_REASON, own_words, plain
from algwatch.report.refusals import (
    NO_ROOM,
    NOBODY,
    NOT_AUTHORIZED,
    PAUSE,
    REASONS,
    TOO_LARGE,
)
from algwatch.report.session import ASKED
from algwatch.report.settings import Settings
from algwatch.report.wire import CONTENT_TYPE

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

PATIENCE = 10.0  # seconds for CONNACK
# A broker without MQTT 5 may simply say nothing; 3.1.1 is tried then. Before the first connection
# this must not take long.
FIRST_PATIENCE = 3.0
SLOW = 30.0  # seconds for the rest of an incomplete packet
UNACKNOWLEDGED = 60.0  # seconds for PUBACK
MQTT5, MQTT311 = 5, 4

WRONG_VERSION = (1, 132)  # CONNACK of MQTT 3.1.1 section 3.2.2.3 and MQTT 5 section 3.2.2.2
_WRONG_LOGIN = (4, 5, 134, 135)
_ELSEWHERE = (156, 157)  # Use another server, Server moved: MQTT 5 section 4.13
_TAKEN_OVER = 142
LOST = "connection lost"


class Connection:
    """protocol: MQTT5 or MQTT311. patience: seconds for CONNACK. used: called once the broker has
    accepted the connection, and then whenever there may be something to do; welcomed tells since
    when.

    answer: reason code of CONNACK, None without one. opened: the peer accepted the connection, and
    sent no bad packet. elsewhere: another server, named by this one. denied: the broker denied a
    topic.
    """

    def __init__(
        self,
        broker: Broker,
        settings: Settings,
        protocol: int,
        patience: float,
        used: Callable[[Connection], None],
    ) -> None:
        self.protocol = protocol
        self.client: Any = None  # paho's, with its `incoming`
        self.answer: int | None = None
        self.welcomed = 0.0  # monotonic seconds; 0 until accepted
        self.opened = self.evicted = self.denied = False
        self.is_known = False  # the broker has a session of this router
        self.expiry: int | None = None  # seconds the broker keeps it; None: not said
        self.elsewhere = ""
        self.sends_away = False
        self._broker = broker
        self._settings = settings
        self._outbox = settings.outbox
        self._refusals = settings.refusals
        self._patience = patience
        self._used = used
        self._mqtt, self._properties, self._packets = paho.load()
        self._limits = settings.limits
        self._retains = self._limits.retains  # as in the last will of this connection
        # paho's message id -> number in the outbox, message, monotonic seconds, bytes of payload
        self._flying: dict[int, tuple[int | None, Outgoing, float, int]] = {}
        self._first: list[Outgoing] = []
        self._incoming = Incoming(protocol == MQTT5, self._flying.__contains__, monotonic)
        self._alive = settings.keepalive
        self._why = ""
        self._refused = False  # told that a report was refused
        self._resting = False  # nothing goes out until a new event

    @property
    def goodbye(self) -> bool:
        """The broker has sent DISCONNECT."""
        return self._incoming.goodbye

    @property
    def name(self) -> str:
        return "MQTT 5" if self.protocol == MQTT5 else "MQTT 3.1.1"

    def run(self) -> str:
        """Serve the connection until its end; the reason of the end, for a person."""
        client = self.client = self._client()
        properties = None
        if self.protocol == MQTT5:
            properties = self._properties(self._packets.CONNECT)
            properties.MaximumPacketSize = MAX_PACKET
            properties.ReceiveMaximum = 1  # no acknowledged message comes in
            properties.SessionExpiryInterval = ASKED
        # Not a clean start: Session Present shows whether the broker may have lost acknowledged
        # reports.
        clean = {"clean_start": False} if self.protocol == MQTT5 else {}
        try:
            client.connect(
                self._broker.address,
                self._broker.port,
                self._settings.keepalive,
                properties=properties,
                **clean,
            )
        except (OSError, ValueError) as problem:  # ValueError: an impossible host name
            why = plain(problem)
            # paho sends CONNECT in here, so the failure may be one of writing to TLS.
            return self._certificate(why) if type(problem).__name__.startswith("SSLEOF") else why
        self.opened = True
        try:
            return self._serve(client)
        except Misbehaviour as problem:
            self.opened = False  # it has answered, and MQTT 3.1.1 would not help
            return str(problem)
        except Exception as problem:  # paho 1.6 lets TLS errors through
            self._why = plain(problem)
            return self._ended()
        finally:
            _close(client)

    def _client(self) -> Any:
        mqtt = self._mqtt
        options: dict[str, Any] = {
            "client_id": self._settings.client_id,
            "reconnect_on_failure": False,
        }
        options["protocol"] = mqtt.MQTTv5 if self.protocol == MQTT5 else mqtt.MQTTv311
        if self.protocol == MQTT311:
            options["clean_session"] = False
        if hasattr(mqtt, "CallbackAPIVersion"):
            options["callback_api_version"] = mqtt.CallbackAPIVersion.VERSION2
        client = paho.guarded(mqtt)(**options)
        client.incoming = self._incoming
        client.on_connect = self._on_connect
        client.on_disconnect = self._on_disconnect
        client.on_publish = self._on_publish
        client.on_log = self._on_log
        client.max_inflight_messages_set(2 * WINDOW)
        if self._broker.user:
            client.username_pw_set(self._broker.user, self._broker.password or None)
        if self._settings.context is not None:
            client.tls_set_context(self._settings.context)
        topic, payload = self._settings.will()
        properties = None
        if self.protocol == MQTT5:
            properties = self._properties(self._packets.WILLMESSAGE)
            properties.ContentType = CONTENT_TYPE
        client.will_set(topic, payload, qos=1, retain=self._retains, properties=properties)
        return client

    def _serve(self, client: Any) -> str:
        patience = monotonic() + self._patience
        wake = self._settings.wake
        poller = select.poll()
        poller.register(wake.fd, select.POLLIN)
        registered = client.socket()
        if registered is not None:
            poller.register(registered, select.POLLIN)
        while (sock := client.socket()) is not None:
            flags = select.POLLIN | (select.POLLOUT if client.want_write() else 0)
            poller.modify(registered, flags)
            # TLS may hold decrypted bytes, invisible to poll().
            buffered = self._incoming.ready or getattr(sock, "pending", lambda: 0)()
            events = [] if buffered else poller.poll(1000 * self._timeout())
            ready = dict(events)
            if wake.fd in ready:
                wake.drain()
            if buffered or ready.get(registered.fileno(), 0) & ~select.POLLOUT:
                self._read(client)
            if client.want_write():
                client.loop_write()
            client.loop_misc()
            if client.socket() is None:
                break
            now = monotonic()
            if self.answer is None:
                if now > patience:
                    return "no answer to CONNECT"
            elif self.answer == 0:
                if self._limits.unfit:
                    return self._limits.unfit
                if self._limits.retains and not self._retains:
                    # An unretained will would leave a retained birth standing for ever.
                    return "takes retained messages after all"
                if not self.welcomed:
                    self.welcomed, self._why = now, ""
                    self._first = self._settings.hello(self.name, self.is_known)
                self._used(self)
                self._pump(client)
            if self._incoming.since is not None and now - self._incoming.since > SLOW:
                return f"too slow: a part of a packet, and not the rest in {SLOW:.0f} s"
            if self._flying and now - next(iter(self._flying.values()))[2] > UNACKNOWLEDGED:
                return f"does not acknowledge reports within {UNACKNOWLEDGED:.0f} s"
            if wake.stop_at is None:
                continue
            if self._resting and not self._flying:
                client.disconnect()
                while client.socket() is not None and client.want_write():
                    client.loop_write()
                return ""
            if monotonic() > wake.stop_at:
                return ""  # without DISCONNECT: the will reports the end
        return self._ended()

    def _timeout(self) -> float:
        """Seconds to sleep in the loop; keep-alive needs a check now and then."""
        if self._settings.wake.stop_at is not None:
            return 0.05
        if self.answer is None:
            return min(1.0, FIRST_PATIENCE)
        if self._alive == 0:
            return min(15.0, UNACKNOWLEDGED / 4)
        return max(0.2, min(self._alive, UNACKNOWLEDGED, SLOW) / 4)

    def _read(self, client: Any) -> None:
        try:
            failed = client.loop_read() == self._mqtt.MQTT_ERR_PROTOCOL
        except (OSError, Misbehaviour):
            raise
        except Exception as problem:  # paho 1.6 raises a dozen kinds
            detail = quoted(str(problem) or type(problem).__name__, LONGEST_REASON)
            raise Misbehaviour(f"sent a malformed packet ({detail})") from problem
        # paho reports a refusal with the same error code.
        if failed and not self.answer and self._incoming.code not in WRONG_VERSION:
            raise Misbehaviour("sent a malformed packet")

    def _ended(self) -> str:
        answer = self.answer
        if answer is None:
            why = self._why or "closed the connection without an answer to CONNECT"
            return self._certificate(why)
        if self.sends_away:
            return f"sends this router elsewhere ({self._why})"
        if answer in _WRONG_LOGIN:
            return f"refused user name or password ({self._why}): check mqtt_user and mqtt_password"
        if answer:
            return f"refused the connection ({self._why})"
        if self.evicted:
            return (
                f"another client uses the id {self._settings.client_id}: "
                "give each router a cpe id of its own"
            )
        return f"{LOST} ({self._why})" if self._why else LOST

    def _certificate(self, why: str) -> str:
        # In TLS 1.3 the broker asks after the handshake, so a refusal shows late and unclear.
        wanted = self._settings.context is not None and not self._broker.cert
        return f"{why}; perhaps it wants a certificate (mqtt_cert)" if wanted else why

    def _pump(self, client: Any) -> None:
        self._resting = False
        while len(self._flying) < self._limits.window and client.socket() is not None:
            now = monotonic()
            number: int | None = None
            if self._first:
                message = self._first.pop(0)
                payload = message.data
                if not self._refusals.allows(message.topic, now):
                    continue
            else:
                if self._refusals.is_full and (self._flying or self._refusals.pauses(now)):
                    self._resting = True
                    return  # one at a time
                taken = self._outbox.take(now, self._refusals.allows)
                if taken is None:
                    self._resting = True
                    return
                number, message, payload = taken
            if room := self._limits.room(message.topic, now):
                payload = fitted(payload, room)
                if not payload:
                    if number is not None:
                        self._outbox.acknowledged(number, now, refused=True)
                    continue
            properties = None
            if self.protocol == MQTT5:
                properties = self._properties(self._packets.PUBLISH)
                properties.ContentType = CONTENT_TYPE
                for name, value in message.properties.items():
                    setattr(properties, name, value)
            retain = message.retain and self._limits.retains
            info = client.publish(message.topic, payload, 1, retain, properties=properties)
            self._flying[info.mid] = number, message, now, len(payload)

    # paho's callbacks; the two APIs differ in the arguments behind the first three.

    def _on_connect(
        self, client: Any, userdata: Any, flags: Any, code: Any, properties: Any = None
    ) -> None:
        if self._incoming.code is None:
            raise RuntimeError("this version of paho-mqtt is not known: it reads unguarded")
        self.answer = int(getattr(code, "value", code))
        present = getattr(flags, "session_present", None)  # paho 1.6 has a dict
        self.is_known = bool(flags["session present"] if present is None else present)
        known = str(code) if hasattr(code, "value") else self._mqtt.connack_string(code)
        self._why = known + own_words(properties)
        self.expiry = getattr(properties, "SessionExpiryInterval", None)
        self._look_elsewhere(self.answer, properties)
        if self.answer == 0:
            self._limits.welcome(properties)
        self._alive = getattr(properties, "ServerKeepAlive", self._settings.keepalive)
        client.obey_keepalive(self._alive)

    def _on_publish(
        self, client: Any, userdata: Any, mid: int, code: Any = 0, properties: Any = None
    ) -> None:
        if mid not in self._flying:
            return
        number, message, _, size = self._flying.pop(mid)
        topic = message.topic
        reason, now = self._incoming.reasons.pop(mid, 0), monotonic()
        refused = reason >= 128
        said = REASONS.get(reason, f"reason 0x{reason:02X}")
        if reason == NOT_AUTHORIZED:
            self.denied = True
            if self._refusals.denied(topic, now):
                self._settings.say(
                    f"{self._broker} refuses reports to {topic} ({said}): check the broker's ACL; "
                    "the next try is in an hour"
                )
        elif reason == NO_ROOM:
            if self._refusals.full(now) == PAUSE[0]:
                self._settings.say(f"{self._broker} has no room for reports ({said}): they wait")
        elif reason == NOBODY and message.keep:
            if self._refusals.unheard(topic, now):
                self._settings.say(f"nobody has subscribed to {topic} at {self._broker}: they wait")
        elif reason == TOO_LARGE:
            if self._limits.too_large(topic, size, now):
                self._settings.say(f"{self._broker} refuses a report of {size} bytes as too large: "
                                   "long ones go without a part of their evidence")  # fmt: skip
        elif refused:
            if not self._refused:
                self._refused = True
                self._settings.say(f"{self._broker} refuses reports ({said})")
        else:
            self._refusals.taken(topic, now)
        if number is None:
            message.arrived = not refused
            return
        if reason in (NOT_AUTHORIZED, NO_ROOM, TOO_LARGE) or (reason == NOBODY and message.keep):
            self._outbox.put_back(number)
        else:
            self._outbox.acknowledged(number, now, refused)

    def _on_disconnect(self, client: Any, userdata: Any, *more: Any) -> None:
        for code in more:
            value = getattr(code, "value", None)
            if value == _TAKEN_OVER:
                self.evicted = True
            elif isinstance(value, int) and value > 128 and not self._why:
                self._why = str(code) + "".join(own_words(one) for one in more)
            for one in more:
                self._look_elsewhere(value, one)

    def _look_elsewhere(self, code: object, properties: Any) -> None:
        if code in _ELSEWHERE:
            self.sends_away = True
            named = getattr(properties, "ServerReference", "")
            self.elsewhere = self.elsewhere or (named if isinstance(named, str) else "")

    def _on_log(self, client: Any, userdata: Any, level: int, text: str) -> None:
        if level == self._mqtt.MQTT_LOG_ERR and "on socket:" in text:
            self._why = text.partition("on socket:")[2].strip()


def _close(client: Any) -> None:
    sock = client.socket()
    if sock is not None:
        with suppress(OSError):
            sock.close()
