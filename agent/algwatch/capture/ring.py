# SPDX-License-Identifier: Apache-2.0
"""A live interface: the ring of native/ring.c, opened, read, and reopened after the interface went
away."""

from __future__ import annotations

import errno
import os
import struct
import time
from collections import deque
from collections.abc import Sequence

from algwatch.base.native import layout
from algwatch.base.native.ring import Ring, Room
from algwatch.base.native.rows import Counts, Settings
from algwatch.base.packet import Batch
from algwatch.capture import filter as kernel_filter

TYPE_CHECKING = False
if TYPE_CHECKING:
    from algwatch.base.native.rtp import Rtp

BLOCK_BYTES = 65536  # a frame made by segmentation offload is not cut (64 kB of IP)
BLOCK_TIMEOUT_MS = 300  # each block is a turn of the daemon, and delays a verdict
# The kernel's timer retires a block at its second visit, so a packet may wait twice the timeout
# (prb_retire_rx_blk_timer_expired).
LAG = 2 * BLOCK_TIMEOUT_MS * 1_000_000
# Packets are stamped before they queue for the ring's lock, on any CPU.
DISORDER = 1_000_000
RETRY_SECONDS = 1.0
SLICE = 32  # rows of a batch: a third of a millisecond of work between two checks of the ring
ROWS = 512  # the most of one block: a packet takes at least 144 bytes of it

_AT = struct.Struct("=Q")


class TapError(Exception):
    """The interface cannot be tapped; the message gives the remedy."""


def interfaces() -> list[str]:
    """Names of the interfaces of this network namespace, in the kernel's order."""
    # /proc/net follows the namespace of the process; /sys/class/net the namespace of the mount.
    try:
        with open("/proc/net/dev", encoding="ascii", errors="replace") as lines:
            return [line.split(":")[0].strip() for line in lines if ":" in line]
    except OSError:
        return []


def option_memory() -> str:
    """net.core.optmem_max, the limit of a socket's filter, in words: "10240 bytes"."""
    try:
        with open("/proc/sys/net/core/optmem_max", encoding="ascii") as file:
            return f"{int(file.read())} bytes"
    except (OSError, ValueError):
        return "too little"


def _advice(name: str, error: int, ring_bytes: int, step: int = 0) -> str:
    if error in (errno.ENODEV, errno.ENXIO):
        there = ", ".join(interfaces()) or "none"
        return f"there is no interface {name}; the interfaces here are: {there}"
    if error in (errno.EPERM, errno.EACCES):
        return (
            f"no privilege to capture on {name}: run as root, or grant CAP_NET_RAW "
            "(on OpenWrt procd grants capabilities only inside a jail: install procd-ujail)"
        )
    if step == layout.STEP_FILTER and error == errno.ENOMEM:
        return (
            f"no room for the capture filter of {name}: net.core.optmem_max is {option_memory()}; "
            "watch fewer ports, or raise it: sysctl -w net.core.optmem_max=20480"
        )
    if step == layout.STEP_FILTER and error == errno.EINVAL:
        return f"this kernel refused the capture filter of {name}"
    if error in (errno.ENOMEM, errno.ENOBUFS):
        return f"no memory for the capture ring of {name} ({ring_bytes} bytes): make it smaller"
    if error == errno.EPFNOSUPPORT:
        return f"{name} is neither Ethernet nor an IP device: tap the device that has the address"
    if error == errno.EAFNOSUPPORT:
        return "this kernel has no packet sockets: it needs CONFIG_PACKET"
    if error in (errno.ENOPROTOOPT, errno.EINVAL):
        return f"this kernel refused the capture ring of {name} (TPACKET_V3, {os.strerror(error)})"
    return f"{name} cannot be tapped: {os.strerror(error)}"


