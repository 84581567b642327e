# SPDX-License-Identifier: Apache-2.0
"""The link to the broker: a connection (report/connection.py) that comes back by itself, in one
thread of its own, with paho 1.6 and 2.x behind one interface.

MQTT 5 first. A broker that refuses this version gets MQTT 3.1.1 from then on. If it closes the
connection on CONNECT without a word, it gets one try with 3.1.1 at once.

A broker may name another one instead (MQTT 5 section 4.13). The link tries it at once, for at most
HOPS servers in a row, and returns to the configured one after a failure.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable
from time import gmtime, monotonic, strftime, time

from algwatch import __file__ as PACKAGE
from algwatch.base import tracebacks
from algwatch.report import paho
from algwatch.report.backoff import STABLE, Backoff
from algwatch.report.broker import Broker, BrokerError
from algwatch.report.connection import (
    FIRST_PATIENCE,
    LOST,
    MQTT5,
    MQTT311,
    PATIENCE,
    WRONG_VERSION,
    Connection,
)
from algwatch.report.jitter import uniform
from algwatch.report.limits import NO_RETAIN
from algwatch.report.outbox import Outbox, Outgoing
from algwatch.report.session import Session
from algwatch.report.settings import Settings
from algwatch.report.wake import Wake

TYPE_CHECKING = False
if TYPE_CHECKING:
    from algwatch.report.hears import Hears

tracebacks.hook_threads(threading)

BACKOFF = 1.0, 120.0  # seconds before the second and before the last of many tries
HOPS = 3  # redirections in a row
# TLS waits so many seconds for a clock behind this program's own files: routers without a battery
# start in the past, before every certificate. Then it is tried nevertheless.
CLOCK_PATIENCE = 600.0
CLOCK_LOOK = 2.0  # seconds between two looks


class Link:
    """A connection that comes back by itself.

    client_id: of the MQTT session. outbox: messages to publish, QoS 1. will: (topic, payload),
    asked before each connection. hello: the first messages of each connection, given the protocol's
    name and whether the broker knows this router; both are called in the link's thread. say: prints
    one line for a person. room: bytes to send again to a broker that has forgotten them; spend: is
    told their number. boot_delay: seconds; the first connection waits a random part of it, so a
    region does not arrive at once after a power cut. hears: the subscriptions; None for none.
    Raises BrokerError for unusable TLS files.
    """

    def __init__(
        self,
        broker: Broker,
        client_id: str,
        outbox: Outbox,
        will: Callable[[], tuple[str, bytes]],
        hello: Callable[[str, bool], list[Outgoing]],
        say: Callable[[str], None],
        boot_delay: float = 0.0,
        keepalive: int = 60,
        room: Callable[[], float] = lambda: float("inf"),
        spend: Callable[[int], None] = lambda size: None,
        hears: Hears | None = None,
    ) -> None:
        paho.load()  # loaded here: the later user of this process may not be allowed to read it
        self._home = self._broker = broker
        self._client_id = client_id
        self._outbox = outbox
        self._say = say
        self._boot_delay = boot_delay
        self._room = room
        self._spend = spend
        self._hears = hears
        self._wake = Wake()
        self._settings = Settings(
            client_id, broker.context(), keepalive, outbox, self._wake, will, hello, say
        )
        self._backoff = Backoff(*BACKOFF, uniform)
        self._protocol = MQTT5
        self._session = Session()
        self._hops = self._led = 0  # in a row; and as told since the last good connection
        self._thread = threading.Thread(target=self._run, name="mqtt", daemon=True)
        self._said = ""  # reason of the last loss, as told
        self._brief = False  # the last connection was accepted and soon over
        self._unsaid = ""  # the line about the connection, while it waits
        self.connected = False
        self.connections = 0
        self.taken_over = 0  # times another client took the session

    def start(self) -> None:
        self._thread.start()

    def wake(self) -> None:
        """The outbox has something new."""
        self._wake.call()

    def stop(self, patience: float) -> bool:
        """Publish the waiting messages, say goodbye, end; True if the broker has acknowledged all.

        Waits at most `patience` seconds for a dead broker, not at all if the last try failed.
        """
        self._wake.stop_at = monotonic() + patience
        self._wake.call()
        self._thread.join(patience + 0.2)
        return not len(self._outbox)

    def _run(self) -> None:
        self._wake.sleep(uniform(0.0, self._boot_delay))
        if self._broker.tls:
            self._await_clock()
        once = False  # one try with MQTT 3.1.1 after a silent refusal
        while True:
            protocol = MQTT311 if once else self._protocol
            unproven = protocol == MQTT5 and not self.connections
            patience = FIRST_PATIENCE if unproven else PATIENCE
            self._unsaid = ""
            one = Connection(self._broker, self._settings, protocol, patience, self._used)
            why = one.run()
            now = monotonic()
            lasted = now - one.welcomed if one.welcomed else 0.0
            self.connected = False
            self._outbox.connection_lost()
            if one.welcomed:
                self._session.ended(now, one.goodbye)
            if self._wake.stop_at is not None:
                return
            if protocol == MQTT5 and one.answer in WRONG_VERSION:
                self._protocol = MQTT311
                self._say(f"{self._broker} does not speak MQTT 5: going on with MQTT 3.1.1")
                continue
            if one.answer == NO_RETAIN and self._settings.limits.retains:
                self._settings.limits.retains = False
                self._say(f"{self._broker} retains nothing: state and advice reach only those who "
                          "listen at the moment")  # fmt: skip
                continue
            if protocol == MQTT5 and one.answer is None and one.opened:
                once = True
                continue
            once = False
            self.taken_over += one.evicted
            if lasted > STABLE:
                self._hops = self._led = 0
            if one.sends_away and self._follow(one.elsewhere):
                if self._wake.sleep(uniform(0.0, BACKOFF[0])):
                    return
                continue
            self._brief = bool(one.welcomed) and lasted < STABLE
            quiet = bool(one.welcomed) and why == LOST and not one.denied
            delay = self._backoff.ended(lasted, one.evicted, quiet)
            if self._backoff.is_shared:
                why = (
                    "closes each connection soon after it has accepted it: perhaps another client "
                    f"uses the id {self._client_id} (give each router a cpe id of its own), or "
                    "the broker's ACL forbids the topics"
                )
            # Some brokers end the connection for one denied topic, and that was told.
            if why != self._said and not (one.denied and why == LOST):
                self._said = why
                self._say(f"{self._broker}: {why}; trying again until it works")
            if not one.welcomed:
                self._broker = self._home
            if self._wake.sleep(delay):
                return

    def _follow(self, reference: str) -> bool:
        """Go to the named server; False if none was named, or too many were."""
        try:
            other = self._home.elsewhere(reference)
        except BrokerError:
            return False
        if self._hops >= HOPS:
            self._hops = 0
            self._broker = self._home
            return False
        self._hops += 1
        if self._led < HOPS:
            self._led += 1
            self._say(f"{self._broker} sends this router to {other}")
        self._broker = other
        return True

    def _await_clock(self) -> None:
        """No certificate is valid before its creation."""
        try:
            made = os.stat(PACKAGE).st_mtime
        except OSError:
            return
        if time() >= made:
            return
        self._say(
            f"the clock says {strftime('%Y-%m-%d', gmtime(time()))}, which is before this program "
            f"was made, so no certificate can be checked: {self._broker} waits until it is set, "
            f"{CLOCK_PATIENCE:.0f} s at most"
        )
        end = monotonic() + CLOCK_PATIENCE
        while time() < made and monotonic() < end:
            if self._wake.sleep(CLOCK_LOOK):
                return

    def _used(self, one: Connection) -> None:
        """The connection is in use, perhaps for a while already."""
        now = monotonic()
        if not self.connected:
            self.connected = True
            self.connections += 1
            self._session.began(one.is_known, one.expiry, now)
            self._unsaid = f"connected to {self._broker} with {one.name}"
            if not self._brief:  # else two lines a try
                self._tell_connected()
        if self._hears is not None:
            self._hears.subscribe(one.client, str(self._broker))
        if self._unsaid and now - one.welcomed > STABLE:
            self._tell_connected()
        if self._session.due(now):
            count, size, whole = self._outbox.forgotten(self._room(), self._session.once)
            self._session.again(now, count, whole)
            self._spend(size)
            if count:
                self._say(
                    f"{self._broker} does not know this router any more: {count} reports again"
                )

    def _tell_connected(self) -> None:
        self._say(self._unsaid)
        self._unsaid = self._said = ""
        self._brief = False
