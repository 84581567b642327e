# SPDX-License-Identifier: Apache-2.0
"""Readers of capture files: libpcap for pcap files, walkers for all else and for pipes."""

from __future__ import annotations

import os
import select
import stat
import struct
import sys
from collections.abc import Iterator
from typing import Any

from algwatch.capture import kinds
from algwatch.capture.classic import Pcap
from algwatch.capture.packets import Interface, Packets
from algwatch.capture.pcapng import Pcapng

# Packets a batch. The first is small and the size follows the bytes, so a file of large frames
# (segmentation offload makes 64 kB ones) costs no more memory than one of small frames.
FIRST_PACKETS, MOST_PACKETS = 64, 960
SMALL_BATCH, LARGE_BATCH = 512 * 1024, 1024 * 1024  # bytes
CHUNK = 256 * 1024  # bytes of one read() for a walker

_META = struct.Struct("=IIII")  # next_batch(): seconds, microseconds, offset, caplen


TYPE_CHECKING = False
if TYPE_CHECKING:
    from algwatch.capture.spool import Spool
    from algwatch.capture.text.walker import TextWalker
    from algwatch.capture.unpack import Unpacking

    Walker = Pcap | Pcapng | TextWalker


class CaptureError(Exception):
    """A capture file cannot be read; the message names the file and says why."""


class Stop:
    """Ends the reading of files and pipes from outside, as if they ended there. wake: a signal
    writes to it (signal.set_wakeup_fd), so none is missed between a check and a read."""

    def __init__(self) -> None:
        self.requested = False
        self._read, self.wake = os.pipe()
        os.set_blocking(self._read, False)
        os.set_blocking(self.wake, False)

    def fileno(self) -> int:
        return self._read

    def __del__(self) -> None:
        os.close(self._read)
        os.close(self.wake)

    def wait(self, fd: int) -> bool:
        """Wait for something to read; False to end the reading."""
        if not self.requested:
            poller = select.poll()
            poller.register(fd, select.POLLIN)
            poller.register(self._read, select.POLLIN)
            poller.poll()
        return not self.requested

    def begin(self) -> None:
        """Forget a request: reading begins anew."""
        self.requested = False
        while True:
            try:
                if len(os.read(self._read, 64)) < 64:
                    return
            except BlockingIOError:
                return


