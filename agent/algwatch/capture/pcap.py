# SPDX-License-Identifier: Apache-2.0
"""Capture files, pcap and pcapng, in and out: to batches of rows, and evidence to a file."""

from __future__ import annotations

import os
import struct
from collections.abc import Iterable, Iterator, Sequence
from operator import itemgetter

from algwatch.base.native import layout
from algwatch.base.native.rows import Counts, Scanner
from algwatch.base.packet import UNKNOWN, Batch
from algwatch.capture.batches import add_ns, interleaved, kept
from algwatch.capture.packets import LINKTYPES, Interface, Packets
from algwatch.capture.read import MOST_PACKETS, CaptureError, Reader, Stop, open_reader, size_of
from algwatch.capture.series import SeriesReader
from algwatch.capture.shift import Shift, shifted
from algwatch.capture.sums import Sums
from algwatch.quiet import suppress

__all__ = ["CaptureError", "CaptureFile", "read", "write"]

_META = struct.Struct("=IIII")
_NOT_TCP = bytes(value for value in range(256) if not value & layout.ROW_TCP)


TYPE_CHECKING = False
if TYPE_CHECKING:
    from algwatch.base.native.rtp import Rtp
    from algwatch.capture.fed import FedReader
    from algwatch.capture.picked import Picked
    from algwatch.capture.reassembly import Reassembler
    from algwatch.capture.spool import Spool


class CaptureFile:
    """One capture file, read once from front to back: iterate over it to get its batches.

    path: file name, or "-" for standard input. tap: index of the tap in every row. ports: SIP
    ports. counts: added to. stop: ends the reading. most: packets a batch. spool: the bytes read
    from a pipe. rtp: counts RTP. paths: the files of a series; path is its name then. reader: one
    that somebody feeds; its packets go to `batches`.

    interfaces: those described so far. sides: LAN, WAN or UNKNOWN by name of the interface (see
    capture/interfaces.py), added to the tap in the rows; others are UNKNOWN. limit: no batch begins
    behind this many packets. shift: puts every time of the file on another clock. picked: the
    packets to read. All of them, and tap, are set before the first batch. size: bytes of the file,
    as far as known, unpacked or not; done: bytes read. A file with a damaged end or middle gives
    its readable part; then `truncated_tail` is 1, and `problem` gives the reason. packets: the
    number read; watermark: the time of the last one, ns. regular: it can be read again. Raises
    CaptureError if nothing can be read. Times are cut to microseconds in pcap files (pcapy-ng gives
    no finer ones).
    """

    def __init__(self, path: str, tap: int, ports: Sequence[int], counts: Counts,
                 stop: Stop | None = None, most: int = MOST_PACKETS,
                 spool: Spool | None = None, rtp: Rtp | None = None,
                 paths: Sequence[str] = (), reader: FedReader | None = None) -> None:  # fmt: skip
        self.path = path
        self.tap = tap
        self.sides: dict[str, int] = {}
        self.limit = 0
        self.picked: Picked | None = None
        self.done = 0
        self.shift: Shift | None = None
        self.truncated_tail = 0
        self.problem = ""
        self.packets = 0
        self.watermark = 0
        self._reader: Reader | SeriesReader | FedReader
        if reader is not None:
            self._reader, self.regular = reader, False
        elif len(paths) > 1:
            self._reader, self.regular = SeriesReader(paths, stop or Stop(), most), True
        else:
            self._reader, self.regular = open_reader(path, stop or Stop(), most, spool)
        self._paths = paths or [path]
        self._newest = 0
        self._ports = ports
        self._counts = counts
        self._rtp = rtp
        self._scanners: dict[tuple[int, int], Scanner] = {}
        self._unread: dict[int, int] = {}  # packets by link type
        self._reassembler: Reassembler | None = None
        self._sums = Sums(counts)
        linktypes = {one.linktype for one in self.interfaces}
        if linktypes and not linktypes & set(LINKTYPES):
            self.close()
            raise CaptureError(f"{path}: {_not_read(linktypes)}")

    @property
    def interfaces(self) -> list[Interface]:
        return self._reader.interfaces

    @property
    def remarks(self) -> Sequence[str]:
        """Sentences about a text: its own statements, and its unread parts."""
        return self._reader.remarks

    @property
    def size(self) -> int:
        return sum(map(size_of, self._paths))

    def close(self) -> None:
        self._reader.close()

    def reassembly(self) -> dict[str, int]:
        """Reassembler.health() of this file; parts still waiting at its end are incomplete."""
        if self._reassembler is None:
            return {}
        numbers, waiting = self._reassembler.health(), self._reassembler.pending()
        if waiting:
            numbers["incomplete"] = numbers.get("incomplete", 0) + waiting
        return numbers

    def __iter__(self) -> Iterator[Batch]:
        for packets in self._reader:
            self.done = self._reader.done
            yield from self.batches(packets)
            if 0 < self.limit <= self.packets:
                break
        self.done = self.size
        self._finish()

    def batches(self, packets: Packets) -> Iterator[Batch]:
        """Packets of this file as rows."""
        if self.picked is not None:
            self.picked.pick(packets, self.interfaces)
        for batch in self._scanned(packets):
            if self.shift is not None:
                batch = shifted(batch, self.shift)
            yield self._reassembled(batch)

    def raw(self) -> Iterator[Packets]:
        """The packets alone, in place of batches."""
        return iter(self._reader)

    def _finish(self) -> None:
        problems = []
        if self._reader.problem:
            self.truncated_tail = 1
            problems.append(self._reader.problem)
        if self._unread:
            problems.append(f"{sum(self._unread.values())} packets: {_not_read(self._unread)}")
        self.problem = "; ".join(problems)
        if self.problem and not self.packets:
            raise CaptureError(f"{self.path}: {self.problem}; no packet of it can be read")

    def _scanned(self, packets: Packets) -> Iterator[Batch]:
        """Mostly one batch; more if the rows did not fit."""
        self._newest = max(self._newest, packets.last)
        groups: dict[tuple[int, int], list[bytes]] = {}
        for index, table in packets.tables():
            one = self.interfaces[index]
            if one.linktype in LINKTYPES:
                side = self.sides.get(one.name, UNKNOWN) if self.sides else 0
                group = one.linktype, self.tap + side
                groups.setdefault(group, []).append(table)
            else:
                count = len(table) // _META.size
                self._unread[one.linktype] = self._unread.get(one.linktype, 0) + count
                packets.count -= count
        if packets.count:
            self.packets += packets.count
            self.watermark = packets.last
        if len(groups) == 1:
            ((group, found),) = groups.items()
            for batch in self._scan(packets, group, found):
                yield add_ns(batch, packets.fine) if packets.fine else batch
        elif groups:
            batches = [
                kept(batch)
                for group, found in groups.items()
                for batch in self._scan(packets, group, found)
            ]
            batch = interleaved(batches)
            yield add_ns(batch, packets.fine) if packets.fine else batch

    def _scan(self, packets: Packets, group: tuple[int, int],
              found: list[bytes]) -> Iterator[Batch]:  # fmt: skip
        scanner = self._scanners.get(group)
        if scanner is None:
            key, counts = layout.REPLAY_KEY, self._counts
            scanner = Scanner(group[0], group[1], key, self._ports, counts, rtp=self._rtp)
            self._scanners[group] = scanner
        damaged = self._counts.struct.damaged
        for batch in scanner.scan(packets.buffer, _in_order(found), self._newest):
            batch.tap = self.tap
            now = self._counts.struct.damaged
            yield self._sums.judged(batch, now != damaged)
            damaged = now

    def _reassembled(self, batch: Batch) -> Batch:
        """Most files hold no TCP and no fragments: they do not load the reassembler, 1.2 MB."""
        if self._reassembler is None:
            rows = memoryview(batch.rows)
            kinds = bytes(rows[layout.ROW_KIND :: layout.ROW.size])
            tcp = bytes(rows[layout.ROW_LOW_BITS :: layout.ROW.size]).translate(None, _NOT_TCP)
            if not tcp and layout.KIND_FRAGMENT not in kinds:
                return batch
            from algwatch.capture.reassembly import Reassembler

            self._reassembler = Reassembler(self.tap, self._ports, layout.REPLAY_KEY)
        return self._reassembler.feed(batch)


