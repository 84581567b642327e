# SPDX-License-Identifier: Apache-2.0
"""Rebuilt packets: made of parts, scanned like any other, and merged into the batch of their last
parts.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from operator import itemgetter

from algwatch.base.native import layout
from algwatch.base.native.rows import Scanner
from algwatch.base.packet import Batch
from algwatch.base.typed import Any
from algwatch.capture.batches import NO_MESSAGES, Loose, loose
from algwatch.capture.pieces import FRAGMENT, Made, joined

UDP = 17

_META = struct.Struct("=IIII")
_KIND = 13  # in a row
_index = itemgetter(0)


def messages(batch: Batch) -> Iterator[tuple[int, *Loose]]:
    """The rows of a batch that are messages, each after its index."""
    for index, one in enumerate(loose(batch)):
        if one[0][_KIND] not in NO_MESSAGES:
            yield index, *one


class Rebuilt:
    """scanner: for packets that begin with their IP header. refused: packets with a wrong checksum,
    accepted by no stack."""

    def __init__(self, scanner: Scanner) -> None:
        self.refused = 0
        self._scanner = scanner

    def rows(
        self, made: Made, buffer: bytes
    ) -> Iterator[tuple[int, tuple[int, ...], tuple[Any, ...]]]:
        """(index of the packet with the last part, row, ends) of the rebuilt packets at the
        beginning of the buffer."""
        size, meta, by_frame = 0, [], {}
        for packet, length, _ in made:
            by_frame[size] = packet
            meta.append(_META.pack(0, 0, size, length))
            size += length
        for one in self._scanner.scan(buffer, b"".join(meta), 0):
            for row, end in zip(
                layout.ROW.iter_unpack(one.rows), layout.ENDS.iter_unpack(one.ends), strict=True
            ):
                packet = by_frame[end[2]]
                way = packet.row[12] & (layout.ROW_OUTGOING | layout.ROW_DIRECTED)
                if row[12] & layout.ROW_DAMAGED and way == layout.ROW_DIRECTED:
                    self.refused += 1  # captured as it came in: no stack accepts it
                    continue
                bits = row[12] | way
                if packet.row[13] == FRAGMENT and end[7] == UDP:
                    bits |= layout.ROW_FRAGMENTED
                row = (packet.row[0], *row[1:12], bits, *row[13:16], packet.row[16])
                yield packet.index, row, (*end[:6], packet.ends[6], *end[7:])

    def merged(self, batch: Batch, made: Made, opened: list[tuple[int, *Loose]]) -> Batch:
        """The rows of the batch, of the rebuilt packets and of messages found whole inside a
        tunnel (`opened`), and one buffer for all."""
        others = opened + list(messages(batch))
        buffer = joined(made, (payload for _, _, _, payload in others))
        size = sum(length for _, length, _ in made)
        found = []
        for index, row, ends, payload in others:
            # No later stage reads headers in front of a message.
            row = (*row[:8], size, *row[9:])
            found.append((index, row, (*ends[:2], size, len(payload), *ends[4:])))
            size += len(payload)
        whole = [one for one in self.rows(made, buffer) if one[1][_KIND] not in NO_MESSAGES]
        # A whole message before a row of the packet that completed it.
        found[len(opened) : len(opened)] = whole
        found.sort(key=_index)
        return Batch(
            buffer,
            b"".join([layout.ROW.pack(*row) for _, row, _ in found]),
            b"".join([layout.ENDS.pack(*ends) for _, _, ends in found]),
            len(found),
            batch.tap,
            batch.watermark,
        )
