# SPDX-License-Identifier: Apache-2.0
"""Syslog: the agent's lines to a log daemon, one datagram a line.

A socket of this machine (/dev/log) gets the form of syslog(3), as logd of OpenWrt, rsyslog and
journald take it; a server gets RFC 5424 over UDP (RFC 5426). A refused line is lost and counted:
nothing here ever waits.
"""

from __future__ import annotations

import _socket as socket  # not the module socket: 200 kB of the daemon
import os
from time import gmtime, localtime, monotonic, time

DAEMON = 3 << 3  # facility (RFC 5424 section 6.2.1)
WARNING, INFO = 4, 6  # severity
AGAIN = 5.0  # seconds between attempts to reach a missing socket
MOST = 1024  # bytes of a message: taken by every server (RFC 5424 section 6.1)
_MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")


class Syslog:
    """where: a path, or (host, port). lost: lines not taken."""

    def __init__(self, where: str | tuple[str, int]) -> None:
        self._where = where
        self._socket: socket.socket | None = None
        self._again = 0.0
        self.lost = 0
        self._name = os.uname().nodename[:255] or "-"

    def line(self, text: str) -> None:
        """A line of the log (render/log_line.py)."""
        severity = WARNING if " harm=observed" in text or " harm=certain" in text else INFO
        head = self._local if isinstance(self._where, str) else self._remote
        data = (head(DAEMON | severity, text) + text).encode("utf-8", "backslashreplace")[:MOST]
        try:
            self._connected().send(data)
        except OSError:
            self.lost += 1
            self._close()

    def _connected(self) -> socket.socket:
        """OSError if it cannot be reached, and for AGAIN seconds after."""
        if self._socket is None:
            if monotonic() < self._again:
                raise OSError
            self._again = monotonic() + AGAIN
            local = isinstance(self._where, str)
            family = socket.AF_UNIX if local else _family(self._where[0])
            made = socket.socket(family, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC)
            self._socket = made
            made.setblocking(False)
            made.connect(self._where)
        return self._socket

    def _close(self) -> None:
        if self._socket is not None:
            self._socket.close()
            self._socket = None

    def _local(self, priority: int, text: str) -> str:
        now = localtime()
        return (
            f"<{priority}>{_MONTHS[now.tm_mon - 1]} {now.tm_mday:2} {now.tm_hour:02}:"
            f"{now.tm_min:02}:{now.tm_sec:02} algwatch[{os.getpid()}]: "
        )

    def _remote(self, priority: int, text: str) -> str:
        """VERSION TIMESTAMP HOSTNAME APP-NAME PROCID MSGID STRUCTURED-DATA (section 6)."""
        seconds = time()
        at = gmtime(seconds)
        stamp = (
            f"{at.tm_year:04}-{at.tm_mon:02}-{at.tm_mday:02}T{at.tm_hour:02}:{at.tm_min:02}:"
            f"{at.tm_sec:02}.{int(seconds % 1 * 1e6):06}Z"
        )
        kind = text.partition(" ")[0]
        kind = kind if kind.isascii() and kind.isalpha() and len(kind) <= 32 else "-"
        return f"<{priority}>1 {stamp} {self._name} algwatch {os.getpid()} {kind} - "


def _family(host: str) -> int:
    return socket.AF_INET6 if ":" in host else socket.AF_INET