def read(path: str, tap: int, ports: Sequence[int], counts: Counts) -> Iterator[Batch]:
    """Batches of one file. CaptureError at once if it cannot be read."""
    return iter(CaptureFile(path, tap, ports, counts))


def write(path: str, linktype: int, packets: Iterable[tuple[int, bytes]]) -> int:
    """Save (ns since 1970, frame) pairs as a pcap file with nanoseconds; returns their number.

    The file appears whole or not at all. Written by hand: pcapy-ng writes only packets it has read
    itself (a dumper belongs to a Reader, and a packet header cannot be made). Source:
    draft-ietf-opsawg-pcap sections 4 and 5. OSError if it cannot be written.
    """
    count = 0
    part = path + ".part"
    linktype = 101 if linktype == 12 else linktype  # LINKTYPE_RAW; 12 is another type on BSD
    try:
        with open(part, "wb") as file:
            file.write(struct.pack("=IHHiIII", 0xA1B23C4D, 2, 4, 0, 0, 0x40000, linktype))
            for at, frame in packets:
                seconds, ns = divmod(at, 1_000_000_000)
                file.write(_META.pack(seconds & 0xFFFFFFFF, ns, len(frame), len(frame)))
                file.write(frame)
                count += 1
        os.replace(part, path)
    except BaseException:
        with suppress(OSError):
            os.unlink(part)
        raise
    return count


def _in_order(tables: list[bytes]) -> bytes:
    """The records of several interfaces, scanned alike, in the order of the packets."""
    if len(tables) == 1:
        return tables[0]
    records = [record for table in tables for record in _META.iter_unpack(table)]
    records.sort(key=itemgetter(2))
    return b"".join([_META.pack(*record) for record in records])


def _not_read(linktypes: Iterable[int]) -> str:
    known = ", ".join(sorted(set(LINKTYPES.values())))
    numbers = ", ".join(map(str, sorted(linktypes)))
    return f"link type {numbers} is not read; these are: {known}"
