"""Packets to batches of rows."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from algwatch._native import ffi, lib
from algwatch.base.native.layout import ENDS, ROW
from algwatch.base.native.scan import checked_key
from algwatch.base.packet import Batch

_MAX_U32 = 0xFFFFFFFF
_ROWS_A_PACKET: int = lib.AW_ROWS_A_PACKET
uncleared = ffi.new_allocator(should_clear_after_alloc=False)  # RAM is what was written to


class Counts:
    """What was seen and what became of it (aw_counts): whole numbers that only grow."""

    __slots__ = ("_struct",)
    NAMES: tuple[str, ...] = tuple(name for name, _ in ffi.typeof("aw_counts").fields)

    def __init__(self) -> None:
        self._struct = ffi.new("aw_counts *")

    def as_dict(self) -> dict[str, int]:
        return {name: int(getattr(self._struct, name)) for name in self.NAMES}


class Rows:
    """Room for rows and their ends, made once and used again for every batch."""

    __slots__ = ("ends", "ends_view", "limit", "rows", "rows_view")

    def __init__(self, limit: int) -> None:
        if limit < _ROWS_A_PACKET:
            raise ValueError(f"room for {limit} rows, but one packet may need {_ROWS_A_PACKET}")
        self.limit = limit
        self.rows = uncleared("aw_row[]", limit)
        self.ends = uncleared("aw_ends[]", limit)
        self.rows_view = memoryview(ffi.buffer(self.rows))
        self.ends_view = memoryview(ffi.buffer(self.ends))

    def batch(self, buffer: bytes | memoryview, count: int, tap: int, watermark: int) -> Batch:
        return Batch(
            buffer,
            self.rows_view[: count * ROW.size],
            self.ends_view[: count * ENDS.size],
            count,
            tap,
            watermark,
        )


class Scanner:
    """Packets of one tap to batches.

    linktype: LINKTYPE_ value of libpcap; tap: index of the tap; key: 16 bytes; ports: SIP
    ports; counts: added to. Reuses its buffers: a batch's rows and ends are valid until the
    next batch is asked for.
    """

    __slots__ = ("_key", "_next", "_port_count", "_ports", "_rows", "counts", "linktype", "tap")

    def __init__(
        self,
        linktype: int,
        tap: int,
        key: bytes,
        ports: Sequence[int],
        counts: Counts,
        max_rows: int = 1024,
    ) -> None:
        self.linktype = linktype
        self.tap = tap
        self.counts = counts
        self._key = ffi.new("uint8_t[16]", checked_key(key))
        self._ports = ffi.new("uint16_t[]", list(ports))
        self._port_count = len(ports)
        self._rows = Rows(max_rows)
        self._next = ffi.new("uint32_t *")

    def scan(self, buffer: bytes, meta: bytes, watermark: int) -> Iterator[Batch]:
        """buffer, meta: what pcapy-ng's next_batch() returns. Usually exactly one batch.

        watermark (ns) goes to the last batch; one that is cut short because its rows were full
        tells 0, because more of the same packets follow.
        """
        count, odd = divmod(len(meta), 16)
        if odd:
            raise ValueError(f"{len(meta)} bytes are no table of 16-byte records")
        if len(buffer) > _MAX_U32:
            raise ValueError("a batch of 4 GiB or more: offsets have 32 bits")
        data = ffi.from_buffer("uint8_t[]", buffer)
        records = ffi.from_buffer("uint32_t[]", meta)
        rows, following = self._rows, self._next
        start = 0
        while True:
            following[0] = start
            found: int = lib.aw_batch_scan(
                data, len(data), records, count, following, self.linktype, self.tap, self._key,
                self._ports, self._port_count, rows.rows, rows.ends, rows.limit,
                self.counts._struct,
            )  # fmt: skip
            start = int(following[0])
            yield rows.batch(buffer, found, self.tap, watermark if start == count else 0)
            if start == count:
                return
