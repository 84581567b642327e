# SPDX-License-Identifier: Apache-2.0
"""Sums: the meaning of wrong checksums in a capture file.

A machine with checksum offload captures its own packets without checksums, and a file with edited
addresses has no right ones. There wrong checksums repeat. One wrong checksum among right ones marks
a packet that no stack accepts: it is no evidence.
"""

from __future__ import annotations

from collections import Counter

from algwatch.base.native.layout import ENDS, ROW, ROW_DAMAGED
from algwatch.base.native.rows import Counts
from algwatch.base.packet import Batch
from algwatch.base.table import Table
from algwatch.capture.batches import picked

PAIRS = 1024  # remembered pairs with a wrong checksum

_BITS = 12  # in a row
_PAIR = 32  # bytes of both addresses in the ends of a row


class Sums:
    """The checksums of one file. counts: its `forged` counts the packets left out.

    Two hosts, in one direction, are judged alike: wrong checksums are left out unless most are
    wrong. Right ones are counted in the batch of the wrong one and in the batch before, so batches
    without a wrong one cost nothing.
    """

    def __init__(self, counts: Counts) -> None:
        self._counts = counts
        self._seen: Table[bytes, tuple[int, int]] = Table(PAIRS)  # right, wrong
        self._before: list[bytes] = []  # the hosts of the right ones in the batch before
        self._last: bytes = b""  # the ends of this batch, if all are right

    def judged(self, batch: Batch, damaged: bool) -> Batch:
        """The batch without packets no stack accepts. damaged: it has rows with ROW_DAMAGED."""
        if not damaged:
            self._before, self._last = [], batch.ends
            return batch
        before = [*self._before, *_hosts(self._last)]
        self._last = b""
        wrong = [bool(row[_BITS] & ROW_DAMAGED) for row in ROW.iter_unpack(batch.rows)]
        hosts = _hosts(batch.ends)
        right = Counter(before)
        right.update(pair for pair, bad in zip(hosts, wrong, strict=True) if not bad)
        for pair, more in Counter(p for p, bad in zip(hosts, wrong, strict=True) if bad).items():
            good, bad = self._seen.get(pair, (0, 0))
            self._seen.add(pair, (good + right[pair], bad + more))
        keep = [i for i, bad in enumerate(wrong) if not (bad and self._refused(hosts[i]))]
        self._counts.struct.forged += len(wrong) - len(keep)
        self._before = [pair for pair, bad in zip(hosts, wrong, strict=True) if not bad]
        return batch if len(keep) == len(wrong) else picked(batch, keep)

    def _refused(self, pair: bytes) -> bool:
        right, wrong = self._seen.get(pair, (0, 0))
        return right >= wrong


def _hosts(ends: bytes) -> list[bytes]:
    """Source and destination of each row."""
    return [ends[at : at + _PAIR] for at in range(0, len(ends), ENDS.size)]
