# SPDX-License-Identifier: Apache-2.0
"""The hand-over: root opens two descriptors, and an unprivileged daemon reads them.

Both ends of it. `serve` is root's: it waits at a unix socket for one process of the named user
(SO_PEERCRED), opens the configured descriptors, sends them (SCM_RIGHTS), and ends. It reads nothing
from the other end, and offers nothing else:

    own-phones   the socket of kernel/nflog.py
    conntrack    /proc/net/nf_conntrack

Each is one message: its name with the descriptor, or its name with the reason for its absence.
"end" follows.
"""

from __future__ import annotations

import os
import socket
import time

from algwatch.base.owner import Owner
from algwatch.capture.conntrack import TABLE
from algwatch.capture.owners import read_owners
from algwatch.config import AUTO, OFF, Config
from algwatch.control.channel import CannotServe, listen
from algwatch.control.channel import peer as peer_of
from algwatch.quiet import suppress

OWN_PHONES, CONNTRACK, _END = "own-phones", "conntrack", "end"
WAIT = 60.0  # seconds of root's wait for the daemon
PATIENCE = 10.0  # seconds of the daemon's wait for root's program, started at the same time
_LONGEST = 512  # bytes of a message


class Handed:
    """Descriptors handed over, by name, and reasons for missing ones, by name."""

    def __init__(self) -> None:
        self.descriptors: dict[str, int] = {}
        self.why: dict[str, str] = {}

    def take(self, name: str) -> int:
        """The descriptor, owned by the caller from now on; -1 without one."""
        return self.descriptors.pop(name, -1)

    def close(self) -> None:
        """Close the descriptors not taken."""
        while self.descriptors:
            os.close(self.descriptors.popitem()[1])


def wants_log(config: Config, owners: tuple[Owner, ...]) -> bool:
    """True if messages of programs on the router itself are to be logged."""
    return config.own_phones != OFF and (config.own_phones != AUTO or bool(owners))


def serve(config: Config, uid: int, seconds: float = WAIT) -> None:
    """Hand over to one process of the user, at the socket config.handover. CannotServe."""
    path = config.handover
    if os.geteuid() != 0:
        raise CannotServe("handover opens what only root may: start it as root")
    listener = listen(path, uid)
    made = os.lstat(path).st_mtime_ns  # the number of an inode is used again
    try:
        end = time.monotonic() + seconds
        while True:
            listener.settimeout(max(0.01, end - time.monotonic()))
            try:
                peer, _ = listener.accept()
            except TimeoutError:
                raise CannotServe(
                    f"nobody came to {path} within {seconds:.0f} s: start algwatch run with "
                    f"handover = {path}"
                ) from None
            with peer:
                peer.settimeout(2.0)
                if peer_of(peer) not in (uid, 0):
                    continue
                with suppress(OSError):  # it left: wait for another one
                    _hand(peer, config)
                    return
    finally:
        listener.close()
        with suppress(OSError):
            if os.lstat(path).st_mtime_ns == made:  # another one may have been started meanwhile
                os.unlink(path)


def _hand(peer: socket.socket, config: Config) -> None:
    if wants_log(config, read_owners(config.ports)):
        from algwatch.kernel.nflog import CannotLog, open_log

        try:
            with open_log(config.wan, config.ports) as log:
                _send(peer, OWN_PHONES, log.fileno())
        except CannotLog as why:
            _send(peer, OWN_PHONES, why=str(why))
    if config.media:
        try:
            with open(f"/{TABLE}", "rb", buffering=0) as table:
                _send(peer, CONNTRACK, table.fileno())
        except OSError as problem:
            _send(peer, CONNTRACK, why=f"/{TABLE}: {problem.strerror}")
    peer.send(_END.encode())


def _send(peer: socket.socket, name: str, fd: int = -1, why: str = "") -> None:
    text = f"{name} {why}".encode()[:_LONGEST]
    if fd < 0:
        peer.send(text)
    else:
        socket.send_fds(peer, [text], [fd])


def receive(path: str, seconds: float = PATIENCE) -> Handed:
    """The daemon's end. A missing descriptor is no error: its reason is in the result."""
    handed = Handed()
    end = time.monotonic() + seconds
    problem = "nobody answers there: is algwatch handover running?"
    while True:
        try:
            with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as sock:
                sock.settimeout(max(0.01, end - time.monotonic()))
                sock.connect(path)
                if peer_of(sock) != 0:
                    problem = "the program there is not root's"
                    break
                if _receive(sock, handed):
                    return handed
                problem = "it ended before everything was handed over"
                break
        except (FileNotFoundError, ConnectionRefusedError):
            if time.monotonic() > end:
                break
            time.sleep(0.1)
        except OSError as error:
            problem = error.strerror or str(error)
            break
    for name in (OWN_PHONES, CONNTRACK):
        if name not in handed.descriptors:
            handed.why.setdefault(name, f"{path}: {problem}")
    return handed


def _receive(sock: socket.socket, handed: Handed) -> bool:
    """True once "end" has come."""
    for _ in range(4):
        data, descriptors, _, _ = socket.recv_fds(sock, _LONGEST, 1)
        name, _, why = data.decode("utf-8", "replace").partition(" ")
        if name in (OWN_PHONES, CONNTRACK) and descriptors and name not in handed.descriptors:
            os.set_inheritable(descriptors[0], False)
            handed.descriptors[name] = descriptors[0]
            continue
        for number in descriptors:
            os.close(number)
        if name in ("", _END):
            return name == _END
        handed.why[name] = why
    return False
