# SPDX-License-Identifier: Apache-2.0
"""The live capture ring."""

from __future__ import annotations

from algwatch._native import ffi, lib
from algwatch.base.native.layout import FAILED
from algwatch.base.native.rows import Counts, Rows, Settings, uncleared
from algwatch.base.packet import Batch


class Room:
    """Memory for one Ring.read(): frames, rows and their ends. It uses RAM only for parts written
    to."""

    __slots__ = ("_bytes", "_rows", "_view", "size")

    def __init__(self, size: int, max_rows: int) -> None:
        self.size = size
        self._bytes = uncleared("uint8_t[]", size)
        self._view = memoryview(ffi.buffer(self._bytes))
        self._rows = Rows(max_rows)


class Ring:
    """A live capture ring (native/ring.c), closed until open() returns 0. fd: its descriptor, -1
    while closed."""

    __slots__ = ("_ring", "fd")

    def __init__(self) -> None:
        self._ring = ffi.new("aw_ring *")
        self._ring.fd = self.fd = -1

    def open(
        self, ifname: str, block_size: int, block_count: int, timeout_ms: int, filter_bytes: bytes
    ) -> int:
        """filter_bytes: struct sock_filter, 8 bytes each. Returns 0, GONE or FAILED; then
        `error` is the errno."""
        if len(filter_bytes) % 8:
            raise ValueError(f"{len(filter_bytes)} bytes are no list of 8-byte instructions")
        self.close()
        code: int = lib.aw_ring_open(
            self._ring, ifname.encode(), block_size, block_count, timeout_ms, filter_bytes,
            len(filter_bytes) // 8,
        )  # fmt: skip
        if code == 0:
            self.fd = int(self._ring.fd)
        return code

    @property
    def error(self) -> int:
        """errno of the last failure."""
        return int(self._ring.error)

    @property
    def step(self) -> int:
        """The step open() failed at: STEP_FILTER, or another aw_ring_step."""
        return int(self._ring.step)

    @property
    def linktype(self) -> int:
        """Link type of the device; known as soon as open() has found it."""
        return int(self._ring.linktype)

    @property
    def ifindex(self) -> int:
        return int(self._ring.ifindex)

    def fileno(self) -> int:
        return self.fd

    def read(self, settings: Settings, room: Room, counts: Counts) -> Batch | int:
        """The ready rows, as many as fit; or AGAIN, GONE, FAILED.

        The batch is in the room until the next read into it; the kernel has its blocks back. Its
        watermark is 0: only the caller knows the clock.
        """
        if self.fd < 0:
            return FAILED
        rows = room._rows
        rows.output.counts = counts.struct
        found: int = lib.aw_ring_read(
            self._ring, settings.struct, room._bytes, room.size, rows.output
        )
        return found if found < 0 else rows.batch(room._view, found, settings.tap, 0)

    def drops(self) -> int:
        """Packets without room since open(), from the kernel's own counter."""
        if self.fd >= 0:
            lib.aw_ring_stats(self._ring)
        return int(self._ring.drops)

    def stats(self) -> tuple[int, int, int]:
        """(drops, freezes, losing) since open(), from the kernel's own counters."""
        drops = self.drops()
        return drops, int(self._ring.freezes), int(self._ring.losing)

    def close(self) -> None:
        """Closing twice is fine."""
        if self.fd >= 0:
            self.fd = -1
            lib.aw_ring_close(self._ring)