class LiveTap:
    """One live interface as a source of batches.

    name: interface, looked up again whenever it comes back. tap: index of the tap in every row.
    ports: SIP ports. key: 16 bytes, of the hashes. counts: added to. ring_bytes: memory shared with
    the kernel; a burst takes as much again of our own. rtp: takes the media announced by messages.
    Raises TapError. drops: packets without room, among those before the latest result of read().
    tags: the most VLAN tags in a frame in front of a match of the kernel's filter.
    emptied: nothing was left behind the latest result of read(), neither here nor in the ring, when
    the ring was read for it.

    Use: poll fileno() for reading unless `waiting`; call read() until it returns None, and drain()
    of all taps between two batches if the work on them takes long. fileno() is -1 while the
    interface is away, and another number afterwards, so ask each time; call read() at least once a
    second meanwhile.
    """

    def __init__(
        self,
        name: str,
        tap: int,
        ports: Sequence[int],
        key: bytes,
        counts: Counts,
        ring_bytes: int = 262144,
        rtp: Rtp | None = None,
    ) -> None:
        self.name = name
        self.tap = tap
        self.counts = counts
        self.reopened = 0
        self.drops = 0
        self.emptied = False
        self._ports = kernel_filter.checked_ports(ports)
        self._settings = Settings(tap, key, self._ports, rtp=rtp)
        block = max(BLOCK_BYTES, os.sysconf("SC_PAGESIZE"))
        self._shape = (block, max(2, ring_bytes // block))
        self.tags = kernel_filter.MOST_TAGS
        self._filters: dict[tuple[int, int], bytes] = {}
        self._linktype = kernel_filter.EN10MB  # most are; the ring reports another type
        self._ring = Ring()
        self._past = (0, 0, 0)  # drops, freezes, losing of closed rings
        self._closed = False
        self._free = [Room(block, ROWS)]
        self._taken: deque[tuple[Room, Batch]] = deque()  # as many as blocks at most
        self._burst = False  # several of them were written to; else one, and a spare one waits
        self._next = 0  # the next batch begins at this row of the oldest of them
        self._retry_at = 0.0
        error = self._open()
        if error:
            raise TapError(_advice(name, error, ring_bytes, self._ring.step))

    def _open(self) -> int:
        """0 or an errno."""
        for _ in range(2 + kernel_filter.MOST_TAGS):
            which = linktype, tags = self._linktype, self.tags
            if which not in self._filters:
                self._filters[which] = kernel_filter.compile_apart(linktype, self._ports, tags)
            code = self._ring.open(self.name, *self._shape, BLOCK_TIMEOUT_MS, self._filters[which])
            if code == 0 and self._ring.linktype == linktype:
                return 0
            if code != 0 and (self._ring.step, self._ring.error) != (
                layout.STEP_FILTER, errno.ENOMEM
            ):  # fmt: skip
                return self._ring.error
            if self._ring.linktype != linktype:
                # With the filter of another link type: nothing was read, so nothing is lost.
                self._linktype = self._ring.linktype
                self._ring.close()
            elif linktype == kernel_filter.EN10MB and tags:
                self.tags -= 1
            else:
                return self._ring.error
        return errno.EPFNOSUPPORT

    @property
    def unseen(self) -> str:
        """A line about packets the kernel's filter has no room for; "" without any."""
        if self.tags == kernel_filter.MOST_TAGS or self._linktype != kernel_filter.EN10MB:
            return ""
        behind = "two VLAN tags" if self.tags else "a VLAN tag"
        return (
            f"{self.name}: net.core.optmem_max ({option_memory()}) has no room for the whole "
            f"capture filter: SIP behind {behind} in the frame is not seen"
        )

    def fileno(self) -> int:
        """Descriptor to poll for reading; -1 while the interface is away."""
        return self._ring.fd

    @property
    def waiting(self) -> bool:
        """True if read() has rows without asking the kernel."""
        taken = self._taken
        return len(taken) > 1 or (bool(taken) and self._next < taken[0][1].count)

    def drain(self) -> bool:
        """Copy out the ready packets, as far as there is room, and return the kernel its blocks: it
        loses packets only without free blocks. True if nothing was left.

        Reopens an interface that was away, at most one attempt a second.
        """
        if self._ring.fd < 0 and not self._reopen():
            return True
        block, blocks = self._shape
        # Bounded, so a flood of other packets does not keep the caller here.
        for _ in range(blocks):
            if not self._free:
                if len(self._taken) >= blocks:
                    return False
                self._free.append(Room(block, ROWS))
            room = self._free[-1]
            batch = self._ring.read(self._settings, room, self.counts)
            if isinstance(batch, int):
                if batch != layout.AGAIN:
                    self._went_away()
                return True
            if batch.count:
                self._burst = self._burst or bool(self._taken)
                self._taken.append((self._free.pop(), batch))
        return False

    def read(self) -> Batch | None:
        """A batch of at most SLICE rows, or None. Its memory is used again after the next read().

        After None no later row is older than this call by more than LAG. The watermark of a batch
        goes by its time stamps, which are of the wall clock.
        """
        if self._taken and self._next == self._taken[0][1].count:
            room, _ = self._taken.popleft()
            self._next = 0
            self._free.append(room)
            if self._burst and not self._taken:
                self._burst = False
                del self._free[1:]
        empty = self.drain()
        if not self._next:  # once for all slices of one read
            self.drops = self._past[0]
            if self._ring.fd >= 0:
                self.drops += self._ring.drops()
        self.emptied = False
        if not self._taken:
            return None if empty else Batch(b"", b"", b"", 0, self.tap, 0)
        whole = self._taken[0][1]
        start, end = self._next, min(self._next + SLICE, whole.count)
        self._next = end
        self.emptied = empty and end == whole.count and len(self._taken) == 1
        row, ends = layout.ROW.size, layout.ENDS.size
        last: int = _AT.unpack_from(whole.rows, (end - 1) * row)[0]
        if end - start == whole.count:
            whole.watermark = last - DISORDER
            return whole
        return Batch(
            whole.buffer,
            whole.rows[start * row : end * row],
            whole.ends[start * ends : end * ends],
            end - start,
            self.tap,
            last - DISORDER,
        )

    def stats(self) -> dict[str, int]:
        """drops: packets without room; freezes: times all blocks were full; losing: blocks handed
        over while packets were being dropped. Since the tap was made."""
        drops, freezes, losing = self._past
        if self._ring.fd >= 0:  # a closed ring still reports its old numbers
            more = self._ring.stats()
            drops, freezes, losing = drops + more[0], freezes + more[1], losing + more[2]
        return {"drops": drops, "freezes": freezes, "losing": losing}

    def close(self) -> None:
        """Unread rows are given up. Closing twice is fine."""
        self._closed = True
        self._taken.clear()
        self._shut()

    def _shut(self) -> None:
        drops, freezes, losing = self.stats().values()
        self._past = (drops, freezes, losing)
        self._ring.close()

    def _went_away(self) -> None:
        self._shut()
        self._retry_at = time.monotonic()  # it may be back already: try at the next read

    def _reopen(self) -> bool:
        now = time.monotonic()
        if self._closed or now < self._retry_at:
            return False
        self._retry_at = now + RETRY_SECONDS
        if self._open() != 0:
            return False
        self.reopened += 1
        return True
