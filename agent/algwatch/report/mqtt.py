# SPDX-License-Identifier: Apache-2.0
"""The link to the broker: paho 1.6 and 2.x behind one face, in one thread of its own.

paho is driven through its external-loop interface from a single thread, because connecting
blocks (name lookup, TLS handshake) and packets do not wait for that. Every connection gets a
fresh client: what was not acknowledged comes from the outbox again, nothing from paho's queue.

MQTT 5 first. A broker that says that it does not know it gets MQTT 3.1.1 from then on; one that
closes the connection on CONNECT without a word gets one try with 3.1.1 at once.

The broker, and everybody between on plain MQTT, may be hostile: what it sends is bounded before
paho sees it (report/incoming.py), every wait has an end, and after a fault the connection is
closed and made again later (report/backoff.py).
"""

from __future__ import annotations

import os
import select
import threading
from collections.abc import Callable
from contextlib import suppress
from time import monotonic

from algwatch.base.quote import quoted
from algwatch.report import paho
from algwatch.report.backoff import STABLE, Backoff
from algwatch.report.broker import Broker
from algwatch.report.incoming import MAX_PACKET, Incoming, Misbehaviour
from algwatch.report.jitter import uniform
from algwatch.report.outbox import Outbox, Outgoing
from algwatch.report.wire import CONTENT_TYPE

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

WINDOW = 10  # messages that paho holds at a time
BACKOFF = 1.0, 120.0  # seconds before the second and before the last of many tries
PATIENCE = 10.0  # seconds for CONNACK
# A broker that does not know MQTT 5 may simply say nothing, and then 3.1.1 is tried: before a
# connection was ever made, that must not take long.
FIRST_PATIENCE = 3.0
SLOW = 30.0  # seconds for the rest of a packet that has begun to come
UNACKNOWLEDGED = 60.0  # seconds for PUBACK
LEAST_PACKET = 1024  # bytes; a broker that takes less does not even take the birth message
LONGEST_REASON = 80  # characters of the broker's own text
SESSION = 86400  # seconds that the broker is asked to remember this router
MQTT5, MQTT311 = 5, 4

_WRONG_VERSION = (1, 132)  # CONNACK of MQTT 3.1.1 section 3.2.2.3 and MQTT 5 section 3.2.2.2
_WRONG_LOGIN = (4, 5, 134, 135)
_TAKEN_OVER = 142
_LOST = "connection lost"


