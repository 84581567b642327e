# SPDX-License-Identifier: Apache-2.0
"""The requested packets of a file: by a filter of libpcap, and by time."""

from __future__ import annotations

from array import array
from typing import Any

from algwatch.capture.packets import LONGEST, NS, Interface, Packets
from algwatch.capture.read import CaptureError

DAY = 86400
_LENGTH = 0x3FFFFFFF  # of the last number of a record: flags stand above


class Picked:
    """filter: an expression of tcpdump, "" for all. since: seconds since 1970; or seconds of a day
    (below 86400), the day of the first packet. CaptureError for an invalid filter."""

    def __init__(self, filter_: str = "", since: float = 0.0) -> None:
        self._filter = filter_
        self._since = int(since * NS)
        self._day = -1
        self._programs: dict[int, Any] = {}
        if filter_:
            self._program(1)

    def _program(self, linktype: int) -> Any:
        found = self._programs.get(linktype)
        if found is None:
            import pcapy

            try:
                found = pcapy.compile(linktype, LONGEST, self._filter, 1, 0)
            except pcapy.PcapError as error:
                said = f"--filter: {self._filter!r} is no filter of libpcap: {error}"
                raise CaptureError(said) from None
            self._programs[linktype] = found
        return found

    def pick(self, packets: Packets, interfaces: list[Interface]) -> None:
        """Remove the other packets. packets.last stays, so time goes on."""
        if packets.meta:
            packets.records[0] = array("I", packets.meta).tolist()
            packets.meta = b""
        packets.count = 0
        for index, numbers in packets.records.items():
            program = self._program(interfaces[index].linktype) if self._filter else None
            kept: list[int] = []
            for at in range(0, len(numbers), 4):
                seconds, micro, offset, length = numbers[at : at + 4]
                if self._since and seconds * NS + micro * 1000 < self._begin(seconds):
                    continue
                end = offset + (length & _LENGTH)
                if program is None or program.filter(bytes(packets.buffer[offset:end])):
                    kept += (seconds, micro, offset, length)
            packets.records[index] = kept
            packets.count += len(kept) // 4
        packets.records = {index: kept for index, kept in packets.records.items() if kept}

    def _begin(self, seconds: int) -> int:
        if self._since >= DAY * NS:
            return self._since
        if self._day < 0:
            self._day = seconds // DAY * DAY
        return self._day * NS + self._since
