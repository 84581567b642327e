# SPDX-License-Identifier: Apache-2.0
"""The kernel's table of connections, as text and in pieces (ct_seq_show() in
net/netfilter/nf_conntrack_standalone.c).

ctnetlink needs CAP_NET_ADMIN at every request. /proc/net/nf_conntrack needs root to open, but not
to read: it is opened before privileges are given up, and read from its beginning each time. The
kernel hands out a page of some twenty lines at a time, and most versions search for their place
from the beginning of the table. So a table is read seldom and in small pieces, with packets handled
in between.
"""

from __future__ import annotations

import os
import re
import time
from collections.abc import Callable, Iterable

from algwatch.base import address
from algwatch.base.tracked import Counter, Endpoint, Tracked

TABLE = "proc/net/nf_conntrack"
_ACCOUNTING = "proc/sys/net/netfilter/nf_conntrack_acct"
PIECE = 0.003  # seconds of reading between two checks for packets
PAUSE = 0.015  # seconds between two pieces: a table takes a sixth of the CPU at most
LONGEST = 5.0  # seconds; a longer reading is given up
REST = 8  # the pause before the next reading, as a multiple of its time
LEAST_REST = 0.3  # seconds
MOST_LINE = 4096  # bytes

_PORT = re.compile(rb"port=(\d+) ")
_TUPLE = rb"src=(\S+) dst=(\S+) sport=(\d+) dport=(\d+) "
_COUNTER = rb"(?:packets=(\d+) bytes=(\d+) )?"
_LINE = re.compile(
    rb"ipv([46]) +\d+ udp +17 (?:\d+ )?" + _TUPLE + rb"(?:zone-orig=\d+ )?" + _COUNTER
    + rb"(?:\[UNREPLIED\] )?" + _TUPLE + rb"(?:zone-reply=\d+ )?" + _COUNTER + rb"(.*)"
)  # fmt: skip


class NoAccounting(Exception):
    """Nothing is counted; the text gives the reason and the remedy."""


class Conntrack:
    """fd: of the table, if already open; close() closes it. root: of the files (tests). Raises
    NoAccounting."""

    def __init__(self, root: str = "/", fd: int = -1) -> None:
        try:
            with open(os.path.join(root, _ACCOUNTING), "rb") as file:
                counts = file.read(16).strip() not in (b"", b"0")
            table = os.path.join(root, TABLE)
            self._fd = fd if fd >= 0 else os.open(table, os.O_RDONLY | os.O_CLOEXEC)
        except OSError as problem:
            why = "only root may" if isinstance(problem, PermissionError) else problem.strerror
            raise NoAccounting(f"{problem.filename}: {why}") from None
        if not counts:
            os.close(self._fd)
            raise NoAccounting("sysctl -w net.netfilter.nf_conntrack_acct=1 turns it on")
        self._wanted: frozenset[bytes] | None = None
        self._found: list[Tracked] = []
        self._rest = b""
        self._began = self._ready_at = 0.0

    @property
    def busy(self) -> bool:
        """The table is being read."""
        return self._wanted is not None

    @property
    def ready(self) -> bool:
        """begin() may be called."""
        return not self.busy and time.monotonic() >= self._ready_at

    def begin(self, ports: Iterable[int]) -> None:
        """Search the UDP flows with one of these ports at any end."""
        self._wanted = frozenset(b"%d" % port for port in ports)
        self._found = []
        self._rest = b""
        self._began = time.monotonic()
        os.lseek(self._fd, 0, os.SEEK_SET)

    def step(self, clock: Callable[[], int]) -> list[Tracked] | None:
        """Read on for a moment. clock: ns, packet time. None while there is more. Raises OSError if
        the table cannot be read, or not in time; the next reading may begin later then."""
        assert self._wanted is not None
        until = time.monotonic() + PIECE
        try:
            while True:
                text = os.read(self._fd, 65536)
                self._take(text, clock())
                now = time.monotonic()
                if not text:
                    return self._over(now)
                if now - self._began > LONGEST:
                    raise OSError(f"more than {LONGEST:.0f} s for one look at the table")
                if now > until:
                    return None
        except OSError:
            self._over(time.monotonic())
            raise

    def close(self) -> None:
        if self._fd >= 0:
            os.close(self._fd)
        self._fd = -1

    def _over(self, now: float) -> list[Tracked]:
        self._wanted = None
        self._ready_at = now + max(LEAST_REST, REST * (now - self._began))
        found, self._found = self._found, []
        return found

    def _take(self, text: bytes, at: int) -> None:
        """text: "" at the end."""
        whole = self._rest + text
        end = whole.rfind(b"\n") + 1 if text else len(whole)
        self._rest = whole[end:] if len(whole) - end <= MOST_LINE else b""
        assert self._wanted is not None
        if self._wanted.isdisjoint(_PORT.findall(whole, 0, end)):
            return  # as most pieces of a table are
        place = 0
        for hit in _PORT.finditer(whole, 0, end):
            if hit[1] not in self._wanted or hit.start() < place:
                continue
            start = whole.rfind(b"\n", 0, hit.start()) + 1
            stop = whole.find(b"\n", hit.end(), end)
            place = end if stop < 0 else stop + 1
            one = tracked(whole[start : stop if stop >= 0 else end], at)
            if one is not None:
                self._found.append(one)


def tracked(line: bytes, at: int) -> Tracked | None:
    """The UDP flow of a line; None without one. at: ns."""
    parts = _LINE.fullmatch(line)
    if parts is None:
        return None
    version = int(parts[1])
    ends: list[Endpoint] = []
    for i in (2, 8):
        for host, port in ((parts[i], parts[i + 2]), (parts[i + 1], parts[i + 3])):
            text = _host(host, version)
            if not text or len(port) > 5:
                return None
            ends.append((text, int(port)))
    return Tracked(at, (ends[0], ends[1]), (ends[2], ends[3]), _counter(parts[6], parts[7]),
                   _counter(parts[12], parts[13]), b"OFFLOAD]" in parts[14])  # fmt: skip


def _counter(packets: bytes | None, octets: bytes | None) -> Counter | None:
    if packets is None or octets is None or len(packets) > 20 or len(octets) > 20:
        return None
    return int(packets), int(octets)


def _host(text: bytes, version: int) -> str:
    """Spelled as by base.address (the kernel's %pI6 has all digits); "" for no address."""
    if version == 4:
        host = text.decode("ascii", "replace")
        return host if address.ipv4(host) >= 0 else ""
    try:
        packed = bytes.fromhex(text.replace(b":", b"").decode("ascii", "replace"))
    except ValueError:
        return ""
    return address.text(packed, 6) if len(packed) == 16 else ""
