# SPDX-License-Identifier: Apache-2.0
"""Obey: root's end of the commands. It takes commands from the daemon, verifies the operator's
signature, and carries them out.

The daemon talks to the world and has no rights, so it is not trusted. Root has the key, and each
command is checked here, byte for byte as received from the broker. Changes are made by the usual
`algwatch probe`, `apply` and `rollback`, with their refusals, journal and rollback. This process
sleeps nearly always: it imports nothing large.
"""

from __future__ import annotations

import os
import select
import signal
import time

import msgpack

from algwatch import __file__ as PACKAGE
from algwatch import files
from algwatch.control import order as orders
from algwatch.control.channel import (
    ANSWER,
    COMMAND,
    DO,
    LONGEST,
    TAKEN,
    CannotServe,
    listen,
    pack,
    peer,
    unpack,
)
from algwatch.control.log import Log
from algwatch.control.order import LEAST_KEY, Order, Refused
from algwatch.control.run import INTERRUPTED, Run, start
from algwatch.quiet import suppress
from algwatch.report.rate import Bucket

TYPE_CHECKING = False
if TYPE_CHECKING:
    import socket
    from collections.abc import Callable
    from typing import Any

OBEYED = (20, 1 / 60)  # orders in a burst, and a second
ANSWERED = (20, 0.2)  # the same for refusals of noise and of replays, answered and noted
REFUSED = 64  # ids of signed orders that were refused: the first refusal is always answered
WAITING = 32  # answers without the daemon's acknowledgement
MOST_NOTED = 16384  # bytes of the file of refusals
EVERY = 1.0  # seconds between looks at the time


