# SPDX-License-Identifier: Apache-2.0
"""The messages of `algwatch probe`. They get no answer, and are not to count as failed calls.

Both copies of such a message have an unassigned address and the user part of its URIs in common. A
forger of these hides only messages that cannot arrive.
"""

from __future__ import annotations

from algwatch.base.native.layout import ENDS, ROW
from algwatch.base.packet import Batch
from algwatch.base.sighting import LENGTH, PAYLOAD

USER = b"algwatch-probe"
# RFC 5737. The first one, unless it is in a network of this router, as in a laboratory.
FARS = (bytes((192, 0, 2, 1)), bytes((198, 51, 100, 1)), bytes((203, 0, 113, 1)))

_LAST_OCTET = 1  # of each FARS address
_DESTINATION = 16  # offset in the ends of a row (aw_ends)
_REST = bytes(12)  # of an IPv4 address the rest is 0


def without_probes(batch: Batch) -> Batch:
    """The batch without these rows; the same batch if it has none."""
    ends = batch.ends
    if _LAST_OCTET not in ends[_DESTINATION + 3 :: ENDS.size]:  # nearly always, and a quick test
        return batch
    kept = [i for i in range(batch.count) if not _is_probe(batch, i)]
    if len(kept) == batch.count:
        return batch
    rows = b"".join(bytes(batch.rows[ROW.size * i : ROW.size * (i + 1)]) for i in kept)
    some = b"".join(ends[ENDS.size * i : ENDS.size * (i + 1)] for i in kept)
    made = Batch(batch.buffer, rows, some, len(kept), batch.tap, batch.watermark)
    made.sightings = {n: batch.sightings[i] for n, i in enumerate(kept) if i in batch.sightings}
    return made


def _is_probe(batch: Batch, i: int) -> bool:
    at = ENDS.size * i + _DESTINATION
    if batch.ends[at : at + 4] not in FARS or batch.ends[at + 4 : at + 16] != _REST:
        return False
    row = ROW.unpack_from(batch.rows, ROW.size * i)
    return USER in bytes(batch.buffer[row[PAYLOAD] : row[PAYLOAD] + row[LENGTH]])
