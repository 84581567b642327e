# SPDX-License-Identifier: Apache-2.0
"""`analyze --pcap FILE`: the packets of chosen calls, both sides, in a file with the same verdict.

The files are read once more. Packets between the hosts of a chosen call or line are saved; media
only during a chosen call. Packets of these hosts in other calls are saved too, up to a bound,
because a call is judged by the others of its line, its phone and its provider. Messages behind a
finding are saved as well. So are the first and the last packet of each file: a message counts as
missing only if the capture went on.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from heapq import merge

from algwatch.base.native import layout
from algwatch.base.native.rows import Counts, Scanner
from algwatch.base.packet import LAN, SIDE_NAMES, UNKNOWN, WAN
from algwatch.base.sighting import CALL, KIND, METHOD
from algwatch.capture.frames import Frame, frames
from algwatch.capture.packets import LINKTYPES, Packets
from algwatch.capture.pcap import CaptureFile
from algwatch.capture.pcapng_out import Written
from algwatch.report.render.ladder import MAKES_A_CALL, WITHIN_A_CALL
from algwatch.report.traced import Chosen

OF_CALLS = frozenset((*MAKES_A_CALL, *WITHIN_A_CALL))
SLACK = 1_000_000_000  # ns, difference allowed between two captures of one time
LATER = 40_000_000_000  # ns after a call, its messages may still count as missing: 64*T1 and more
FOREVER = 1 << 63
HEAD = 160  # bytes of a frame with all its addresses, also in tunnels
CONTEXT = 20_000  # packets of other calls and hosts, at most
MEDIA = 200_000  # packets of media, at most


def as_one(files: list[tuple[CaptureFile, int]], chosen: Chosen) -> bool:
    """False if a side has its own files and they do not cover the chosen calls' time. One file
    cannot show that one of its sides began later or ended earlier."""
    begin = {LAN: FOREVER, WAN: FOREVER}
    end = {LAN: 0, WAN: 0}
    for file, side in files:
        shift = file.shift or _as_it_is
        for packets in file.raw() if side in begin else ():
            first = min((frame.at for frame in frames(packets, file.interfaces)), default=FOREVER)
            begin[side] = min(begin[side], shift(first))
            end[side] = max(end[side], shift(packets.last))
    if not all(end.values()):
        return True
    differ = max(end.values()) - min(end.values()) > SLACK
    differ = differ or max(begin.values()) - min(begin.values()) > SLACK
    first, last = max(begin.values()), min(end.values()) - LATER
    return not differ or all(first <= a and b <= last for a, b in chosen.spans)


def _as_it_is(at: int) -> int:
    return at


class Saved:
    """Writes the chosen packets of several files into one. ports: of SIP."""

    def __init__(self, chosen: Chosen, ports: list[int]) -> None:
        self._chosen = chosen
        self._ports = ports
        self._media = MEDIA
        self._context = CONTEXT

    def write(self, path: str, files: list[tuple[CaptureFile, int]]) -> int:
        """The number of packets saved. The file appears whole or not at all. OSError."""
        part = f"{path}.part"
        try:
            with open(part, "wb") as out:
                written = Written(out)
                found = [self._of(file, side) for file, side in files]
                for name, at, frame in merge(*found, key=lambda one: one[1]):
                    written.packet(name, frame.interface.linktype, at, frame.data, frame.way)
            os.replace(part, path)
        except BaseException:
            if os.path.exists(part):
                os.unlink(part)
            raise
        return written.packets

    def _of(self, file: CaptureFile, side: int) -> Iterator[tuple[str, int, Frame]]:
        """(interface, ns on the common clock, packet) of a file of this side."""
        scanners: dict[int, Scanner] = {}
        last: tuple[str, int, Frame] | None = None
        first = True
        for packets in file.raw():
            others = self._others(packets, file, scanners)
            for frame in frames(packets, file.interfaces):
                at = file.shift(frame.at) if file.shift is not None else frame.at
                theirs = self._side_of(frame, at, frame.start in others)
                known = file.sides.get(frame.interface.name, UNKNOWN) if file.sides else side
                if known == UNKNOWN and not file.sides and theirs is not None and theirs >= 0:
                    known = theirs
                name = SIDE_NAMES[known] if known != UNKNOWN else frame.interface.name
                last = name, at, frame
                if theirs is not None or first:
                    yield last
                    last = None
                first = False
        if last is not None:
            yield last

    def _side_of(self, frame: Frame, at: int, other: bool) -> int | None:
        """The side of its hosts, -1 for both; None: it is not saved."""
        head = frame.data[:HEAD]
        if any(payload in frame.data for payload in self._chosen.looks.get(at // 1000, ())):
            other = False
        for pair, side in self._chosen.pairs.items():
            if pair in head:
                return self._of_others(side) if other else side
        for pair, side in self._chosen.beside.items():
            if pair in head:
                return self._of_others(side)
        if self._media and self._chosen.media and self._chosen.during(at):
            for pair, side in self._chosen.media.items():
                if pair in head:
                    self._media -= 1
                    return side
        looks = self._chosen.looks.get(at // 1000, ())
        return -1 if any(payload in frame.data for payload in looks) else None

    def _of_others(self, side: int) -> int | None:
        self._context -= 1
        return side if self._context >= 0 else None

    def _others(
        self, packets: Packets, file: CaptureFile, scanners: dict[int, Scanner]
    ) -> set[int]:
        """Offsets of the packets of other calls."""
        others: set[int] = set()
        for index, table in packets.tables():
            linktype = file.interfaces[index].linktype
            if linktype not in LINKTYPES:
                continue
            scanner = scanners.get(linktype)
            if scanner is None:
                scanner = Scanner(linktype, 0, layout.REPLAY_KEY, self._ports, Counts())
                scanners[linktype] = scanner
            for batch in scanner.scan(packets.buffer, table, 0):
                ends = layout.ENDS.iter_unpack(batch.ends)
                for row, end in zip(layout.ROW.iter_unpack(batch.rows), ends, strict=True):
                    if row[KIND] != layout.KIND_SIP or row[METHOD] not in OF_CALLS:
                        continue
                    if row[CALL] not in self._chosen.hashes:
                        others.add(end[2])
        return others
