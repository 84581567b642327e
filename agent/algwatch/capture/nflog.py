# SPDX-License-Identifier: Apache-2.0
"""Packets sent and received by programs on the router itself (phone ports, Asterisk, siproxd),
before NAT and the SIP helper, as batches: a tap of the LAN side without an interface.

kernel/nflog.py opens the descriptor. Reading it takes no privilege. Each message of nfnetlink_log
holds a packet in the form of LINKTYPE_NFLOG, so the scanner of capture files reads it in place.
"""

from __future__ import annotations

import errno
import os
import struct
import time
from collections import deque
from collections.abc import Iterator, Sequence

from algwatch.base.native.rows import Counts, Scanner
from algwatch.base.packet import Batch
from algwatch.capture.packets import NFLOG
from algwatch.capture.ring import DISORDER
from algwatch.quiet import suppress

TYPE_CHECKING = False
if TYPE_CHECKING:
    from algwatch.base.native.rtp import Rtp

NAME = "own-phones"  # in place of an interface's name
LONGEST = 1 << 17  # bytes of a datagram: a packet of 64 kB and its attributes
MOST = 1 << 18  # bytes waiting here; the kernel's queue holds the rest
A_BATCH = 16  # packets
A_DRAIN = 512  # datagrams read in a row: a flood must not keep the caller
ROWS = 128  # rows of one scan; the rest makes a batch of its own
# The kernel stamps nothing in the output hook, so a packet has the time of its reading. After a
# longer wait this time is not comparable: the packet counts as lost.
LATE = 1_000_000_000  # ns

_HEADER = struct.Struct("=IHHII")
_PACKET = 4 << 8  # NFNL_SUBSYS_ULOG, NFULNL_MSG_PACKET
_RECORD = struct.Struct("=IIII")


class LogTap:
    """The descriptor as a source of batches, used like a LiveTap (capture/ring.py).

    tap: index of the tap in every row. ports: SIP ports. key: 16 bytes, of the hashes. counts:
    added to. rtp: takes the media announced by messages. fd: close() closes it, and the kernel then
    removes table and group.
    """

    name = NAME
    reopened = 0
    unseen = ""
    emptied = False  # not known

    def __init__(self, fd: int, tap: int, ports: Sequence[int], key: bytes, counts: Counts,
                 rtp: Rtp | None = None) -> None:  # fmt: skip
        self.tap = tap
        self.drops = 0
        self._fd = fd
        os.set_blocking(fd, False)
        self._scanner = Scanner(NFLOG, tap, key, ports, counts, ROWS, rtp)
        self._waiting: deque[tuple[int, bytes]] = deque()  # read at, ns; a datagram
        self._bytes = 0
        self._scanned: Iterator[Batch] = iter(())
        self._empty_at = time.monotonic_ns()  # the kernel's queue was empty then

    def fileno(self) -> int:
        """-1 after close()."""
        return self._fd

    @property
    def waiting(self) -> bool:
        return bool(self._waiting)

    def drain(self) -> bool:
        """Take the kernel's datagrams, as far as there is room. True if none was left."""
        for _ in range(A_DRAIN):
            if self._fd < 0:
                return True
            if self._bytes >= MOST:
                return False
            try:
                data = os.read(self._fd, LONGEST)
            except BlockingIOError:
                self._empty_at = time.monotonic_ns()
                return True
            except OSError as problem:
                if problem.errno != errno.ENOBUFS:
                    self.close()
                    return True
                self.drops += 1  # at least: the kernel gives no number
                continue
            if time.monotonic_ns() - self._empty_at > LATE:
                self.drops += 1
                continue
            self._waiting.append((time.time_ns(), data))
            self._bytes += len(data)
        return False

    def read(self) -> Batch | None:
        """A batch, or None. Its memory is used again after the next read(). See LiveTap.read()."""
        batch = next(self._scanned, None)
        if batch is not None:
            return batch
        empty = self.drain()
        if not self._waiting:
            return None if empty else Batch(b"", b"", b"", 0, self.tap, 0)
        self._scanned = self._scan()
        return next(self._scanned)

    def _scan(self) -> Iterator[Batch]:
        """Scan up to A_BATCH waiting packets."""
        whole: list[bytes] = []
        records: list[bytes] = []
        start = at = 0
        while self._waiting and len(records) < A_BATCH:
            at, data = self._waiting.popleft()
            self._bytes -= len(data)
            seconds, rest = divmod(at, 1_000_000_000)
            for offset, size in packets_in(data):
                records.append(_RECORD.pack(seconds, rest // 1000, start + offset, size))
            whole.append(data)
            start += len(data)
        watermark = max(0, at - DISORDER)
        return self._scanner.scan(b"".join(whole), b"".join(records), watermark)

    def stats(self) -> dict[str, int]:
        """As of a LiveTap. drops: a lower bound."""
        return {"drops": self.drops, "freezes": 0, "losing": 0}

    def close(self) -> None:
        """Closing twice is fine."""
        fd, self._fd = self._fd, -1
        self._waiting.clear()
        if fd >= 0:
            with suppress(OSError):
                os.close(fd)


def packets_in(data: bytes) -> Iterator[tuple[int, int]]:
    """(offset, bytes) of each packet of a datagram, from the struct nfgenmsg on, as LINKTYPE_NFLOG
    begins."""
    at = 0
    while at + 16 <= len(data):
        size, kind, _, _, _ = _HEADER.unpack_from(data, at)
        if size < 16 or size > len(data) - at:
            return
        if kind == _PACKET:
            yield at + 16, size - 16
        at += size + -size % 4