class Obey:
    """key: of this router. noted: path of the file of refusals. cpe: this router. run: starts the
    verb of an order. now: seconds since 1970."""

    def __init__(
        self,
        key: bytes,
        log: Log,
        noted: str,
        cpe: str,
        run: Callable[[Order], Run] = start,
        now: Callable[[], float] = time.time,
    ) -> None:
        self._key, self._log, self._noted, self._cpe = key, log, noted, cpe
        self._start, self._now = run, now
        self._made = os.stat(PACKAGE).st_mtime
        monotonic = time.monotonic()
        self._obeyed = Bucket(OBEYED, monotonic)
        self._answered = Bucket(ANSWERED, monotonic)
        self._refused: dict[str, None] = {}
        self._number = 0
        self._waiting: dict[int, bytes] = {}
        self._daemon: socket.socket | None = None
        self._run: tuple[Run, Order, bytes] | None = None
        self._stop: tuple[Order, bytes] | None = None  # the rollback that ended it
        self._ended = False
        for id, command in list(log.open.items()):
            why = "root's part ended before it did, so it is not known how it ended"
            self._end(Order(command, id, cpe, 0.0, 0.0), b"", "failed", why)

    def serve(self, listener: socket.socket, uid: int, wake: int) -> None:
        """Until end(). uid: of the daemon. wake: readable after a signal."""
        listener.setblocking(False)
        while not self._ended:
            poller = select.poll()
            poller.register(wake, select.POLLIN)
            poller.register(listener, select.POLLIN)
            if self._daemon is not None:
                poller.register(self._daemon, select.POLLIN)
            if self._run is not None and self._run[0].out >= 0:
                poller.register(self._run[0].out, select.POLLIN)
            pause = None if self._run is None else EVERY * 1000
            ready = {number for number, _ in poller.poll(pause)}
            self.look()
            if self._daemon is not None and self._daemon.fileno() in ready:
                self._hear(self._daemon)
            if listener.fileno() in ready:
                self._accept(listener, uid)

    def end(self) -> None:
        """A running verb goes on: apply watches over itself."""
        self._ended = True

    def _accept(self, listener: socket.socket, uid: int) -> None:
        try:
            sock, _ = listener.accept()
        except OSError:
            return
        if peer(sock) not in (uid, 0):
            sock.close()
            return
        if self._daemon is not None:  # the newer connection wins: the other may be dead
            self._daemon.close()
        sock.setblocking(False)
        self._daemon = sock
        for message in list(self._waiting.values()):
            self._send(message)

    def _hear(self, sock: socket.socket) -> None:
        try:
            data = sock.recv(LONGEST)
        except BlockingIOError:
            return
        except OSError:
            data = b""
        if not data:
            sock.close()
            self._daemon = None
            return
        try:
            word, number, correlation, payload = unpack(data)
        except ValueError:
            return
        if word == TAKEN:
            self._waiting.pop(number, None)
        elif word == COMMAND:
            self.command(payload, correlation)

    def command(self, payload: bytes, correlation: bytes) -> None:
        """payload: as received from the broker."""
        named: Order | None = None
        try:
            # No field of an unverified order is repeated.
            order = orders.read(orders.opened(payload, self._key))
            named = order
            now = self._now()
            orders.in_time(order, self._cpe, now, self._made)
            if self._log.is_taken(order.id, order.expires):
                if order.id in self._log.taken:
                    raise Refused("it was taken before")
                raise Refused("it may have been taken before, or is older than one that was: "
                              "sign a new one")  # fmt: skip
            if not self._obeyed.take(time.monotonic()):
                raise Refused("too many commands: send it again in a minute")
            try:
                self._log.take(order.id, order.expires, order.command, now)
            except OSError as problem:
                raise Refused(f"it cannot be noted here: {problem.strerror}") from None
        except Refused as why:
            self._refuse(named, correlation, str(why))
            return
        try:
            orders.check(order)
            self._do(order, correlation)
        except Refused as why:
            self._end(order, correlation, "refused", str(why))

    def _do(self, order: Order, correlation: bytes) -> None:
        """Refused."""
        if order.command not in orders.BY_ROOT:
            self._log.end(order.id, self._now(), "handed", "to the daemon")
            self._queue(DO, correlation, order.body())
            return
        if self._run is not None:
            run, other, _ = self._run
            if order.command != orders.ROLLBACK or other.command != orders.APPLY or self._stop:
                raise Refused(f"{other.command} is at work")
            # An interrupted apply takes its change back: this is the rollback.
            self._stop = order, correlation
            run.interrupt()
        else:
            try:
                self._run = self._start(order), order, correlation
            except OSError as problem:
                raise Refused(f"it cannot be started: {problem.strerror}") from None
        self._answer(order, correlation, "accepted")

    def look(self) -> None:
        """At the running verb."""
        if self._run is None:
            return
        run, order, correlation = self._run
        if not run.look():
            return
        self._run = None
        self._end(order, correlation, "done", "", **run.told())
        if self._stop is not None:
            (stop, by), self._stop = self._stop, None
            if run.status in INTERRUPTED:
                said = "the apply that was at work has taken its change back"
                self._end(stop, by, "done", "", status=0, lines=[said])
            else:
                why = f"the apply that was at work ended first, with status {run.status}"
                self._end(stop, by, "failed", f"{why}: look at its answer, and ask again")

    def _refuse(self, order: Order | None, correlation: bytes, why: str) -> None:
        """Noted off the flash: outsiders must not wear it."""
        id = order.id if order is not None else "-"
        again = order is None or id in self._log.taken or id in self._refused
        if again and not self._answered.take(time.monotonic()):
            return
        if not again:
            self._refused[id] = None
            if len(self._refused) > REFUSED:
                del self._refused[next(iter(self._refused))]
        with suppress(OSError):
            flags = os.O_WRONLY | os.O_CREAT | os.O_APPEND | files.PLAIN | os.O_NOFOLLOW
            number = os.open(self._noted, flags, 0o600)
            try:
                if os.fstat(number).st_size > MOST_NOTED:
                    os.ftruncate(number, 0)
                os.write(number, f"{self._now():.3f} refused {id} {why}\n".encode())
            finally:
                os.close(number)
        self._answer(order, correlation, "refused", why)

    def _end(self, order: Order, correlation: bytes, state: str, why: str, **more: Any) -> None:
        said = why or f"status {more.get('status')}"
        self._log.end(order.id, self._now(), state, said)
        self._answer(order, correlation, state, why, **more)

    def _answer(self, order: Order | None, correlation: bytes, state: str, reason: str = "",
                **more: Any) -> None:  # fmt: skip
        body: dict[str, Any] = {"state": state}
        if order is not None:
            body |= {"id": order.id, "command": order.command}
        if reason:
            body["reason"] = reason
        self._queue(ANSWER, correlation, msgpack.packb(body | more))

    def _queue(self, word: bytes, correlation: bytes, rest: bytes) -> None:
        self._number = self._number + 1 & 0xFFFFFFFF
        message = pack(word, self._number, correlation, rest)
        self._waiting[self._number] = message
        while len(self._waiting) > WAITING:
            del self._waiting[next(iter(self._waiting))]
        self._send(message)

    def _send(self, message: bytes) -> None:
        if self._daemon is not None:
            with suppress(OSError):  # gone or slow: sent again at its next connection
                self._daemon.send(message)


def read_key(path: str) -> bytes:
    """CannotServe."""
    try:
        key = files.read_secret(path, 4096)
    except files.FileError as problem:
        raise CannotServe(f"commands {problem}") from None
    if key is None:
        raise CannotServe(f"commands {path}: there is no such file; algwatch enroll makes it")
    if len(key) < LEAST_KEY:
        raise CannotServe(f"commands {path}: a key has at least {LEAST_KEY} bytes")
    return key


def serve(key: str, path: str, uid: int, cpe: str, run: Callable[[Order], Run]) -> None:
    """Until SIGTERM or SIGINT. key, path: of the key's file and of the socket. CannotServe."""
    if os.geteuid() != 0:
        raise CannotServe("obey does what only root may: start it as root")
    secret = read_key(key)
    try:
        log = Log(os.path.splitext(key)[0] + ".log")
    except files.FileError as problem:
        raise CannotServe(str(problem)) from None
    listener = listen(path, uid)
    made = os.lstat(path).st_mtime_ns  # the number of an inode is used again
    obey = Obey(secret, log, path + ".refused", cpe, run)
    read, write = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
    for number in signal.SIGTERM, signal.SIGINT:
        signal.signal(number, lambda *_: obey.end())
    signal.set_wakeup_fd(write)
    try:
        obey.serve(listener, uid, read)
    finally:
        signal.set_wakeup_fd(-1)
        os.close(read)
        os.close(write)
        listener.close()
        with suppress(OSError):
            if os.lstat(path).st_mtime_ns == made:  # another one may have been started meanwhile
                os.unlink(path)
