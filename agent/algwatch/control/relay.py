# SPDX-License-Identifier: Apache-2.0
"""Relay: the daemon's end of the commands. It passes commands from the broker to root unchanged,
and root's answers to the broker. Verified orders without need of rights are done here.

A thread of its own, because neither the packets nor the broker wait for it.
"""

from __future__ import annotations

import select
import socket
import threading
import time
from collections import deque

import msgpack

from algwatch.base import tracebacks
from algwatch.control.channel import (
    ANSWER,
    COMMAND,
    DO,
    LONGEST,
    MOST_CORRELATION,
    TAKEN,
    pack,
    peer,
    unpack,
)
from algwatch.control.order import EVIDENCE, MOST, PING, Order, Refused, read
from algwatch.quiet import suppress
from algwatch.report.rate import Bucket
from algwatch.report.wake import Wake

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from algwatch.control.kept import Kept
    from algwatch.report.publisher import Publisher

tracebacks.hook_threads(threading)

# Only root can tell an order from noise, so each command is passed on; report/incoming.py limits
# their number. These wait for root at most:
WAITING, WAITING_BYTES = 128, 131072
REFUSED = (20, 0.2)  # answers to what never came to root, at once and a second
RETRY = 2.0  # seconds between looks for root's program
PATIENCE = 5.0  # seconds a command waits for it
ABSENT = "nothing here takes commands: algwatch obey does not run"
FULL = "too many commands wait here: send it again in a minute"
DONE = 16  # orders of root already done, remembered


class Relay:
    """path: of root's socket. kept: the evidence. Any thread may call take()."""

    def __init__(self, path: str, kept: Kept) -> None:
        self._path = path
        self._kept = kept
        self._began = time.monotonic()
        self._refused = Bucket(REFUSED, self._began)
        self._waiting: deque[tuple[float, bytes, bytes]] = deque()
        self._wake = Wake()
        self._publisher: Publisher | None = None
        self._done: dict[str, None] = {}  # ids of orders already done

    def start(self, publisher: Publisher) -> None:
        """publisher: takes the answers."""
        self._publisher = publisher
        threading.Thread(target=self._run, name="commands", daemon=True).start()

    def take(self, payload: bytes, correlation: bytes) -> None:
        """A command, unchanged."""
        if len(correlation) > MOST_CORRELATION:
            correlation = b""
        if len(payload) > MOST:
            self._refuse(f"longer than {MOST} bytes", correlation)
            return
        waiting = [len(one) for _, one, _ in self._waiting.copy()]
        if len(waiting) >= WAITING or sum(waiting) + len(payload) > WAITING_BYTES:
            self._refuse(FULL, correlation)
            return
        self._waiting.append((time.monotonic(), payload, correlation))
        self._wake.call()

    def _run(self) -> None:
        while True:
            sock = self._connected()
            if sock is not None:
                with sock, suppress(OSError):
                    self._serve(sock)
            self._give_up()
            self._wake.sleep(RETRY)

    def _connected(self) -> socket.socket | None:
        sock = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        try:
            sock.connect(self._path)
            if peer(sock) == 0:  # only root may give the daemon orders
                return sock
        except OSError:
            pass
        sock.close()
        return None

    def _serve(self, sock: socket.socket) -> None:
        """Until the connection ends; OSError."""
        poller = select.poll()
        poller.register(sock, select.POLLIN)
        poller.register(self._wake.fd, select.POLLIN)
        while True:
            while self._waiting:
                _, payload, correlation = self._waiting[0]
                sock.send(pack(COMMAND, 0, correlation, payload))
                self._waiting.popleft()
            ready = {number for number, _ in poller.poll()}
            self._wake.drain()
            if sock.fileno() in ready:
                data = sock.recv(LONGEST)
                if not data:
                    return
                self._heard(sock, data)

    def _heard(self, sock: socket.socket, data: bytes) -> None:
        try:
            word, number, correlation, rest = unpack(data)
            fields = msgpack.unpackb(rest)
        except ValueError:
            return
        if word == ANSWER:
            self._answer(fields, correlation)
        elif word == DO:
            with suppress(Refused):
                self._once(read(rest), correlation)
        sock.send(pack(TAKEN, number, b""))

    def _once(self, order: Order, correlation: bytes) -> None:
        """Root repeats an order, and its numbers begin anew with each start of it."""
        if order.id not in self._done:
            self._done[order.id] = None
            if len(self._done) > DONE:
                del self._done[next(iter(self._done))]
            self._do(order, correlation)

    def _do(self, order: Order, correlation: bytes) -> None:
        said: dict[str, Any] = {"state": "done", "id": order.id, "command": order.command}
        publisher = self._publisher
        try:
            if order.command == PING:
                said["uptime"] = round(time.monotonic() - self._began, 1)
            elif order.command == EVIDENCE:
                said |= self._kept.pcap(order.key, order.call_id)
            elif publisher is not None:
                publisher.level = order.level
                said["level"] = order.level
        except Refused as why:
            said |= {"state": "refused", "reason": str(why)}
        self._answer(said, correlation)

    def _answer(self, said: dict[str, Any], correlation: bytes) -> None:
        if self._publisher is not None:
            self._publisher.reply(said, correlation)

    def _give_up(self) -> None:
        oldest = time.monotonic() - PATIENCE
        while self._waiting and self._waiting[0][0] < oldest:
            _, _, correlation = self._waiting.popleft()
            self._refuse(ABSENT, correlation)

    def _refuse(self, why: str, correlation: bytes) -> None:
        """A sender of very many waits for no answer to each."""
        if self._refused.take(time.monotonic()):
            self._answer({"state": "refused", "reason": why}, correlation)
