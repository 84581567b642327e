"""Capture files, pcap and pcapng, in and out: through libpcap (pcapy-ng) to batches of rows."""

from __future__ import annotations

import os
import stat
import struct
from bisect import bisect_right
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from typing import Any

from algwatch.base.native import layout
from algwatch.base.native.rows import Counts, Scanner
from algwatch.base.packet import Batch
from algwatch.capture.shift import Shift, shifted

# Packets a batch. The first is small and the size follows the bytes, so that a file of large
# frames (segmentation offload makes 64 kB ones) costs no more memory than one of small frames.
FIRST_PACKETS, MOST_PACKETS = 64, 512
SMALL_BATCH, LARGE_BATCH = 64 * 1024, 512 * 1024  # bytes

# How far merged() lets one file run ahead of the others, in ns: rows are cut there. Well above
# a message's way through the router, and far below every timer of SIP.
AHEAD = 1_000_000_000

LINKTYPES = {
    0: "BSD loopback", 1: "Ethernet", 9: "PPP", 12: "raw IP", 101: "raw IP",
    108: "OpenBSD loopback", 113: "Linux cooked v1", 228: "raw IPv4", 229: "raw IPv6", 239: "NFLOG",
    276: "Linux cooked v2",
}  # fmt: skip

_META = struct.Struct("=IIII")  # next_batch(): seconds, microseconds, offset, caplen
_AT = struct.Struct("=Q")  # the first member of a row
_NOT_TCP = bytes(value for value in range(256) if not value & layout.ROW_TCP)


TYPE_CHECKING = False
if TYPE_CHECKING:
    from algwatch.capture.reassembly import Reassembler


class CaptureError(Exception):
    """A capture file cannot be read; the message names the file and says what is wrong."""


