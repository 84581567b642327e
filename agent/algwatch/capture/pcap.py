"""Capture files, pcap and pcapng, in and out: through libpcap (pcapy-ng) to batches of rows."""

from __future__ import annotations

import os
import stat
import struct
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from typing import Any

from algwatch.base.native import layout
from algwatch.base.native.rows import Counts, Scanner
from algwatch.base.packet import Batch
from algwatch.capture.shift import Shift, shifted

# Packets a batch. The first is small and the size follows the bytes, so that a file of large
# frames (segmentation offload makes 64 kB ones) costs no more memory than one of small frames.
FIRST_PACKETS, MOST_PACKETS = 64, 960
SMALL_BATCH, LARGE_BATCH = 512 * 1024, 1024 * 1024  # bytes

LINKTYPES = {
    0: "BSD loopback", 1: "Ethernet", 9: "PPP", 12: "raw IP", 101: "raw IP",
    108: "OpenBSD loopback", 113: "Linux cooked v1", 228: "raw IPv4", 229: "raw IPv6", 239: "NFLOG",
    276: "Linux cooked v2",
}  # fmt: skip

_META = struct.Struct("=IIII")  # next_batch(): seconds, microseconds, offset, caplen
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
        self.packets = 0
        self.watermark = 0
        self.shift: Shift | None = None
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

    def reassembly(self) -> dict[str, int]:
        """Reassembler.health() of this file; what still waits at its end is incomplete."""
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
            yield self._reassembled(batch)

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


def read(path: str, tap: int, ports: Sequence[int], counts: Counts) -> Iterator[Batch]:
    """Batches of one file. CaptureError at once when it cannot be read."""
    return iter(CaptureFile(path, tap, ports, counts))


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
