# SPDX-License-Identifier: Apache-2.0
"""Packets to batches of rows."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from algwatch._native import ffi, lib
from algwatch.base.native.layout import ENDS, ROW
from algwatch.base.native.scan import checked_key
from algwatch.base.packet import Batch

TYPE_CHECKING = False
if TYPE_CHECKING:
    from algwatch.base.native.rtp import Rtp

_MAX_U32 = 0xFFFFFFFF
_ROWS_A_PACKET: int = lib.AW_ROWS_A_PACKET
uncleared = ffi.new_allocator(should_clear_after_alloc=False)  # RAM is used only where written


class Counts:
    """Counters of packets and messages (aw_counts): whole numbers that only grow."""

    __slots__ = ("struct",)
    NAMES: tuple[str, ...] = tuple(name for name, _ in ffi.typeof("aw_counts").fields)

    def __init__(self) -> None:
        self.struct = ffi.new("aw_counts *")

    def as_dict(self) -> dict[str, int]:
        return {name: int(getattr(self.struct, name)) for name in self.NAMES}


class Rows:
    """Room for rows and their ends, made once and reused for every batch."""

    __slots__ = ("_ends", "_rows", "ends_view", "output", "rows_view")

    def __init__(self, limit: int) -> None:
        if limit < _ROWS_A_PACKET:
            raise ValueError(f"room for {limit} rows, but one packet may need {_ROWS_A_PACKET}")
        self._rows = uncleared("aw_row[]", limit)
        self._ends = uncleared("aw_ends[]", limit)
        self.output = ffi.new("aw_output *", (self._rows, self._ends, limit))
        self.rows_view = memoryview(ffi.buffer(self._rows))
        self.ends_view = memoryview(ffi.buffer(self._ends))

    def batch(self, buffer: bytes | memoryview, count: int, tap: int, watermark: int) -> Batch:
        return Batch(
            buffer,
            self.rows_view[: count * ROW.size],
            self.ends_view[: count * ENDS.size],
            count,
            tap,
            watermark,
        )


class Settings:
    """The reading of one tap's packets (aw_tap). tap: index of the tap; key: 16 bytes; ports: SIP
    ports; linktype: LINKTYPE_ value of libpcap, not for a ring; rtp: the counter of RTP."""

    __slots__ = ("_key", "_ports", "_rtp", "struct", "tap")

    def __init__(self, tap: int, key: bytes, ports: Sequence[int], linktype: int = 0,
                 rtp: Rtp | None = None) -> None:  # fmt: skip
        self.tap = tap
        self._key = ffi.new("uint8_t[16]", checked_key(key))
        self._ports = ffi.new("uint16_t[]", list(ports))
        self._rtp = rtp
        self.struct = ffi.new("aw_tap *", (self._key, self._ports, len(ports), linktype, tap))
        if rtp is not None:
            self.struct.rtp = rtp.struct


class Scanner:
    """Packets of one tap to batches.

    linktype: LINKTYPE_ value of libpcap; tap: index of the tap; key: 16 bytes; ports: SIP ports;
    counts: added to; rtp: the counter of RTP. Reuses its buffers: a batch's rows and ends are valid
    until the next batch is requested.
    """

    __slots__ = ("_rows", "_settings", "counts", "linktype", "tap")

    def __init__(
        self,
        linktype: int,
        tap: int,
        key: bytes,
        ports: Sequence[int],
        counts: Counts,
        max_rows: int = 1024,
        rtp: Rtp | None = None,
    ) -> None:
        self.linktype = linktype
        self.tap = tap
        self.counts = counts
        self._settings = Settings(tap, key, ports, linktype, rtp)
        self._rows = Rows(max_rows)
        self._rows.output.counts = counts.struct

    def scan(self, buffer: bytes, meta: bytes, watermark: int) -> Iterator[Batch]:
        """buffer, meta: results of pcapy-ng's next_batch(). Usually yields one batch.

        watermark (ns) goes to the last batch. A batch cut short for want of rows has 0, because
        more of the same packets follow.
        """
        count, odd = divmod(len(meta), 16)
        if odd:
            raise ValueError(f"{len(meta)} bytes are no table of 16-byte records")
        if len(buffer) > _MAX_U32:
            raise ValueError("a batch of 4 GiB or more: offsets have 32 bits")
        data = ffi.from_buffer("uint8_t[]", buffer)
        records = ffi.from_buffer("uint32_t[]", meta)
        rows = self._rows
        packets = ffi.new("aw_packets *", (data, len(data), records, count, 0))
        while True:
            found: int = lib.aw_batch_scan(self._settings.struct, packets, rows.output)
            done = packets.next == count
            yield rows.batch(buffer, found, self.tap, watermark if done else 0)
            if done:
                return
