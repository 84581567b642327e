# SPDX-License-Identifier: Apache-2.0
"""A capture that comes piece by piece, while it is made: bytes in, packets out. Sans-IO."""

from __future__ import annotations

from collections.abc import Iterator

from algwatch.capture import kinds
from algwatch.capture.classic import Pcap
from algwatch.capture.packets import Interface, Packets
from algwatch.capture.pcapng import Pcapng
from algwatch.capture.read import refuse
from algwatch.capture.text.walker import TextWalker

MOST = 960  # packets at once


class FedReader:
    """In the place of a reader of a file (capture/read.py); fed by somebody else. path: for
    people. It has no interfaces before the first bytes are there."""

    def __init__(self, path: str) -> None:
        self.done = 0
        self._path = path
        self._start = b""
        self._walker: Pcap | Pcapng | TextWalker | None = None

    @property
    def interfaces(self) -> list[Interface]:
        return self._walker.interfaces if self._walker is not None else []

    @property
    def problem(self) -> str:
        return self._walker.problem if self._walker is not None else ""

    @property
    def remarks(self) -> list[str]:
        return getattr(self._walker, "remarks", [])

    def feed(self, data: bytes) -> Iterator[Packets]:
        """CaptureError where the first bytes are those of no capture."""
        self.done += len(data)
        if self._walker is None:
            self._start += data
            kind = kinds.kind_of(self._start[: kinds.ENOUGH])
            if len(self._start) < 4 or (kind == kinds.TEXT and b"\n" not in self._start):
                return
            refuse(self._path, self._start, "" if kind in kinds.PACKED.values() else kind)
            if kind == kinds.PCAP:
                self._walker = Pcap(again=True)  # a followed file may be replaced
            elif kind == kinds.PCAPNG:
                self._walker = Pcapng()
            else:
                self._walker = TextWalker(patient=False)
            data, self._start = self._start, b""
        yield from self._packets(self._walker, data)

    def end(self) -> Iterator[Packets]:
        """No more bytes come."""
        if self._walker is not None:
            self._walker.end(cut=True)
            yield from self._packets(self._walker, b"")

    def _packets(self, walker: Pcap | Pcapng | TextWalker, data: bytes) -> Iterator[Packets]:
        packets = walker.feed(data, MOST)
        while packets.count:
            yield packets
            packets = walker.feed(b"", MOST)

    def __iter__(self) -> Iterator[Packets]:
        return iter(())

    def close(self) -> None:
        pass