class Link:
    """A connection that comes back by itself.

    client_id: of the MQTT session. outbox: what to publish, QoS 1. will: (topic, payload),
    asked before each connection. hello: what to publish first on each connection, given the
    protocol's name; both are called in the link's thread. say: prints one line for a person.
    boot_delay: seconds; the first connection waits a random part of it, so that a region whose
    power comes back does not arrive as one. Raises BrokerError when the TLS files do not serve.
    """

    def __init__(
        self,
        broker: Broker,
        client_id: str,
        outbox: Outbox,
        will: Callable[[], tuple[str, bytes]],
        hello: Callable[[str], list[Outgoing]],
        say: Callable[[str], None],
        boot_delay: float = 0.0,
        keepalive: int = 60,
    ) -> None:
        self._broker = broker
        self._context = broker.context()
        self._client_id = client_id
        self._outbox = outbox
        self._will = will
        self._hello = hello
        self._say = say
        self._boot_delay = boot_delay
        self._keepalive = keepalive
        self._mqtt, self._properties, self._packets = paho.load()
        self._client_class = paho.guarded(self._mqtt)
        self._backoff = Backoff(*BACKOFF, uniform)
        self._protocol = MQTT5
        self._stop_at: float | None = None  # monotonic seconds
        self._wake_read, self._wake_write = os.pipe()
        os.set_blocking(self._wake_read, False)
        os.set_blocking(self._wake_write, False)
        self._thread = threading.Thread(target=self._run, name="mqtt", daemon=True)
        self._said = ""  # why the connection was lost, as last told
        self._brief = False  # the last connection was accepted, and soon over
        self.connected = False
        self.connections = 0
        self.taken_over = 0  # times that another client took the session
        # State of the connection in progress:
        # paho's message id -> number in the outbox, and monotonic seconds
        self._flying: dict[int, tuple[int | None, float]] = {}
        self._first: list[Outgoing] = []
        self._incoming = Incoming(True, self._flying.__contains__, monotonic)
        self._answer: int | None = None  # reason code of CONNACK
        self._welcomed = 0.0  # monotonic seconds of the first use
        self._unsaid = ""  # the line that tells of the connection, while it waits
        self._unfit = ""  # why the broker cannot take reports
        self._opened = False
        self._is_known = False  # the broker has a session of this router
        self._evicted = False
        self._refused = False  # said that a report was refused
        self._alive = keepalive
        self._why = ""
        self._window = WINDOW
        self._largest = 0

    def start(self) -> None:
        self._thread.start()

    def wake(self) -> None:
        """The outbox has something new."""
        with suppress(BlockingIOError):  # a full pipe wakes as well
            os.write(self._wake_write, b"w")

    def stop(self, patience: float) -> bool:
        """Publish what waits, say goodbye, end; True when the broker has acknowledged all.

        A dead broker is not waited for: at most `patience` seconds, none when the last try
        failed."""
        self._stop_at = monotonic() + patience
        self.wake()
        self._thread.join(patience + 0.2)
        return not len(self._outbox)

    def _run(self) -> None:
        self._sleep(uniform(0.0, self._boot_delay))
        once = False  # one try with MQTT 3.1.1 after a silent refusal
        while True:
            protocol = MQTT311 if once else self._protocol
            why = self._session(protocol)
            answered = self._answer
            lasted = monotonic() - self._welcomed if self.connected else 0.0
            was_connected, self.connected = self.connected, False
            self._outbox.connection_lost()
            if self._stop_at is not None:
                return
            if protocol == MQTT5 and answered in _WRONG_VERSION:
                self._protocol = MQTT311
                self._say(f"{self._broker} does not speak MQTT 5: going on with MQTT 3.1.1")
                continue
            if protocol == MQTT5 and answered is None and self._opened:
                once = True
                continue
            once = False
            self._brief = was_connected and lasted < STABLE
            quiet = was_connected and why == _LOST
            delay = self._backoff.ended(lasted, self._evicted, quiet)
            if self._backoff.is_shared:
                why = (
                    "closes each connection soon after it has accepted it: perhaps another client "
                    f"uses the id {self._client_id} (give each router a cpe id of its own), or "
                    "the broker's ACL forbids the topics"
                )
            if why != self._said:
                self._said = why
                self._say(f"{self._broker}: {why}; trying again until it works")
            if self._sleep(delay):
                return

    def _sleep(self, seconds: float) -> bool:
        """True when it is time to stop."""
        poller = select.poll()
        poller.register(self._wake_read, select.POLLIN)
        end = monotonic() + seconds
        while self._stop_at is None:
            left = end - monotonic()
            if left <= 0:
                return False
            if poller.poll(left * 1000):
                self._drain()
                # A wake-up means a new report: it waits in the outbox, nobody hurries for it.
        return True

    def _drain(self) -> None:
        with suppress(BlockingIOError):
            os.read(self._wake_read, 4096)

    def _client(self, protocol: int) -> Any:
        mqtt = self._mqtt
        options: dict[str, Any] = {"client_id": self._client_id, "reconnect_on_failure": False}
        options["protocol"] = mqtt.MQTTv5 if protocol == MQTT5 else mqtt.MQTTv311
        if protocol == MQTT311:
            options["clean_session"] = False
        if hasattr(mqtt, "CallbackAPIVersion"):
            options["callback_api_version"] = mqtt.CallbackAPIVersion.VERSION2
        client = self._client_class(**options)
        self._incoming = Incoming(protocol == MQTT5, self._flying.__contains__, monotonic)
        client.incoming = self._incoming
        client.on_connect = self._on_connect
        client.on_disconnect = self._on_disconnect
        client.on_publish = self._on_publish
        client.on_log = self._on_log
        client.max_inflight_messages_set(2 * WINDOW)
        if self._broker.user:
            client.username_pw_set(self._broker.user, self._broker.password or None)
        if self._context is not None:
            client.tls_set_context(self._context)
        topic, payload = self._will()
        properties = None
        if protocol == MQTT5:
            properties = self._properties(self._packets.WILLMESSAGE)
            properties.ContentType = CONTENT_TYPE
        client.will_set(topic, payload, qos=1, retain=True, properties=properties)
        return client

    def _session(self, protocol: int) -> str:
        """One connection from beginning to end; returns why it ended, for a person."""
        self._flying.clear()
        self._first = []
        self._answer = None
        self._why = ""
        self._opened = self._evicted = False
        self._unfit = self._unsaid = ""
        self._window, self._largest = WINDOW, 0
        self._alive = self._keepalive
        client = self._client(protocol)
        properties = None
        if protocol == MQTT5:
            properties = self._properties(self._packets.CONNECT)
            properties.MaximumPacketSize = MAX_PACKET
            properties.ReceiveMaximum = 1  # nothing is subscribed to, so nothing is acknowledged
            properties.SessionExpiryInterval = SESSION
        # Not a clean start: whether the broker still knows the session tells whether it has lost
        # what it had acknowledged.
        clean = {"clean_start": False} if protocol == MQTT5 else {}
        try:
            client.connect(
                self._broker.host,
                self._broker.port,
                self._keepalive,
                properties=properties,
                **clean,
            )
        except (OSError, ValueError) as problem:  # ValueError: a host name that cannot be one
            why = _plain(problem)
            # paho sends CONNECT in here: what is written to TLS may also be what fails.
            return self._certificate(why) if type(problem).__name__.startswith("SSLEOF") else why
        self._opened = True
        try:
            return self._serve(client, protocol)
        except Misbehaviour as problem:
            self._opened = False  # it has answered, and MQTT 3.1.1 would not make it better
            return str(problem)
        except Exception as problem:  # paho 1.6 lets TLS errors through
            self._why = _plain(problem)
            return self._ended()
        finally:
            _close(client)

    def _serve(self, client: Any, protocol: int) -> str:
        unproven = protocol == MQTT5 and not self.connections
        patience = monotonic() + (FIRST_PATIENCE if unproven else PATIENCE)
        poller = select.poll()
        poller.register(self._wake_read, select.POLLIN)
        registered = client.socket()
        if registered is not None:
            poller.register(registered, select.POLLIN)
        while (sock := client.socket()) is not None:
            flags = select.POLLIN | (select.POLLOUT if client.want_write() else 0)
            poller.modify(registered, flags)
            # TLS may hold decrypted bytes that poll() does not see.
            buffered = self._incoming.ready or getattr(sock, "pending", lambda: 0)()
            events = [] if buffered else poller.poll(1000 * self._timeout())
            ready = dict(events)
            if self._wake_read in ready:
                self._drain()
            if buffered or ready.get(registered.fileno(), 0) & ~select.POLLOUT:
                self._read(client)
            if client.want_write():
                client.loop_write()
            client.loop_misc()
            if client.socket() is None:
                break
            now = monotonic()
            if self._answer is None:
                if now > patience:
                    return "no answer to CONNECT"
            elif self._answer == 0:
                if self._unfit:
                    return self._unfit
                if not self.connected:
                    self._welcome(protocol)
                if self._unsaid and now - self._welcomed > STABLE:
                    self._tell_connected()
                self._pump(client, protocol)
            if self._incoming.since is not None and now - self._incoming.since > SLOW:
                return f"too slow: a part of a packet, and not the rest in {SLOW:.0f} s"
            if self._flying and now - next(iter(self._flying.values()))[1] > UNACKNOWLEDGED:
                return f"does not acknowledge reports within {UNACKNOWLEDGED:.0f} s"
            if self._stop_at is None:
                continue
            if self.connected and not len(self._outbox) and not self._flying and not self._first:
                client.disconnect()
                while client.socket() is not None and client.want_write():
                    client.loop_write()
                return ""
            if monotonic() > self._stop_at:
                return ""  # without DISCONNECT: the will tells that we are gone
        return self._ended()

    def _timeout(self) -> float:
        """Seconds that the loop may sleep; keep-alive needs a look now and then."""
        if self._stop_at is not None:
            return 0.05
        if self._answer is None:
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
        # paho calls a refusal so, too.
        if failed and not self._answer and self._incoming.code not in _WRONG_VERSION:
            raise Misbehaviour("sent a malformed packet")

    def _ended(self) -> str:
        answer = self._answer
        if answer is None:
            why = self._why or "closed the connection without an answer to CONNECT"
            return self._certificate(why)
        if answer in _WRONG_LOGIN:
            return f"refused user name or password ({self._why}): check mqtt_user and mqtt_password"
        if answer:
            return f"refused the connection ({self._why})"
        if self._evicted:
            return (
                f"another client uses the id {self._client_id}: "
                "give each router a cpe id of its own"
            )
        return f"{_LOST} ({self._why})" if self._why else _LOST

    def _certificate(self, why: str) -> str:
        # In TLS 1.3 the broker asks after the handshake, so a refusal shows late and unclear.
        wanted = self._context is not None and not self._broker.cert
        return f"{why}; perhaps it wants a certificate (mqtt_cert)" if wanted else why

    def _welcome(self, protocol: int) -> None:
        name = "MQTT 5" if protocol == MQTT5 else "MQTT 3.1.1"
        self.connected = True
        self.connections += 1
        self._welcomed = monotonic()
        self._why = ""
        self._unsaid = f"connected to {self._broker} with {name}"
        if not self._brief:  # else two lines a try
            self._tell_connected()
        self._first = self._hello(name)
        again = 0 if self._is_known else self._outbox.forgotten()
        if again:
            self._say(f"{self._broker} does not know this router any more: {again} reports again")

    def _tell_connected(self) -> None:
        self._say(self._unsaid)
        self._unsaid = self._said = ""
        self._brief = self._refused = False

    def _pump(self, client: Any, protocol: int) -> None:
        while len(self._flying) < self._window and client.socket() is not None:
            number: int | None = None
            if self._first:
                message = self._first.pop(0)
                payload = message.data
            else:
                taken = self._outbox.take(monotonic())
                if taken is None:
                    return
                number, message, payload = taken
                if self._largest and message.size + 64 > self._largest:
                    self._outbox.acknowledged(number, monotonic(), refused=True)
                    continue
            properties = None
            if protocol == MQTT5:
                properties = self._properties(self._packets.PUBLISH)
                properties.ContentType = CONTENT_TYPE
                if message.expiry is not None:
                    properties.MessageExpiryInterval = message.expiry
            info = client.publish(message.topic, payload, 1, message.retain, properties=properties)
            self._flying[info.mid] = number, monotonic()

    # paho's callbacks; the two APIs differ in the arguments behind the first three.

    def _on_connect(
        self, client: Any, userdata: Any, flags: Any, code: Any, properties: Any = None
    ) -> None:
        if self._incoming.code is None:
            raise RuntimeError("this version of paho-mqtt is not known: it reads unguarded")
        self._answer = int(getattr(code, "value", code))
        present = getattr(flags, "session_present", None)  # paho 1.6 has a dict
        self._is_known = bool(flags["session present"] if present is None else present)
        known = str(code) if hasattr(code, "value") else self._mqtt.connack_string(code)
        self._why = known + _own_words(properties)
        receive = getattr(properties, "ReceiveMaximum", WINDOW)
        self._window = min(WINDOW, receive)
        self._largest = getattr(properties, "MaximumPacketSize", 0)
        if receive == 0:  # section 3.2.2.3.3: a protocol error
            self._unfit = "takes no reports (Receive Maximum 0)"
        elif 0 < self._largest < LEAST_PACKET:
            self._unfit = f"takes packets of at most {self._largest} bytes: reports are longer"
        elif getattr(properties, "MaximumQoS", 2) == 0:
            self._unfit = "takes only QoS 0: reports are to be acknowledged"
        self._alive = getattr(properties, "ServerKeepAlive", self._keepalive)
        client.obey_keepalive(self._alive)

    def _on_publish(
        self, client: Any, userdata: Any, mid: int, code: Any = 0, properties: Any = None
    ) -> None:
        number, _ = self._flying.pop(mid, (None, 0.0))
        refused = int(getattr(code, "value", code)) >= 128
        if refused and not self._refused:
            self._refused = True
            self._say(f"{self._broker} refuses reports ({code}): check the broker's ACL")
        if number is not None:
            self._outbox.acknowledged(number, monotonic(), refused)

    def _on_disconnect(self, client: Any, userdata: Any, *more: Any) -> None:
        for code in more:
            value = getattr(code, "value", None)
            if value == _TAKEN_OVER:
                self._evicted = True
                self.taken_over += 1
            elif isinstance(value, int) and value > 128 and not self._why:
                self._why = str(code) + "".join(_own_words(one) for one in more)

    def _on_log(self, client: Any, userdata: Any, level: int, text: str) -> None:
        if level == self._mqtt.MQTT_LOG_ERR and "on socket:" in text:
            self._why = text.partition("on socket:")[2].strip()


def _own_words(properties: Any) -> str:
    """The broker's reason string (MQTT 5, section 3.2.2.3.9), in quotes that it cannot end."""
    reason = getattr(properties, "ReasonString", "")
    if not isinstance(reason, str) or not reason:
        return ""
    return ", " + quoted(reason, LONGEST_REASON)


def _plain(problem: Exception) -> str:
    verify = getattr(problem, "verify_message", "")
    if verify:
        return f"the broker's certificate is not trusted ({verify})"
    return str(getattr(problem, "strerror", None) or problem) or type(problem).__name__


def _close(client: Any) -> None:
    sock = client.socket()
    if sock is not None:
        with suppress(OSError):
            sock.close()