class CaptureFile:
    """One capture file, read once from front to back: iterate over it to get its batches.

    path: file name, or "-" for standard input. tap: index of the tap in every row. ports: SIP
    ports. counts: added to. A file whose end or middle is damaged gives what was readable
    before; then `truncated_tail` is 1 and `problem` says what libpcap found there.
    shift: set it before iterating to put every time of the file on another clock.
    Raises CaptureError when nothing can be read at all. Source of the format:
    draft-ietf-opsawg-pcap and -pcapng, as libpcap reads them; time stamps in microseconds.
    """

    def __init__(self, path: str, tap: int, ports: Sequence[int], counts: Counts) -> None:
        self.path = path
        self.tap = tap
        self.truncated_tail = 0
        self.problem = ""
        self.shift: Shift | None = None
        self.packets = 0
        self.watermark = 0
        self._regular = _checked(path)
        self._reader = _open(path)
        self.linktype: int = self._reader.datalink()
        if self.linktype not in LINKTYPES:
            known = ", ".join(sorted(set(LINKTYPES.values())))
            raise CaptureError(f"{path}: link type {self.linktype} is not read; these are: {known}")
        self._scanner = Scanner(self.linktype, tap, layout.REPLAY_KEY, ports, counts)
        self._ports = ports
        self._reassembler: Reassembler | None = None

    def close(self) -> None:
        self._reader.close()

    def pieces(self) -> dict[str, int]:
        """Reassembler.health() of this file, with what the end of the file left incomplete."""
        if self._reassembler is None:
            return {}
        numbers, waiting = self._reassembler.health(), self._reassembler.pending()
        if waiting:
            numbers["incomplete"] = numbers.get("incomplete", 0) + waiting
        return numbers

    def __iter__(self) -> Iterator[Batch]:
        # From a pipe a packet at a time: it cannot be read again after damage, and somebody
        # may be waiting at the other end of `tcpdump -w -`.
        size = FIRST_PACKETS if self._regular else 1
        while True:
            try:
                buffer, meta = self._reader.next_batch(size)
            except Exception as error:
                yield from self._damaged(error)
                return
            if not meta:
                return
            yield from self._scanned(buffer, meta)
            if not self._regular:
                continue
            if len(buffer) > LARGE_BATCH:
                size = max(1, size // 2)
            elif len(buffer) < SMALL_BATCH:
                size = min(MOST_PACKETS, size * 2)

    def _scanned(self, buffer: bytes, meta: bytes) -> Iterator[Batch]:
        """The batches of one next_batch(): more than one when the room for rows ran out."""
        self.packets += len(meta) // _META.size
        seconds, microseconds, _, _ = _META.unpack_from(meta, len(meta) - _META.size)
        last = (seconds * 1_000_000 + microseconds) * 1000
        self.watermark = max(self.watermark, last)
        for batch in self._scanner.scan(buffer, meta, self.watermark):
            if self.shift is not None:
                batch = shifted(batch, self.shift)
            whole = self._put_together(batch)
            if whole is not None:
                yield whole
            yield batch

    def _put_together(self, batch: Batch) -> Batch | None:
        """What became whole by this batch. Most files hold no TCP and no fragment: 1.2 MB less."""
        if self._reassembler is None:
            rows = memoryview(batch.rows)
            kinds = bytes(rows[layout.ROW_KIND :: layout.ROW.size])
            tcp = bytes(rows[layout.ROW_LOW_BITS :: layout.ROW.size]).translate(None, _NOT_TCP)
            if not tcp and layout.KIND_FRAGMENT not in kinds:
                return None
            from algwatch.capture.reassembly import Reassembler

            self._reassembler = Reassembler(self.tap, self._ports, layout.REPLAY_KEY)
        return self._reassembler.feed(batch)

    def _damaged(self, error: Exception) -> Iterator[Batch]:
        """next_batch() throws away what it had read before the damage: read that again."""
        self.truncated_tail = 1
        self.problem = str(error)
        if not self._regular:
            return
        done, self._reader = self.packets, _open(self.path)
        while done > 0:
            _, meta = self._reader.next_batch(min(done, MOST_PACKETS))
            if not meta:
                return  # shorter than a moment ago: somebody is writing to it
            done -= len(meta) // _META.size
        while True:
            try:
                buffer, meta = self._reader.next_batch(1)
            except Exception:
                return
            if not meta:
                return
            yield from self._scanned(buffer, meta)


class Merged:
    """Several capture files as one stream of batches, in step by time: iterate over it.

    paths_with_taps: (path, index of the tap). No file runs ahead of the next packet of another
    by more than AHEAD, because batches are cut; so what the later stages keep while they wait
    for the other side stays small whatever the files look like. Raises CaptureError.
    """

    def __init__(
        self,
        paths_with_taps: Iterable[tuple[str, int]],
        ports: Sequence[int],
        counts: Counts,
    ) -> None:
        self.files = [CaptureFile(path, tap, ports, counts) for path, tap in paths_with_taps]

    @property
    def truncated_tail(self) -> int:
        return sum(file.truncated_tail for file in self.files)

    def pieces(self) -> dict[str, int]:
        """CaptureFile.pieces() of all files together."""
        total: dict[str, int] = {}
        for file in self.files:
            for name, value in file.pieces().items():
                total[name] = total.get(name, 0) + value
        return total

    @property
    def problems(self) -> list[str]:
        return [f"{file.path}: {file.problem}" for file in self.files if file.problem]

    def __iter__(self) -> Iterator[Batch]:
        sources = [iter(file) for file in self.files]
        heads: list[tuple[int, int, int, Batch]] = []  # at of the next row, source, row, batch

        def refill(index: int) -> Iterator[Batch]:
            for batch in sources[index]:
                if batch.count:
                    heads.append((_at(batch, 0), index, 0, batch))
                    return
                yield batch  # no rows, but the watermark has moved

        for index in range(len(sources)):
            yield from refill(index)
        while heads:
            heads.sort(key=lambda head: head[:3])
            _, index, start, batch = heads.pop(0)
            limit = heads[0][0] + AHEAD if heads else 1 << 64
            stop = _first_after(batch, start + 1, limit)
            yield _part(batch, start, stop)
            if stop < batch.count:
                heads.append((_at(batch, stop), index, stop, batch))
            else:
                # Only now: the rows of the next batch overwrite the ones just handed on.
                yield from refill(index)


def read(path: str, tap: int, ports: Sequence[int], counts: Counts) -> Iterator[Batch]:
    """Batches of one file. CaptureError at once when it cannot be read."""
    return iter(CaptureFile(path, tap, ports, counts))


def merged(
    paths_with_taps: Iterable[tuple[str, int]], ports: Sequence[int], counts: Counts
) -> Iterator[Batch]:
    """Batches of several files in step; see Merged. CaptureError at once."""
    return iter(Merged(paths_with_taps, ports, counts))


def write(path: str, linktype: int, packets: Iterable[tuple[int, bytes]]) -> int:
    """Save (ns since 1970, frame) pairs as a pcap file with nanoseconds; returns how many.

    The file appears whole or not at all. Written by hand, because pcapy-ng writes only what it
    read itself (a dumper belongs to a Reader, and a packet header cannot be made). Source:
    draft-ietf-opsawg-pcap sections 4 and 5. OSError when it cannot be written.
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


def _at(batch: Batch, row: int) -> int:
    at: int = _AT.unpack_from(batch.rows, row * layout.ROW.size)[0]
    return at


def _first_after(batch: Batch, start: int, limit: int) -> int:
    """Index of the first row at or behind start that is later than limit."""
    return bisect_right(range(batch.count), limit, start, key=lambda row: _at(batch, row))


def _part(batch: Batch, start: int, stop: int) -> Batch:
    if start == 0 and stop == batch.count:
        return batch
    watermark = batch.watermark if stop == batch.count else _at(batch, stop)
    return Batch(
        batch.buffer,
        memoryview(batch.rows)[start * layout.ROW.size : stop * layout.ROW.size],
        memoryview(batch.ends)[start * layout.ENDS.size : stop * layout.ENDS.size],
        stop - start,
        batch.tap,
        watermark,
    )


def _checked(path: str) -> bool:
    """Is it a regular file? CaptureError when it is plainly not a capture."""
    if path == "-":
        return False
    try:
        # A pipe must not be opened just to look: closing it again ends its writer.
        if not stat.S_ISREG(os.stat(path).st_mode):
            if os.path.isdir(path):
                raise CaptureError(f"{path}: is a directory, not a capture file")
            return False
        with open(path, "rb") as file:
            start = file.read(4)
    except OSError as error:
        raise CaptureError(f"{path}: {error.strerror or error}") from None
    except ValueError as error:  # a NUL in the name
        raise CaptureError(f"{path!r}: {error}") from None
    if not start:
        raise CaptureError(f"{path}: the file is empty")
    if start[:2] == b"\x1f\x8b":
        raise CaptureError(f"{path}: compressed with gzip; unpack it first (gunzip)")
    return True


def _open(path: str) -> Any:
    # Imported here and not above: pcapy and libpcap cost 1.8 MB, which a daemon that only
    # writes evidence does not pay.
    try:
        import pcapy
    except ImportError as error:
        raise CaptureError(f"{path}: reading needs the Python package pcapy-ng ({error})") from None
    held = -1
    name = path
    try:
        try:
            path.encode()
        except UnicodeEncodeError:  # pcapy takes UTF-8 only; the kernel takes any byte
            held = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
            name = f"/proc/self/fd/{held}"
        return pcapy.open_offline(name)
    except (pcapy.PcapError, OSError) as error:
        raise CaptureError(f"{path}: not a capture file ({error})") from None
    finally:
        if held >= 0:
            os.close(held)