class LibpcapReader:
    """A pcap file through libpcap (pcapy-ng). problem: the reason if the reading ended early."""

    remarks: tuple[str, ...] = ()

    def __init__(self, path: str, stop: Stop, most: int) -> None:
        self.problem = ""
        self.done = 24  # bytes
        self._path = path
        self._stop = stop
        self._most = most
        self._reader = _open(path)
        self.interfaces = [Interface(self._reader.datalink())]

    def __iter__(self) -> Iterator[Packets]:
        size = min(FIRST_PACKETS, self._most)
        done = 0
        while not self._stop.requested:
            try:
                buffer, meta = self._reader.next_batch(size)
            except Exception as error:
                self.problem = str(error)
                yield from self._again(done)
                return
            if not meta:
                return
            done += len(meta) // _META.size
            self.done += len(buffer) + len(meta)  # a record's header has 16 bytes, too
            yield _packets(buffer, meta)
            if len(buffer) > LARGE_BATCH:
                size = max(1, size // 2)
            elif len(buffer) < SMALL_BATCH:
                size = min(MOST_PACKETS, size * 2, self._most)

    def _again(self, done: int) -> Iterator[Packets]:
        """next_batch() discards the packets read before the damage: read them again."""
        self._reader = _open(self._path)
        while done > 0:
            _, meta = self._reader.next_batch(min(done, MOST_PACKETS))
            if not meta:
                return  # shorter than a moment ago: another process is writing to it
            done -= len(meta) // _META.size
        while True:
            try:
                buffer, meta = self._reader.next_batch(1)
            except Exception:
                return
            if not meta:
                return
            yield _packets(buffer, meta)

    def close(self) -> None:
        self._reader.close()


class WalkingReader:
    """A file of any kind, compressed or not, or a pipe. The constructor reads up to the first
    packet, so the interfaces are known; later ones are added."""

    def __init__(self, path: str, stop: Stop, most: int, spool: Spool | None = None) -> None:
        self._path = path
        self._stop = stop
        self._most = most
        self._spool = spool
        self._at = 0  # in the spool
        self._first: list[Packets] = []
        self._fd = -1
        self.done = 0  # bytes on disk
        self._peeked = b""
        self._unpacking: Unpacking | None = None
        self._damage = ""
        if spool is None:
            if path == "-" and sys.stdin is None:
                raise CaptureError("-: standard input is closed")
            try:
                piped = path == "-" and not stat.S_ISREG(os.fstat(0).st_mode)
                self._fd = 0 if piped else os.open(on_disk(path), os.O_RDONLY | os.O_CLOEXEC)
            except OSError as error:
                raise CaptureError(f"{path}: {error.strerror or error}") from None
        try:
            self._begin()
        except BaseException:
            self.close()
            raise

    def _begin(self) -> None:
        start, kind = self._start()
        if kind in kinds.PACKED.values():
            from algwatch.capture.unpack import Unreadable, unpacking

            self._peeked = start
            again = "" if self._spool is not None or self._fd == 0 else on_disk(self._path)
            try:
                self._unpacking = unpacking(kind, self._raw, again)
                start, kind = self._start()
            except Unreadable as error:
                raise CaptureError(f"{self._path}: {error}") from None
            if self._damage and not start:
                raise CaptureError(f"{self._path}: {self._damage}")
        refuse(self._path, start, kind)
        self._walker = _walker(kind)
        self._ended = False
        self._first += self._packets(start)
        while not (self._walker.started or self._walker.problem or self._ended):
            self._first += self._packets(self._read())
        if kind == kinds.TEXT and self._walker.problem:
            raise CaptureError(f"{self._path}: {self._walker.problem}")

    def _start(self) -> tuple[bytes, str]:
        """The first bytes, enough for the kind, and the kind."""
        start = b""
        while len(start) < kinds.ENOUGH and (data := self._read()):
            start += data
            if kinds.kind_of(start[: kinds.ENOUGH]) not in (kinds.TEXT, "") and len(start) >= 4:
                break
        return start, kinds.kind_of(start[: kinds.ENOUGH])

    @property
    def interfaces(self) -> list[Interface]:
        return self._walker.interfaces

    @property
    def problem(self) -> str:
        return self._damage or self._walker.problem

    @property
    def remarks(self) -> list[str]:
        """A text's own statements, and its unread parts."""
        return getattr(self._walker, "remarks", [])

    def __iter__(self) -> Iterator[Packets]:
        first, self._first = self._first, []
        yield from first
        while not self._ended:
            yield from self._packets(self._read())

    def _packets(self, data: bytes) -> Iterator[Packets]:
        walker = self._walker
        if not data:
            self._ended = True
            walker.end(self._stop.requested or (self._spool is not None and self._spool.cut))
        packets = walker.feed(data, self._most)
        while packets.count:
            yield packets
            packets = walker.feed(b"", self._most)
        self._ended = self._ended or bool(walker.problem)

    def _read(self) -> bytes:
        """b"" at the end."""
        if self._unpacking is None:
            return self._raw(min(CHUNK, self._most * 1024))
        if self._damage:
            return b""
        from algwatch.capture.unpack import Unreadable

        try:
            return self._unpacking.read(CHUNK)
        except Unreadable as error:
            if not self._stop.requested:
                self._damage = str(error)
            return b""

    def _raw(self, size: int) -> bytes:
        """The bytes on disk."""
        if self._peeked:
            data, self._peeked = self._peeked, b""
            return data
        fd = self._fd
        if self._spool is not None:
            data = b"" if self._stop.requested else self._spool.read(size, self._at)
            self._at += len(data)
            self.done += len(data)
            if data or not self._spool.open:
                return data
            fd = self._spool.pipe
        if not self._stop.wait(fd):
            return b""
        try:
            data = os.read(fd, size)
            self.done += len(data)
            return data
        except OSError as error:
            raise CaptureError(f"{self._path}: {error.strerror or error}") from None

    def close(self) -> None:
        if self._unpacking is not None:
            self._unpacking.close()
        if self._fd > 0:
            os.close(self._fd)
            self._fd = -1


def _walker(kind: str) -> Walker:
    if kind == kinds.PCAP:
        return Pcap()
    if kind == kinds.PCAPNG:
        return Pcapng()
    from algwatch.capture.text.walker import TextWalker

    return TextWalker()


Reader = LibpcapReader | WalkingReader


def on_disk(path: str) -> str:
    """A name for opening standard input ("-") anew, if it is a file."""
    return "/proc/self/fd/0" if path == "-" else path


def open_reader(path: str, stop: Stop, most: int = MOST_PACKETS,
                spool: Spool | None = None) -> tuple[Reader, bool]:  # fmt: skip
    """The reader for a path ("-": standard input); True if the path can be read again. most:
    packets at once. spool: of a pipe. CaptureError if it plainly holds no capture."""
    if spool is not None:
        return WalkingReader(path, stop, most, spool), not spool.open
    start = start_of(path)
    if start is None:
        return WalkingReader(path, stop, most), False
    if kinds.kind_of(start) == kinds.PCAP:
        return LibpcapReader(path, stop, most), True
    return WalkingReader(path, stop, most), True


def refuse(path: str, start: bytes, kind: str) -> None:
    """CaptureError for an unsupported file, by its first bytes and their kind."""
    if not start:
        raise CaptureError(f"{path}: the file is empty")
    if not kind:
        raise CaptureError(
            f"{path}: {kinds.named(start)}; pcap, pcapng and logs of SIP are read, "
            "`editcap -F pcap` converts other formats"
        )


def start_of(path: str) -> bytes | None:
    """The first bytes of a regular file; None for a source that can be read only once."""
    if path == "-" and sys.stdin is None:
        raise CaptureError("-: standard input is closed")
    try:
        # A pipe must not be opened just for this: closing it again ends its writer.
        if not stat.S_ISREG(os.stat(on_disk(path)).st_mode):
            if os.path.isdir(on_disk(path)):
                raise CaptureError(f"{path}: is a directory, not a capture file")
            return None
        with open(on_disk(path), "rb") as file:
            return file.read(kinds.ENOUGH)
    except OSError as error:
        raise CaptureError(f"{path}: {error.strerror or error}") from None
    except ValueError as error:  # a NUL in the name
        raise CaptureError(f"{path!r}: {error}") from None


def size_of(path: str) -> int:
    """Bytes of a regular file, else 0."""
    try:
        found = os.stat(on_disk(path))
    except OSError:
        return 0
    return found.st_size if stat.S_ISREG(found.st_mode) else 0


def _packets(buffer: bytes, meta: bytes) -> Packets:
    packets = Packets(buffer, meta)
    packets.count = len(meta) // _META.size
    seconds, microseconds, _, _ = _META.unpack_from(meta, len(meta) - _META.size)
    packets.last = (seconds * 1_000_000 + microseconds) * 1000
    return packets


def _open(path: str) -> Any:
    # Imported here and not above: pcapy and libpcap cost 1.8 MB, and a daemon that only writes
    # evidence does not need them.
    try:
        import pcapy
    except ImportError as error:
        raise CaptureError(f"{path}: reading needs the Python package pcapy-ng ({error})") from None
    held = -1
    name = on_disk(path)
    try:
        try:
            path.encode()
        except UnicodeEncodeError:  # pcapy takes UTF-8 only; the kernel takes any byte
            held = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
            name = f"/proc/self/fd/{held}"
        return pcapy.open_offline(name)
    except (pcapy.PcapError, OSError) as error:
        raise CaptureError(
            f"{path}: not a capture file ({error}); pcap and pcapng are read, `editcap -F pcap` "
            "converts other formats"
        ) from None
    finally:
        if held >= 0:
            os.close(held)
