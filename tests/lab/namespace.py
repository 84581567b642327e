# SPDX-License-Identifier: Apache-2.0
"""Namespace: one network namespace without a name, held by a file descriptor.

Nothing is left behind however the process ends: a namespace that no name, no descriptor and
no process holds is destroyed by the kernel, with its interfaces and its conntrack entries.
"""

from __future__ import annotations

import ctypes
import errno
import os
import shutil
import socket
import subprocess
import time
from collections.abc import Sequence
from types import TracebackType

CLONE_NEWNET = 0x40000000
IP_MTU_DISCOVER = 10  # <linux/in.h>; Python has no name for it before 3.12
IP_PMTUDISC_DONT = 0

_libc = ctypes.CDLL(None, use_errno=True)


class NoLab(Exception):
    """The lab cannot run here; the text says in one line what is missing."""


def _check(result: int, what: str) -> None:
    if result != 0:
        code = ctypes.get_errno()
        if code in (errno.EPERM, errno.ENOSYS, errno.EINVAL):
            raise NoLab(
                f"the lab may not {what}: {os.strerror(code)} (needs root or user namespaces)"
            )
        raise OSError(code, f"{what}: {os.strerror(code)}")


def _bind(sock: socket.socket, address: tuple[str, int]) -> None:
    """A child that another thread has just forked holds what was closed here, until its exec."""
    end = time.monotonic() + 1
    while True:
        try:
            sock.bind(address)
            return
        except OSError as error:
            if error.errno != errno.EADDRINUSE or time.monotonic() > end:
                raise
            time.sleep(0.01)


class Namespace:
    """`with namespace:` moves the calling thread in and back out; children started inside stay.

    name: for messages only. fd: holds the namespace; /proc/<pid>/fd/<fd> is its path.
    """

    def __init__(self, name: str) -> None:
        self.name = name
        self._way_home: list[int] = []
        home = os.open("/proc/thread-self/ns/net", os.O_RDONLY)
        try:
            _check(_libc.unshare(CLONE_NEWNET), "create network namespaces")
            try:
                self.fd = os.open("/proc/thread-self/ns/net", os.O_RDONLY)
            finally:
                _check(_libc.setns(home, CLONE_NEWNET), "return from a network namespace")
        finally:
            os.close(home)

    @property
    def path(self) -> str:
        return f"/proc/{os.getpid()}/fd/{self.fd}"

    def __enter__(self) -> Namespace:
        self._way_home.append(os.open("/proc/thread-self/ns/net", os.O_RDONLY))
        _check(_libc.setns(self.fd, CLONE_NEWNET), f"enter namespace {self.name}")
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        tb: TracebackType | None,
    ) -> None:
        home = self._way_home.pop()
        _check(_libc.setns(home, CLONE_NEWNET), "return from a network namespace")
        os.close(home)

    def run(self, *argv: str, text: str = "") -> str:
        """Runs a command inside and returns its output; CalledProcessError when it fails."""
        with self:
            done = subprocess.run(argv, input=text, capture_output=True, text=True, check=False)
        if done.returncode != 0:
            raise subprocess.CalledProcessError(done.returncode, argv, done.stdout, done.stderr)
        return done.stdout

    def start(
        self, argv: Sequence[str], env: dict[str, str] | None = None
    ) -> subprocess.Popen[str]:
        """Starts a long-running child inside, output on one pipe.

        It dies with the thread that started it, so that an abrupt end leaves no process.
        """
        leash = ["setpriv", "--pdeathsig", "KILL", "--"] if shutil.which("setpriv") else []
        with self:
            return subprocess.Popen(
                [*leash, *argv],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                text=True,
                errors="replace",
                env=env,
            )

    def udp(self, host: str, port: int, dont_fragment: bool = True) -> socket.socket:
        """A bound, non-blocking UDP socket. Without DF the kernel numbers packets (IP ID != 0)."""
        with self:
            family = socket.AF_INET6 if ":" in host else socket.AF_INET
            sock = socket.socket(family, socket.SOCK_DGRAM)
        try:
            if not dont_fragment and family == socket.AF_INET:
                sock.setsockopt(socket.IPPROTO_IP, IP_MTU_DISCOVER, IP_PMTUDISC_DONT)
            _bind(sock, (host, port))
            sock.setblocking(False)
        except OSError:
            sock.close()
            raise
        return sock

    def close(self) -> None:
        if self.fd >= 0:
            os.close(self.fd)
            self.fd = -1
